// Derivatives of reductions over the middle axis of x (o, n, i). All but prod's and cumsum's go
// element by element, with what belongs to an output read along.
#include "cpu/broadcast.h"
#include "cpu/vecmath.h"
#include "kernels.h"

namespace fastnn::FASTNN_ISA {

namespace {

// dx = f(x, p, q), p and q being per output, (o, i), and walked along with x.
template <class T, class F>
FASTNN_INLINE void per_element(In x, const T* p, const T* q, Out dx, F f) {
  using V = Vec<T>;
  const int64_t n = x.dim(1), i = x.dim(2), rows = x.dim(0) * n;
  const T* px = x.data<T>();
  T* pd = dx.data<T>();
  if (i == 1) {  // one output for a whole row
    const int64_t chunk = n < 4096 ? n : 4096, chunks = n ? ceil_div(n, chunk) : 0;
    pieces(x.dim(0) * chunks, larger(1, kElementGrain / (chunk + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const int64_t o = t / chunks, from = o * n + t % chunks * chunk, to = smaller(from + chunk, (o + 1) * n);
        const V vp(p[o]), vq(q[o]);
        for (int64_t k = from; k < to; k += V::size) f(V::load_n(px + k, to - k), vp, vq).store_n(pd + k, to - k);
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
    per_element<T>(x, mean.data<T>(), dy.data<T>(), dx,
                   [=](auto x, auto mean, auto dy) { return (x - mean) * dy * decltype(x)(factor); });
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
    per_element<T>(x, y.data<T>(), dy.data<T>(), dx, [](auto x, auto y, auto dy) { return dy * exp(x - y); });
  });
}

// share = 1 / the number of elements equal to y, so that ties divide the gradient among them.
void extremum_grad(In x, In y, In dy, Out dx) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    const T *px = x.data<T>(), *py = y.data<T>(), *seed = dy.data<T>();
    T* pd = dx.data<T>();
    const int64_t n = x.dim(1), i = x.dim(2);
    // Lines along n; where they are strided, a strip of them is worked on together.
    constexpr int64_t kWidth = 64;
    const int64_t strip = smaller(larger(i, 1), kWidth), strips = ceil_div(i, strip);
    pieces(x.dim(0) * strips, larger(1, kElementGrain / (n * strip + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; ++u) {
        const int64_t o = u / strips, j = u % strips * strip, width = smaller(strip, i - j);
        T share[kWidth] = {};
        const T* from = px + o * n * i + j;
        const T* best = py + o * i + j;
        for (int64_t r = 0; r < n; ++r)
          for (int64_t k = 0; k < width; ++k) share[k] += from[r * i + k] == best[k] ? T(1) : T(0);
        for (int64_t k = 0; k < width; ++k) share[k] = seed[o * i + j + k] / share[k];
        T* to = pd + o * n * i + j;
        for (int64_t r = 0; r < n; ++r)
          for (int64_t k = 0; k < width; ++k) to[r * i + k] = from[r * i + k] == best[k] ? share[k] : T(0);
      }
    });
  });
}

// --- along the axis -------------------------------------------------------------------------------

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

// f(o, first column, columns) for strips of columns, shared among the team; a line is serial.
template <class F>
FASTNN_INLINE void line_strips(In x, int64_t width, F f) {
  const int64_t n = x.dim(1), i = x.dim(2), strip = smaller(larger(i, 1), width), strips = ceil_div(i, strip);
  pieces(x.dim(0) * strips, larger(1, kElementGrain / (n * strip + 1)), [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) f(u / strips, u % strips * strip, smaller(strip, i - u % strips * strip));
  });
}

}  // namespace

void cumsum(In x, Out y, bool reverse) noexcept {
  with_number(x.dtype(), [&](auto t) {
    using T = decltype(t);
    using A = typename Wide<T>::type;
    constexpr int64_t kWidth = 64;
    const int64_t n = x.dim(1), i = x.dim(2);
    line_strips(x, kWidth, [&](int64_t o, int64_t j, int64_t width) {
      A total[kWidth] = {};
      for (int64_t r = 0; r < n; ++r) {
        const int64_t at = (o * n + (reverse ? n - 1 - r : r)) * i + j;
        for (int64_t k = 0; k < width; ++k) {
          total[k] += static_cast<A>(x.data<T>()[at + k]);
          y.data<T>()[at + k] = static_cast<T>(total[k]);
        }
      }
    });
  });
}

// The product of all others, from the left and from the right: right where elements are 0.
void prod_grad(In x, In dy, Out dx) noexcept {
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    constexpr int64_t kWidth = 64;
    const int64_t n = x.dim(1), i = x.dim(2);
    const T* px = x.data<T>();
    T* pd = dx.data<T>();
    line_strips(x, kWidth, [&](int64_t o, int64_t j, int64_t width) {
      T product[kWidth];
      for (int64_t k = 0; k < width; ++k) product[k] = dy.data<T>()[o * i + j + k];
      for (int64_t r = 0; r < n; ++r)
        for (int64_t k = 0, at = (o * n + r) * i + j; k < width; ++k, ++at) {
          pd[at] = product[k];
          product[k] *= px[at];
        }
      for (int64_t k = 0; k < width; ++k) product[k] = 1;
      for (int64_t r = n; r-- > 0;)
        for (int64_t k = 0, at = (o * n + r) * i + j; k < width; ++k, ++at) {
          pd[at] *= product[k];
          product[k] *= px[at];
        }
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
