// How tensor cores' kernels gather the matrices of a pass, 16 bytes at a time, into shared memory. Channels of every source
// and the weight's rows are multiples of what 16 bytes hold.
#pragma once
#include "convolution.cuh"

// The 16-byte chunk c of a row, so that eight rows' same chunk, or a row's eight chunks, fall into all 32 banks.
template <int CHUNKS> __device__ __forceinline__ int swizzled(int row, int c) {
    if constexpr (CHUNKS >= 8)
        return row * CHUNKS + (c ^ row % 8);
    else
        return row * CHUNKS + (c ^ row / (8 / CHUNKS) % CHUNKS);
}

// A tap's number along each axis, counted up without division.
struct Tap {
    int z, y, x, index;

    __device__ __forceinline__ void next(const int (&taps)[3]) {
        index++;
        if (++x < taps[2]) return;
        x = 0;
        if (++y < taps[1]) return;
        y = 0, z++;
    }
};

// Which chunk of the sums a column of chunks holds: `channel` on from its tap's first.
struct Cursor {
    Tap tap;
    int channel;

    __device__ __forceinline__ void advance(int channels, int by, const int (&taps)[3]) {
        channel += by;
        while (channel >= channels) channel -= channels, tap.next(taps);
    }
};

// The bits of the taps along an axis that lie inside, for an input index of the first.
__device__ __forceinline__ uint32_t inside(int first, int sign, int taps, int size) {
    uint32_t bits = 0;
    for (int j = 0; j < taps; j++)
        bits |= static_cast<uint32_t>(static_cast<unsigned>(first + sign * j) < static_cast<unsigned>(size)) << j;
    return bits;
}

// The most taps along an axis.
constexpr int MAX_TAPS = 10;

// One row of the gathered matrix: the voxel of its first tap, and the taps inside, MAX_TAPS bits an axis.
struct Row {
    int origin;
    uint32_t taps;

    __device__ __forceinline__ bool has(const Tap& t) const {
        return taps >> t.z & taps >> (MAX_TAPS + t.y) & taps >> (2 * MAX_TAPS + t.x) & 1;
    }
};

__device__ __forceinline__ Row gathered_row(const Pass& p, int row, int rows) {
    if (row >= rows) return {0, 0};
    const Place at = place(row, p.grid);
    const int z = p.step[0] * at.z + p.origin[0], y = p.step[1] * at.y + p.origin[1], x = p.step[2] * at.x + p.origin[2];
    return {(z * p.input[1] + y) * p.input[2] + x, inside(z, p.sign, p.taps[0], p.input[0]) |
                                                       inside(y, p.sign, p.taps[1], p.input[1]) << MAX_TAPS |
                                                       inside(x, p.sign, p.taps[2], p.input[2]) << 2 * MAX_TAPS};
}

// The kernel's position of a tap.
__device__ __forceinline__ int kernel_place(const Pass& p, const Tap& tap) {
    const int z = p.tap_first[0] + p.tap_step[0] * tap.z, row = p.tap_first[1] + p.tap_step[1] * tap.y;
    return (z * p.kernel[1] + row) * p.kernel[2] + p.tap_first[2] + p.tap_step[2] * tap.x;
}

// Begins to copy a step of the gathered matrix: what a thread has of it, one column of its K_CHUNKS chunks and one row of
// each THREADS / K_CHUNKS.
template <int K_CHUNKS, int THREADS, typename T, int ROWS>
__device__ __forceinline__ void gather(unsigned char* to, const Row (&rows)[ROWS], const Cursor& cursor, const T* a,
                                       const T* b, const Pass& p, int taps) {
    const int tid = threadIdx.x;
    const bool of_a = cursor.channel < p.a_channels, some = cursor.tap.index < taps;
    const T* source = of_a ? a + cursor.channel : b + (cursor.channel - p.a_channels);
    const int pitch = of_a ? p.a_channels : p.b_channels;
    const int offset = p.sign * ((cursor.tap.z * p.input[1] + cursor.tap.y) * p.input[2] + cursor.tap.x);
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        const bool valid = some && rows[i].has(cursor.tap);
        const int64_t from = static_cast<int64_t>(rows[i].origin + offset) * pitch;
        cp_async16(to + swizzled<K_CHUNKS>((tid + i * THREADS) / K_CHUNKS, tid % K_CHUNKS) * 16,
                   valid ? source + from : a, valid);
    }
}

__device__ __forceinline__ void store_pair(bf16* to, float first, float second) {
    *reinterpret_cast<__nv_bfloat162*>(to) = __floats2bfloat162_rn(first, second);
}
__device__ __forceinline__ void store_pair(float* to, float first, float second) {
    *reinterpret_cast<float2*>(to) = make_float2(first, second);
}
