// Orders along the last axis: sort, top_k, searchsorted. NaN counts as larger than all numbers, and
// of equal elements the one with the lower index comes first, in both directions.
//
// Long rows are sorted by radix (Knuth, TAOCP 3, 5.2.5), eight bits at a time from the lowest: each
// number becomes an unsigned key of the same order.
#include "cpu/broadcast.h"
#include "tensor.h"

#include <string.h>

namespace fastnn::FASTNN_ISA {

namespace {

template <class T>
struct KeyOf {
  using type = uint32_t;
};
template <>
struct KeyOf<double> {
  using type = uint64_t;
};

// An unsigned integer that orders as x does: all NaN as one largest, -0 as 0.
template <class T>
FASTNN_INLINE auto key_of(T x, bool descending) {
  using U = typename KeyOf<T>::type;
  constexpr U sign = U(1) << (8 * sizeof(T) - 1);
  U u;
  if constexpr (is_float<T>) {
    const T positive = x == 0 ? T(0) : x;
    memcpy(&u, &positive, sizeof u);
    u = x != x ? ~U(0) : u & sign ? ~u : u | sign;
  } else {
    u = static_cast<U>(x) ^ sign;
  }
  return descending ? static_cast<U>(~u) : u;
}

template <class T>
FASTNN_INLINE void insertion_sort(const T* x, int32_t* index, int64_t n, bool descending) {
  for (int64_t i = 0; i < n; ++i) {
    const auto key = key_of(x[i], descending);
    int64_t j = i;
    for (; j > 0 && key_of(x[index[j - 1]], descending) > key; --j) index[j] = index[j - 1];
    index[j] = static_cast<int32_t>(i);
  }
}

template <class T>
FASTNN_INLINE void radix_sort(const T* x, int32_t* index, int32_t* work, int64_t n,
                              bool descending) {
  constexpr int kDigits = sizeof(T);
  int32_t count[kDigits][256] = {};
  for (int64_t i = 0; i < n; ++i) {
    const auto key = key_of(x[i], descending);
    for (int d = 0; d < kDigits; ++d) ++count[d][key >> (8 * d) & 255];
    index[i] = static_cast<int32_t>(i);
  }
  int32_t *from = index, *to = work;
  for (int d = 0; d < kDigits; ++d) {
    bool all_equal = false;
    for (int32_t& c : count[d]) all_equal |= c == n;
    if (all_equal) continue;
    int32_t total = 0;
    for (int32_t& c : count[d]) {
      const int32_t here = c;
      c = total;
      total += here;
    }
    for (int64_t i = 0; i < n; ++i) {
      const int32_t k = from[i];
      to[count[d][key_of(x[k], descending) >> (8 * d) & 255]++] = k;
    }
    int32_t* swapped = from;
    from = to;
    to = swapped;
  }
  if (from != index) memcpy(index, from, n * sizeof(int32_t));
}

}  // namespace

void sort(In x, Out y, Out index, Out rank, bool descending) noexcept {
  const int64_t n = x.dim(-1);
  if (x.size() == 0) return;
  if (n > INT32_MAX) return team::fault("the axis is too long for int32 indices");
  with_number(x.dtype(), [&](auto t) {
    using T = decltype(t);
    pieces(x.size() / n, larger(1, 1024 / n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* from = x.data<T>() + r * n;
        int32_t* order = index.data<int32_t>() + r * n;
        int32_t* place = rank.data<int32_t>() + r * n;  // scratch until the order is known
        if (n < 48)
          insertion_sort(from, order, n, descending);
        else
          radix_sort(from, order, place, n, descending);
        for (int64_t i = 0; i < n; ++i) {
          y.data<T>()[r * n + i] = from[order[i]];
          place[order[i]] = static_cast<int32_t>(i);
        }
      }
    });
  });
}

// --- the largest
// ----------------------------------------------------------------------------------

namespace {

template <class T>
struct Entry {
  T* value;
  int32_t* index;

  // True if entry a ranks after entry b.
  FASTNN_INLINE bool after(int64_t a, int64_t b) const {
    const auto ka = key_of(value[a], false), kb = key_of(value[b], false);
    return ka != kb ? ka < kb : index[a] > index[b];
  }
  FASTNN_INLINE void swap(int64_t a, int64_t b) const {
    const T v = value[a];
    const int32_t i = index[a];
    value[a] = value[b];
    index[a] = index[b];
    value[b] = v;
    index[b] = i;
  }
  // A heap of n entries whose root is the last in rank.
  FASTNN_INLINE void sink(int64_t i, int64_t n) const {
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
      if (child + 1 < n && after(child + 1, child)) ++child;
      if (!after(child, i)) return;
      swap(i, child);
    }
  }
};

}  // namespace

void top_k(In x, Out values, Out index) noexcept {
  const int64_t n = x.dim(-1), k = values.dim(-1);
  if (k > n) return team::fault("k is larger than the axis");
  if (n > INT32_MAX) return team::fault("the axis is too long for int32 indices");
  if (values.size() == 0) return;
  with_number(x.dtype(), [&](auto t) {
    using T = decltype(t);
    pieces(x.size() / n, larger(1, 4096 / n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* from = x.data<T>() + r * n;
        const Entry<T> heap{values.data<T>() + r * k, index.data<int32_t>() + r * k};
        for (int64_t i = 0; i < k; ++i) {
          heap.value[i] = from[i];
          heap.index[i] = static_cast<int32_t>(i);
        }
        for (int64_t i = k / 2; i-- > 0;) heap.sink(i, k);
        // A later element must be strictly larger than the last of the k.
        auto least = key_of(heap.value[0], false);
        for (int64_t i = k; i < n; ++i) {
          if (key_of(from[i], false) <= least) continue;
          heap.value[0] = from[i];
          heap.index[0] = static_cast<int32_t>(i);
          heap.sink(0, k);
          least = key_of(heap.value[0], false);
        }
        for (int64_t last = k - 1; last > 0; --last) {
          heap.swap(0, last);
          heap.sink(0, last);
        }
      }
    });
  });
}

// The number of sorted elements that are smaller than the value, or not larger (right).
void searchsorted(In sorted, In values, Out y, bool right) noexcept {
  const int64_t n = sorted.dim(0);
  if (n > INT32_MAX) return team::fault("the axis is too long for int32 indices");
  with_number(sorted.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* s = sorted.data<T>();
    pieces(values.size(), 1024, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto key = key_of(values.data<T>()[i], false);
        int64_t low = 0;
        for (int64_t length = n; length > 0;) {
          const int64_t half = length / 2;
          const auto middle = key_of(s[low + half], false);
          const bool below = right ? middle <= key : middle < key;
          low = below ? low + half + 1 : low;
          length = below ? length - half - 1 : half;
        }
        y.data<int32_t>()[i] = static_cast<int32_t>(low);
      }
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
