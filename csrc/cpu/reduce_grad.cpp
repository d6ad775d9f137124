// Derivatives of reductions over the middle axis of x (o, n, i). All but prod's and cumsum's go
// element by element, with what belongs to an output read along.
#include "cpu/broadcast.h"
#include "cpu/vecmath.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

namespace {

constexpr int64_t kWidth = 256;  // columns worked on together where lines are strided
constexpr int64_t kRowsTogether = 8;

// Columns of a strip: fewer where there would be too few strips to share out.
FASTNN_INLINE int64_t strip_of(int64_t o, int64_t i) {
  return smaller(i, o * ceil_div(i, kWidth) < 4 ? kWidth / 2 : kWidth);
}

// dx = f(x, p, q), p and q being per output, (o, i), and walked along with x.
template <class T, class F>
FASTNN_INLINE void per_element(In x, const T* p, const T* q, Out dx, F f) {
  using V = Vec<T>;
  const int64_t n = x.dim(1), i = x.dim(2), rows = x.dim(0) * n;
  const T* px = x.data<T>();
  T* pd = dx.data<T>();
  if (i == 1) {  // one output for a whole row
    const int64_t chunk = n < 4096 ? n : 4096, chunks = n ? ceil_div(n, chunk) : 0;
    pieces(x.dim(0) * chunks, larger(1, kElementGrain / (chunk + 1)),
           [&](int64_t begin, int64_t end) {
             for (int64_t t = begin; t < end; ++t) {
               const int64_t o = t / chunks, from = o * n + t % chunks * chunk,
                             to = smaller(from + chunk, (o + 1) * n);
               const V vp(p[o]), vq(q[o]);
               for (int64_t k = from; k < to; k += V::size)
                 f(V::load_n(px + k, to - k), vp, vq).store_n(pd + k, to - k);
             }
           });
    return;
  }
  const int64_t strip = smaller(i, 4096), strips = i ? ceil_div(i, strip) : 0;
  pieces(rows * strips, larger(1, kElementGrain / (strip + 1)), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t row = t / strips, j = t % strips * strip, width = smaller(strip, i - j);
      const T *from = px + row * i + j, *vp = p + row / n * i + j, *vq = q + row / n * i + j;
      T* to = pd + row * i + j;
      for (int64_t k = 0; k < width; k += V::size) {
        const int64_t m = width - k;
        f(V::load_n(from + k, m), V::load_n(vp + k, m), V::load_n(vq + k, m)).store_n(to + k, m);
      }
    }
  });
}

}  // namespace

void var_grad(In x, In mean, In dy, Out dx) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const T factor = static_cast<T>(x.dim(1) ? 2.0 / static_cast<double>(x.dim(1)) : 0.0);
    per_element<T>(x, mean.data<T>(), dy.data<T>(), dx, [=](auto x, auto mean, auto dy) {
      return (x - mean) * dy * decltype(x)(factor);
    });
  });
}

// 0, a subgradient, where all elements are 0.
void norm_grad(In x, In y, In dy, Out dx) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    per_element<T>(x, y.data<T>(), dy.data<T>(), dx, [](auto x, auto y, auto dy) {
      using V = decltype(x);
      return select(y == V(0), V(0), x * dy / y);
    });
  });
}

void logsumexp_grad(In x, In y, In dy, Out dx) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    per_element<T>(x, y.data<T>(), dy.data<T>(), dx,
                   [](auto x, auto y, auto dy) { return dy * exp(x - y); });
  });
}

