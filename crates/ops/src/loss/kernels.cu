// Sums of masked targets a map, and the gradient that slopes a map make of them; see mod.rs.
#include "device.cuh"

constexpr int THREADS = 256;
// Voxels that one block sums.
constexpr int SPAN = 4096;
constexpr int NUMBERS = 7;
constexpr int FULL = 128, ON_LINE = 129, IGNORED = 255;

__device__ __forceinline__ float probability(float z) {
    const float small = expf(-fabsf(z));
    return (z >= 0 ? 1.0f : small) / (1.0f + small);
}
__device__ __forceinline__ float share(int target) { return static_cast<float>(min(target, FULL)) / FULL; }

// A block takes SPAN voxels of sample blockIdx.y. Each thread keeps to one map, so that its sums stay in registers;
// those beyond the last multiple of `maps` rest. `parts` [samples, blocks, maps, NUMBERS].
template <typename T>
__device__ __forceinline__ void block_sums(const T* logits, const uint8_t* targets, float* parts, int64_t voxels,
                                           int maps) {
    __shared__ float shared[NUMBERS][THREADS];
    const int used = THREADS / maps * maps;
    const int64_t first_voxel = static_cast<int64_t>(blockIdx.x) * SPAN;
    const int64_t left = min(static_cast<int64_t>(SPAN), voxels - first_voxel);
    const int64_t start = (static_cast<int64_t>(blockIdx.y) * voxels + first_voxel) * maps;
    float sums[NUMBERS] = {};
    if (threadIdx.x < used) {
        for (int64_t i = threadIdx.x; i < left * maps; i += used) {
            const int target = targets[start + i];
            if (target == IGNORED) continue;
            const float z = load(logits + start + i), p = probability(z), y = share(target);
            const float on_line = target == ON_LINE ? 1.0f : 0.0f;
            sums[0] += p * y;
            sums[1] += p;
            sums[2] += y;
            sums[3] += fmaxf(z, 0.0f) + log1pf(expf(-fabsf(z))) - y * z;
            sums[4] += 1;
            sums[5] += p * on_line;
            sums[6] += on_line;
        }
    }
#pragma unroll
    for (int number = 0; number < NUMBERS; number++) shared[number][threadIdx.x] = sums[number];
    __syncthreads();
    for (int i = threadIdx.x; i < maps * NUMBERS; i += THREADS) {
        const int map = i / NUMBERS, number = i % NUMBERS;
        float total = 0;
        for (int thread = map; thread < used; thread += maps) total += shared[number][thread];
        parts[(static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * maps * NUMBERS + i] = total;
    }
}

template <typename T>
__device__ __forceinline__ float slope(const T* logits, const uint8_t* targets, const float* slopes, int64_t i,
                                       int64_t voxels, int maps) {
    const int target = targets[i];
    if (target == IGNORED) return 0;
    const float p = probability(load(logits + i)), y = share(target);
    const float* own = slopes + (i / (voxels * maps) * maps + i % maps) * 4;
    return own[0] * (p - y) + (own[1] + own[2] * y + (target == ON_LINE ? own[3] : 0.0f)) * p * (1 - p);
}

#define ENTRIES(T, type)                                                                                              \
    KERNEL(THREADS, 1)                                                                                                \
    loss_sums_##type(const T* logits, const uint8_t* targets, float* parts, int64_t voxels, int maps) {               \
        block_sums(logits, targets, parts, voxels, maps);                                                             \
    }                                                                                                                 \
    EXPORT_KERNEL(loss_sums_##type, THREADS);                                                                         \
    KERNEL(THREADS, 1)                                                                                                \
    loss_gradient_##type(const T* logits, const uint8_t* targets, const float* slopes, T* gradient, int64_t count,    \
                         int64_t voxels, int maps) {                                                                  \
        const int64_t i = item();                                                                                     \
        if (i < count) store(gradient + i, slope(logits, targets, slopes, i, voxels, maps));                          \
    }                                                                                                                 \
    EXPORT_KERNEL(loss_gradient_##type, THREADS);
ENTRIES(float, f32)
ENTRIES(bf16, bf16)
