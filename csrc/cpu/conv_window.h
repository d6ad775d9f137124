// The windows of a convolution laid out for gemm.h: which input a tile of outputs needs, copied
// with its padding into scratch (or left where it is, where nothing is padded), and the tables that
// let the rows of a matrix product step over it. In NHWC the s*c inputs of one kernel row are
// contiguous, so overlapping rows replace im2col: Georganas et al. 2018, "Anatomy of
// high-performance deep learning convolutions on SIMD architectures"; Dukhan 2019, "The indirect
// convolution algorithm".
#pragma once
#include "cpu/gemm.h"
#include "geometry.h"

namespace fastnn::FASTNN_ISA {
namespace {

// Images x (n, h.in, w.in, pitch), of whose channels the c from `x` on are looked at.
template <class T>
struct Windows {
  const T* x;
  int64_t n, pitch, c;
  Axis h, w;

  int64_t lines() const { return n * h.out; }  // rows of outputs, over all images
  // Nothing to copy: no window looks outside, and the channels are all there are.
  bool in_place() const { return pitch == c && h.no_padding() && w.no_padding(); }
};

// The i-th of so many parts of [0, n), which differ by one at most.
FASTNN_INLINE Range nth_part(int64_t n, int64_t parts, int64_t i) {
  return {n * i / parts, n * (i + 1) / parts};
}

// How the inputs of consecutive outputs lie along one axis of the scratch. Windows that do not
// overlap are packed, so that a long stride copies only what is used.
struct Spacing {
  int64_t taps, stride, dilation;
  bool packed;

  explicit Spacing(const Axis& a) {
    taps = a.taps;
    packed = a.stride >= a.extent();
    stride = packed ? a.taps : a.stride;
    dilation = packed ? 1 : a.dilation;
  }
  int64_t length(int64_t outputs) const {
    return (outputs - 1) * stride + (taps - 1) * dilation + 1;
  }
  // The input that belongs in place i when the first output is o.
  int64_t source(const Axis& a, int64_t o, int64_t i) const {
    return packed ? a.at(o + i / taps, i % taps) : a.at(o, 0) + i;
  }
};

inline constexpr int64_t kMaxLines = 256;  // lines of outputs in a tile
inline constexpr int64_t kMaxRuns = 4096;  // contiguous pieces of a window
// The tables, then the inputs; what is not used by the inputs is left for a tile of outputs.
inline constexpr size_t kTableBytes = (kMaxLines + kMaxRuns) * sizeof(int64_t);
inline constexpr size_t kTileBytes = kGemmScratch / 4;
inline constexpr size_t kBandBytes = kGemmScratch - kTableBytes - kTileBytes;
// Inputs stay in L2 beside weights that fit there too. Larger weights come from further away, and
// the fewer tiles read them the better.
inline constexpr size_t kBandTarget = 384 << 10, kSmallWeights = 512 << 10;

// A tile of outputs: whole lines, or a piece of one.
struct TileShape {
  int64_t lines, cols;
  bool possible;
};

// Elements between two rows of the scratch. Rows a multiple of 4 KB apart would share cache sets.
template <class T>
FASTNN_INLINE int64_t row_pitch(int64_t elements) {
  return (elements * (int64_t)sizeof(T)) % 4096 ? elements : elements + 64 / (int64_t)sizeof(T);
}

template <class T>
int64_t band_bytes(const Windows<T>& v, const TileShape& t) {
  const Spacing sh(v.h), sw(v.w);
  // Lines of different images do not overlap.
  const int64_t images = smaller((t.lines - 1) / v.h.out + 2, t.lines);
  const int64_t rows =
      t.lines * sh.stride + images * (sh.length(1) > sh.stride ? sh.length(1) - sh.stride : 0);
  int64_t bytes;
  if (__builtin_mul_overflow(row_pitch<T>(sw.length(t.cols) * v.c), rows * (int64_t)sizeof(T),
                             &bytes))
    return INT64_MAX;
  return bytes;
}

// About `pixels` outputs a tile, fewer where their inputs would be more than `target` bytes.
template <class T>
TileShape tile_shape(const Windows<T>& v, int64_t pixels, size_t target) {
  TileShape t = {1, v.w.out, v.h.taps * v.w.taps <= kMaxRuns};
  if (v.w.out > pixels)
    t.cols = ceil_div(v.w.out, ceil_div(v.w.out, pixels));
  else
    t.lines = smaller(smaller(pixels / v.w.out, kMaxLines), v.lines());
  if (v.in_place()) return t;
  while (t.lines > 1 && band_bytes(v, t) > (int64_t)target) t.lines = ceil_div(t.lines, 2);
  while (t.cols > 48 && band_bytes(v, t) > (int64_t)target) t.cols = ceil_div(t.cols, 2);
  while (t.cols > 1 && band_bytes(v, t) > (int64_t)kBandBytes) t.cols = ceil_div(t.cols, 2);
  if (t.cols < v.w.out) t.lines = 1;
  t.possible &= band_bytes(v, t) <= (int64_t)kBandBytes;
  return t;
}

template <class T>
FASTNN_INLINE void copy_elements(T* to, const T* from, int64_t n) {
  for (int64_t i = 0; i < n; i += Vec<T>::size)
    Vec<T>::load_n(from + i, n - i).store_n(to + i, n - i);
}
template <class T>
FASTNN_INLINE void zero_elements(T* to, int64_t n) {
  for (int64_t i = 0; i < n; i += Vec<T>::size) Vec<T>(T(0)).store_n(to + i, n - i);
}

// The `length` inputs in places [0, length) of image row `row`, from output column q on.
template <class T>
void copy_row(const Windows<T>& v, const Spacing& s, const T* row, int64_t q, int64_t length,
              T* to) {
  if (!s.packed && v.pitch == v.c) {
    const int64_t first = s.source(v.w, q, 0);
    const int64_t left = smaller(larger(-first, 0), length);
    const int64_t right = larger(smaller(v.w.in - first, length), left);
    zero_elements(to, left * v.c);
    copy_elements(to + left * v.c, row + (first + left) * v.c, (right - left) * v.c);
    zero_elements(to + right * v.c, (length - right) * v.c);
    return;
  }
  for (int64_t i = 0; i < length; ++i) {
    const int64_t at = s.source(v.w, q, i);
    if (at >= 0 && at < v.w.in)
      copy_elements(to + i * v.c, row + at * v.pitch, v.c);
    else
      zero_elements(to + i * v.c, v.c);
  }
}

// The inputs of the outputs in lines [line, line + lines), columns [q, q + cols), and how to step
// over them. Tables and copies are written to `scratch`, kTableBytes + kBandBytes.
template <class T>
struct Band {
  Left<T> rows;              // row: output; column: (tap, channel)
  int64_t tap_row, tap_col;  // from one tap to the next, in elements

