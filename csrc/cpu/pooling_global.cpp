// Pooling over all positions: x (n, l, c) to y (n, c), lanes over channels.
#include "cpu/pooling.h"

namespace fastnn::FASTNN_ISA {
namespace {

// y[n, j] for all n in strips of 4 vectors of channels: f(n, j, left).
template <class T, class F>
FASTNN_INLINE void strips(int64_t n, int64_t c, F f) {
  constexpr int64_t width = 4 * Vec<T>::size;
  const int64_t across = ceil_div(c, width);
  tiles(n * across, [&](int64_t t) {
    const int64_t begin = t % across * width, end = smaller(begin + width, c);
    for (int64_t j = begin; j < end; j += Vec<T>::size) f(t / across, j, c - j);
  });
}

int64_t count_true(const bool* mask, int64_t l) {
  int64_t count = 0;
  for (int64_t i = 0; i < l; ++i) count += mask[i];
  return count;
}

}  // namespace

void global_average_pool(In x, In mask, Out y) noexcept {
  const int64_t n = x.dim(0), l = x.dim(1), c = x.dim(2);
  typed(x, [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    strips<T>(n, c, [&](int64_t image, int64_t j, int64_t left) {
      constexpr int64_t kChunk = 128;  // summed apart, so that errors stay small on long axes
      const T* from = x.data<T>() + image * l * c + j;
      const bool* keep = mask ? mask.data<bool>() + image * l : nullptr;
      V total(T(0));
      for (int64_t begin = 0; begin < l; begin += kChunk) {
        V sum(T(0));
        for (int64_t i = begin; i < smaller(begin + kChunk, l); ++i)
          if (!keep || keep[i]) sum += V::load_n(from + i * c, left);
        total += sum;
      }
      const int64_t count = keep ? count_true(keep, l) : l;
      (total / V(T(count ? count : 1))).store_n(y.data<T>() + image * c + j, left);
    });
  });
}

void global_average_pool_grad(In mask, In dy, Out dx) noexcept {
  const int64_t n = dx.dim(0), l = dx.dim(1), c = dx.dim(2);
  typed(dy, [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    constexpr int64_t kRun = 64;
    const int64_t runs = ceil_div(l, kRun);
    tiles(n * runs, [&](int64_t tile) {
      const int64_t image = tile / runs, begin = tile % runs * kRun;
      const bool* keep = mask ? mask.data<bool>() + image * l : nullptr;
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
  typed(x, [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    strips<T>(n, c, [&](int64_t image, int64_t j, int64_t left) {
      const T* from = x.data<T>() + image * l * c + j;
      V best(T(-__builtin_inf()));
      for (int64_t i = 0; i < l; ++i) best = max(best, V::load_n(from + i * c, left));
      best.store_n(y.data<T>() + image * c + j, left);
    });
  });
}

void global_max_pool_grad(In x, In y, In dy, Out dx) noexcept {
  const int64_t n = x.dim(0), l = x.dim(1), c = x.dim(2);
  typed(x, [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    strips<T>(n, c, [&](int64_t image, int64_t j, int64_t left) {
      const T* from = x.data<T>() + image * l * c + j;
      T* to = dx.data<T>() + image * l * c + j;
      const V best = V::load_n(y.data<T>() + image * c + j, left);
      auto is_best = [&](int64_t i) {
        const V v = V::load_n(from + i * c, left);
        return select((v == best) | (is_nan(v) & is_nan(best)), V(T(1)), V(T(0)));
      };
      V count(T(0));
      for (int64_t i = 0; i < l; ++i) count += is_best(i);
      const V share = V::load_n(dy.data<T>() + image * c + j, left) / count;
      for (int64_t i = 0; i < l; ++i)
        select(is_best(i) == V(T(1)), share, V(T(0))).store_n(to + i * c, left);
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
