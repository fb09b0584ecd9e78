// Kernels by name, and launches: what the double calls (`src/host.rs`).
#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "runtime.h"

namespace emu {
namespace {
std::map<std::string, Kernel>& kernels() {
    static std::map<std::string, Kernel> all;
    return all;
}

bool is(const char* variable, const char* value) {
    const char* found = getenv(variable);
    return found && !strcmp(found, value);
}

// Runs blocks on this thread until none is left, or one failed.
std::string work(const Kernel& kernel, void* const* parameters, dim3 grid, dim3 block, size_t shared_bytes,
                 std::atomic<uint64_t>& next, std::atomic<bool>& stop) {
    static thread_local std::unique_ptr<Worker> kept;  // its stacks outlive a launch
    if (!kept) kept.reset(new Worker);
    worker = kept.get();
    worker->set(kernel, parameters, grid, block, shared_bytes);
    const uint64_t blocks = uint64_t(grid.x) * grid.y * grid.z;
    for (uint64_t at; !stop && (at = next++) < blocks;) {
        if (settings().order == Order::Last) at = blocks - 1 - at;
        worker->run({unsigned(at % grid.x), unsigned(at / grid.x % grid.y), unsigned(at / grid.x / grid.y)});
        if (!worker->error.empty()) stop = true;
    }
    return worker->error;
}
}  // namespace

const Settings& settings() {
    static const Settings all = [] {
        const char* threads = getenv("EMU_THREADS");
        const unsigned workers = threads ? unsigned(atoi(threads)) : std::thread::hardware_concurrency();
        return Settings{is("EMU_ORDER", "last") ? Order::Last : Order::First,
                        is("EMU_COPIES", "early") ? Copies::Early : Copies::Late, workers ? workers : 1};
    }();
    return all;
}

Registered::Registered(const char* name, Entry entry, unsigned threads) { kernels()[name] = {name, entry, threads}; }

static std::string launch(const Kernel& kernel, void* const* parameters, dim3 grid, dim3 block, size_t shared_bytes) {
    const uint64_t blocks = uint64_t(grid.x) * grid.y * grid.z;
    const unsigned workers = unsigned(blocks < settings().workers ? blocks : settings().workers);
    std::atomic<uint64_t> next{0};
    std::atomic<bool> stop{false};
    std::mutex lock;
    std::string error;
    const auto run = [&] {
        const std::string own = work(kernel, parameters, grid, block, shared_bytes, next, stop);
        std::lock_guard<std::mutex> guard(lock);
        if (error.empty()) error = own;
    };
    std::vector<std::thread> others;
    for (unsigned i = 1; i < workers; i++) others.emplace_back(run);
    run();
    for (std::thread& other : others) other.join();
    return error.empty() ? error : kernel.name + ", " + error;
}
}  // namespace emu

#define EXPORTED extern "C" __attribute__((visibility("default")))

struct HostLaunch {
    const emu::Kernel* kernel;
    void* const* parameters;
    unsigned grid[3], block[3];
    size_t shared_bytes;
};

EXPORTED const void* emu_find(const char* name) {
    const auto found = emu::kernels().find(name);
    return found == emu::kernels().end() ? nullptr : &found->second;
}
EXPORTED int emu_parameter(const void* kernel, unsigned at, size_t* bytes) {
    const emu::Entry& entry = static_cast<const emu::Kernel*>(kernel)->entry;
    if (at >= entry.count) return 1;
    *bytes = entry.sizes[at];
    return 0;
}
EXPORTED unsigned emu_threads(const void* kernel) { return static_cast<const emu::Kernel*>(kernel)->threads; }
EXPORTED const char* emu_launch(const HostLaunch* l) {
    static thread_local std::string error;
    error = emu::launch(*l->kernel, l->parameters, {l->grid[0], l->grid[1], l->grid[2]},
                        {l->block[0], l->block[1], l->block[2]}, l->shared_bytes);
    return error.empty() ? nullptr : error.c_str();
}
