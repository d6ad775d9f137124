// Elementwise loops over operands that broadcast to the result, as NumPy defines it.
//
// Axes that lie one after the other in memory in every operand are merged first: (32, 28, 28, 8) +
// (8) is (25088, 8) + (8), and equal shapes are one axis. What is left is walked in runs along the
// last axis, where each operand either advances by one element or stands still.
#pragma once
#include "cpu/team.h"
#include "cpu/types.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

// Merged axes, the innermost first.
template <int N>
struct Broadcast {
  int rank = 0;
  int64_t total = 1;
  int64_t size[kMaxRank];
  int64_t stride[N][kMaxRank];
  bool dense[N];  // the operand has the result's shape

  Broadcast(const In& y, const In (&x)[N]) {
    int64_t step[N];
    for (int k = 0; k < N; ++k) {
      step[k] = 1;
      dense[k] = true;
    }
    for (int d = y.rank() - 1; d >= 0; --d) {
      const int64_t n = y.dim(d);
      total *= n;
      if (n == 1) continue;
      int64_t s[N];
      bool merges = rank > 0;
      for (int k = 0; k < N; ++k) {
        const int own = d - (y.rank() - x[k].rank());
        const int64_t extent = own >= 0 ? x[k].dim(own) : 1;
        s[k] = extent == 1 ? 0 : step[k];
        step[k] *= extent;
        dense[k] &= extent == n;
        merges = merges && s[k] == stride[k][rank - 1] * size[rank - 1];
      }
      if (merges) {
        size[rank - 1] *= n;
        continue;
      }
      size[rank] = n;
      for (int k = 0; k < N; ++k) stride[k][rank] = s[k];
      ++rank;
    }
    if (rank == 0) {
      rank = 1;
      size[0] = 1;
      for (int k = 0; k < N; ++k) stride[k][0] = 0;
    }
  }

  // f(position in the result, position in each operand, length) for the runs of [begin, end).
  template <class F>
  FASTNN_INLINE void runs(int64_t begin, int64_t end, F f) const {
    int64_t at[kMaxRank], offset[N] = {};
    for (int64_t d = 0, rest = begin; d < rank; ++d) {
      at[d] = rest % size[d];
      rest /= size[d];
      for (int k = 0; k < N; ++k) offset[k] += at[d] * stride[k][d];
    }
    while (begin < end) {
      const int64_t n = smaller(size[0] - at[0], end - begin);
      f(begin, offset, n);
      begin += n;
      at[0] += n;
      for (int k = 0; k < N; ++k) offset[k] += n * stride[k][0];
      for (int d = 0; d + 1 < rank && at[d] == size[d]; ++d) {
        at[d] = 0;
        ++at[d + 1];
        for (int k = 0; k < N; ++k) offset[k] += stride[k][d + 1] - size[d] * stride[k][d];
      }
    }
  }
};

constexpr int64_t kElementGrain = 16384;

// The elements [begin, end) of an operand, broadcast: its own memory if it is dense, else written
// out to `room`.
template <int N, class T>
FASTNN_INLINE const T* written_out(const Broadcast<N>& plan, int k, const T* x, int64_t begin,
                                   int64_t end, T* room) {
  if (plan.dense[k]) return x + begin;
  T* to = room;
  plan.runs(begin, end, [&](int64_t, const int64_t* offset, int64_t n) {
    const T* from = x + offset[k];
    const int64_t step = plan.stride[k][0];
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
    to += n;
  });
  return room;
}

// y = f(a, b). The loop over a run is body.template operator()<a stands still, b stands still>(a, b,
// y, n). Where runs are too short to be worth a loop, operands are written out in blocks first.
template <class T, class R, class Body>
FASTNN_INLINE void broadcast_binary(In a, In b, Out y, Body body) {
  const Broadcast<2> plan(y, {a, b});
  const T* pa = a.data<T>();
  const T* pb = b.data<T>();
  R* py = y.data<R>();
  constexpr int64_t kShortRun = 32, kBlock = 1024;
  if (plan.rank > 1 && plan.size[0] < kShortRun) {
    T* room = static_cast<T*>(team::local_scratch(2 * kBlock * sizeof(T)));
    pieces(plan.total, kElementGrain, [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; at += kBlock) {
        const int64_t stop = smaller(at + kBlock, end);
        const T* wa = written_out(plan, 0, pa, at, stop, room);
        const T* wb = written_out(plan, 1, pb, at, stop, room + kBlock);
        body.template operator()<false, false>(wa, wb, py + at, stop - at);
      }
    });
    return;
  }
  pieces(plan.total, kElementGrain, [&](int64_t begin, int64_t end) {
    plan.runs(begin, end, [&](int64_t at, const int64_t* offset, int64_t n) {
      const T* ra = pa + offset[0];
      const T* rb = pb + offset[1];
      if (plan.stride[0][0] && plan.stride[1][0])
        body.template operator()<false, false>(ra, rb, py + at, n);
      else if (plan.stride[0][0])
        body.template operator()<false, true>(ra, rb, py + at, n);
      else if (plan.stride[1][0])
        body.template operator()<true, false>(ra, rb, py + at, n);
      else
        body.template operator()<true, true>(ra, rb, py + at, n);
    });
  });
}

// y[i] = f(a[i], b[i]), where a or b may stand still.
template <bool kOneA, bool kOneB, class T, class F>
FASTNN_INLINE void map_run(const T* a, const T* b, T* y, int64_t n, F f) {
  using V = Pack<T>;
  const V one_a(*a), one_b(*b);
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size)
    f(kOneA ? one_a : V::load(a + i), kOneB ? one_b : V::load(b + i)).store(y + i);
  if (i < n)
    f(kOneA ? one_a : V::load_n(a + i, n - i), kOneB ? one_b : V::load_n(b + i, n - i))
        .store_n(y + i, n - i);
}

// y[i] = f(x[i]).
template <class T, class F>
FASTNN_INLINE void map_run(const T* x, T* y, int64_t n, F f) {
  if (n > 0) map_run<false, true>(x, x, y, n, [&](auto v, auto) { return f(v); });
}

}  // namespace fastnn::FASTNN_ISA
