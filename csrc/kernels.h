// Declares every kernel of the catalogue once per instruction-set build of the CPU, each in the
// namespace of its build. A kernel declared but not written is a link error. CUDA's are declared in
// csrc/cuda/backend.cu, in a library of their own.
#pragma once
#include "tensor.h"

#define KERNEL(name, params, shapes, flops, doc) void name params noexcept;
#define KERNEL_CPU KERNEL

namespace fastnn::baseline {
#include "kernels.def"
}
namespace fastnn::avx2 {
#include "kernels.def"
}
namespace fastnn::avx512 {
#include "kernels.def"
}
#undef KERNEL
#undef KERNEL_CPU
