// Interpolation in space, nearest or trilinear, and its transpose. Every thread gathers, so nothing is added twice.
#include "device.cuh"

struct Grids {
    int from[3], to[3], channels, linear;
};

// What the output index reads along an axis: weight `first` of `index`, the rest of the next.
struct Pair {
    int index;
    float first;
};

__device__ __forceinline__ Pair pair(int i, int from, int to, bool linear) {
    const float scale = static_cast<float>(from) / static_cast<float>(to);
    if (!linear) return {min(static_cast<int>(__fmul_rn(static_cast<float>(i), scale)), from - 1), 1};
    const float position = fmaxf(__fadd_rn(__fmul_rn(i + 0.5f, scale), -0.5f), 0.0f);
    const int index = min(static_cast<int>(position), from - 1);
    return {index, index + 1 == from ? 1.0f : 1.0f - (position - index)};
}

// The weight with which the output index reads the input index.
__device__ __forceinline__ float weight(int output, int input, int from, int to, bool linear) {
    const Pair p = pair(output, from, to, linear);
    return p.index == input ? p.first : p.index + 1 == input ? 1.0f - p.first : 0.0f;
}

template <typename T> __device__ void forward(const T* x, T* y, int64_t count, const Grids& g) {
    const int64_t i = item();
    if (i >= count) return;
    const int channel = i % g.channels;
    int64_t voxel = i / g.channels;
    Pair p[3];
    for (int axis = 2; axis >= 0; axis--) {
        p[axis] = pair(voxel % g.to[axis], g.from[axis], g.to[axis], g.linear);
        voxel /= g.to[axis];
    }
    float sum = 0;
    for (int corner = 0; corner < 8; corner++) {
        int64_t place = voxel;
        float share = 1;
        for (int axis = 0; axis < 3; axis++) {
            const int next = corner >> (2 - axis) & 1;
            place = place * g.from[axis] + p[axis].index + next;
            share *= next ? 1.0f - p[axis].first : p[axis].first;
        }
        if (share != 0) sum += share * load(x + place * g.channels + channel);
    }
    store(y + i, sum);
}

// Output indices that may read an input index: begin to end.
__device__ __forceinline__ void readers(int input, int from, int to, int& begin, int& end) {
    const float scale = static_cast<float>(to) / static_cast<float>(from);
    begin = input == 0 ? 0 : max(0, static_cast<int>((input - 0.5f) * scale - 0.5f) - 2);
    end = input + 1 == from ? to : min(to, static_cast<int>((input + 1.5f) * scale - 0.5f) + 3);
}

template <typename T> __device__ void backward(const T* grad, T* dx, int64_t count, const Grids& g) {
    const int64_t i = item();
    if (i >= count) return;
    const int channel = i % g.channels;
    int64_t voxel = i / g.channels;
    int input[3], begin[3], end[3];
    for (int axis = 2; axis >= 0; axis--) {
        input[axis] = voxel % g.from[axis];
        readers(input[axis], g.from[axis], g.to[axis], begin[axis], end[axis]);
        voxel /= g.from[axis];
    }
    float sum = 0;
    for (int z = begin[0]; z < end[0]; z++) {
        const float along_z = weight(z, input[0], g.from[0], g.to[0], g.linear);
        if (along_z == 0) continue;
        for (int y = begin[1]; y < end[1]; y++) {
            const float along_y = along_z * weight(y, input[1], g.from[1], g.to[1], g.linear);
            if (along_y == 0) continue;
            for (int x = begin[2]; x < end[2]; x++) {
                const float share = along_y * weight(x, input[2], g.from[2], g.to[2], g.linear);
                const int64_t place = ((voxel * g.to[0] + z) * g.to[1] + y) * g.to[2] + x;
                if (share != 0) sum += share * load(grad + place * g.channels + channel);
            }
        }
    }
    store(dx + i, sum);
}

#define ENTRIES(T, type)                                                                                               \
    KERNEL(256, 1) upsample_##type(const T* x, T* y, int64_t count, const Grids g) { forward(x, y, count, g); }        \
    EXPORT_KERNEL(upsample_##type, 256);                                                                               \
    KERNEL(256, 1) upsample_backward_##type(const T* grad, T* dx, int64_t count, const Grids g) {                      \
        backward(grad, dx, count, g);                                                                                  \
    }                                                                                                                  \
    EXPORT_KERNEL(upsample_backward_##type, 256);
ENTRIES(float, f32)
ENTRIES(bf16, bf16)
