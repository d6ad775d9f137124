// Sums over the rows of a matrix (a bias' gradient), in two stages of fixed order.
//
// Stage one: a block sums 32 columns of one chunk of rows, 8 rows at a time. Stage two adds the
// chunks' sums in order. The number of chunks depends on the shape alone.
#include "kernels.h"
#include "launch.cuh"

namespace fastnn::cuda {

namespace {

constexpr int kRowLanes = 8, kChunkRows = 256, kMaxChunks = 64;

int64_t chunk_count(int64_t rows) {
  const int64_t chunks = ceil_div<int64_t>(rows, kChunkRows);
  return chunks < 1 ? 1 : chunks > kMaxChunks ? kMaxChunks : chunks;
}

// Block (32, 8), grid (column tiles, chunks): y[chunk] = sum of its rows.
template <class T>
__global__ void __launch_bounds__(kWarp* kRowLanes)
    sum_rows_kernel(const T* x, T* y, std::int64_t rows, std::int64_t cols,
                    std::int64_t chunk_rows) {
  struct Shared {
    T part[kRowLanes][kWarp];
  };
  FN_SHARED(Shared, s);
  const int tx = thread_idx().x, ty = thread_idx().y;
  const std::int64_t col = static_cast<std::int64_t>(block_idx().x) * kWarp + tx;
  const std::int64_t first = block_idx().y * chunk_rows;
  const std::int64_t last = first + chunk_rows < rows ? first + chunk_rows : rows;
  T sum = 0;
  if (col < cols)
    for (std::int64_t r = first + ty; r < last; r += kRowLanes) sum += x[r * cols + col];
  s.part[ty][tx] = sum;
  block_sync();
  if (ty > 0 || col >= cols) return;
  for (int i = 1; i < kRowLanes; ++i) sum += s.part[i][tx];
  y[block_idx().y * cols + col] = sum;
}

}  // namespace

int64_t sum_rows_workspace(int64_t rows, int64_t cols) {
  const int64_t chunks = chunk_count(rows);
  return chunks > 1 ? chunks * cols : 0;
}

template <class T>
void sum_rows_launch(const T* x, T* y, T* workspace, int64_t rows, int64_t cols, Stream stream) {
  if (cols == 0) return;
  const int64_t chunks = chunk_count(rows);
  const int tiles = grid_for(cols, kWarp);
  const Dim3 block(kWarp, kRowLanes);
  launch<sum_rows_kernel<T>>({Dim3(tiles, static_cast<int>(chunks)), block, 0, stream}, x,
                             chunks > 1 ? workspace : y, rows, cols, ceil_div(rows, chunks));
  if (chunks > 1)
    launch<sum_rows_kernel<T>>({tiles, block, 0, stream}, workspace, y, chunks, cols, chunks);
}

#define FN_INSTANTIATE(T) template void sum_rows_launch(const T*, T*, T*, int64_t, int64_t, Stream);
FN_INSTANTIATE(float)
FN_INSTANTIATE(double)

}  // namespace fastnn::cuda
