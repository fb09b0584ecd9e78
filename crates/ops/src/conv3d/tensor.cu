// The passes of `kernels.cu` with tensor cores and sums in f32, of bf16 values or of f32 values rounded to TF32: products
// of matrices whose rows are gathered 16 bytes at a time into shared memory, a few steps ahead.
#include "gather.cuh"

// Four warps along the rows, each 32 of the block's 128, and WARPS_N along its BN columns. A step is four chunks deep.
constexpr int BM = 128, WARPS_M = 4, STAGES = 4, K_CHUNKS = 4;

// Values of a chunk of 16 bytes, and of a step.
template <typename T> constexpr int CHUNK = 16 / sizeof(T);
template <typename T> constexpr int BK = K_CHUNKS * CHUNK<T>;

// Blocks that should fit a multiprocessor; where two wide ones would, sm_120's compiler spills registers.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1200
constexpr int WIDE_BLOCKS = 1;
#else
constexpr int WIDE_BLOCKS = 2;
#endif

template <int BN> struct Block {
    static constexpr int FITTING = BN == 128 ? WIDE_BLOCKS : 2;
    static constexpr int WARPS_N = BN == 128 ? 2 : 1, THREADS = 32 * WARPS_M * WARPS_N, WARP_N = BN / WARPS_N;
    static constexpr int LEFT_BYTES = BM * K_CHUNKS * 16, STAGE_BYTES = LEFT_BYTES + BN * K_CHUNKS * 16;
};

// sums += the step's product for one warp: left [BM][BK], or [BK][BM] if LEFT_BY_K; right [BN][BK], or [BK][BN] if
// RIGHT_BY_K.
template <int BN, bool LEFT_BY_K, bool RIGHT_BY_K>
__device__ __forceinline__ void multiply(const bf16*, const unsigned char* left, const unsigned char* right,
                                         float (&sums)[2][Block<BN>::WARP_N / 8][4]) {
    constexpr int NT = Block<BN>::WARP_N / 8;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int m0 = warp % WARPS_M * 32, n0 = warp / WARPS_M * Block<BN>::WARP_N;
#pragma unroll
    for (int k = 0; k < BK<bf16> / 16; k++) {
        uint32_t a[2][4];
#pragma unroll
        for (int m = 0; m < 2; m++) {
            if constexpr (LEFT_BY_K) {
                const int row = k * 16 + lane / 16 * 8 + lane % 8, chunk = (m0 + m * 16) / 8 + lane / 8 % 2;
                ldmatrix_x4_trans(a[m], left + swizzled<BM / 8>(row, chunk) * 16);
            } else {
                ldmatrix_x4(a[m], left + swizzled<K_CHUNKS>(m0 + m * 16 + lane % 16, k * 2 + lane / 16) * 16);
            }
        }
#pragma unroll
        for (int n = 0; n < NT; n += 2) {
            uint32_t b[4];
            if constexpr (RIGHT_BY_K) {
                const int row = k * 16 + lane / 8 % 2 * 8 + lane % 8, chunk = (n0 + n * 8) / 8 + lane / 16;
                ldmatrix_x4_trans(b, right + swizzled<BN / 8>(row, chunk) * 16);
            } else {
                const int row = n0 + n * 8 + lane % 8 + lane / 16 * 8;
                ldmatrix_x4(b, right + swizzled<K_CHUNKS>(row, k * 2 + lane / 8 % 2) * 16);
            }
#pragma unroll
            for (int m = 0; m < 2; m++) {
                mma_m16n8k16_bf16(sums[m][n], a[m], b[0], b[1]);
                mma_m16n8k16_bf16(sums[m][n + 1], a[m], b[2], b[3]);
            }
        }
    }
}

// A value of a matrix whose rows are ROW values long, rounded to TF32; ldmatrix turns 16-bit matrices only.
template <int ROW> __device__ __forceinline__ uint32_t turned(const unsigned char* matrix, int row, int column) {
    const unsigned char* chunk = matrix + swizzled<ROW / 4>(row, column / 4) * 16;
    return round_to_tf32(reinterpret_cast<const uint32_t*>(chunk)[column % 4]);
}

