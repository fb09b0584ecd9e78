// Normalisation over space with its activation: moments, application, and the gradients.
#include "columns.cuh"

// Count, mean and sum of squared deviations.
struct Spread {
    float count, mean, squares;
};

// Two spreads as one (Chan, Golub and LeVeque).
__device__ __forceinline__ Spread join(Spread a, Spread b) {
    const float count = a.count + b.count;
    if (count == 0) return a;
    const float delta = b.mean - a.mean, share = b.count / count;
    return {count, a.mean + delta * share, a.squares + b.squares + delta * delta * a.count * share};
}

// The spread over the 32 lanes of a warp.
__device__ __forceinline__ Spread warp_join(Spread s) {
#pragma unroll
    for (int bit = 16; bit > 0; bit /= 2) {
        const Spread other = {__shfl_xor_sync(~0u, s.count, bit), __shfl_xor_sync(~0u, s.mean, bit),
                              __shfl_xor_sync(~0u, s.squares, bit)};
        // The lower lane's part stands first, so that both lanes get the same bits.
        s = threadIdx.x & bit ? join(other, s) : join(s, other);
    }
    return s;
}

// Means and sums of squared deviations of a span of rows: spreads[sample][part][channel], 2 numbers each.
template <typename T> __device__ void norm_spreads(const T* x, float* spreads, int rows, int channels, int span) {
    __shared__ Spread table[COLUMN_THREADS];
    const Columns c = columns(rows, channels, span);
    x += static_cast<int64_t>(blockIdx.z) * rows * channels;
    Spread s = {};
    if (c.active)
        for (int row = c.begin + c.lane; row < c.end; row += c.lanes) {
            const float value = load(x + static_cast<int64_t>(row) * channels + c.channel), delta = value - s.mean;
            s.count += 1;
            s.mean += delta / s.count;
            s.squares += delta * (value - s.mean);
        }
    table[threadIdx.x] = s;
    __syncthreads();
    if (c.lane != 0) return;
    const int width = min(COLUMN_THREADS, channels - static_cast<int>(blockIdx.y) * COLUMN_THREADS);
    for (int lane = 1; lane < c.lanes; lane++) s = join(s, table[lane * width + threadIdx.x]);
    float* to = spreads + ((static_cast<int64_t>(blockIdx.z) * gridDim.x + blockIdx.x) * channels + c.channel) * 2;
    to[0] = s.mean, to[1] = s.squares;
}

// Which (sample, channel) pairs share statistics: those of `width` channels, over one sample or over all.
struct Scope {
    int samples, rows, channels, width, whole_batch;
};

// Calls work(sample, channel) for the pairs of one statistic.
template <typename F> __device__ __forceinline__ void members(const Scope& s, int statistic, F work) {
    const int groups = s.channels / s.width, first = statistic % groups * s.width;
    const int sample = statistic / groups, end = s.whole_batch ? s.samples : sample + 1;
    for (int n = s.whole_batch ? 0 : sample; n < end; n++)
        for (int c = first; c < first + s.width; c++) work(n, c);
}

// Mean and 1 / sqrt(variance + eps) of each pair, a warp a statistic.
KERNEL(32, 1)
norm_moments(const float* spreads, float* mean, float* inverse, const Scope s, int parts, int span, float eps) {
    Spread total = {};
    members(s, blockIdx.x, [&](int n, int c) {
        Spread own = {};
        for (int part = threadIdx.x; part < parts; part += 32) {
            const float* from = spreads + ((static_cast<int64_t>(n) * parts + part) * s.channels + c) * 2;
            own = join(own, {static_cast<float>(min(span, s.rows - part * span)), from[0], from[1]});
        }
        total = join(total, warp_join(own));
    });
    const float deviation = 1.0f / sqrtf(total.squares / total.count + eps);
    if (threadIdx.x == 0)
        members(s, blockIdx.x, [&](int n, int c) {
            mean[n * s.channels + c] = total.mean, inverse[n * s.channels + c] = deviation;
        });
}

// y = act((x - mean) * inverse * gamma + beta), a thread a value.
template <typename T>
__device__ void norm_apply(const T* x, const float* mean, const float* inverse, const float* gamma, const float* beta,
                           T* y, int64_t count, int64_t of_sample, int channels, float slope) {
    const int64_t i = item();
    if (i >= count) return;
    const int channel = i % channels;
    const int64_t pair = i / of_sample * channels + channel;
    const float value = (load(x + i) - mean[pair]) * (inverse[pair] * gamma[channel]) + beta[channel];
    store(y + i, value > 0 ? value : slope * value);
}

// Sums over a span of rows of g and of g * (x - mean) * inverse, g the gradient before the activation:
// sums[sample][part][channel], 2 numbers each.
template <typename T>
__device__ void norm_sums(const T* x, const T* grad, const float* mean, const float* inverse, const float* gamma,
                          const float* beta, float* sums, int rows, int channels, int span, float slope) {
    __shared__ float2 table[COLUMN_THREADS];
    const Columns c = columns(rows, channels, span);
    const int64_t start = static_cast<int64_t>(blockIdx.z) * rows * channels;
    float2 s = make_float2(0, 0);
    if (c.active) {
        const int64_t pair = static_cast<int64_t>(blockIdx.z) * channels + c.channel;
        const float centre = mean[pair], scale = inverse[pair], gain = gamma[c.channel], shift = beta[c.channel];
        for (int row = c.begin + c.lane; row < c.end; row += c.lanes) {
            const int64_t at = start + static_cast<int64_t>(row) * channels + c.channel;
            const float normal = (load(x + at) - centre) * scale;
            const float g = load(grad + at) * (normal * gain + shift > 0 ? 1.0f : slope);
            s.x += g, s.y += g * normal;
        }
    }
    table[threadIdx.x] = s;
    __syncthreads();
    if (c.lane != 0) return;
    const int width = min(COLUMN_THREADS, channels - static_cast<int>(blockIdx.y) * COLUMN_THREADS);
    for (int lane = 1; lane < c.lanes; lane++) {
        const float2 other = table[lane * width + threadIdx.x];
        s.x += other.x, s.y += other.y;
    }
    float* to = sums + ((static_cast<int64_t>(blockIdx.z) * gridDim.x + blockIdx.x) * channels + c.channel) * 2;
    to[0] = s.x, to[1] = s.y;
}

