// Declares every kernel of the catalogue once per backend: the CPU's instruction-set builds, each
// in the namespace of its build, and CUDA. A kernel declared but not written is a link error.
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
#undef KERNEL_CPU
#define KERNEL_CPU(name, params, shapes, flops, doc)
namespace fastnn::cuda {
#include "kernels.def"
}
#undef KERNEL
#undef KERNEL_CPU
