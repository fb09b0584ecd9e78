// The sizes of a convolution's passes, as `cuda.rs` hands them over, and where their values lie.
#pragma once
#include "device.cuh"

// One pass to a class of results: those at first + spread * p for p in the grid. The result at p sums, over the taps j,
// inputs at step * p + origin + sign * j times the weight of the kernel position tap_first + tap_step * j.
struct Pass {
    int input[3], output[3], grid[3], taps[3], kernel[3];
    int step[3], origin[3], sign, first[3], spread[3], tap_first[3], tap_step[3];
    // Input channels of the two sources, one after the other; channels of a result.
    int a_channels, b_channels, results;
    // Places between neighbours in the weight; from one sample's weight and bias to the next's.
    int weight_of_tap, weight_of_input, weight_of_result, weight_of_sample, bias_of_sample;
};

struct Place {
    int z, y, x;
};

__device__ __forceinline__ Place place(int index, const int (&size)[3]) {
    return {index / (size[2] * size[1]), index / size[2] % size[1], index % size[2]};
}

// The voxel that a result reads through a tap, counted over the batch; -1 outside.
__device__ __forceinline__ int64_t input_voxel(const Pass& p, int sample, int row, int tap) {
    const Place at = place(row, p.grid), j = place(tap, p.taps);
    const int z = p.step[0] * at.z + p.origin[0] + p.sign * j.z;
    const int y = p.step[1] * at.y + p.origin[1] + p.sign * j.y;
    const int x = p.step[2] * at.x + p.origin[2] + p.sign * j.x;
    const bool inside = static_cast<unsigned>(z) < static_cast<unsigned>(p.input[0]) &&
                        static_cast<unsigned>(y) < static_cast<unsigned>(p.input[1]) &&
                        static_cast<unsigned>(x) < static_cast<unsigned>(p.input[2]);
    return inside ? ((static_cast<int64_t>(sample) * p.input[0] + z) * p.input[1] + y) * p.input[2] + x : -1;
}

__device__ __forceinline__ int64_t result_voxel(const Pass& p, int sample, int row) {
    const Place at = place(row, p.grid);
    const int64_t plane = static_cast<int64_t>(sample) * p.output[0] + p.first[0] + p.spread[0] * at.z;
    return (plane * p.output[1] + p.first[1] + p.spread[1] * at.y) * p.output[2] + p.first[2] + p.spread[2] * at.x;
}

// Where the weights of a tap begin.
__device__ __forceinline__ int64_t weight_tap(const Pass& p, int tap) {
    const Place j = place(tap, p.taps);
    const int z = p.tap_first[0] + p.tap_step[0] * j.z, y = p.tap_first[1] + p.tap_step[1] * j.y;
    return static_cast<int64_t>((z * p.kernel[1] + y) * p.kernel[2] + p.tap_first[2] + p.tap_step[2] * j.x) *
           p.weight_of_tap;
}

// The weight's gradient: sums over coarse voxels, `span` of them a part.
struct Gradient {
    int batch, fine[3], coarse[3], kernel[3], stride[3], padding[3];
    int a_channels, b_channels, coarse_channels, span, coarse_first;

    __device__ __forceinline__ int taps() const { return kernel[0] * kernel[1] * kernel[2]; }
    __device__ __forceinline__ int64_t voxels() const {
        return static_cast<int64_t>(batch) * coarse[0] * coarse[1] * coarse[2];
    }
};

// The fine voxel that a coarse one meets at a tap, both counted over the batch; -1 outside.
__device__ __forceinline__ int64_t fine_voxel(const Gradient& g, int64_t voxel, int tap) {
    const int grid = g.coarse[0] * g.coarse[1] * g.coarse[2];
    const Place at = place(static_cast<int>(voxel % grid), g.coarse), j = place(tap, g.kernel);
    const int z = at.z * g.stride[0] + j.z - g.padding[0], y = at.y * g.stride[1] + j.y - g.padding[1];
    const int x = at.x * g.stride[2] + j.x - g.padding[2];
    const bool inside = static_cast<unsigned>(z) < static_cast<unsigned>(g.fine[0]) &&
                        static_cast<unsigned>(y) < static_cast<unsigned>(g.fine[1]) &&
                        static_cast<unsigned>(x) < static_cast<unsigned>(g.fine[2]);
    return inside ? ((voxel / grid * g.fine[0] + z) * g.fine[1] + y) * g.fine[2] + x : -1;
}

__device__ __forceinline__ int64_t gradient_place(const Gradient& g, int part, int pair, int coarse_channel) {
    const int fine_channels = g.a_channels + g.b_channels;
    const int64_t tap = static_cast<int64_t>(part) * g.taps() + pair / fine_channels;
    const int channel = pair % fine_channels;
    return g.coarse_first ? (tap * g.coarse_channels + coarse_channel) * fine_channels + channel
                          : (tap * fine_channels + channel) * g.coarse_channels + coarse_channel;
}
