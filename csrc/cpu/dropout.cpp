// Dropout (Srivastava et al. 2014) and random numbers. Every number is a function of the state and
// of its index, so the bits do not depend on threads, and backward calls dropout again on the
// gradient. Dropout uses 7 rounds of Philox, which pass the same batteries as 10; the public
// generators use 10.
#include "cpu/rows.h"
#include "cpu/vecmath_trig.h"
#include "random.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

namespace {

constexpr int64_t kBlocksPerTile = 128;

#if defined(FASTNN_MM)
// philox_block of random.h in registers: no compiler finds the instruction that multiplies every
// other lane to 64 bits.
using Words = Native<uint32_t, FASTNN_VEC_BYTES / 4>::type;
using UnalignedWords = Native<uint32_t, FASTNN_VEC_BYTES / 4>::unaligned;
using Wide = Native<uint64_t, FASTNN_VEC_BYTES / 8>::type;
using Given = Native<long long, FASTNN_VEC_BYTES / 8>::type;  // to an intrinsic

template <int rounds>
FASTNN_INLINE void philox_words(PhiloxKey key, uint64_t block, uint32_t* out) {
  constexpr int lanes = FASTNN_VEC_BYTES / 4;
  Words lane{}, odd{};
  for (int l = 0; l < lanes; ++l) lane[l] = uint32_t(l), odd[l] = l % 2 ? ~0u : 0u;
  // The upper and lower halves of c times m.
  const auto multiply = [&](Words c, uint32_t m, Words& high, Words& low) {
    const Wide by = uint64_t(m) - Wide{};
    const Words a = (Words)FASTNN_MM(mul_epu32)((Given)c, (Given)by);
    const Words b = (Words)FASTNN_MM(mul_epu32)((Given)((Wide)c >> 32), (Given)by);
    high = odd ? b : (Words)((Wide)a >> 32);
    low = odd ? (Words)((Wide)b << 32) : a;
  };
  for (int group = 0; group < kPhiloxLanes; group += lanes) {
    const uint64_t first = block * kPhiloxLanes + uint64_t(group);
    Words c0 = lane + uint32_t(first), c1 = uint32_t(first >> 32) - Words{},
          c2 = key.step[0] - Words{}, c3 = key.step[1] - Words{};
    uint32_t k0 = key.seed[0], k1 = key.seed[1];
    for (int r = 0; r < rounds; ++r) {
      Words a_high, a_low, b_high, b_low;
      multiply(c0, 0xD2511F53u, a_high, a_low);
      multiply(c2, 0xCD9E8D57u, b_high, b_low);
      c0 = b_high ^ c1 ^ (k0 - Words{});
      c1 = b_low;
      c2 = a_high ^ c3 ^ (k1 - Words{});
      c3 = a_low;
      k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    const Words c[4] = {c0, c1, c2, c3};
    for (int j = 0; j < 4; ++j)
      *reinterpret_cast<UnalignedWords*>(out + j * kPhiloxLanes + group) = c[j];
  }
}
#else
template <int rounds>
FASTNN_INLINE void philox_words(PhiloxKey key, uint64_t block, uint32_t* out) {
  philox_block<rounds>(key, block, out);
}
#endif

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
  philox_words<10>(key, uint64_t(block), words);
  for (int i = 0; i < kPhiloxWords; ++i) u[i] = unit_float(words[i]);
}
FASTNN_INLINE void uniform_block(PhiloxKey key, int64_t block, double* u) {
  uint32_t words[kPhiloxWords];
  philox_words<10>(key, uint64_t(block), words);
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
    const T *px = x.data<T>(), scale = T(1 / (1 - rate));
    T* py = y.data<T>();
    each_block(x.size(), kPhiloxWords, [&](int64_t block, int64_t first, int64_t count) {
      uint32_t words[kPhiloxWords];
      philox_words<7>(key, uint64_t(block), words);
      const T *from = px + first, factor = scale;
      T* to = py + first;
      const auto apply = [&](int64_t n) __attribute__((always_inline)) {
        for (int64_t i = 0; i < n; ++i) {
          const T kept = from[i] * factor;  // for all, so that there is no branch
          to[i] = words[i] >= threshold ? kept : T(0);
        }
      };
      if (none_kept)
        for (int64_t i = 0; i < count; ++i) to[i] = 0;
      else if (count == kPhiloxWords)
        apply(kPhiloxWords);
      else
        apply(count);
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
      alignas(64) T u[kPhiloxWords];
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
      alignas(64) T u[kPhiloxWords], z[kPhiloxWords];
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
