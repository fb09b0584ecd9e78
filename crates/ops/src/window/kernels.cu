// Windows of a grid: cut out of it, and added to weighted sums over it.
#include "device.cuh"

// A window on a grid; the same struct stands in cuda.rs.
struct Window {
    int grid[3];
    int size[3];
    int first[3];     // its first voxel in the grid
    int mirrored[3];  // not 0: turned around along this axis
    int channels;
};

struct Voxel {
    int place[3];  // in the grid
    bool inside;
    int64_t turned_back;  // its number in the window that is not mirrored
};

// The grid's voxel that a window keeps at its voxel i.
__device__ __forceinline__ Voxel voxel_of(const Window& w, int64_t i) {
    const int x = i % w.size[2], y = i / w.size[2] % w.size[1], z = i / w.size[2] / w.size[1];
    const int at[3] = {z, y, x};
    Voxel v;
    v.inside = true;
    v.turned_back = 0;
#pragma unroll
    for (int axis = 0; axis < 3; axis++) {
        const int back = w.mirrored[axis] ? w.size[axis] - 1 - at[axis] : at[axis];
        const int place = w.first[axis] + back;
        v.turned_back = v.turned_back * w.size[axis] + back;
        v.place[axis] = place;
        v.inside = v.inside && static_cast<unsigned>(place) < static_cast<unsigned>(w.grid[axis]);
    }
    return v;
}

__device__ __forceinline__ int64_t row_of(const Window& w, const Voxel& v) {
    return (static_cast<int64_t>(v.place[0]) * w.grid[1] + v.place[1]) * w.grid[2] + v.place[2];
}

// As `Map` in mod.rs.
__device__ __forceinline__ float mapped(float x, int logistic) { return logistic ? 1.0f / (1.0f + expf(-x)) : x; }
// As `Rounding` in mod.rs.
__device__ __forceinline__ float rounded(float x, int half) { return half ? round_to_half(x) : x; }

// to[first_value + ..] = the window's values; bit c of `sided` marks a channel that depends on x alone.
KERNEL(256, 1)
cut_window(const float* image, float* to, Window w, int64_t count, int64_t first_value, int sided) {
    const int64_t i = item();
    if (i >= count) return;
    const int channel = i % w.channels;
    const Voxel v = voxel_of(w, i / w.channels);
    float value = 0;
    if (sided >> channel & 1) {
        const int x = min(max(v.place[2], 0), w.grid[2] - 1);
        value = image[static_cast<int64_t>(x) * w.channels + channel];
        if (w.mirrored[2]) value = -value;
    } else if (v.inside) {
        value = image[row_of(w, v) * w.channels + channel];
    }
    to[first_value + i] = value;
}
EXPORT_KERNEL(cut_window, 256);

// Products are rounded before they are added, as on the CPU.
template <typename T>
__device__ void add_window(const T* answer, const float* weights, float* values, float* total, const Window& w,
                           int64_t count, int64_t first_value, int logistic, int half) {
    const int64_t i = item();
    if (i >= count) return;
    const int channel = i % w.channels;
    const Voxel v = voxel_of(w, i / w.channels);
    if (!v.inside) return;
    const int64_t row = row_of(w, v);
    const float weight = weights[v.turned_back];
    const float product = __fmul_rn(weight, mapped(load(answer + first_value + i), logistic));
    float* sum = values + row * w.channels + channel;
    *sum = rounded(__fadd_rn(*sum, product), half);
    if (channel == 0) total[row] = rounded(__fadd_rn(total[row], weight), half);
}

// Divides sums by their weights.
KERNEL(256, 1)
finish_windows(float* values, const float* total, int64_t count, int channels, int logistic, int half) {
    const int64_t i = item();
    if (i >= count) return;
    const float weight = total[i / channels];
    values[i] = weight == 0 ? 0.0f : mapped(rounded(__fdiv_rn(values[i], weight), half), logistic);
}
EXPORT_KERNEL(finish_windows, 256);

#define ENTRIES(T, type)                                                                                               \
    KERNEL(256, 1)                                                                                                     \
    add_window_##type(const T* answer, const float* weights, float* values, float* total, Window w, int64_t count,    \
                      int64_t first_value, int logistic, int half) {                                                   \
        add_window(answer, weights, values, total, w, count, first_value, logistic, half);                             \
    }                                                                                                                  \
    EXPORT_KERNEL(add_window_##type, 256);
ENTRIES(float, f32)
ENTRIES(bf16, bf16)
