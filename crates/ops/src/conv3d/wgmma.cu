// The passes of `tensor.cu` in bf16 for Hopper (sm_90a): two groups of four warps, each 64 rows by all of a block's columns,
// multiply matrices that stay in shared memory. Both have k innermost there, so a weight whose results are neighbours is
// turned first. Blocks and steps are deeper than those of mma.sync: 64 values.
#include "gather.cuh"

constexpr int GROUP_ROWS = 64, BM = 2 * GROUP_ROWS, THREADS = 256, BK = 64, K_CHUNKS = BK / 8, ROW_BYTES = BK * 2;

template <int BN> struct Block {
    // Two blocks fit a multiprocessor's shared memory.
    static constexpr int STAGES = BN == 128 ? 3 : 4;
    static constexpr int LEFT_BYTES = BM * ROW_BYTES, STAGE_BYTES = LEFT_BYTES + BN * ROW_BYTES;
};

// Runs load(stage, step) STAGES - 2 steps ahead of work(stage), whose products are waited for one step later: the stage
// that is loaded next is one that all have left.
template <int STAGES, int N, typename L, typename W>
__device__ __forceinline__ void pipeline(int steps, float (&sums)[N][4], L load, W work) {
#pragma unroll
    for (int i = 0; i < STAGES - 2; i++) {
        if (i < steps) load(i);
        cp_async_commit();
    }
    wgmma_pin(sums);
    for (int step = 0; step < steps; step++) {
        cp_async_wait<STAGES - 3>();
        wgmma_publish();
        __syncthreads();
        if (step + STAGES - 2 < steps) load((step + STAGES - 2) % STAGES);
        cp_async_commit();
        wgmma_fence();
        work(step % STAGES);
        wgmma_commit();
        wgmma_wait<1>();
    }
    wgmma_wait<0>();
    wgmma_pin(sums);
    cp_async_wait<0>();
}

// Where the weight of a tap, an input and a result lies.
__device__ __forceinline__ int64_t weight_place(const Pass& p, const Tap& tap, int input, int result) {
    return static_cast<int64_t>(kernel_place(p, tap)) * p.weight_of_tap + input * p.weight_of_input +
           result * p.weight_of_result;
}

