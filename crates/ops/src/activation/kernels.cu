// Elementwise operators: activations, their gradients, and the residual sum with its activation.
#include "device.cuh"

// Neighbouring values that one thread takes.
constexpr int VALUES = 8;

// As `Kind` in mod.rs.
enum Kind { PIECEWISE, GELU, QUICK_GELU, SIGMOID };

__device__ __forceinline__ float logistic(float x) { return 1.0f / (1.0f + expf(-x)); }

// The normal distribution function.
__device__ __forceinline__ float normal(float x) { return 0.5f * erfcf(-x * 0.70710678f); }

__device__ __forceinline__ float activated(float x, int kind, float slope) {
    switch (kind) {
        case GELU: return x * normal(x);
        case QUICK_GELU: return x * logistic(1.702f * x);
        case SIGMOID: return logistic(x);
        default: return x > 0 ? x : slope * x;
    }
}

// The derivative at x.
__device__ __forceinline__ float steepness(float x, int kind, float slope) {
    switch (kind) {
        case GELU: return normal(x) + x * 0.39894228f * expf(-0.5f * x * x);
        case QUICK_GELU: {
            const float s = logistic(1.702f * x);
            return s + 1.702f * x * s * (1 - s);
        }
        case SIGMOID: {
            const float s = logistic(x);
            return s * (1 - s);
        }
        default: return x > 0 ? 1 : slope;
    }
}

// Threads of a warp take neighbouring values at a time.
template <typename F> __device__ __forceinline__ void each(int64_t count, F work) {
    const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x * VALUES + threadIdx.x;
#pragma unroll
    for (int i = 0; i < VALUES; i++) {
        const int64_t at = first + static_cast<int64_t>(i) * blockDim.x;
        if (at < count) work(at);
    }
}

#define ENTRIES(T, type)                                                                                              \
    KERNEL(256, 1) activate_##type(const T* x, T* y, int64_t count, int kind, float slope) {                          \
        each(count, [=](int64_t i) { store(y + i, activated(load(x + i), kind, slope)); });                           \
    }                                                                                                                 \
    EXPORT_KERNEL(activate_##type, 256);                                                                              \
    KERNEL(256, 1)                                                                                                    \
    activate_backward_##type(const T* x, const T* grad, T* dx, int64_t count, int kind, float slope) {                \
        each(count, [=](int64_t i) { store(dx + i, load(grad + i) * steepness(load(x + i), kind, slope)); });         \
    }                                                                                                                 \
    EXPORT_KERNEL(activate_backward_##type, 256);                                                                     \
    KERNEL(256, 1) add_activate_##type(const T* x, const T* skip, T* y, int64_t count, float slope) {                 \
        each(count, [=](int64_t i) { store(y + i, activated(load(x + i) + load(skip + i), PIECEWISE, slope)); });     \
    }                                                                                                                 \
    EXPORT_KERNEL(add_activate_##type, 256);
ENTRIES(float, f32)
ENTRIES(bf16, bf16)
