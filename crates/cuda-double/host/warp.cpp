// What lanes of a warp do together, and asynchronous copies.
#include "runtime.h"

#if defined(EMU_TSAN)
extern "C" void __tsan_read_range(void*, unsigned long);
extern "C" void __tsan_write_range(void*, unsigned long);
#endif

namespace emu {
void nothing(uint32_t, void**) {}

void exchange(uint32_t mask, void** lanes) {
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        const unsigned lane = __builtin_ctz(rest);
        Exchange& e = *static_cast<Exchange*>(lanes[lane]);
        if (!(mask >> e.source & 1)) fail("lane %u takes from lane %u, which does not take part", lane, e.source);
        e.out = static_cast<Exchange*>(lanes[e.source])->in;
    }
}

void vote(uint32_t mask, void** lanes) {
    uint32_t votes = 0;
    for (uint32_t rest = mask; rest; rest &= rest - 1)
        votes |= static_cast<Vote*>(lanes[__builtin_ctz(rest)])->in << __builtin_ctz(rest);
    for (uint32_t rest = mask; rest; rest &= rest - 1) static_cast<Vote*>(lanes[__builtin_ctz(rest)])->out = votes;
}

namespace {
void check(const void* place, unsigned bytes, const char* what) {
    const Block& b = worker->block;
    const auto at = static_cast<const unsigned char*>(place);
    if (reinterpret_cast<uintptr_t>(place) % bytes) fail("%s: a shared address is no multiple of %u", what, bytes);
    // Arrays of a fixed size lie elsewhere than the block's dynamic memory; those inside it are held to its end.
    if (at >= b.shared && at < b.shared + b.shared_bytes + 1024 && at + bytes > b.shared + b.shared_bytes)
        fail("%s: byte %td of %zu", what, at - b.shared, b.shared_bytes);
}

void copy_now(const Copy& c) {
    if (c.valid) {
        TSAN(__tsan_read_range(const_cast<void*>(c.from), c.bytes));
        memcpy(c.to, c.from, c.bytes);
    } else {
        memset(c.to, 0, c.bytes);
    }
    TSAN(__tsan_write_range(c.to, c.bytes));
}

template <unsigned K, class Left, class Right> void multiply(void** lanes, Left left, Right right) {
    float a[16][K], b[K][8];
    for (unsigned lane = 0; lane < 32; lane++) {
        const Product& p = *static_cast<Product*>(lanes[lane]);
        left(p, lane / 4, lane % 4, a), right(p, lane / 4, lane % 4, b);
    }
    for (unsigned lane = 0; lane < 32; lane++) {
        const Product& p = *static_cast<Product*>(lanes[lane]);
        for (unsigned i = 0; i < 4; i++) {
            const unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
            for (unsigned k = 0; k < K; k++) p.d[i] += a[row][k] * b[k][column];
        }
    }
}

float upper(uint32_t bits) { return __uint_as_float(bits & 0xffff0000); }
float lower(uint32_t bits) { return __uint_as_float(bits << 16); }
float tf32(uint32_t bits) { return __uint_as_float(bits & ~0x1fffu); }
}  // namespace

void copy_async(void* shared, const void* source, unsigned bytes, bool valid) {
    check(shared, bytes, "cp.async");
    if (reinterpret_cast<uintptr_t>(source) % bytes) fail("cp.async: the source is no multiple of %u", bytes);
    Runner& r = me();
    const Copy copy{shared, source, bytes, r.committed, valid};
    if (settings().copies == Copies::Early) copy_now(copy);
    else r.copies.push_back(copy);
}

void copy_commit() { me().committed++; }

void copy_wait(unsigned left) {
    Runner& r = me();
    size_t done = 0;
    while (done < r.copies.size() && r.copies[done].group + left < r.committed) copy_now(r.copies[done++]);
    r.copies.erase(r.copies.begin(), r.copies.begin() + static_cast<std::ptrdiff_t>(done));
}

// Where elements lie: PTX ISA, "Matrix Fragments for mma.m16n8k16" and ".m16n8k8".
void multiply_bf16(uint32_t mask, void** lanes) {
    if (mask != ~0u) fail("mma without the whole warp");
    multiply<16>(
        lanes,
        [](const Product& p, unsigned group, unsigned member, float (&a)[16][16]) {
            for (unsigned i = 0; i < 4; i++) {
                float* row = &a[group + i % 2 * 8][2 * member + i / 2 * 8];
                row[0] = lower(p.a[i]), row[1] = upper(p.a[i]);
            }
        },
        [](const Product& p, unsigned group, unsigned member, float (&b)[16][8]) {
            for (unsigned i = 0; i < 2; i++) {
                const unsigned k = 2 * member + i * 8;
                b[k][group] = lower(p.b[i]), b[k + 1][group] = upper(p.b[i]);
            }
        });
}

void multiply_tf32(uint32_t mask, void** lanes) {
    if (mask != ~0u) fail("mma without the whole warp");
    multiply<8>(
        lanes,
        [](const Product& p, unsigned group, unsigned member, float (&a)[16][8]) {
            for (unsigned i = 0; i < 4; i++) a[group + i % 2 * 8][member + i / 2 * 4] = tf32(p.a[i]);
        },
        [](const Product& p, unsigned group, unsigned member, float (&b)[8][8]) {
            for (unsigned i = 0; i < 2; i++) b[member + i * 4][group] = tf32(p.b[i]);
        });
}

