// Windows of 3 x 3 with stride 1 in 16 products for 4 outputs instead of 36: F(2 x 2, 3 x 3) of
// Lavin & Gray 2016, "Fast algorithms for convolutional neural networks". Along one axis two
// outputs y and three weights g over four inputs d satisfy
//     sum over i, k of y_i d_(i+k) g_k = sum over m of (A y)_m (B^T d)_m (G g)_m,
//            [1  0 -1  0]          [1  0]          [ 1   0   0 ]
//      B^T = [0  1  1  0]      A = [1  1]      G = [1/2  1/2 1/2]
//            [0 -1  1  0]          [1 -1]          [1/2 -1/2 1/2]
//            [0  1  0 -1]          [0 -1]          [ 0   0   1 ]
// and whichever of the three is wanted is the gradient by the one that stands in its place:
//     y = A^T ((G g) (B^T d))      dW = G^T ((A dy) (B^T d))
// the gradient of the input being a y again. In two dimensions m runs over 4 x 4 places. At each
// the sums over channels, or over all tiles of an image for dW, are a matrix product.
//
// The constants are powers of two, so what is lost are the roundings of four more additions for
// each number: errors of about twice those of the plain sums.
#pragma once
#include "cpu/conv_gemm.h"
#include "cpu/types.h"

namespace fastnn::FASTNN_ISA {
namespace {

constexpr int kPlaces = 16;
constexpr int64_t kTilesOfBlock = 48;

// ---- the three transforms, in one dimension and in two -----------------------------------------

template <class V>
FASTNN_INLINE void input_transform(V& a, V& b, V& c, V& d) {  // B^T
  const V first = a - c, second = b + c, third = c - b, fourth = b - d;
  a = first, b = second, c = third, d = fourth;
}
template <class V>
FASTNN_INLINE void input_transform(V (&d)[4][4]) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) input_transform(d[i][0], d[i][1], d[i][2], d[i][3]);
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) input_transform(d[0][j], d[1][j], d[2][j], d[3][j]);
}

template <class V>
FASTNN_INLINE void output_transform(const V (&m)[4][4], V (&y)[2][2]) {  // A^T
  V t[2][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    t[0][j] = m[0][j] + m[1][j] + m[2][j];
    t[1][j] = m[1][j] - m[2][j] - m[3][j];
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    y[i][0] = t[i][0] + t[i][1] + t[i][2];
    y[i][1] = t[i][1] - t[i][2] - t[i][3];
  }
}

template <class V>
FASTNN_INLINE void gradient_transform(const V (&y)[2][2], V (&m)[4][4]) {  // A
  V t[4][2];
#pragma GCC unroll 2
  for (int j = 0; j < 2; ++j) {
    t[0][j] = y[0][j];
    t[1][j] = y[0][j] + y[1][j];
    t[2][j] = y[0][j] - y[1][j];
    t[3][j] = -y[1][j];
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    m[i][0] = t[i][0];
    m[i][1] = t[i][0] + t[i][1];
    m[i][2] = t[i][0] - t[i][1];
    m[i][3] = -t[i][1];
  }
}

template <class V>
FASTNN_INLINE void weight_transform(const V (&g)[3][3], V (&u)[4][4]) {  // G
  const V half(0.5f);
  V t[4][3];
#pragma GCC unroll 3
  for (int j = 0; j < 3; ++j) {
    const V even = (g[0][j] + g[2][j]) * half, odd = g[1][j] * half;
    t[0][j] = g[0][j], t[1][j] = even + odd, t[2][j] = even - odd, t[3][j] = g[2][j];
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const V even = (t[i][0] + t[i][2]) * half, odd = t[i][1] * half;
    u[i][0] = t[i][0], u[i][1] = even + odd, u[i][2] = even - odd, u[i][3] = t[i][2];
  }
}

template <class V>
FASTNN_INLINE void weight_gradient_transform(const V (&m)[4][4], V (&g)[3][3]) {  // G^T
  const V half(0.5f);
  V t[3][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const V even = (m[1][j] + m[2][j]) * half;
    t[0][j] = m[0][j] + even, t[1][j] = (m[1][j] - m[2][j]) * half, t[2][j] = even + m[3][j];
  }
#pragma GCC unroll 3
  for (int i = 0; i < 3; ++i) {
    const V even = (t[i][1] + t[i][2]) * half;
    g[i][0] = t[i][0] + even, g[i][1] = (t[i][1] - t[i][2]) * half, g[i][2] = even + t[i][3];
  }
}

// ---- tiles
// ----------------------------------------------------------------------------------------

// The 2 x 2 tiles that cover the outputs (n, h.out, w.out), and where they look.
struct Quads {
  int64_t n;
  Axis h, w;

