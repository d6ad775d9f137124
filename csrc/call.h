// The gate. Every kernel call from Python passes here: validate, choose the backend, record, run.
#pragma once
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "backend.h"
#include "cpu/team.h"
#include "memory.h"
#include "shapes.h"

namespace fastnn {

// Python can make an object without running its constructor, and pybind11 then hands out memory as
// operator new gave it. For these classes it gives none; C++ makes them with ::new.
struct NeverBare {
  static void* operator new(size_t) {
    throw std::invalid_argument("this object was never initialised: its constructor did not run");
  }
  static void operator delete(void* p) { ::operator delete(p); }
};

// One line of the catalogue with what is derived from it.
struct Kernel : NeverBare {
  Kernel(const char* name, const char* params, const char* shapes, const char* doc, int index,
         bool on_cuda, void (*invoke)(AnyKernel, const Arg*), ShapeLine line)
      : name(name),
        params(params),
        shapes(shapes),
        doc(doc),
        index(index),
        on_cuda(on_cuda),
        invoke(invoke),
        line(std::move(line)) {}

  const char* name;
  const char* params;
  const char* shapes;
  const char* doc;
  int index;
  bool on_cuda;
  void (*invoke)(AnyKernel body, const Arg* args);  // unboxes and calls
  ShapeLine line;
};

const std::vector<Kernel>& catalogue();

// A validated call: runs as often as wanted.
struct Call {
  const Kernel* kernel = nullptr;
  std::vector<Arg> args;
  std::vector<BlockPtr> blocks;  // keeps the arguments' memory alive
  Device device = Device::cpu;
  AnyKernel body = nullptr;
  double flops = 0, bytes = 0;
  bool rounds_products = false;  // to bfloat16, whatever the setting of the process

  void run() const;
  double cost_ns() const;  // estimated time on one thread
};

// Whether the calls that this thread makes from now on are to round the operands of their products,
// as those of a layer under a mixed policy do.
bool& rounds_products() noexcept;

// Validates; throws std::invalid_argument or DeviceError.
Call make_call(const Kernel& kernel, std::vector<Arg> args, std::vector<BlockPtr> blocks);

// Runs one call now on a team of its own; throws std::invalid_argument on a fault.
void run_now(const Call& call);

// Hands one call to the GPU, which may still be at work on it afterwards; throws DeviceError when
// the launch failed, std::invalid_argument when a kernel has reported a fault by now.
void run_on_cuda(const Call& call);
// Waits for the GPU, and throws what went wrong until now.
void wait_for_cuda(const char* what);

// Records (where a recording is on) and runs.
void dispatch(Call call);

[[noreturn]] void throw_fault(const team::Fault& fault);

}  // namespace fastnn
