// Sums over the middle axis of (outer, n, inner): of all elements, of rows, of a matrix' rows.
//
// Two stages of fixed order: the axis is cut into chunks, each summed by a warp (inner = 1) or by a
// block of 32 columns times 8 rows, then the chunks' sums in order. The number of chunks depends on
// the shape alone. Floats are summed in double, integers wrap.
#include "body.h"
#include "launch.cuh"

namespace fastnn::cuda {

namespace {

constexpr int kRowLanes = 8, kWarps = 8;
constexpr int64_t kColumnChunk = 256, kMaxColumnChunks = 64;  // rows in a chunk, and chunks
constexpr int64_t kRowChunk = 1024, kMaxRowSums = 8192;       // elements in a chunk, sums in all

int64_t chunk_count(int64_t outer, int64_t n, int64_t inner) {
  const auto at_most = [](int64_t a, int64_t b) { return a < b ? a : b; };
  const int64_t sums = outer * inner;
  if (sums == 0 || n == 0) return 1;
  const int64_t chunks = inner == 1 ? at_most(ceil_div(n, kRowChunk), kMaxRowSums / sums)
                                    : at_most(at_most(ceil_div(n, kColumnChunk), kMaxColumnChunks),
                                              kWorkspaceDoubles / sums);
  return chunks < 1 ? 1 : chunks;
}

// A is the type of sums: double, or uint32_t, which wraps as int32_t must.
template <class A, class O>
FN_DEVICE void finish_sum(const Finish& finish, A sum, O* y) {
  if constexpr (std::is_same_v<A, double> && std::is_floating_point_v<O>) {
    const double value = finish.scale * (sum / finish.divisor);
    *y = static_cast<O>(finish.add ? *y + value : value);
  } else {
    *y = static_cast<O>(sum);
  }
}

// inner = 1: warp number i sums chunk i % chunks of row i / chunks.
template <class T, class A, class O>
__global__ void __launch_bounds__(kWarps* kWarp)
    sum_row_kernel(const T* x, O* y, std::int64_t n, std::int64_t chunks, std::int64_t total,
                   Finish finish) {
  const std::int64_t i = static_cast<std::int64_t>(block_idx().x) * kWarps + warp::index();
  if (i >= total) return;  // the whole warp
  const std::int64_t row = i / chunks, chunk = i % chunks;
  const std::int64_t first = n * chunk / chunks, last = n * (chunk + 1) / chunks;
  A sum = 0;
  for (std::int64_t j = first + warp::lane(); j < last; j += kWarp)
    sum += static_cast<A>(x[row * n + j]);
  sum = warp::reduce(sum, Sum{});
  if (warp::lane() == 0) finish_sum(finish, sum, y + i);
}

// Block (32, 8) number (row * chunks + chunk) * tiles + tile, tiles of 32 columns.
template <class T, class A, class O>
__global__ void __launch_bounds__(kWarp* kRowLanes)
    sum_column_kernel(const T* x, O* y, std::int64_t n, std::int64_t inner, std::int64_t chunks,
                      Finish finish) {
  struct Shared {
    A part[kRowLanes][kWarp];
  };
  FN_SHARED(Shared, s);
  const int tx = thread_idx().x, ty = thread_idx().y;
  const std::int64_t tiles = ceil_div<std::int64_t>(inner, kWarp);
  const std::int64_t i = block_idx().x / tiles, row = i / chunks, chunk = i % chunks;
  const std::int64_t col = block_idx().x % tiles * kWarp + tx;
  const std::int64_t first = n * chunk / chunks, last = n * (chunk + 1) / chunks;
  A sum = 0;
  if (col < inner)
    for (std::int64_t r = first + ty; r < last; r += kRowLanes)
      sum += static_cast<A>(x[(row * n + r) * inner + col]);
  s.part[ty][tx] = sum;
  block_sync();
  if (ty > 0 || col >= inner) return;
  for (int k = 1; k < kRowLanes; ++k) sum += s.part[k][tx];
  finish_sum(finish, sum, y + i * inner + col);
}

template <class T, class A, class O>
void stage(const T* x, O* y, int64_t outer, int64_t n, int64_t inner, int64_t chunks, Finish finish,
           Stream stream) {
  const int64_t sums = outer * chunks;
  if (inner == 1) {
    launch<sum_row_kernel<T, A, O>>({grid_for(sums, kWarps), kWarps * kWarp, 0, stream}, x, y, n,
                                    chunks, sums, finish);
  } else {
    const int blocks = grid_for(sums * ceil_div<int64_t>(inner, kWarp), 1);
    launch<sum_column_kernel<T, A, O>>({blocks, Dim3(kWarp, kRowLanes), 0, stream}, x, y, n, inner,
                                       chunks, finish);
  }
}

}  // namespace

int64_t sum_workspace(int64_t outer, int64_t n, int64_t inner) {
  const int64_t chunks = chunk_count(outer, n, inner);
  return chunks > 1 ? outer * chunks * inner : 0;
}

template <class T, class O>
void sum_launch(const T* x, O* y, double* workspace, int64_t outer, int64_t n, int64_t inner,
                Finish finish, Stream stream) {
  using A = std::conditional_t<std::is_same_v<O, int32_t>, std::uint32_t, double>;
  if (outer == 0 || inner == 0) return;
  const int64_t chunks = chunk_count(outer, n, inner);
  if (chunks == 1) return stage<T, A, O>(x, y, outer, n, inner, 1, finish, stream);
  A* part = reinterpret_cast<A*>(workspace);
  stage<T, A, A>(x, part, outer, n, inner, chunks, Finish{}, stream);
  stage<A, A, O>(part, y, outer, chunks, inner, 1, finish, stream);
}

#define FN_INSTANTIATE(T, O) \
  template void sum_launch(const T*, O*, double*, int64_t, int64_t, int64_t, Finish, Stream);
FN_INSTANTIATE(float, float)
FN_INSTANTIATE(double, double)
FN_INSTANTIATE(int32_t, int32_t)
FN_INSTANTIATE(float, double)  // metrics' totals
FN_INSTANTIATE(int32_t, double)
FN_INSTANTIATE(std::uint8_t, double)
FN_INSTANTIATE(bool, double)

void sum(In x, Out y) noexcept {
  with_number(x.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      sum_launch(x.data<T>(), y.data<T>(), workspace(), x.dim(0), x.dim(1), x.dim(2), Finish{},
                 stream);
    });
  });
}

void mean(In x, Out y) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      sum_launch(x.data<T>(), y.data<T>(), workspace(), x.dim(0), x.dim(1), x.dim(2),
                 Finish{1, static_cast<double>(x.dim(1))}, stream);
    });
  });
}

void sum_rows(In x, Out y) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      sum_launch(x.data<T>(), y.data<T>(), workspace(), 1, x.rows(), x.cols(), Finish{}, stream);
    });
  });
}

}  // namespace fastnn::cuda
