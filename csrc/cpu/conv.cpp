// Convolution in NHWC, forward and both gradients, dense, grouped, depthwise and transposed.
//     x (n, h, w, g*c), W (r, s, c, g*k), y (n, p, q, g*k)
//     y[n,p,q,k] = sum over r, s, c of x[n, p*stride - pad + r*dilation, ..., c] W[r,s,c,k]
// A transposed convolution is the gradient of the input, with a bias and an activation.
#include "cpu/activate.h"
#include "cpu/conv_depthwise.h"
#include "cpu/conv_disjoint.h"
#include "cpu/conv_gemm.h"
#include "cpu/conv_weight_grad.h"
#include "cpu/conv_winograd.h"
#include "cpu/types.h"
#include "tensor.h"

namespace fastnn::FASTNN_ISA {
namespace {

// The two axes of x (n, h, w, .), w (r, s, ., .), y (n, p, q, .), and the channels of a group.
struct Geometry {
  Axis h, w;
  int64_t n, groups, c, k;

  Geometry(In x, In weights, In y, int64_t stride_h, int64_t stride_w, int64_t pad_top,
           int64_t pad_left, int64_t dilation_h, int64_t dilation_w, int64_t g)
      : h{x.dim(1), y.dim(1), weights.dim(0), stride_h, pad_top, dilation_h},
        w{x.dim(2), y.dim(2), weights.dim(1), stride_w, pad_left, dilation_w},
        n(x.dim(0)),
        groups(g),
        c(weights.dim(2)),
        k(weights.dim(3) / g) {}

  bool valid() const {
    if (h.fits() && w.fits()) return true;
    team::fault("strides, padding or dilation are too large");
    return false;
  }
  // More outputs of a channel fill the lanes of a product.
  bool depthwise() const { return c == 1 && groups > 1 && k < 8; }
  // A matrix product over pixels.
  bool pointwise() const {
    auto identity = [](const Axis& a) {
      return a.taps == 1 && a.stride == 1 && a.pad == 0 && a.in == a.out;
    };
    return groups == 1 && identity(h) && identity(w);
  }
};

template <class T>
void forward(const Geometry& s, In x, In w, In b, Out y, Activate<T> epilogue) {
  const T* bias = b ? b.data<T>() : nullptr;
  if (s.pointwise()) {
    Gemm<T> g;
    g.m = s.n * s.h.out * s.w.out;
    g.n = s.k;
    g.k = s.c;
    g.a = {.data = x.data<T>(), .ld = s.c};
    // A single column is contiguous either way.
    g.b =
        s.k == 1 ? Right<T>::column_major(w.data<T>(), s.c) : Right<T>::row_major(w.data<T>(), s.k);
    g.c = y.data<T>();
    g.ldc = s.k;
    g.add = bias;
    gemm_with_scratch(g, epilogue);
  } else if (s.depthwise()) {
    depthwise_forward<T>({s.n, s.groups, s.k, s.h, s.w}, x.data<T>(), w.data<T>(), bias,
                         y.data<T>(), epilogue);
  } else {
    const Sums<T> sums = {s.n,     s.groups, x.data<T>(), s.c,      y.data<T>(), s.h.out,
                          s.w.out, s.k,      w.data<T>(), s.w.taps, false,       bias};
    if constexpr (is_same<T, float>) {
      const WinogradSums<Activate<T>> winograd = {sums, Lattice::forward(s.h),
                                                  Lattice::forward(s.w), epilogue};
      if (winograd.pays()) return winograd.run();
    }
    run_sums(
        sums, 1, [&](int64_t) { return Lattice::forward(s.h); }, 1,
        [&](int64_t) { return Lattice::forward(s.w); }, s.h.taps * s.w.taps, epilogue);
  }
}

// Along an axis, the inputs before the first that no window sees any more: those behind it have no
// gradient. A layer that pools drops outputs that fill no window, and convolutions before it leave
// them out.
FASTNN_INLINE int64_t seen_inputs(const Axis& a) {
  if (a.out == 0 || a.taps == 0) return a.in;
  return larger(smaller(a.at(a.out - 1, a.taps - 1) + 1, a.in), 0);
}

// dx = 0 for the inputs from (h, w) on.
template <class T>
void zero_unseen(const Geometry& s, int64_t h, int64_t w, T* dx) {
  const int64_t channels = s.groups * s.c;
  if (h == s.h.in && w == s.w.in) return;
  pieces(s.n * s.h.in, 16, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      const int64_t first = line % s.h.in < h ? w : 0;
      zero_elements(dx + (line * s.w.in + first) * channels, (s.w.in - first) * channels);
    }
  });
}

