// Convolutions by definition, any size, as products of matrices that are gathered on the way: a result is a sum of
// neighbouring inputs times taps. `tensor.cuh` has the same with tensor cores.
#include "convolution.cuh"

constexpr int THREADS = 256, DEPTH = 16;

// BM results by BN channels a block, TM by TN a thread.
template <typename T, int BM, int BN, int TM, int TN>
__device__ __forceinline__ void convolve(const T* a, const T* b, const T* weight, const float* bias, T* y, const Pass& p) {
    static_assert(BM / TM * (BN / TN) == THREADS);
    __shared__ float inputs[DEPTH][BM + 4], weights[DEPTH][BN + 4];
    const int tid = threadIdx.x, sample = blockIdx.z, m0 = blockIdx.x * BM, n0 = blockIdx.y * BN;
    const int reads = p.a_channels + p.b_channels, total = p.taps[0] * p.taps[1] * p.taps[2] * reads;
    const int rows = p.grid[0] * p.grid[1] * p.grid[2];
    weight += static_cast<int64_t>(sample) * p.weight_of_sample;
    if (bias) bias += static_cast<int64_t>(sample) * p.bias_of_sample;
    const int m = tid / (BN / TN) * TM, n = tid % (BN / TN) * TN;
    float sums[TM][TN] = {};
    for (int k0 = 0; k0 < total; k0 += DEPTH) {
        for (int i = tid; i < BM * DEPTH; i += THREADS) {
            const int row = m0 + i / DEPTH, k = k0 + i % DEPTH;
            float value = 0;
            if (row < rows && k < total) {
                const int tap = k / reads, channel = k % reads;
                const int64_t voxel = input_voxel(p, sample, row, tap);
                if (voxel >= 0)
                    value = channel < p.a_channels ? load(a + voxel * p.a_channels + channel)
                                                   : load(b + voxel * p.b_channels + channel - p.a_channels);
            }
            inputs[i % DEPTH][i / DEPTH] = value;
        }
        for (int i = tid; i < BN * DEPTH; i += THREADS) {
            const int k = k0 + i / BN, channel = n0 + i % BN;
            float value = 0;
            if (k < total && channel < p.results)
                value = load(weight + weight_tap(p, k / reads) + static_cast<int64_t>(k % reads) * p.weight_of_input +
                             static_cast<int64_t>(channel) * p.weight_of_result);
            weights[i / BN][i % BN] = value;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            float left[TM], right[TN];
#pragma unroll
            for (int i = 0; i < TM; i++) left[i] = inputs[k][m + i];
#pragma unroll
            for (int j = 0; j < TN; j++) right[j] = weights[k][n + j];
#pragma unroll
            for (int i = 0; i < TM; i++)
#pragma unroll
                for (int j = 0; j < TN; j++) sums[i][j] += left[i] * right[j];
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < TM; i++) {
        const int row = m0 + m + i;
        if (row >= rows) break;
        const int64_t voxel = result_voxel(p, sample, row);
#pragma unroll
        for (int j = 0; j < TN; j++) {
            const int channel = n0 + n + j;
            if (channel < p.results) store(y + voxel * p.results + channel, sums[i][j] + (bias ? bias[channel] : 0.0f));
        }
    }
}

// The weight's gradient over one part of the coarse voxels: partial[part][tap][fine][coarse], or with the channels the
// other way round. A block has 64 (tap, fine channel) pairs by 64 coarse channels.
template <typename T>
__device__ __forceinline__ void weight_gradient(const T* a, const T* b, const T* coarse, float* partial, const Gradient& g) {
    constexpr int BM = 64, BN = 64, TM = 4, TN = 4;
    __shared__ float fine_values[DEPTH][BM + 4], coarse_values[DEPTH][BN + 4];
    const int tid = threadIdx.x, m0 = blockIdx.x * BM, n0 = blockIdx.y * BN, part = blockIdx.z;
    const int fine_channels = g.a_channels + g.b_channels, pairs = g.taps() * fine_channels;
    const int m = tid / (BN / TN) * TM, n = tid % (BN / TN) * TN;
    const int64_t begin = static_cast<int64_t>(part) * g.span, voxels = g.voxels();
    const int64_t end = begin + g.span < voxels ? begin + g.span : voxels;
    float sums[TM][TN] = {};
    for (int64_t v0 = begin; v0 < end; v0 += DEPTH) {
        for (int i = tid; i < BM * DEPTH; i += THREADS) {
            const int pair = m0 + i % BM;
            const int64_t voxel = v0 + i / BM;
            float value = 0;
            if (pair < pairs && voxel < end) {
                const int channel = pair % fine_channels;
                const int64_t at = fine_voxel(g, voxel, pair / fine_channels);
                if (at >= 0)
                    value = channel < g.a_channels ? load(a + at * g.a_channels + channel)
                                                   : load(b + at * g.b_channels + channel - g.a_channels);
            }
            fine_values[i / BM][i % BM] = value;
        }
        for (int i = tid; i < BN * DEPTH; i += THREADS) {
            const int channel = n0 + i % BN;
            const int64_t voxel = v0 + i / BN;
            coarse_values[i / BN][i % BN] =
                channel < g.coarse_channels && voxel < end ? load(coarse + voxel * g.coarse_channels + channel) : 0.0f;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEPTH; k++)
#pragma unroll
            for (int i = 0; i < TM; i++)
#pragma unroll
                for (int j = 0; j < TN; j++) sums[i][j] += fine_values[k][m + i] * coarse_values[k][n + j];
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++) {
            const int pair = m0 + m + i, channel = n0 + n + j;
            if (pair < pairs && channel < g.coarse_channels) partial[gradient_place(g, part, pair, channel)] = sums[i][j];
        }
}

#define CONVOLVE(T, type, BM, BN, TM, TN)                                                                              \
    KERNEL(THREADS, 2)                                                                                                 \
    convolve_##BM##x##BN##_##type(const T* a, const T* b, const T* weight, const float* bias, T* y, const Pass p) {    \
        convolve<T, BM, BN, TM, TN>(a, b, weight, bias, y, p);                                                         \
    }                                                                                                                  \
    EXPORT_KERNEL(convolve_##BM##x##BN##_##type, THREADS);
#define ENTRIES(T, type)                                                                                               \
    CONVOLVE(T, type, 64, 64, 4, 4)                                                                                    \
    CONVOLVE(T, type, 128, 16, 4, 2)                                                                                   \
    KERNEL(THREADS, 2)                                                                                                 \
    weight_gradient_##type(const T* a, const T* b, const T* coarse, float* partial, const Gradient g) {                \
        weight_gradient(a, b, coarse, partial, g);                                                                     \
    }                                                                                                                  \
    EXPORT_KERNEL(weight_gradient_##type, THREADS);
ENTRIES(float, f32)
ENTRIES(bf16, bf16)

// A weight as cuDNN takes it, [result][tap][input]; `of_input` and `of_result` are its own steps.
KERNEL(256, 4)
filter_of_weight(const bf16* weight, bf16* filter, int count, int taps, int inputs, int of_input, int of_result) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= count) return;
    const int input = at % inputs, tap = at / inputs % taps, result = at / inputs / taps;
    filter[at] = weight[static_cast<int64_t>(tap) * (count / taps) + static_cast<int64_t>(input) * of_input +
                        static_cast<int64_t>(result) * of_result];
}
EXPORT_KERNEL(filter_of_weight, 256);
