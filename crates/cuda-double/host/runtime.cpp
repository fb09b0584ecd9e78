// Built without sanitizers where the kernels are built with them, so that a race detector sees the kernels' accesses alone.
#include "runtime.h"

#include <sys/mman.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace emu {
thread_local Thread* self;
thread_local Worker* worker;

namespace {
constexpr size_t STACK = 256 << 10, PAGE = 4096;

void begin() {
    Worker& w = *worker;
    Runner& runner = me();
    TSAN(__tsan_acquire(&w.alive));
    w.kernel->entry.call(w.parameters);
    TSAN(__tsan_release(&w.alive));
    w.end(runner);
    w.go_on(runner);
    abort();
}
}  // namespace

Worker::Worker() {
    void* map = mmap(nullptr, MOST_THREADS * STACK, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED) abort();
    stacks = static_cast<char*>(map);
    for (unsigned i = 0; i < MOST_THREADS; i++) {
        mprotect(stacks + i * STACK, PAGE, PROT_NONE);  // a stack that overruns faults
        runners[i].fiber.stack = stacks + i * STACK + PAGE;
        runners[i].fiber.stack_bytes = STACK - PAGE;
    }
}

Worker::~Worker() {
    TSAN(for (Runner& r : runners) if (r.fiber.tsan) __tsan_destroy_fiber(r.fiber.tsan));
    munmap(stacks, MOST_THREADS * STACK);
}

void Worker::set(const Kernel& k, void* const* p, dim3 grid, dim3 size, size_t shared_bytes) {
    kernel = &k, parameters = p;
    error.clear();
    shared.assign(shared_bytes + 1024, 0xff);
    const uintptr_t start = reinterpret_cast<uintptr_t>(shared.data());
    block.shared = shared.data() + (1024 - start % 1024) % 1024;
    block.shared_bytes = shared_bytes, block.size = size, block.grid = grid;
}

// Runs one block, from the first thread's start to the last one's end.
void Worker::run(dim3 index) {
    block.index = index;
    count = alive = block.size.x * block.size.y * block.size.z;
    at_barrier = 0;
    memset(ready, 0, sizeof ready);
    memset(static_cast<void*>(warps), 0, sizeof warps);
    memset(shared.data(), 0xff, shared.size());  // NaN
    for (unsigned place = 0; place < count; place++) {
        const unsigned number = settings().order == Order::First ? place : count - 1 - place;
        order[place] = number;
        start(runners[number], number, place);
    }
    TSAN(main.tsan = __tsan_get_current_fiber(); __tsan_release(&alive));
    Runner& first = *next();
    self = &first;
    change(main, first.fiber);
    TSAN(__tsan_acquire(&alive));
    self = nullptr;
}

void Worker::start(Runner& r, unsigned number, unsigned place) {
    const dim3 s = block.size;
    r.index = {number % s.x, number / s.x % s.y, number / (s.x * s.y)};
    r.lane = number % 32, r.warp = number / 32, r.block = &block;
    r.place = place, r.waits_at = 0, r.ended = false, r.committed = r.committed_products = 0;
    r.copies.clear(), r.products.clear();
    ready[place / 64] |= 1ull << place % 64;
    prepare(r.fiber, begin);
}

void Worker::wait(Runner& r, int line) {
    r.waits_at = line;
    ready[r.place / 64] &= ~(1ull << r.place % 64);
    go_on(r);
}

void Worker::wake(Runner& r) {
    r.waits_at = 0;
    ready[r.place / 64] |= 1ull << r.place % 64;
}

// Always the first in the order that can: one thread gets as far ahead of the others as it ever could.
Runner* Worker::next() {
    for (unsigned word = 0; word * 64 < count; word++)
        if (ready[word]) return &runners[order[word * 64 + __builtin_ctzll(ready[word])]];
    return nullptr;
}

