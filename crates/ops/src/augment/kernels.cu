// What moves the voxels of a patch and its codes, and what a network is shown of it. The host's arithmetic, product by
// product, so that bits are the same; see mod.rs.
#include "device.cuh"

constexpr int LABEL = 3;

// HU as f32, and the row of sides for every row.
KERNEL(256, 1)
augment_begin(const short* hu, const float* row, float* to_hu, float* to_side, int64_t count, int width) {
    const int64_t i = item();
    if (i >= count) return;
    to_hu[i] = hu[i];
    to_side[i] = row[i % width];
}
EXPORT_KERNEL(augment_begin, 256);

// Where the voxels of each axial slice come from; the same struct stands in cuda/moves.rs.
struct Moved {
    int width;
    int plane;    // voxels of a slice
    int origin;   // what the first voxel takes
    int along_y;  // and how far on the next ones are taken from
    int along_x;
    float sign;   // of sides
    int swapped;  // bits of codes that change
};

KERNEL(256, 1)
augment_move(const float* hu, const float* side, const unsigned char* codes, float* to_hu, float* to_side,
             unsigned char* to_codes, Moved m, int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    const int within = i % m.plane, y = within / m.width, x = within % m.width;
    const int64_t from = i - within + m.origin + y * m.along_y + x * m.along_x;
    to_hu[i] = hu[from];
    to_side[i] = m.sign * side[from];
    to_codes[i] = codes[from] ^ m.swapped;
}
EXPORT_KERNEL(augment_move, 256);

// A grid of points that are shifted; the same struct stands in cuda/moves.rs.
struct Splines {
    int points[3];
    float grid_mm;
};

// The first of the four points along an axis that a place feels, and their weights.
struct Place {
    int first;
    float weights[4];
};

__device__ __forceinline__ float cubed(float t) { return __fmul_rn(__fmul_rn(t, t), t); }
__device__ __forceinline__ float inner_weight(float t) {
    const float third = __fmul_rn(__fmul_rn(__fmul_rn(3.0f, t), t), t), second = __fmul_rn(__fmul_rn(6.0f, t), t);
    return __fdiv_rn(__fadd_rn(__fsub_rn(third, second), 4.0f), 6.0f);
}

__device__ __forceinline__ Place place_on(float at_mm, float grid_mm, int points) {
    const float at = __fdiv_rn(at_mm, grid_mm);
    const int first = min(static_cast<int>(at), points - 4);
    const float t = __fsub_rn(at, static_cast<float>(first)), rest = __fsub_rn(1.0f, t);
    return {first, {__fdiv_rn(cubed(rest), 6.0f), inner_weight(t), inner_weight(rest), __fdiv_rn(cubed(t), 6.0f)}};
}

// Shifts of the points along x as each row of voxels feels them: rows [z, y, points, 3].
KERNEL(256, 1)
augment_rows(const float* shifts, float* rows, Splines s, int height, float z_mm, float y_mm, int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    const int column = i % s.points[2], y = i / s.points[2] % height, z = i / s.points[2] / height;
    const Place pz = place_on(__fmul_rn(static_cast<float>(z), z_mm), s.grid_mm, s.points[0]);
    const Place py = place_on(__fmul_rn(static_cast<float>(y), y_mm), s.grid_mm, s.points[1]);
    float sums[3] = {0, 0, 0};
#pragma unroll
    for (int dz = 0; dz < 4; dz++) {
#pragma unroll
        for (int dy = 0; dy < 4; dy++) {
            const float weight = __fmul_rn(pz.weights[dz], py.weights[dy]);
            const float* point =
                shifts + (static_cast<int64_t>((pz.first + dz) * s.points[1] + py.first + dy) * s.points[2] + column) * 3;
#pragma unroll
            for (int k = 0; k < 3; k++) sums[k] = __fadd_rn(sums[k], __fmul_rn(weight, point[k]));
        }
    }
#pragma unroll
    for (int k = 0; k < 3; k++) rows[i * 3 + k] = sums[k];
}
EXPORT_KERNEL(augment_rows, 256);

// Where voxels come from; the same struct stands in cuda/moves.rs.
struct Warped {
    int size[3];    // of what comes out
    int source[3];  // of what is there
    float spacing_mm[3];
    float linear[3][3];
    int points[3];  // of the grid whose shifts `rows` has
    float grid_mm;
    int bent;        // not 0: there are shifts
    int supervised;  // the bit that is lost beyond the patch
};

