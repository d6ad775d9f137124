// Products whose operands are rounded to bfloat16 and whose sums are float32, two of them an
// instruction and lane (vdpbf16ps): twice the operations of float32 on processors that have it.
//
// A word holds the numbers of two neighbouring k, the earlier one below, a missing last one as
// zero. Both operands are packed into words, a as rows of words, b as gemm_pack.h has it with
// words for numbers; so the loops are those of gemm.cpp over half of k. Bits: element (i,j) sums
// its words in order, in blocks of kBlockK numbers which are added in order.
//
// Rounding is to nearest, ties to even. Subnormal numbers count as zeros, whatever the mode.
#pragma once
#include "cpu/gemm_pack.h"
#include "cpu/types.h"  // ceil_div

#ifdef FASTNN_MM512
#define FASTNN_BF16 __attribute__((target("avx512bf16")))
#endif

namespace fastnn::FASTNN_ISA::bf16 {

template <class T>
struct Words;

#ifdef FASTNN_BF16
template <class T>
inline constexpr bool kBuilt = sizeof(T) == 4;

// Shorter sums stay in float32: rounding them would cost what it saves.
inline constexpr int64_t kLeastDepth = 16;

// Whether a b of k rows is packed as words, and every product with it is one of words. It hangs on
// k alone, not on how many rows of c somebody asks for at once.
template <class T>
FASTNN_INLINE bool is_packed(int64_t k) {
  return kBuilt<T> && k >= kLeastDepth && team::self().precision == team::Precision::bfloat16 &&
         __builtin_cpu_supports("avx512bf16");
}

// Written as halves and as vectors, read as words.
typedef uint16_t Half __attribute__((may_alias));
typedef uint32_t Word __attribute__((may_alias));
using V = Vec<float>;
inline constexpr int kLanes = V::size;
inline constexpr int64_t NR = kPanel<float>;

FASTNN_INLINE int64_t words(int64_t k) { return (k + 1) / 2; }
// Words from one row of a packed a to the next; whole vectors of them are written.
FASTNN_INLINE int64_t row_words(int64_t k) { return ceil_div(words(k), kLanes) * kLanes; }

// Words of numbers at even places (low) and the places behind them (high).
FASTNN_INLINE FASTNN_BF16 __m512i join(V low, V high) {
  alignas(64) static constexpr uint16_t order[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                     21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                     11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)high.v, (__m512)low.v);
  return _mm512_permutexvar_epi16(_mm512_load_si512(order), both);
}

// to[i] = bfloat16(from[i]), n of them.
FASTNN_INLINE FASTNN_BF16 void round_run(const float* from, int64_t n, Half* to) {
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes)
    _mm512_storeu_si512(to + i, (__m512i)_mm512_cvtne2ps_pbh((__m512)V::load(from + i + kLanes).v,
                                                             (__m512)V::load(from + i).v));
  if (i < n)
    _mm512_mask_storeu_epi16(
        to + i, (1u << (n - i)) - 1,
        (__m512i)_mm512_cvtne2ps_pbh((__m512)V::load_n(from + i + kLanes, n - i - kLanes).v,
                                     (__m512)V::load_n(from + i, n - i).v));
}

// ---- b ----------------------------------------------------------------------------------------

// kLanes columns or fewer of b, rows [0, k) as words from the even row `at` on, missing columns as
// zeros. `half` is that part of a panel.
FASTNN_INLINE FASTNN_BF16 void pack_columns(Word* half, const Right<float>& b, int64_t k,
                                            int64_t cols) {
  if (b.layout == Right<float>::kRowMajor) {
    for (int64_t p = 0; p < k; p += 2) {
      const float* from = b.data + p * b.ld;
      const V high = p + 1 < k ? V::load_n(from + b.ld, cols) : V(0.0f);
      _mm512_storeu_si512(half + p / 2 * NR, join(V::load_n(from, cols), high));
    }
    return;
  }
  for (int64_t p = 0; p < k; p += 2 * kLanes) {
    const int64_t some = k - p < 2 * kLanes ? k - p : 2 * kLanes;
    alignas(64) Word rows[kLanes * kLanes] = {};
    for (int64_t j = 0; j < cols; ++j)
      round_run(b.data + j * b.ld + p, some, reinterpret_cast<Half*>(rows + j * kLanes));
    transpose_square<false>(reinterpret_cast<const float*>(rows), kLanes,
                            reinterpret_cast<float*>(half + p / 2 * NR), NR, kLanes, words(some));
  }
}

