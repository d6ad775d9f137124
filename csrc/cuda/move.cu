// Rows picked by index: the batch of a training step, the forward pass of an embedding.
#include "kernels.h"
#include "launch.cuh"

namespace fastnn::cuda {

namespace {

constexpr int kThreads = 256;

template <class T>
FN_DEVICE T poison() {
  if constexpr (std::is_floating_point_v<T>)
    return kNaN<T>;
  else
    return T(-1);
}

// One thread per pack of the output; a row is `packs` of them.
template <class T, int kPack>
__global__ void __launch_bounds__(kThreads)
    gather_rows_kernel(const T* x, const std::int32_t* index, T* y, std::int64_t rows,
                       std::int64_t total, std::int64_t packs) {
  const std::int64_t i = static_cast<std::int64_t>(block_idx().x) * kThreads + thread_idx().x;
  if (i >= total) return;
  const std::int64_t from = index[i / packs];
  Pack<T, kPack> pack;
  if (from >= 0 && from < rows) {
    pack = load_pack<kPack>(x + (from * packs + i % packs) * kPack);
  } else {
    FN_UNROLL
    for (int j = 0; j < kPack; ++j) pack[j] = poison<T>();
  }
  store_pack(y + i * kPack, pack);
}

}  // namespace

template <class T>
void gather_rows_launch(const T* x, const int32_t* index, T* y, int64_t rows, int64_t count,
                        int64_t cols, Stream stream) {
  if (count == 0 || cols == 0) return;
  constexpr int kPack = Pack<T>::size;
  const bool wide = cols % kPack == 0 && aligned(16, x, y);
  const int64_t packs = wide ? cols / kPack : cols;
  const LaunchCfg cfg{grid_for(count * packs, kThreads), kThreads, 0, stream};
  if (wide)
    launch<gather_rows_kernel<T, kPack>>(cfg, x, index, y, rows, count * packs, packs);
  else
    launch<gather_rows_kernel<T, 1>>(cfg, x, index, y, rows, count * packs, packs);
}

#define FN_INSTANTIATE(T) \
  template void gather_rows_launch(const T*, const int32_t*, T*, int64_t, int64_t, int64_t, Stream);
FN_INSTANTIATE(float)
FN_INSTANTIATE(double)
FN_INSTANTIATE(int32_t)

}  // namespace fastnn::cuda
