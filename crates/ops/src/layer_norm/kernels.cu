// Layer norm over rows of channels, a warp a row.
#include "device.cuh"

constexpr int THREADS = 256, WARPS = THREADS / 32;

struct Moments {
    float mean, inverse;
};

template <typename T> __device__ __forceinline__ Moments moments(const T* x, int channels, float eps) {
    const int lane = threadIdx.x % 32;
    float sum = 0, squares = 0;
    for (int c = lane; c < channels; c += 32) sum += load(x + c);
    const float mean = warp_sum(sum) / channels;
    for (int c = lane; c < channels; c += 32) {
        const float centred = load(x + c) - mean;
        squares += centred * centred;
    }
    return {mean, 1.0f / sqrtf(warp_sum(squares) / channels + eps)};
}

template <typename T>
__device__ void forward(const T* x, const float* gamma, const float* beta, T* y, int rows, int channels, float eps) {
    const int row = blockIdx.x * WARPS + threadIdx.x / 32;
    if (row >= rows) return;
    x += static_cast<int64_t>(row) * channels, y += static_cast<int64_t>(row) * channels;
    const Moments m = moments(x, channels, eps);
    for (int c = threadIdx.x % 32; c < channels; c += 32)
        store(y + c, (load(x + c) - m.mean) * m.inverse * gamma[c] + beta[c]);
}

// dx, and the normalised x times the gradient, whose sums over rows are the gradient of gamma.
template <typename T>
__device__ void backward(const T* x, const float* gamma, const T* grad, T* dx, float* products, int rows, int channels,
                         float eps) {
    const int row = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    const int64_t start = static_cast<int64_t>(row) * channels;
    x += start, grad += start, dx += start, products += start;
    const Moments m = moments(x, channels, eps);
    float sum = 0, product = 0;
    for (int c = lane; c < channels; c += 32) {
        const float scaled = load(grad + c) * gamma[c], normal = (load(x + c) - m.mean) * m.inverse;
        sum += scaled, product += scaled * normal;
    }
    const float mean = warp_sum(sum) / channels, slope = warp_sum(product) / channels;
    for (int c = lane; c < channels; c += 32) {
        const float g = load(grad + c), normal = (load(x + c) - m.mean) * m.inverse;
        products[c] = g * normal;
        store(dx + c, m.inverse * (g * gamma[c] - mean - normal * slope));
    }
}

#define ENTRIES(T, type)                                                                                               \
    KERNEL(THREADS, 2)                                                                                                 \
    layer_norm_##type(const T* x, const float* gamma, const float* beta, T* y, int rows, int channels, float eps) {    \
        forward(x, gamma, beta, y, rows, channels, eps);                                                               \
    }                                                                                                                  \
    EXPORT_KERNEL(layer_norm_##type, THREADS);                                                                         \
    KERNEL(THREADS, 2)                                                                                                 \
    layer_norm_backward_##type(const T* x, const float* gamma, const T* grad, T* dx, float* products, int rows,        \
                               int channels, float eps) {                                                              \
        backward(x, gamma, grad, dx, products, rows, channels, eps);                                                   \
    }                                                                                                                  \
    EXPORT_KERNEL(layer_norm_backward_##type, THREADS);
ENTRIES(float, f32)
ENTRIES(bf16, bf16)