// The eight voxels around a place.
struct Cell {
    int64_t first, nearest;
    int64_t step[3];  // 0 at the border
    float share[3];
    bool known;
};

__device__ __forceinline__ void place_in_mm(const Warped& w, const float* rows, const int (&at)[3], float (&place)[3]) {
    float shift[3] = {0, 0, 0};
    if (w.bent) {
        const Place px = place_on(__fmul_rn(static_cast<float>(at[2]), w.spacing_mm[2]), w.grid_mm, w.points[2]);
        const float* row =
            rows + ((static_cast<int64_t>(at[0]) * w.size[1] + at[1]) * w.points[2] + px.first) * 3;
#pragma unroll
        for (int dx = 0; dx < 4; dx++) {
#pragma unroll
            for (int k = 0; k < 3; k++) shift[k] = __fadd_rn(shift[k], __fmul_rn(px.weights[dx], row[dx * 3 + k]));
        }
    }
#pragma unroll
    for (int axis = 0; axis < 3; axis++) {
        const float middle = static_cast<float>(w.size[axis] - 1) * 0.5f;
        place[axis] = __fadd_rn(__fmul_rn(__fsub_rn(static_cast<float>(at[axis]), middle), w.spacing_mm[axis]), shift[axis]);
    }
}

__device__ __forceinline__ Cell cell_of(const Warped& w, const float (&place)[3]) {
    const int64_t stride[3] = {static_cast<int64_t>(w.source[1]) * w.source[2], w.source[2], 1};
    Cell c;
    c.first = c.nearest = 0;
    c.known = true;
#pragma unroll
    for (int axis = 0; axis < 3; axis++) {
        const float* row = w.linear[axis];
        const float sum = __fadd_rn(__fadd_rn(__fmul_rn(row[0], place[0]), __fmul_rn(row[1], place[1])),
                                    __fmul_rn(row[2], place[2]));
        const float last = static_cast<float>(w.source[axis] - 1);
        const float wanted = __fadd_rn(__fdiv_rn(sum, w.spacing_mm[axis]), last * 0.5f);
        const float at = fminf(fmaxf(wanted, 0.0f), last);
        if (fabsf(__fsub_rn(wanted, at)) > 0.5f) c.known = false;
        const int below = static_cast<int>(at);
        c.first += below * stride[axis];
        c.share[axis] = __fsub_rn(at, static_cast<float>(below));
        c.step[axis] = below + 1 < w.source[axis] ? stride[axis] : 0;
        c.nearest += static_cast<int>(__fadd_rn(at, 0.5f)) * stride[axis];
    }
    return c;
}

__device__ __forceinline__ float between(float low, float high, float share) {
    return __fadd_rn(low, __fmul_rn(__fsub_rn(high, low), share));
}

__device__ __forceinline__ float linear(const Cell& c, const float* values) {
    const auto line = [&](int64_t at) { return between(values[at], values[at + c.step[2]], c.share[2]); };
    const auto plane = [&](int64_t at) { return between(line(at), line(at + c.step[1]), c.share[1]); };
    return between(plane(c.first), plane(c.first + c.step[0]), c.share[0]);
}

KERNEL(256, 1)
augment_warp(const float* hu, const float* side, const unsigned char* codes, const float* rows, float* to_hu,
             float* to_side, unsigned char* to_codes, Warped w, int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    const int at[3] = {static_cast<int>(i / w.size[2] / w.size[1]), static_cast<int>(i / w.size[2] % w.size[1]),
                       static_cast<int>(i % w.size[2])};
    float place[3];
    place_in_mm(w, rows, at, place);
    const Cell c = cell_of(w, place);
    to_hu[i] = linear(c, hu);
    to_side[i] = linear(c, side);
    to_codes[i] = c.known ? codes[c.nearest] : codes[c.nearest] & ~w.supervised;
}
EXPORT_KERNEL(augment_warp, 256);

// How a patch is cut into cubes; the same struct stands in cuda/moves.rs.
struct Cubes {
    int size[3];   // voxels
    int count[3];  // cubes
};

