// One block at a time on a thread of the machine.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "cuda_on_host.h"
#include "fiber.h"

namespace emu {
constexpr unsigned MOST_THREADS = 1024;

enum class Order { First, Last };    // which of the threads that can go on does
enum class Copies { Late, Early };   // when an asynchronous copy happens

// EMU_ORDER, EMU_COPIES, EMU_THREADS: as `settings.rs` has them.
struct Settings {
    Order order;
    Copies copies;
    unsigned workers;
};
const Settings& settings();

struct Copy {
    void* to;
    const void* from;
    unsigned bytes, group;
    bool valid;
};

// What a warp has under way of a product by four warps: `d` is a lane's.
struct UnderWay {
    GroupProduct product;
    unsigned group;
};

// A thread of the block.
struct Runner : Thread {
    Fiber fiber;
    unsigned place;    // in the order of going on
    int waits_at;      // the line at which it waits
    bool ended;
    unsigned committed;
    std::vector<Copy> copies;
    unsigned committed_products;
    std::vector<UnderWay> products;
};

// Lanes of a warp that wait for each other.
struct Meeting {
    uint32_t mask, arrived;
    Operation operation;
    int line;
    void* lanes[32];
};
struct Warp {
    Meeting meetings[4];
    unsigned used;
    uint32_t ended;
};

struct Kernel {
    std::string name;
    Entry entry;
    unsigned threads;
};

// What runs blocks, one after another.
class Worker {
  public:
    Worker();
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    void set(const Kernel& kernel, void* const* parameters, dim3 grid, dim3 block, size_t shared_bytes);
    void run(dim3 index);
    void wait(Runner& runner, int line);
    void wake(Runner& runner);
    void go_on(Runner& from);
    void open_barrier();
    void end(Runner& runner);

    const Kernel* kernel = nullptr;
    void* const* parameters = nullptr;
    Block block{};
    std::vector<Runner> runners{MOST_THREADS};
    Warp warps[MOST_THREADS / 32];
    unsigned count = 0, alive = 0, at_barrier = 0;
    int barrier_line = 0;
    Fiber main;
    std::string error;

  private:
    Runner* next();
    void start(Runner& runner, unsigned number, unsigned place);

    uint64_t ready[MOST_THREADS / 64];
    unsigned order[MOST_THREADS];
    char* stacks;
    std::vector<unsigned char> shared;
};

extern thread_local Worker* worker;
inline Runner& me() { return *static_cast<Runner*>(self); }
}  // namespace emu