// dx from dy; with a bias and an activation, the transposed convolution.
template <class T>
void backward(const Geometry& s, In dy, In w, In b, Out dx, Activate<T> epilogue) {
  const T* bias = b ? b.data<T>() : nullptr;
  if (s.pointwise()) {
    Gemm<T> g;
    g.m = s.n * s.h.in * s.w.in;
    g.n = s.c;
    g.k = s.k;
    g.a = {.data = dy.data<T>(), .ld = s.k};
    g.b = Right<T>::column_major(w.data<T>(), s.k);
    g.c = dx.data<T>();
    g.ldc = s.c;
    g.add = bias;
    gemm_with_scratch(g, epilogue);
  } else if (s.depthwise()) {
    depthwise_input_grad<T>({s.n, s.groups, s.k, s.h, s.w}, dy.data<T>(), w.data<T>(), bias,
                            dx.data<T>(), epilogue);
  } else if (const DisjointWindows<T, Activate<T>> disjoint = {s.n, s.c, s.k, s.h, s.w,
                                                               dy.data<T>(), w.data<T>(), bias,
                                                               dx.data<T>(), epilogue};
             s.groups == 1 && disjoint.fits()) {
    disjoint.run();
  } else {
    const Sums<T> sums = {s.n,    s.groups, dy.data<T>(), s.k,      dx.data<T>(), s.h.in,
                          s.w.in, s.c,      w.data<T>(),  s.w.taps, true,         bias};
    if constexpr (is_same<T, float>) {
      if (s.h.stride == 1 && s.w.stride == 1) {
        Axis h = s.h, w = s.w;
        if (!bias && epilogue.kind == Activation::linear)
          h.in = seen_inputs(h), w.in = seen_inputs(w);
        const WinogradSums<Activate<T>> winograd = {sums, Lattice::backward(h, 0),
                                                    Lattice::backward(w, 0), epilogue};
        if (winograd.pays()) {
          zero_unseen(s, h.in, w.in, dx.data<T>());
          return winograd.run();
        }
      }
    }
    run_sums(
        sums, smaller(s.h.stride, s.h.in), [&](int64_t i) { return Lattice::backward(s.h, i); },
        smaller(s.w.stride, s.w.in), [&](int64_t i) { return Lattice::backward(s.w, i); },
        s.h.taps * s.w.taps, epilogue);
  }
}

}  // namespace

void conv2d(In x, In w, In b, Out y, int64_t stride_h, int64_t stride_w, int64_t pad_top,
            int64_t pad_left, int64_t dilation_h, int64_t dilation_w, int64_t g, int64_t activation,
            double alpha) noexcept {
  const Geometry s(x, w, y, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, g);
  if (!s.valid() || !known(activation, "activation")) return;
  with_float(y.dtype(),
             [&](auto t) { forward<decltype(t)>(s, x, w, b, y, {(Activation)activation, alpha}); });
}

void conv2d_transpose(In x, In w, In b, Out y, int64_t stride_h, int64_t stride_w, int64_t pad_top,
                      int64_t pad_left, int64_t dilation_h, int64_t dilation_w, int64_t g,
                      int64_t activation, double alpha) noexcept {
  const Geometry s(y, w, x, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, g);
  if (!s.valid() || !known(activation, "activation")) return;
  with_float(y.dtype(), [&](auto t) {
    backward<decltype(t)>(s, x, w, b, y, {(Activation)activation, alpha});
  });
}

void conv2d_input_grad(In dy, In w, Out dx, int64_t stride_h, int64_t stride_w, int64_t pad_top,
                       int64_t pad_left, int64_t dilation_h, int64_t dilation_w,
                       int64_t g) noexcept {
  const View none;
  conv2d_transpose(dy, w, In(&none), dx, stride_h, stride_w, pad_top, pad_left, dilation_h,
                   dilation_w, g, (int64_t)Activation::linear, 0);
}

void conv2d_weight_grad(In x, In dy, Out dw, int64_t stride_h, int64_t stride_w, int64_t pad_top,
                        int64_t pad_left, int64_t dilation_h, int64_t dilation_w,
                        int64_t g) noexcept {
  const Geometry s(x, dw, dy, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, g);
  if (!s.valid()) return;
  with_float(dw.dtype(), [&](auto t) {
    using T = decltype(t);
    if constexpr (is_same<T, float>) {
      const WinogradWeightGrad winograd = {x.data<T>(),     dy.data<T>(), dw.data<T>(),
                                           {s.n, s.h, s.w}, s.c,          s.k};
      if (s.groups == 1 && winograd.pays()) return winograd.run();
    }
    if (s.depthwise())
      depthwise_weight_grad<T>({s.n, s.groups, s.k, s.h, s.w}, x.data<T>(), dy.data<T>(),
                               dw.data<T>());
    else
      WeightGrad<T>{x.data<T>(), dy.data<T>(), dw.data<T>(), s.n, s.groups, s.c, s.k, s.h, s.w}
          .run();
  });
}

}  // namespace fastnn::FASTNN_ISA
