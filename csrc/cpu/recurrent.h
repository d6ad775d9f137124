// What the recurrent layers share: how a sequence is walked, and the product with the recurrent
// kernel.
//
// Layout. x and every sequence are (batch, time, units); the gates of a step lie side by side, z
// (b, t, g*n). The walk adds h U step by step to the input's part of the gates, x W + b. That part
// is in z before the walk begins, as one big product; or, where W is small, the walk computes it
// step by step, while it is in L1, and z is only written. The sums are the same to the bit.
//
// A walk without `keep` leaves nothing for a backward pass: its gates stay in scratch, where the
// input's part of them was, so that z does not go through memory.
//
// `reverse` means go_backwards: step s of the walk reads x at time t-1-s. z and its gradient lie in
// the order of x, the states h and c in the order of the walk.
//
// Threads. The rows of a batch do not know each other, so a block of rows walks all of time alone,
// without a barrier. A batch too small for that is cut by units instead, with a barrier a step; or
// one member walks, where that shows to be faster.
#pragma once
#include "cpu/recurrent_rows.h"
#include "cpu/types.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA::recurrent {

// b sequences of t steps, n units with g gates each.
struct Extent {
  int64_t b, t, n;
  int64_t g;
  bool reverse;
  FASTNN_INLINE int64_t time(int64_t step) const { return reverse ? t - 1 - step : step; }
};

// The input and its kernel, (b, t, d) and (d, g*n), where a walk multiplies them too; else x is
// null.
template <class T>
struct Input {
  const T *x, *w, *bias;
  int64_t d;
};

// A block of the state: rows of the batch and units of each.
struct Part {
  int64_t row, rows, unit, units;
};

inline constexpr int64_t kMaxGates = 4;
inline constexpr int64_t kStrip = 128;  // units at a time in what follows the product, in L1
// A register block of the product: enough parts for many members, and as fast as taller ones, for
// the packed U streams well from L2 and L3.
inline constexpr int64_t kRowsOfTile = kRows;
// Below this many rows, and from this much work a step on, units are shared among the members.
inline constexpr int64_t kFewRows = 8, kWorkOfStep = 1 << 14;

struct Cut {
  int64_t rows, units;
};

// How the state is cut into parts: by rows, or by units where all rows are in one part.
template <class T>
FASTNN_INLINE Cut cut_state(const Extent& e, int64_t d) {
  if (e.b < kFewRows && e.n % kPanel<T> == 0 && e.b * e.n * e.n * e.g >= kWorkOfStep) {
    const int64_t part = e.n / 16 / kPanel<T> * kPanel<T>, least = (e.g > 2 ? 1 : 2) * kPanel<T>;
    return {e.b, part > least ? part : least};
  }
  // Scratch holds for each row of a part the sums of the gates and a state or, with an input, the
  // input's sums and x.
  const int64_t row = (e.g + 1) * e.n + (d ? e.g * e.n + d : 0);
  const int64_t fit = (int64_t)(kGemmScratch / sizeof(T)) / row;
  const int64_t most = kRowsOfTile < fit ? kRowsOfTile : fit;
  if (most < 1) return {0, 0};
  int64_t count = (e.b + most - 1) / most;
  if (count > 1) count += count % 2;  // members often come in twos
  return {(e.b + count - 1) / count, e.n};
}

