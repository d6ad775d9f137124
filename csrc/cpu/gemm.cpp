// The engine behind gemm.h: how a product is cut, what is packed, and which micro-kernel takes a
// block. Compiled once for float and once for double.
#include "cpu/gemm.h"

#include "cpu/gemm_bf16.h"
#include "cpu/gemm_dots.h"
#include "cpu/gemm_kernels.h"
#include "cpu/gemm_pack.h"
#include "cpu/gemm_turned.h"
#include "cpu/types.h"  // ceil_div

namespace fastnn::FASTNN_ISA {

// Rows a multiple of 4 KB apart fall on the same few lines of L1 and drive the panel of b out.
template <class T>
FASTNN_INLINE bool is_aliased(const Left<T>& a) {
  return a.group == kWhole && a.run == kWhole && a.ld % (4096 / (int64_t)sizeof(T)) == 0;
}

constexpr int64_t kShallow = 64;  // rows of a transposed a

// A b whose rows lie close together is read in place, and so is one that too few rows of c use to
// repay a packed copy.
template <class T>
FASTNN_INLINE bool is_direct(const Gemm<T>& g) {
  return g.b.layout == Right<T>::kRowMajor && (g.m <= kDirectRows || g.b.ld <= kCloseRows<T>);
}

// Operands as they are stored: a read in place, or packed where that would cost more.
template <class T>
struct Plain : Numbers<T> {
  const Gemm<T>& g;
  T* packed_a;
  const bool direct, single_row, by_columns, pack_a;

  Plain(const Gemm<T>& g, T* packed_a, int64_t width)
      : g(g),
        packed_a(packed_a),
        direct(is_direct(g)),
        single_row(direct && g.m == 1 && g.a.run == kWhole && !g.a.transposed),
        // A transposed a is read as it lies where it is shallow or few columns use it.
        by_columns(g.a.transposed && g.a.run == kWhole && (g.a.group == kWhole || g.a.group_at) &&
                   (g.k <= kShallow || width <= 2 * kPanel<T> ||
                    (g.a.ld <= kCloseRows<T> && width <= 4 * kPanel<T>))),
        pack_a(g.a.transposed ? !by_columns
                              : is_aliased(g.a) && g.m > kDirectRows && width >= 128) {}

