// Sums that several operators need.
#include "columns.cuh"

// Sums over a span of rows, a channel: sums[part][channel].
template <typename T> __device__ void column_sums(const T* x, float* sums, int rows, int channels, int span) {
    __shared__ float table[COLUMN_THREADS];
    const Columns c = columns(rows, channels, span);
    float sum = 0;
    if (c.active)
        for (int row = c.begin + c.lane; row < c.end; row += c.lanes)
            sum += load(x + static_cast<int64_t>(row) * channels + c.channel);
    table[threadIdx.x] = sum;
    __syncthreads();
    if (c.lane != 0) return;
    const int width = min(COLUMN_THREADS, channels - static_cast<int>(blockIdx.y) * COLUMN_THREADS);
    for (int lane = 1; lane < c.lanes; lane++) sum += table[lane * width + threadIdx.x];
    sums[static_cast<int64_t>(blockIdx.x) * channels + c.channel] = sum;
}

// y[i] = sum over parts of partial[part][i], in their order.
template <typename T> __device__ void sum_parts(const float* partial, T* y, int64_t count, int parts) {
    const int64_t i = item();
    if (i >= count) return;
    float sum = 0;
    for (int part = 0; part < parts; part++) sum += partial[part * count + i];
    store(y + i, sum);
}

#define ENTRIES(T, type)                                                                                              \
    KERNEL(COLUMN_THREADS, 1)                                                                                         \
    column_sums_##type(const T* x, float* sums, int rows, int channels, int span) {                                   \
        column_sums(x, sums, rows, channels, span);                                                                   \
    }                                                                                                                 \
    EXPORT_KERNEL(column_sums_##type, COLUMN_THREADS);                                                                \
    KERNEL(256, 1) sum_parts_##type(const float* partial, T* y, int64_t count, int parts) {                           \
        sum_parts(partial, y, count, parts);                                                                          \
    }                                                                                                                 \
    EXPORT_KERNEL(sum_parts_##type, 256);                                                                             \
    KERNEL(256, 1) widen_##type(const T* x, float* y, int64_t count) {                                                \
        const int64_t i = item();                                                                                     \
        if (i < count) y[i] = load(x + i);                                                                            \
    }                                                                                                                 \
    EXPORT_KERNEL(widen_##type, 256);
ENTRIES(float, f32)
ENTRIES(bf16, bf16)
