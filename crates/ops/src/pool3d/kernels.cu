// Pooling with stride = kernel, channels innermost, and its gradients.
#include "device.cuh"

struct Windows {
    int input[3], output[3], kernel[3], channels;
};

// The first input voxel of an output voxel's window, counted over the whole batch.
__device__ __forceinline__ int64_t window(const Windows& w, int64_t voxel) {
    const int x = voxel % w.output[2], y = voxel / w.output[2] % w.output[1];
    const int64_t plane = voxel / (w.output[2] * w.output[1]), sample = plane / w.output[0];
    const int z = plane % w.output[0];
    return ((sample * w.input[0] + z * w.kernel[0]) * w.input[1] + y * w.kernel[1]) * w.input[2] + x * w.kernel[2];
}

// Calls work(place of a value) for each of the window, in [z, y, x] order.
template <typename F> __device__ __forceinline__ void each(const Windows& w, int64_t first, int channel, F work) {
    for (int z = 0; z < w.kernel[0]; z++)
        for (int y = 0; y < w.kernel[1]; y++)
            for (int x = 0; x < w.kernel[2]; x++)
                work((first + (static_cast<int64_t>(z) * w.input[1] + y) * w.input[2] + x) * w.channels + channel);
}

// As PyTorch: a NaN is the largest value, and the first of equals wins.
__device__ __forceinline__ bool wins(float value, float best) { return value > best || value != value; }

template <typename T> __device__ __forceinline__ int64_t largest(const T* x, const Windows& w, int64_t first, int channel) {
    float best = -INFINITY;
    int64_t place = first * w.channels + channel;
    each(w, first, channel, [&](int64_t at) {
        const float value = load(x + at);
        if (wins(value, best)) best = value, place = at;
    });
    return place;
}

template <typename T> __device__ void max_pool(const T* x, T* y, int64_t count, const Windows& w) {
    const int64_t i = item();
    if (i >= count) return;
    y[i] = x[largest(x, w, window(w, i / w.channels), i % w.channels)];
}

template <typename T> __device__ void mean_pool(const T* x, T* y, int64_t count, const Windows& w) {
    const int64_t i = item();
    if (i >= count) return;
    float sum = 0;
    each(w, window(w, i / w.channels), i % w.channels, [&](int64_t at) { sum += load(x + at); });
    store(y + i, sum / (w.kernel[0] * w.kernel[1] * w.kernel[2]));
}

// Windows do not overlap, so each value of dx, all zeros before, is written once at most.
template <typename T> __device__ void max_backward(const T* x, const T* grad, T* dx, int64_t count, const Windows& w) {
    const int64_t i = item();
    if (i >= count) return;
    dx[largest(x, w, window(w, i / w.channels), i % w.channels)] = grad[i];
}

template <typename T> __device__ void mean_backward(const T* grad, T* dx, int64_t count, const Windows& w) {
    const int64_t i = item();
    if (i >= count) return;
    const float share = load(grad + i) / (w.kernel[0] * w.kernel[1] * w.kernel[2]);
    each(w, window(w, i / w.channels), i % w.channels, [&](int64_t at) { store(dx + at, share); });
}

#define ENTRIES(T, type)                                                                                               \
    KERNEL(256, 1) max_pool_##type(const T* x, T* y, int64_t count, const Windows w) { max_pool(x, y, count, w); }     \
    EXPORT_KERNEL(max_pool_##type, 256);                                                                               \
    KERNEL(256, 1) mean_pool_##type(const T* x, T* y, int64_t count, const Windows w) { mean_pool(x, y, count, w); }   \
    EXPORT_KERNEL(mean_pool_##type, 256);                                                                              \
    KERNEL(256, 1) max_backward_##type(const T* x, const T* grad, T* dx, int64_t count, const Windows w) {             \
        max_backward(x, grad, dx, count, w);                                                                           \
    }                                                                                                                  \
    EXPORT_KERNEL(max_backward_##type, 256);                                                                           \
    KERNEL(256, 1) mean_backward_##type(const T* grad, T* dx, int64_t count, const Windows w) {                        \
        mean_backward(grad, dx, count, w);                                                                             \
    }                                                                                                                  \
    EXPORT_KERNEL(mean_backward_##type, 256);
ENTRIES(float, f32)
ENTRIES(bf16, bf16)