namespace {

template <class T>
FASTNN_INLINE double count_equal(const T* x, int64_t n, T value) {
  using V = Vec<T>;
  double count = 0;
  for (int64_t begin = 0; begin < n; begin += 65536) {  // floats count far beyond that exactly
    const int64_t end = smaller(n, begin + 65536);
    V hits(0);
    int64_t k = begin;
    for (; k + V::size <= end; k += V::size) hits += select(V::load(x + k) == V(value), V(1), V(0));
    count += static_cast<double>(reduce_add(hits));
    for (; k < end; ++k) count += x[k] == value;
  }
  return count;
}

template <class T>
FASTNN_INLINE void share_out(const T* x, T* dx, int64_t n, T value, T share) {
  map_run(x, dx, n, [=](auto v) { return select(v == Vec<T>(value), Vec<T>(share), Vec<T>(0)); });
}

// Contiguous rows; long ones are counted and written in parts.
template <class T>
FASTNN_INLINE void extremum_grad_rows(const T* x, const T* y, const T* dy, T* dx, int64_t o,
                                      int64_t n) {
  const int64_t parts = ceil_div(n, kElementGrain);
  auto* count =
      parts > 1 ? static_cast<double*>(team::shared_scratch(o * parts * sizeof(double))) : nullptr;
  if (!count) {
    pieces(o, larger(1, kElementGrain / (n + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T share = static_cast<T>(dy[r] / count_equal(x + r * n, n, y[r]));
        share_out(x + r * n, dx + r * n, n, y[r], share);
      }
    });
    return;
  }
  const auto first = [&](int64_t t) { return t / parts * n + t % parts * kElementGrain; };
  const auto length = [&](int64_t t) {
    return smaller(kElementGrain, n - t % parts * kElementGrain);
  };
  team::barrier();
  tiles(o * parts,
        [&](int64_t t) { count[t] = count_equal(x + first(t), length(t), y[t / parts]); });
  team::barrier();
  tiles(o * parts, [&](int64_t t) {
    const int64_t r = t / parts;
    double total = 0;
    for (int64_t p = 0; p < parts; ++p) total += count[r * parts + p];
    share_out(x + first(t), dx + first(t), length(t), y[r], static_cast<T>(dy[r] / total));
  });
  team::barrier();
}

// Columns, a strip of them at a time.
template <class T>
FASTNN_INLINE void extremum_grad_columns(const T* x, const T* y, const T* dy, T* dx, int64_t o,
                                         int64_t n, int64_t i) {
  if (o == 0 || i == 0) return;
  const int64_t strip = strip_of(o, i), strips = ceil_div(i, strip);
  pieces(o * strips, larger(1, kElementGrain / (n * strip + 1)), [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) {
      const int64_t row = u / strips, j = u % strips * strip, width = smaller(strip, i - j);
      const T *from = x + row * n * i + j, *best = y + row * i + j, *seed = dy + row * i + j;
      T* to = dx + row * n * i + j;
      alignas(64) T share[kWidth] = {};
      for (int64_t r = 0; r < n; ++r)
        for (int64_t k = 0; k < width; ++k) share[k] += from[r * i + k] == best[k] ? T(1) : T(0);
      for (int64_t k = 0; k < width; ++k) share[k] = seed[k] / share[k];
      for (int64_t r = 0; r < n; ++r)
        for (int64_t k = 0; k < width; ++k)
          to[r * i + k] = from[r * i + k] == best[k] ? share[k] : T(0);
    }
  });
}

}  // namespace

// Elements equal to the extremum divide its gradient among them. Where it is NaN, so is the share
// of none: all get 0.
void extremum_grad(In x, In y, In dy, Out dx) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const T *px = x.data<T>(), *py = y.data<T>(), *seed = dy.data<T>();
    if (x.dim(2) == 1)
      extremum_grad_rows(px, py, seed, dx.data<T>(), x.dim(0), x.dim(1));
    else
      extremum_grad_columns(px, py, seed, dx.data<T>(), x.dim(0), x.dim(1), x.dim(2));
  });
}

// --- along the axis ------------------------------------------------------------------------------

