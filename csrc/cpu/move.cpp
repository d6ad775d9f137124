// Moving elements without looking at them: their size is all that counts.
#include "cpu/broadcast.h"
#include "cpu/transpose.h"
#include "tensor.h"

#include <string.h>

namespace fastnn::FASTNN_ISA {

namespace {

constexpr int64_t kCopyGrain = 65536;  // bytes

}  // namespace

void copy(In x, Out y) noexcept {
  const int64_t bytes = x.size() * static_cast<int64_t>(item_bytes(x.dtype()));
  pieces(bytes, kCopyGrain, [&](int64_t begin, int64_t end) {
    memcpy(y.data<char>() + begin, x.data<char>() + begin, end - begin);
  });
}

void broadcast_copy(In x, Out y) noexcept {
  with_bytes(x.dtype(), [&](auto t) {
    copy_from(Broadcast<1>(y, {x}), x.data<decltype(t)>(), y.data<decltype(t)>());
  });
}

// --- transpose ----------------------------------------------------------------------------------

namespace {

FASTNN_INLINE bool is_permutation(const In& x, const Out& y, const Ints& axes) {
  if (axes.count != x.rank() || y.rank() != x.rank()) return false;
  unsigned seen = 0;
  for (int d = 0; d < axes.count; ++d) {
    const int64_t a = axes[d];
    if (a < 0 || a >= x.rank() || (seen >> a & 1) || y.dim(d) != x.dim(static_cast<int>(a)))
      return false;
    seen |= 1u << a;
  }
  return true;
}

template <int bytes>
struct FloatOf {
  using type = float;
};
template <>
struct FloatOf<8> {
  using type = double;
};

template <class F>
FASTNN_OUTLINE void transpose_corner(const F* x, int64_t x_row, F* y, int64_t y_row, int64_t rows,
                                     int64_t columns) {
  transpose_square<false>(x, x_row, y, y_row, rows, columns);
}

// y (m, n) from x, in which the steps along m and n are 1 and x_row; squares in registers.
template <class T>
FASTNN_INLINE void transpose_tile(const T* x, T* y, int64_t m, int64_t n, int64_t x_row,
                                  int64_t y_row) {
  if constexpr (sizeof(T) == 1) {
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) y[i * y_row + j] = x[j * x_row + i];
  } else {
    using F = typename FloatOf<sizeof(T)>::type;
    constexpr int64_t side = Vec<F>::size;
    for (int64_t i = 0; i < m; i += side)
      for (int64_t j = 0; j < n; j += side) {
        const F* from = reinterpret_cast<const F*>(x + j * x_row + i);
        F* to = reinterpret_cast<F*>(y + i * y_row + j);
        if (m - i >= side && n - j >= side)
          transpose_square(from, x_row, to, y_row);
        else
          transpose_corner(from, x_row, to, y_row, n - j, m - i);
      }
  }
}

// The axis contiguous in x makes matrices with the last one, which is contiguous in y; they are
// transposed in tiles that stay in cache, one matrix for each combination of the other axes.
template <class T>
FASTNN_OUTLINE void transpose_matrices(const Walk<1>& walk, int along, const T* x, T* y) {
  constexpr int64_t kSide = sizeof(T) == 8 ? 32 : 64;
  const int64_t m = walk.size[along], n = walk.size[0], x_row = walk.stride[0][0];
  int64_t y_row = 1;
  for (int d = 0; d < along; ++d) y_row *= walk.size[d];
  const int64_t down = ceil_div(m, kSide), across = ceil_div(n, kSide);
  const int64_t matrices = walk.total / (m * n);
  pieces(matrices * down * across, 16, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t i = tile / across % down * kSide, j = tile % across * kSide;
      int64_t from = 0, to = 0, y_step = n;
      for (int64_t d = 1, rest = tile / (down * across); d < walk.rank; y_step *= walk.size[d++]) {
        if (d == along) continue;
        from += rest % walk.size[d] * walk.stride[0][d];
        to += rest % walk.size[d] * y_step;
        rest /= walk.size[d];
      }
      transpose_tile(x + from + j * x_row + i, y + to + i * y_row + j, smaller(kSide, m - i),
                     smaller(kSide, n - j), x_row, y_row);
    }
  });
}

}  // namespace

void transpose(In x, Out y, Ints axes) noexcept {
  if (!is_permutation(x, y, axes))
    return team::fault("axes are not a permutation that turns x's shape into y's");
  if (x.size() == 0) return;
  Walk<1> walk;
  for (int d = axes.count - 1; d >= 0; --d) {
    const int a = static_cast<int>(axes[d]);
    walk.add_axis(x.dim(a), {x.product(a + 1, x.rank())});
  }
  with_bytes(x.dtype(), [&](auto t) {
    using T = decltype(t);
    int along = 0;
    while (along < walk.rank && walk.stride[0][along] != 1) ++along;
    if (along == 0 || walk.rank == 0)
      copy_from(walk, x.data<T>(), y.data<T>());  // runs stay runs
    else
      transpose_matrices(walk, along, x.data<T>(), y.data<T>());
  });
}

}  // namespace fastnn::FASTNN_ISA