  Band(const Windows<T>& v, int64_t line, int64_t lines, int64_t q, int64_t cols, char* scratch) {
    int64_t* line_at = reinterpret_cast<int64_t*>(scratch);
    const bool in_place = v.in_place();
    const Spacing sh(v.h), sw(v.w);
    T* band = reinterpret_cast<T*>(scratch + kTableBytes);
    int64_t pitch;
    if (in_place) {
      pitch = v.w.in * v.c;
      tap_row = v.h.dilation * pitch;
      tap_col = v.w.dilation * v.c;
      rows.data = v.x + v.w.at(q, 0) * v.c;
      rows.ld = v.w.stride * v.c;
      for (int64_t i = 0; i < lines; ++i)
        line_at[i] = ((line + i) / v.h.out * v.h.in + v.h.at((line + i) % v.h.out, 0)) * pitch;
    } else {
      const int64_t length = sw.length(cols);
      pitch = row_pitch<T>(length * v.c);
      tap_row = sh.dilation * pitch;
      tap_col = sw.dilation * v.c;
      rows.data = band;
      rows.ld = sw.stride * v.c;
      T* to = band;
      for (int64_t i = 0; i < lines;) {
        const int64_t image = (line + i) / v.h.out, p = (line + i) % v.h.out;
        const int64_t count = smaller(v.h.out - p, lines - i);
        for (int64_t l = 0; l < count; ++l) line_at[i + l] = to - band + l * sh.stride * pitch;
        for (int64_t r = 0; r < sh.length(count); ++r, to += pitch) {
          const int64_t at = sh.source(v.h, p, r);
          if (at < 0 || at >= v.h.in)
            zero_elements(to, length * v.c);
          else
            copy_row(v, sw, v.x + (image * v.h.in + at) * v.w.in * v.pitch, q, length, to);
        }
        i += count;
      }
    }
    rows.group = cols;
    rows.group_at = line_at;
  }

  // Columns (tap row, tap column, channel) of the whole window.
  void whole_windows(const Windows<T>& v, char* scratch) {
    int64_t* run_at = reinterpret_cast<int64_t*>(scratch) + kMaxLines;
    if (tap_col == v.c) {
      if (v.h.taps <= 1) return;
      for (int64_t r = 0; r < v.h.taps; ++r) run_at[r] = r * tap_row;
      rows.run = v.w.taps * v.c;
    } else {
      for (int64_t r = 0; r < v.h.taps; ++r)
        for (int64_t s = 0; s < v.w.taps; ++s) run_at[r * v.w.taps + s] = r * tap_row + s * tap_col;
      rows.run = v.c;
    }
    rows.run_at = run_at;
  }
};

}  // namespace
}  // namespace fastnn::FASTNN_ISA
