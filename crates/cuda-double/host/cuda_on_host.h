// CUDA C++ as code of the host: what `device.cuh` of the operators includes where nvcc does not compile. Each CUDA thread
// is a fiber, a block's fibers share one thread of the machine. Strict where a card is silent: barriers and shuffles that
// not all lanes reach, lanes that take from others that do not take part, copies and matrices out of place are errors.
// What a card leaves open is a setting of the double: which thread goes first, and when a copy happens.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
// A block's threads run on one thread of the machine, and nothing else runs there meanwhile.
#define __shared__ static thread_local
#define DYNAMIC_SHARED(name) unsigned char* const name = emu::self->block->shared
#define KERNEL(threads, blocks) extern "C" __attribute__((visibility("hidden"))) void
#define EXPORT_KERNEL(name, threads) \
    static const emu::Registered registered_##name(#name, emu::entry_of<name>(name), threads)

struct dim3 {
    unsigned x, y, z;
};

namespace emu {
struct Block {
    dim3 index, size, grid;
    unsigned char* shared;
    size_t shared_bytes;
};
struct Thread {
    dim3 index;
    unsigned lane, warp;
    const Block* block;
};
extern thread_local Thread* self;

[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// What a warp does once all lanes of the mask are there, with what each brought along.
using Operation = void (*)(uint32_t mask, void** lanes);
void together(uint32_t mask, Operation operation, void* mine, int line);
void barrier(int line);
void copy_async(void* shared, const void* source, unsigned bytes, bool valid);
void copy_commit();
void copy_wait(unsigned left);

struct Exchange {
    uint64_t in, out;
    unsigned source;
};
void exchange(uint32_t mask, void** lanes);
struct Vote {
    uint32_t in, out;
};
void vote(uint32_t mask, void** lanes);
void nothing(uint32_t mask, void** lanes);
struct Product {
    float* d;
    const uint32_t* a;
    const uint32_t* b;
};
void multiply_bf16(uint32_t mask, void** lanes);
void multiply_tf32(uint32_t mask, void** lanes);
struct GroupProduct {
    float (*d)[4];
    unsigned columns;
    uint64_t a, b;
};
void multiply_group(uint32_t mask, void** lanes);
void commit_group(uint32_t mask, void** lanes);
void wait_groups(uint32_t mask, void** lanes);
struct Rows {
    uint32_t* registers;
    const void* row;
    unsigned count;
    bool transposed;
};
void load_matrices(uint32_t mask, void** lanes);

// Kernels by name, with the sizes of their parameters.
struct Entry {
    void (*call)(void* const* parameters);
    const size_t* sizes;
    unsigned count;
};
struct Registered {
    Registered(const char* name, Entry entry, unsigned threads);
};
template <class... A> struct Sizes {
    static constexpr size_t value[] = {sizeof(A)..., 0};
};
template <auto function, class... A, size_t... I>
void call(void* const* p, void (*)(A...), std::index_sequence<I...>) {
    function(*static_cast<A*>(p[I])...);
}
template <auto function, class... A> constexpr Entry entry_of(void (*)(A...)) {
    return {[](void* const* p) { call<function>(p, static_cast<void (*)(A...)>(nullptr), std::index_sequence_for<A...>{}); },
            Sizes<A...>::value, sizeof...(A)};
}

template <class T> T take(uint32_t mask, T value, unsigned source, int line) {
    static_assert(sizeof(T) <= 8, "shuffles move 8 bytes at most");
    Exchange e{0, 0, source};
    memcpy(&e.in, &value, sizeof(T));
    together(mask, exchange, &e, line);
    memcpy(&value, &e.out, sizeof(T));
    return value;
}
}  // namespace emu

// ---- what CUDA C++ has
#define threadIdx (emu::self->index)
#define blockIdx (emu::self->block->index)
#define blockDim (emu::self->block->size)
#define gridDim (emu::self->block->grid)
constexpr int warpSize = 32;

#define LINE int line = __builtin_LINE()
inline void __syncthreads(LINE) { emu::barrier(line); }
inline void __syncwarp(uint32_t mask = ~0u, LINE) { emu::together(mask, emu::nothing, nullptr, line); }
inline void __threadfence() {}
inline void __threadfence_block() {}
template <class T> T __shfl_sync(uint32_t mask, T value, int source, int width = 32, LINE) {
    return emu::take(mask, value, (emu::self->lane & ~(width - 1u)) | (source & (width - 1u)), line);
}
template <class T> T __shfl_xor_sync(uint32_t mask, T value, int bits, int width = 32, LINE) {
    const unsigned lane = emu::self->lane, source = lane ^ bits;
    return emu::take(mask, value, source / width > lane / width ? lane : source, line);
}
template <class T> T __shfl_down_sync(uint32_t mask, T value, int by, int width = 32, LINE) {
    const unsigned lane = emu::self->lane;
    return emu::take(mask, value, lane % width + by >= unsigned(width) ? lane : lane + by, line);
}
template <class T> T __shfl_up_sync(uint32_t mask, T value, int by, int width = 32, LINE) {
    const unsigned lane = emu::self->lane;
    return emu::take(mask, value, lane % width < unsigned(by) ? lane : lane - by, line);
}
inline uint32_t __ballot_sync(uint32_t mask, int yes, LINE) {
    emu::Vote v{yes != 0, 0};
    emu::together(mask, emu::vote, &v, line);
    return v.out;
}
inline int __any_sync(uint32_t mask, int yes, LINE) { return __ballot_sync(mask, yes, line) != 0; }
inline int __all_sync(uint32_t mask, int yes, LINE) { return __ballot_sync(mask, yes, line) == mask; }
#undef LINE

template <class T> T __ldg(const T* place) { return *place; }
template <class T, class F> T atomic_change(T* place, F change) {
    T old, changed;
    __atomic_load(place, &old, __ATOMIC_RELAXED);
    do changed = change(old);
    while (!__atomic_compare_exchange(place, &old, &changed, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return old;
}
template <class T> T atomicAdd(T* place, T value) {
    return atomic_change(place, [=](T old) -> T { return old + value; });
}
template <class T> T atomicMax(T* place, T value) {
    return atomic_change(place, [=](T old) { return old > value ? old : value; });
}
template <class T> T atomicMin(T* place, T value) {
    return atomic_change(place, [=](T old) { return old < value ? old : value; });
}
template <class T> T atomicOr(T* place, T value) {
    return atomic_change(place, [=](T old) -> T { return old | value; });
}
template <class T> T atomicExch(T* place, T value) {
    return atomic_change(place, [=](T) { return value; });
}
template <class T> T atomicCAS(T* place, T expected, T value) {
    return atomic_change(place, [=](T old) { return old == expected ? value : old; });
}

#define VECTORS(T, name, two, four)                                            \
    struct __align__(two) name##2 { T x, y; };                                 \
    struct name##3 { T x, y, z; };                                             \
    struct __align__(four) name##4 { T x, y, z, w; };                          \
    inline name##2 make_##name##2(T x, T y) { return {x, y}; }                 \
    inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }         \
    inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
VECTORS(float, float, 8, 16)
VECTORS(int, int, 8, 16)
VECTORS(unsigned, uint, 8, 16)
#undef VECTORS

// bf16, rounded to nearest, ties to even.
struct __nv_bfloat16 {
    uint16_t bits;
};
struct __align__(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
inline float __uint_as_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
inline uint32_t __float_as_uint(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}
inline int __float_as_int(float value) { return static_cast<int>(__float_as_uint(value)); }
inline float __int_as_float(int bits) { return __uint_as_float(static_cast<uint32_t>(bits)); }
inline float __bfloat162float(__nv_bfloat16 value) { return __uint_as_float(static_cast<uint32_t>(value.bits) << 16); }
inline __nv_bfloat16 __float2bfloat16_rn(float value) {
    const uint32_t bits = __float_as_uint(value);
    if (value != value) return {0x7fff};
    return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}
inline __nv_bfloat16 __float2bfloat16(float value) { return __float2bfloat16_rn(value); }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
    return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)};
}
inline float2 __bfloat1622float2(__nv_bfloat162 value) {
    return {__bfloat162float(value.x), __bfloat162float(value.y)};
}
inline float __low2float(__nv_bfloat162 value) { return __bfloat162float(value.x); }
inline float __high2float(__nv_bfloat162 value) { return __bfloat162float(value.y); }

inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __saturatef(float x) { return x != x ? 0 : fminf(fmaxf(x, 0), 1); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(uint64_t(a) * b >> 32); }
#define EXTREMES(T)                                   \
    inline T min(T a, T b) { return b < a ? b : a; } \
    inline T max(T a, T b) { return a < b ? b : a; }
EXTREMES(int)
EXTREMES(unsigned)
EXTREMES(long)
EXTREMES(unsigned long)
EXTREMES(long long)
EXTREMES(unsigned long long)
#undef EXTREMES
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

// ---- what `device.cuh` wraps
inline void cp_async16(void* shared, const void* source, bool valid) { emu::copy_async(shared, source, 16, valid); }
inline void cp_async_commit() { emu::copy_commit(); }
template <int LEFT> void cp_async_wait() { emu::copy_wait(LEFT); }
template <int N> void load_matrices(uint32_t (&r)[N], const void* row, bool transposed, int line) {
    emu::Rows rows{r, row, N, transposed};
    emu::together(~0u, emu::load_matrices, &rows, line);
}
inline void ldmatrix_x4(uint32_t (&r)[4], const void* row, int line = __builtin_LINE()) {
    load_matrices(r, row, false, line);
}
inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row, int line = __builtin_LINE()) {
    load_matrices(r, row, true, line);
}
inline void ldmatrix_x2(uint32_t (&r)[2], const void* row, int line = __builtin_LINE()) {
    load_matrices(r, row, false, line);
}
inline void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row, int line = __builtin_LINE()) {
    load_matrices(r, row, true, line);
}
inline void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                              int line = __builtin_LINE()) {
    const uint32_t b[2] = {b0, b1};
    emu::Product product{d, a, b};
    emu::together(~0u, emu::multiply_bf16, &product, line);
}
inline void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                             int line = __builtin_LINE()) {
    const uint32_t b[2] = {b0, b1};
    emu::Product product{d, a, b};
    emu::together(~0u, emu::multiply_tf32, &product, line);
}
inline uint64_t wgmma_matrix(const void* start) {
    const auto at = static_cast<uint64_t>(static_cast<const unsigned char*>(start) - emu::self->block->shared);
    return (at >> 4 & 0x3fff) | 1ull << 16 | 64ull << 32 | 1ull << 62;
}
inline void wgmma_publish() {}
inline void wgmma_fence() {}
template <int N> void wgmma_pin(float (&)[N][4]) {}
inline void wgmma_commit(int line = __builtin_LINE()) { emu::together(~0u, emu::commit_group, nullptr, line); }
template <int LEFT> void wgmma_wait(int line = __builtin_LINE()) {
    unsigned left = LEFT;
    emu::together(~0u, emu::wait_groups, &left, line);
}
template <int N> void wgmma_m64k16_bf16(float (&d)[N][4], uint64_t a, uint64_t b, int line = __builtin_LINE()) {
    emu::GroupProduct product{d, N * 8, a, b};
    emu::together(~0u, emu::multiply_group, &product, line);
}
inline uint32_t round_to_tf32(uint32_t bits) {
    return (bits & 0x7f800000) == 0x7f800000 ? bits & ~0x1fffu : (bits + 0x1000) & ~0x1fffu;
}
// f16 has 11 bits of mantissa, and multiples of 2^-24 below 2^-14.
inline float round_to_half(float value) {
    if (!(fabsf(value) < 65520)) return value != value ? value : copysignf(INFINITY, value);
    int exponent;
    frexpf(value, &exponent);
    const float step = ldexpf(1, max(exponent, -13) - 11);
    return rintf(value / step) * step;
}
