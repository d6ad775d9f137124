// What metrics add up between two looks at them. All totals are float64 tensors, every sum has a
// fixed order, and targets or classes out of range count as wrong or not at all: no value of a
// batch stops a step.
#include "cpu/reduce.h"
#include "cpu/team.h"
#include "cpu/types.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {

namespace {

constexpr int64_t kPart = 32768;  // elements that make a part of a sum worth a tile
constexpr int64_t kMaxParts = 64;

struct DoubleSum {
  template <class T>
  using Acc = double;
  template <class T>
  static FASTNN_INLINE T initial() {
    return 0;
  }
  template <class V>
  FASTNN_INLINE V map(V x, V) const {
    return x;
  }
  template <class V>
  FASTNN_INLINE V combine(V a, V b) const {
    return a + b;
  }
};

// Integers are summed exactly; truth values are read as bytes.
template <class T>
FASTNN_INLINE double sum_of(const T* x, int64_t n) {
  if constexpr (is_float<T>) {
    return reduce_row(x, n, T(0), DoubleSum{});
  } else {
    int64_t total = 0;
    for (int64_t i = 0; i < n; ++i) total += x[i];
    return static_cast<double>(total);
  }
}
FASTNN_INLINE double sum_of(const bool* x, int64_t n) {
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(x);
  int64_t total = 0;
  for (int64_t i = 0; i < n; ++i) total += bytes[i] != 0;
  return static_cast<double>(total);
}

template <class T>
FASTNN_INLINE bool is_true(T x) {
  return x != 0;
}

// The number of the last threshold below v, 0 if there is none; NaN is above nothing.
template <class T>
FASTNN_INLINE int64_t bucket_of(T v, const T* thresholds, int64_t count) {
  int64_t at = 0;
  while (count > 1) {
    const int64_t half = count / 2;
    at = thresholds[at + half] < v ? at + half : at;
    count -= half;
  }
  return at;
}

// Runs add(begin, end, histogram) over parts of [0, n) that each fill a histogram of `cells`
// doubles, and adds them to `total` in order. Few items go straight to the total.
template <class F>
FASTNN_INLINE void add_histograms(int64_t n, int64_t item_size, int64_t cells, double* total,
                                  F add) {
  const int64_t elements = n * item_size;
  int64_t parts = smaller(kMaxParts, smaller(elements / kPart, elements / (cells + 1)));
  parts = smaller(parts, static_cast<int64_t>(team::kSharedBytes / sizeof(double)) / (cells + 1));
  if (parts < 2) {
    tiles(1, [&](int64_t) { add(0, n, total); });
    return;
  }
  double* partial = static_cast<double*>(team::shared_scratch(parts * cells * sizeof(double)));
  team::barrier();
  tiles(parts, [&](int64_t p) {
    double* own = partial + p * cells;
    for (int64_t k = 0; k < cells; ++k) own[k] = 0;
    add(n * p / parts, n * (p + 1) / parts, own);
  });
  team::barrier();
  pieces(cells, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t p = 0; p < parts; ++p)
      for (int64_t k = begin; k < end; ++k) total[k] += partial[p * cells + k];
  });
  team::barrier();
}

template <class Y, class T>
FASTNN_INLINE void count_thresholds(In y_true, In y_pred, In weight, In thresholds, InOut counts,
                                    int64_t column) {
  const int64_t n = y_pred.dim(0), c = y_pred.dim(1), labels = counts.dim(1), t = counts.dim(2);
  if (labels != 1 && labels != c)
    return team::fault("counts are for one label or for as many as y_pred has columns");
  if (column >= c && c) return team::fault("column", column, c);
  if (t == 0 || c == 0) return;
  // The comparison is done in y_pred's type, so that 0.3 is not above 0.3.
  T* bounds = static_cast<T*>(team::local_scratch(t * sizeof(T)));
  if (!bounds) return team::fault("too many thresholds");
  for (int64_t k = 0; k < t; ++k) bounds[k] = static_cast<T>(thresholds.data<double>()[k]);
  const Y* truth = y_true.data<Y>();
  const T* pred = y_pred.data<T>();
  const T* w = weight.data<T>();
  const int64_t first = column < 0 ? 0 : column, last = column < 0 ? c : column + 1;
  add_histograms(n, last - first, 2 * labels * t, counts.data<double>(),
                 [&](int64_t begin, int64_t end, double* to) {
                   for (int64_t i = begin; i < end; ++i)
                     for (int64_t j = first; j < last; ++j) {
                       const int64_t k = i * c + j, label = labels == 1 ? 0 : j;
                       const int64_t row = (is_true(truth[k]) ? 0 : labels) + label;
                       to[row * t + bucket_of(pred[k], bounds, t)] +=
                           w ? static_cast<double>(w[k]) : 1.0;
                     }
                 });
}

// Whether a stands before b among the largest: by value, equal ones by position.
template <class T>
FASTNN_INLINE bool stands_before(T a, int64_t i, T b, int64_t j) {
  return a > b || (a == b && i < j);
}

