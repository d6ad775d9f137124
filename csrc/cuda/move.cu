// Moving elements without looking at them.
#include "body.h"
#include "broadcast.cuh"

namespace fastnn::cuda {

void fill(Out y, double value) noexcept {
  const auto with = [&](auto one) {
    using T = decltype(one);
    enqueue([&](Stream stream) { fill_launch(y.data<T>(), one, y.size(), stream); });
  };
  switch (y.dtype()) {
    case DType::float32:
      return with(static_cast<float>(value));
    case DType::float64:
      return with(value);
    case DType::int32:
      return with(static_cast<int32_t>(value));
    case DType::uint8:
      return with(static_cast<std::uint8_t>(value));
    case DType::boolean:
      return with(static_cast<std::uint8_t>(value != 0));
  }
}

void copy(In x, Out y) noexcept {
  const std::size_t bytes = static_cast<std::size_t>(x.size()) * item_bytes(x.dtype());
  enqueue([&](Stream stream) { copy_on_device(y.data<void>(), x.data<void>(), bytes, stream); });
}

void broadcast_copy(In x, Out y) noexcept {
  if (y.size() == 0) return;
  with_bytes(x.dtype(), [&](auto t) {
    using T = decltype(t);
    enqueue([&](Stream stream) {
      const Broadcast<1> plan(y, {x});
      launch<broadcast_copy_kernel<T>>(
          {grid_for(plan.total, kBroadcastThreads), kBroadcastThreads, 0, stream}, plan,
          x.data<T>(), y.data<T>());
    });
  });
}

}  // namespace fastnn::cuda