// Whole panels of all k rows of a row-major b, four at a time so that its rows are read in long
// pieces. Returns how many columns these are.
FASTNN_INLINE FASTNN_BF16 int64_t pack_panels(Word* dst, const Right<float>& b, int64_t k,
                                              int64_t nb) {
  int64_t j = 0;
  for (; j + 4 * NR <= nb; j += 4 * NR)
    for (int64_t p = 0; p + 2 <= k; p += 2) {
      const float* from = b.data + p * b.ld + j;
      Word* to = dst + j * words(k) + p / 2 * NR;
    // Rows lie too far apart for the hardware to see them coming.
#pragma GCC unroll 8
      for (int q = 0; q < 8; ++q) {
        __builtin_prefetch(from + 8 * b.ld + q * kLanes);
        __builtin_prefetch(from + 9 * b.ld + q * kLanes);
      }
#pragma GCC unroll 8
      for (int q = 0; q < 8; ++q)
        _mm512_storeu_si512(to + q / 2 * NR * words(k) + q % 2 * kLanes,
                            join(V::load(from + q * kLanes), V::load(from + b.ld + q * kLanes)));
    }
  if (k % 2)
    for (int64_t q = 0; q < j; q += kLanes)
      _mm512_storeu_si512(dst + q / NR * NR * words(k) + k / 2 * NR + q % NR,
                          join(V::load(b.data + (k - 1) * b.ld + q), V(0.0f)));
  return j;
}

// The same from an odd row on, or to one that shares its word with the next: whoever shares a word
// with another call writes its own half.
FASTNN_INLINE FASTNN_BF16 void pack_halves(Word* half, const Right<float>& b, int64_t at,
                                           int64_t rows, int64_t cols) {
  for (int64_t j = 0; j < kLanes; ++j)
    for (int64_t p = 0; p < rows; ++p) {
      Half value = 0;
      if (j < cols)
        round_run(
            b.layout == Right<float>::kRowMajor ? b.data + p * b.ld + j : b.data + j * b.ld + p, 1,
            &value);
      reinterpret_cast<Half*>(half + (at + p) / 2 * NR + j)[(at + p) % 2] = value;
    }
}

// ---- a ----------------------------------------------------------------------------------------

// Rows [i, i + m) of a for k in [p, p + kc).
FASTNN_BF16 inline void pack_left(Word* dst, const Left<float>& a, int64_t i, int64_t m, int64_t p,
                                  int64_t kc) {
  const int64_t ld = row_words(kc);
  if (!a.transposed) {
    for (int64_t r = 0; r < m; ++r) {
      auto* to = reinterpret_cast<Half*>(dst + r * ld);
      const float* row = a.data + a.strided(i + r);
      for (int64_t q = 0; q < kc;) {
        const int64_t within = a.run == kWhole ? 0 : (p + q) % a.run;
        const int64_t count = a.run - within < kc - q ? a.run - within : kc - q;
        round_run(row + a.contiguous(p + q), count, to + q);
        q += count;
      }
      if (kc % 2) to[kc] = 0;
    }
    return;
  }
  for (int64_t q = 0; q < kc; q += 2 * kLanes) {
    const int64_t some = kc - q < 2 * kLanes ? kc - q : 2 * kLanes;
    const float* row[2 * kLanes];
    for (int64_t s = 0; s < some; ++s) row[s] = a.data + a.strided(p + q + s);
    for (int64_t r = 0; r < m; r += kLanes) {
      alignas(64) Word square[kLanes * kLanes];
      for (int64_t s = 0; s < some; s += 2) {
        V pair[2] = {V(0.0f), V(0.0f)};
        for (int64_t u = 0; u < 2 && s + u < some; ++u) {
          if (a.run == kWhole) {
            pair[u] = V::load_n(row[s + u] + i + r, m - r);
          } else {
            float gathered[kLanes] = {};
            for (int64_t v = 0; v < kLanes && r + v < m; ++v)
              gathered[v] = row[s + u][a.contiguous(i + r + v)];
            pair[u] = V::load(gathered);
          }
        }
        _mm512_store_si512(square + s / 2 * kLanes, join(pair[0], pair[1]));
      }
      transpose_square<false>(reinterpret_cast<const float*>(square), kLanes,
                              reinterpret_cast<float*>(dst + r * ld + q / 2), ld, words(some),
                              m - r < kLanes ? m - r : kLanes);
    }
  }
}

