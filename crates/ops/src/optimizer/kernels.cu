// Updates of parameters in place, a thread a number, and the squares of gradients.
#include "device.cuh"

// As `Rule` in mod.rs: of SGD `keep` is the rate, `beta1` the momentum and `beta2` the decay.
struct Rule {
    int is_sgd;
    float keep, beta1, beta2, step_size, second_root, epsilon;
};

KERNEL(256, 1)
update(float* weights, const float* gradient, float* first, float* second, int64_t count, float clip, const Rule rule) {
    const int64_t i = item();
    if (i >= count) return;
    const float w = weights[i], g = gradient[i] * clip;
    if (rule.is_sgd) {
        const float decayed = g + rule.beta2 * w, momentum = rule.beta1 * first[i] + decayed;
        first[i] = momentum;
        weights[i] = w - rule.keep * (decayed + rule.beta1 * momentum);
        return;
    }
    const float m = rule.beta1 * first[i] + (1 - rule.beta1) * g;
    const float v = rule.beta2 * second[i] + (1 - rule.beta2) * g * g;
    first[i] = m, second[i] = v;
    weights[i] = w * rule.keep - rule.step_size * m / (sqrtf(v) / rule.second_root + rule.epsilon);
}
EXPORT_KERNEL(update, 256);

KERNEL(256, 1) follow(float* means, const float* weights, int64_t count, float share) {
    const int64_t i = item();
    if (i < count) means[i] += share * (weights[i] - means[i]);
}
EXPORT_KERNEL(follow, 256);

// Sums of squares of 4096 numbers a block: sums[first + block].
KERNEL(256, 1) squares(const float* values, float* sums, int64_t count, int first) {
    __shared__ float table[8];
    float sum = 0;
    for (int i = 0; i < 16; i++) {
        const int64_t at = static_cast<int64_t>(blockIdx.x) * 4096 + i * 256 + threadIdx.x;
        if (at < count) sum += values[at] * values[at];
    }
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) table[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x != 0) return;
    for (int warp = 1; warp < 8; warp++) sum += table[warp];
    sums[first + blockIdx.x] = sum;
}
EXPORT_KERNEL(squares, 256);
