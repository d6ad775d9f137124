// What metrics add up, in float64 tensors.
#include "body.h"
#include "map.cuh"

namespace fastnn::cuda {

namespace {

struct Plus {
  double value;
  FN_DEVICE double operator()(double total) const { return total + value; }
};

}  // namespace

void accumulate(In x, double scale, InOut total) noexcept {
  const auto with = [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      sum_launch(x.data<T>(), total.data<double>(), workspace(), 1, x.size(), 1,
                 Finish{scale, 1, true}, stream);
    });
  };
  switch (x.dtype()) {
    case DType::float32:
      return with(float{});
    case DType::float64:
      return with(double{});
    case DType::int32:
      return with(int32_t{});
    case DType::uint8:
      return with(std::uint8_t{});
    case DType::boolean:
      return with(bool{});
  }
}

void accumulate_constant(double value, InOut total) noexcept {
  enqueue([&](Stream stream) {
    double* p = total.data<double>();
    map_launch(Plus{value}, total.size(), stream, p, static_cast<const double*>(p));
  });
}

}  // namespace fastnn::cuda
