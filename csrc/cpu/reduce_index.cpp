// argmax and argmin over the middle axis of (o, n, i).
//
// As NumPy: of equal elements the first, and the first NaN before all numbers.
#include "cpu/reduce.h"
#include "cpu/vecmath.h"
#include "tensor.h"

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

// The best of x, n > 0. Among floats a NaN is looked for only where one may be: x times 0, added
// up, is NaN too.
template <class T>
FASTNN_INLINE T extremum(const T* x, int64_t n, bool least) {
  using V = Pack<T>;
  constexpr int64_t size = V::size, chains = 4;
  V rest(T(0));
  const auto over = [&](auto pick) __attribute__((always_inline)) {
    V best[chains], zeros[chains];
    for (int q = 0; q < chains; ++q) best[q] = V(x[0]), zeros[q] = V(T(0));
    const auto look = [&](int q, int64_t k) __attribute__((always_inline)) {
      const V v = V::load(x + k);
      best[q] = pick(best[q], v);
      if constexpr (is_float<T>) zeros[q] = fma(v, V(0), zeros[q]);
    };
    int64_t k = 0;
    for (; k + chains * size <= n; k += chains * size) {
#pragma GCC unroll 4
      for (int q = 0; q < chains; ++q) look(q, k + q * size);
    }
    for (; k + size <= n; k += size) look(0, k);
    // The rest overlaps what has been seen; a short row is looked at element by element.
    if (n >= size) look(1, n - size);
    rest = (zeros[0] + zeros[1]) + (zeros[2] + zeros[3]);
    return pick(pick(best[0], best[1]), pick(best[2], best[3]));
  };
  const auto smaller_of = [](V p, V q) {
    if constexpr (is_float<T>)
      return min_or_second(p, q);
    else
      return min(p, q);
  };
  const auto larger_of = [](V p, V q) {
    if constexpr (is_float<T>)
      return max_or_second(p, q);
    else
      return max(p, q);
  };
  T r = least ? fold_min(over(smaller_of).v) : fold_max(over(larger_of).v);
  for (int64_t k = 0; k < n && n < size; ++k)
    if (Better{least}(x[k], r)) r = x[k];
  if constexpr (is_float<T>) {
    if (any(is_nan(rest)))
      for (int64_t k = 0; k < n; ++k)
        if (x[k] != x[k]) return x[k];
  }
  return r;
}

// The first place of `value`, which is there, or of a NaN if it is one.
template <class T>
FASTNN_INLINE int64_t place_of(const T* x, int64_t n, T value) {
  using V = Pack<T>;
  int64_t k = 0;
  if (value != value) {
    while (k + 1 < n && x[k] == x[k]) ++k;
    return k;
  }
  if constexpr (is_float<T>) {
    const auto at = [&](int q) { return V::load(x + k + q * V::size) == V(value); };
    while (k + 4 * V::size <= n && !any((at(0) | at(1)) | (at(2) | at(3)))) k += 4 * V::size;
    for (; k + V::size <= n; k += V::size) {
      const auto here = V::load(x + k) == V(value);
      if (any(here)) return k + first_lane(here);
    }
  }
  while (k + 1 < n && x[k] != value) ++k;
  return k;
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
  best.index += place_of(x + best.index, end - best.index, best.value);
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
  using V = Pack<T>;
  using Raw = typename V::Raw;
  using Lanes = decltype(Raw{} < Raw{});  // integers as wide as T
  using Lane = decltype(Lanes{}[0] + 0);
  constexpr int64_t kWidth = 64;
  const int64_t strips = ceil_div(i, kWidth);
  pieces(o * strips, larger(1, kTileSize / (n * smaller(i, kWidth))),
         [&](int64_t begin, int64_t end) {
           for (int64_t u = begin; u < end; ++u) {
             const int64_t at = u / strips, j = u % strips * kWidth, width = smaller(kWidth, i - j);
             const T* from = x + at * n * i + j;
             for (int64_t k = 0; k < width; k += V::size) {
               const int64_t m = width - k;
               Raw best = V::load_n(from + k, m).v;
               Lanes place{};
               for (int64_t r = 1; r < n; ++r) {
                 const Raw v = V::load_n(from + r * i + k, m).v;
                 // As Better, without branches: a NaN beats all but a NaN.
                 const Lanes takes = ((least ? v < best : v > best) | (v != v)) & (best == best);
                 best = takes ? v : best;
                 place = takes ? Lanes{} + static_cast<Lane>(r) : place;
               }
               for (int64_t l = 0; l < smaller(m, V::size); ++l)
                 y[at * i + j + k + l] = static_cast<int32_t>(place[l]);
             }
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