// f(part, step, phase) for every part of the state, every step and every phase of a step, in order.
// d: columns of the input, where the walk multiplies it too.
// In phase i of a step a part may read what other parts wrote in phase i - 1, of rows it owns.
template <class T, class F>
FASTNN_INLINE void walk(const Extent& e, int64_t steps, int phases, int64_t d, F f) {
  const Cut cut = cut_state<T>(e, d);
  if (cut.rows == 0) {
    team::fault("more units than scratch has room for");
    return;
  }
  if (cut.units == e.n) {
    pieces(e.b, cut.rows, [&](int64_t begin, int64_t end) {
      for (int64_t step = 0; step < steps && !team::broken_off(); ++step)
        for (int phase = 0; phase < phases; ++phase)
          f(Part{begin, end - begin, 0, e.n}, step, phase);
    });
    return;
  }
  const auto part = [&](int64_t unit, int64_t step, int phase) {
    const int64_t left = e.n - unit;
    if (!team::broken_off())
      f(Part{0, e.b, unit, left < cut.units ? left : cut.units}, step, phase);
  };
  // Where the cores are far apart, or one is lent to somebody else, meeting at every step costs
  // more than the others bring. The first member sees it in the first steps, where they take longer
  // than as many parts as there are would take it, and walks on alone, to the same bits.
  constexpr int64_t kWarm = 2, kTrial = 8;
  const bool shared = team::self().size > 1;
  const int64_t parts = (e.n + cut.units - 1) / cut.units;
  int64_t busy_ns = 0, done = 0, all_ns = 0, seen = 0;
  bool together = true;
  for (int64_t step = 0; step < steps; ++step) {
    const bool looks = shared && step >= kWarm && step < kTrial;
    for (int phase = 0; phase < phases; ++phase) {
      if (together) {
        const int64_t begin_ns = looks ? team::now_ns() : 0;
        pieces(e.n, cut.units, [&](int64_t unit, int64_t) {
          const int64_t part_ns = looks ? team::now_ns() : 0;
          part(unit, step, phase);
          if (looks) busy_ns += team::now_ns() - part_ns, ++done;
        });
        team::barrier();
        if (looks) all_ns += team::now_ns() - begin_ns, ++seen;
      } else if (is_first_member()) {
        for (int64_t unit = 0; unit < e.n; unit += cut.units) part(unit, step, phase);
      }
    }
    if (step == kTrial) together = team::agree(all_ns * done <= busy_ns * parts * seen);
  }
  if (!together) team::barrier();
}

// f(row, unit, count) over the rows of a part, in strips of units.
template <class F>
FASTNN_INLINE void strips(const Part& p, F f) {
  for (int64_t row = p.row; row < p.row + p.rows; ++row)
    for (int64_t j = p.unit; j < p.unit + p.units; j += kStrip)
      f(row, j, p.unit + p.units - j < kStrip ? p.unit + p.units - j : kStrip);
}

// ---- the recurrent kernel ---------------------------------------------------------------------

// U (n, g*n), packed once for all steps in the scratch of the team; where it is too large for that,
// read as it lies, and packed again by every product.
//
// With dropout of the state a gate may have its own h, so gates are grouped in planes: the gates of
// a plane multiply the same h. Plane 0 takes the first gates, the others have one gate each.
struct Planes {
  int64_t planes, gates;
  FASTNN_INLINE int64_t first(int64_t p) const { return p ? gates - planes + p : 0; }
  FASTNN_INLINE int64_t end(int64_t p) const { return gates - planes + p + 1; }
};

template <class T>
struct Kernel {
  const T* u;
  const T* packed;
  int64_t n, g;
  const T* input = nullptr;  // W, packed

  // Of the forward pass: U_gate (n, n).
  FASTNN_INLINE Right<T> of_gate(int64_t gate) const {
    if (packed) return Right<T>::packed(packed + gate * packed_size<T>(n, n));
    return Right<T>::row_major(u + gate * n, g * n);
  }
  // Of the backward pass: U^T of the gates of a plane, (gates*n, n).
  FASTNN_INLINE Right<T> of_plane(const Planes& planes, int64_t p) const {
    if (packed) return Right<T>::packed(packed + planes.first(p) * packed_size<T>(n, n));
    return Right<T>::column_major(u + planes.first(p) * n, g * n);
  }
};

