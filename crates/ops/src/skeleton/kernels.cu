// Soft skeletons of maps that lie side by side, [samples, z, y, x, channels]; a thread a value. See mod.rs and soft.rs,
// whose order of neighbours and of sums this keeps.
#include "device.cuh"

constexpr int THREADS = 256;
// Voxels that one block sums.
constexpr int SPAN = 4096;
constexpr int NUMBERS = 2;
constexpr int ROUNDS = 6;
constexpr int FULL = 128, IGNORED = 255;

struct Maps {
    int size[3];
    int channels;
};

// Where a value lies in its map.
struct Place {
    int at[3];
    int64_t stride[3];
};
__device__ __forceinline__ Place place(const Maps& m, int64_t i) {
    Place p;
    int64_t voxel = i / m.channels;
    p.stride[2] = m.channels;
    p.stride[1] = p.stride[2] * m.size[2];
    p.stride[0] = p.stride[1] * m.size[1];
#pragma unroll
    for (int axis = 2; axis >= 0; axis--) {
        p.at[axis] = static_cast<int>(voxel % m.size[axis]);
        voxel /= m.size[axis];
    }
    return p;
}
__device__ __forceinline__ bool has(const Maps& m, const Place& p, int axis, int step) {
    return static_cast<unsigned>(p.at[axis] + step) < static_cast<unsigned>(m.size[axis]);
}
__device__ __forceinline__ float probability(float z) {
    const float small = expf(-fabsf(z));
    return (z >= 0 ? 1.0f : small) / (1.0f + small);
}
__device__ __forceinline__ float share(int target) { return static_cast<float>(min(target, FULL)) / FULL; }

// The least of a voxel and its six neighbours, and which it was: 0 itself, then before and behind along z, y, x.
KERNEL(THREADS, 1) skeleton_erode(const float* map, float* eroded, uint8_t* from, Maps m, int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    const Place p = place(m, i);
    float least = map[i];
    int taken = 0;
#pragma unroll
    for (int axis = 0; axis < 3; axis++)
#pragma unroll
        for (int side = 0; side < 2; side++) {
            const int step = 2 * side - 1;
            if (!has(m, p, axis, step)) continue;
            const float other = map[i + step * p.stride[axis]];
            if (other < least) {
                least = other;
                taken = 1 + 2 * axis + side;
            }
        }
    eroded[i] = least;
    from[i] = static_cast<uint8_t>(taken);
}
EXPORT_KERNEL(skeleton_erode, THREADS);

// Steps along an axis in the order in which equal values win: none, before, behind.
__device__ __forceinline__ int step_of(int number) { return number == 0 ? 0 : 2 * number - 3; }
__device__ __forceinline__ int number_of(int step) { return step == 0 ? 0 : (step + 3) / 2; }

// The largest of the eroded map's 27, and which it was; what is lost by it; what of the map is left.
KERNEL(THREADS, 1) skeleton_open(const float* map, const float* eroded, uint8_t* from, float* delta, float* left,
                                 int first, Maps m, int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    const Place p = place(m, i);
    float most = eroded[i];
    int taken = 0;
    for (int x = 0; x < 3; x++) {
        if (!has(m, p, 2, step_of(x))) continue;
        for (int y = 0; y < 3; y++) {
            if (!has(m, p, 1, step_of(y))) continue;
            for (int z = 0; z < 3; z++) {
                if (!has(m, p, 0, step_of(z))) continue;
                const int64_t at =
                    i + step_of(z) * p.stride[0] + step_of(y) * p.stride[1] + step_of(x) * p.stride[2];
                if (eroded[at] > most) {
                    most = eroded[at];
                    taken = (x * 3 + y) * 3 + z;
                }
            }
        }
    }
    from[i] = static_cast<uint8_t>(taken);
    const float lost = fmaxf(map[i] - most, 0.0f);
    delta[i] = lost;
    left[i] = (first ? 1.0f : left[i]) * (1.0f - lost);
}
EXPORT_KERNEL(skeleton_open, THREADS);

