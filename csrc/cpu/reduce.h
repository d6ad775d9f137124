// Reductions of x (o, n, i) over n, its middle axis: every set of adjacent axes has this form.
//
// n is cut into parts by the sizes alone, each part gives a partial, and partials are combined in
// order: the same bits for any number of threads. A float32 sum adds at most kRunRows numbers in
// float before it goes on in double.
//
// An Op says what is done:
//   Acc<T>                   type of partials
//   Op::initial<T>()         the neutral element
//   map(x, p)                of each element, p being its output's parameter (a mean, a maximum)
//   combine(a, b)            of two registers, and of two partials
//   finish<T>(acc, n, p)     the result
//   decided(acc)             true where no further element can change it (any and all)
#pragma once
#include "cpu/simd_lanes.h"
#include "cpu/team.h"
#include "cpu/types.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

constexpr int64_t kRunRows = 512;     // additions in T before the partial type takes over
constexpr int64_t kStrip = 512;       // columns worked on at a time, in first-level cache
constexpr int64_t kTileSize = 32768;  // elements of x that make a tile worth handing out

template <class Op, class T>
FASTNN_INLINE auto fold_lanes(Pack<T> v, Op op) {
  constexpr int lanes = Pack<T>::size;
  using A = typename Op::template Acc<T>;
  if constexpr (sizeof(T) == 1) {  // truth values: whether any byte is not 0
    static_assert(Op::kTruth);
    const auto words = (typename Native<uint64_t, lanes / 8>::type) v.v;
    uint64_t seen = 0;
    for (int k = 0; k < lanes / 8; ++k) seen |= words[k];
    return static_cast<A>(seen != 0);
  } else {  // lane 0 is all that counts
    if constexpr (lanes == 16) v = op.combine(v, moved_down<8>(v));
    if constexpr (lanes >= 8) v = op.combine(v, moved_down<4>(v));
    if constexpr (lanes >= 4) v = op.combine(v, moved_down<2>(v));
    return static_cast<A>(op.combine(v, moved_down<1>(v))[0]);
  }
}

template <class Op, class A>
constexpr bool can_be_decided = requires(Op op, A total) { op.decided(total); };

template <class Op, class A>
FASTNN_INLINE bool is_decided(Op op, A total) {
  if constexpr (can_be_decided<Op, A>)
    return op.decided(total);
  else
    return false;
}

// One contiguous row, in registers.
template <class Op, class T>
FASTNN_OUTLINE auto reduce_row(const T* x, int64_t n, T param, Op op) {
  using V = Pack<T>;
  using A = typename Op::template Acc<T>;
  constexpr int64_t wide = 4 * V::size, run = sizeof(T) == 1 ? 512 : kRunRows * V::size;
  const V initial(Op::template initial<T>()), p(param);
  A total = Op::template initial<A>();
  for (int64_t begin = 0; begin < n; begin += run) {
    const int64_t end = smaller(n, begin + run);
    int64_t k = begin;
    V a = initial;
    if (k + wide <= end) {
      V b = initial, c = initial, d = initial;
      for (; k + wide <= end; k += wide) {
        a = op.combine(a, op.map(V::load(x + k), p));
        b = op.combine(b, op.map(V::load(x + k + V::size), p));
        c = op.combine(c, op.map(V::load(x + k + 2 * V::size), p));
        d = op.combine(d, op.map(V::load(x + k + 3 * V::size), p));
      }
      a = op.combine(op.combine(a, b), op.combine(c, d));
    }
    for (; k + V::size <= end; k += V::size) a = op.combine(a, op.map(V::load(x + k), p));
    if (k < end) {
      T rest[V::size];
      initial.store(rest);
      op.map(V::load_n(x + k, end - k), p).store_n(rest, end - k);
      a = op.combine(a, V::load(rest));
    }
    total = op.combine(total, fold_lanes<Op, T>(a, op));
    if (is_decided(op, total)) break;
  }
  return total;
}

// acc[j] = combine(acc[j], map(x[j])) for one row of `width` columns, or for four at once.
template <class Op, class T>
FASTNN_INLINE void add_row(T* acc, const T* x, const T* p, int64_t width, Op op) {
  using V = Pack<T>;
  for (int64_t j = 0; j < width; j += V::size) {
    const int64_t m = width - j;
    op.combine(V::load_n(acc + j, m), op.map(V::load_n(x + j, m), V::load_n(p + j, m)))
        .store_n(acc + j, m);
  }
}
template <class Op, class T>
FASTNN_INLINE void add_rows_4(T* acc, const T* x, int64_t stride, const T* p, int64_t width,
                              Op op) {
  using V = Pack<T>;
  int64_t j = 0;
  for (; j + V::size <= width; j += V::size) {
    const V q = V::load(p + j);
    const V ab = op.combine(op.map(V::load(x + j), q), op.map(V::load(x + stride + j), q));
    const V cd =
        op.combine(op.map(V::load(x + 2 * stride + j), q), op.map(V::load(x + 3 * stride + j), q));
    op.combine(V::load(acc + j), op.combine(ab, cd)).store(acc + j);
  }
  if (j < width)
    for (int r = 0; r < 4; ++r) add_row(acc + j, x + r * stride + j, p + j, width - j, op);
}

