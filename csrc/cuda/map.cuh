// y[i] = f(x[i], ...): any elementwise kernel, from one functor.
//
// A thread takes 4 packs of 16 bytes, a block apart, all loaded before the first is used: that many
// loads in flight hide the memory's latency. Pointers off a 16-byte boundary go one by one.
// y may be one of the inputs.
#pragma once

#include "launch.cuh"

namespace fastnn::cuda {

constexpr int kMapThreads = 256, kMapUnroll = 4;

template <class F, int kPack, class T, class... X>
__global__ void __launch_bounds__(kMapThreads)
    map_kernel(F f, std::int64_t n, T* y, const X*... x) {
  const std::int64_t first =
      static_cast<std::int64_t>(block_idx().x) * kMapThreads * kMapUnroll + thread_idx().x;
  const std::int64_t packs = n / kPack;
  Pack<T, kPack> result[kMapUnroll];
  FN_UNROLL
  for (int u = 0; u < kMapUnroll; ++u) {
    const std::int64_t i = first + u * kMapThreads;
    if (i >= packs) break;
    const auto apply = [&](const auto&... in) {
      FN_UNROLL
      for (int j = 0; j < kPack; ++j) result[u][j] = f(in[j]...);
    };
    apply(load_pack<kPack>(x + i * kPack)...);
  }
  FN_UNROLL
  for (int u = 0; u < kMapUnroll; ++u) {
    const std::int64_t i = first + u * kMapThreads;
    if (i < packs) store_pack(y + i * kPack, result[u]);
  }
  // What is left of the last pack, by the first threads of the first block.
  const std::int64_t tail = packs * kPack + first;
  if (block_idx().x == 0 && thread_idx().x < kPack && tail < n) y[tail] = f(x[tail]...);
}

template <class F, class T, class... X>
void map_launch(F f, std::int64_t n, Stream stream, T* y, const X*... x) {
  if (n == 0) return;
  constexpr int kPack = 16 / sizeof(T);
  constexpr std::int64_t kPerBlock = kMapThreads * kMapUnroll;
  if (kPack > 1 && aligned(16, y) && (aligned(kPack * sizeof(X), x) && ...))
    launch<map_kernel<F, kPack, T, X...>>({grid_for(n, kPerBlock * kPack), kMapThreads, 0, stream},
                                          f, n, y, x...);
  else
    launch<map_kernel<F, 1, T, X...>>({grid_for(n, kPerBlock), kMapThreads, 0, stream}, f, n, y,
                                      x...);
}

}  // namespace fastnn::cuda
