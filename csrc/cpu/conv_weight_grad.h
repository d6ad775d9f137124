// The gradient of a convolution's weights: dW[r,s,c,k] = sum over outputs of x[window] dy, one
// product x^T dy per tap or kernel row, over the windows of conv_window.h.
//
// The outputs are cut into chunks by problem size; each chunk's sums are kept apart and added in
// order at the end, so the bits do not depend on who computes which.
#pragma once
#include "cpu/conv_direct.h"
#include "cpu/conv_few.h"

namespace fastnn::FASTNN_ISA {
namespace {

template <class T>
struct WeightGrad {
  const T* x;   // (n, h, w, groups*c)
  const T* dy;  // (n, p, q, groups*k)
  T* dw;        // (r, s, c, groups*k)
  int64_t n, groups, c, k;
  Axis h, w;

  static constexpr int64_t kChannels = 192;  // of x in a tile

  int64_t cols() const { return groups * k; }
  int64_t size() const { return h.taps * w.taps * c * cols(); }

  void run() const {
    if (size() <= 0) return;
    const int64_t lines = n * h.out, outputs = lines * w.out;
    const int64_t room = (int64_t)(team::kSharedBytes / sizeof(T)) / size();
    int64_t chunks = smaller(smaller(ceil_div(outputs, 1024), lines), smaller(room, 32));
    if (chunks < 1) chunks = 1;
    int64_t c_width = ceil_div(c, ceil_div(c, kChannels)), k_width = smaller(k, 512);
    // Splitting c or k further changes no sum, so it may depend on the team.
    const int64_t wanted = team::self().size == 1 ? 1 : 4 * team::self().size;
    auto few = [&] {
      return chunks * groups * ceil_div(c, c_width) * ceil_div(k, k_width) < wanted;
    };
    while (few() && (c_width >= 48 || k_width >= 64)) {
      if (c_width >= 48 && (c_width >= k_width || k_width < 64))
        c_width = ceil_div(ceil_div(c_width, 2), 24) * 24;
      else
        k_width = ceil_div(ceil_div(k_width, 2), kPanel<T>) * kPanel<T>;
    }
    const int64_t c_parts = ceil_div(c, c_width), k_parts = ceil_div(k, k_width);
    T* sums = chunks == 1 ? dw : static_cast<T*>(team::shared_scratch(team::kSharedBytes));
    if (chunks > 1) team::barrier();
    tiles(chunks * groups * c_parts * k_parts, [&](int64_t t) {
      const int64_t chunk = t / (k_parts * c_parts * groups), g = t / (k_parts * c_parts) % groups;
      const int64_t c0 = t / k_parts % c_parts * c_width, k0 = t % k_parts * k_width;
      add_chunk(sums + chunk * size(), lines * chunk / chunks, lines * (chunk + 1) / chunks, g, c0,
                smaller(c_width, c - c0), k0, smaller(k_width, k - k0));
    });
    if (chunks == 1) return;
    team::barrier();
    pieces(size(), 4096, [&](int64_t begin, int64_t end) {
      using V = Vec<T>;
      for (int64_t i = begin; i < end; i += V::size) {
        V sum = V::load_n(sums + i, end - i);
        for (int64_t z = 1; z < chunks; ++z) sum += V::load_n(sums + z * size() + i, end - i);
        sum.store_n(dw + i, end - i);
      }
    });
    team::barrier();
  }

