// Larger images: pixels repeated, or interpolated between their centres, and the gradients, which
// gather what each input pixel has given.
#include "cpu/pooling.h"

namespace fastnn::FASTNN_ISA {
namespace {

// Output o lies between inputs low and high, `f` of the way. Pixels are areas: their centres are at
// i + 1/2, and beyond the outer centres the border repeats.
struct Between {
  int64_t low, high;
  double f;

  Between(int64_t in, int64_t out, int64_t o) {
    const double at = (double(o) + 0.5) * double(in) / double(out) - 0.5;
    const int64_t floor = at < 0 ? -1 : (int64_t)at;
    f = at - double(floor);
    low = larger(floor, 0);
    high = smaller(floor + 1, in - 1);
  }
  double weight(int64_t i) const { return (i == low ? 1 - f : 0) + (i == high ? f : 0); }
};

// Outputs that may look at input i: a little too many, their weight is 0.
Range lookers(int64_t in, int64_t out, int64_t i) {
  const double scale = double(out) / double(in);
  const int64_t begin = i == 0 ? 0 : (int64_t)((double(i) - 0.5) * scale - 0.5) - 1;
  const int64_t end = i == in - 1 ? out : (int64_t)((double(i) + 1.5) * scale - 0.5) + 2;
  return {larger(begin, 0), smaller(end, out)};
}

}  // namespace

void upsample_nearest2d(In x, Out y, int64_t size_h, int64_t size_w) noexcept {
  const int64_t h = x.dim(1), w = x.dim(2), c = x.dim(3);
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    lines(y.dim(0) * y.dim(1), y.dim(2) * c, [&](int64_t line) {
      const int64_t image = line / (h * size_h), row = line % (h * size_h) / size_h;
      const T* from = x.data<T>() + (image * h + row) * w * c;
      T* to = y.data<T>() + line * w * size_w * c;
      for (int64_t k = 0; k < w; ++k)
        channels<T>(c, [&](int64_t j, int64_t left) {
          const V v = V::load_n(from + k * c + j, left);
          for (int64_t i = 0; i < size_w; ++i) v.store_n(to + (k * size_w + i) * c + j, left);
        });
    });
  });
}

namespace {

struct Two {  // the common size, known to the compiler
  FASTNN_INLINE constexpr operator int64_t() const { return 2; }
};

template <class Size>
FASTNN_INLINE void upsample_grad(In dy, Out dx, Size size_h, Size size_w) {
  const int64_t h = dx.dim(1), w = dx.dim(2), c = dx.dim(3);
  with_float(dy.dtype(), [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    lines(dx.dim(0) * h, w * c, [&](int64_t line) {
      const T* from = dy.data<T>() + line * size_h * w * size_w * c;
      for (int64_t k = 0; k < w; ++k)
        channels<T>(c, [&](int64_t j, int64_t left) {
          V sum(T(0));
          for (int64_t r = 0; r < size_h; ++r) {
            V row(T(0));
            for (int64_t i = 0; i < size_w; ++i)
              row += V::load_n(from + ((r * w + k) * size_w + i) * c + j, left);
            sum += row;
          }
          sum.store_n(dx.data<T>() + (line * w + k) * c + j, left);
        });
    });
  });
}

}  // namespace

void upsample_nearest2d_grad(In dy, Out dx, int64_t size_h, int64_t size_w) noexcept {
  if (size_h == 2 && size_w == 2)
    upsample_grad(dy, dx, Two{}, Two{});
  else
    upsample_grad(dy, dx, size_h, size_w);
}

void resize_bilinear(In x, Out y) noexcept {
  const int64_t h = x.dim(1), w = x.dim(2), c = x.dim(3), p = y.dim(1), q = y.dim(2);
  if (h == 0 || w == 0) {
    if (y.size()) team::fault("an image without pixels cannot be resized");
    return;
  }
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    lines(y.dim(0) * p, q * c, [&](int64_t line) {
      const Between v(h, p, line % p);
      const T* image = x.data<T>() + line / p * h * w * c;
      const T *above = image + v.low * w * c, *below = image + v.high * w * c;
      const V down(T(v.f)), up(T(1 - v.f));
      for (int64_t o = 0; o < q; ++o) {
        const Between u(w, q, o);
        const V right(T(u.f)), left_side(T(1 - u.f));
        channels<T>(c, [&](int64_t j, int64_t left) {
          auto row = [&](const T* r) {
            return V::load_n(r + u.low * c + j, left) * left_side +
                   V::load_n(r + u.high * c + j, left) * right;
          };
          (row(above) * up + row(below) * down).store_n(y.data<T>() + (line * q + o) * c + j, left);
        });
      }
    });
  });
}

void resize_bilinear_grad(In dy, Out dx) noexcept {
  const int64_t h = dx.dim(1), w = dx.dim(2), c = dx.dim(3), p = dy.dim(1), q = dy.dim(2);
  with_float(dy.dtype(), [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    lines(dx.dim(0) * h, w * c, [&](int64_t line) {
      const int64_t i = line % h;
      const T* image = dy.data<T>() + line / h * p * q * c;
      const Range rows = lookers(h, p, i);
      // Weights of the rows are the same along the line; of very many, only the first are kept.
      constexpr int64_t kKept = 64;
      double kept[kKept];
      for (int64_t r = 0; r < smaller(rows.size(), kKept); ++r)
        kept[r] = Between(h, p, rows.begin + r).weight(i);
      for (int64_t k = 0; k < w; ++k) {
        T* to = dx.data<T>() + (line * w + k) * c;
        const Range cols = lookers(w, q, k);
        bool first = true;
        for (int64_t s = cols.begin; s < cols.end; ++s) {
          const double across = Between(w, q, s).weight(k);
          for (int64_t r = 0; across != 0 && r < rows.size(); ++r) {
            const double down = r < kKept ? kept[r] : Between(h, p, rows.begin + r).weight(i);
            if (down == 0) continue;
            const V weight(T(across * down));
            const T* from = image + ((rows.begin + r) * q + s) * c;
            put(to, first, c,
                [&](int64_t j, int64_t left) { return V::load_n(from + j, left) * weight; });
            first = false;
          }
        }
        if (first) put_zero(to, c);
      }
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