// ---- kernels ----------------------------------------------------------------------------------

// As block_kernel(), of words; and with kDirect, of a b that is rounded as it is read, for rows of
// c too few to repay packing it: then t.k counts numbers.
template <int MR, int NV, bool kDirect>
FASTNN_BF16 __attribute__((noinline)) void kernel(const Block<float>& t) {
  V acc[MR][NV];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) acc[i][v] = V(0.0f);
  if (t.k >= 64) {
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) __builtin_prefetch(t.c + i * t.ldc + v * kLanes, 1);
  }
  const float* b = t.b;
  const int64_t ldb = t.ldb, pair = t.pair, cols = t.cols;
  const Word* a[MR];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) a[i] = reinterpret_cast<const Word*>(t.a[i]);
  __mmask16 seen[NV];  // the columns; wider blocks have no edge
#pragma GCC unroll 8
  for (int v = 0; v < NV; ++v) seen[v] = first_lanes(NV > 2 ? kLanes : cols - v * kLanes);
  const auto step = [&](int64_t p,
                        bool whole) __attribute__((always_inline, target("avx512bf16"))) {
    __m512i column[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      if constexpr (kDirect) {
        const float* from = b + v * kLanes;
        const __m512 low = _mm512_maskz_loadu_ps(seen[v], from);
        column[v] = join(V::of((V::Raw)low),
                         V::of((V::Raw)_mm512_maskz_loadu_ps(whole ? seen[v] : 0, from + ldb)));
      } else {
        column[v] = _mm512_loadu_si512(b + v / 2 * pair + v % 2 * kLanes);
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) {
      const __m512i x = _mm512_set1_epi32((int)a[i][p]);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v)
        acc[i][v] =
            V::of((V::Raw)_mm512_dpbf16_ps((__m512)acc[i][v].v, (__m512bh)x, (__m512bh)column[v]));
    }
    b += kDirect ? 2 * ldb : ldb;
  };
  const int64_t whole = kDirect ? t.k / 2 : t.k;
  for (int64_t p = 0; p < whole; ++p) step(p, true);
  if (kDirect && t.k % 2) step(whole, false);
  store_block<MR, NV>(t, acc);
}

