// Attention of several heads: a warp a query, or a key, of one head; scores are never stored.
#include "device.cuh"

constexpr int THREADS = 128, WARPS = THREADS / 32;
// Channels of one head at most, by lanes.
constexpr int MAX_WIDTH = 256, SLOTS = MAX_WIDTH / 32;

// As `Extent` and `AttentionMask` in mod.rs; `first` names the first key of each query, `seen` marks keys.
struct Shape {
    int samples, heads, queries, keys, width, causal;
    float scale;
};

// Token t of a head lies at ((sample * tokens + t) * heads + head) * width.
__device__ __forceinline__ int64_t row(const Shape& s, int unit, int tokens, int token) {
    return ((static_cast<int64_t>(unit / s.heads) * tokens + token) * s.heads + unit % s.heads) * s.width;
}

__device__ __forceinline__ bool is_seen(const Shape& s, const int* first, const int* seen, int unit, int query, int key) {
    if (s.causal && key > query) return false;
    if (first && key < first[query]) return false;
    return !seen || seen[unit / s.heads * s.keys + key];
}

template <typename T> __device__ __forceinline__ float dot(const float* a, const T* b, int width) {
    float sum = 0;
    for (int c = 0; c < width; c++) sum += a[c] * load(b + c);
    return sum;
}

// out and, where wanted, the logarithm of each query's sum of exponentials, [units][queries].
template <typename T>
__device__ void forward(const T* q, const T* k, const T* v, const int* first, const int* seen, T* out, float* log_sums,
                        const Shape& s) {
    __shared__ float queries[WARPS][MAX_WIDTH];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, unit = blockIdx.y, query = blockIdx.x * WARPS + warp;
    if (query >= s.queries) return;
    const int64_t own = row(s, unit, s.queries, query);
    for (int c = lane; c < s.width; c += 32) queries[warp][c] = load(q + own + c);
    __syncwarp();
    float highest = -INFINITY, sum = 0, result[SLOTS] = {};
    for (int start = 0; start < s.keys; start += 32) {
        const int key = start + lane;
        const bool visible = key < s.keys && is_seen(s, first, seen, unit, query, key);
        const float score = visible ? s.scale * dot(queries[warp], k + row(s, unit, s.keys, key), s.width) : -INFINITY;
        const float top = fmaxf(highest, warp_max(score));
        if (top == -INFINITY) continue;
        const float weight = visible ? expf(score - top) : 0.0f, faded = expf(highest - top);
        sum = sum * faded + warp_sum(weight);
#pragma unroll
        for (int slot = 0; slot < SLOTS; slot++) result[slot] *= faded;
        const int count = min(32, s.keys - start);
        for (int j = 0; j < count; j++) {
            const float share = __shfl_sync(~0u, weight, j);
            const int64_t value = row(s, unit, s.keys, start + j);
#pragma unroll
            for (int slot = 0; slot < SLOTS; slot++)
                if (slot * 32 + lane < s.width) result[slot] += share * load(v + value + slot * 32 + lane);
        }
        highest = top;
    }
    // A query that sees nothing gets zeros.
    const float inverse = sum > 0 ? 1 / sum : 0;
#pragma unroll
    for (int slot = 0; slot < SLOTS; slot++)
        if (slot * 32 + lane < s.width) store(out + own + slot * 32 + lane, result[slot] * inverse);
    if (log_sums && lane == 0) log_sums[unit * s.queries + query] = sum > 0 ? highest + logf(sum) : INFINITY;
}

// What the backward pass needs of a query and key: the weight, and the gradient of the unscaled score.
struct Slope {
    float weight, slope;
};

__device__ __forceinline__ Slope slope(float score, float log_sum, float against_value, float mean, float scale) {
    const float weight = expf(score - log_sum);
    return {weight, weight * (against_value - mean) * scale};
}

// dq, and each query's mean of gradients, out . grad, [units][queries].
template <typename T>
__device__ void query_gradient(const T* q, const T* k, const T* v, const T* out, const T* grad, const float* log_sums,
                               const int* first, const int* seen, T* dq, float* means, const Shape& s) {
    __shared__ float queries[WARPS][MAX_WIDTH], grads[WARPS][MAX_WIDTH];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, unit = blockIdx.y, query = blockIdx.x * WARPS + warp;
    if (query >= s.queries) return;
    const int64_t own = row(s, unit, s.queries, query);
    float mean = 0, result[SLOTS] = {};
    for (int c = lane; c < s.width; c += 32) {
        queries[warp][c] = load(q + own + c), grads[warp][c] = load(grad + own + c);
        mean += grads[warp][c] * load(out + own + c);
    }
    mean = warp_sum(mean);
    __syncwarp();
    const float log_sum = log_sums[unit * s.queries + query];
    for (int start = 0; start < s.keys; start += 32) {
        const int key = start + lane;
        float steepness = 0;
        if (key < s.keys && is_seen(s, first, seen, unit, query, key)) {
            const int64_t at = row(s, unit, s.keys, key);
            const float score = s.scale * dot(queries[warp], k + at, s.width);
            steepness = slope(score, log_sum, dot(grads[warp], v + at, s.width), mean, s.scale).slope;
        }
        const int count = min(32, s.keys - start);
        for (int j = 0; j < count; j++) {
            const float share = __shfl_sync(~0u, steepness, j);
            const int64_t at = row(s, unit, s.keys, start + j);
#pragma unroll
            for (int slot = 0; slot < SLOTS; slot++)
                if (slot * 32 + lane < s.width) result[slot] += share * load(k + at + slot * 32 + lane);
        }
    }
#pragma unroll
    for (int slot = 0; slot < SLOTS; slot++)
        if (slot * 32 + lane < s.width) store(dq + own + slot * 32 + lane, result[slot]);
    if (lane == 0) means[unit * s.queries + query] = mean;
}