// `parts` [samples, blocks, channels, NUMBERS]: sums of S and S y; as the sums of the losses.
KERNEL(THREADS, 1) skeleton_sums(const float* left, const uint8_t* targets, float* parts, int64_t voxels, int maps) {
    __shared__ float shared[NUMBERS][THREADS];
    const int thread = static_cast<int>(threadIdx.x), used = THREADS / maps * maps;
    const int64_t first_voxel = static_cast<int64_t>(blockIdx.x) * SPAN;
    const int64_t count = min(static_cast<int64_t>(SPAN), voxels - first_voxel) * maps;
    const int64_t start = (static_cast<int64_t>(blockIdx.y) * voxels + first_voxel) * maps;
    float skeleton = 0, right = 0;
    if (thread < used) {
        for (int64_t i = thread; i < count; i += used) {
            const int target = targets[start + i];
            if (target == IGNORED) continue;
            const float value = 1.0f - left[start + i];
            skeleton += value;
            right += value * share(target);
        }
    }
    shared[0][thread] = skeleton;
    shared[1][thread] = right;
    __syncthreads();
    for (int i = thread; i < maps * NUMBERS; i += THREADS) {
        const int map = i / NUMBERS, number = i % NUMBERS;
        float total = 0;
        for (int from = map; from < used; from += maps) total += shared[number][from];
        parts[(static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * maps * NUMBERS + i] = total;
    }
}
EXPORT_KERNEL(skeleton_sums, THREADS);

// The gradient by delta of a round, from that by the skeleton, which `slopes` [samples, channels, 2] give.
KERNEL(THREADS, 1) skeleton_by_delta(const float* slopes, const uint8_t* targets, const float* deltas, float* by_delta,
                                     int round, int64_t voxels, int maps, int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    const int target = targets[i];
    const float* own = slopes + (i / (voxels * maps) * maps + i % maps) * 2;
    float slope = target == IGNORED ? 0.0f : own[0] + own[1] * share(target);
    for (int other = ROUNDS - 1; other > round; other--) slope *= 1.0f - deltas[other * count + i];
    float left = 1;
    for (int other = 0; other < round; other++) left *= 1.0f - deltas[other * count + i];
    by_delta[i] = deltas[round * count + i] > 0 ? slope * left : 0.0f;
}
EXPORT_KERNEL(skeleton_by_delta, THREADS);

// The gradient by the eroded map: that of the next round, less what went into dilated values that were taken from here.
KERNEL(THREADS, 1) skeleton_by_eroded(const float* by_delta, const uint8_t* from, float* by_eroded, Maps m,
                                      int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    const Place p = place(m, i);
    float sum = by_eroded[i];
    for (int z = -1; z <= 1; z++) {
        if (!has(m, p, 0, z)) continue;
        for (int y = -1; y <= 1; y++) {
            if (!has(m, p, 1, y)) continue;
            for (int x = -1; x <= 1; x++) {
                if (!has(m, p, 2, x)) continue;
                const int64_t at = i + z * p.stride[0] + y * p.stride[1] + x * p.stride[2];
                if (from[at] == (number_of(-x) * 3 + number_of(-y)) * 3 + number_of(-z)) sum -= by_delta[at];
            }
        }
    }
    by_eroded[i] = sum;
}
EXPORT_KERNEL(skeleton_by_eroded, THREADS);

// The gradient by the map: its own, and that of eroded values that were taken from here.
KERNEL(THREADS, 1) skeleton_by_map(const float* by_delta, const float* by_eroded, const uint8_t* from, float* by_map,
                                   Maps m, int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    const Place p = place(m, i);
    float sum = by_delta[i];
    for (int axis = 0; axis < 3; axis++)
        if (has(m, p, axis, -1) && from[i - p.stride[axis]] == 2 + 2 * axis) sum += by_eroded[i - p.stride[axis]];
    if (from[i] == 0) sum += by_eroded[i];
    for (int axis = 2; axis >= 0; axis--)
        if (has(m, p, axis, 1) && from[i + p.stride[axis]] == 1 + 2 * axis) sum += by_eroded[i + p.stride[axis]];
    by_map[i] = sum;
}
EXPORT_KERNEL(skeleton_by_map, THREADS);

#define ENTRIES(T, type)                                                                                              \
    KERNEL(THREADS, 1) skeleton_start_##type(const T* logits, float* map, int64_t count) {                            \
        const int64_t i = item();                                                                                     \
        if (i < count) map[i] = probability(load(logits + i));                                                        \
    }                                                                                                                 \
    EXPORT_KERNEL(skeleton_start_##type, THREADS);                                                                    \
    KERNEL(THREADS, 1)                                                                                                \
    skeleton_gradient_##type(const float* by_map, const float* map, const uint8_t* targets, T* gradient,              \
                             int64_t count) {                                                                         \
        const int64_t i = item();                                                                                     \
        if (i >= count) return;                                                                                       \
        const float p = map[i];                                                                                       \
        store(gradient + i, targets[i] == IGNORED ? 0.0f : by_map[i] * p * (1.0f - p));                               \
    }                                                                                                                 \
    EXPORT_KERNEL(skeleton_gradient_##type, THREADS);
ENTRIES(float, f32)
ENTRIES(bf16, bf16)
