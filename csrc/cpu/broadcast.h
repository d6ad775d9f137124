// Loops over a dense result and operands that lie otherwise: broadcast, transposed, sliced.
//
// Axes that lie one after the other in memory in every operand are merged first: (32, 28, 28, 8) +
// (8) is (25088, 8) + (8), and equal shapes are one axis. What is left is walked in runs along the
// last axis, where a broadcast operand either advances by one element or stands still.
#pragma once
#include "cpu/team.h"
#include "cpu/types.h"
#include "tensor.h"

#include <string.h>

namespace fastnn::FASTNN_ISA {

constexpr int64_t kElementGrain = 16384;

// A dense result of `total` elements, and for N other arrays the step in their memory that one step
// along each of its axes makes. Axes are merged where they can be; the innermost comes first.
template <int N>
struct Walk {
  int rank = 0;
  int64_t total = 1;
  int64_t size[kMaxRank] = {1};
  int64_t stride[N][kMaxRank] = {};

  // The next axis outward.
  FASTNN_INLINE void add_axis(int64_t n, const int64_t (&step)[N]) {
    total *= n;
    if (n == 1) return;
    bool merges = rank > 0;
    for (int k = 0; k < N; ++k) merges = merges && step[k] == stride[k][rank - 1] * size[rank - 1];
    if (merges) {
      size[rank - 1] *= n;
      return;
    }
    size[rank] = n;
    for (int k = 0; k < N; ++k) stride[k][rank] = step[k];
    ++rank;
  }

  // f(position in the result, position in each array, length) for the runs of [begin, end).
  template <class F>
  FASTNN_INLINE void runs(int64_t begin, int64_t end, F f) const {
    int64_t at[kMaxRank] = {}, offset[N] = {};
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

// The walk through operands x that broadcast to y.
template <int N>
struct Broadcast : Walk<N> {
  bool dense[N];  // the operand has the result's shape

  Broadcast(const In& y, const In (&x)[N]) {
    int64_t below[N], step[N];
    for (int k = 0; k < N; ++k) {
      below[k] = 1;
      dense[k] = true;
    }
    for (int d = y.rank() - 1; d >= 0; --d) {
      for (int k = 0; k < N; ++k) {
        const int own = d - (y.rank() - x[k].rank());
        const int64_t extent = own >= 0 ? x[k].dim(own) : 1;
        step[k] = extent == 1 ? 0 : below[k];
        below[k] *= extent;
        dense[k] &= extent == y.dim(d);
      }
      this->add_axis(y.dim(d), step);
    }
  }
};

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

// y = f(a, b), by loops body.template operator()<a stands still, b stands still>(a, b, y, n). Where
// runs are too short to be worth a loop, operands are written out in blocks first; with kOneLoop
// always, for functions so slow that it does not matter.
template <class T, class R, bool kOneLoop = false, class Body>
FASTNN_OUTLINE void broadcast_binary(In a, In b, Out y, Body body) {
  const Broadcast<2> plan(y, {a, b});
  const T* pa = a.data<T>();
  const T* pb = b.data<T>();
  R* py = y.data<R>();
  constexpr int64_t kShortRun = 32, kBlock = 1024;
  const bool moves_a = plan.stride[0][0] != 0, moves_b = plan.stride[1][0] != 0;
  const bool short_runs = plan.rank > 1 && plan.size[0] < kShortRun;
  const auto both_move = [&](const T* from_a, const T* from_b, R* to, int64_t n) FASTNN_OUTLINE {
    body.template operator()<false, false>(from_a, from_b, to, n);
  };
  if (kOneLoop || short_runs || !(moves_a || moves_b)) {
    const bool dense = plan.dense[0] && plan.dense[1];
    T* room = static_cast<T*>(team::local_scratch(2 * kBlock * sizeof(T)));
    pieces(plan.total, kElementGrain, [&](int64_t begin, int64_t end) {
      for (int64_t at = begin, stop; at < end; at = stop) {
        stop = dense ? end : smaller(at + kBlock, end);
        const T* wa = written_out(plan, 0, pa, at, stop, room);
        const T* wb = written_out(plan, 1, pb, at, stop, room + kBlock);
        both_move(wa, wb, py + at, stop - at);
      }
    });
    return;
  }
  if constexpr (!kOneLoop) {
    pieces(plan.total, kElementGrain, [&](int64_t begin, int64_t end) {
      plan.runs(begin, end, [&](int64_t at, const int64_t* offset, int64_t n) {
        const T *from_a = pa + offset[0], *from_b = pb + offset[1];
        if (moves_a && moves_b)
          both_move(from_a, from_b, py + at, n);
        else if (moves_a)
          body.template operator()<false, true>(from_a, from_b, py + at, n);
        else
          body.template operator()<true, false>(from_a, from_b, py + at, n);
      });
    });
  }
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

// y[i] = f(x[i]), serially and over the team.
template <class T, class F>
FASTNN_INLINE void map_run(const T* x, T* y, int64_t n, F f) {
  if (n > 0) map_run<false, true>(x, x, y, n, [&](auto v, auto) { return f(v); });
}
template <class T, class F>
FASTNN_INLINE void map(const T* x, T* y, int64_t n, F f) {
  pieces(n, kElementGrain,
         [&](int64_t begin, int64_t end) { map_run(x + begin, y + begin, end - begin, f); });
}
template <class T, class F>
FASTNN_INLINE void map(const T* a, const T* b, T* y, int64_t n, F f) {
  pieces(n, kElementGrain, [&](int64_t begin, int64_t end) {
    map_run<false, false>(a + begin, b + begin, y + begin, end - begin, f);
  });
}

// A dense y from an x that lies in any order.
template <class T>
FASTNN_OUTLINE void copy_from(const Walk<1>& walk, const T* x, T* y) {
  const int64_t step = walk.rank ? walk.stride[0][0] : 1;
  pieces(walk.total, kElementGrain, [&](int64_t begin, int64_t end) {
    walk.runs(begin, end, [&](int64_t at, const int64_t* offset, int64_t n) {
      const T* from = x + offset[0];
      T* to = y + at;
      if (step == 1) {
        if (n * sizeof(T) >= 64)
          memcpy(to, from, n * sizeof(T));
        else
          for (int64_t i = 0; i < n; ++i) to[i] = from[i];
      } else if (step == -1) {
        for (int64_t i = 0; i < n; ++i) to[i] = from[-i];
      } else if (step == 0) {
        for (int64_t i = 0; i < n; ++i) to[i] = *from;
      } else {
        for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
      }
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