// The same of f32 values, rounded to TF32 as they are read.
template <int BN, bool LEFT_BY_K, bool RIGHT_BY_K>
__device__ __forceinline__ void multiply(const float*, const unsigned char* left, const unsigned char* right,
                                         float (&sums)[2][Block<BN>::WARP_N / 8][4]) {
    constexpr int NT = Block<BN>::WARP_N / 8;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int m0 = warp % WARPS_M * 32, n0 = warp / WARPS_M * Block<BN>::WARP_N;
#pragma unroll
    for (int k = 0; k < BK<float> / 8; k++) {
        uint32_t a[2][4];
#pragma unroll
        for (int m = 0; m < 2; m++) {
            if constexpr (LEFT_BY_K) {
#pragma unroll
                for (int i = 0; i < 4; i++)
                    a[m][i] = turned<BM>(left, k * 8 + i / 2 * 4 + lane % 4, m0 + m * 16 + i % 2 * 8 + lane / 4);
            } else {
                ldmatrix_x4(a[m], left + swizzled<K_CHUNKS>(m0 + m * 16 + lane % 16, k * 2 + lane / 16) * 16);
#pragma unroll
                for (int i = 0; i < 4; i++) a[m][i] = round_to_tf32(a[m][i]);
            }
        }
#pragma unroll
        for (int n = 0; n < NT; n += 2) {
            uint32_t b[4];
            if constexpr (RIGHT_BY_K) {
#pragma unroll
                for (int i = 0; i < 4; i++)
                    b[i] = turned<BN>(right, k * 8 + i % 2 * 4 + lane % 4, n0 + (n + i / 2) * 8 + lane / 4);
            } else {
                const int row = n0 + n * 8 + lane % 8 + lane / 16 * 8;
                ldmatrix_x4(b, right + swizzled<K_CHUNKS>(row, k * 2 + lane / 8 % 2) * 16);
#pragma unroll
                for (int i = 0; i < 4; i++) b[i] = round_to_tf32(b[i]);
            }
#pragma unroll
            for (int m = 0; m < 2; m++) {
                mma_m16n8k8_tf32(sums[m][n], a[m], b[0], b[1]);
                mma_m16n8k8_tf32(sums[m][n + 1], a[m], b[2], b[3]);
            }
        }
    }
}

// Calls work(row, column, two neighbouring sums) for what a thread holds, counted in the block.
template <int BN, typename F>
__device__ __forceinline__ void each_pair(const float (&sums)[2][Block<BN>::WARP_N / 8][4], F work) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int m0 = warp % WARPS_M * 32, n0 = warp / WARPS_M * Block<BN>::WARP_N;
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int half = 0; half < 2; half++)
#pragma unroll
            for (int n = 0; n < Block<BN>::WARP_N / 8; n++)
                work(m0 + m * 16 + half * 8 + lane / 4, n0 + n * 8 + lane % 4 * 2, sums[m][n][half * 2],
                     sums[m][n][half * 2 + 1]);
}

// Runs load(stage, step) STAGES - 1 steps ahead of work(stage).
template <typename L, typename W> __device__ __forceinline__ void pipeline(int steps, L load, W work) {
#pragma unroll
    for (int i = 0; i < STAGES - 1; i++) {
        if (i < steps) load(i);
        cp_async_commit();
    }
    for (int step = 0; step < steps; step++) {
        cp_async_wait<STAGES - 2>();
        __syncthreads();
        if (step + STAGES - 1 < steps) load((step + STAGES - 1) % STAGES);
        cp_async_commit();
        work(step % STAGES);
    }
    cp_async_wait<0>();
}