// Rows of `width` columns, `stride` apart, into total[width]. Where the rows touch one another
// (width == stride) and are narrow, several of them are taken as one wide row and folded at the
// end. acc and p have room for kStrip numbers, p only being touched where several rows are one.
template <class Op, class T, class A>
FASTNN_OUTLINE void reduce_columns(const T* x, int64_t rows, int64_t width, int64_t stride,
                                   const T* param, A* total, T* acc, T* wide_param, Op op) {
  int64_t fold = 1;
  if (width == stride)
    while (2 * fold * width <= kStrip && 2 * fold <= rows) fold *= 2;
  const int64_t wide = fold * width;
  if (fold > 1) {
    for (int64_t f = 0; f < fold; ++f)
      for (int64_t j = 0; j < width; ++j) wide_param[f * width + j] = param[j];
    param = wide_param;
    stride = wide;
  }
  const int64_t wide_rows = rows / fold, rest = rows % fold;
  for (int64_t j = 0; j < width; ++j) total[j] = Op::template initial<A>();
  for (int64_t begin = 0; begin < wide_rows; begin += kRunRows) {
    const int64_t end = smaller(wide_rows, begin + kRunRows);
    for (int64_t j = 0; j < wide; ++j) acc[j] = Op::template initial<T>();
    int64_t r = begin;
    for (; r + 4 <= end; r += 4) add_rows_4(acc, x + r * stride, stride, param, wide, op);
    for (; r < end; ++r) add_row(acc, x + r * stride, param, wide, op);
    if (rest && end == wide_rows) add_row(acc, x + wide_rows * stride, param, rest * width, op);
    for (int64_t half = fold / 2; half; half /= 2)
      for (int64_t j = 0; j < half * width; ++j) acc[j] = op.combine(acc[j], acc[half * width + j]);
    for (int64_t j = 0; j < width; ++j) total[j] = op.combine(total[j], static_cast<A>(acc[j]));
  }
}

// y (o, i) = Op over n of x (o, n, i), with an optional parameter (o, i) for each result.
template <class Op, class T, class R>
FASTNN_INLINE void reduce(const T* x, const T* param, R* y, int64_t o, int64_t n, int64_t i,
                          Op op) {
  using A = typename Op::template Acc<T>;
  if (o == 0 || i == 0) return;
  const int64_t strip = smaller(i, kStrip), strips = ceil_div(i, strip), units = o * strips;
  const int64_t wanted = smaller(64, o * n * i / kTileSize);
  const int64_t parts = larger(1, smaller(n, wanted <= units ? 1 : ceil_div(wanted, units)));
  char* local = static_cast<char*>(team::local_scratch(kStrip * (2 * sizeof(T) + sizeof(A))));
  A* total = reinterpret_cast<A*>(local);
  T* acc = reinterpret_cast<T*>(local + kStrip * sizeof(A));
  T* room = acc + kStrip;
  const auto param_at = [&](int64_t k) { return param ? param[k] : T(0); };

  // One unit is a strip of one o; part p of it covers rows [n p / parts, n (p + 1) / parts).
  const auto work = [&](int64_t unit, int64_t part, A* to) {
    const int64_t at = unit / strips, j = unit % strips * strip, width = smaller(strip, i - j);
    const int64_t begin = n * part / parts, end = n * (part + 1) / parts;
    const T* from = x + (at * n + begin) * i + j;
    if (i == 1) {
      *to = reduce_row(from, end - begin, param_at(at), op);
    } else {
      // Ops without a parameter never look at what stands in its place.
      const T* p = param ? param + at * i + j : acc;
      reduce_columns(from, end - begin, width, i, p, to, acc, room, op);
    }
    return width;
  };
  const auto write = [&](int64_t unit, const A* from) {
    const int64_t at = unit / strips, j = unit % strips * strip, width = smaller(strip, i - j);
    for (int64_t k = 0; k < width; ++k)
      y[at * i + j + k] = op.template finish<T>(from[k], n, param_at(at * i + j + k));
  };

  if (parts == 1) {
    pieces(units, larger(1, kTileSize / (n * strip + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit) {
        work(unit, 0, total);
        write(unit, total);
      }
    });
    return;
  }
  // At most 64 + units parts of a strip each, and units < 64: far below the limit.
  const int64_t partials = units * parts * strip;
  A* partial = static_cast<A*>(team::shared_scratch(partials * sizeof(A) + units));
  team::barrier();
  if constexpr (can_be_decided<Op, A>) {  // once one part decides, the other parts are left out
    uint8_t* decided = reinterpret_cast<uint8_t*>(partial + partials);
    if (is_first_member())
      for (int64_t unit = 0; unit < units; ++unit) decided[unit] = false;
    team::barrier();
    tiles(units * parts, [&](int64_t t) {
      A* to = partial + t * strip;
      if (__atomic_load_n(&decided[t / parts], __ATOMIC_RELAXED)) {
        for (int64_t k = 0; k < strip; ++k) to[k] = Op::template initial<A>();
        return;
      }
      work(t / parts, t % parts, to);
      if (strip == 1 && op.decided(*to))
        __atomic_store_n(&decided[t / parts], true, __ATOMIC_RELAXED);
    });
  } else {
    tiles(units * parts, [&](int64_t t) { work(t / parts, t % parts, partial + t * strip); });
  }
  team::barrier();
  tiles(units, [&](int64_t unit) {
    const int64_t width = smaller(strip, i - unit % strips * strip);
    A* sum = partial + unit * parts * strip;
    for (int64_t p = 1; p < parts; ++p)
      for (int64_t k = 0; k < width; ++k) sum[k] = op.combine(sum[k], sum[p * strip + k]);
    write(unit, sum);
  });
  team::barrier();
}

}  // namespace fastnn::FASTNN_ISA