// From the parts' sums: each pair's sums, and the scope's means of gamma * g and gamma * g * normal, a warp a statistic.
KERNEL(32, 1)
norm_means(const float* parts_sums, const float* gamma, float* sums, float* means, const Scope s, int parts) {
    float2 total = make_float2(0, 0);
    float pairs = 0;
    members(s, blockIdx.x, [&](int n, int c) {
        float2 own = make_float2(0, 0);
        for (int part = threadIdx.x; part < parts; part += 32) {
            const float* from = parts_sums + ((static_cast<int64_t>(n) * parts + part) * s.channels + c) * 2;
            own.x += from[0], own.y += from[1];
        }
        own.x = warp_sum(own.x), own.y = warp_sum(own.y);
        if (threadIdx.x == 0) sums[(n * s.channels + c) * 2] = own.x, sums[(n * s.channels + c) * 2 + 1] = own.y;
        total.x += gamma[c] * own.x, total.y += gamma[c] * own.y, pairs += 1;
    });
    const float count = pairs * s.rows;
    if (threadIdx.x == 0)
        members(s, blockIdx.x, [&](int n, int c) {
            means[(n * s.channels + c) * 2] = total.x / count, means[(n * s.channels + c) * 2 + 1] = total.y / count;
        });
}

// Gradients of gamma and beta: the pairs' sums over samples, a thread a channel.
KERNEL(256, 1) norm_parameters(const float* sums, float* dgamma, float* dbeta, int samples, int channels) {
    const int64_t c = item();
    if (c >= channels) return;
    float gamma = 0, beta = 0;
    for (int n = 0; n < samples; n++) beta += sums[(n * channels + c) * 2], gamma += sums[(n * channels + c) * 2 + 1];
    dgamma[c] = gamma, dbeta[c] = beta;
}

// dx = inverse * (gamma g - mean(gamma g) - normal * mean(gamma g normal)), a thread a value.
template <typename T>
__device__ void norm_backward(const T* x, const T* grad, const float* mean, const float* inverse, const float* gamma,
                              const float* beta, const float* means, T* dx, int64_t count, int64_t of_sample,
                              int channels, float slope) {
    const int64_t i = item();
    if (i >= count) return;
    const int channel = i % channels;
    const int64_t pair = i / of_sample * channels + channel;
    const float normal = (load(x + i) - mean[pair]) * inverse[pair];
    const float g = load(grad + i) * (normal * gamma[channel] + beta[channel] > 0 ? 1.0f : slope);
    store(dx + i, inverse[pair] * (gamma[channel] * g - means[pair * 2] - normal * means[pair * 2 + 1]));
}

EXPORT_KERNEL(norm_moments, 32);
EXPORT_KERNEL(norm_means, 32);
EXPORT_KERNEL(norm_parameters, 256);
#define ENTRIES(T, type)                                                                                               \
    KERNEL(COLUMN_THREADS, 2)                                                                                          \
    norm_spreads_##type(const T* x, float* spreads, int rows, int channels, int span) {                                \
        norm_spreads(x, spreads, rows, channels, span);                                                                \
    }                                                                                                                  \
    EXPORT_KERNEL(norm_spreads_##type, COLUMN_THREADS);                                                                \
    KERNEL(256, 2)                                                                                                     \
    norm_apply_##type(const T* x, const float* mean, const float* inverse, const float* gamma, const float* beta,      \
                      T* y, int64_t count, int64_t of_sample, int channels, float slope) {                             \
        norm_apply(x, mean, inverse, gamma, beta, y, count, of_sample, channels, slope);                               \
    }                                                                                                                  \
    EXPORT_KERNEL(norm_apply_##type, 256);                                                                             \
    KERNEL(COLUMN_THREADS, 2)                                                                                          \
    norm_sums_##type(const T* x, const T* grad, const float* mean, const float* inverse, const float* gamma,           \
                     const float* beta, float* sums, int rows, int channels, int span, float slope) {                  \
        norm_sums(x, grad, mean, inverse, gamma, beta, sums, rows, channels, span, slope);                             \
    }                                                                                                                  \
    EXPORT_KERNEL(norm_sums_##type, COLUMN_THREADS);                                                                   \
    KERNEL(256, 2)                                                                                                     \
    norm_backward_##type(const T* x, const T* grad, const float* mean, const float* inverse, const float* gamma,       \
                         const float* beta, const float* means, T* dx, int64_t count, int64_t of_sample, int channels, \
                         float slope) {                                                                                \
        norm_backward(x, grad, mean, inverse, gamma, beta, means, dx, count, of_sample, channels, slope);              \
    }                                                                                                                  \
    EXPORT_KERNEL(norm_backward_##type, 256);
ENTRIES(float, f32)
ENTRIES(bf16, bf16)
