// Moving elements without looking at them: their size is all that counts.
#include "cpu/broadcast.h"
#include "kernels.h"

#include <string.h>

namespace fastnn::FASTNN_ISA {

namespace {

constexpr int64_t kCopyGrain = 65536;  // bytes

}  // namespace

void fill(Out y, double value) noexcept {
  with_any(y.dtype(), [&](auto t) {
    using T = decltype(t);
    if constexpr (is_same<T, bool>) {
      pieces(y.size(), kCopyGrain, [&](int64_t begin, int64_t end) {
        memset(y.data<char>() + begin, value != 0, end - begin);
      });
    } else {
      const T one = static_cast<T>(value);
      T* p = y.data<T>();
      pieces(y.size(), kCopyGrain / sizeof(T), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) p[i] = one;
      });
    }
  });
}

void copy(In x, Out y) noexcept {
  const int64_t bytes = x.size() * static_cast<int64_t>(item_bytes(x.dtype()));
  pieces(bytes, kCopyGrain, [&](int64_t begin, int64_t end) {
    memcpy(y.data<char>() + begin, x.data<char>() + begin, end - begin);
  });
}

void broadcast_copy(In x, Out y) noexcept {
  with_bytes(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const Broadcast<1> plan(y, {x});
    const T* px = x.data<T>();
    T* py = y.data<T>();
    pieces(plan.total, kElementGrain, [&](int64_t begin, int64_t end) {
      plan.runs(begin, end, [&](int64_t at, const int64_t* offset, int64_t n) {
        const T* from = px + offset[0];
        if (plan.stride[0][0])
          memcpy(py + at, from, n * sizeof(T));
        else
          for (int64_t i = 0; i < n; ++i) py[at + i] = *from;
      });
    });
  });
}

// --- transpose ----------------------------------------------------------------------------------

namespace {

// y's axes, outermost first, with the step in x that one step along each makes. Axes of length 1 are
// left out, and axes that follow one another in both arrays are merged.
struct Permutation {
  int rank = 0;
  int64_t size[kMaxRank], stride[kMaxRank];
};

FASTNN_INLINE bool is_permutation(const In& x, const Out& y, const Ints& axes) {
  if (axes.count != x.rank() || y.rank() != x.rank()) return false;
  unsigned seen = 0;
  for (int d = 0; d < axes.count; ++d) {
    const int64_t a = axes[d];
    if (a < 0 || a >= x.rank() || (seen >> a & 1) || y.dim(d) != x.dim(static_cast<int>(a))) return false;
    seen |= 1u << a;
  }
  return true;
}

FASTNN_INLINE Permutation merged(const In& x, const Ints& axes) {
  int64_t step[kMaxRank];
  for (int d = 0; d < x.rank(); ++d) step[d] = x.product(d + 1, x.rank());
  Permutation p;
  for (int d = 0; d < axes.count; ++d) {
    const int a = static_cast<int>(axes[d]);
    const int64_t n = x.dim(a);
    if (n == 1) continue;
    if (p.rank && p.stride[p.rank - 1] == n * step[a]) {
      p.size[p.rank - 1] *= n;
      p.stride[p.rank - 1] = step[a];
    } else {
      p.size[p.rank] = n;
      p.stride[p.rank++] = step[a];
    }
  }
  return p;
}

// y (m, n) = transpose of what lies in x with steps (1, n_step), in tiles that stay in cache.
template <class T>
FASTNN_INLINE void transpose_tile(const T* x, T* y, int64_t m, int64_t n, int64_t x_row, int64_t y_row) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) y[i * y_row + j] = x[j * x_row + i];
}

}  // namespace

void transpose(In x, Out y, Ints axes) noexcept {
  if (!is_permutation(x, y, axes)) return team::fault("axes are not a permutation that turns x's shape into y's");
  if (x.size() == 0) return;
  const Permutation p = merged(x, axes);
  if (p.rank <= 1) return copy(x, y);
  const int last = p.rank - 1;
  with_bytes(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* px = x.data<T>();
    T* py = y.data<T>();
    const auto offset_of = [&](int64_t index, int axis, int skipped) {
      int64_t offset = 0;  // in x, of the index-th combination of the axes up to `axis`
      for (int d = axis; d >= 0; --d) {
        if (d == skipped) continue;
        offset += index % p.size[d] * p.stride[d];
        index /= p.size[d];
      }
      return offset;
    };
    if (p.stride[last] == 1) {  // runs stay runs
      const int64_t run = p.size[last], runs = x.size() / run;
      pieces(runs, larger(1, kCopyGrain / static_cast<int64_t>(sizeof(T)) / run), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r)
          memcpy(py + r * run, px + offset_of(r, last - 1, -1), run * sizeof(T));
      });
      return;
    }
    // The axis that is contiguous in x is `along`; with the last one, contiguous in y, it makes
    // matrices, one for each combination of the other axes.
    int along = 0;
    while (p.stride[along] != 1) ++along;
    constexpr int64_t side = 32;
    const int64_t m = p.size[along], n = p.size[last], x_row = p.stride[last];
    int64_t y_row = 1;
    for (int d = along + 1; d <= last; ++d) y_row *= p.size[d];
    const int64_t down = ceil_div(m, side), across = ceil_div(n, side), matrices = x.size() / (m * n);
    pieces(matrices * down * across, 16, [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile) {
        const int64_t matrix = tile / (down * across), i = tile / across % down * side, j = tile % across * side;
        const int64_t from = offset_of(matrix, last - 1, along);
        // Where the matrix begins in y: the same combination of axes, with y's steps.
        int64_t to = 0, index = matrix;
        for (int64_t d = last - 1, step = n; d >= 0; step *= p.size[d], --d) {
          if (d == along) continue;
          to += index % p.size[d] * step;
          index /= p.size[d];
        }
        transpose_tile(px + from + j * x_row + i, py + to + i * y_row + j, smaller(side, m - i),
                       smaller(side, n - j), x_row, y_row);
      }
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
