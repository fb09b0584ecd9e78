// A scan's voxels on another grid, painted over where a table says so, and what a network sees of them.
#include "lines.cuh"

template <typename T>
__device__ void resample(const T* values, const int* ends, const float* weights, float* to, const Lines& lines,
                         const Strides& s, int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    int at[3];
    place_of(i, lines.size, at);
    to[i] = between(lines, ends, weights, at, [&](int z, int y, int x) { return voxel(values, s, z, y, x); });
}

#define ENTRIES(T, type)                                                                                              \
    KERNEL(256, 1)                                                                                                    \
    resample_##type(const T* values, const int* ends, const float* weights, float* to, Lines lines, Strides strides,  \
                    int64_t count) {                                                                                  \
        resample(values, ends, weights, to, lines, strides, count);                                                   \
    }                                                                                                                 \
    EXPORT_KERNEL(resample_##type, 256);
ENTRIES(short, i16)
ENTRIES(float, f32)

// values[i] = value where the table has a bit of the mask, or where it has none.
KERNEL(256, 1)
paint(float* values, const unsigned char* table, const int* places, Table t, int64_t count, int mask, int where,
      float value) {
    const int64_t i = item();
    if (i >= count) return;
    int at[3];
    place_of(i, t.size, at);
    if (((look_up(t, table, places, at) & mask) != 0) == (where != 0)) values[i] = value;
}
EXPORT_KERNEL(paint, 256);

// Channels of each voxel: windows (low end and width) clipped to 0..1, and lines that depend on x alone where bit c of
// `lined` is set.
KERNEL(256, 1)
make_channels(const float* values, const float* windows, const float* line, float* to, int64_t count, int channels,
              int width, int lined) {
    const int64_t i = item();
    if (i >= count) return;
    const int channel = i % channels;
    const int64_t at = i / channels;
    if (lined >> channel & 1) {
        to[i] = line[at % width];
        return;
    }
    const float share = __fdiv_rn(__fsub_rn(values[at], windows[2 * channel]), windows[2 * channel + 1]);
    to[i] = share > 0 ? fminf(share, 1.0f) : 0.0f;
}
EXPORT_KERNEL(make_channels, 256);
