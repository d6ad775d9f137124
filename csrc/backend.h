// Where kernels come from: the CPU build that suits this machine, or the CUDA library, which is
// loaded on the first use of a GPU and never before.
#pragma once
#include <stddef.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace fastnn {

using AnyKernel = void (*)();

struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// --- CPU ---------------------------------------------------------------------------------------
// Instruction-set builds that this machine can run, best first; FASTNN_ISA= forces one at start.
std::vector<std::string> available_isas();
const char* current_isa();
void set_isa(const std::string& name);       // throws std::invalid_argument
const AnyKernel* cpu_kernels();              // by catalogue index

// --- CUDA --------------------------------------------------------------------------------------
// The C interface of the CUDA library (and of its host simulator, FASTNN_CUDA=sim). Functions that
// can fail return an error text, or null.
struct CudaBackend {
  const char* (*start)();  // checks the driver and opens the device
  const char* (*allocate)(size_t bytes, void** data);
  void (*free)(void* data);
  const char* (*copy_in)(void* device, const void* host, size_t bytes);
  const char* (*copy_out)(void* host, const void* device, size_t bytes);
  const char* (*copy)(void* to, const void* from, size_t bytes);
  const char* (*synchronize)();
  const AnyKernel* kernels;  // by catalogue index, null where there is no CUDA body
  const char* description;
};

// Loads the library at first use; throws DeviceError where there is no GPU, driver or library.
const CudaBackend& cuda_backend();
// Throws DeviceError with `what` and the backend's text, if there is one.
void check(const char* error, const char* what);

}  // namespace fastnn
