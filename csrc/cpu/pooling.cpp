// Pooling over windows (geometry.h) in NHWC, lanes over channels. Gradients of windows that lie
// apart are spread over their inputs, each window read once. Where windows overlap, a gradient is a
// gather over the windows that hold an input, so it too is written once, in a fixed order. All of
// it is bound by memory.
#include "cpu/pooling.h"

namespace fastnn::FASTNN_ISA {
namespace {

struct Pool {
  int64_t n, c;
  Axis h, w;

  Pool(In x, In y, int64_t pool_h, int64_t pool_w, int64_t stride_h, int64_t stride_w,
       int64_t pad_top, int64_t pad_left)
      : n(x.dim(0)),
        c(x.dim(3)),
        h{x.dim(1), y.dim(1), pool_h, stride_h, pad_top, 1},
        w{x.dim(2), y.dim(2), pool_w, stride_w, pad_left, 1} {}

  bool valid() const {
    if (h.fits() && w.fits()) return true;
    team::fault("pool sizes, strides or padding are too large");
    return false;
  }
};

// ---- which tap was the maximum ------------------------------------------------------------------
// Stored as uint8 or int32 (Index); in registers, integers as wide as a lane.

template <class Index, class T>
FASTNN_INLINE void store_index(Index* to, typename Vec<T>::Int tap, int64_t left) {
  typedef Index Narrow __attribute__((vector_size(sizeof(Index) * Vec<T>::size)));
  const Narrow narrow = __builtin_convertvector(tap, Narrow);
  if (left >= Vec<T>::size) {
    __builtin_memcpy(to, &narrow, sizeof narrow);
  } else {
    for (int64_t i = 0; i < left; ++i) to[i] = narrow[i];
  }
}
template <class Index, class T>
FASTNN_INLINE typename Vec<T>::Int load_index(const Index* from, int64_t left) {
  typedef Index Narrow __attribute__((vector_size(sizeof(Index) * Vec<T>::size)));
  Narrow narrow = {};
  if (left >= Vec<T>::size) {
    __builtin_memcpy(&narrow, from, sizeof narrow);
  } else {
    for (int64_t i = 0; i < left; ++i) narrow[i] = from[i];
  }
  return __builtin_convertvector(narrow, typename Vec<T>::Int);
}

// A vector of channels of the part of a window that lies inside: `height` x `width` inputs, rows
// `row` and neighbours `c` elements apart. Their taps are numbered from `tap` on, `taps` to a row.
template <class T>
struct Window {
  using V = Vec<T>;
  using Int = typename V::Int;
  using Lane = typename V::Lane;
  const T* first;
  int64_t height, width, row, c;
  Lane tap, taps;

