// Matrix products, the one engine under dense layers, convolutions and recurrent cells.
//
//     c (m,n) = epilogue(add + a (m,k) b (k,n))          float and double, row-major
//
//   Left<T>   a: element (i,p) at data[i*ld + p], or `transposed` at data[p*ld + i]. ld may be
//             smaller than a row, so that rows overlap: the windows of a convolution need no
//             im2col. Call s the axis that strides by ld (i; p if transposed) and c the contiguous
//             one. Both may be cut, s in groups and c in runs:
//               data[group_at[s / group] + (s % group)*ld + run_at[c / run] + c % run]
//             (without a group_at table: (s / group)*group_step). Convolution forward: s = output
//             pixel, ld = stride*channels, group = output width, group_step = stride*image pitch;
//             c runs through kernel rows, run = kernel width*channels, run_at[r] = r*image pitch
//             (dilated: one run per tap). Its weight gradient is the same table, `transposed`.
//   Right<T>  b: Right<T>::row_major(data, ld) has (p,j) at data[p*ld + j]; column_major(data, ld)
//             at data[j*ld + p], the NT form; packed(data) was written by pack_right(), for a b
//             that serves many products (weights over all tiles of an image or steps of a
//             sequence).
//   Gemm<T>   sizes, a, b, c with its ldc, and what is added: {bias, 0} is one row for all,
//             {c, ldc} accumulates, {x, ldx} is a residual, nothing is zero.
//
//   gemm(g, epilogue)         SPMD: all members of the team call it and share the tiles of c. No
//                             barrier, as tiles(): put one before anybody reads c.
//   gemm_serial(g, epilogue)  the calling member computes all of c, as inside a kernel's own tile.
//   gemm_tile(g, i0, i1, j0, j1, epilogue)    the same for a block of c; j0 is a multiple of
//                             kPanel<T> where b is packed.
//   pack_right(dst, k, n, b, p0, kb, j0, nb)  writes b (kb,nb) at row p0 and column j0 of a packed
//                             (k,n) matrix of packed_size<T>(k, n) elements. Serial: share it with
//                             tiles() over kPanel<T> columns. j0 is a multiple of Vec<T>::size.
//   epilogue(T* c, i, j, count)   called once for each finished row piece, hot in L1: c points at
//                             element (i,j) and `count` columns follow. Activations, derivatives,
//                             dropout are applied there in place. Store{} does nothing.
//
// Scratch: the upper half of a member's local scratch belongs to these functions; callers may use
// local_scratch(kGemmScratch), the lower half. The shared scratch is never touched.
//
// Bits: element (i,j) sums its k products in order, in blocks of kBlockK which are added in order,
// whichever tile or member computes it. (NT products with few rows sum along the lanes instead;
// that choice hangs on m, n, k alone.) Any of m, n, k may be 0; with k = 0, c = epilogue(add).
#pragma once
#include "cpu/gemm_dots.h"
#include "cpu/gemm_kernels.h"
#include "cpu/gemm_pack.h"