// f(matrix, k, right) packs the columns [j0, j0 + nb) of each of `count` matrices.
template <class T, class F>
FASTNN_INLINE T* pack_shared(int64_t n, int64_t g, int64_t count, F f) {
  T* packed = (T*)team::shared_scratch(g * packed_size<T>(n, n) * sizeof(T));
  if (!packed) return nullptr;
  const int64_t chunk = 2 * kPanel<T>, chunks = (n + chunk - 1) / chunk;
  team::barrier();
  // By columns, of all matrices: as units are shared, so that members find in their own caches what
  // they have packed.
  tiles(count * chunks, [&](int64_t i) {
    const int64_t j = i / count * chunk;
    f(packed, i % count, j, n - j < chunk ? n - j : chunk);
  });
  team::barrier();
  return packed;
}

template <class T>
Kernel<T> pack_gates(const T* u, int64_t n, int64_t g, const Input<T>& in) {
  const T* packed = pack_shared<T>(n, g, g, [&](T* to, int64_t gate, int64_t j, int64_t nb) {
    const Right<T> from = Right<T>::row_major(u + gate * n + j, g * n);
    pack_right(to + gate * packed_size<T>(n, n), n, n, from, 0, n, j, nb);
  });
  if (!in.x) return {u, packed, n, g};
  T* input = (T*)packed + g * packed_size<T>(n, n);
  pieces(g * n, 2 * kPanel<T>, [&](int64_t j, int64_t end) {
    const Right<T> from = Right<T>::row_major(in.w + j, g * n);
    pack_right(input, in.d, g * n, from, 0, in.d, j, end - j);
  });
  team::barrier();
  return {u, packed, n, g, input};
}

template <class T>
Kernel<T> pack_planes(const T* u, int64_t n, const Planes& planes) {
  const int64_t g = planes.gates;
  const T* packed =
      pack_shared<T>(n, g, planes.planes, [&](T* to, int64_t p, int64_t j, int64_t nb) {
        const int64_t first = planes.first(p), k = (planes.end(p) - first) * n;
        const Right<T> from = Right<T>::column_major(u + first * n + j * g * n, g * n);
        pack_right(to + first * packed_size<T>(n, n), k, n, from, 0, k, j, nb);
      });
  return {u, packed, n, g};
}

// The columns of a part of c (rows, units): add + a b. `c` and `add` point at the part's first.
template <class T>
FASTNN_INLINE void product(const Part& p, int64_t n, int64_t k, const T* a, int64_t lda,
                           const Right<T>& b, T* c, int64_t ldc, const T* add, int64_t add_ld) {
  gemm_tile(Gemm<T>{.m = p.rows,
                    .n = n,
                    .k = k,
                    .a = {.data = a, .ld = lda},
                    .b = b,
                    .c = c - p.unit,
                    .ldc = ldc,
                    .add = add ? add - p.unit : nullptr,
                    .add_ld = add_ld},
            0, p.rows, p.unit, p.unit + p.units, Store{});
}

// ---- states -----------------------------------------------------------------------------------

// A sequence of states (b, t, n) and what comes before it (b, n), or null for zeros. Where nothing
// is kept, all steps are in the place of the first one.
template <class T>
struct States {
  T* sequence;
  const T* initial;
  int64_t t, n;
  bool keep = true;
  FASTNN_INLINE T* of(int64_t row, int64_t step) const {
    return sequence + (row * t + (keep ? step : 0)) * n;
  }
  // The state before `step`, rows from `row` on, `ld()` apart; null for zeros.
  FASTNN_INLINE const T* before(int64_t row, int64_t step) const {
    if (step) return of(row, step - 1);
    return initial ? initial + row * n : nullptr;
  }
  FASTNN_INLINE int64_t ld(int64_t step) const { return step ? t * n : n; }
};

// Dropout of the state: (planes or 1, b, n), or null.
template <class T>
struct StateDropout {
  const T* scale;
  int64_t planes, b, n;
  FASTNN_INLINE const T* at(int64_t plane, int64_t row) const {
    return scale ? scale + ((plane < planes ? plane : planes - 1) * b + row) * n : nullptr;
  }
};

