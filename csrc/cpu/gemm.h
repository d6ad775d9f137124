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
//             sequence). packed_across(data, columns, column, step) has panel `column` of one
//             packed (k, columns) matrix, beside it that of the matrix `step` elements on, and so
//             on.
//   Gemm<T>   sizes, a, b, c with its ldc, and what is added: {bias, 0} is one row for all,
//             {c, ldc} accumulates, {x, ldx} is a residual, nothing is zero.
//
//   gemm(g, epilogue)         SPMD: all members of the team call it and share the tiles of c. No
//                             barrier, as tiles(): put one before anybody reads c.
//   gemm_with_scratch(g, epilogue)            as gemm(), and packs a large b once for all
//                             members, not once a tile: for kernels that need no shared scratch
//                             of their own. It may have barriers.
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
// local_scratch(kGemmScratch), the lower half. gemm_with_scratch() alone touches the
// shared scratch.
//
// Precision: under team::Precision::bfloat16 operands are rounded, where they are packed or read;
// gemm_bf16.h says which. Callers see numbers on both sides.
//
// Bits: element (i,j) sums its k products in order, in blocks of kBlockK which are added in order,
// whichever tile or member computes it. (NT products with very few rows sum along the lanes
// instead; that choice hangs on m, n, k alone.) Any of m, n, k may be 0; with k = 0, c =
// epilogue(add).
#pragma once
#include "cpu/simd.h"
#include "cpu/team.h"

namespace fastnn::FASTNN_ISA {

// The register file decides: kRows x 2 accumulators, two vectors of b, one broadcast of a.
inline constexpr int kRows = FASTNN_VEC_BYTES == 64 ? 8 : FASTNN_VEC_BYTES == 32 ? 6 : 4;
inline constexpr int kAccumulators = 2 * kRows;
template <class T>
inline constexpr int64_t kPanel = 2 * Vec<T>::size;
// A panel of b, kBlockK x 64 bytes on AVX2, stays in L1 while the rows of a pass by. Short blocks
// also keep rounding errors down: sums of 256 products are added up, not one chain of k.
inline constexpr int64_t kBlockK = 256;

// Rows and columns of c between two packings: kBlockM x kBlockK of a and kBlockK x kBlockN of b
// stay in L2, of which a core has 1 MB or more where speed matters.
inline constexpr int64_t kBlockM = 192;
template <class T>
inline constexpr int64_t kBlockN = 2048 / (int64_t)sizeof(T);

// Up to here rows of c are too few to repay packing a row-major b.
inline constexpr int64_t kDirectRows = 4 * kRows;
// A row-major b whose rows lie this close together is read as it is, however many use it.
template <class T>
inline constexpr int64_t kCloseRows = 256 / sizeof(T);

inline constexpr int64_t kWhole = INT64_MAX;

// The address of a row, computed with integers. For several rows at once compilers take vectors,
// which then wait behind the sums of the block before: 50 cycles a block.
template <class T>
FASTNN_INLINE T* scalar_address(T* address) {
  asm("" : "+r"(address));
  return address;
}

template <class T>
struct Left {
  const T* data = nullptr;
  int64_t ld = 0;
  bool transposed = false;
  int64_t group = kWhole, group_step = 0;
  const int64_t* group_at = nullptr;
  int64_t run = kWhole;
  const int64_t* run_at = nullptr;

  FASTNN_INLINE int64_t strided(int64_t s) const {
    if (group == kWhole) return s * ld;
    const int64_t g = s / group;
    return (group_at ? group_at[g] : g * group_step) + (s - g * group) * ld;
  }
  FASTNN_INLINE int64_t contiguous(int64_t c) const {
    return run == kWhole ? c : run_at[c / run] + c % run;
  }
};

template <class T>
struct Right {
  enum Layout { kRowMajor, kColumnMajor, kPacked };
  const T* data = nullptr;
  int64_t ld = 0;
  Layout layout = kRowMajor;
  int64_t across = 0, column = 0;  // of packed_across

