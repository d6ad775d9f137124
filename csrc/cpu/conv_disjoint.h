// The gradient of a convolution's input, and the transposed convolution, where windows do not
// overlap: the stride is at least the window. Every input is touched by one output or by none, so
// a single product gives all of them,
//     dx[n, p*stride - pad + i, q*stride - pad + j, :] = b + dy[n, p, q, :] W(i,j)^T,
// W (r, s, c, k) being, for each kernel row, a (k, s*c) matrix whose columns are contiguous.
#pragma once
#include "cpu/conv_window.h"

namespace fastnn::FASTNN_ISA {
namespace {

template <class T, class Epilogue>
struct DisjointWindows {
  int64_t n, c, k;
  Axis h, w;
  const T* dy;       // (n, h.out, w.out, k)
  const T* weights;  // (h.taps, w.taps, c, k)
  const T* bias;     // (c) or null
  T* dx;             // (n, h.in, w.in, c)
  Epilogue epilogue;

  int64_t width() const { return w.taps * c; }
  int64_t packed_elements() const { return packed_size<T>(k, width()); }
  // Outputs whose products of one kernel row fit into the scratch.
  int64_t room() const { return (int64_t)(kGemmScratch / sizeof(T)) / (width() + 1) - 1; }

  bool fits() const {
    auto disjoint = [](const Axis& a) {
      return a.dilation == 1 && a.taps >= 1 && a.taps <= a.stride && a.out > 0;
    };
    return disjoint(h) && disjoint(w) && n > 0 && c > 0 && k > 0 &&
           k <= (int64_t)team::kSharedBytes &&
           width() <= (int64_t)(kGemmScratch / sizeof(T)) / 64 && w.out <= room() &&
           packed_elements() <= (int64_t)(team::kSharedBytes / sizeof(T)) / h.taps;
  }

  void run() const {
    T* packed = static_cast<T*>(team::shared_scratch(team::kSharedBytes));
    team::barrier();
    const int64_t panels = ceil_div(width(), kPanel<T>);
    tiles(h.taps * panels, [&](int64_t t) {
      const int64_t r = t / panels, j = t % panels * kPanel<T>;
      pack_right(packed + r * packed_elements(), k, width(),
                 Right<T>::column_major(weights + (r * width() + j) * k, k), 0, k, j,
                 smaller(kPanel<T>, width() - j));
    });
    team::barrier();
    const int64_t lines = n * h.out, most = larger(smaller(256, room()) / w.out, 1);
    pieces(lines, larger(smaller(most, lines / (4 * team::self().size)), 1),
           [&](int64_t begin, int64_t end) { tile(packed, begin, end); });
    team::barrier();
  }

  // The rows of dx from the first that line `begin` touches to the first of line `end`.
  void tile(const T* packed, int64_t begin, int64_t end) const {
    T* add = static_cast<T*>(team::local_scratch(kGemmScratch));
    for (int64_t j = 0; j < w.taps; ++j)
      if (bias)
        copy_elements(add + j * c, bias, c);
      else
        zero_elements(add + j * c, c);
    T* products = add + width();
    for (int64_t r = 0; r < h.taps; ++r) {
      Gemm<T> g;
      g.m = (end - begin) * w.out;
      g.n = width();
      g.k = k;
      g.a = {.data = dy + begin * w.out * k, .ld = k};
      g.b = Right<T>::packed(packed + r * packed_elements());
      g.c = products;
      g.ldc = width();
      g.add = add;
      gemm_serial(g);
      for (int64_t line = begin; line < end; ++line) {
        const int64_t row = h.at(line % h.out, r);
        if (row >= 0 && row < h.in)
          input_row(line / h.out, row, products + (line - begin) * w.out * width(), add);
      }
    }
    for (int64_t line = begin; line < end; ++line) {
      const int64_t image = line / h.out, p = line % h.out, row = h.at(p, 0);
      if (p == 0) untouched(image, 0, smaller(row, h.in), add);
      untouched(image, larger(row + h.taps, 0),
                p == h.out - 1 ? h.in : smaller(row + h.stride, h.in), add);
    }
  }

  // Rows [begin, end) of dx, which no window sees.
  void untouched(int64_t image, int64_t begin, int64_t end, const T* add) const {
    for (int64_t row = begin; row < end; ++row) input_row(image, row, nullptr, add);
  }

  // One row of dx from the products of a line, or of the bias alone.
  void input_row(int64_t image, int64_t row, const T* products, const T* add) const {
    T* to = dx + (image * h.in + row) * w.in * c;
    auto fill = [&](int64_t begin, int64_t end) {
      for (; begin < end; begin += w.taps)
        copy_elements(to + begin * c, add, smaller(w.taps, end - begin) * c);
    };
    auto deal = [&](int64_t at, int64_t columns) {  // which may lie beyond the edges in part
      const int64_t begin = larger(at, 0), end = smaller(at + columns, w.in);
      if (begin < end)
        copy_elements(to + begin * c, products + (begin - at) * c, (end - begin) * c);
      products += columns * c;
    };
    if (!products) {
      fill(0, w.in);
    } else if (w.taps == w.stride) {  // windows lie side by side
      fill(0, smaller(w.at(0, 0), w.in));
      fill(larger(w.at(w.out, 0), 0), w.in);
      deal(w.at(0, 0), w.out * w.taps);
    } else {
      fill(0, w.in);
      for (int64_t q = 0; q < w.out; ++q) deal(w.at(q, 0), w.taps);
    }
    epilogue(to, row, 0, w.in * c);
  }
};

}  // namespace
}  // namespace fastnn::FASTNN_ISA