// sums (rows, gates, units) = bias + a U of one panel of units, for gates [first, end) at once: few
// rows have few sums, and more of them side by side need not wait for one another.
template <class T>
FASTNN_INLINE void panel_sums(const Extent& e, const Part& p, const Kernel<T>& u, const T* a,
                              int64_t lda, const T* bias, int64_t first, int64_t end, T* sums) {
  constexpr int64_t units = kPanel<T>;
  const int64_t step = packed_size<T>(e.n, e.n), count = end - first;
  alignas(64) T added[kMaxGates * units];
  for (int64_t g = 0; g < count && bias; ++g)
    scaled<T>(bias + (first + g) * e.n + p.unit, nullptr, added + g * units, units);
  gemm_serial(Gemm<T>{.m = p.rows,
                      .n = count * units,
                      .k = e.n,
                      .a = {.data = a, .ld = lda},
                      .b = Right<T>::packed_across(u.packed + first * step, e.n, p.unit, step),
                      .c = sums + first * units,
                      .ldc = e.g * units,
                      .add = bias ? added : nullptr});
}

// sums (rows, gates, units) = bias + (h scale) U for gates [first, end), h the state before `step`.
// `room` holds a state for each row.
template <class T>
FASTNN_INLINE void recurrent_sums(const Extent& e, const Part& p, const Kernel<T>& u,
                                  const States<T>& h, int64_t step, const StateDropout<T>& drop,
                                  const T* bias, int64_t first, int64_t end, T* sums, T* room) {
  const int64_t n = e.n, ldc = e.g * p.units;
  const T* a = h.before(p.row, step);
  int64_t lda = h.ld(step);
  if (a && u.packed && p.units == kPanel<T> && p.units < n && !drop.scale)
    return panel_sums(e, p, u, a, lda, bias, first, end, sums);
  for (int64_t g = first; g < end; ++g) {
    T* c = sums + g * p.units;
    const T* add = bias ? bias + g * n + p.unit : nullptr;
    if (!a) {
      for (int64_t r = 0; r < p.rows; ++r) scaled<T>(add, nullptr, c + r * ldc, p.units);
      continue;
    }
    // Rows of a sequence may lie a multiple of a page apart and fight for the same lines of L1: the
    // product reads a copy.
    const bool copied = drop.scale || p.units == n;
    if (copied && (g == first || drop.planes > 1)) {
      const T* from = h.before(p.row, step);
      for (int64_t r = 0; r < p.rows; ++r)
        scaled(from + r * h.ld(step), drop.at(g, p.row + r), room + r * n, n);
      a = room;
      lda = n;
    }
    product(p, n, n, a, lda, u.of_gate(g), c, ldc, add, 0);
  }
}

// z = x W + bias, as one product over all steps.
template <class T>
FASTNN_INLINE void project(const Extent& e, const Input<T>& in, T* z) {
  gemm(Gemm<T>{.m = e.b * e.t,
               .n = e.g * e.n,
               .k = in.d,
               .a = {.data = in.x, .ld = in.d},
               .b = Right<T>::row_major(in.w, e.g * e.n),
               .c = z,
               .ldc = e.g * e.n,
               .add = in.bias});
  team::barrier();
}

// What the walk is to compute of the input's part itself: all of it where W and U together stay in
// L2 and every member has a part to walk, so that a product over all steps would only send z
// through memory once more; else nothing, and z holds it now.
template <class T>
FASTNN_INLINE Input<T> input_of_walk(const Extent& e, const Input<T>& in, T* z) {
  if (!in.x) return in;
  const Cut cut = cut_state<T>(e, in.d);
  const int64_t bytes =
      (e.g * packed_size<T>(e.n, e.n) + packed_size<T>(in.d, e.g * e.n)) * sizeof(T);
  if (in.d && e.b >= kFewRows && cut.units == e.n && cut.rows && bytes <= 1 << 20 &&
      (e.b + cut.rows - 1) / cut.rows >= team::self().size)
    return in;
  project(e, in, z);
  return {};
}