  static FASTNN_INLINE Right row_major(const T* data, int64_t ld) { return {data, ld, kRowMajor}; }
  static FASTNN_INLINE Right column_major(const T* data, int64_t ld) {
    return {data, ld, kColumnMajor};
  }
  static FASTNN_INLINE Right packed(const T* data) { return {data, 0, kPacked}; }
  static FASTNN_INLINE Right packed_across(const T* data, int64_t columns, int64_t column,
                                           int64_t step) {
    return {data, columns, kPacked, step, column};
  }
  FASTNN_INLINE Right at(int64_t p, int64_t j) const {
    return {data + (layout == kRowMajor ? p * ld + j : j * ld + p), ld, layout};
  }
};

template <class T>
FASTNN_INLINE constexpr int64_t padded_columns(int64_t n) {
  return (n + kPanel<T> - 1) / kPanel<T> * kPanel<T>;
}
template <class T>
FASTNN_INLINE constexpr int64_t packed_size(int64_t k, int64_t n) {
  return k * padded_columns<T>(n);
}

template <class T>
struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  Left<T> a = {};
  Right<T> b = {};
  T* c = nullptr;
  int64_t ldc = 0;
  const T* add = nullptr;
  int64_t add_ld = 0;
  bool rounds = true;  // under Precision::bfloat16
};

// Gradients of so few weights' rows would pay for packing dy what rounding saves. It is the caller
// who says so, by sizes of the whole: the m of a product may hang on the size of the team.
FASTNN_INLINE constexpr bool repays_rounding(int64_t rows) { return rows >= 4 * kRows; }

// What to do with finished rows of c: an epilogue of any type behind one call a block, so that the
// engine is compiled once, in gemm.cpp.
template <class T>
struct Finish {
  void (*run)(const void* epilogue, T* c, int64_t ldc, int64_t i, int64_t rows, int64_t j,
              int64_t cols);  // null: nothing
  const void* epilogue;
  int64_t column = 0;  // that the epilogue knows as the first of c
};

struct Store {
  template <class T>
  FASTNN_INLINE void operator()(T*, int64_t, int64_t, int64_t) const {}
};

template <class T, class Epilogue>
void finish_rows(const void* epilogue, T* c, int64_t ldc, int64_t i, int64_t rows, int64_t j,
                 int64_t cols) {
  for (int64_t r = 0; r < rows; ++r)
    (*static_cast<const Epilogue*>(epilogue))(c + r * ldc, i + r, j, cols);
}
template <class T>
FASTNN_INLINE Finish<T> finish_of(const Store&) {
  return {nullptr, nullptr};
}
template <class T, class Epilogue>
FASTNN_INLINE Finish<T> finish_of(const Epilogue& epilogue) {
  return {finish_rows<T, Epilogue>, &epilogue};
}

inline constexpr size_t kGemmScratch = team::kLocalBytes / 2;

// gemm.cpp, for float and double.
template <class T>
void gemm_block(const Gemm<T>& g, int64_t i0, int64_t i1, int64_t j0, int64_t j1, Finish<T> finish);
template <class T>
void gemm_shared(const Gemm<T>& g, Finish<T> finish);
template <class T>
void gemm_packed_once(const Gemm<T>& g, Finish<T> finish);
// Whether pack_right() of k rows leaves words of bfloat16 (gemm_bf16.h), which only gemm_*() read.
template <class T>
bool packs_words(int64_t k);
template <class T>
void pack_right(T* dst, int64_t k, int64_t n, const Right<T>& b, int64_t p0, int64_t kb, int64_t j0,
                int64_t nb);

template <class T, class Epilogue>
FASTNN_INLINE void gemm_tile(const Gemm<T>& g, int64_t i0, int64_t i1, int64_t j0, int64_t j1,
                             const Epilogue& epilogue) {
  gemm_block(g, i0, i1, j0, j1, finish_of<T>(epilogue));
}

template <class T, class Epilogue = Store>
FASTNN_INLINE void gemm_serial(const Gemm<T>& g, const Epilogue& epilogue = {}) {
  gemm_block(g, 0, g.m, 0, g.n, finish_of<T>(epilogue));
}

template <class T, class Epilogue = Store>
FASTNN_INLINE void gemm_with_scratch(const Gemm<T>& g, const Epilogue& epilogue = {}) {
  gemm_packed_once(g, finish_of<T>(epilogue));
}

template <class T, class Epilogue = Store>
FASTNN_INLINE void gemm(const Gemm<T>& g, const Epilogue& epilogue = {}) {
  gemm_shared(g, finish_of<T>(epilogue));
}

}  // namespace fastnn::FASTNN_ISA
