// Labels on a scan's own grid: decided by what was found on another one, and their walls moved to where the scan has
// them.
#include "lines.cuh"

// The box of the other grid that has values; the same struct stands in cuda.rs.
struct Box {
    int low[3];
    int size[3];
    int maps;
};

// What a map stands for; the same struct stands in mod.rs.
struct Rule {
    int value;     // its label
    int narrower;  // bits of the maps that go before it
    int mask;      // it counts where the table, masked, is `code`
    int code;
};

constexpr float THRESHOLD = 0.5f;

// labels[i] = the value of the highest map above the threshold; of equals the first. A map gives way to a narrower one
// that is above too.
KERNEL(256, 1)
decide(const float* found, const int* ends, const float* weights, const unsigned char* table, const int* places,
       const int* rule_numbers, unsigned char* labels, Lines lines, Table t, Box box, int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    int at[3];
    place_of(i, lines.size, at);
    const int code = look_up(t, table, places, at);
    const Rule* rules = reinterpret_cast<const Rule*>(rule_numbers);
    const auto value_of = [&](int map) {
        return between(lines, ends, weights, at, [&](int z, int y, int x) {
            const int bz = z - box.low[0], by = y - box.low[1], bx = x - box.low[2];
            const bool inside = static_cast<unsigned>(bz) < static_cast<unsigned>(box.size[0]) &&
                                static_cast<unsigned>(by) < static_cast<unsigned>(box.size[1]) &&
                                static_cast<unsigned>(bx) < static_cast<unsigned>(box.size[2]);
            if (!inside) return 0.0f;
            return found[((static_cast<int64_t>(bz) * box.size[1] + by) * box.size[2] + bx) * box.maps + map];
        });
    };
    unsigned above = 0;
    for (int map = 0; map < box.maps; map++)
        if ((code & rules[map].mask) == rules[map].code && value_of(map) > THRESHOLD) above |= 1u << map;
    float most = THRESHOLD;
    int label = 0;
    for (int map = 0; map < box.maps; map++) {
        if (!(above >> map & 1) || (above & rules[map].narrower)) continue;
        const float value = value_of(map);
        if (value > most) {
            most = value;
            label = rules[map].value;
        }
    }
    labels[i] = label;
}
EXPORT_KERNEL(decide, 256);

// How walls are looked for; the same struct stands in mod.rs.
struct Walls {
    float above;     // voxels without a label but above this may get one
    float darkest;   // no wall is darker
    float dim;       // half-way between this and the brightest voxel around is the wall
    float bright;    // where nothing counts as brighter
    int near_steps;  // steps to look for labels at, nearest first
    int peak_steps;  // and for the brightest voxel
    int mask;        // where the table has none of these bits, labels stay
};

// A step and which of the lengths it has.
struct Step {
    int by[3];
    int rank;
};

// Whether a step stays inside, and where it leads.
__device__ __forceinline__ bool moved(const Step& step, const int (&at)[3], const int (&size)[3], int (&to)[3]) {
    bool inside = true;
#pragma unroll
    for (int axis = 0; axis < 3; axis++) {
        to[axis] = at[axis] + step.by[axis];
        inside = inside && static_cast<unsigned>(to[axis]) < static_cast<unsigned>(size[axis]);
    }
    return inside;
}

template <typename T>
__device__ void refine(const T* scan, const unsigned char* labels, const unsigned char* table, const int* places,
                       const int* step_numbers, unsigned char* refined, const Strides& s, const Table& t,
                       const Walls& walls, int64_t count) {
    const int64_t i = item();
    if (i >= count) return;
    int at[3], to[3];
    place_of(i, t.size, at);
    const Step* near = reinterpret_cast<const Step*>(step_numbers);
    const Step* peak = near + walls.near_steps;
    const float value = voxel(scan, s, at[0], at[1], at[2]);
    const auto is_below_half = [&]() {
        if (value <= walls.darkest) return true;
        if (value > fmaxf((walls.dim + walls.bright) * 0.5f, walls.darkest)) return false;
        float brightest = -3.402823466e38f;
        for (int step = 0; step < walls.peak_steps; step++)
            if (moved(peak[step], at, t.size, to)) brightest = fmaxf(brightest, voxel(scan, s, to[0], to[1], to[2]));
        return value <= fmaxf((walls.dim + fminf(brightest, walls.bright)) * 0.5f, walls.darkest);
    };
    int label = labels[i];
    if (look_up(t, table, places, at) & walls.mask) {
        if (label != 0) {
            if (is_below_half()) label = 0;
        } else if (value > walls.above) {
            int nearest = 0, rank = 0;
            for (int step = 0; step < walls.near_steps; step++) {
                if (nearest != 0 && near[step].rank > rank) break;
                if (!moved(near[step], at, t.size, to)) continue;
                const int other = labels[(static_cast<int64_t>(to[0]) * t.size[1] + to[1]) * t.size[2] + to[2]];
                if (other == 0 || (nearest != 0 && other >= nearest)) continue;
                nearest = other;
                rank = near[step].rank;
            }
            if (nearest != 0 && !is_below_half()) label = nearest;
        }
    }
    refined[i] = label;
}

#define ENTRIES(T, type)                                                                                            \
    KERNEL(256, 1)                                                                                                  \
    refine_##type(const T* scan, const unsigned char* labels, const unsigned char* table, const int* places,        \
                  const int* steps, unsigned char* refined, Strides s, Table t, Walls walls, int64_t count) {       \
        refine(scan, labels, table, places, steps, refined, s, t, walls, count);                                    \
    }                                                                                                               \
    EXPORT_KERNEL(refine_##type, 256);
ENTRIES(short, i16)
ENTRIES(float, f32)
