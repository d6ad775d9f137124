// The context switch of fiber.h.
#include "fiber.h"

#include <cstdint>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#ifndef FASTNN_SIM_UCONTEXT
// void fastnn_sim_switch(void** save, void* load): push what a callee must keep, change stacks,
// pop it again; `ret` then continues the other fiber. The control words (mxcsr, x87) are not
// saved: kernels do not change them.
extern "C" void fastnn_sim_switch(void** save, void* load) noexcept;
asm(R"(
.text
.p2align 4
.hidden fastnn_sim_switch
.globl fastnn_sim_switch
.type fastnn_sim_switch, @function
fastnn_sim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size fastnn_sim_switch, .-fastnn_sim_switch
)");
#endif

namespace fastnn::cuda::sim {

void fiber_start(Fiber& fiber, void* stack, std::size_t stack_bytes, void (*entry)()) {
#ifdef __SANITIZE_ADDRESS__
  ASAN_UNPOISON_MEMORY_REGION(stack, stack_bytes);  // frames of a lane abandoned by an error
  fiber.asan_fake_stack = nullptr;
#endif
  fiber.stack = stack;
  fiber.stack_bytes = stack_bytes;
#ifdef FASTNN_SIM_UCONTEXT
  getcontext(&fiber.context);
  fiber.context.uc_stack = {stack, 0, stack_bytes};
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, entry, 0);
#else
  // Six saved registers, the address to return to, and an empty slot: entry() then finds the
  // stack 8 bytes off a multiple of 16, as after a call.
  auto** top = reinterpret_cast<void**>(reinterpret_cast<std::uintptr_t>(stack) + stack_bytes);
  for (int i = 1; i <= 8; ++i) top[-i] = nullptr;
  top[-2] = reinterpret_cast<void*>(entry);
  fiber.stack_pointer = top - 8;
#endif
}

void fiber_entered([[maybe_unused]] Fiber& from) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &from.stack, &from.stack_bytes);
#endif
}

void switch_to(Fiber& from, Fiber& to) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&from.asan_fake_stack, to.stack, to.stack_bytes);
#endif
#ifdef FASTNN_SIM_UCONTEXT
  swapcontext(&from.context, &to.context);
#else
  fastnn_sim_switch(&from.stack_pointer, to.stack_pointer);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(from.asan_fake_stack, nullptr, nullptr);
#endif
}

}  // namespace fastnn::cuda::sim
