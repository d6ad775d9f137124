// What goes round an update: clipping of gradients, decay of weights, their moving average, the
// step count and the learning rate of a schedule. All in place on the flat arenas.
#include <math.h>

#include "cpu/rows.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

namespace {

constexpr int64_t kGrain = 16384;

template <class T, class F>
FASTNN_INLINE void each_in_place(T* p, int64_t n, F f) {
  pieces(n, kGrain, [&](int64_t begin, int64_t end) {
    along<T>(end - begin, [&](int64_t i, int64_t count) {
      f(Vec<T>::load_n(p + begin + i, count)).store_n(p + begin + i, count);
    });
  });
}

void scale_in_place(const Out& p, double factor) {
  with_float(p.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Vec<T> scale{T(factor)};
    each_in_place(p.data<T>(), p.size(), [&](Vec<T> v) { return v * scale; });
  });
}

// The arena's segments: variables one after the other, or all of it as one.
struct Segments {
  const int32_t* offsets;
  int64_t count, n;
  int64_t begin(int64_t s) const { return offsets ? offsets[s] : 0; }
  int64_t end(int64_t s) const { return offsets ? offsets[s + 1] : n; }
  bool valid() const {
    if (count < 0) return false;
    for (int64_t s = 0; s < count; ++s)
      if (begin(s) < 0 || end(s) < begin(s) || end(s) > n) return false;
    return true;
  }
  // The first segment that ends behind i.
  int64_t at(int64_t i) const {
    int64_t low = 0, high = count;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (end(middle) > i)
        high = middle;
      else
        low = middle + 1;
    }
    return low;
  }
  // f(segment, from, to) for the parts of segments in [b, e).
  template <class F>
  void each(int64_t b, int64_t e, F f) const {
    for (int64_t s = at(b); s < count && begin(s) < e; ++s) {
      const int64_t from = begin(s) > b ? begin(s) : b, to = end(s) < e ? end(s) : e;
      if (from < to) f(s, from, to);
    }
  }
};

}  // namespace

void rescale(InOut p, double factor) noexcept { scale_in_place(p, factor); }

void weight_decay(InOut p, In lr, double decay) noexcept {
  scale_in_place(p, 1 - decay * *lr.data<double>());
}

void clip_value(InOut g, double limit) noexcept {
  with_float(g.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T bound = T(limit);
    each_in_place(g.data<T>(), g.size(),
                  [&](Vec<T> v) { return max_or_second(-bound, min_or_second(bound, v)); });
  });
}

// Squares are added per chunk and segment into slots, in double; a path through chunks and segments
// never takes the same (chunk + segment) twice, so that is the slot.
void clip_norm(InOut g, In offsets, double limit) noexcept {
  const int64_t n = g.size(), chunks = (n + kGrain - 1) / kGrain;
  const Segments segments{offsets ? offsets.data<int32_t>() : nullptr,
                          offsets ? offsets.dim(0) - 1 : 1, n};
  if (!segments.valid())
    return team::fault("offsets do not cut the gradient into segments in order");
  auto* const slots = static_cast<double*>(
      team::shared_scratch(size_t(chunks + 2 * segments.count + 1) * sizeof(double)));
  if (!slots) return team::fault("there are too many segments to clip");
  double* const factors = slots + chunks + segments.count;
  team::barrier();
  with_float(g.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using V = Vec<T>;
    T* const p = g.data<T>();
    tiles(chunks, [&](int64_t c) {
      segments.each(c * kGrain, (c + 1) * kGrain, [&](int64_t s, int64_t from, int64_t to) {
        slots[c + s] = row_sum<T>(to - from, [&](int64_t i, int64_t count) {
          const V v = V::load_n(p + from + i, count);
          return v * v;
        });
      });
    });
    team::barrier();
    tiles(segments.count, [&](int64_t s) {
      double squares = 0;
      if (segments.begin(s) < segments.end(s))
        for (int64_t c = segments.begin(s) / kGrain; c <= (segments.end(s) - 1) / kGrain; ++c)
          squares += slots[c + s];
      const double norm = ::sqrt(squares);
      factors[s] = norm <= limit ? 1 : limit / norm;
      // One infinite gradient spoils them all, as in Keras.
      if (!segments.offsets) factors[s] += norm - norm;
    });
    team::barrier();
    tiles(chunks, [&](int64_t c) {
      segments.each(c * kGrain, (c + 1) * kGrain, [&](int64_t s, int64_t from, int64_t to) {
        if (factors[s] == 1) return;
        const V scale{T(factors[s])};
        along<T>(to - from, [&](int64_t i, int64_t count) {
          (V::load_n(p + from + i, count) * scale).store_n(p + from + i, count);
        });
      });
    });
  });
  team::barrier();
}

// The first step starts the average at the weights; every overwrite_every-th (0: none) puts it
// back.
void moving_average(InOut average, InOut p, In t, double momentum,
                    int64_t overwrite_every) noexcept {
  const int64_t step = *t.data<int32_t>();
  const bool overwrite = overwrite_every > 0 && step % overwrite_every == 0;
  with_float(p.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using V = Vec<T>;
    T *const a = average.data<T>(), *const w = p.data<T>();
    const V keep{T(step == 1 ? 0 : momentum)}, rest{T(step == 1 ? 1 : 1 - momentum)};
    pieces(p.size(), kGrain, [&](int64_t begin, int64_t end) {
      along<T>(end - begin, [&](int64_t i, int64_t count) {
        const V v = keep * V::load_n(a + begin + i, count) + rest * V::load_n(w + begin + i, count);
        v.store_n(a + begin + i, count);
        if (overwrite) v.store_n(w + begin + i, count);
      });
    });
  });
}

void increment(InOut t) noexcept {
  if (!is_first_member()) return;
  int32_t& count = *t.data<int32_t>();
  if (count < INT32_MAX)
    ++count;
  else
    team::fault("the step count is full");
}

void schedule_rate(In table, In t, In first, Out lr) noexcept {
  const int64_t n = table.dim(0), at = int64_t(*t.data<int32_t>()) - *first.data<int32_t>();
  if (n == 0) return team::fault("the table of learning rates is empty");
  if (is_first_member())
    *lr.data<double>() = table.data<double>()[at < 0 ? 0 : at < n ? at : n - 1];
}

}  // namespace fastnn::FASTNN_ISA