  // to[r, s, c0 .. c0+c_count, g*k+k0 .. +k_count] = sum over lines [begin, end).
  void add_chunk(T* to, int64_t begin, int64_t end, int64_t g, int64_t c0, int64_t c_count,
                 int64_t k0, int64_t k_count) const {
    const Windows<T> v = {x + g * c + c0, n, groups * c, c_count, h, w};
    to += c0 * cols() + g * k + k0;
    const T* from = dy + g * k + k0;
    bool first = true;
    // A few columns beyond whole panels would take a vector of their own in the products.
    const bool has_rest = k > kPanel<T> && k0 + k_count == k && is_few<T>(c, k % kPanel<T>);
    const int64_t rest = has_rest ? k % kPanel<T> : 0;
    auto product = [&](int64_t rows, int64_t count, int64_t columns, int64_t tap) {
      Gemm<T> p;
      p.m = rows;
      p.n = columns;
      p.k = count;
      p.c = to + tap * c * cols();
      p.ldc = cols();
      if (!first) p.add = p.c;
      p.add_ld = cols();
      p.rounds = repays_rounding(w.taps * c);
      return p;
    };
    // Tiles are cut as for a copy of kChannels: where sums are broken off must not hang on how c is
    // split, for that hangs on the team.
    const TileShape shape =
        begin < end && w.out > 0
            ? tile_shape<T>({x, n, c + 1, smaller(c, kChannels), h, w}, 512, kBandTarget)
            : TileShape{0, 0, true};
    if (!shape.possible || shape.cols == 0) {
      zero(to, c_count, k_count);
      if (!shape.possible) {
        first = false;
        add_by_taps(v, from, begin, end, k_count, product);
      }
      return;
    }
    char* scratch = static_cast<char*>(team::local_scratch(kGemmScratch));
    for (int64_t line = begin; line < end; line += shape.lines) {
      if (team::broken_off()) return;
      const int64_t lines = smaller(shape.lines, end - line);
      for (int64_t q = 0; q < w.out; q += shape.cols) {
        const int64_t width = smaller(shape.cols, w.out - q);
        const Band<T> band(v, line, lines, q, width, scratch);
        if (c_count == c && is_short(v)) {
          direct_weight_grad(v, band, lines, width, from + (line * w.out + q) * cols(), cols(),
                             k_count, to, first);
          first = false;
          continue;
        }
        if (is_few<T>(c, k)) {
          few_weight_grad(v, band, lines, width, from + (line * w.out + q) * cols(), cols(),
                          k_count, to, c * cols(), first);
          first = false;
          continue;
        }
        const T* dy_tile = from + (line * w.out + q) * cols();
        const Right<T> right = Right<T>::row_major(dy_tile, cols());
        if (rest > 0) {
          const int64_t whole = k_count - rest;
          few_weight_grad(v, band, lines, width, dy_tile + whole, cols(), rest, to + whole,
                          c * cols(), first);
        }
        // One product a kernel row where its taps are neighbours in x and in dW, else one a tap.
        const bool by_row = band.tap_col == c_count && c_count == c;
        for (int64_t r = 0; r < h.taps; ++r)
          for (int64_t s = 0; s < w.taps; s += by_row ? w.taps : 1) {
            Gemm<T> p = product(by_row ? w.taps * c : c_count, lines * width, k_count - rest,
                                r * w.taps + s);
            p.a = band.rows;
            p.a.transposed = true;
            p.a.data += r * band.tap_row + s * band.tap_col;
            p.b = right;
            gemm_serial(p);
          }
        first = false;
      }
    }
  }

  void zero(T* to, int64_t c_count, int64_t k_count) const {
    for (int64_t tap = 0; tap < h.taps * w.taps; ++tap)
      for (int64_t i = 0; i < c_count; ++i) zero_elements(to + (tap * c + i) * cols(), k_count);
  }

  // Windows too large for the scratch: line by line and tap by tap, straight from x.
  template <class Product>
  void add_by_taps(const Windows<T>& v, const T* from, int64_t begin, int64_t end, int64_t columns,
                   Product product) const {
    for (int64_t line = begin; line < end; ++line) {
      const int64_t image = line / h.out, p = line % h.out;
      const Range rows = h.taps_inside(p);
      for (int64_t r = rows.begin; r < rows.end; ++r)
        for (int64_t s = 0; s < w.taps; ++s) {
          const Range seen = w.outputs_inside(s);
          if (seen.begin >= seen.end) continue;
          Gemm<T> g = product(v.c, seen.size(), columns, r * w.taps + s);
          g.a.data = v.x + ((image * h.in + h.at(p, r)) * w.in + w.at(seen.begin, s)) * v.pitch;
          g.a.ld = w.stride * v.pitch;
          g.a.transposed = true;
          g.b = Right<T>::row_major(from + (line * w.out + seen.begin) * cols(), cols());
          gemm_serial(g);
        }
    }
  }
};

}  // namespace
}  // namespace fastnn::FASTNN_ISA
