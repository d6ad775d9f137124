// Batch, layer and root-mean-square normalisation. Channels are the last axis.
//
// Batch statistics (Ioffe & Szegedy 2015): the rows are cut into chunks by problem size; a chunk's
// mean and squared deviations come from two passes over it while it is in the second-level cache,
// and chunks are merged in order (Chan, Golub & LeVeque 1983), so neither a large mean nor the
// number of threads costs digits. Few channels: several rows lie side by side in one Strip, and
// vectors are full whatever the number of channels.
#include <math.h>

#include "cpu/rows.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

namespace {

constexpr int64_t kStrip = 1024;          // numbers of a strip; its arrays live on the stack
constexpr int64_t kRepeated = 128;        // and of one with several rows, about
constexpr int64_t kChunk = 16384;         // numbers of a chunk, about
constexpr int64_t kSumsBytes = 12 << 20;  // of the team's scratch, for the chunks' results

// How (rows, c) is walked: `repeat` rows of all c channels at once, or one row of up to kStrip.
struct Strips {
  int64_t rows, c, repeat, blocks, chunk_rows, chunks;
  Strips(int64_t rows, int64_t c, bool row_by_row) : rows(rows), c(c) {
    repeat = row_by_row || c == 0 ? 1 : rows_of_strip();
    blocks = (c + kStrip - 1) / kStrip;
    chunk_rows = kChunk / (c < kChunk / 16 ? (c > 0 ? c : 1) : kChunk / 16);
    const int64_t most = kSumsBytes / (16 * (c > 0 ? c : 1));  // chunks that fit
    if (most > 0 && rows / chunk_rows >= most) chunk_rows = rows / most + 1;
    chunk_rows = (chunk_rows + repeat - 1) / repeat * repeat;
    chunks = (rows + chunk_rows - 1) / chunk_rows;
  }
  // Rows that fill whole vectors together, as few as are worth a loop: at the end of a chunk every
  // number of a strip costs some scalar work.
  int64_t rows_of_strip() const {
    constexpr int64_t lanes = FASTNN_VEC_BYTES / sizeof(float);
    int64_t whole = lanes;
    for (int64_t left = c; left % 2 == 0 && whole > 1; left /= 2) whole /= 2;
    if (whole * c > kStrip) return 1;
    return whole * (whole * c < kRepeated ? kRepeated / (whole * c) : 1);
  }
  int64_t begin(int64_t chunk) const { return chunk * chunk_rows; }
  int64_t end(int64_t chunk) const {
    return (chunk + 1) * chunk_rows < rows ? (chunk + 1) * chunk_rows : rows;
  }
  int64_t width(int64_t block) const {
    return c - block * kStrip < kStrip ? c - block * kStrip : kStrip;
  }