// dk and dv over the queries of one part, [part][sample][key][head][channel], f32.
template <typename T>
__device__ void key_gradients(const T* q, const T* k, const T* v, const T* grad, const float* log_sums,
                              const float* means, const int* first, const int* seen, float* dk, float* dv,
                              int part_queries, const Shape& s) {
    __shared__ float keys[WARPS][MAX_WIDTH], values[WARPS][MAX_WIDTH];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, unit = blockIdx.y, key = blockIdx.x * WARPS + warp;
    if (key >= s.keys) return;
    const int64_t own = row(s, unit, s.keys, key);
    for (int c = lane; c < s.width; c += 32) keys[warp][c] = load(k + own + c), values[warp][c] = load(v + own + c);
    __syncwarp();
    float of_key[SLOTS] = {}, of_value[SLOTS] = {};
    const int begin = blockIdx.z * part_queries, end = min(begin + part_queries, s.queries);
    for (int start = begin; start < end; start += 32) {
        const int query = start + lane;
        Slope mine = {0, 0};
        if (query < end && is_seen(s, first, seen, unit, query, key)) {
            const int64_t at = row(s, unit, s.queries, query);
            const int place = unit * s.queries + query;
            const float score = s.scale * dot(keys[warp], q + at, s.width);
            mine = slope(score, log_sums[place], dot(values[warp], grad + at, s.width), means[place], s.scale);
        }
        const int count = min(32, end - start);
        for (int j = 0; j < count; j++) {
            const float weight = __shfl_sync(~0u, mine.weight, j), steepness = __shfl_sync(~0u, mine.slope, j);
            const int64_t at = row(s, unit, s.queries, start + j);
#pragma unroll
            for (int slot = 0; slot < SLOTS; slot++)
                if (slot * 32 + lane < s.width) {
                    of_key[slot] += steepness * load(q + at + slot * 32 + lane);
                    of_value[slot] += weight * load(grad + at + slot * 32 + lane);
                }
        }
    }
    const int64_t part = static_cast<int64_t>(blockIdx.z) * s.samples * s.keys * s.heads * s.width;
#pragma unroll
    for (int slot = 0; slot < SLOTS; slot++)
        if (slot * 32 + lane < s.width) {
            dk[part + own + slot * 32 + lane] = of_key[slot];
            dv[part + own + slot * 32 + lane] = of_value[slot];
        }
}

#define ENTRIES(T, type)                                                                                               \
    KERNEL(THREADS, 2)                                                                                                 \
    attention_##type(const T* q, const T* k, const T* v, const int* first, const int* seen, T* out, float* log_sums,   \
                     const Shape s) {                                                                                  \
        forward(q, k, v, first, seen, out, log_sums, s);                                                               \
    }                                                                                                                  \
    EXPORT_KERNEL(attention_##type, THREADS);                                                                          \
    KERNEL(THREADS, 2)                                                                                                 \
    attention_queries_##type(const T* q, const T* k, const T* v, const T* out, const T* grad, const float* log_sums,   \
                             const int* first, const int* seen, T* dq, float* means, const Shape s) {                  \
        query_gradient(q, k, v, out, grad, log_sums, first, seen, dq, means, s);                                       \
    }                                                                                                                  \
    EXPORT_KERNEL(attention_queries_##type, THREADS);                                                                  \
    KERNEL(THREADS, 2)                                                                                                 \
    attention_keys_##type(const T* q, const T* k, const T* v, const T* grad, const float* log_sums,                    \
                          const float* means, const int* first, const int* seen, float* dk, float* dv,                 \
                          int part_queries, const Shape s) {                                                           \
        key_gradients(q, k, v, grad, log_sums, means, first, seen, dk, dv, part_queries, s);                           \
    }                                                                                                                  \
    EXPORT_KERNEL(attention_keys_##type, THREADS);
ENTRIES(float, f32)
ENTRIES(bf16, bf16)