  FASTNN_INLINE V at(int64_t r, int64_t t, int64_t j, int64_t left) const {
    return V::load_n(first + r * row + t * c + j, left);
  }
  FASTNN_INLINE Int number(int64_t r, int64_t t) const {
    return Int{} + (Lane)(tap + r * taps + t);
  }
  // The maximum to y and its tap, the first one of equals, to arg. NaN are looked for apart (x
  // times 0, added up, is 0), so that each input waits for one instruction only. `height` and
  // `width` are constants where a loop would take longer than what it does.
  template <bool kIndex, class Index>
  FASTNN_INLINE void maximum(int64_t height, int64_t width, int64_t j, int64_t left, T* y,
                             Index* arg) const {
    V best = at(0, 0, j, left);
    Int index = number(0, 0);
    V doubt(T(0));
#pragma GCC unroll 2
    for (int64_t r = 0; r < height; ++r)
#pragma GCC unroll 2
      for (int64_t t = 0; t < width; ++t) {
        const V v = at(r, t, j, left);
        if (kIndex) index = (v > best).bits ? number(r, t) : index;
        best = max_or_second(v, best);
        doubt = fma(v, V(T(0)), doubt);
      }
    if (!all(doubt == V(T(0)))) return careful_maximum<kIndex>(j, left, y, arg);
    best.store_n(y, left);
    if (kIndex) store_index<Index, T>(arg, index, left);
  }
  // The same with NaN, of which the first one wins.
  template <bool kIndex, class Index>
  FASTNN_OUTLINE void careful_maximum(int64_t j, int64_t left, T* y, Index* arg) const {
    V best = at(0, 0, j, left);
    Int index = number(0, 0);
    for (int64_t r = 0; r < height; ++r)
      for (int64_t t = 0; t < width; ++t) {
        const V v = at(r, t, j, left);
        const Mask<T> newer = (!(v <= best)) & (best == best);
        best = select(newer, v, best);
        index = newer.bits ? number(r, t) : index;
      }
    best.store_n(y, left);
    if (kIndex) store_index<Index, T>(arg, index, left);
  }
};

// Calls f(q0, q1) for windows [q0, q1) of a line that hold the same taps: those that reach beyond
// an edge one by one, all others at once.
template <class F>
FASTNN_INLINE void alike(const Axis& w, F f) {
  const Range whole = w.whole_windows();
  for (int64_t q = 0; q < w.out;) {
    const int64_t end = q == whole.begin && whole.size() ? whole.end : q + 1;
    f(q, end);
    q = end;
  }
}

template <bool kIndex, class T, class Index>
void max_forward(const Pool& s, const T* x, T* y, Index* arg) {
  using V = Vec<T>;
  lines(s.n * s.h.out, s.w.out * s.c, [&](int64_t line) {
    const int64_t image = line / s.h.out, p = line % s.h.out, c = s.c;
    const Range rows = s.h.taps_inside(p);
    const T* from = x + image * s.h.in * s.w.in * c;
    alike(s.w, [&](int64_t q0, int64_t q1) __attribute__((always_inline)) {
      const Range cols = s.w.taps_inside(q0);
      const bool empty = !rows.size() || !cols.size();
      const Window<T> window = {
          from + (s.h.at(p, rows.begin) * s.w.in + s.w.at(q0, cols.begin)) * c,
          rows.size(),
          cols.size(),
          s.w.in * c,
          c,
          (typename V::Lane)(rows.begin * s.w.taps + cols.begin),
          (typename V::Lane)s.w.taps};
      const bool square = window.height == 2 && window.width == 2;
      for (int64_t q = q0; q < q1; ++q) {
        const int64_t out = (line * s.w.out + q) * c, in = (q - q0) * s.w.stride * c;
        channels<T>(c, [&](int64_t j, int64_t left) __attribute__((always_inline)) {
          T* const to = y + out + j;
          Index* const tap = kIndex ? arg + out + j : nullptr;
          if (square) return window.template maximum<kIndex>(2, 2, in + j, left, to, tap);
          if (!empty)
            return window.template maximum<kIndex>(window.height, window.width, in + j, left, to,
                                                   tap);
          V(T(-__builtin_inf())).store_n(to, left);
          if (kIndex) store_index<Index, T>(tap, typename V::Int{}, left);
        });
      }
    });
  });
}

// Outputs whose window holds input i.
FASTNN_INLINE Range holders(const Axis& a, int64_t i) {
  return {larger(ceil_div(i + a.pad - a.taps + 1, a.stride), 0),
          larger(smaller(floor_div(i + a.pad, a.stride) + 1, a.out), 0)};
}

// dx[h, w] = sum over the windows (p, q) that hold it, in order: add(to, first, at, p, q, tap) adds
// what the window whose channels start at `at` gives through `tap`, or writes it if it is the
// first.
template <class T, class Add>
FASTNN_INLINE void gather(const Pool& s, T* dx, Add add) {
  lines(s.n * s.h.in, s.w.in * s.c, [&](int64_t line) {
    const int64_t image = line / s.h.in, i = line % s.h.in;
    const Range ps = holders(s.h, i);
    Range qs = holders(s.w, 0);
    for (int64_t k = 0; k < s.w.in; ++k) {
      while (qs.begin < s.w.out && s.w.at(qs.begin, s.w.taps - 1) < k) ++qs.begin;
      while (qs.end < s.w.out && s.w.at(qs.end, 0) <= k) ++qs.end;
      T* to = dx + (line * s.w.in + k) * s.c;
      bool first = true;
      for (int64_t p = ps.begin; p < ps.end; ++p) {
        const int64_t row = (image * s.h.out + p) * s.w.out, r = i - s.h.at(p, 0);
        for (int64_t q = qs.begin; q < qs.end; ++q, first = false)
          add(to, first, (row + q) * s.c, p, q, r * s.w.taps + k - s.w.at(q, 0));
      }
      if (first) put_zero(to, s.c);
    }
  });
}

// Windows that lie apart: each writes the inputs that it holds and the gap after it; the last one's
// gap goes to the end.
FASTNN_INLINE bool apart(const Axis& a) { return a.stride >= a.taps && a.pad >= 0 && a.out > 0; }
// Inputs of window o: [begin, end) of held, then the gap up to `next`.
struct Held {
  Range held;
  int64_t next;