// A single row, as single_row_kernel(): c stays in L1, and b is read in long rows, rounded on the
// way. The same sums in the same order.
FASTNN_BF16 __attribute__((noinline)) inline void single_row(const Block<float>& t) {
  constexpr int kDeep = 4;
  alignas(64) float sum[kBlockN<float>];
  const auto* a = reinterpret_cast<const Word*>(t.a[0]);
  for (int64_t j = 0; j < t.cols; j += kLanes) V(0.0f).store(sum + j);
  const auto add_words = [&](int64_t p, auto depth,
                             bool whole) __attribute__((always_inline, target("avx512bf16"))) {
    __m512i x[depth];
    for (int q = 0; q < depth; ++q) x[q] = _mm512_set1_epi32((int)a[p + q]);
    for (int64_t j = 0; j < t.cols; j += kLanes) {
      const __mmask16 seen = first_lanes(t.cols - j);
      __m512 s = _mm512_loadu_ps(sum + j);
      for (int q = 0; q < depth; ++q) {
        const float* from = t.b + 2 * (p + q) * t.ldb + j;
        // The next rows: with rounding in between, too few loads are under way at a time.
        __builtin_prefetch(from + 2 * kDeep * t.ldb);
        __builtin_prefetch(from + (2 * kDeep + 1) * t.ldb);
        const V low = V::of((V::Raw)_mm512_maskz_loadu_ps(seen, from));
        const V high = V::of((V::Raw)_mm512_maskz_loadu_ps(whole ? seen : 0, from + t.ldb));
        s = _mm512_dpbf16_ps(s, (__m512bh)x[q], (__m512bh)join(low, high));
      }
      _mm512_storeu_ps(sum + j, s);
    }
  };
  const int64_t whole = t.k / 2;
  int64_t p = 0;
  for (; p + kDeep <= whole; p += kDeep) add_words(p, Constant<kDeep>{}, true);
  for (; p < whole; ++p) add_words(p, Constant<1>{}, true);
  if (t.k % 2) add_words(p, Constant<1>{}, false);
  for (int64_t j = 0; j < t.cols; j += kLanes) {
    V x = V::load(sum + j);
    if (t.add) x += V::load_n(t.add + j, t.cols - j);
    x.store_n(t.c + j, t.cols - j);
  }
}

// The operands of a product of words: a is packed block by block, b as well, or rounded as it is
// read for rows of c too few to repay that.
template <>
struct Words<float> {
  const Gemm<float>& g;
  Word* packed_a;
  const bool direct;

  Words(const Gemm<float>& g, float* packed_a)
      : g(g),
        packed_a(reinterpret_cast<Word*>(packed_a)),
        direct(g.b.layout == Right<float>::kRowMajor && g.m <= kDirectRows) {}

  static FASTNN_INLINE int64_t depth(int64_t k) { return words(k); }
  static FASTNN_BF16 int64_t pack_panels(float* dst, const Right<float>& b, int64_t k, int64_t nb) {
    return bf16::pack_panels(reinterpret_cast<Word*>(dst), b, k, nb);
  }
  static FASTNN_BF16 void pack_columns(float* dst, const Right<float>& b, int64_t kc, int64_t at,
                                       int64_t rows, int64_t cols) {
    auto* half = reinterpret_cast<Word*>(dst);
    const bool ends = at + rows == kc;
    if (at % 2 == 0 && (rows % 2 == 0 || ends))
      return bf16::pack_columns(half + at / 2 * NR, b, rows, cols);
    pack_halves(half, b, at, rows, cols);
    if (kc % 2 && ends)
      for (int64_t i = 0; i < kLanes; ++i) reinterpret_cast<Half*>(half + kc / 2 * NR + i)[1] = 0;
  }

  FASTNN_BF16 void take_rows(int64_t i, int64_t m, int64_t p, int64_t kc) const {
    pack_left(packed_a, g.a, i, m, p, kc);
  }
  FASTNN_INLINE int64_t width(int64_t m, int64_t left) const {
    return direct && m == 1 ? left : packed_width<float>(m, left);
  }
  FASTNN_INLINE void multiply(Block<float>& t, int64_t, int64_t i, int64_t, int64_t kc) const {
    for (int r = 0; r < t.rows; ++r)
      t.a[r] = scalar_address(reinterpret_cast<const float*>(packed_a + (i + r) * row_words(kc)));
    with_shape(t, [&](auto rows, auto vectors) __attribute__((always_inline)) {
      if (!direct)
        kernel<rows, vectors, false>(t);
      else if constexpr (rows == 1)
        single_row(t);
      else
        kernel<rows, vectors, true>(t);
    });
  }
};

#else
template <class T>
inline constexpr bool kBuilt = false;

template <class T>
FASTNN_INLINE bool is_packed(int64_t) {
  return false;
}
#endif

}  // namespace fastnn::FASTNN_ISA::bf16
