// How a block walks over rows of channels: thread t has channel t % width of every (threads / width)th row, so that
// neighbouring threads read neighbouring values. `width` is the channels of the block, at most its threads.
#pragma once
#include "device.cuh"

constexpr int COLUMN_THREADS = 256;

struct Columns {
    int channel;     // of this thread, counted in the tensor
    int lane;        // which of the rows that are read at a time
    int lanes;       // rows that are read at a time
    int begin, end;  // rows of this block
    bool active;
};

// Blocks along x cut the rows into spans, blocks along y the channels into pieces of COLUMN_THREADS.
__device__ __forceinline__ Columns columns(int rows, int channels, int span) {
    Columns c;
    const int first = blockIdx.y * COLUMN_THREADS, width = min(COLUMN_THREADS, channels - first);
    c.lanes = COLUMN_THREADS / width;
    c.lane = threadIdx.x / width;
    c.channel = first + threadIdx.x % width;
    c.begin = blockIdx.x * span;
    c.end = min(c.begin + span, rows);
    c.active = c.lane < c.lanes;
    return c;
}
