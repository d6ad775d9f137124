// argmax and argmin over the middle axis of (o, n, i).
//
// As NumPy: of equal elements the first, and the first NaN before all numbers.
#include "cpu/reduce.h"
#include "cpu/vecmath.h"
#include "kernels.h"

namespace fastnn::FASTNN_ISA {

namespace {

struct Better {  // strictly: an equal element that comes later is not better
  bool least;
  template <class T>
  FASTNN_INLINE bool operator()(T a, T b) const {
    if (b != b) return false;
    if (a != a) return true;
    return least ? a < b : a > b;
  }
};

template <class T>
struct Found {
  T value;
  int64_t index;
};

template <class T>
FASTNN_INLINE T extremum(const T* x, int64_t n, bool least) {
  using V = Pack<T>;
  V best(x[0]);
  int64_t k = 0;
  if (least)
    for (; k + V::size <= n; k += V::size) best = min(best, V::load(x + k));
  else
    for (; k + V::size <= n; k += V::size) best = max(best, V::load(x + k));
  const Better better{least};
  T r = best[0];
  for (int l = 1; l < V::size; ++l)
    if (better(best[l], r)) r = best[l];
  for (; k < n; ++k)
    if (better(x[k], r)) r = x[k];
  return r;
}

// Over a contiguous part of a row: the value block by block, and its place in the best block.
template <class T>
FASTNN_INLINE Found<T> find(const T* x, int64_t begin, int64_t end, bool least) {
  constexpr int64_t kBlock = 2048;
  Found<T> best{x[begin], begin};
  for (int64_t b = begin; b < end; b += kBlock) {
    const T v = extremum(x + b, smaller(kBlock, end - b), least);
    if (b == begin || Better{least}(v, best.value)) best = {v, b};
  }
  while (best.index + 1 < end && !(x[best.index] == best.value ||
                                   (best.value != best.value && x[best.index] != x[best.index])))
    ++best.index;
  return best;
}

template <class T>
FASTNN_INLINE void arg_rows(const T* x, int32_t* y, int64_t o, int64_t n, bool least) {
  constexpr int64_t kPart = 16384, kMaxParts = 4096;
  const int64_t part = larger(kPart, ceil_div(n, kMaxParts)), parts = ceil_div(n, part);
  if (parts == 1 || o > 64) {
    pieces(o, larger(1, kPart / n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r)
        y[r] = static_cast<int32_t>(find(x + r * n, 0, n, least).index);
    });
    return;
  }
  auto* found = static_cast<Found<T>*>(team::shared_scratch(o * parts * sizeof(Found<T>)));
  team::barrier();
  tiles(o * parts, [&](int64_t t) {
    const int64_t r = t / parts, begin = t % parts * part;
    found[t] = find(x + r * n, begin, smaller(begin + part, n), least);
  });
  team::barrier();
  if (is_first_member())
    for (int64_t r = 0; r < o; ++r) {
      const Found<T>* f = found + r * parts;
      int64_t best = 0;
      for (int64_t p = 1; p < parts; ++p)
        if (Better{least}(f[p].value, f[best].value)) best = p;
      y[r] = static_cast<int32_t>(f[best].index);
    }
  team::barrier();
}

template <class T>
FASTNN_INLINE void arg_columns(const T* x, int32_t* y, int64_t o, int64_t n, int64_t i,
                               bool least) {
  constexpr int64_t kWidth = 256;
  const int64_t strips = ceil_div(i, kWidth);
  pieces(o * strips, larger(1, kTileSize / (n * smaller(i, kWidth))),
         [&](int64_t begin, int64_t end) {
           for (int64_t u = begin; u < end; ++u) {
             const int64_t at = u / strips, j = u % strips * kWidth, width = smaller(kWidth, i - j);
             const T* from = x + at * n * i + j;
             T best[kWidth];
             int32_t place[kWidth];
             for (int64_t k = 0; k < width; ++k) {
               best[k] = from[k];
               place[k] = 0;
             }
             for (int64_t r = 1; r < n; ++r)
               for (int64_t k = 0; k < width; ++k) {
                 const T v = from[r * i + k], b = best[k];
                 // As Better, without branches: a NaN beats all but a NaN.
                 const bool takes = ((least ? v < b : v > b) | (v != v)) & (b == b);
                 best[k] = takes ? v : b;
                 place[k] = takes ? static_cast<int32_t>(r) : place[k];
               }
             for (int64_t k = 0; k < width; ++k) y[at * i + j + k] = place[k];
           }
         });
}

FASTNN_INLINE void arg_extremum(In x, Out y, bool least) {
  if (y.size() == 0) return;
  const int64_t o = x.dim(0), n = x.dim(1), i = x.dim(2);
  if (n == 0) return team::fault("the axis is empty");
  if (n > INT32_MAX) return team::fault("the axis is too long for int32 indices");
  with_number(x.dtype(), [&](auto t) {
    using T = decltype(t);
    if (i == 1)
      arg_rows(x.data<T>(), y.data<int32_t>(), o, n, least);
    else
      arg_columns(x.data<T>(), y.data<int32_t>(), o, n, i, least);
  });
}

}  // namespace

void argmax(In x, Out y) noexcept { arg_extremum(x, y, false); }
void argmin(In x, Out y) noexcept { arg_extremum(x, y, true); }

}  // namespace fastnn::FASTNN_ISA