// sums (rows, gates*n) = x W + bias of a part's rows at `time`. `room` holds their x.
template <class T>
FASTNN_INLINE void input_sums(const Extent& e, const Part& p, const Kernel<T>& kernel,
                              const Input<T>& in, int64_t time, T* sums, T* room) {
  const int64_t n = e.g * e.n;
  for (int64_t r = 0; r < p.rows; ++r)
    scaled<T>(in.x + ((p.row + r) * e.t + time) * in.d, nullptr, room + r * in.d, in.d);
  gemm_tile(Gemm<T>{.m = p.rows,
                    .n = n,
                    .k = in.d,
                    .a = {.data = room, .ld = in.d},
                    .b = Right<T>::packed(kernel.input),
                    .c = sums,
                    .ldc = n,
                    .add = in.bias},
            0, p.rows, 0, n, Store{});
}

// dh (b, n) += for each plane, scale (dz U^T) of its gates; dz are the gates' gradients of a step,
// rows ld apart. `room` holds a state and all gates for each row.
template <class T>
FASTNN_INLINE void pull_back(const Extent& e, const Part& p, const Kernel<T>& u,
                             const Planes& gates, int64_t planes, const StateDropout<T>& drop,
                             const T* dz, int64_t ld, T* dh, T* room) {
  using V = Vec<T>;
  const int64_t n = e.n;
  T* to = dh + p.row * n + p.unit;
  if (p.units == n) {  // a copy, as above
    const int64_t width = e.g * n;
    T* copy = room + p.rows * n;
    for (int64_t r = 0; r < p.rows; ++r) scaled<T>(dz + r * ld, nullptr, copy + r * width, width);
    dz = copy;
    ld = width;
  }
  for (int64_t q = 0; q < planes; ++q) {
    const int64_t first = gates.first(q), k = (gates.end(q) - first) * n;
    if (!drop.scale) {
      product(p, n, k, dz + first * n, ld, u.of_plane(gates, q), to, n, (const T*)to, n);
      continue;
    }
    product<T>(p, n, k, dz + first * n, ld, u.of_plane(gates, q), room, p.units, nullptr, 0);
    for (int64_t r = 0; r < p.rows; ++r) {
      const T* scale = drop.at(q, p.row + r) + p.unit;
      T* sum = to + r * n;
      const T* add = room + r * p.units;
      vectors<T>(p.units, [&](int64_t j, int64_t left) {
        fma(V::load_n(add + j, left), V::load_n(scale + j, left), V::load_n(sum + j, left))
            .store_n(sum + j, left);
      });
    }
  }
}

template <class T>
FASTNN_INLINE T* or_null(Out x) {
  return x ? x.data<T>() : nullptr;
}
template <class T>
FASTNN_INLINE const T* or_null(In x) {
  return x ? x.data<T>() : nullptr;
}

FASTNN_INLINE bool input_fits(In x, In w) {
  if (!x == !w) return true;
  team::fault("x and w come together");
  return false;
}

// A gradient that comes in from a later step: (b, n) into the running one, zeros if there is none.
template <class T>
FASTNN_INLINE void begin_gradient(const Part& p, int64_t n, const T* last, T* running) {
  for (int64_t row = p.row; row < p.row + p.rows; ++row)
    scaled<T>(last ? last + row * n + p.unit : nullptr, nullptr, running + row * n + p.unit,
              p.units);
}

// y (b, n) = x or zeros: the final state of a sequence without steps.
template <class T>
FASTNN_INLINE void copy_state(int64_t b, int64_t n, const T* x, T* y) {
  pieces(b * n, 4096, [&](int64_t begin, int64_t end) {
    scaled<T>(x ? x + begin : nullptr, nullptr, y + begin, end - begin);
  });
}

}  // namespace fastnn::FASTNN_ISA::recurrent
