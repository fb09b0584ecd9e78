// What kernels may use beyond plain CUDA C++. nvcc gets inline PTX; any other compiler gets `cuda_on_host.h`, which runs
// the same kernels on the CPU. No kernel holds PTX of its own.
#pragma once
#if defined(__CUDACC__)
#include <cuda_bf16.h>

#include <cstdint>

// An entry point: threads of a block at most, and blocks that should fit a multiprocessor.
#define KERNEL(threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)
// Tells the host build that an entry point exists.
#define EXPORT_KERNEL(name, threads)
#define DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]

__device__ __forceinline__ uint32_t shared_address(const void* place) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(place));
}

// 16 bytes from global to shared memory, or zeros where not `valid`; `source` must be a mapped address either way.
__device__ __forceinline__ void cp_async16(void* shared, const void* source, bool valid) {
    const int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(source), "r"(bytes)
                 : "memory");
}
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most LEFT groups are on their way.
template <int LEFT> __device__ __forceinline__ void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

// Four 8 x 8 matrices of 16-bit values; lane l gives the address of row l % 8 of matrix l / 8.
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}
// The same, each matrix transposed.
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}
// d += a b with a 16 x 16 (row major), b 16 x 8 (column major), bf16 in, f32 out.
__device__ __forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
// d += a b with a 16 x 8 (row major), b 8 x 8 (column major), TF32 in, f32 out.
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
// Hopper's products of matrices that lie in shared memory, by four warps at once; sm_90a alone has them.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
// A matrix of bf16 as wgmma takes it: k innermost, rows of 128 bytes, of which 16-byte chunk c of row r lies at c ^ r % 8.
// It begins at a multiple of 1024 bytes; 32 bytes on, the next 16 values of its rows begin.
__device__ __forceinline__ uint64_t wgmma_matrix(const void* start) {
    constexpr uint64_t EIGHT_ROWS = 1024 >> 4, SWIZZLE_OF_128_BYTES = 1;
    return (shared_address(start) >> 4 & 0x3fff) | 1ull << 16 | EIGHT_ROWS << 32 | SWIZZLE_OF_128_BYTES << 62;
}
// What this thread wrote to shared memory, its awaited copies too, may be read by wgmma behind the next barrier.
__device__ __forceinline__ void wgmma_publish() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
// Before the first product, and before those that follow a wait.
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Waits until at most LEFT groups are under way.
template <int LEFT> __device__ __forceinline__ void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
}
// Holds the compiler from moving what it does with sums to where products are under way: stands before the first fence
// and behind the last wait. In between it would have the products wait for each other.
template <int N> __device__ __forceinline__ void wgmma_pin(float (&d)[N][4]) {
#pragma unroll
    for (int i = 0; i < N; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) asm volatile("" : "+f"(d[i][j])::"memory");
}
// d += a b with a 64 x 16, b 16 x 8 N (N of d), bf16 in, f32 out. Warp w has rows 16 w to 16 w + 15: of each 8 columns, what
// `mma_m16n8k16_bf16` gives its lanes.
#define WGMMA_SUMS(i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
#define WGMMA_SUMS_8(i)                                                                                                \
    WGMMA_SUMS(i), WGMMA_SUMS(i + 1), WGMMA_SUMS(i + 2), WGMMA_SUMS(i + 3), WGMMA_SUMS(i + 4), WGMMA_SUMS(i + 5),      \
        WGMMA_SUMS(i + 6), WGMMA_SUMS(i + 7)
__device__ __forceinline__ void wgmma_m64k16_bf16(float (&d)[8][4], uint64_t a, uint64_t b) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
        "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
        "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
        "}, %32, %33, 1, 1, 1, 0, 0;"
        : WGMMA_SUMS_8(0)
        : "l"(a), "l"(b));
}
__device__ __forceinline__ void wgmma_m64k16_bf16(float (&d)[16][4], uint64_t a, uint64_t b) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
        "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
        "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
        "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
        "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
        "}, %64, %65, 1, 1, 1, 0, 0;"
        : WGMMA_SUMS_8(0), WGMMA_SUMS_8(8)
        : "l"(a), "l"(b));
}
#undef WGMMA_SUMS_8
#undef WGMMA_SUMS
#endif
// The bits of an f32 value rounded to the 10 bits of mantissa that TF32 has; halves away from zero.
__device__ __forceinline__ uint32_t round_to_tf32(uint32_t bits) {
    uint32_t rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(bits)));
    return rounded;
}
// The nearest value that f16 has; of two as near the even one.
__device__ __forceinline__ float round_to_half(float value) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}
#else
#include "cuda_on_host.h"
#endif

using bf16 = __nv_bfloat16;

// f32 for arithmetic, whatever is stored.
__device__ __forceinline__ float load(const float* place) { return *place; }
__device__ __forceinline__ float load(const bf16* place) { return __bfloat162float(*place); }
__device__ __forceinline__ void store(float* place, float value) { *place = value; }
__device__ __forceinline__ void store(bf16* place, float value) { *place = __float2bfloat16_rn(value); }

// The sum over the 32 lanes of a warp, in every lane; the same order always.
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
    for (int bit = 16; bit > 0; bit /= 2) value += __shfl_xor_sync(~0u, value, bit);
    return value;
}
__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
    for (int bit = 16; bit > 0; bit /= 2) value = fmaxf(value, __shfl_xor_sync(~0u, value, bit));
    return value;
}

// The place of this thread among all of the grid's first dimension.
__device__ __forceinline__ int64_t item() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
