// Updates of parameters in place, as cpu.rs does them.
#include "device.cuh"

// Neighbouring values whose squares one block sums.
constexpr int SPAN = 4096;
constexpr int THREADS = 256;

#define ENTRIES(T, type)                                                                                              \
    KERNEL(THREADS, 1)                                                                                                \
    adamw_##type(float* weights, const T* gradient, float* first, float* second, int64_t count, float clip,           \
                 float keep, float beta1, float beta2, float step_size, float second_root, float epsilon) {           \
        const int64_t i = item();                                                                                     \
        if (i >= count) return;                                                                                       \
        const float g = load(gradient + i) * clip;                                                                    \
        const float m = beta1 * first[i] + (1 - beta1) * g;                                                           \
        const float v = beta2 * second[i] + (1 - beta2) * g * g;                                                      \
        first[i] = m;                                                                                                 \
        second[i] = v;                                                                                                \
        weights[i] = weights[i] * keep - step_size * m / (sqrtf(v) / second_root + epsilon);                          \
    }                                                                                                                 \
    EXPORT_KERNEL(adamw_##type, THREADS);                                                                             \
    KERNEL(THREADS, 1)                                                                                                \
    sgd_##type(float* weights, const T* gradient, float* first, int64_t count, float clip, float rate,                \
               float momentum, float decay) {                                                                         \
        const int64_t i = item();                                                                                     \
        if (i >= count) return;                                                                                       \
        const float g = load(gradient + i) * clip + decay * weights[i];                                               \
        const float m = momentum * first[i] + g;                                                                      \
        first[i] = m;                                                                                                 \
        weights[i] -= rate * (g + momentum * m);                                                                      \
    }                                                                                                                 \
    EXPORT_KERNEL(sgd_##type, THREADS);                                                                               \
    /* The sum of the squares of SPAN values a block, at `parts[first_part + block]`. */                              \
    KERNEL(THREADS, 1) squares_##type(const T* values, float* parts, int64_t count, int64_t first_part) {             \
        __shared__ float warps[THREADS / 32];                                                                         \
        const int64_t start = static_cast<int64_t>(blockIdx.x) * SPAN + threadIdx.x;                                  \
        float sum = 0;                                                                                                \
        for (int64_t i = start; i < count && i < start - threadIdx.x + SPAN; i += THREADS) {                          \
            const float value = load(values + i);                                                                     \
            sum += value * value;                                                                                     \
        }                                                                                                             \
        sum = warp_sum(sum);                                                                                          \
        if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;                                                     \
        __syncthreads();                                                                                              \
        if (threadIdx.x > 0) return;                                                                                  \
        float total = 0;                                                                                              \
        for (int warp = 0; warp < THREADS / 32; warp++) total += warps[warp];                                         \
        parts[first_part + blockIdx.x] = total;                                                                       \
    }                                                                                                                 \
    EXPORT_KERNEL(squares_##type, THREADS);
ENTRIES(float, f32)
ENTRIES(bf16, bf16)

KERNEL(THREADS, 1) follow(float* means, const float* weights, int64_t count, float share) {
    const int64_t i = item();
    if (i < count) means[i] += share * (weights[i] - means[i]);
}
EXPORT_KERNEL(follow, THREADS);