  // f(offset into (rows, c), row, numbers): strips of rows [b, e), the last one maybe shorter.
  template <class F>
  FASTNN_INLINE void each(int64_t block, int64_t b, int64_t e, F f) const {
    const int64_t w = width(block);
    for (int64_t r = b; r < e; r += repeat)
      f(r * c + block * kStrip, r, (e - r < repeat ? e - r : repeat) * w);
  }
  // strip[k] = f(channel) for every number of a strip.
  template <class T, class F>
  FASTNN_INLINE void spread(int64_t block, T* strip, F f) const {
    const int64_t w = width(block);
    for (int64_t j = 0; j < w; ++j) strip[j] = f(block * kStrip + j);
    for (int64_t j = w; j < repeat * w; ++j) strip[j] = strip[j - w];
  }
  // The sum of a channel over the rows of a strip.
  template <class T>
  FASTNN_INLINE double fold(int64_t block, const T* strip, int64_t j) const {
    double sum = 0;
    for (int64_t k = 0; k < repeat; ++k) sum += double(strip[k * width(block) + j]);
    return sum;
  }
};

FASTNN_INLINE int64_t counted(const uint8_t* mask, int64_t b, int64_t e) {
  if (!mask) return e - b;
  int64_t n = 0;
  for (int64_t r = b; r < e; ++r) n += mask[r] != 0;
  return n;
}

template <class T>
FASTNN_INLINE void clear(T* a, int64_t n) {
  for (int64_t i = 0; i < n; ++i) a[i] = 0;
}

// mean (c) and biased variance (c), in double in the team's scratch; null if c is too large for it.
template <class T>
const double* batch_moments(const T* x, const uint8_t* mask, const Strips& s) {
  const int64_t c = s.c;
  auto* const slots =
      static_cast<double*>(team::shared_scratch(size_t(s.chunks * 2 + 2) * c * sizeof(double)));
  if (!slots) return nullptr;
  double* const result = slots + s.chunks * 2 * c;
  team::barrier();
  tiles(s.chunks * s.blocks, [&](int64_t tile) {
    const int64_t chunk = tile / s.blocks, block = tile % s.blocks;
    const int64_t b = s.begin(chunk), e = s.end(chunk), n = counted(mask, b, e);
    alignas(64) T sum[kStrip], mean[kStrip];
    double* const out = slots + chunk * 2 * c;
    clear(sum, kStrip);
    s.each(block, b, e, [&](int64_t at, int64_t row, int64_t count) {
      if (mask && !mask[row]) return;
      along<T>(count, [&](int64_t i, int64_t m) {
        (Vec<T>::load_n(sum + i, m) + Vec<T>::load_n(x + at + i, m)).store_n(sum + i, m);
      });
    });
    s.spread(block, mean, [&](int64_t j) {
      out[j] = n ? s.fold(block, sum, j - block * kStrip) / double(n) : 0;
      return T(out[j]);
    });
    clear(sum, kStrip);
    s.each(block, b, e, [&](int64_t at, int64_t row, int64_t count) {
      if (mask && !mask[row]) return;
      along<T>(count, [&](int64_t i, int64_t m) {
        const Vec<T> d = Vec<T>::load_n(x + at + i, m) - Vec<T>::load_n(mean + i, m);
        fma(d, d, Vec<T>::load_n(sum + i, m)).store_n(sum + i, m);
      });
    });
    for (int64_t j = 0; j < s.width(block); ++j) {
      // About the rounded mean; the correction is exact because the deviations from the true one
      // add to 0.
      const int64_t channel = block * kStrip + j;
      const double off = out[channel] - double(mean[j]);
      out[c + channel] = s.fold(block, sum, j) - double(n) * off * off;
    }
  });
  team::barrier();
  pieces(c, 64, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      double n = 0, mean = 0, squares = 0;
      for (int64_t k = 0; k < s.chunks; ++k) {
        const double m = double(counted(mask, s.begin(k), s.end(k)));
        if (m == 0) continue;
        const double d = slots[k * 2 * c + j] - mean;
        squares += slots[k * 2 * c + c + j] + d * d * n * m / (n + m);
        mean += d * m / (n + m);
        n += m;
      }
      result[j] = mean;
      result[c + j] = n > 0 ? (squares > 0 || squares != squares ? squares / n : 0) : 0;
    }
  });
  team::barrier();
  return result;
}

// y = (x - mean) scale + beta, scale = gamma inv_std. M is the type of the statistics.
template <class M, class T>
FASTNN_OUTLINE void normalize(In x, const M* mean, const M* variance, In gamma, In beta, Out y,
                              double epsilon, T) {
  const T *from = x.data<T>(), *gammas = gamma ? gamma.data<T>() : nullptr,
          *betas = beta ? beta.data<T>() : nullptr;
  T* to = y.data<T>();
  const Strips s(x.rows(), x.cols(), false);
  tiles(s.chunks * s.blocks, [&](int64_t tile) {
    const int64_t chunk = tile / s.blocks, block = tile % s.blocks;
    alignas(64) T centre[kStrip], scale[kStrip], shift[kStrip];
    s.spread(block, centre, [&](int64_t j) { return T(mean[j]); });
    s.spread(block, scale, [&](int64_t j) {
      const T inv = T(1 / ::sqrt(double(variance[j]) + epsilon));
      return gammas ? gammas[j] * inv : inv;
    });
    s.spread(block, shift, [&](int64_t j) { return betas ? betas[j] : T(0); });
    s.each(block, s.begin(chunk), s.end(chunk), [&](int64_t at, int64_t, int64_t count) {
      along<T>(count, [&](int64_t i, int64_t m) {
        const Vec<T> d = Vec<T>::load_n(from + at + i, m) - Vec<T>::load_n(centre + i, m);
        fma(d, Vec<T>::load_n(scale + i, m), Vec<T>::load_n(shift + i, m)).store_n(to + at + i, m);
      });
    });
  });
}

