// What every kernel file includes: one source, two builds.
//
// nvcc maps these names on CUDA; g++ with -DFASTNN_CUDA_SIM maps them on the host simulator in
// sim/, which runs each thread as a fiber and checks barriers, shuffles, copies and bounds.
// A kernel is plain code between __global__ and these wrappers: no <<<>>>, no __shared__, no asm
// (copy.cuh holds what there is), warp operations only through warp.cuh, block sizes in whole
// warps, and no thread returns before a barrier that others reach.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "device.h"

#ifdef FASTNN_CUDA_SIM
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define FN_UNROLL
#else
#include <cuda_runtime.h>
#define FN_UNROLL _Pragma("unroll")
#endif
#define FN_DEVICE __device__ __forceinline__
#define FN_HOST_DEVICE __host__ __device__ __forceinline__

namespace fastnn::cuda {

constexpr int kWarp = 32;
template <class T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();
template <class T>
constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();
constexpr std::size_t kStaticSharedBytes = 48 * 1024;  // what a block has without opting in
constexpr std::size_t kSharedBytes = 227 * 1024;       // what it can have (sm_90; sm_80: 163 KB)

struct Dim3 {
  int x = 1, y = 1, z = 1;
  FN_HOST_DEVICE constexpr Dim3(int x = 1, int y = 1, int z = 1) : x(x), y(y), z(z) {}
};

struct LaunchCfg {
  Dim3 grid;
  Dim3 block;
  std::size_t smem = 0;  // bytes of FN_DYN_SMEM
  Stream stream = nullptr;
};

template <class I>
FN_HOST_DEVICE constexpr I ceil_div(I a, I b) {
  return a / b + (a % b != 0);
}

// Blocks for n items, checked: a grid has fewer than 2^31.
inline int grid_for(std::int64_t n, std::int64_t per_block) {
  const std::int64_t blocks = ceil_div(n, per_block);
  if (n < 0 || blocks > std::numeric_limits<int>::max())
    throw DeviceError("a kernel over " + std::to_string(n) + " items does not fit a grid");
  return static_cast<int>(blocks);
}

// The kernel's name with its template arguments, out of a function's own signature.
constexpr std::string_view kernel_name(std::string_view signature) {
  const std::size_t at = signature.find("Kernel = ");
  if (at == signature.npos) return signature;
  signature.remove_prefix(at + 9);
  return signature.substr(0, signature.find_first_of(";]"));
}

}  // namespace fastnn::cuda

#ifdef FASTNN_CUDA_SIM
#include "sim/sim.h"
#else

namespace fastnn::cuda {

// Call sites are the simulator's business; here they vanish.
struct Site {
  FN_DEVICE static constexpr Site current() { return {}; }
};

FN_DEVICE Dim3 thread_idx() { return Dim3(threadIdx.x, threadIdx.y, threadIdx.z); }
FN_DEVICE Dim3 block_idx() { return Dim3(blockIdx.x, blockIdx.y, blockIdx.z); }
FN_DEVICE Dim3 block_dim() { return Dim3(blockDim.x, blockDim.y, blockDim.z); }
FN_DEVICE Dim3 grid_dim() { return Dim3(gridDim.x, gridDim.y, gridDim.z); }

FN_DEVICE void block_sync() { __syncthreads(); }

// Integers only: the order of float atomics, and so the sum, would change from run to run.
FN_DEVICE int atomic_add(int* p, int v) { return atomicAdd(p, v); }
FN_DEVICE int atomic_max(int* p, int v) { return atomicMax(p, v); }
FN_DEVICE int atomic_cas(int* p, int expected, int v) { return atomicCAS(p, expected, v); }
// Writes after everything this thread wrote before, as the host sees it.
FN_DEVICE void publish(int* p, int v) {
  __threadfence_system();
  *static_cast<volatile int*>(p) = v;
}

void check(cudaError_t error, const std::string& what);  // throws DeviceError

// launch<my_kernel<float>>({grid, block, smem, stream}, args...)
template <auto Kernel, class... Args>
void launch(const LaunchCfg& cfg, Args... args) {
  const auto named = [](const char* what, const char* signature) {
    return what + std::string(kernel_name(signature));
  };
  if (cfg.smem > kStaticSharedBytes) {
    const cudaError_t error = cudaFuncSetAttribute(
        Kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(cfg.smem));
    if (error != cudaSuccess) check(error, named("shared memory of ", __PRETTY_FUNCTION__));
  }
  cudaLaunchConfig_t c{};
  c.gridDim = dim3(cfg.grid.x, cfg.grid.y, cfg.grid.z);
  c.blockDim = dim3(cfg.block.x, cfg.block.y, cfg.block.z);
  c.dynamicSmemBytes = cfg.smem;
  c.stream = cfg.stream;
  const cudaError_t error = cudaLaunchKernelEx(&c, Kernel, args...);
  if (error != cudaSuccess) check(error, named("launch of ", __PRETTY_FUNCTION__));
}

}  // namespace fastnn::cuda

// FN_SHARED(Struct, s): the block's own `Struct& s`, contents undefined at the start.
#define FN_SHARED(Struct, name)                                          \
  static_assert(sizeof(Struct) <= ::fastnn::cuda::kStaticSharedBytes,    \
                "more than 48 KB: use FN_DYN_SMEM and LaunchCfg::smem"); \
  __shared__ __align__(alignof(Struct) < 16 ? 16 : alignof(Struct)) Struct name

// FN_DYN_SMEM(Struct, s): the same out of the LaunchCfg::smem bytes, for more than 48 KB.
#define FN_DYN_SMEM(Struct, name)                      \
  static_assert(alignof(Struct) <= 128);               \
  extern __shared__ __align__(128) char fn_dyn_smem[]; \
  Struct& name = *reinterpret_cast<Struct*>(fn_dyn_smem)

#endif

#include "copy.cuh"
#include "warp.cuh"
