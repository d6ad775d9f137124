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
  // A copy of host values. In a recording it is a constant, with memory of its own that no later
  // call of the step takes over.
  Array(const void* values, const std::vector<int64_t>& shape, DType dtype, Device device);
  // Another shape over the same elements, from element `offset` of `base` on.
  Array(const Array& base, const std::vector<int64_t>& shape, int64_t offset);
  // Memory of somebody else's, kept alive by `block`.
  Array(BlockPtr block, const std::vector<int64_t>& shape, DType dtype);

  // Python can make an object without running its constructor, and pybind11 then hands out memory
  // as it found it. Zeroed, that is an array without a block, which every access below refuses.
  static void* operator new(size_t bytes);
  static void operator delete(void* p) { ::operator delete(p); }

  const View& view() const {
    require_built();
    return view_;
  }
  const BlockPtr& block() const {
    require_built();
    return block_;
  }
  int64_t size() const;
  int64_t bytes() const { return size() * static_cast<int64_t>(item_bytes(view_.dtype)); }
  std::vector<int64_t> shape() const { return {view().shape, view().shape + view().rank}; }

  void copy_from_host(const void* data);
  void copy_to_host(void* data) const;
  // Moves this array onto the memory of `other` (equal shape and type), values copied there first.
  void rebind(const Array& other);
  // Somebody outside goes on reading this memory (NumPy, a memoryview): a rebind keeps it.
  void lend() { lent_ = true; }

 private:
  void require_built() const;  // throws std::invalid_argument
  void set_shape(const std::vector<int64_t>& shape);
  void allocate(const std::vector<int64_t>& shape, DType dtype, Device device, Pool& pool);

  BlockPtr block_;
  View view_;
  bool lent_ = false;
  std::vector<BlockPtr> left_;  // lent blocks that this array was moved away from
};

DType dtype_of(const std::string& name);    // throws std::invalid_argument
Device device_of(const std::string& name);  // throws std::invalid_argument

}  // namespace fastnn
