// Convolution, and the gradient of its input, as matrix products over windows:
//
//     y[n, p, q, :] = act(b + sum over taps (i,j) of x[n, at(p,i), at(q,j), :] W(i,j))
//
// The gradient of the input is the same sum over dy with W(i,j) transposed: for a stride above 1
// one such sum for each class of inputs that the same taps touch (geometry.h, Phase).
#pragma once
#include "cpu/conv_direct.h"
#include "cpu/conv_few.h"

namespace fastnn::FASTNN_ISA {
namespace {

template <class T>
struct Sums {
  int64_t n, groups;
  const T* x;  // (n, h, w, groups*c)
  int64_t c;
  T* y;  // (n, y_h, y_w, groups*k)
  int64_t y_h, y_w, k;
  const T* w;      // (r, s, c, groups*k), or `transposed` (r, s, k, groups*c)
  int64_t w_cols;  // s
  bool transposed;
  const T* bias;  // (groups*k) or null

  int64_t tap_size() const { return c * groups * k; }
  // W of kernel row r, column s, from output channel j of group g on.
  Right<T> tap(int64_t r, int64_t s, int64_t g, int64_t j) const {
    const T* at = w + (r * w_cols + s) * tap_size();
    if (transposed) return Right<T>::column_major(at + j * groups * c + g * c, groups * c);
    return Right<T>::row_major(at + g * k + j, groups * k);
  }
};

// Those y that one set of taps makes: y[first + o*step] along each axis, tap i of it being kernel
// row tap + i*tap_step.
struct Lattice {
  Axis axis;
  int64_t first, step, tap, tap_step;

  static Lattice forward(const Axis& a) { return {a, 0, 1, 0, 1}; }
  static Lattice backward(const Axis& a, int64_t first) {
    const Phase p = phase_of(a, first);
    return {p.axis, first, a.stride, p.last, -p.step};
  }
};

// Output channels [j, j + k) of groups [g, g + groups), whose weights fit into the shared scratch.
struct Pass {
  int64_t g, groups, j, k;
};

template <class T, class Epilogue>
struct Part {
  const Sums<T>& s;
  Lattice h, w;
  Pass pass;
  const T* packed;  // [group] packed weights of this part, or null
  Epilogue epilogue;

  int64_t depth() const { return h.axis.taps * w.axis.taps * s.c; }
  int64_t packed_elements() const { return packed_size<T>(depth(), pass.k); }

  Windows<T> windows(int64_t g) const {
    return {s.x + (pass.g + g) * s.c, s.n, s.groups * s.c, s.c, h.axis, w.axis};
  }
  Right<T> tap(int64_t i, int64_t j, int64_t g) const {
    return s.tap(h.tap + i * h.tap_step, w.tap + j * w.tap_step, pass.g + g, pass.j);
  }
  T* out(int64_t g, int64_t line, int64_t q) const {
    const int64_t image = line / h.axis.out, p = line % h.axis.out;
    const int64_t row = image * s.y_h + h.first + p * h.step, col = w.first + q * w.step;
    return s.y + (row * s.y_w + col) * s.groups * s.k + (pass.g + g) * s.k + pass.j;
  }
  const T* bias(int64_t g) const { return s.bias ? s.bias + (pass.g + g) * s.k + pass.j : nullptr; }

  // By columns first: where tiles share those out, members have packed most of what they use.
  void pack() const {
    const int64_t taps = h.axis.taps * w.axis.taps, most = 4 * kPanel<T>;  // read at once
    const int64_t half = ceil_div(ceil_div(pass.k, 2), kPanel<T>) * kPanel<T>;
    const int64_t width = smaller(half, most), chunks = ceil_div(pass.k, width);
    tiles(pass.groups * chunks * taps, [&](int64_t t) {
      const int64_t g = t / (taps * chunks), column = t / taps % chunks * width, i = t % taps;
      const Right<T> from = tap(i / w.axis.taps, i % w.axis.taps, g).at(0, column);
      pack_right(const_cast<T*>(packed) + g * packed_elements(), depth(), pass.k, from, i * s.c,
                 s.c, column, smaller(width, pass.k - column));
    });
  }

  // Tiles of outputs: lines of a group, or pieces of lines, or of those some columns of W.
  void run() const {
    const Windows<T> v = windows(0);
    if (v.lines() <= 0 || v.w.out <= 0 || pass.k <= 0) return;
    if (const int64_t most = pass.k == s.k ? few_lines(v, s.k) : 0; most > 0) {
      run_few(v, most);
      return;
    }
    const bool small = depth() * pass.k * (int64_t)sizeof(T) <= (int64_t)kSmallWeights;
    TileShape shape = tile_shape(v, 256, small ? kBandTarget : kBandBytes);
    // Without packing, the taps of a transposed W are not one matrix.
    if (!packed && s.transposed && h.axis.taps * w.axis.taps > 1) shape.possible = false;
    const Parts parts = cut(v, shape);
    tiles(pass.groups * parts.count(), [&](int64_t t) {
      if (team::broken_off()) return;
      const int64_t g = t / parts.count(), down = t / (parts.wide * parts.across) % parts.down;
      const Range lines = nth_part(v.lines(), parts.down, down);
      const Range cols = nth_part(v.w.out, parts.across, t / parts.wide % parts.across);
      const int64_t j = t % parts.wide * parts.width, end = smaller(j + parts.width, pass.k);
      if (shape.possible)
        tile(g, lines.begin, lines.size(), cols.begin, cols.size(), j, end);
      else
        for (int64_t l = lines.begin; l < lines.end; ++l)
          tile_by_taps(g, l, cols.begin, cols.size(), j, end);
    });
  }

