// Dropout (Srivastava et al. 2014) and random numbers. Every number is a function of the state and
// of its index, so the bits do not depend on threads, and backward calls dropout again on the
// gradient. Dropout uses 7 rounds of Philox, which pass the same batteries as 10; the public
// generators use 10.
#include "cpu/rows.h"
#include "cpu/vecmath.h"
#include "random.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

namespace {

constexpr int64_t kBlocksPerTile = 128;

// f(block number, first element, elements) over n elements in blocks of `per_block`.
template <class F>
FASTNN_INLINE void each_block(int64_t n, int64_t per_block, F f) {
  pieces((n + per_block - 1) / per_block, kBlocksPerTile, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = b * per_block;
      f(b, first, n - first < per_block ? n - first : per_block);
    }
  });
}

// The uniform numbers of a block: 64 floats or 32 doubles.
FASTNN_INLINE void uniform_block(PhiloxKey key, int64_t block, float* u) {
  uint32_t words[kPhiloxWords];
  philox_block<10>(key, uint64_t(block), words);
  for (int i = 0; i < kPhiloxWords; ++i) u[i] = unit_float(words[i]);
}
FASTNN_INLINE void uniform_block(PhiloxKey key, int64_t block, double* u) {
  uint32_t words[kPhiloxWords];
  philox_block<10>(key, uint64_t(block), words);
  for (int i = 0; i < kPhiloxWords / 2; ++i) {
    const int at = i % kPhiloxLanes + i / kPhiloxLanes * 2 * kPhiloxLanes;
    u[i] = unit_double(words[at], words[at + kPhiloxLanes]);
  }
}
template <class T>
constexpr int64_t kPerBlock = sizeof(T) == 4 ? kPhiloxWords : kPhiloxWords / 2;

}  // namespace

void dropout(In x, In state, Out y, double rate) noexcept {
  if (!(rate >= 0 && rate <= 1)) return team::fault("rate is not between 0 and 1");
  const PhiloxKey key = philox_key(state.data<int32_t>());
  // Kept where word >= threshold: with probability 1 - rate to within 2^-32.
  const double limit = rate * 0x1p32 + 0.5;
  const bool none_kept = limit >= 0x1p32;
  const uint32_t threshold = none_kept ? 0xFFFFFFFFu : uint32_t(limit);
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *px = x.data<T>(), scale = none_kept ? T(0) : T(1 / (1 - rate));
    T* py = y.data<T>();
    each_block(x.size(), kPhiloxWords, [&](int64_t block, int64_t first, int64_t count) {
      uint32_t words[kPhiloxWords];
      philox_block<7>(key, uint64_t(block), words);
      if (count == kPhiloxWords && !none_kept)
        for (int i = 0; i < kPhiloxWords; ++i)
          py[first + i] = words[i] >= threshold ? px[first + i] * scale : T(0);
      else
        for (int64_t i = 0; i < count; ++i)
          py[first + i] = !none_kept && words[i] >= threshold ? px[first + i] * scale : T(0);
    });
  });
}

void random_uniform(In state, Out y, double low, double high) noexcept {
  const PhiloxKey key = philox_key(state.data<int32_t>());
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using V = Vec<T>;
    const V base = V(T(low)), width = V(T(high - low));
    each_block(y.size(), kPerBlock<T>, [&](int64_t block, int64_t first, int64_t count) {
      T u[kPhiloxWords];
      uniform_block(key, block, u);
      along<T>(count, [&](int64_t i, int64_t m) {
        fma(V::load(u + i), width, base).store_n(y.data<T>() + first + i, m);
      });
    });
  });
}

// Box & Muller (1958): two uniform numbers to two normal ones, in halves of a block.
void random_normal(In state, Out y, double mean, double deviation) noexcept {
  const PhiloxKey key = philox_key(state.data<int32_t>());
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using V = Vec<T>;
    constexpr int64_t half = kPerBlock<T> / 2;
    const V centre = V(T(mean)), width = V(T(deviation));
    each_block(y.size(), kPerBlock<T>, [&](int64_t block, int64_t first, int64_t count) {
      T u[kPhiloxWords], z[kPhiloxWords];
      uniform_block(key, block, u);
      for (int64_t i = 0; i < half; i += V::size) {
        const V radius =
            sqrt(V(T(-2)) * log(V(T(1)) - V::load(u + i))) * width;  // 1 - u is never 0
        const V angle = V(T(6.283185307179586)) * V::load(u + half + i);
        fma(radius, cos(angle), centre).store(z + i);
        fma(radius, sin(angle), centre).store(z + half + i);
      }
      for (int64_t i = 0; i < count; ++i) y.data<T>()[first + i] = z[i];
    });
  });
}

void rng_next(InOut state, Out saved) noexcept {
  if (!is_first_member()) return;
  int32_t *s = state.data<int32_t>(), *old = saved.data<int32_t>();
  for (int i = 0; i < 4; ++i) old[i] = s[i];
  const uint64_t step = (uint64_t(uint32_t(s[3])) << 32 | uint32_t(s[2])) + 1;
  s[2] = int32_t(uint32_t(step));
  s[3] = int32_t(uint32_t(step >> 32));
}

}  // namespace fastnn::FASTNN_ISA