// BN results' channels a block; the weight's inputs are neighbours.
template <int BN>
__device__ __forceinline__ void convolve(const bf16* __restrict__ a, const bf16* __restrict__ b,
                                         const bf16* __restrict__ weight, const float* __restrict__ bias,
                                         bf16* __restrict__ y, const Pass& p) {
    using B = Block<BN>;
    constexpr int ROWS = BM * K_CHUNKS / THREADS, W_CHUNKS = BN * K_CHUNKS / THREADS;
    DYNAMIC_SHARED(shared);
    const int tid = threadIdx.x, sample = blockIdx.z, m0 = blockIdx.x * BM, n0 = blockIdx.y * BN;
    const int rows = p.grid[0] * p.grid[1] * p.grid[2], channels = p.a_channels + p.b_channels;
    const int taps = p.taps[0] * p.taps[1] * p.taps[2], steps = (taps * channels + BK - 1) / BK;
    const int64_t voxels = static_cast<int64_t>(p.input[0]) * p.input[1] * p.input[2];
    a += sample * voxels * p.a_channels, b += sample * voxels * p.b_channels;
    weight += static_cast<int64_t>(sample) * p.weight_of_sample;

    // This thread's column of chunks in both matrices, and its rows of the gathered one.
    Cursor cursor = {};
    cursor.advance(channels, tid % K_CHUNKS * 8, p.taps);
    Row gathered[ROWS];
#pragma unroll
    for (int i = 0; i < ROWS; i++) gathered[i] = gathered_row(p, m0 + (tid + i * THREADS) / K_CHUNKS, rows);

    auto load = [&](int stage) {
        unsigned char* left = shared + stage * B::STAGE_BYTES;
        unsigned char* right = left + B::LEFT_BYTES;
        gather<K_CHUNKS, THREADS>(left, gathered, cursor, a, b, p, taps);
#pragma unroll
        for (int i = 0; i < W_CHUNKS; i++) {
            const int row = (tid + i * THREADS) / K_CHUNKS, result = n0 + row;
            const bool valid = cursor.tap.index < taps && result < p.results;
            cp_async16(right + swizzled<K_CHUNKS>(row, tid % K_CHUNKS) * 16,
                       valid ? weight + weight_place(p, cursor.tap, cursor.channel, result) : weight, valid);
        }
        cursor.advance(channels, BK, p.taps);
    };
    float sums[BN / 8][4] = {};
    const int group = tid / 128;
    pipeline<B::STAGES>(steps, sums, load, [&](int stage) {
        const unsigned char* left = shared + stage * B::STAGE_BYTES;
        const uint64_t rows_of_group = wgmma_matrix(left + group * GROUP_ROWS * ROW_BYTES);
        const uint64_t columns = wgmma_matrix(left + B::LEFT_BYTES);
#pragma unroll
        for (int k = 0; k < BK / 16; k++) wgmma_m64k16_bf16(sums, rows_of_group + k * 2, columns + k * 2);
    });
    if (bias) bias += static_cast<int64_t>(sample) * p.bias_of_sample;
    const int lane = tid % 32, first = group * GROUP_ROWS + tid / 32 % 4 * 16 + lane / 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = m0 + first + half * 8;
        if (row >= rows) break;
        bf16* to = y + result_voxel(p, sample, row) * p.results;
#pragma unroll
        for (int n = 0; n < BN / 8; n++) {
            const int channel = n0 + n * 8 + lane % 4 * 2;
            if (channel >= p.results) break;
            const float left = bias ? bias[channel] : 0.0f, right = bias ? bias[channel + 1] : 0.0f;
            store_pair(to + channel, sums[n][half * 2] + left, sums[n][half * 2 + 1] + right);
        }
    }
}

#define CONVOLVE(BN)                                                                                                   \
    KERNEL(THREADS, 2)                                                                                                 \
    wgmma_convolve_##BN(const bf16* a, const bf16* b, const bf16* weight, const float* bias, bf16* y, const Pass p) {  \
        convolve<BN>(a, b, weight, bias, y, p);                                                                        \
    }                                                                                                                  \
    EXPORT_KERNEL(wgmma_convolve_##BN, THREADS);
CONVOLVE(64)
CONVOLVE(128)

// The weights of a pass's taps, [sample][tap][result][input]: tiles of 32 by 32, a warp a row.
constexpr int TILE = 32, TILE_ROWS = 8;
KERNEL(TILE * TILE_ROWS, 4) wgmma_turn_weight(const bf16* weight, bf16* turned, const Pass p) {
    __shared__ bf16 tile[TILE][TILE + 2];
    const int taps = p.taps[0] * p.taps[1] * p.taps[2], inputs = p.a_channels + p.b_channels;
    const int lane = threadIdx.x % TILE, line = threadIdx.x / TILE, tap = blockIdx.z % taps, sample = blockIdx.z / taps;
    const int input0 = blockIdx.x * TILE, result0 = blockIdx.y * TILE;
    const Place at = place(tap, p.taps);
    weight += static_cast<int64_t>(sample) * p.weight_of_sample;
    turned += static_cast<int64_t>(blockIdx.z) * p.results * inputs;
    for (int i = line; i < TILE; i += TILE_ROWS) {
        const int input = input0 + i, result = result0 + lane;
        if (input < inputs && result < p.results)
            tile[i][lane] = weight[weight_place(p, {at.z, at.y, at.x, tap}, input, result)];
    }
    __syncthreads();
    for (int i = line; i < TILE; i += TILE_ROWS) {
        const int input = input0 + lane, result = result0 + i;
        if (input < inputs && result < p.results)
            turned[static_cast<int64_t>(result) * inputs + input] = tile[lane][i];
    }
}
EXPORT_KERNEL(wgmma_turn_weight, TILE * TILE_ROWS);