  // How many tiles: down the lines, across a line, and wide over the columns of W.
  struct Parts {
    int64_t down, across, wide, width;
    int64_t count() const { return down * across * wide; }
  };

  // Tiles as large as they can be, for each packs or reads what it needs of x and W; and where they
  // are few, so many that the members are done at the same time.
  Parts cut(const Windows<T>& v, const TileShape& most) const {
    const int64_t size = team::self().size, lines = v.lines(), widest = smaller(pass.k, kBlockN<T>);
    Parts best = {ceil_div(lines, most.lines), ceil_div(v.w.out, most.cols),
                  ceil_div(pass.k, widest), widest};
    if (size == 1 || pass.groups * best.count() >= 8 * size) return best;
    // What a tile costs beside its outputs, in rows and columns of them.
    constexpr int64_t kRowsBeside = 8, kColumnsBeside = 8, kLeastRows = 16;
    int64_t least = kWhole;
    const Parts fewest = best;
    const int64_t first = fewest.down * fewest.across;
    for (int64_t width = widest;; width = ceil_div(ceil_div(width, 2), kPanel<T>) * kPanel<T>) {
      // More lines first; a line is only cut where it is a tile.
      for (int64_t n = first; n <= first + 8 * size; ++n) {
        const int64_t down = smaller(n, lines), across = larger(fewest.across, n / down);
        const int64_t rows = ceil_div(lines, down) * ceil_div(v.w.out, across);
        if (across > v.w.out || (n > first && rows < kLeastRows)) break;
        const Parts parts = {down, across, ceil_div(pass.k, width), width};
        const int64_t cost = ceil_div(pass.groups * parts.count(), size) * (rows + kRowsBeside) *
                             (width + kColumnsBeside);
        if (cost < least) least = cost, best = parts;
      }
      if (width <= kPanel<T>) return best;
    }
  }

  void run_few(const Windows<T>& v, int64_t most) const {
    // A part computes again what the windows of its neighbours see, too; members shall be done at
    // the same time nevertheless.
    const int64_t size = team::self().size, images = v.n * pass.groups;
    const int64_t fewest = ceil_div(v.h.out, most), again = v.h.extent() - 1;
    int64_t parts = fewest, least = kWhole;
    for (int64_t n = fewest; n <= smaller(fewest + 4 * size, v.h.out); ++n) {
      const int64_t cost = ceil_div(images * n, size) * (ceil_div(v.h.out, n) + again);
      if (cost < least) least = cost, parts = n;
    }
    tiles(pass.groups * v.n * parts, [&](int64_t t) {
      if (team::broken_off()) return;
      const int64_t g = t / (v.n * parts), image = t / parts % v.n;
      const Range lines = nth_part(v.h.out, parts, t % parts);
      few_outputs(
          windows(g), s.k, image, lines.begin, lines.size(), bias(g),
          [&](int64_t i, int64_t j) { return tap(i, j, g); },
          [&](int64_t p) { return out(g, image * v.h.out + p, 0); }, w.step * s.groups * s.k,
          epilogue);
    });
  }

  void tile(int64_t g, int64_t line, int64_t lines, int64_t q, int64_t cols, int64_t j0,
            int64_t j1) const {
    char* scratch = static_cast<char*>(team::local_scratch(kGemmScratch));
    Gemm<T> product;
    product.m = lines * cols;
    product.n = pass.k;
    product.k = depth();
    const bool apart = h.step != 1 || w.step != 1;
    if (product.k > 0) {
      const Windows<T> v = windows(g);
      Band<T> band(v, line, lines, q, cols, scratch);
      if (packed && !apart && is_short(v) && !packs_words<T>(depth())) {
        direct_tile(v, band, lines, cols, packed + g * packed_elements(), bias(g), out(g, line, q),
                    s.groups * s.k, j0, j1, epilogue);
        return;
      }
      band.whole_windows(v, scratch);
      product.a = band.rows;
    }
    product.b = packed ? Right<T>::packed(packed + g * packed_elements()) : tap(0, 0, g);
    product.add = bias(g);
    if (!apart) {
      product.c = out(g, line, q);
      product.ldc = s.groups * s.k;
      gemm_tile(product, 0, product.m, j0, j1, epilogue);
      return;
    }
    // Neighbours in y belong to other parts: the tile is computed apart and then dealt out.
    const int64_t width = j1 - j0;
    T* dealt = reinterpret_cast<T*>(scratch + kTableBytes + kBandBytes);
    product.c = dealt - j0;
    product.ldc = width;
    gemm_tile(product, 0, product.m, j0, j1, epilogue);
    for (int64_t l = 0; l < lines; ++l) {
      T* to = out(g, line + l, q) + j0;
      for (int64_t i = 0; i < cols; ++i)
        copy_elements(to + i * w.step * s.groups * s.k, dealt + (l * cols + i) * width, width);
    }
  }

