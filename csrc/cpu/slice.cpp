// Boxes of elements, start + k step along each axis: slices, concatenation, padding, triangles.
// Where a box holds whole rows, rows are what is copied.
#include "cpu/broadcast.h"
#include "tensor.h"

#include <string.h>

namespace fastnn::FASTNN_ISA {

void copy(In x, Out y) noexcept;  // move.cpp

namespace {

// The walk through the elements start + k step of each axis of `whole`, in the order of `part`.
struct BoxWalk : Walk<1> {
  int64_t base = 0;
  bool inside = true;

  BoxWalk(const In& whole, const In& part, const Ints& start, const Ints& step) {
    inside = whole.rank() == part.rank() && start.count == part.rank() && step.count == part.rank();
    if (!inside) return;
    int64_t below = 1;
    for (int d = part.rank() - 1; d >= 0; --d) {
      const int64_t n = part.dim(d), extent = whole.dim(d);
      int64_t last = 0;
      const bool fits =
          n == 0 ||
          (start[d] >= 0 && start[d] < extent && !__builtin_mul_overflow(n - 1, step[d], &last) &&
           !__builtin_add_overflow(last, start[d], &last) && last >= 0 && last < extent);
      if (!fits) inside = false;
      if (!inside) return;
      base += n ? start[d] * below : 0;
      // The step along an axis of length 1 is never taken and may be anything.
      add_axis(n, {n > 1 ? step[d] * below : 0});
      below *= extent;
    }
  }
};

constexpr char kOutside[] = "the box of start and step does not lie inside";

}  // namespace

void slice(In x, Out y, Ints start, Ints step) noexcept {
  const BoxWalk walk(x, y, start, step);
  if (!walk.inside) return team::fault(kOutside);
  with_bytes(x.dtype(), [&](auto t) {
    copy_from(walk, x.data<decltype(t)>() + walk.base, y.data<decltype(t)>());
  });
}

void slice_update(InOut x, In value, Ints start, Ints step) noexcept {
  const BoxWalk walk(x, value, start, step);
  if (!walk.inside) return team::fault(kOutside);
  with_bytes(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* from = value.data<T>();
    T* to = x.data<T>() + walk.base;
    const int64_t stride = walk.stride[0][0];
    pieces(walk.total, kElementGrain, [&](int64_t begin, int64_t end) {
      walk.runs(begin, end, [&](int64_t at, const int64_t* offset, int64_t n) {
        if (stride == 1)
          memcpy(to + offset[0], from + at, n * sizeof(T));
        else
          for (int64_t i = 0; i < n; ++i) to[offset[0] + i * stride] = from[at + i];
      });
    });
  });
}

void pad(In x, Out y, Ints before, double value) noexcept {
  const int rank = x.rank();
  bool fits = y.rank() == rank && before.count == rank;
  for (int d = 0; fits && d < rank; ++d) fits = before[d] >= 0 && before[d] <= y.dim(d) - x.dim(d);
  if (!fits) return team::fault("x does not fit into y behind the padding");
  if (y.size() == 0) return;
  // Axes outermost last; those without padding join the next one outward.
  int axes = 0;
  int64_t inner[kMaxRank], outer[kMaxRank], first[kMaxRank], width = 1;
  for (int d = rank - 1; d >= 0; --d) {
    inner[axes] = x.dim(d) * width;
    outer[axes] = y.dim(d) * width;
    first[axes] = before[d] * width;
    if (d > 0 && inner[axes] == outer[axes]) {
      width = inner[axes];
    } else {
      ++axes;
      width = 1;
    }
  }
  if (axes == 0) return copy(x, y);
  with_any(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const T fill = is_same<T, bool> ? T(value != 0) : static_cast<T>(value);
    const T* px = x.data<T>();
    T* py = y.data<T>();
    const int64_t row = outer[0], rows = y.size() / row;
    pieces(rows, larger(1, kElementGrain / row), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        int64_t from = 0, step = inner[0], rest = r;
        bool inside = true;
        for (int d = 1; d < axes; ++d) {
          const int64_t k = rest % outer[d] - first[d];
          inside = inside && k >= 0 && k < inner[d];
          from += k * step;
          step *= inner[d];
          rest /= outer[d];
        }
        T* to = py + r * row;
        const int64_t head = inside ? first[0] : row, length = inside ? inner[0] : 0;
        for (int64_t i = 0; i < head; ++i) to[i] = fill;
        if (length) memcpy(to + head, px + from, length * sizeof(T));
        for (int64_t i = head + length; i < row; ++i) to[i] = fill;
      }
    });
  });
}

void triangle(In x, Out y, int64_t k, bool upper) noexcept {
  const int64_t m = x.dim(-2), n = x.dim(-1);
  if (x.size() == 0) return;
  with_bytes(x.dtype(), [&](auto t) {
    using T = decltype(t);
    pieces(x.size() / n, larger(1, kElementGrain / n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        // Columns below `cut` lie on or under diagonal k (lower), or strictly under it (upper).
        const int64_t i = r % m, bound = k > n ? n : k < -m ? -m : k;
        const int64_t cut = larger(0, smaller(n, i + bound + (upper ? 0 : 1)));
        const T* from = x.data<T>() + r * n;
        T* to = y.data<T>() + r * n;
        memset(upper ? to : to + cut, 0, (upper ? cut : n - cut) * sizeof(T));
        if (upper)
          memcpy(to + cut, from + cut, (n - cut) * sizeof(T));
        else
          memcpy(to, from, cut * sizeof(T));
      }
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