// From a thread that cannot go on to one that can; back to the worker where all have ended.
void Worker::go_on(Runner& from) {
    Runner* to = next();
    if (!to && alive) {
        std::string where;
        for (unsigned i = 0, told = 0; i < count && told < 4; i++)
            if (!runners[i].ended)
                where += " thread " + std::to_string(i) + " waits at line " + std::to_string(runners[i].waits_at), told++;
        fail("nobody can go on:%s", where.c_str());
    }
    self = to;
    change(from.fiber, to ? to->fiber : main);
}

void Worker::open_barrier() {
    at_barrier = 0;
    for (unsigned i = 0; i < count; i++)
        if (!runners[i].ended) wake(runners[i]);
}

void Worker::end(Runner& r) {
    if (!r.products.empty()) fail("it ends while products of wgmma are under way");
    r.ended = true;
    alive--;
    ready[r.place / 64] &= ~(1ull << r.place % 64);
    Warp& warp = warps[r.warp];
    warp.ended |= 1u << r.lane;
    for (unsigned i = 0; i < warp.used; i++)
        if (warp.meetings[i].arrived && warp.meetings[i].mask >> r.lane & 1)
            fail("lane %u ended while its warp waits for it at line %d", r.lane, warp.meetings[i].line);
    if (alive && at_barrier == alive) open_barrier();
}

void fail(const char* format, ...) {
    char text[512], where[128];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    Worker& w = *worker;
    Runner& r = me();
    const dim3 b = w.block.index, t = r.index;
    snprintf(where, sizeof where, "block (%u,%u,%u) thread (%u,%u,%u): ", b.x, b.y, b.z, t.x, t.y, t.z);
    w.error = std::string(where) + text;
    change(r.fiber, w.main);  // what the fibers hold is given up
    abort();
}

void barrier(int line) {
    Worker& w = *worker;
    if (w.at_barrier && w.barrier_line != line)
        fail("__syncthreads at line %d while others wait at line %d", line, w.barrier_line);
    w.barrier_line = line;
    TSAN(__tsan_release(&w.at_barrier));
    if (++w.at_barrier == w.alive) w.open_barrier();
    else w.wait(me(), line);
    TSAN(__tsan_acquire(&w.at_barrier));
}

namespace {
// The meeting of these lanes, or a free one.
Meeting& meeting(Warp& warp, uint32_t mask) {
    for (unsigned i = 0; i < warp.used; i++)
        if (warp.meetings[i].arrived && warp.meetings[i].mask == mask) return warp.meetings[i];
    for (unsigned i = 0; i < warp.used; i++)
        if (!warp.meetings[i].arrived) return warp.meetings[i].mask = mask, warp.meetings[i];
    if (warp.used == 4) fail("more than four groups of lanes wait at once");
    Meeting& fresh = warp.meetings[warp.used++];
    fresh.mask = mask, fresh.arrived = 0;
    return fresh;
}
}  // namespace

void together(uint32_t mask, Operation operation, void* mine, int line) {
    Worker& w = *worker;
    Runner& r = me();
    Warp& warp = w.warps[r.warp];
    if (!(mask >> r.lane & 1)) fail("lane %u is not in its own mask %08x at line %d", r.lane, mask, line);
    const unsigned lanes = w.count - r.warp * 32;
    if (lanes < 32) mask &= (1u << lanes) - 1;  // the last warp may be a part
    if (mask & warp.ended) fail("line %d waits for lanes %08x, which have ended", line, mask & warp.ended);
    Meeting& m = meeting(warp, mask);
    if (m.arrived && (m.operation != operation || m.line != line))
        fail("lanes of one warp meet at lines %d and %d", m.line, line);
    m.operation = operation, m.line = line;
    m.lanes[r.lane] = mine;
    m.arrived |= 1u << r.lane;
    const bool orders = operation == nothing;  // only __syncwarp orders memory
    if (orders) { TSAN(__tsan_release(&m)); }
    if (m.arrived != mask) {
        w.wait(r, line);
    } else {
        operation(mask, m.lanes);
        m.arrived = 0;
        for (uint32_t rest = mask; rest; rest &= rest - 1) w.wake(w.runners[r.warp * 32 + __builtin_ctz(rest)]);
    }
    if (orders) { TSAN(__tsan_acquire(&m)); }
}
}  // namespace emu