  // Windows too large for the scratch: tap after tap, straight from x, added up in y.
  void tile_by_taps(int64_t g, int64_t line, int64_t q, int64_t cols, int64_t j0,
                    int64_t j1) const {
    const Windows<T> v = windows(g);
    const int64_t image = line / v.h.out, p = line % v.h.out, step = w.step * s.groups * s.k;
    const T* b = bias(g);
    for (int64_t i = 0; i < cols; ++i) {
      T* to = out(g, line, q + i);
      if (b)
        copy_elements(to + j0, b + j0, j1 - j0);
      else
        zero_elements(to + j0, j1 - j0);
    }
    const Range rows = v.h.taps_inside(p);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const T* row = v.x + (image * v.h.in + v.h.at(p, r)) * v.w.in * v.pitch;
      for (int64_t t = 0; t < v.w.taps; ++t) {
        const Range seen = v.w.outputs_inside(t);
        const int64_t begin = larger(seen.begin, q), end = smaller(seen.end, q + cols);
        if (begin >= end) continue;
        Gemm<T> product;
        product.m = end - begin;
        product.n = pass.k;
        product.k = s.c;
        product.a.data = row + v.w.at(begin, t) * v.pitch;
        product.a.ld = v.w.stride * v.pitch;
        product.b = tap(r, t, g);
        product.c = out(g, line, begin);
        product.ldc = step;
        product.add = product.c;
        product.add_ld = step;
        gemm_tile(product, 0, product.m, j0, j1, Store{});
      }
    }
    for (int64_t i = 0; i < cols; ++i) epilogue(out(g, line, q + i) + j0, i, j0, j1 - j0);
  }
};

// All parts: h_parts x w_parts lattices, given by lattice_h(i) and lattice_w(j).
template <class T, class LatticeH, class LatticeW, class Epilogue>
void run_sums(const Sums<T>& s, int64_t h_parts, LatticeH lattice_h, int64_t w_parts,
              LatticeW lattice_w, int64_t taps, Epilogue epilogue) {
  if (s.n <= 0 || s.k <= 0) return;
  const Axis h = lattice_h(0).axis, w = lattice_w(0).axis;
  const bool short_windows = is_short(Windows<T>{s.x, s.n, s.groups * s.c, s.c, h, w});
  // Outputs too few to repay packing read W as it is; so do weights beyond any scratch, and some
  // thousands of outputs where the rows of W lie close together: packing saves little then, and
  // what one member has packed has to come from its cache to the others'.
  constexpr int64_t kFewPixels = 4096;
  const int64_t pixels = s.n * s.y_h * s.y_w, depth = taps * s.c;
  const int64_t room = (int64_t)(team::kSharedBytes / sizeof(T));
  const bool close = s.groups * s.k <= kCloseRows<T> && pixels <= kFewPixels && !short_windows &&
                     !packs_words<T>(depth);
  const bool pack =
      depth > 0 && depth <= room / kPanel<T> && (s.transposed || (pixels > kDirectRows && !close));
  Pass size = {0, s.groups, 0, s.k};
  if (pack) {
    const int64_t columns = room / depth / kPanel<T> * kPanel<T>;
    size.k = smaller(s.k, columns);
    size.groups = smaller(larger(columns / padded_columns<T>(size.k), 1), s.groups);
  }
  T* shared = static_cast<T*>(team::shared_scratch(team::kSharedBytes));
  for (int64_t g = 0; g < s.groups; g += size.groups)
    for (int64_t j = 0; j < s.k; j += size.k) {
      const Pass pass = {g, smaller(size.groups, s.groups - g), j, smaller(size.k, s.k - j)};
      auto each_part = [&](auto f) {
        T* packed = shared;
        for (int64_t a = 0; a < h_parts; ++a)
          for (int64_t b = 0; b < w_parts; ++b) {
            Part<T, Epilogue> part{
                s, lattice_h(a), lattice_w(b), pass, pack ? packed : nullptr, epilogue};
            packed += part.packed_elements() * pass.groups;
            f(part);
          }
      };
      if (pack) {
        team::barrier();
        each_part([](const Part<T, Epilogue>& part) { part.pack(); });
        team::barrier();
      }
      each_part([](const Part<T, Epilogue>& part) { part.run(); });
    }
  if (pack) team::barrier();
}

}  // namespace
}  // namespace fastnn::FASTNN_ISA