// sum of dy and of dy xhat over the rows, (2, c) doubles in the team's scratch, where xhat =
// (x - mean) inv_std. The statistics are one a channel, or (per_row) one a row; then with_row(row,
// sum, dot) is called once for each row, and adds it to the sums itself if it is given them.
template <class T, class F>
const double* grad_sums(const T* x, const T* dy, const T* mean, const T* inv_std, const Strips& s,
                        bool per_row, F with_row) {
  const int64_t c = s.c;
  auto* const slots =
      static_cast<double*>(team::shared_scratch(size_t(s.chunks * 2 + 2) * c * sizeof(double)));
  if (!slots) return nullptr;
  double* const result = slots + s.chunks * 2 * c;
  team::barrier();
  tiles(s.chunks * s.blocks, [&](int64_t tile) {
    using V = Vec<T>;
    const int64_t chunk = tile / s.blocks, block = tile % s.blocks;
    alignas(64) T sum[kStrip], dot[kStrip], centre[kStrip];
    clear(sum, kStrip);
    clear(dot, kStrip);
    if (!per_row) s.spread(block, centre, [&](int64_t j) { return mean[j]; });
    s.each(block, s.begin(chunk), s.end(chunk), [&](int64_t at, int64_t row, int64_t count) {
      if (!per_row) {
        along<T>(count, [&](int64_t i, int64_t m) {
          const V d = V::load_n(dy + at + i, m);
          (V::load_n(sum + i, m) + d).store_n(sum + i, m);
          fma(d, V::load_n(x + at + i, m) - V::load_n(centre + i, m), V::load_n(dot + i, m))
              .store_n(dot + i, m);
        });
        return;
      }
      if (block == 0) {
        const bool adds = s.blocks == 1;
        with_row(row, adds ? sum : nullptr, adds ? dot : nullptr);
        if (adds) return;
      }
      const V row_mean(mean[row]), row_scale(inv_std[row]);
      along<T>(count, [&](int64_t i, int64_t m) {
        const V d = V::load_n(dy + at + i, m);
        (V::load_n(sum + i, m) + d).store_n(sum + i, m);
        fma(d, (V::load_n(x + at + i, m) - row_mean) * row_scale, V::load_n(dot + i, m))
            .store_n(dot + i, m);
      });
    });
    double* const out = slots + chunk * 2 * c + block * kStrip;
    for (int64_t j = 0; j < s.width(block); ++j) {
      out[j] = s.fold(block, sum, j);
      out[c + j] = s.fold(block, dot, j) * (per_row ? 1 : double(inv_std[block * kStrip + j]));
    }
  });
  team::barrier();
  pieces(2 * c, 64, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      double total = 0;
      for (int64_t k = 0; k < s.chunks; ++k) total += slots[k * 2 * c + j];
      result[j] = total;
    }
  });
  team::barrier();
  return result;
}

template <class T>
void store_sums(const double* sums, int64_t c, Out dgamma, Out dbeta) {
  pieces(c, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      if (dbeta) dbeta.data<T>()[j] = T(sums[j]);
      if (dgamma) dgamma.data<T>()[j] = T(sums[c + j]);
    }
  });
}

template <bool b>
struct Flag {
  static constexpr bool value = b;
};

