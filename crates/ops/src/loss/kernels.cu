// Sums over what is supervised, and gradients of logits; maps are innermost.
#include "columns.cuh"

// As in mod.rs.
constexpr int FULL = 128, IGNORED = 255, NUMBERS = 5;

struct Sums {
    float of[NUMBERS];  // both, predicted, reference, bce, voxels
};

// Sums over a span of a group's voxels: sums[group][part][map], NUMBERS each; the probabilities of all.
KERNEL(COLUMN_THREADS, 1)
loss_sums(const float* logits, const uint8_t* targets, float* sums, float* probabilities, int rows, int maps, int span) {
    __shared__ Sums table[COLUMN_THREADS];
    const Columns c = columns(rows, maps, span);
    const int64_t start = static_cast<int64_t>(blockIdx.z) * rows * maps;
    Sums s = {};
    if (c.active)
        for (int row = c.begin + c.lane; row < c.end; row += c.lanes) {
            const int64_t at = start + static_cast<int64_t>(row) * maps + c.channel;
            const int target = targets[at];
            if (target == IGNORED) {
                probabilities[at] = 0;
                continue;
            }
            const float z = logits[at], y = static_cast<float>(target) / FULL, small = expf(-fabsf(z));
            const float p = z >= 0 ? 1 / (1 + small) : small / (1 + small);
            probabilities[at] = p;
            s.of[0] += p * y, s.of[1] += p, s.of[2] += y;
            s.of[3] += fmaxf(z, 0) + log1pf(small) - y * z, s.of[4] += 1;
        }
    table[threadIdx.x] = s;
    __syncthreads();
    if (c.lane != 0) return;
    const int width = min(COLUMN_THREADS, maps - static_cast<int>(blockIdx.y) * COLUMN_THREADS);
    for (int lane = 1; lane < c.lanes; lane++)
        for (int i = 0; i < NUMBERS; i++) s.of[i] += table[lane * width + threadIdx.x].of[i];
    float* to = sums + ((static_cast<int64_t>(blockIdx.z) * gridDim.x + blockIdx.x) * maps + c.channel) * NUMBERS;
    for (int i = 0; i < NUMBERS; i++) to[i] = s.of[i];
}
EXPORT_KERNEL(loss_sums, COLUMN_THREADS);

// slopes[group][map]: by the probability, the same times the share, by the logit.
KERNEL(256, 1)
loss_slopes(const float* probabilities, const uint8_t* targets, const float* slopes, float* gradient, int64_t count,
            int64_t of_group, int maps) {
    const int64_t i = item();
    if (i >= count) return;
    const int target = targets[i];
    if (target == IGNORED) {
        gradient[i] = 0;
        return;
    }
    const float* slope = slopes + (i / of_group * maps + i % maps) * 3;
    const float p = probabilities[i], y = static_cast<float>(target) / FULL;
    gradient[i] = slope[2] * (p - y) + (slope[0] + slope[1] * y) * p * (1 - p);
}
EXPORT_KERNEL(loss_slopes, 256);