  Held(const Axis& a, int64_t o) {
    const int64_t first = a.at(o, 0), begin = larger(first, 0);
    next = o + 1 == a.out ? a.in : smaller(first + a.stride, a.in);
    held = {begin, larger(smaller(first + a.taps, next), begin)};
  }
};

// window(at, p, q, left) reads vectors of the window (p, q), whose channels start at `at`, and
// gives what each tap's input receives.
template <class T, class Window>
FASTNN_INLINE void spread(const Pool& s, T* dx, Window window) {
  lines(s.n * s.h.out, s.h.stride * s.w.in * s.c, [&](int64_t line) {
    const int64_t image = line / s.h.out, p = line % s.h.out;
    const Held rows(s.h, p);
    T* to = dx + image * s.h.in * s.w.in * s.c;
    for (int64_t q = 0; q < s.w.out; ++q) {
      const Held cols(s.w, q);
      channels<T>(s.c, [&](int64_t j, int64_t left) {
        const auto value = window((line * s.w.out + q) * s.c + j, p, q, left);
        for (int64_t i = rows.held.begin; i < rows.held.end; ++i)
          for (int64_t k = cols.held.begin; k < cols.held.end; ++k)
            value((i - s.h.at(p, 0)) * s.w.taps + k - s.w.at(q, 0))
                .store_n(to + (i * s.w.in + k) * s.c + j, left);
      });
      if (cols.held.end < cols.next)
        for (int64_t i = rows.held.begin; i < rows.held.end; ++i)
          put_zero(to + (i * s.w.in + cols.held.end) * s.c, (cols.next - cols.held.end) * s.c);
    }
    if (rows.held.end < rows.next)
      put_zero(to + rows.held.end * s.w.in * s.c, (rows.next - rows.held.end) * s.w.in * s.c);
  });
}

template <class T, class Index>
void max_backward(const Pool& s, const T* dy, const Index* arg, T* dx) {
  using V = Vec<T>;
  if (apart(s.h) && apart(s.w)) {
    spread(s, dx, [&](int64_t at, int64_t, int64_t, int64_t left) {
      const auto winner = load_index<Index, T>(arg + at, left);
      const V share = V::load_n(dy + at, left);
      return [=](int64_t tap) {
        return V::from_bits(share.bits() & (winner == (typename V::Lane)tap));
      };
    });
    return;
  }
  gather(s, dx, [&](T* to, bool first, int64_t at, int64_t, int64_t, int64_t tap) {
    put(to, first, s.c, [&](int64_t j, int64_t left) {
      const auto same = load_index<Index, T>(arg + at + j, left) == (typename V::Lane)tap;
      return V::from_bits(V::load_n(dy + at + j, left).bits() & same);
    });
  });
}

// 1 / the number of inputs of each window along an axis pair; an empty window counts as one.
template <class T>
FASTNN_INLINE T share_of(const Pool& s, int64_t p, int64_t q) {
  const int64_t count = s.h.taps_inside(p).size() * s.w.taps_inside(q).size();
  return T(1) / T(count ? count : 1);
}

// The argument's type and that a tap's number fits into it.
bool index_fits(const Pool& s, In arg) {
  int64_t taps;
  if (__builtin_mul_overflow(s.h.taps, s.w.taps, &taps)) taps = INT64_MAX;
  if (arg.dtype() == DType::uint8 && taps <= 256) return true;
  if (arg.dtype() == DType::int32 && taps <= INT32_MAX) return true;
  team::fault("arg must be uint8 for windows of up to 256 inputs, else int32");
  return false;
}

}  // namespace

// ---- kernels ------------------------------------------------------------------------------------

void max_pool2d(In x, Out y, Out arg, int64_t pool_h, int64_t pool_w, int64_t stride_h,
                int64_t stride_w, int64_t pad_top, int64_t pad_left) noexcept {
  const Pool s(x, y, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left);
  if (!s.valid() || (arg && !index_fits(s, arg))) return;
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    if (!arg)
      max_forward<false>(s, x.data<T>(), y.data<T>(), (uint8_t*)nullptr);
    else if (arg.dtype() == DType::int32)
      max_forward<true>(s, x.data<T>(), y.data<T>(), arg.data<int32_t>());
    else
      max_forward<true>(s, x.data<T>(), y.data<T>(), arg.data<uint8_t>());
  });
}

