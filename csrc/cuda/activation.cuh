// Activation formulas for kernels; NaN in gives NaN out.
#pragma once

#include "launch.cuh"

namespace fastnn::cuda {

struct Relu {
  template <class T>
  FN_DEVICE T operator()(T x) const {
    return x < T(0) ? T(0) : x;  // not x > 0 ? x : 0, which would turn NaN into 0
  }
};

struct ReluGrad {
  template <class T>
  FN_DEVICE T operator()(T y, T dy) const {
    return y > T(0) ? dy : T(0);
  }
};

struct Sigmoid {
  template <class T>
  FN_DEVICE T operator()(T x) const {
    return T(1) / (T(1) + std::exp(-x));
  }
};

struct Tanh {
  template <class T>
  FN_DEVICE T operator()(T x) const {
    return std::tanh(x);
  }
};

struct Exp {
  template <class T>
  FN_DEVICE T operator()(T x) const {
    return std::exp(x);
  }
};

}  // namespace fastnn::cuda
