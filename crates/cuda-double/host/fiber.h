// Fibers: stacks that a thread of the machine changes between.
#pragma once
#include <stddef.h>
#if !defined(__x86_64__) || defined(EMU_UCONTEXT)
#include <ucontext.h>
#define EMU_USES_UCONTEXT 1
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(EMU_TSAN)
#include <sanitizer/tsan_interface.h>
// The race detector is told which fiber runs, and which order barriers give.
#define TSAN(...) __VA_ARGS__
#else
#define TSAN(...)
#endif

namespace emu {
struct Fiber {
#if EMU_USES_UCONTEXT
    ucontext_t context;
#else
    void* stack_pointer = nullptr;
#endif
    void* tsan = nullptr;
    char* stack = nullptr;
    size_t stack_bytes = 0;
};

// Lets `start` run on the fiber's stack when it is changed to; `start` never returns.
void prepare(Fiber& fiber, void (*start)());
// Goes on in `to` until somebody changes back.
void change(Fiber& from, Fiber& to);
}  // namespace emu