  FASTNN_INLINE void take_rows(int64_t i, int64_t m, int64_t p, int64_t kc) const {
    if (!pack_a) return;
    if (g.a.transposed)
      pack_transposed_left(packed_a, g.a, i, m, g.m - i, p, kc);
    else
      pack_left(packed_a, g.a, i, m, g.m - i, p, kc);
  }
  FASTNN_INLINE int64_t width(int64_t m, int64_t left) const {
    if (single_row) return left;
    return direct ? direct_width<T>(m, left) : packed_width<T>(m, left);
  }
  // The block t, whose rows of a are those from i on of the ones taken, which begin at i0.
  FASTNN_INLINE void multiply(Block<T>& t, int64_t i0, int64_t i, int64_t p, int64_t kc) const {
    const auto& a = g.a;
    if (single_row) {
      t.a[0] = a.data;
      single_row_kernel(t, p);
    } else if (pack_a) {
      for (int r = 0; r < t.rows; ++r) t.a[r] = scalar_address(packed_a + i * kc + r);
      t.a_step = t.rows;
      block_kernel_of(t, 0, kWhole, nullptr, direct);
    } else if (by_columns) {
      for (int r = 0; r < t.rows; ++r) t.a[r] = scalar_address(a.data + i0 + i + r);
      t.a_step = a.ld;
      if (a.group == kWhole)
        block_kernel_of(t, p, kWhole, nullptr, direct);
      else
        block_kernel_of(t, p % a.group, a.group, a.group_at + p / a.group, direct);
    } else {
      for (int r = 0; r < t.rows; ++r) t.a[r] = scalar_address(a.data + a.strided(i0 + i + r));
      t.a_step = 1;
      if (a.run == kWhole)
        block_kernel_of(t, p, kWhole, nullptr, direct);
      else
        block_kernel_of(t, p % a.run, a.run, a.run_at + p / a.run, direct);
    }
  }
};

// Whether a product is one of words (gemm_bf16.h). A single column is bound by memory, and is not.
template <class T>
FASTNN_INLINE bool is_of_words(const Gemm<T>& g) {
  return bf16::is_packed<T>(g.k) && g.rounds && !(g.n == 1 && g.b.layout == Right<T>::kColumnMajor);
}

template <class T>
bool packs_words(int64_t k) {
  return bf16::is_packed<T>(k);
}

template <class T>
void pack_right(T* dst, int64_t k, int64_t n, const Right<T>& b, int64_t p0, int64_t kb, int64_t j0,
                int64_t nb) {
  if constexpr (bf16::kBuilt<T>)
    if (bf16::is_packed<T>(k)) return pack_right_as<bf16::Words<T>>(dst, k, n, b, p0, kb, j0, nb);
  pack_right_as<Numbers<T>>(dst, k, n, b, p0, kb, j0, nb);
}

// The block (i0..i1, j0..j1) of c, its operands read as `x` says; finish(i, rows, j, cols) for each
// part that is done.
template <class T, class Operands, class Finish>
FASTNN_INLINE void walk(const Gemm<T>& g, const Operands& x, int64_t i0, int64_t i1, int64_t j0,
                        int64_t j1, T* packed_b, Finish finish) {
  using R = Right<T>;
  const bool packed = g.b.layout == R::kPacked;
  int64_t p = 0;
  do {  // once even where k is 0, to write `add`
    const int64_t kc = g.k - p < kBlockK ? g.k - p : kBlockK, depth = x.depth(kc);
    const bool last = p + kc == g.k;
    Block<T> t;
    t.k = x.direct ? kc : depth;
    t.ldb = x.direct ? g.b.ld : kPanel<T>;
    t.ldc = g.ldc;
    const T* add = p ? g.c : g.add;
    t.add_ld = p ? g.ldc : g.add_ld;
    // Columns of a packed b need not be blocked, and a block of a then serves them all.
    const int64_t wide = packed ? j1 - j0 : kBlockN<T>;
    for (int64_t jb = j0; jb < j1; jb += wide) {
      const int64_t nb = j1 - jb < wide ? j1 - jb : wide;
      const T* b = packed_b;              // the panel or column at jb
      int64_t panel = depth * kPanel<T>;  // from one to the next
      if (x.direct) {
        b = g.b.data + p * g.b.ld + jb;
      } else if (packed) {
        b = g.b.data + x.depth(p) * padded_columns<T>(g.b.across ? g.b.ld : g.n) +
            (g.b.column + jb) * depth;
        if (g.b.across) panel = g.b.across;
      } else {
        pack_right_as<Operands>(packed_b, kc, nb, g.b.at(p, jb), 0, kc, 0, nb);
      }
      t.pair = x.direct ? kPanel<T> : panel;
      for (int64_t ib = i0; ib < i1; ib += kBlockM) {
        if (team::broken_off()) return;
        const int64_t mb = i1 - ib < kBlockM ? i1 - ib : kBlockM;
        x.take_rows(ib, mb, p, kc);
        int64_t width;
        for (int64_t j = 0; j < nb; j += width) {
          width = x.width(mb, nb - j);
          t.b = x.direct ? b + j : b + j / kPanel<T> * panel;
          t.cols = nb - j < width ? nb - j : width;
          int64_t height;
          for (int64_t i = 0; i < mb; i += height) {
            t.c = g.c + (ib + i) * g.ldc + jb + j;
            t.add = add ? add + (ib + i) * t.add_ld + jb + j : nullptr;
            height = t.rows = block_rows(mb - i);
            x.multiply(t, ib, i, p, kc);
            if (last) finish(ib + i, height, jb + j, t.cols);
          }
        }
      }
    }
    p += kc;
  } while (p < g.k);
}

template <class T>
void gemm_block(const Gemm<T>& g, int64_t i0, int64_t i1, int64_t j0, int64_t j1, Finish<T> done) {
  if (i0 >= i1 || j0 >= j1) return;
  auto finish = [&](int64_t i, int64_t rows, int64_t j, int64_t cols) {
    if (done.run)
      done.run(done.epilogue, g.c + i * g.ldc + j, g.ldc, i, rows, done.column + j, cols);
  };
  T* scratch = reinterpret_cast<T*>(static_cast<char*>(team::self().local) + kGemmScratch);
  T* packed_b = scratch + kGemmScratch / 4 / sizeof(T);
  if constexpr (bf16::kBuilt<T>)
    if (is_of_words(g))
      return walk(g, bf16::Words<T>(g, scratch), i0, i1, j0, j1, packed_b, finish);
  if (is_turned(g)) return turned(g, i0, i1, j0, j1, scratch, finish);
  if (is_dots(g)) return dots(g, i0, i1, j0, j1, finish);
  walk(g, Plain<T>(g, scratch, j1 - j0), i0, i1, j0, j1, packed_b, finish);
}

// The size, a multiple of `unit`, of each of so many parts of x.
FASTNN_INLINE int64_t part_of(int64_t x, int64_t parts, int64_t unit) {
  return ceil_div(ceil_div(x, parts), unit) * unit;
}

// What a tile costs beside its rows, in rows.
constexpr int64_t kTileCost = 4;

// Blocks of c: a few for each member, so that one who is late can be helped, and otherwise as large
// as they can be, for each packs what it needs of a and b.
template <class T>
FASTNN_INLINE void cut_tiles(const Gemm<T>& g, int64_t& tm, int64_t& tn) {
  constexpr int64_t kWork = 1 << 18;
  const int64_t wanted = 3 * team::self().size;
  tm = g.m < 192 ? g.m : 192;
  tn = g.n < 256 ? g.n : 256;
  auto many = [&] {
    return ceil_div(g.m, tm) * ceil_div(g.n, tn) >= wanted || tm * tn * (g.k + 16) <= 2 * kWork;
  };
  auto halve = [](int64_t x, int64_t unit) { return part_of(x, 2, unit); };
  // Each tile packs its rows of a transposed a, which costs the more the narrower it is.
  while (g.a.transposed && !many() && tm > 48) tm = halve(tm, 24);
  while (!many() && tn > 64) tn = halve(tn, kPanel<T>);
  while (!many() && tm > 48) tm = halve(tm, 24);
  while (!many() && tn > kPanel<T>) tn = halve(tn, kPanel<T>);
  while (!many() && tm > 24) tm = halve(tm, 24);
  // As many, but alike.
  tm = part_of(g.m, ceil_div(g.m, tm), kRows);
  tn = part_of(g.n, ceil_div(g.n, tn), kPanel<T>);
}

// Rows of a tile where b is packed for all: tiles as wide as c cost nothing then, and each packs
// its rows of a once. Two rounds or more, of tiles that come out even.
template <class T>
FASTNN_INLINE int64_t cut_rows(const Gemm<T>& g) {
  const int64_t size = team::self().size, fewest = ceil_div(g.m, 2 * kBlockM * size);
  int64_t best = 0, least = kWhole;
  for (int64_t rounds = fewest > 2 ? fewest : 2; rounds <= fewest + 6; ++rounds) {
    const int64_t tm = part_of(g.m, rounds * size, kRows);
    const int64_t cost = ceil_div(ceil_div(g.m, tm), size) * (tm + kTileCost);
    if (cost >= least) continue;
    best = tm;
    least = cost;
  }
  return best;
}

template <class T>
void gemm_shared(const Gemm<T>& g, Finish<T> finish) {
  if (g.m <= 0 || g.n <= 0) return;
  if (team::self().size == 1) {
    gemm_block(g, 0, g.m, 0, g.n, finish);
    return;
  }
  int64_t tm, tn;
  cut_tiles(g, tm, tn);
  const int64_t across = ceil_div(g.n, tn), down = ceil_div(g.m, tm);
  tiles(across * down, [&](int64_t t) {
    const int64_t i = t % down * tm, j = t / down * tn;
    gemm_block(g, i, i + tm < g.m ? i + tm : g.m, j, j + tn < g.n ? j + tn : g.n, finish);
  });
}

// Whether so many tiles would pack the same columns of b that packing them once repays its price:
// barriers, and reading what another member has in its cache. A wide b is used by few rows.
template <class T>
FASTNN_INLINE bool packs_once(const Gemm<T>& g) {
  if (g.b.layout == Right<T>::kPacked || is_direct(g) || is_turned(g) || is_dots(g)) return false;
  if (g.m < 480 || (g.m < 960 && g.n > 2 * g.m)) return false;
  return g.k >= kBlockK && g.m * g.n * g.k >= int64_t(1) << 22;
}

template <class T>
void gemm_packed_once(const Gemm<T>& g, Finish<T> finish) {
  const int64_t room = (int64_t)(team::kSharedBytes / sizeof(T)) / (g.k > 0 ? g.k : 1);
  const int64_t most = room / kPanel<T> * kPanel<T>;  // columns of b that fit
  if (team::self().size == 1 || !packs_once(g) || most == 0) return gemm_shared(g, finish);
  T* packed = static_cast<T*>(team::shared_scratch(team::kSharedBytes));
  for (int64_t j0 = 0; j0 < g.n; j0 += most) {
    const int64_t nb = g.n - j0 < most ? g.n - j0 : most;
    team::barrier();
    const int64_t across = ceil_div(nb, 4 * kPanel<T>), tm = cut_rows(g);
    tiles(across * ceil_div(g.k, kBlockK), [&](int64_t t) {
      const int64_t j = t % across * 4 * kPanel<T>, p = t / across * kBlockK;
      pack_right(packed, g.k, nb, g.b.at(p, j0 + j), p, g.k - p < kBlockK ? g.k - p : kBlockK, j,
                 nb - j < 4 * kPanel<T> ? nb - j : 4 * kPanel<T>);
    });
    team::barrier();
    Gemm<T> part = g;
    part.n = nb;
    part.b = Right<T>::packed(packed);
    part.c += j0;
    if (part.add) part.add += j0;
    finish.column = j0;
    pieces(g.m, tm, [&](int64_t i, int64_t end) { gemm_block(part, i, end, 0, nb, finish); });
  }
  team::barrier();
}

#define INSTANTIATE(T)                                                                       \
  template void gemm_block(const Gemm<T>&, int64_t, int64_t, int64_t, int64_t, Finish<T>);   \
  template void gemm_shared(const Gemm<T>&, Finish<T>);                                      \
  template void gemm_packed_once(const Gemm<T>&, Finish<T>);                                 \
  template bool packs_words<T>(int64_t);                                                     \
  template void pack_right(T*, int64_t, int64_t, const Right<T>&, int64_t, int64_t, int64_t, \
                           int64_t);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace fastnn::FASTNN_ISA