namespace fastnn::FASTNN_ISA {

struct Store {
  template <class T>
  FASTNN_INLINE void operator()(T*, int64_t, int64_t, int64_t) const {}
};

inline constexpr size_t kGemmScratch = team::kLocalBytes / 2;

// Up to here rows of c are too few to repay packing a row-major b.
inline constexpr int64_t kDirectRows = 4 * kRows;

// Rows a multiple of 4 KB apart fall on the same few lines of L1 and drive the panel of b out.
template <class T>
FASTNN_INLINE bool is_aliased(const Left<T>& a) {
  return a.group == kWhole && a.run == kWhole && a.ld % (4096 / (int64_t)sizeof(T)) == 0;
}

template <class T, class Epilogue>
void gemm_tile(const Gemm<T>& g, int64_t i0, int64_t i1, int64_t j0, int64_t j1,
               Epilogue epilogue) {
  if (i0 >= i1 || j0 >= j1) return;
  auto finish = [&](int64_t i, int64_t rows, int64_t j, int64_t cols) {
    for (int64_t r = i; r < i + rows; ++r) epilogue(g.c + r * g.ldc + j, r, j, cols);
  };
  if (is_dots(g)) {
    dots(g, i0, i1, j0, j1, finish);
    return;
  }
  using R = Right<T>;
  const bool direct = g.b.layout == R::kRowMajor && g.m <= kDirectRows;
  // A transposed a is read in place where too few columns would use a packed one.
  const bool by_columns =
      g.a.transposed && g.a.run == kWhole && g.a.group == kWhole && j1 - j0 <= 2 * kPanel<T>;
  const bool pack_a =
      g.a.transposed ? !by_columns : is_aliased(g.a) && g.m > kDirectRows && j1 - j0 >= 128;
  char* scratch = static_cast<char*>(team::self().local) + kGemmScratch;
  T* packed_a = reinterpret_cast<T*>(scratch);
  T* packed_b = reinterpret_cast<T*>(scratch + kGemmScratch / 4);
  int64_t p = 0;
  do {  // once even where k is 0, to write `add`
    const int64_t kc = g.k - p < kBlockK ? g.k - p : kBlockK;
    const bool last = p + kc == g.k;
    Block<T> t;
    t.k = kc;
    t.ldc = g.ldc;
    const T* add = p ? g.c : g.add;
    t.add_ld = p ? g.ldc : g.add_ld;
    for (int64_t jb = j0; jb < j1; jb += kBlockN<T>) {
      const int64_t nb = j1 - jb < kBlockN<T> ? j1 - jb : kBlockN<T>;
      const T* b;  // the panel or column at jb
      if (direct) {
        b = g.b.data + p * g.b.ld + jb;
      } else if (g.b.layout == R::kPacked) {
        b = g.b.data + p * padded_columns<T>(g.n) + jb * kc;
      } else {
        pack_right(packed_b, kc, nb, g.b.at(p, jb), 0, kc, 0, nb);
        b = packed_b;
      }
      if (direct && g.m == 1 && g.a.run == kWhole && !g.a.transposed) {
        t.a[0] = g.a.data;
        t.b = b;
        t.ldb = g.b.ld;
        t.cols = nb;
        t.c = g.c + jb;
        t.add = add ? add + jb : nullptr;
        single_row_kernel(t, p);
        if (last) finish(0, 1, jb, nb);
        continue;
      }
      for (int64_t ib = i0; ib < i1; ib += kBlockM) {
        const int64_t mb = i1 - ib < kBlockM ? i1 - ib : kBlockM;
        if (pack_a) {
          if (g.a.transposed)
            pack_transposed_left(packed_a, g.a, ib, mb, g.m - ib, p, kc);
          else
            pack_left(packed_a, g.a, ib, mb, g.m - ib, p, kc);
        }
        int64_t width;
        for (int64_t j = 0; j < nb; j += width) {
          if (direct) {
            width = direct_width<T>(mb, nb - j);
            t.b = b + j;
            t.ldb = g.b.ld;
          } else {
            width = kPanel<T>;
            t.b = b + j * kc;
            t.ldb = kPanel<T>;
          }
          t.cols = nb - j < width ? nb - j : width;
          int64_t height;
          for (int64_t i = 0; i < mb; i += height) {
            t.c = g.c + (ib + i) * g.ldc + jb + j;
            t.add = add ? add + (ib + i) * t.add_ld + jb + j : nullptr;
            height = t.rows = block_rows(mb - i);
            const T* first = pack_a ? packed_a + i * kc : g.a.data + p * g.a.ld + ib + i;
            if (pack_a || by_columns) {
              for (int r = 0; r < height; ++r) t.a[r] = first + r;
              t.a_step = pack_a ? height : g.a.ld;
              block_kernel_of<kRows>(t, 0, kWhole, nullptr, direct);
            } else {
              for (int r = 0; r < height; ++r) t.a[r] = g.a.data + g.a.strided(ib + i + r);
              t.a_step = 1;
              if (g.a.run == kWhole)
                block_kernel_of<kRows>(t, p, kWhole, nullptr, direct);
              else
                block_kernel_of<kRows>(t, p % g.a.run, g.a.run, g.a.run_at + p / g.a.run, direct);
            }
            if (last) finish(ib + i, t.rows, jb + j, t.cols);
          }
        }
      }
    }
    p += kc;
  } while (p < g.k);
}

template <class T, class Epilogue = Store>
FASTNN_INLINE void gemm_serial(const Gemm<T>& g, Epilogue epilogue = {}) {
  gemm_tile(g, 0, g.m, 0, g.n, epilogue);
}

// Blocks of c, small enough to be shared among many members and large enough that packing b for
// each costs a few percent.
template <class T>
FASTNN_INLINE void cut_tiles(const Gemm<T>& g, int64_t& tm, int64_t& tn) {
  constexpr int64_t kTiles = 16, kWork = 1 << 18;
  tm = g.m < 192 ? g.m : 192;
  tn = g.n < 256 ? g.n : 256;
  auto many = [&] {
    return ((g.m + tm - 1) / tm) * ((g.n + tn - 1) / tn) >= kTiles ||
           tm * tn * (g.k + 16) <= 2 * kWork;
  };
  auto halve = [](int64_t x, int64_t unit) { return (x / 2 + unit - 1) / unit * unit; };
  while (!many() && tn > 64) tn = halve(tn, kPanel<T>);
  while (!many() && tm > 48) tm = halve(tm, 24);
  while (!many() && tn > kPanel<T>) tn = halve(tn, kPanel<T>);
  while (!many() && tm > 24) tm = halve(tm, 24);
}

template <class T, class Epilogue = Store>
void gemm(const Gemm<T>& g, Epilogue epilogue = {}) {
  if (g.m <= 0 || g.n <= 0) return;
  if (team::self().size == 1) {
    gemm_serial(g, epilogue);
    return;
  }
  int64_t tm, tn;
  cut_tiles(g, tm, tn);
  const int64_t across = (g.n + tn - 1) / tn, down = (g.m + tm - 1) / tm;
  tiles(across * down, [&](int64_t t) {
    const int64_t i = t % down * tm, j = t / down * tn;
    gemm_tile(g, i, i + tm < g.m ? i + tm : g.m, j, j + tn < g.n ? j + tn : g.n, epilogue);
  });
}

}  // namespace fastnn::FASTNN_ISA
