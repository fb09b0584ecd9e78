// How the voxels of one grid follow from those of another, axis by axis: tables that the host makes.
#pragma once
#include "device.cuh"

// Voxels [z, y, x] of the grid that is made, and along which axes each takes the highest of its sources instead of a
// weighted sum of two; the same struct stands in lines.rs.
struct Lines {
    int size[3];
    int highest[3];
};

// The tables of all axes, one behind the other: the first and the last source of each voxel, and the weights of these.
struct Sources {
    const int* ends;
    const float* weights;
    int highest;
};

__device__ __forceinline__ Sources sources_along(const Lines& lines, int axis, const int* ends, const float* weights) {
    int first = 0;
    for (int before = 0; before < axis; before++) first += lines.size[before];
    return {ends + 2 * first, weights + 2 * first, lines.highest[axis]};
}

// Products are rounded before they are added, as on the CPU.
template <typename Value> __device__ __forceinline__ float along(const Sources& line, int at, Value value) {
    const int low = line.ends[2 * at], high = line.ends[2 * at + 1];
    if (line.highest) {
        float most = 0;
        for (int i = low; i <= high; i++) most = fmaxf(most, value(i));
        return most;
    }
    return __fadd_rn(__fmul_rn(line.weights[2 * at], value(low)), __fmul_rn(line.weights[2 * at + 1], value(high)));
}

// The value of a voxel: along z first, then y, then x.
template <typename Value>
__device__ __forceinline__ float between(const Lines& lines, const int* ends, const float* weights, const int (&at)[3],
                                         Value value) {
    const Sources zs = sources_along(lines, 0, ends, weights), ys = sources_along(lines, 1, ends, weights);
    const Sources xs = sources_along(lines, 2, ends, weights);
    return along(xs, at[2], [&](int x) {
        return along(ys, at[1], [&](int y) { return along(zs, at[0], [&](int z) { return value(z, y, x); }); });
    });
}

// Where voxel i of a grid lies.
__device__ __forceinline__ void place_of(int64_t i, const int (&size)[3], int (&at)[3]) {
    at[2] = i % size[2];
    at[1] = i / size[2] % size[1];
    at[0] = i / size[2] / size[1];
}

// A table on a coarser grid as the voxels of another see it; the same struct stands in lines.rs.
struct Table {
    int coarse[3];
    int size[3];
};

// What the table says of a voxel: `places` has the coarse place of each voxel along z, then y, then x, and -1 beyond it,
// where 0 is said.
__device__ __forceinline__ int look_up(const Table& t, const unsigned char* table, const int* places,
                                       const int (&at)[3]) {
    const int z = places[at[0]], y = places[t.size[0] + at[1]], x = places[t.size[0] + t.size[1] + at[2]];
    if (z < 0 || y < 0 || x < 0) return 0;
    return table[(static_cast<int64_t>(z) * t.coarse[1] + y) * t.coarse[2] + x];
}

// A part of an array in another order of axes; the same struct stands in lines.rs.
struct Strides {
    int origin;
    int step[3];
    int size[3];
};

__device__ __forceinline__ float load(const short* place) { return *place; }

template <typename T> __device__ __forceinline__ float voxel(const T* values, const Strides& s, int z, int y, int x) {
    return load(values + s.origin + static_cast<int64_t>(z) * s.step[0] + static_cast<int64_t>(y) * s.step[1] +
                static_cast<int64_t>(x) * s.step[2]);
}