// BN results' channels a block. RIGHT_BY_K: the weight's results are neighbours, else its inputs are.
template <int BN, bool RIGHT_BY_K, typename T>
__device__ __forceinline__ void convolve(const T* __restrict__ a, const T* __restrict__ b,
                                         const T* __restrict__ weight, const float* __restrict__ bias,
                                         T* __restrict__ y, const Pass& p) {
    using B = Block<BN>;
    constexpr int OF_CHUNK = CHUNK<T>, DEPTH = BK<T>, WEIGHT_ROW = BN / OF_CHUNK;
    constexpr int ROWS = BM * K_CHUNKS / B::THREADS, W_CHUNKS = BN * K_CHUNKS / B::THREADS;
    DYNAMIC_SHARED(shared);
    const int tid = threadIdx.x, sample = blockIdx.z, m0 = blockIdx.x * BM, n0 = blockIdx.y * BN;
    const int rows = p.grid[0] * p.grid[1] * p.grid[2], channels = p.a_channels + p.b_channels;
    const int taps = p.taps[0] * p.taps[1] * p.taps[2], steps = (taps * channels + DEPTH - 1) / DEPTH;
    const int64_t voxels = static_cast<int64_t>(p.input[0]) * p.input[1] * p.input[2];
    a += sample * voxels * p.a_channels, b += sample * voxels * p.b_channels;
    weight += static_cast<int64_t>(sample) * p.weight_of_sample;

    // This thread's column of chunks in the gathered matrix, and its rows.
    Cursor cursor = {};
    cursor.advance(channels, tid % K_CHUNKS * OF_CHUNK, p.taps);
    Row gathered[ROWS];
#pragma unroll
    for (int i = 0; i < ROWS; i++) gathered[i] = gathered_row(p, m0 + (tid + i * B::THREADS) / K_CHUNKS, rows);
    // Likewise in the weights: a column of chunks along the inputs, or rows of one input each.
    Cursor weights[RIGHT_BY_K ? W_CHUNKS : 1] = {};
#pragma unroll
    for (int i = 0; i < (RIGHT_BY_K ? W_CHUNKS : 1); i++)
        weights[i].advance(channels, RIGHT_BY_K ? (tid + i * B::THREADS) / WEIGHT_ROW : tid % K_CHUNKS * OF_CHUNK,
                           p.taps);

    auto load = [&](int stage) {
        unsigned char* left = shared + stage * B::STAGE_BYTES;
        unsigned char* right = left + B::LEFT_BYTES;
        gather<K_CHUNKS, B::THREADS>(left, gathered, cursor, a, b, p, taps);
        cursor.advance(channels, DEPTH, p.taps);
#pragma unroll
        for (int i = 0; i < W_CHUNKS; i++) {
            Cursor& at = weights[RIGHT_BY_K ? i : 0];
            const int chunk = tid + i * B::THREADS;
            const int result = n0 + (RIGHT_BY_K ? chunk % WEIGHT_ROW * OF_CHUNK : chunk / K_CHUNKS);
            const bool valid = at.tap.index < taps && result < p.results;
            const int64_t from = static_cast<int64_t>(kernel_place(p, at.tap)) * p.weight_of_tap +
                                 at.channel * p.weight_of_input + result * p.weight_of_result;
            const int to = RIGHT_BY_K ? swizzled<WEIGHT_ROW>(chunk / WEIGHT_ROW, chunk % WEIGHT_ROW)
                                      : swizzled<K_CHUNKS>(chunk / K_CHUNKS, chunk % K_CHUNKS);
            cp_async16(right + to * 16, valid ? weight + from : weight, valid);
        }
#pragma unroll
        for (int i = 0; i < (RIGHT_BY_K ? W_CHUNKS : 1); i++) weights[i].advance(channels, DEPTH, p.taps);
    };
    float sums[2][B::WARP_N / 8][4] = {};
    pipeline(steps, load, [&](int stage) {
        const unsigned char* left = shared + stage * B::STAGE_BYTES;
        multiply<BN, false, RIGHT_BY_K>(a, left, left + B::LEFT_BYTES, sums);
    });
    if (bias) bias += static_cast<int64_t>(sample) * p.bias_of_sample;
    each_pair<BN>(sums, [&](int row, int column, float first, float second) {
        const int channel = n0 + column;
        if (m0 + row >= rows || channel >= p.results) return;
        const float left = bias ? bias[channel] : 0.0f, right = bias ? bias[channel + 1] : 0.0f;
        store_pair(y + result_voxel(p, sample, m0 + row) * p.results + channel, first + left, second + right);
    });
}

