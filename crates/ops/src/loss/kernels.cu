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
    const int thread = static_cast<int>(threadIdx.x), used = THREADS / maps * maps;
    const int64_t first_voxel = static_cast<int64_t>(blockIdx.x) * SPAN;
    const int64_t left = min(static_cast<int64_t>(SPAN), voxels - first_voxel);
    const int64_t start = (static_cast<int64_t>(blockIdx.y) * voxels + first_voxel) * maps;
    float sums[NUMBERS] = {};
    if (thread < used) {
        for (int64_t i = thread; i < left * maps; i += used) {
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
    for (int number = 0; number < NUMBERS; number++) shared[number][thread] = sums[number];
    __syncthreads();
    for (int i = thread; i < maps * NUMBERS; i += THREADS) {
        const int map = i / NUMBERS, number = i % NUMBERS;
        float total = 0;
        for (int from = map; from < used; from += maps) total += shared[number][from];
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

constexpr int CODES = 64;

// The byte of every voxel and map in the table [samples, maps, CODES] of its sample; on a centreline where the code says so.
KERNEL(THREADS, 1)
loss_look_up(const uint8_t* codes, const uint8_t* tables, uint8_t* targets, int64_t voxels, int maps, int line,
             int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    const int64_t voxel = i / maps;
    const int code = codes[voxel];
    const int byte = tables[(voxel / voxels * maps + i % maps) * CODES + code % CODES];
    targets[i] = static_cast<uint8_t>(byte == FULL && (code & line) ? ON_LINE : byte);
}
EXPORT_KERNEL(loss_look_up, THREADS);

struct Halves {
    int size[3];
    int half[3];
    int maps;
};

// Targets at half the resolution: the rounded mean of the known ones of each 2 x 2 x 2 block, if they are half of it.
KERNEL(THREADS, 1) loss_halve(const uint8_t* targets, uint8_t* halved, Halves h, int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    int64_t rest = i / h.maps;
    const int x = static_cast<int>(rest % h.half[2]) * 2;
    rest /= h.half[2];
    const int y = static_cast<int>(rest % h.half[1]) * 2;
    rest /= h.half[1];
    const int z = static_cast<int>(rest % h.half[0]) * 2;
    const int64_t sample = rest / h.half[0];
    int voxels = 0, known = 0, sum = 0;
    for (int at = 0; at < 8; at++) {
        const int az = z + (at >> 2), ay = y + (at >> 1 & 1), ax = x + (at & 1);
        if (az >= h.size[0] || ay >= h.size[1] || ax >= h.size[2]) continue;
        voxels++;
        const int64_t voxel = ((sample * h.size[0] + az) * h.size[1] + ay) * h.size[2] + ax;
        const int target = targets[voxel * h.maps + i % h.maps];
        if (target == IGNORED) continue;
        known++;
        sum += min(target, FULL);
    }
    const bool some = known > 0 && known * 2 >= voxels;
    halved[i] = static_cast<uint8_t>(some ? min((sum + known / 2) / known, FULL) : IGNORED);
}
EXPORT_KERNEL(loss_halve, THREADS);

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