// Restores the heap whose root, the entry that stands last, was replaced.
template <class T>
FASTNN_INLINE void sift_down(int64_t* heap, int64_t k, const T* x, int64_t at) {
  const int64_t moved = heap[at];
  for (;;) {
    int64_t child = 2 * at + 1;
    if (child >= k) break;
    if (child + 1 < k &&
        stands_before(x[heap[child]], heap[child], x[heap[child + 1]], heap[child + 1]))
      ++child;
    if (!stands_before(x[moved], moved, x[heap[child]], heap[child])) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = moved;
}

}  // namespace

void accumulate(In x, double scale, InOut total) noexcept {
  with_any(x.dtype(), [&](auto type) {
    using T = decltype(type);
    const T* p = x.data<T>();
    add_histograms(x.size(), 1, 1, total.data<double>(),
                   [&](int64_t begin, int64_t end, double* to) {
                     *to += scale * sum_of(p + begin, end - begin);
                   });
  });
}

void accumulate_each(In x, double scale, InOut total) noexcept {
  double* to = total.data<double>();
  with_any(x.dtype(), [&](auto type) {
    using T = decltype(type);
    const T* p = x.data<T>();
    pieces(x.size(), kPart, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if constexpr (is_same<T, bool>)
          to[i] += scale * (reinterpret_cast<const uint8_t*>(p)[i] != 0);
        else
          to[i] += scale * static_cast<double>(p[i]);
      }
    });
  });
}

void accumulate_constant(double value, InOut total) noexcept {
  double* to = total.data<double>();
  pieces(total.size(), kPart, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] += value;
  });
}

void threshold_counts(In y_true, In y_pred, In weight, In thresholds, InOut counts,
                      int64_t column) noexcept {
  with_any(y_true.dtype(), [&](auto truth) {
    using Y = decltype(truth);
    with_float(y_pred.dtype(), [&](auto t) {
      if constexpr (is_same<Y, bool>)
        count_thresholds<uint8_t, decltype(t)>(y_true, y_pred, weight, thresholds, counts, column);
      else
        count_thresholds<Y, decltype(t)>(y_true, y_pred, weight, thresholds, counts, column);
    });
  });
}

void confusion_counts(In y_true, In y_pred, In weight, InOut counts, int64_t ignored) noexcept {
  const int64_t n = y_true.dim(0), c = counts.dim(0);
  const int32_t *truth = y_true.data<int32_t>(), *pred = y_pred.data<int32_t>();
  const auto count = [&](const auto* w) {
    add_histograms(n, 1, c * c, counts.data<double>(), [&](int64_t begin, int64_t end, double* to) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t a = truth[i], b = pred[i];
        if (a < 0 || a >= c || b < 0 || b >= c || a == ignored) continue;
        to[a * c + b] += w ? static_cast<double>(w[i]) : 1.0;
      }
    });
  };
  with_float(weight.dtype(), [&](auto t) { count(weight.data<decltype(t)>()); });
}

void in_top_k(In targets, In x, Out y, int64_t k) noexcept {
  const int64_t rows = x.rows(), n = x.cols();
  with_float(x.dtype(), [&](auto type) {
    using T = decltype(type);
    pieces(rows, larger(1, kPart / (n + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* row = x.data<T>() + r * n;
        const int64_t target = targets.data<int32_t>()[r];
        bool hit = target >= 0 && target < n && row[target] == row[target];
        if (hit) {
          int64_t larger_ones = 0;
          for (int64_t j = 0; j < n; ++j) larger_ones += row[j] > row[target];
          hit = larger_ones < k;
        }
        y.data<T>()[r] = hit ? T(1) : T(0);
      }
    });
  });
}

void keep_top_k(In x, Out y, int64_t k, double other) noexcept {
  const int64_t rows = x.rows(), n = x.cols();
  k = smaller(k, n);
  int64_t* heap = static_cast<int64_t*>(team::local_scratch(k * sizeof(int64_t)));
  if (!heap) return team::fault("k is too large");
  with_float(x.dtype(), [&](auto type) {
    using T = decltype(type);
    pieces(rows, larger(1, kPart / (4 * n + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* from = x.data<T>() + r * n;
        T* to = y.data<T>() + r * n;
        // A heap of the k best so far, the last of them at its root.
        for (int64_t j = 0; j < k; ++j) heap[j] = j;
        for (int64_t j = k / 2 - 1; j >= 0; --j) sift_down(heap, k, from, j);
        for (int64_t j = k; j < n; ++j) {
          if (!stands_before(from[j], j, from[heap[0]], heap[0])) continue;
          heap[0] = j;
          sift_down(heap, k, from, 0);
        }
        for (int64_t j = 0; j < n; ++j) to[j] = static_cast<T>(other);
        for (int64_t j = 0; j < k; ++j) to[heap[j]] = from[heap[j]];
      }
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