  int64_t down() const { return ceil_div(h.out, 2); }
  int64_t across() const { return ceil_div(w.out, 2); }
  int64_t count() const { return n * down() * across(); }
  static bool fit(const Axis& a) { return a.taps == 3 && a.stride == 1 && a.dilation == 1; }

  // Whether transforms and the tiles that reach beyond the edge cost less than they save, in
  // multiplications: what a transform takes for a vector is like that many of them.
  bool pay(int64_t c, int64_t k) const {
    if (team::self().precision == team::Precision::float32_strict) return false;
    if (!fit(h) || !fit(w) || c < 8 || k < 8) return false;
    const double plain = 9.0 * n * h.out * w.out * c * k, weights = 600.0 * c * k;
    return 1.1 * (count() * (18.0 * c * k + 70.0 * c + 60.0 * k) + weights) < plain;
  }
};

struct Quad {
  int64_t image, p, q;  // of the first output
  FASTNN_INLINE Quad(const Quads& s, int64_t t)
      : image(t / (s.down() * s.across())),
        p(t / s.across() % s.down() * 2),
        q(t % s.across() * 2) {}
};

// Elements between two places of `tiles` x c numbers, not a multiple of 4 KB apart.
FASTNN_INLINE int64_t place_step(int64_t tiles, int64_t c) { return tiles * c + 16; }

// B^T d B of tiles [begin, end): to[place*step + tile*c + channel]. x (n, h.in, w.in, c).
FASTNN_OUTLINE void transform_inputs(const Quads& s, const float* x, int64_t c, int64_t begin,
                                     int64_t end, float* to, int64_t step) {
  using V = Vec<float>;
  for (int64_t t = begin; t < end; ++t, to += c) {
    const Quad tile(s, t);
    const int64_t top = s.h.at(tile.p, 0), left = s.w.at(tile.q, 0);
    const bool inside = top >= 0 && top + 4 <= s.h.in && left >= 0 && left + 4 <= s.w.in;
    const float* from = x + ((tile.image * s.h.in + top) * s.w.in + left) * c;
    const auto transform = [&](int64_t k, auto load, auto store) __attribute__((always_inline)) {
      V d[4][4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) d[i][j] = load(i, j, from + (i * s.w.in + j) * c + k);
      input_transform(d);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) store(d[i][j], to + (i * 4 + j) * step + k);
    };
    int64_t k = 0;
    if (inside)
      for (; k + V::size <= c; k += V::size)
        transform(
            k, [](int, int, const float* at) { return V::load(at); },
            [](V d, float* at) { d.store(at); });
    for (; k < c; k += V::size)
      transform(
          k,
          [&](int i, int j, const float* at) {
            const bool seen =
                top + i >= 0 && top + i < s.h.in && left + j >= 0 && left + j < s.w.in;
            return seen ? V::load_n(at, c - k) : V(0.0f);
          },
          [&](V d, float* at) { d.store_n(at, c - k); });
  }
}

// A dy A^T of tiles [begin, end), in the same order. dy (n, h.out, w.out, k).
FASTNN_OUTLINE void transform_gradients(const Quads& s, const float* dy, int64_t k, int64_t begin,
                                        int64_t end, float* to, int64_t step) {
  using V = Vec<float>;
  for (int64_t t = begin; t < end; ++t, to += k) {
    const Quad tile(s, t);
    const float* from = dy + ((tile.image * s.h.out + tile.p) * s.w.out + tile.q) * k;
    for (int64_t j = 0; j < k; j += V::size) {
      V y[2][2], m[4][4];
#pragma GCC unroll 2
      for (int a = 0; a < 2; ++a)
#pragma GCC unroll 2
        for (int b = 0; b < 2; ++b)
          y[a][b] = tile.p + a < s.h.out && tile.q + b < s.w.out
                        ? V::load_n(from + (a * s.w.out + b) * k + j, k - j)
                        : V(0.0f);
      gradient_transform(y, m);
#pragma GCC unroll 4
      for (int a = 0; a < 4; ++a)
#pragma GCC unroll 4
        for (int b = 0; b < 4; ++b) m[a][b].store_n(to + (a * 4 + b) * step + j, k - j);
    }
  }
}

// ---- y, and dx
// ------------------------------------------------------------------------------------

template <class Epilogue>
struct WinogradSums {
  const Sums<float>& s;
  Lattice h, w;
  Epilogue epilogue;

  static constexpr int64_t kWidth = 2 * kPanel<float>;  // columns of the products at a time

