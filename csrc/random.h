// Random numbers as a function of (seed, step, index): Philox4x32 (Salmon et al., "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011, section 3.3), for CPU and CUDA. Nothing is stored: the
// backward pass of dropout draws its mask again.
//
// A state is four int32 {seed_lo, seed_hi, step_lo, step_hi}. Numbers come in blocks of 64 words
// from 16 counters, laid out for vectors: word j of counter l of a block is number 16 j + l of it.
#pragma once
#include <stdint.h>

#ifndef FASTNN_HD
#ifdef __CUDACC__
#define FASTNN_HD __host__ __device__
#else
#define FASTNN_HD
#endif
#endif

#ifdef FASTNN_ISA
namespace fastnn::FASTNN_ISA {
#else
namespace fastnn::random {
#endif

constexpr int kPhiloxLanes = 16;                // counters of a block
constexpr int kPhiloxWords = 4 * kPhiloxLanes;  // words of a block

struct PhiloxKey {
  uint32_t seed[2], step[2];
};

FASTNN_HD inline PhiloxKey philox_key(const int32_t* state) {
  return {{(uint32_t)state[0], (uint32_t)state[1]}, {(uint32_t)state[2], (uint32_t)state[3]}};
}

// One round on a counter c with the round's key.
FASTNN_HD inline __attribute__((always_inline)) void philox_round(uint32_t& c0, uint32_t& c1,
                                                                  uint32_t& c2, uint32_t& c3,
                                                                  uint32_t k0, uint32_t k1) {
  const uint64_t a = uint64_t(0xD2511F53u) * c0, b = uint64_t(0xCD9E8D57u) * c2;
  c0 = uint32_t(b >> 32) ^ c1 ^ k0;
  c1 = uint32_t(b);
  c2 = uint32_t(a >> 32) ^ c3 ^ k1;
  c3 = uint32_t(a);
}

// The four words of counter {index, step}.
template <int rounds>
FASTNN_HD inline void philox(PhiloxKey key, uint64_t index, uint32_t out[4]) {
  uint32_t c0 = uint32_t(index), c1 = uint32_t(index >> 32), c2 = key.step[0], c3 = key.step[1];
  uint32_t k0 = key.seed[0], k1 = key.seed[1];
  for (int r = 0; r < rounds; ++r) {
    philox_round(c0, c1, c2, c3, k0, k1);
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

// All words of a block: out[16 j + l] is word j of counter 16 block + l.
template <int rounds>
inline void philox_block(PhiloxKey key, uint64_t block, uint32_t* out) {
  uint32_t *c0 = out, *c1 = out + kPhiloxLanes, *c2 = out + 2 * kPhiloxLanes,
           *c3 = out + 3 * kPhiloxLanes;
  const uint64_t first = block * kPhiloxLanes;
  for (int l = 0; l < kPhiloxLanes; ++l) {
    c0[l] = uint32_t(first) + uint32_t(l);  // 16 divides 2^32: no carry
    c1[l] = uint32_t(first >> 32);
    c2[l] = key.step[0];
    c3[l] = key.step[1];
  }
  uint32_t k0 = key.seed[0], k1 = key.seed[1];
  for (int r = 0; r < rounds; ++r) {
    for (int l = 0; l < kPhiloxLanes; ++l) philox_round(c0[l], c1[l], c2[l], c3[l], k0, k1);
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
}

// [0, 1), every multiple of 2^-24 or 2^-53 equally likely.
FASTNN_HD inline float unit_float(uint32_t word) { return float(int32_t(word >> 8)) * 0x1p-24f; }
FASTNN_HD inline double unit_double(uint32_t high, uint32_t low) {
  return double(int64_t((uint64_t(high) << 32 | low) >> 11)) * 0x1p-53;
}

}  // namespace