void max_pool2d_grad(In arg, In dy, Out dx, int64_t pool_h, int64_t pool_w, int64_t stride_h,
                     int64_t stride_w, int64_t pad_top, int64_t pad_left) noexcept {
  const Pool s(dx, dy, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left);
  if (!s.valid() || !index_fits(s, arg)) return;
  with_float(dy.dtype(), [&](auto t) {
    using T = decltype(t);
    if (arg.dtype() == DType::int32)
      max_backward(s, dy.data<T>(), arg.data<int32_t>(), dx.data<T>());
    else
      max_backward(s, dy.data<T>(), arg.data<uint8_t>(), dx.data<T>());
  });
}

void average_pool2d(In x, Out y, int64_t pool_h, int64_t pool_w, int64_t stride_h, int64_t stride_w,
                    int64_t pad_top, int64_t pad_left) noexcept {
  const Pool s(x, y, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left);
  if (!s.valid()) return;
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    lines(s.n * s.h.out, s.w.out * s.c, [&](int64_t line) {
      const int64_t image = line / s.h.out, p = line % s.h.out;
      const Range rows = s.h.taps_inside(p);
      const T* from = x.data<T>() + image * s.h.in * s.w.in * s.c;
      alike(s.w, [&](int64_t q0, int64_t q1) __attribute__((always_inline)) {
        const Range cols = s.w.taps_inside(q0);
        const T* first = from + (s.h.at(p, rows.begin) * s.w.in + s.w.at(q0, cols.begin)) * s.c;
        const int64_t height = rows.size(), width = cols.size(), c = s.c, pitch = s.w.in * c;
        const V share(share_of<T>(s, p, q0));
        // Sizes are constants where a loop would take longer than what it does.
        const auto sum_of = [&](int64_t height, int64_t width, const T* at,
                                int64_t left) __attribute__((always_inline)) {
          V sum(T(0));
#pragma GCC unroll 2
          for (int64_t r = 0; r < height; ++r) {
            V row(T(0));  // rows apart: errors grow with height + width, not with their product
#pragma GCC unroll 2
            for (int64_t k = 0; k < width; ++k) row += V::load_n(at + r * pitch + k * c, left);
            sum += row;
          }
          return sum * share;
        };
        for (int64_t q = q0; q < q1; ++q) {
          const T* window = first + (q - q0) * s.w.stride * c;
          T* to = y.data<T>() + (line * s.w.out + q) * c;
          channels<T>(c, [&](int64_t j, int64_t left) __attribute__((always_inline)) {
            const V mean = height == 2 && width == 2 ? sum_of(2, 2, window + j, left)
                                                     : sum_of(height, width, window + j, left);
            mean.store_n(to + j, left);
          });
        }
      });
    });
  });
}

void average_pool2d_grad(In dy, Out dx, int64_t pool_h, int64_t pool_w, int64_t stride_h,
                         int64_t stride_w, int64_t pad_top, int64_t pad_left) noexcept {
  const Pool s(dx, dy, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left);
  if (!s.valid()) return;
  with_float(dy.dtype(), [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    const T* from = dy.data<T>();
    // Away from the border all shares are equal.
    const Range ps = s.h.whole_windows(), qs = s.w.whole_windows();
    const T usual = T(1) / T(s.h.taps * s.w.taps);
    if (apart(s.h) && apart(s.w)) {
      spread(s, dx.data<T>(), [&](int64_t at, int64_t p, int64_t q, int64_t left) {
        const V share = V::load_n(from + at, left) * V(share_of<T>(s, p, q));
        return [=](int64_t) { return share; };
      });
      return;
    }
    gather(s, dx.data<T>(), [&](T* to, bool first, int64_t at, int64_t p, int64_t q, int64_t) {
      const bool whole = p >= ps.begin && p < ps.end && q >= qs.begin && q < qs.end;
      const V share(whole ? usual : share_of<T>(s, p, q));
      put(to, first, s.c,
          [&](int64_t j, int64_t left) { return V::load_n(from + at + j, left) * share; });
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
