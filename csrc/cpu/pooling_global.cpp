// Pooling over all positions: x (n, l, c) to y (n, c), lanes over channels.
#include "cpu/pooling.h"
#include "cpu/strips.h"

namespace fastnn::FASTNN_ISA {

void global_average_pool(In x, In mask, Out y) noexcept {
  const int64_t n = x.dim(0), l = x.dim(1), c = x.dim(2);
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    strips<T>(n, c, [&](int64_t image, int64_t j, int64_t left, auto width) {
      constexpr int64_t kChunk = 128;  // summed apart, so that errors stay small on long axes
      const T* from = x.data<T>() + image * l * c + j;
      const uint8_t* keep = mask ? mask.data<uint8_t>() + image * l : nullptr;
      V total[width.count], sum[width.count];
      for (V& v : total) v = V(T(0));
      for (int64_t begin = 0; begin < l; begin += kChunk) {
        for (V& v : sum) v = V(T(0));
        for (int64_t i = begin; i < smaller(begin + kChunk, l); ++i) {
          if (keep && !keep[i]) continue;
          each_vector<T>(width, left, [&](int v, int64_t at, int64_t count) {
            sum[v] += V::load_n(from + i * c + at, count);
          });
        }
        for (int v = 0; v < width.count; ++v) total[v] += sum[v];
      }
      const int64_t count = keep ? count_true(keep, l) : l;
      each_vector<T>(width, left, [&](int v, int64_t at, int64_t lanes) {
        (total[v] / V(T(count ? count : 1))).store_n(y.data<T>() + image * c + j + at, lanes);
      });
    });
  });
}

void global_average_pool_grad(In mask, In dy, Out dx) noexcept {
  const int64_t n = dx.dim(0), l = dx.dim(1), c = dx.dim(2);
  with_float(dy.dtype(), [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    constexpr int64_t kRun = 64;
    const int64_t runs = ceil_div(l, kRun);
    tiles(n * runs, [&](int64_t tile) {
      const int64_t image = tile / runs, begin = tile % runs * kRun;
      const uint8_t* keep = mask ? mask.data<uint8_t>() + image * l : nullptr;
      const int64_t count = keep ? count_true(keep, l) : l;
      const V share(T(1) / T(count ? count : 1));
      for (int64_t i = begin; i < smaller(begin + kRun, l); ++i)
        channels<T>(c, [&](int64_t j, int64_t left) {
          const V g = V::load_n(dy.data<T>() + image * c + j, left) * share;
          (!keep || keep[i] ? g : V(T(0))).store_n(dx.data<T>() + (image * l + i) * c + j, left);
        });
    });
  });
}

void global_max_pool(In x, Out y) noexcept {
  const int64_t n = x.dim(0), l = x.dim(1), c = x.dim(2);
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    strips<T>(n, c, [&](int64_t image, int64_t j, int64_t left, auto width) {
      const T* from = x.data<T>() + image * l * c + j;
      V best[width.count];
      for (V& v : best) v = V(T(-__builtin_inf()));
      for (int64_t i = 0; i < l; ++i)
        each_vector<T>(width, left, [&](int v, int64_t at, int64_t count) {
          best[v] = max(best[v], V::load_n(from + i * c + at, count));
        });
      each_vector<T>(width, left, [&](int v, int64_t at, int64_t count) {
        best[v].store_n(y.data<T>() + image * c + j + at, count);
      });
    });
  });
}

void global_max_pool_grad(In x, In y, In dy, Out dx) noexcept {
  const int64_t n = x.dim(0), l = x.dim(1), c = x.dim(2);
  with_float(x.dtype(), [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    strips<T>(n, c, [&](int64_t image, int64_t j, int64_t left, auto width) {
      const T* from = x.data<T>() + image * l * c + j;
      T* to = dx.data<T>() + image * l * c + j;
      V best[width.count], share[width.count];
      auto is_best = [&](int64_t i, int v, int64_t at, int64_t count) {
        const V value = V::load_n(from + i * c + at, count);
        return (value == best[v]) | (is_nan(value) & is_nan(best[v]));
      };
      each_vector<T>(width, left, [&](int v, int64_t at, int64_t count) {
        best[v] = V::load_n(y.data<T>() + image * c + j + at, count);
        share[v] = V(T(0));
      });
      for (int64_t i = 0; i < l; ++i)
        each_vector<T>(width, left, [&](int v, int64_t at, int64_t count) {
          share[v] += select(is_best(i, v, at, count), V(T(1)), V(T(0)));
        });
      each_vector<T>(width, left, [&](int v, int64_t at, int64_t count) {
        share[v] = V::load_n(dy.data<T>() + image * c + j + at, count) / share[v];
      });
      for (int64_t i = 0; i < l; ++i)
        each_vector<T>(width, left, [&](int v, int64_t at, int64_t count) {
          select(is_best(i, v, at, count), share[v], V(T(0))).store_n(to + i * c + at, count);
        });
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
