// A fiber: a stack and a place in the code. switch_to() leaves one and continues another.
//
// x86-64 saves what its calling convention keeps across a call (about 5 ns); other processors, or
// -DFASTNN_SIM_UCONTEXT, use ucontext, which also saves the signal mask by a system call.
// Under AddressSanitizer each switch is announced, as it tracks stacks.
#pragma once

#include <cstddef>

#if !defined(__x86_64__) && !defined(FASTNN_SIM_UCONTEXT)
#define FASTNN_SIM_UCONTEXT
#endif
#ifdef FASTNN_SIM_UCONTEXT
#include <ucontext.h>
#endif

namespace fastnn::cuda::sim {

struct Fiber {
#ifdef FASTNN_SIM_UCONTEXT
  ucontext_t context;
#else
  void* stack_pointer = nullptr;
#endif
  const void* stack = nullptr;  // lowest address; unknown for the thread's own stack at first
  std::size_t stack_bytes = 0;
  void* asan_fake_stack = nullptr;
};

// Next switch_to(fiber) calls entry() on the given stack; entry never returns.
void fiber_start(Fiber& fiber, void* stack, std::size_t stack_bytes, void (*entry)());
// First thing in entry: `from` is who switched here.
void fiber_entered(Fiber& from);
void switch_to(Fiber& from, Fiber& to);

}  // namespace fastnn::cuda::sim