// The weight's gradient over one part of the coarse voxels: BM (tap, fine channel) pairs by BN coarse channels a block.
template <int BN, typename T>
__device__ __forceinline__ void weight_gradient(const T* __restrict__ a, const T* __restrict__ b,
                                                const T* __restrict__ coarse, float* __restrict__ partial,
                                                const Gradient& g) {
    using B = Block<BN>;
    constexpr int OF_CHUNK = CHUNK<T>, LEFT_ROW = BM / OF_CHUNK, RIGHT_ROW = BN / OF_CHUNK;
    constexpr int A_CHUNKS = BM * K_CHUNKS / B::THREADS, C_CHUNKS = BN * K_CHUNKS / B::THREADS;
    DYNAMIC_SHARED(shared);
    const int tid = threadIdx.x, m0 = blockIdx.x * BM, n0 = blockIdx.y * BN, part = blockIdx.z;
    const int fine_channels = g.a_channels + g.b_channels, pairs = g.taps() * fine_channels;
    const int64_t begin = static_cast<int64_t>(part) * g.span, voxels = g.voxels();
    const int64_t end = begin + g.span < voxels ? begin + g.span : voxels;
    // This thread's column of pairs that a chunk holds.
    const int pair = m0 + tid % LEFT_ROW * OF_CHUNK, tap = pair / fine_channels, channel = pair % fine_channels;
    const bool of_a = channel < g.a_channels;
    const T* source = of_a ? a + channel : b + (channel - g.a_channels);
    const int pitch = of_a ? g.a_channels : g.b_channels;
    int64_t next = begin;
    auto load = [&](int stage) {
        unsigned char* left = shared + stage * B::STAGE_BYTES;
        unsigned char* right = left + B::LEFT_BYTES;
#pragma unroll
        for (int i = 0; i < A_CHUNKS; i++) {
            const int row = (tid + i * B::THREADS) / LEFT_ROW;
            const int64_t voxel = next + row, at = pair < pairs && voxel < end ? fine_voxel(g, voxel, tap) : -1;
            cp_async16(left + swizzled<LEFT_ROW>(row, tid % LEFT_ROW) * 16, at >= 0 ? source + at * pitch : a, at >= 0);
        }
#pragma unroll
        for (int i = 0; i < C_CHUNKS; i++) {
            const int chunk = tid + i * B::THREADS, row = chunk / RIGHT_ROW;
            const int column = n0 + chunk % RIGHT_ROW * OF_CHUNK;
            const bool valid = next + row < end && column < g.coarse_channels;
            cp_async16(right + swizzled<RIGHT_ROW>(row, chunk % RIGHT_ROW) * 16,
                       valid ? coarse + (next + row) * g.coarse_channels + column : coarse, valid);
        }
        next += BK<T>;
    };
    float sums[2][B::WARP_N / 8][4] = {};
    pipeline(static_cast<int>((end - begin + BK<T> - 1) / BK<T>), load, [&](int stage) {
        const unsigned char* left = shared + stage * B::STAGE_BYTES;
        multiply<BN, true, true>(a, left, left + B::LEFT_BYTES, sums);
    });
    each_pair<BN>(sums, [&](int row, int column, float first, float second) {
        if (m0 + row >= pairs || n0 + column >= g.coarse_channels) return;
        partial[gradient_place(g, part, m0 + row, n0 + column)] = first;
        partial[gradient_place(g, part, m0 + row, n0 + column + 1)] = second;
    });
}

#define CONVOLVE(T, type, BN, order, BY_K)                                                                             \
    KERNEL(Block<BN>::THREADS, Block<BN>::FITTING)                                                                     \
    tensor_convolve_##type##_##BN##_##order(const T* a, const T* b, const T* weight, const float* bias, T* y,          \
                                            const Pass p) {                                                            \
        convolve<BN, BY_K>(a, b, weight, bias, y, p);                                                                  \
    }                                                                                                                  \
    EXPORT_KERNEL(tensor_convolve_##type##_##BN##_##order, Block<BN>::THREADS);
#define ENTRIES(T, type, BN)                                                                                           \
    CONVOLVE(T, type, BN, results, true)                                                                               \
    CONVOLVE(T, type, BN, inputs, false)                                                                               \
    KERNEL(Block<BN>::THREADS, 2)                                                                                      \
    tensor_weight_gradient_##type##_##BN(const T* a, const T* b, const T* coarse, float* partial, const Gradient g) {  \
        weight_gradient<BN>(a, b, coarse, partial, g);                                                                 \
    }                                                                                                                  \
    EXPORT_KERNEL(tensor_weight_gradient_##type##_##BN, Block<BN>::THREADS);
ENTRIES(bf16, bf16, 128)
ENTRIES(bf16, bf16, 64)
ENTRIES(bf16, bf16, 32)
ENTRIES(float, tf32, 64)
ENTRIES(float, tf32, 32)
