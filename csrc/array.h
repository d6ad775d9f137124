// A tensor as Python holds it: a block, an offset into it and a view. Reshapes and row ranges share
// the block.
#pragma once
#include <string>
#include <vector>

#include "memory.h"
#include "tensor.h"

namespace fastnn {

class Array {
 public:
  Array(const std::vector<int64_t>& shape, DType dtype, Device device);
  // Another shape over the same elements, from element `offset` of `base` on.
  Array(const Array& base, const std::vector<int64_t>& shape, int64_t offset);
  // Memory of somebody else's, kept alive by `block`.
  Array(BlockPtr block, const std::vector<int64_t>& shape, DType dtype);

  const View& view() const { return view_; }
  const BlockPtr& block() const { return block_; }
  int64_t size() const;
  int64_t bytes() const { return size() * static_cast<int64_t>(item_bytes(view_.dtype)); }
  std::vector<int64_t> shape() const { return {view_.shape, view_.shape + view_.rank}; }

  void copy_from_host(const void* data);
  void copy_to_host(void* data) const;
  // Moves this array onto the memory of `other` (equal shape and type), values copied there first.
  void rebind(const Array& other);

 private:
  void set_shape(const std::vector<int64_t>& shape);

  BlockPtr block_;
  View view_;
};

DType dtype_of(const std::string& name);    // throws std::invalid_argument
Device device_of(const std::string& name);  // throws std::invalid_argument

}  // namespace fastnn