// One row of layer normalisation's gradients: dx, if there is room for it, and what the row adds to
// the sums of dy and of dy xhat.
template <class T>
FASTNN_OUTLINE void layer_norm_grad_row(const T* x, const T* dy, const T* gamma, T mean, T inv_std,
                                        bool centered, int64_t n, T* dx, T* sum, T* dot) {
  using V = Vec<T>;
  constexpr int64_t block = 4096;  // as in row_sum
  const V centre(mean), inv(inv_std);
  const auto both = [&](auto scaled) __attribute__((always_inline)) {
    const auto grad = [&](int64_t i, int64_t m) __attribute__((always_inline)) {
      const V d = V::load_n(dy + i, m);
      return decltype(scaled)::value ? d * V::load_n(gamma + i, m) : d;
    };
    double grads = 0, products = 0;
    for (int64_t begin = 0; begin < n && dx; begin += block) {
      const int64_t end = n - begin < block ? n : begin + block;
      V a(0), b(0), c(0), d(0);
      int64_t i = begin;
      for (; i + 2 * V::size <= end; i += 2 * V::size) {
        const V g = grad(i, V::size), h = grad(i + V::size, V::size);
        a += g, c += h;
        b = fma(g, V::load(x + i) - centre, b);
        d = fma(h, V::load(x + i + V::size) - centre, d);
      }
      for (; i < end; i += V::size) {  // lanes beyond the end are 0 in g
        const V g = grad(i, end - i);
        a += g;
        b = fma(g, V::load_n(x + i, end - i) - centre, b);
      }
      grads += double(reduce_add(a + c)), products += double(reduce_add(b + d));
    }
    const V shift(centered ? T(grads / double(n)) : T(0));
    const V slope(T(-products / double(n) * double(inv_std) * double(inv_std)));
    for (int64_t i = 0; i < n; i += V::size) {
      const int64_t m = n - i;
      // This pass reads what the last one left in L1; meanwhile the next row may come.
      __builtin_prefetch(x + n + i);
      __builtin_prefetch(dy + n + i);
      const V deviation = V::load_n(x + i, m) - centre;
      if (dx) (inv * (fma(deviation, slope, grad(i, m)) - shift)).store_n(dx + i, m);
      if (sum) {
        const V d = V::load_n(dy + i, m);
        (V::load_n(sum + i, m) + d).store_n(sum + i, m);
        fma(d, deviation * inv, V::load_n(dot + i, m)).store_n(dot + i, m);
      }
    }
  };
  if (gamma)
    both(Flag<true>{});
  else
    both(Flag<false>{});
}

constexpr const char* kTooWide = "there are too many channels to normalise";

}  // namespace

void batch_norm(In x, In gamma, In beta, In mask, Out y, Out mean, Out inv_std, InOut moving_mean,
                InOut moving_variance, double momentum, double epsilon) noexcept {
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const int64_t c = x.cols();
    const uint8_t* const rows_in = mask ? mask.data<uint8_t>() : nullptr;
    const Strips s(x.rows(), c, mask ? true : false);
    const double* moments = batch_moments(x.data<T>(), rows_in, s);
    if (!moments) return team::fault(kTooWide);
    pieces(c, 1024, [&](int64_t begin, int64_t end) {
      for (int64_t j = begin; j < end; ++j) {
        mean.data<T>()[j] = T(moments[j]);
        inv_std.data<T>()[j] = T(1 / ::sqrt(moments[c + j] + epsilon));
        T &mm = moving_mean.data<T>()[j], &mv = moving_variance.data<T>()[j];
        mm = T(double(mm) * momentum + moments[j] * (1 - momentum));
        mv = T(double(mv) * momentum + moments[c + j] * (1 - momentum));
      }
    });
    normalize(x, moments, moments + c, gamma, beta, y, epsilon, T());
    team::barrier();  // the scratch is in use up to here
  });
}

void batch_norm_inference(In x, In mean, In variance, In gamma, In beta, Out y,
                          double epsilon) noexcept {
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    normalize(x, mean.data<T>(), variance.data<T>(), gamma, beta, y, epsilon, T());
  });
}

