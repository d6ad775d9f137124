#include "array.h"

#include <string.h>

#include <stdexcept>

#include "backend.h"
#include "program.h"
#include "shapes.h"

namespace fastnn {

DType dtype_of(const std::string& text) {
  for (int i = 0; i < kDTypes; ++i)
    if (text == kDTypeNames[i]) return static_cast<DType>(i);
  throw std::invalid_argument("unknown dtype '" + text +
                              "', expected float32, float64, int32, uint8 or bool");
}

Device device_of(const std::string& text) {
  if (text == "cpu") return Device::cpu;
  if (text == "cuda") return Device::cuda;
  throw std::invalid_argument("unknown device '" + text + "', expected 'cpu' or 'cuda'");
}

void* Array::operator new(size_t bytes) { return memset(::operator new(bytes), 0, bytes); }

void Array::require_built() const {
  if (!block_)
    throw std::invalid_argument("this tensor was never initialised: its constructor did not run");
}

void Array::set_shape(const std::vector<int64_t>& shape) {
  if (shape.size() > kMaxRank)
    throw std::invalid_argument("a tensor has at most " + std::to_string(kMaxRank) +
                                " dimensions, got " + std::to_string(shape.size()));
  view_.rank = static_cast<int>(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) view_.shape[i] = shape[i];
}

int64_t Array::size() const {
  require_built();
  int64_t n = 1;
  for (int i = 0; i < view_.rank; ++i) n *= view_.shape[i];
  return n;
}

void Array::allocate(const std::vector<int64_t>& shape, DType dtype, Device device, Pool& pool) {
  set_shape(shape);
  const int64_t size = checked_size(view_.shape, view_.rank, item_bytes(dtype));
  if (device == Device::cuda) cuda_backend();  // a missing GPU is a DeviceError, not out of memory
  block_ = pool.allocate(static_cast<size_t>(size) * item_bytes(dtype));
  view_.data = block_->data;
  view_.dtype = dtype;
  view_.device = device;
}

Array::Array(const std::vector<int64_t>& shape, DType dtype, Device device) {
  const Program* program = Program::recording();
  const bool own = program && program->pool_device() == device;
  allocate(shape, dtype, device, own ? *program->pool() : *common_pool(device));
}

Array::Array(const void* values, const std::vector<int64_t>& shape, DType dtype, Device device) {
  allocate(shape, dtype, device, *common_pool(device));
  copy_from_host(values);
  if (Program* program = Program::recording()) {
    block_->constant = true;
    program->note_constant(values, static_cast<size_t>(bytes()));
  }
}

Array::Array(const Array& base, const std::vector<int64_t>& shape, int64_t offset)
    : block_(base.block_), view_(base.view_) {
  set_shape(shape);
  const size_t item = item_bytes(view_.dtype);
  const int64_t size = checked_size(view_.shape, view_.rank, item);
  if (offset < 0 || offset > base.size() || size > base.size() - offset)
    throw std::invalid_argument("a view of shape " + shape_text(view_) + " from element " +
                                std::to_string(offset) + " does not lie inside " +
                                shape_text(base.view_));
  view_.data = static_cast<char*>(view_.data) + static_cast<size_t>(offset) * item;
}

Array::Array(BlockPtr block, const std::vector<int64_t>& shape, DType dtype)
    : block_(std::move(block)) {
  set_shape(shape);
  checked_size(view_.shape, view_.rank, item_bytes(dtype));
  view_.data = block_->data;
  view_.dtype = dtype;
  view_.device = block_->device;
}

void Array::copy_from_host(const void* data) {
  if (block_->readonly) throw std::invalid_argument("this tensor's memory is read-only");
  if (view_.device == Device::cpu)
    memmove(view_.data, data, static_cast<size_t>(bytes()));  // it may be this very memory
  else
    check(cuda_backend().copy_in(view_.data, data, static_cast<size_t>(bytes())),
          "copy to the device");
}

void Array::copy_to_host(void* data) const {
  if (view_.device == Device::cpu) {
    memcpy(data, view_.data, static_cast<size_t>(bytes()));
  } else {
    check(cuda_backend().copy_out(data, view_.data, static_cast<size_t>(bytes())),
          "copy from the device");
    wait_for_cuda("copy from the device");  // what made these values may have found a fault
  }
}

void Array::rebind(const Array& other) {
  if (other.block()->readonly) throw std::invalid_argument("this tensor's memory is read-only");
  const bool same = view_.rank == other.view_.rank && view_.dtype == other.view_.dtype &&
                    view_.device == other.view_.device && shape() == other.shape();
  if (!same)
    throw std::invalid_argument("cannot move a tensor " + shape_text(view_) + " onto " +
                                shape_text(other.view_));
  if (view_.device == Device::cpu)
    memmove(other.view_.data, view_.data, static_cast<size_t>(bytes()));
  else
    check(cuda_backend().copy(other.view_.data, view_.data, static_cast<size_t>(bytes())),
          "copy on the device");
  if (lent_ && block_ != other.block_) left_.push_back(block_);
  lent_ = false;
  block_ = other.block_;
  view_ = other.view_;
}

}  // namespace fastnn