  Quads quads() const { return {s.n, h.axis, w.axis}; }
  int64_t packed_elements() const { return packed_size<float>(s.c, s.k); }
  // A block holds the inputs of its tiles and the products of kWidth columns.
  int64_t block() const {
    const int64_t room = (int64_t)(kGemmScratch / sizeof(float)) / kPlaces - 32;
    return smaller(kTilesOfBlock, room / (s.c + kWidth));
  }
  bool pays() const {
    return s.groups == 1 && h.step == 1 && w.step == 1 && quads().pay(s.c, s.k) &&
           s.c <= (int64_t)(kGemmScratch / sizeof(float)) / (kPlaces * kPanel<float>) &&
           block() >= 2 * kRows &&
           kPlaces * packed_elements() * sizeof(float) <= team::kSharedBytes;
  }

  void run() const {
    float* packed = static_cast<float*>(team::shared_scratch(team::kSharedBytes));
    team::barrier();
    pieces(s.k, kPanel<float>,
           [&](int64_t begin, int64_t end) { pack_weights(packed, begin, end - begin); });
    team::barrier();
    const int64_t tiles_ = quads().count(), least = 2 * kRows;
    int64_t count = ceil_div(tiles_, block());
    const int64_t wanted = team::self().size == 1 ? 1 : 4 * team::self().size;
    if (count < wanted) count = larger(count, smaller(wanted, tiles_ / least));
    tiles(count, [&](int64_t b) {
      if (team::broken_off()) return;
      outputs(packed, tiles_ * b / count, tiles_ * (b + 1) / count);
    });
    team::barrier();
  }

  // Columns [j, j + count) of G g G^T, packed. The lanes run along whichever axis of W is
  // contiguous.
  void pack_weights(float* packed, int64_t j, int64_t count) const {
    using V = Vec<float>;
    float* buffer = static_cast<float*>(team::local_scratch(kGemmScratch));
    const int64_t rows = s.transposed ? count : s.c, lanes = s.transposed ? s.c : count;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t l = 0; l < lanes; l += V::size) {
        V g[3][3], u[4][4];
#pragma GCC unroll 3
        for (int a = 0; a < 3; ++a)
#pragma GCC unroll 3
          for (int b = 0; b < 3; ++b) {
            const Right<float> tap = s.tap(h.tap + a * h.tap_step, w.tap + b * w.tap_step, 0, j);
            g[a][b] = V::load_n(tap.data + r * tap.ld + l, lanes - l);
          }
        weight_transform(g, u);
#pragma GCC unroll 4
        for (int a = 0; a < 4; ++a)
#pragma GCC unroll 4
          for (int b = 0; b < 4; ++b)
            u[a][b].store_n(buffer + ((a * 4 + b) * rows + r) * lanes + l, lanes - l);
      }
    for (int m = 0; m < kPlaces; ++m) {
      const float* from = buffer + m * rows * lanes;
      const Right<float> u = s.transposed ? Right<float>::column_major(from, lanes)
                                          : Right<float>::row_major(from, lanes);
      pack_right(packed + m * packed_elements(), s.c, s.k, u, 0, s.c, j, count);
    }
  }

  // A vector of channels of the outputs of one tile, of whose products the places lie `step` apart.
  template <class Load, class Store>
  FASTNN_INLINE void output(const float* products, int64_t step, const float* bias, float* y,
                            bool below, bool right, Load load, Store store) const {
    using V = Vec<float>;
    V m[4][4], out[2][2];
#pragma GCC unroll 4
    for (int a = 0; a < 4; ++a)
#pragma GCC unroll 4
      for (int b = 0; b < 4; ++b) m[a][b] = load(products + (a * 4 + b) * step);
    output_transform(m, out);
    const V add = bias ? load(bias) : V(0.0f);
    store(epilogue.at_once(out[0][0] + add), y);
    if (right) store(epilogue.at_once(out[0][1] + add), y + s.k);
    y += s.y_w * s.k;
    if (below) store(epilogue.at_once(out[1][0] + add), y);
    if (below && right) store(epilogue.at_once(out[1][1] + add), y + s.k);
  }

  // The outputs of tiles [begin, end).
  void outputs(const float* packed, int64_t begin, int64_t end) const {
    using V = Vec<float>;
    const Quads q = quads();
    const int64_t count = end - begin, step = place_step(count, s.c);
    float* inputs = static_cast<float*>(team::local_scratch(kGemmScratch));
    float* products = inputs + kPlaces * step;
    transform_inputs(q, s.x, s.c, begin, end, inputs, step);
    for (int64_t j = 0; j < s.k; j += kWidth) {
      const int64_t width = smaller(kWidth, s.k - j), to = place_step(count, width);
      for (int m = 0; m < kPlaces; ++m) {
        Gemm<float> g;
        g.m = count;
        g.n = s.k;
        g.k = s.c;
        g.a = {.data = inputs + m * step, .ld = s.c};
        g.b = Right<float>::packed(packed + m * packed_elements());
        g.c = products + m * to - j;
        g.ldc = width;
        gemm_tile(g, 0, count, j, j + width, Store{});
      }
      for (int64_t t = 0; t < count; ++t) {
        const Quad tile(q, begin + t);
        float* y = s.y + ((tile.image * s.y_h + tile.p) * s.y_w + tile.q) * s.k + j;
        const bool below = tile.p + 1 < q.h.out, right = tile.q + 1 < q.w.out;
        const float* from = products + t * width;
        const auto at = [&](int64_t i, auto load, auto store) {
          output(from + i, to, s.bias ? s.bias + j + i : nullptr, y + i, below, right, load, store);
        };
        int64_t i = 0;
        for (; i + V::size <= width; i += V::size)
          at(i, [](const float* p) { return V::load(p); }, [](V out, float* p) { out.store(p); });
        if (i < width)
          at(
              i, [&](const float* p) { return V::load_n(p, width - i); },
              [&](V out, float* p) { out.store_n(p, width - i); });
        if (!epilogue.is_at_once())
          for (int a = 0; a <= below; ++a)
            for (int b = 0; b <= right; ++b) epilogue(y + (a * s.y_w + b) * s.k, 0, j, width);
      }
    }
  }
};

