// Rows picked by index: the batch of a training step. An index outside is a fault, its row is 0.
#include "body.h"
#include "launch.cuh"

namespace fastnn::cuda {

namespace {

constexpr int kThreads = 256;

// One thread per pack of the output; a row is `packs` of them.
template <class T, int kPack>
__global__ void __launch_bounds__(kThreads)
    gather_rows_kernel(const T* x, const std::int32_t* index, T* y, std::int64_t rows,
                       std::int64_t total, std::int64_t packs, Report bad_index) {
  const std::int64_t i = static_cast<std::int64_t>(block_idx().x) * kThreads + thread_idx().x;
  if (i >= total) return;
  const std::int64_t from = index[i / packs];
  Pack<T, kPack> pack{};
  if (from >= 0 && from < rows)
    pack = load_pack<kPack>(x + (from * packs + i % packs) * kPack);
  else
    bad_index(from, rows);
  store_pack(y + i * kPack, pack);
}

// One thread per element of the output.
template <class T>
__global__ void __launch_bounds__(kThreads)
    gather_rows_scaled_kernel(const std::uint8_t* x, const std::int32_t* index, T* y, T scale,
                              std::int64_t rows, std::int64_t total, std::int64_t cols,
                              Report bad_index) {
  const std::int64_t i = static_cast<std::int64_t>(block_idx().x) * kThreads + thread_idx().x;
  if (i >= total) return;
  const std::int64_t from = index[i / cols];
  const bool inside = from >= 0 && from < rows;
  if (!inside) bad_index(from, rows);
  y[i] = inside ? static_cast<T>(x[from * cols + i % cols]) * scale : T(0);
}

}  // namespace

template <class T>
void gather_rows_launch(const T* x, const int32_t* index, T* y, int64_t rows, int64_t count,
                        int64_t cols, Report bad_index, Stream stream) {
  if (count == 0 || cols == 0) return;
  constexpr int kPack = Pack<T>::size;
  const bool wide = cols % kPack == 0 && aligned(16, x, y);
  const int64_t packs = wide ? cols / kPack : cols;
  const LaunchCfg cfg{grid_for(count * packs, kThreads), kThreads, 0, stream};
  if (wide)
    launch<gather_rows_kernel<T, kPack>>(cfg, x, index, y, rows, count * packs, packs, bad_index);
  else
    launch<gather_rows_kernel<T, 1>>(cfg, x, index, y, rows, count * packs, packs, bad_index);
}

#define FN_INSTANTIATE(T)                                                                   \
  template void gather_rows_launch(const T*, const int32_t*, T*, int64_t, int64_t, int64_t, \
                                   Report, Stream);
FN_INSTANTIATE(std::uint8_t)
FN_INSTANTIATE(std::uint32_t)
FN_INSTANTIATE(std::uint64_t)

void gather_rows(In data, In index, Out y) noexcept {
  with_bytes(data.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      gather_rows_launch(data.data<T>(), index.data<int32_t>(), y.data<T>(), data.dim(0),
                         index.size(), data.product(1, data.rank()), report("gather_rows", "index"),
                         stream);
    });
  });
}

void gather_rows_scaled(In data, In index, Out y, double scale) noexcept {
  const int64_t total = y.size();
  if (total == 0) return;
  with_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      launch<gather_rows_scaled_kernel<T>>(
          {grid_for(total, kThreads), kThreads, 0, stream}, data.data<std::uint8_t>(),
          index.data<int32_t>(), y.data<T>(), static_cast<T>(scale), data.dim(0), total,
          data.product(1, data.rank()), report("gather_rows_scaled", "index"));
    });
  });
}

}  // namespace fastnn::cuda