// The label of each cube, a warp a cube. `firsts`: for each axis the first voxel of each cube, and the end of the last.
KERNEL(256, 1)
augment_label_cubes(const unsigned char* codes, const int* firsts, unsigned char* labels, Cubes c, int64_t count,
                    float min_share) {
    const int64_t cube = item() / 32;
    if (cube >= count) return;
    const int lane = threadIdx.x % 32;
    const int at[3] = {static_cast<int>(cube / c.count[2] / c.count[1]), static_cast<int>(cube / c.count[2] % c.count[1]),
                       static_cast<int>(cube % c.count[2])};
    int low[3], edge[3];
    const int* axis_firsts = firsts;
#pragma unroll
    for (int axis = 0; axis < 3; axis++) {
        low[axis] = axis_firsts[at[axis]];
        edge[axis] = axis_firsts[at[axis] + 1] - low[axis];
        axis_firsts += c.count[axis] + 1;
    }
    const int voxels = edge[0] * edge[1] * edge[2];
    int artery = 0, vein = 0, airway = 0;
    for (int voxel = lane; voxel < voxels; voxel += 32) {
        const int x = low[2] + voxel % edge[2], y = low[1] + voxel / edge[2] % edge[1];
        const int z = low[0] + voxel / edge[2] / edge[1];
        const int label = codes[(static_cast<int64_t>(z) * c.size[1] + y) * c.size[2] + x] & LABEL;
        artery += label == 1;
        vein += label == 2;
        airway += label == 3;
    }
#pragma unroll
    for (int bit = 16; bit > 0; bit /= 2) {
        artery += __shfl_xor_sync(~0u, artery, bit);
        vein += __shfl_xor_sync(~0u, vein, bit);
        airway += __shfl_xor_sync(~0u, airway, bit);
    }
    if (lane != 0) return;
    const float least = __fmul_rn(min_share, static_cast<float>(voxels));
    const int vessels = artery + vein;
    int label = 0;
    if (static_cast<float>(vessels) >= least && vessels > 0) label = artery >= vein ? 1 : 2;
    else if (static_cast<float>(airway) >= least && airway > 0) label = 3;
    labels[cube] = label;
}
EXPORT_KERNEL(augment_label_cubes, 256);

// Each voxel's code with the label of its cube. `cube_of`: the cube of each voxel along z, then y, then x.
KERNEL(256, 1)
augment_take_labels(const unsigned char* codes, const int* cube_of, const unsigned char* labels, unsigned char* to,
                    Cubes c, int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    const int x = i % c.size[2], y = i / c.size[2] % c.size[1], z = i / c.size[2] / c.size[1];
    const int cz = cube_of[z], cy = cube_of[c.size[0] + y], cx = cube_of[c.size[0] + c.size[1] + x];
    to[i] = (codes[i] & ~LABEL) | labels[(static_cast<int64_t>(cz) * c.count[1] + cy) * c.count[2] + cx];
}
EXPORT_KERNEL(augment_take_labels, 256);

// Channels of each voxel: windows (low end and width) clipped to 0..1, and the side where bit c of `sided` is set.
KERNEL(256, 1)
augment_channels(const float* hu, const float* side, const float* windows, float* to, int64_t count, int channels,
                 int sided) {
    const int64_t i = item();
    if (i >= count) return;
    const int channel = i % channels;
    const int64_t at = i / channels;
    if (sided >> channel & 1) {
        to[i] = side[at];
        return;
    }
    const float share = __fdiv_rn(__fsub_rn(hu[at], windows[2 * channel]), windows[2 * channel + 1]);
    to[i] = share > 0 ? fminf(share, 1.0f) : 0.0f;
}
EXPORT_KERNEL(augment_channels, 256);

// Codes that one warp looks at.
constexpr int CODES_A_WARP = 2048;

// found[w] = whether warp w saw a code without any of these bits.
KERNEL(256, 1)
augment_any_without(const unsigned char* codes, unsigned char* found, int64_t count, int bits) {
    const int64_t warp = item() / 32, first = warp * CODES_A_WARP;
    if (first >= count) return;
    const int lane = threadIdx.x % 32;
    const int64_t end = min(first + CODES_A_WARP, count);
    int seen = 0;
    for (int64_t at = first + lane; at < end; at += 32) seen |= (codes[at] & bits) == 0;
    const int any = __any_sync(~0u, seen);
    if (lane == 0) found[warp] = any;
}
EXPORT_KERNEL(augment_any_without, 256);