void batch_norm_grad(In x, In dy, In mean, In inv_std, In gamma, In mask, Out dx, Out dgamma,
                     Out dbeta) noexcept {
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using V = Vec<T>;
    const int64_t c = x.cols();
    const T *px = x.data<T>(), *pdy = dy.data<T>();
    const uint8_t* const rows_in = mask ? mask.data<uint8_t>() : nullptr;
    const double* sums = grad_sums(px, pdy, mean.data<T>(), inv_std.data<T>(),
                                   Strips(x.rows(), c, false), false, [](int64_t, T*, T*) {});
    if (!sums) return team::fault(kTooWide);
    store_sums<T>(sums, c, dgamma, dbeta);
    if (dx) {
      // dx = gamma inv_std (dy - [in the mask] (sum dy + xhat sum dy xhat) / N)
      const Strips s(x.rows(), c, rows_in != nullptr);
      const int64_t n = counted(rows_in, 0, s.rows);
      const double share = n ? 1 / double(n) : 0;
      tiles(s.chunks * s.blocks, [&](int64_t tile) {
        const int64_t chunk = tile / s.blocks, block = tile % s.blocks;
        alignas(64) T centre[kStrip], scale[kStrip], constant[kStrip], slope[kStrip];
        s.spread(block, centre, [&](int64_t j) { return mean.data<T>()[j]; });
        s.spread(block, scale, [&](int64_t j) {
          return (gamma ? gamma.data<T>()[j] : T(1)) * inv_std.data<T>()[j];
        });
        s.spread(block, constant, [&](int64_t j) { return T(sums[j] * share); });
        s.spread(block, slope,
                 [&](int64_t j) { return T(sums[c + j] * share * double(inv_std.data<T>()[j])); });
        s.each(block, s.begin(chunk), s.end(chunk), [&](int64_t at, int64_t row, int64_t count) {
          const bool in = !rows_in || rows_in[row];
          along<T>(count, [&](int64_t i, int64_t m) {
            V d = V::load_n(pdy + at + i, m);
            if (in)
              d = d - V::load_n(constant + i, m) -
                  (V::load_n(px + at + i, m) - V::load_n(centre + i, m)) * V::load_n(slope + i, m);
            (d * V::load_n(scale + i, m)).store_n(dx.data<T>() + at + i, m);
          });
        });
      });
    }
    team::barrier();
  });
}

void layer_norm(In x, In gamma, In beta, Out y, Out mean, Out inv_std, double epsilon,
                bool centered) noexcept {
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using V = Vec<T>;
    const int64_t n = x.cols();
    each_row(x.rows(), n, [&](int64_t r) {
      const T* xr = x.data<T>() + r * n;
      const auto load = [&](int64_t i, int64_t m) { return V::load_n(xr + i, m); };
      const T centre = centered ? T(row_sum<T>(n, load) / double(n)) : T(0);
      const double square = row_sum<T>(n, [&](int64_t i, int64_t m) {
        const V d = load(i, m) - V(centre);
        return d * d;
      });
      const T inv = T(1 / ::sqrt(square / double(n) + epsilon));
      mean.data<T>()[r] = centre;
      inv_std.data<T>()[r] = inv;
      along<T>(n, [&](int64_t i, int64_t m) {
        V v = (load(i, m) - V(centre)) * V(inv);
        if (gamma) v *= V::load_n(gamma.data<T>() + i, m);
        if (beta) v += V::load_n(beta.data<T>() + i, m);
        v.store_n(y.data<T>() + r * n + i, m);
      });
    });
  });
}

void layer_norm_grad(In x, In dy, In mean, In inv_std, In gamma, Out dx, Out dgamma, Out dbeta,
                     bool centered) noexcept {
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const int64_t n = x.cols();
    const T* const scales = gamma ? gamma.data<T>() : nullptr;
    const auto row = [&](int64_t r, T* sum, T* dot) {
      layer_norm_grad_row(x.data<T>() + r * n, dy.data<T>() + r * n, scales, mean.data<T>()[r],
                          inv_std.data<T>()[r], centered, n, dx ? dx.data<T>() + r * n : nullptr,
                          sum, dot);
    };
    if (!dgamma && !dbeta) {
      if (dx) each_row(x.rows(), n, [&](int64_t r) { row(r, nullptr, nullptr); });
      return;
    }
    const double* sums = grad_sums(x.data<T>(), dy.data<T>(), mean.data<T>(), inv_std.data<T>(),
                                   Strips(x.rows(), n, true), true, row);
    if (!sums) return team::fault(kTooWide);
    store_sums<T>(sums, n, dgamma, dbeta);
    team::barrier();
  });
}

}  // namespace fastnn::FASTNN_ISA