// ---- dW
// -------------------------------------------------------------------------------------------

struct WinogradWeightGrad {
  const float* x;   // (n, h, w, c)
  const float* dy;  // (n, p, q, k)
  float* dw;        // (3, 3, c, k)
  Quads quads;
  int64_t c, k;

  static constexpr int64_t kTilesOfChunk = 192, kMaxChunks = 16;

  int64_t size() const { return kPlaces * c * k; }
  int64_t chunks() const {
    const int64_t room = (int64_t)(team::kSharedBytes / sizeof(float)) / size();
    return smaller(smaller(ceil_div(quads.count(), 2 * kTilesOfChunk) * 2, kMaxChunks), room);
  }
  int64_t block() const {
    const int64_t room = (int64_t)(kGemmScratch / sizeof(float)) / kPlaces - 32;
    return smaller(2 * kTilesOfBlock, room / (c + k));
  }
  bool pays() const { return quads.pay(c, k) && block() >= 32 && chunks() >= 4; }

  void run() const {
    float* sums = static_cast<float*>(team::shared_scratch(team::kSharedBytes));
    const int64_t count = chunks(), all = quads.count();
    team::barrier();
    tiles(count,
          [&](int64_t i) { add_chunk(sums + i * size(), all * i / count, all * (i + 1) / count); });
    team::barrier();
    using V = Vec<float>;
    pieces(c * k, 8 * V::size, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += V::size) {
        V m[4][4], g[3][3];
#pragma GCC unroll 4
        for (int a = 0; a < 4; ++a)
#pragma GCC unroll 4
          for (int b = 0; b < 4; ++b) {
            const float* from = sums + (a * 4 + b) * c * k + i;
            m[a][b] = V::load_n(from, end - i);
            for (int64_t z = 1; z < count; ++z) m[a][b] += V::load_n(from + z * size(), end - i);
          }
        weight_gradient_transform(m, g);
#pragma GCC unroll 3
        for (int a = 0; a < 3; ++a)
#pragma GCC unroll 3
          for (int b = 0; b < 3; ++b) g[a][b].store_n(dw + (a * 3 + b) * c * k + i, end - i);
      }
    });
    team::barrier();
  }

  void add_chunk(float* sums, int64_t begin, int64_t end) const {
    float* inputs = static_cast<float*>(team::local_scratch(kGemmScratch));
    for (int64_t t = begin; t < end; t += block()) {
      if (team::broken_off()) return;
      const int64_t count = smaller(block(), end - t);
      const int64_t x_step = place_step(count, c), dy_step = place_step(count, k);
      float* gradients = inputs + kPlaces * x_step;
      transform_inputs(quads, x, c, t, t + count, inputs, x_step);
      transform_gradients(quads, dy, k, t, t + count, gradients, dy_step);
      for (int m = 0; m < kPlaces; ++m) {
        Gemm<float> g;
        g.m = c;
        g.n = k;
        g.k = count;
        g.a = {.data = inputs + m * x_step, .ld = c, .transposed = true};
        g.b = Right<float>::row_major(gradients + m * dy_step, k);
        g.c = sums + m * c * k;
        g.ldc = g.add_ld = k;
        if (t > begin) g.add = g.c;
        gemm_serial(g);
      }
    }
  }
};

}  // namespace
}  // namespace fastnn::FASTNN_ISA
