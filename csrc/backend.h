// Where kernels come from: the CPU build that suits this machine, or the CUDA library, which is
// loaded on the first use of a GPU and never before.
#pragma once
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/interface.h"

namespace fastnn {

struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// --- CPU ---------------------------------------------------------------------------------------
// Instruction-set builds that this machine can run, best first; FASTNN_ISA= forces one at start.
std::vector<std::string> available_isas();
const char* current_isa();
// Whether its products are faster with operands of bfloat16 (cpu/gemm_bf16.h).
bool multiplies_bfloat16();
void set_isa(const std::string& name);  // throws std::invalid_argument
const AnyKernel* cpu_kernels();         // by catalogue index

// --- CUDA --------------------------------------------------------------------------------------
// Loads the library at first use; throws DeviceError where there is no GPU, driver or library.
const CudaBackend& cuda_backend();
// Throws DeviceError with `what` and the backend's text, if there is one.
void check(const char* error, const char* what);

}  // namespace fastnn
