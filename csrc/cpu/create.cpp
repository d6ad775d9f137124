// Tensors made from nothing, or from labels.
#include "cpu/broadcast.h"
#include "tensor.h"

#include <string.h>

namespace fastnn::FASTNN_ISA {

void fill(Out y, double value) noexcept {
  with_any(y.dtype(), [&](auto t) {
    using T = decltype(t);
    if constexpr (is_same<T, bool>) {
      pieces(y.size(), kElementGrain, [&](int64_t begin, int64_t end) {
        memset(y.data<char>() + begin, value != 0, end - begin);
      });
    } else {
      const T one = static_cast<T>(value);
      T* p = y.data<T>();
      pieces(y.size(), kElementGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) p[i] = one;
      });
    }
  });
}

// As Keras: a label outside of [0, k) gives a row of zeros.
void one_hot(In index, Out y) noexcept {
  const int64_t k = y.dim(-1);
  with_any(y.dtype(), [&](auto t) {
    using T = decltype(t);
    pieces(index.size(), larger(1, kElementGrain / (k + 1)), [&](int64_t begin, int64_t end) {
      memset(y.data<char>() + begin * k * sizeof(T), 0, (end - begin) * k * sizeof(T));
      for (int64_t r = begin; r < end; ++r) {
        const int32_t label = index.data<int32_t>()[r];
        if (label >= 0 && label < k) y.data<T>()[r * k + label] = T(1);
      }
    });
  });
}

void arange(Out y, double start, double step) noexcept {
  const int64_t n = y.dim(0);
  const double last = start + static_cast<double>(n - 1) * step;
  const bool fits = start >= -0x1p31 && start < 0x1p31 && last >= -0x1p31 && last < 0x1p31;
  if (y.dtype() == DType::int32 && n && !fits)
    return team::fault("the range does not fit in int32");
  with_number(y.dtype(), [&](auto t) {
    using T = decltype(t);
    pieces(n, kElementGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        y.data<T>()[i] = static_cast<T>(start + static_cast<double>(i) * step);
    });
  });
}

}  // namespace fastnn::FASTNN_ISA
