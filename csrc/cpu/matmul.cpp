// Matrix products and what dense layers need beside them. All stand on gemm.h; here are only the
// shapes. Leading axes of x count as rows.
#include "cpu/activate.h"
#include "cpu/types.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {
namespace {

template <class T>
Gemm<T> product_nn(int64_t m, int64_t k, int64_t n, const T* a, const T* b, T* c) {
  // A single column is contiguous either way.
  const Right<T> right = n == 1 ? Right<T>::column_major(b, k) : Right<T>::row_major(b, n);
  return {.m = m, .n = n, .k = k, .a = {.data = a, .ld = k}, .b = right, .c = c, .ldc = n};
}

template <class T>
Gemm<T> product_nt(int64_t m, int64_t k, int64_t n, const T* a, const T* b, T* c) {
  const Right<T> right = Right<T>::column_major(b, k);
  return {.m = m, .n = n, .k = k, .a = {.data = a, .ld = k}, .b = right, .c = c, .ldc = n};
}

// a (m,k), b (m,n), c (k,n).
template <class T>
Gemm<T> product_tn(int64_t m, int64_t k, int64_t n, const T* a, const T* b, T* c) {
  // The gradient of weights to one output: c^T (1,k) = b^T a reads a once and as stored.
  if (n == 1) return product_nn(1, m, k, b, a, c);
  if (k == 1) return product_nn(1, m, n, a, b, c);
  const Left<T> left = {.data = a, .ld = k, .transposed = true};
  return {.m = k, .n = n, .k = m, .a = left, .b = Right<T>::row_major(b, n), .c = c, .ldc = n};
}

// Many products of the same size, one after the other in memory.
template <class T, class Product>
FASTNN_INLINE void batched(int64_t count, Product product) {
  // Small ones are tiles themselves; large ones are shared by the whole team.
  const Gemm<T> first = product(0);
  if (first.m * first.n * (first.k + 16) < int64_t(1) << 22) {
    tiles(count, [&](int64_t s) { gemm_serial(product(s)); });
  } else {
    for (int64_t s = 0; s < count; ++s) gemm(product(s));
  }
}

}  // namespace

void matmul_nn(In a, In b, Out c) noexcept {
  const int64_t m = a.rows(), k = a.cols(), n = b.cols();
  with_float(c.dtype(), [&](auto t) {
    using T = decltype(t);
    gemm(product_nn(m, k, n, a.data<T>(), b.data<T>(), c.data<T>()));
  });
}

void matmul_nt(In a, In b, Out c) noexcept {
  const int64_t m = a.rows(), k = a.cols(), n = b.rows();
  with_float(c.dtype(), [&](auto t) {
    using T = decltype(t);
    gemm(product_nt(m, k, n, a.data<T>(), b.data<T>(), c.data<T>()));
  });
}

void matmul_tn(In a, In b, Out c) noexcept {
  const int64_t m = a.rows(), k = a.cols(), n = b.cols();
  with_float(c.dtype(), [&](auto t) {
    using T = decltype(t);
    gemm(product_tn(m, k, n, a.data<T>(), b.data<T>(), c.data<T>()));
  });
}

void dense(In x, In w, In b, Out y, int64_t activation, double alpha) noexcept {
  const int64_t m = x.rows(), k = x.cols(), n = w.cols();
  if (!known(activation, "activation")) return;
  with_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    Gemm<T> g = product_nn(m, k, n, x.data<T>(), w.data<T>(), y.data<T>());
    if (b) g.add = b.data<T>();
    gemm(g, Activate<T>{(Activation)activation, alpha});
  });
}

void batch_matmul_nn(In a, In b, Out c) noexcept {
  const int64_t m = a.dim(-2), k = a.dim(-1), n = b.dim(-1);
  with_float(c.dtype(), [&](auto t) {
    using T = decltype(t);
    batched<T>(a.product(0, a.rank() - 2), [&](int64_t s) {
      return product_nn(m, k, n, a.data<T>() + s * m * k, b.data<T>() + s * k * n,
                        c.data<T>() + s * m * n);
    });
  });
}

void batch_matmul_nt(In a, In b, Out c) noexcept {
  const int64_t m = a.dim(-2), k = a.dim(-1), n = b.dim(-2);
  with_float(c.dtype(), [&](auto t) {
    using T = decltype(t);
    batched<T>(a.product(0, a.rank() - 2), [&](int64_t s) {
      return product_nt(m, k, n, a.data<T>() + s * m * k, b.data<T>() + s * n * k,
                        c.data<T>() + s * m * n);
    });
  });
}

void batch_matmul_tn(In a, In b, Out c) noexcept {
  const int64_t m = a.dim(-2), k = a.dim(-1), n = b.dim(-1);
  with_float(c.dtype(), [&](auto t) {
    using T = decltype(t);
    batched<T>(a.product(0, a.rank() - 2), [&](int64_t s) {
      return product_tn(m, k, n, a.data<T>() + s * m * k, b.data<T>() + s * m * n,
                        c.data<T>() + s * k * n);
    });
  });
}

// Columns are shared in strips. Within one, chunks of kChunk rows are summed, and the sums of the
// chunks added in pairs, pairs of pairs and so on: the error grows with the logarithm of m, and the
// order is that of m alone. The pairing is a binary counter: sum number c closes one level for
// every trailing 1 bit of c.
void sum_rows(In x, Out y) noexcept {
  const int64_t m = x.rows(), n = x.cols();
  with_float(y.dtype(), [&](auto t) {
    using T = decltype(t);
    using V = Vec<T>;
    constexpr int64_t kChunk = 256;
    constexpr int kVectors = 4, kLevels = 56;
    const T* from = x.data<T>();
    T* to = y.data<T>();
    pieces(n, kVectors * V::size, [&](int64_t begin, int64_t end) {
      V level[kLevels][kVectors];
      auto read = [&](int64_t row, int v) {
        const int64_t j = begin + v * V::size;
        return V::load_n(from + row * n + j, end - j);
      };
      const int64_t chunks = (m + kChunk - 1) / kChunk;
      for (int64_t c = 0; c < chunks; ++c) {
        const int64_t last = (c + 1) * kChunk < m ? (c + 1) * kChunk : m;
        V sum[kVectors];
        for (int v = 0; v < kVectors; ++v) sum[v] = V(T(0));
        for (int64_t row = c * kChunk; row < last; ++row)
          for (int v = 0; v < kVectors; ++v) sum[v] += read(row, v);
        int depth = 0;
        for (int64_t bits = c; bits & 1; bits >>= 1, ++depth)
          for (int v = 0; v < kVectors; ++v) sum[v] = level[depth][v] + sum[v];
        for (int v = 0; v < kVectors; ++v) level[depth][v] = sum[v];
      }
      // What is left are the levels of the 1 bits of `chunks`, the lowest the latest.
      V sum[kVectors];
      for (int v = 0; v < kVectors; ++v) sum[v] = V(T(0));
      for (int depth = 0; depth < kLevels; ++depth)
        if (chunks >> depth & 1)
          for (int v = 0; v < kVectors; ++v) sum[v] = level[depth][v] + sum[v];
      for (int v = 0; v < kVectors; ++v)
        sum[v].store_n(to + begin + v * V::size, end - begin - v * V::size);
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
