// Channels of one tensor copied into another: joins two tensors, and cuts one.
#include "device.cuh"

// to[row][to_first + c] = from[row][from_first + c] for `count` channels c.
template <typename T>
__device__ void copy_channels(const T* from, T* to, int64_t rows, int from_channels, int from_first, int to_channels,
                              int to_first, int count) {
    const int64_t i = item();
    if (i >= rows * count) return;
    const int64_t row = i / count;
    const int channel = i % count;
    to[row * to_channels + to_first + channel] = from[row * from_channels + from_first + channel];
}

#define ENTRIES(T, type)                                                                                               \
    KERNEL(256, 1)                                                                                                     \
    copy_channels_##type(const T* from, T* to, int64_t rows, int from_channels, int from_first, int to_channels,       \
                         int to_first, int count) {                                                                    \
        copy_channels(from, to, rows, from_channels, from_first, to_channels, to_first, count);                        \
    }                                                                                                                  \
    EXPORT_KERNEL(copy_channels_##type, 256);
ENTRIES(float, f32)
ENTRIES(bf16, bf16)
