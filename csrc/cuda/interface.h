// The C interface between the module and the CUDA library, which is loaded at the first use of a
// GPU, or its host simulator (FASTNN_CUDA=sim). No exception and no C++ type crosses it. Functions
// that can fail return an error text, valid until the thread's next call, or null.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace fastnn {

using AnyKernel = void (*)();

// A value that a kernel refused, as team::fault reports it on the CPU: becomes a ValueError.
struct CudaFault {
  const char* kernel;
  const char* what;
  int64_t value, limit;
};

struct CudaBackend {
  const char* (*start)();  // checks the driver and opens the device; fills in `description`
  const char* (*allocate)(size_t bytes, void** data);
  void (*free)(void* data);
  const char* (*copy_in)(void* device, const void* host, size_t bytes);
  const char* (*copy_out)(void* host, const void* device, size_t bytes);
  const char* (*copy)(void* to, const void* from, size_t bytes);
  const char* (*synchronize)();
  // Kernels are noexcept: what went wrong while this thread launched one waits here.
  const char* (*take_error)();
  // True with the first fault that has been reported by now. A kernel still under way may report
  // one later, so what must not miss any calls synchronize() first.
  bool (*take_fault)(CudaFault* fault);
  const AnyKernel* kernels;  // by catalogue index, null where there is no CUDA body
  const char* description;
  bool exact_memory;  // bounds and life of every allocation are watched: none may be rounded up
};

}  // namespace fastnn
