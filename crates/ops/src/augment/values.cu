// What changes the values of a patch: curves, sums, smoothing, noise, averages. The host's arithmetic, sum by sum, so
// that bits are the same; see mod.rs.
#include "device.cuh"

// A curve, straight between places; the same struct stands in cuda/values.rs.
struct Curved {
    float low, high;  // values beyond stay
    float scale;      // pieces a unit
    int pieces;
    int inverted;     // not 0: values are turned around before and after
};

KERNEL(256, 1)
augment_curve(const float* values, const float* places, float* to, Curved c, int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    float value = values[i];
    if (value >= c.low && value <= c.high) {
        const float both = __fadd_rn(c.low, c.high);
        if (c.inverted) value = __fsub_rn(both, value);
        const float place = __fmul_rn(__fsub_rn(value, c.low), c.scale);
        const int piece = min(static_cast<int>(place), c.pieces);
        const float low = places[piece], high = places[piece + 1];
        value = __fadd_rn(low, __fmul_rn(__fsub_rn(high, low), __fsub_rn(place, static_cast<float>(piece))));
        if (c.inverted) value = __fsub_rn(both, value);
    }
    to[i] = value;
}
EXPORT_KERNEL(augment_curve, 256);

// Values of which f32 sums are taken, in lanes, before they go on as f64.
constexpr int PART = 1024, LANES = 16;

// sums[p] = the sum of part p of the values, or of their squares; a thread a lane.
KERNEL(256, 1)
augment_sum_parts(const float* values, double* sums, int64_t count, int parts, int squared) {
    __shared__ float lanes[256];
    const int thread = static_cast<int>(threadIdx.x), lane = thread % LANES;
    const int part = static_cast<int>(item() / LANES);
    const int64_t first = static_cast<int64_t>(part) * PART;
    const int length = part < parts ? static_cast<int>(min(count - first, static_cast<int64_t>(PART))) : 0;
    const int whole = length / LANES * LANES;
    const auto of = [&](int at) {
        const float value = values[first + at];
        return squared ? __fmul_rn(value, value) : value;
    };
    float sum = 0;
    for (int at = lane; at < whole; at += LANES) sum = __fadd_rn(sum, of(at));
    lanes[thread] = sum;
    __syncthreads();
    if (lane != 0 || part >= parts) return;
    double total = 0;
    for (int other = 0; other < LANES; other++) total += lanes[thread + other];
    for (int at = whole; at < length; at++) total += of(at);
    sums[part] = total;
}
EXPORT_KERNEL(augment_sum_parts, 256);

// mean[0] = the sum of the parts, in their order, over the count; the root of that, at least 1e-6, of squares. One block.
KERNEL(256, 1)
augment_mean(const double* sums, float* mean, int64_t count, int parts, int squared) {
    __shared__ double some[256];
    const int thread = static_cast<int>(threadIdx.x);
    double total = 0;
    for (int first = 0; first < parts; first += 256) {
        if (first + thread < parts) some[thread] = sums[first + thread];
        __syncthreads();
        if (thread == 0)
            for (int at = 0; at < min(256, parts - first); at++) total += some[at];
        __syncthreads();
    }
    if (thread != 0) return;
    const double all = total / static_cast<double>(count);
    mean[0] = static_cast<float>(squared ? fmax(sqrt(all), 1e-6) : all);
}
EXPORT_KERNEL(augment_mean, 256);

// The distance to the mean, times a factor.
KERNEL(256, 1)
augment_stretch(const float* values, const float* mean, float* to, int64_t count, float factor) {
    const int64_t i = item();
    if (i < count) to[i] = __fadd_rn(mean[0], __fmul_rn(__fsub_rn(values[i], mean[0]), factor));
}
EXPORT_KERNEL(augment_stretch, 256);

