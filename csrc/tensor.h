// What a kernel sees of a tensor: a pointer, a type and a shape. Arrays are C-contiguous and
// channels-last, so there are no strides: a view is a pointer and a shape.
//
// `In`, `Out` and `InOut` are the parameter types of the catalogue; from them follow the read and
// write sets of a recording. An absent optional argument is a view without data: `if (bias) ...`.
#pragma once
#include <stdint.h>

#include "dtype.h"

// Never a function of its own, however small code is to be: the linker keeps one copy of those, and
// that of a newer instruction set would serve the processors without it.
#define FASTNN_MEMBER __attribute__((always_inline))

namespace fastnn {

inline constexpr int kMaxRank = 8;

struct View {
  void* data = nullptr;
  int64_t shape[kMaxRank] = {};
  int rank = 0;
  DType dtype = DType::float32;
  Device device = Device::cpu;
};

class In {
 public:
  explicit In(const View* view) : view_(view) {}
  explicit operator bool() const { return view_->data != nullptr; }
  DType dtype() const { return view_->dtype; }
  int rank() const { return view_->rank; }
  FASTNN_MEMBER int64_t dim(int i) const { return view_->shape[i < 0 ? i + view_->rank : i]; }
  const int64_t* shape() const { return view_->shape; }
  FASTNN_MEMBER int64_t size() const { return product(0, view_->rank); }
  // The tensor as a matrix: all axes but the last are rows, the last is columns.
  FASTNN_MEMBER int64_t rows() const { return product(0, view_->rank - 1); }
  FASTNN_MEMBER int64_t cols() const { return view_->rank ? dim(-1) : 1; }
  FASTNN_MEMBER int64_t product(int begin, int end) const {
    int64_t p = 1;
    for (int i = begin; i < end; ++i) p *= view_->shape[i];
    return p;
  }
  template <class T>
  const T* data() const {
    return static_cast<const T*>(view_->data);
  }

 protected:
  const View* view_;
};

class Out : public In {
 public:
  using In::In;
  template <class T>
  T* data() const {
    return static_cast<T*>(view_->data);
  }
};

class InOut : public Out {
 public:
  using Out::Out;
};

// A short list of integers that are structure, not data: a permutation, offsets, strides.
struct Ints {
  static constexpr int kMax = 16;
  int64_t values[kMax] = {};
  int count = 0;
  int64_t operator[](int i) const { return values[i]; }
};

}  // namespace fastnn