namespace {
// Row `row` of a matrix of wgmma: where its 16-byte chunk lies, checked. Bits as the PTX ISA has them.
const uint16_t* chunk_of(uint64_t matrix, unsigned row, unsigned chunk) {
    if (matrix >> 62 != 1 || matrix & 0x38) fail("wgmma: a matrix without the swizzle of 128 bytes, or out of its pattern");
    uint64_t at = ((matrix & 0x3fff) << 4) + row / 8 * ((matrix >> 32 & 0x3fff) << 4) + row % 8 * 128 + chunk * 16;
    at ^= (at >> 7 & 7) << 4;
    const Block& b = worker->block;
    if (at + 16 > b.shared_bytes) fail("wgmma: byte %zu of %zu", size_t(at), b.shared_bytes);
    TSAN(__tsan_read_range(b.shared + at, 16));
    return reinterpret_cast<const uint16_t*>(b.shared + at);
}

void values_of(uint64_t matrix, unsigned row, float (&values)[16]) {
    for (unsigned i = 0; i < 16; i++) values[i] = lower(chunk_of(matrix, row, i / 8)[i % 8]);
}

// A warp's share, 16 rows by all columns, of the product that is `at` places from the first under way.
void finish_product(uint32_t warp, size_t at) {
    Runner* const lanes = &worker->runners[warp * 32];
    const GroupProduct p = lanes[0].products[at].product;
    float a[16][16], b[16];
    for (unsigned row = 0; row < 16; row++) values_of(p.a, warp % 4 * 16 + row, a[row]);
    for (unsigned column = 0; column < p.columns; column++) {
        values_of(p.b, column, b);
        for (unsigned row = 0; row < 16; row++) {
            const unsigned lane = row % 8 * 4 + column % 8 / 2;
            float& sum = lanes[lane].products[at].product.d[column / 8][row / 8 * 2 + column % 2];
            for (unsigned k = 0; k < 16; k++) sum += a[row][k] * b[k];
        }
    }
}
}  // namespace

// Late, as copies can be, a product is formed where it is waited for.
void multiply_group(uint32_t mask, void** lanes) {
    if (mask != ~0u) fail("wgmma without the whole warp");
    const uint32_t warp = me().warp;
    const GroupProduct& first = *static_cast<GroupProduct*>(lanes[0]);
    for (unsigned lane = 0; lane < 32; lane++) {
        const GroupProduct& p = *static_cast<GroupProduct*>(lanes[lane]);
        if (p.a != first.a || p.b != first.b) fail("wgmma: a matrix a lane");
        Runner& r = worker->runners[warp * 32 + lane];
        r.products.push_back({p, r.committed_products});
    }
    for (unsigned row = 0; row < 16; row++) chunk_of(first.a, warp % 4 * 16 + row, 1);
    for (unsigned column = 0; column < first.columns; column++) chunk_of(first.b, column, 1);
    if (settings().copies == Copies::Early) finish_product(warp, me().products.size() - 1);
}

void commit_group(uint32_t mask, void**) {
    if (mask != ~0u) fail("wgmma.commit_group without the whole warp");
    for (unsigned lane = 0; lane < 32; lane++) worker->runners[me().warp * 32 + lane].committed_products++;
}

void wait_groups(uint32_t mask, void** lanes) {
    if (mask != ~0u) fail("wgmma.wait_group without the whole warp");
    const unsigned left = *static_cast<unsigned*>(lanes[0]);
    const Runner& r = me();
    std::ptrdiff_t done = 0;
    for (; size_t(done) < r.products.size() && r.products[done].group + left < r.committed_products; done++)
        if (settings().copies == Copies::Late) finish_product(r.warp, size_t(done));
    for (unsigned lane = 0; lane < 32; lane++) {
        auto& products = worker->runners[r.warp * 32 + lane].products;
        products.erase(products.begin(), products.begin() + done);
    }
}

void load_matrices(uint32_t mask, void** lanes) {
    if (mask != ~0u) fail("ldmatrix without the whole warp");
    const unsigned count = static_cast<Rows*>(lanes[0])->count;
    const uint16_t* rows[32];
    for (unsigned lane = 0; lane < count * 8; lane++) {
        rows[lane] = static_cast<const uint16_t*>(static_cast<Rows*>(lanes[lane])->row);
        check(rows[lane], 16, "ldmatrix");
        TSAN(__tsan_read_range(const_cast<uint16_t*>(rows[lane]), 16));
    }
    for (unsigned matrix = 0; matrix < count; matrix++)
        for (unsigned lane = 0; lane < 32; lane++) {
            Rows& r = *static_cast<Rows*>(lanes[lane]);
            const uint16_t* const* m = rows + matrix * 8;
            const unsigned i = lane / 4, j = lane % 4 * 2;
            const uint16_t low = r.transposed ? m[j][i] : m[i][j];
            const uint16_t high = r.transposed ? m[j + 1][i] : m[i][j + 1];
            r.registers[matrix] = low | static_cast<uint32_t>(high) << 16;
        }
}
}  // namespace emu