KERNEL(256, 1)
augment_shift(const float* values, float* to, int64_t count, float amount) {
    const int64_t i = item();
    if (i < count) to[i] = __fadd_rn(values[i], amount);
}
EXPORT_KERNEL(augment_shift, 256);

// Smooths along one axis by half of a kernel, centre first; edges repeat. Neighbours are `stride` values apart.
KERNEL(256, 1)
augment_smooth(const float* values, const float* taps, float* to, int64_t count, int length, int stride, int tap_count) {
    const int64_t i = item();
    if (i >= count) return;
    const int at = i / stride % length;
    float sum = __fmul_rn(values[i], taps[0]);
    for (int reach = 1; reach < tap_count; reach++) {
        const float before = values[i - static_cast<int64_t>(at - max(at - reach, 0)) * stride];
        const float after = values[i + static_cast<int64_t>(min(at + reach, length - 1) - at) * stride];
        sum = __fadd_rn(sum, __fmul_rn(taps[reach], __fadd_rn(before, after)));
    }
    to[i] = sum;
}
EXPORT_KERNEL(augment_smooth, 256);

// A stream of Philox4x32-10; the same struct stands in cuda/values.rs.
struct Stream {
    unsigned key[2];
    unsigned counter[4];  // of the first block; the low two words count on
};

struct Words {
    unsigned word[4];
};

__device__ __forceinline__ Words philox(const Stream& s, int64_t block) {
    const uint64_t low = (static_cast<uint64_t>(s.counter[1]) << 32 | s.counter[0]) + static_cast<uint64_t>(block);
    Words c = {{static_cast<unsigned>(low), static_cast<unsigned>(low >> 32), s.counter[2], s.counter[3]}};
    unsigned key[2] = {s.key[0], s.key[1]};
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const unsigned high0 = __umulhi(0xD2511F53u, c.word[0]), low0 = 0xD2511F53u * c.word[0];
        const unsigned high1 = __umulhi(0xCD9E8D57u, c.word[2]), low1 = 0xCD9E8D57u * c.word[2];
        c = {{high1 ^ c.word[1] ^ key[0], low1, high0 ^ c.word[3] ^ key[1], low0}};
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    return c;
}

// Normal numbers, eight a thread: the quantile of the low half of each word, then that of its high half.
KERNEL(256, 1)
augment_normals(const float* quantiles, float* to, Stream s, int64_t count) {
    const int64_t block = item(), first = block * 8;
    if (first >= count) return;
    const Words c = philox(s, block);
#pragma unroll
    for (int half = 0; half < 8; half++) {
        const unsigned bits = c.word[half / 2] >> half % 2 * 16 & 0xffffu;
        if (first + half < count) to[first + half] = quantiles[bits];
    }
}
EXPORT_KERNEL(augment_normals, 256);

// Grain of the root mean square energy[0] is added with that of sd.
KERNEL(256, 1)
augment_add_grain(const float* values, const float* grain, const float* energy, float* to, int64_t count, float sd) {
    const int64_t i = item();
    if (i < count) to[i] = __fadd_rn(values[i], __fmul_rn(grain[i], __fdiv_rn(sd, energy[0])));
}
EXPORT_KERNEL(augment_add_grain, 256);

// The plane of each voxel as a sum of planes: row p of `rows` has the first of them, how many they are, and where their
// weights begin.
KERNEL(256, 1)
augment_average(const float* values, const int* rows, const float* weights, float* to, int64_t count, int planes,
                int plane) {
    const int64_t i = item();
    if (i >= count) return;
    const int at = i / plane % planes, first = rows[3 * at], many = rows[3 * at + 1];
    const float* own = weights + rows[3 * at + 2];
    const float* from = values + i - static_cast<int64_t>(at - first) * plane;
    float sum = 0;
    for (int k = 0; k < many; k++) sum = __fadd_rn(sum, __fmul_rn(own[k], from[static_cast<int64_t>(k) * plane]));
    to[i] = sum;
}
EXPORT_KERNEL(augment_average, 256);
