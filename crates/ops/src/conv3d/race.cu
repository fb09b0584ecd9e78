// Two results of one pass side by side: what a race of kernels is judged by.
#include "convolution.cuh"

constexpr int THREADS = 256, WARPS = THREADS / 32;

// A rounding of bf16 apart, as a share of the larger value.
constexpr float ROUNDING = 1.0f / 128;

// A block's [4]: the largest value wanted; the largest difference beyond a rounding; values that are finite in one of the
// two alone; values unlike that of the next result.
KERNEL(THREADS, 4) race_compare(const bf16* wanted, const bf16* found, float* parts, const Pass p, const int samples) {
    __shared__ float shared[4][WARPS];
    const int rows = p.grid[0] * p.grid[1] * p.grid[2], lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int64_t of_sample = static_cast<int64_t>(rows) * p.results, count = of_sample * samples;
    float largest = 0, beyond = 0, odd = 0, unlike = 0;
    for (int64_t i = item(); i < count; i += static_cast<int64_t>(gridDim.x) * THREADS) {
        const int sample = static_cast<int>(i / of_sample), channel = static_cast<int>(i % p.results);
        const int row = static_cast<int>(i % of_sample / p.results), next = row + 1 < rows ? row + 1 : 0;
        const int64_t at = result_voxel(p, sample, row) * p.results + channel;
        const float a = load(wanted + at), b = load(found + at);
        if (a != load(wanted + result_voxel(p, sample, next) * p.results + channel)) unlike++;
        if (!isfinite(a) || !isfinite(b)) {
            if (isfinite(a) != isfinite(b)) odd++;
            continue;
        }
        largest = fmaxf(largest, fabsf(a));
        beyond = fmaxf(beyond, fabsf(a - b) - ROUNDING * fmaxf(fabsf(a), fabsf(b)));
    }
    largest = warp_max(largest), beyond = warp_max(beyond), odd = warp_sum(odd), unlike = warp_sum(unlike);
    if (lane == 0) shared[0][warp] = largest, shared[1][warp] = beyond, shared[2][warp] = odd, shared[3][warp] = unlike;
    __syncthreads();
    if (threadIdx.x >= 4) return;
    float all = 0;
    for (int i = 0; i < WARPS; i++)
        all = threadIdx.x < 2 ? fmaxf(all, shared[threadIdx.x][i]) : all + shared[threadIdx.x][i];
    parts[blockIdx.x * 4 + threadIdx.x] = all;
}
EXPORT_KERNEL(race_compare, THREADS);