namespace {

template <class T>
struct Wide {
  using type = T;
};
template <>
struct Wide<float> {
  using type = double;
};
template <>
struct Wide<int32_t> {
  using type = uint32_t;  // wraps
};

// Lines along n, several at a time: neighbouring columns, or rows where i is 1, so that their
// chains of additions or products run side by side. Element r of line k is at[k * between + r *
// along].
struct Lines {
  int64_t at, result, between, along, count;
};

// f(lines) for all of x, shared among the team; each line is serial.
template <class F>
FASTNN_INLINE void all_lines(In x, F f) {
  const int64_t o = x.dim(0), n = x.dim(1), i = x.dim(2);
  const bool rows = i == 1;
  if (o == 0 || i == 0) return;
  const int64_t most = rows ? kRowsTogether : strip_of(o, i);
  const int64_t strips = ceil_div(rows ? o : i, most);
  pieces(rows ? strips : o * strips, larger(1, kElementGrain / (n * most + 1)),
         [&](int64_t begin, int64_t end) {
           for (int64_t u = begin; u < end; ++u) {
             const int64_t first = u % strips * most, outer = u / strips;
             if (rows)
               f(Lines{first * n, first, n, 1, smaller(most, o - first)});
             else
               f(Lines{outer * n * i + first, outer * i + first, 1, i, smaller(most, i - first)});
           }
         });
}

// f(0), f(1), ... f(n - 1) written out, so that an array over k can live in registers.
template <int64_t n>
struct Unrolled {
  template <class F>
  FASTNN_INLINE void operator()(F f) const {
    if constexpr (n > 1) Unrolled<n - 1>{}(f);
    f(n - 1);
  }
};
struct Counted {
  int64_t n;
  template <class F>
  FASTNN_INLINE void operator()(F f) const {
    for (int64_t k = 0; k < n; ++k) f(k);
  }
};

struct One {
  FASTNN_INLINE constexpr operator int64_t() const { return 1; }
};

// f(each, between), where each(g) calls g(k) for every line. Columns are for the vectoriser, which
// must know that they are neighbours; the chains of rows are worth registers.
template <class F>
FASTNN_INLINE void with_lines(const Lines& s, F f) {
  if (s.count == 1)
    f(Unrolled<1>{}, s.between);
  else if (s.between == 1)
    f(Counted{s.count}, One{});
  else if (s.count == kRowsTogether)
    f(Unrolled<kRowsTogether>{}, s.between);
  else
    f(Counted{s.count}, s.between);
}

}  // namespace

void cumsum(In x, Out y, bool reverse) noexcept {
  with_number(x.dtype(), [&](auto t) {
    using T = decltype(t);
    using A = typename Wide<T>::type;
    const int64_t n = x.dim(1);
    all_lines(x, [&](const Lines& s) {
      const T* from = x.data<T>() + s.at;
      T* to = y.data<T>() + s.at;
      with_lines(s, [&](auto each, auto between) {
        A total[kWidth] = {};
        for (int64_t r = 0; r < n; ++r) {
          const int64_t here = (reverse ? n - 1 - r : r) * s.along;
          each([&](int64_t k) __attribute__((always_inline)) {
            total[k] += static_cast<A>(from[here + k * between]);
            to[here + k * between] = static_cast<T>(total[k]);
          });
        }
      });
    });
  });
}

// The product of all others, from the left and from the right: right where elements are 0. x is
// read before dx is written, for where the two lie a multiple of 4 KB apart a load waits for the
// store.
void prod_grad(In x, In dy, Out dx) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const int64_t n = x.dim(1);
    all_lines(x, [&](const Lines& s) {
      const T *from = x.data<T>() + s.at, *seed = dy.data<T>() + s.result;
      T* __restrict to = dx.data<T>() + s.at;
      with_lines(s, [&](auto each, auto between) {
        alignas(64) T product[kWidth];
        each([&](int64_t k) __attribute__((always_inline)) { product[k] = seed[k]; });
        for (int64_t r = 0; r < n; ++r)
          each([&](int64_t k) __attribute__((always_inline)) {
            const int64_t at = r * s.along + k * between;
            const T here = from[at];
            to[at] = product[k];
            product[k] *= here;
          });
        each([&](int64_t k) __attribute__((always_inline)) { product[k] = 1; });
        for (int64_t r = n; r-- > 0;)
          each([&](int64_t k) __attribute__((always_inline)) {
            const int64_t at = r * s.along + k * between;
            const T here = from[at];
            to[at] *= product[k];
            product[k] *= here;
          });
      });
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
