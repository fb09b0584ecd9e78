// Labels for voxels that nobody labelled; see mod.rs and cpu.rs.
#include "device.cuh"

constexpr int THREADS = 256;
// Voxels that one block labels.
constexpr int SPAN = 4096;
constexpr int CLASSES = 3, CODES = 64;
constexpr int LABEL = 3, RIGHT = 4, SUPERVISED = 8, ACCEPTED = 16, IGNORE = 64;
// Of each class: voxels, accepted, confidence, referenced, predicted, agreed.
constexpr int KINDS = 6, NUMBERS = CLASSES * KINDS;
// A map's role: its class, whether it is confined to a side, and that side's bit.
constexpr int ROLE_CLASS = 3, ROLE_SIDED = 8;

struct Opinion {
    int label;
    double confidence;
};

template <typename T>
__device__ __forceinline__ Opinion opinion(const T* logits, const uint8_t* roles, int maps, int code) {
    float first = 0, second = 0;
    for (int map = 0; map < maps; map++) {
        const int role = roles[map];
        if ((role & ROLE_CLASS) == 0 || ((role & ROLE_SIDED) && (role & RIGHT) != (code & RIGHT))) continue;
        const float p = 1.0f / (1.0f + expf(-load(logits + map)));
        if ((role & ROLE_CLASS) == 1) first = fmaxf(first, p);
        else second = fmaxf(second, p);
    }
    const float none = (1.0f - first) * (1.0f - second), a = first * (1.0f - second), b = second * (1.0f - first);
    Opinion found = {0, none};
    if (a > found.confidence) found = {1, a};
    if (b > found.confidence) found = {2, b};
    found.confidence /= fmax(static_cast<double>(none + a + b), 1e-12);
    return found;
}

// Whether the reference says of a voxel if it is of a class; `knows` has a bit for each of the two.
__device__ __forceinline__ bool is_known(int code, int knows, int label) {
    return (code & SUPERVISED) && label > 0 && (knows >> (label - 1) & 1);
}

// A voxel's code with its label; what was seen is added to `seen`.
__device__ __forceinline__ int labelled(int code, int knows, const Opinion& found, const double* thresholds,
                                        float (&seen)[NUMBERS]) {
    const int place = code & (RIGHT | SUPERVISED), reference = code & LABEL;
    const bool whole = (code & SUPERVISED) && knows == 3;
#pragma unroll
    for (int label = 0; label < CLASSES; label++) {
        if (!whole && !is_known(code, knows, label)) continue;
        float* own = seen + label * KINDS;
        own[3] += reference == label ? 1.0f : 0.0f;
        own[4] += found.label == label ? 1.0f : 0.0f;
        own[5] += reference == label && found.label == label ? 1.0f : 0.0f;
    }
    if (whole) return place;
    if (is_known(code, knows, reference)) return place | reference | ACCEPTED;
    if (is_known(code, knows, found.label)) return place;
    bool accepted = false;
#pragma unroll
    for (int label = 0; label < CLASSES; label++) {
        if (found.label != label) continue;
        accepted = found.confidence >= thresholds[label];
        seen[label * KINDS] += 1.0f;
        seen[label * KINDS + 1] += accepted ? 1.0f : 0.0f;
        seen[label * KINDS + 2] += static_cast<float>(found.confidence);
    }
    return accepted ? place | found.label | ACCEPTED : place;
}

// A block takes SPAN voxels of sample blockIdx.y. `rules` [samples, 1 + maps + maps * CODES]: what is known, the roles,
// the tables. `parts` [samples, blocks, NUMBERS].
template <typename T>
__device__ __forceinline__ void label_block(const T* logits, const uint8_t* codes, const uint8_t* rules,
                                            uint8_t* targets, float* parts, int64_t voxels, int maps,
                                            const double* thresholds) {
    __shared__ float shared[NUMBERS][THREADS];
    const int thread = static_cast<int>(threadIdx.x);
    const uint8_t* own = rules + static_cast<int64_t>(blockIdx.y) * (1 + maps + maps * CODES);
    const uint8_t *roles = own + 1, *table = roles + maps;
    const int64_t first = static_cast<int64_t>(blockIdx.x) * SPAN, end = min(first + SPAN, voxels);
    float seen[NUMBERS] = {};
    for (int64_t at = first + thread; at < end; at += THREADS) {
        const int64_t voxel = static_cast<int64_t>(blockIdx.y) * voxels + at;
        const int code = codes[voxel];
        int result = code & (RIGHT | SUPERVISED);
        if (!(code & IGNORE))
            result = labelled(code, own[0], opinion(logits + voxel * maps, roles, maps, code), thresholds, seen);
        for (int map = 0; map < maps; map++) targets[voxel * maps + map] = table[map * CODES + result % CODES];
    }
#pragma unroll
    for (int number = 0; number < NUMBERS; number++) shared[number][thread] = seen[number];
    __syncthreads();
    if (thread >= NUMBERS) return;
    float total = 0;
    for (int from = 0; from < THREADS; from++) total += shared[thread][from];
    parts[(static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * NUMBERS + thread] = total;
}

#define ENTRIES(T, type)                                                                                              \
    KERNEL(THREADS, 1)                                                                                                \
    pseudo_label_##type(const T* logits, const uint8_t* codes, const uint8_t* rules, uint8_t* targets, float* parts,  \
                        int64_t voxels, int maps, double none, double first, double second) {                         \
        const double thresholds[CLASSES] = {none, first, second};                                                     \
        label_block(logits, codes, rules, targets, parts, voxels, maps, thresholds);                                  \
    }                                                                                                                 \
    EXPORT_KERNEL(pseudo_label_##type, THREADS);
ENTRIES(float, f32)
ENTRIES(bf16, bf16)
