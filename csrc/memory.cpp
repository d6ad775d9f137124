#include "memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <new>
#include <string>

#include "backend.h"

namespace fastnn {

namespace {

constexpr size_t kAlign = 64;
constexpr size_t kHugePage = size_t{2} << 20;

// Powers of two and their halves in between waste at most a third and make blocks reusable.
size_t size_class(size_t bytes) {
  if (bytes <= kAlign) return kAlign;
  size_t power = kAlign;
  while (power < bytes) power *= 2;
  const size_t between = power / 4 * 3;
  return bytes <= between && between % kAlign == 0 ? between : power;
}

// Large blocks ask for huge pages: whoever touches one first then waits for one page fault in 2 MB
// instead of 512, which took half the time of a model's first step, and kernels miss fewer entries
// of the TLB. It is a wish: where the system has none, pages are small.
void* host_allocate(size_t bytes) {
  if (bytes < kHugePage) return aligned_alloc(kAlign, bytes);
  void* p = aligned_alloc(kHugePage, bytes);
#ifdef MADV_HUGEPAGE
  if (p) madvise(p, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return p;
}

void* system_allocate(size_t bytes, Device device) {
  void* p = nullptr;
  const char* why = nullptr;
  if (device == Device::cpu)
    p = host_allocate(bytes);
  else
    why = cuda_backend().allocate(bytes, &p);
  if (!p) throw OutOfMemory(bytes, device, why);
  return p;
}

// The simulator watches the bounds of every allocation; a block with room to spare would hide what
// it is there to find.
bool is_exact(Device device) { return device == Device::cuda && cuda_backend().exact_memory; }

void system_free(void* p, Device device) {
  if (device == Device::cpu)
    free(p);
  else
    cuda_backend().free(p);
}

// FASTNN_POISON=1 fills every block with NaN bytes, so that a kernel that leaves an output
// unwritten shows in any test.
bool poison() {
  static const bool on = getenv("FASTNN_POISON") != nullptr;
  return on;
}

void fill_with_nan(const Block& block) {
  if (block.device == Device::cpu) {
    memset(block.data, 0xff, block.bytes);
  } else if (is_exact(block.device)) {
    const std::string bytes(block.bytes, '\xff');
    check(cuda_backend().copy_in(block.data, bytes.data(), block.bytes), "poison");
  }
}

}  // namespace

BlockPtr Pool::allocate(size_t bytes) {
  if (bytes > SIZE_MAX / 4) throw OutOfMemory(bytes, device_);
  const bool exact = is_exact(device_);
  const size_t size = exact ? bytes + !bytes : size_class(bytes);
  void* data = nullptr;
  {
    std::lock_guard lock(mutex_);
    // A block up to twice the size serves; a larger one would be wasted on this request.
    const auto it = free_.lower_bound(size);
    if (it != free_.end() && it->first <= (exact ? size : 2 * size)) {
      auto block = std::make_shared<Block>();
      block->data = it->second;
      block->bytes = it->first;
      free_.erase(it);
      block->device = device_;
      block->pool = this;
      // A program's calls go on using freed blocks; of other memory the simulator watches the end
      // too.
      const bool frees = exact && this == common_pool(device_).get();
      block->release = [pool = shared_from_this(), frees](Block& b) {
        std::lock_guard lock(pool->mutex_);
        if (frees) {
          system_free(b.data, b.device);
          pool->reserved_ -= b.bytes;
        } else {
          pool->free_.emplace(b.bytes, b.data);
        }
      };
      if (poison()) fill_with_nan(*block);
      return block;
    }
  }
  try {
    data = system_allocate(size, device_);
  } catch (const std::bad_alloc&) {
    trim();
    data = system_allocate(size, device_);
  }
  {
    std::lock_guard lock(mutex_);
    free_.emplace(size, data);
    reserved_ += size;
  }
  return allocate(bytes);
}

void Pool::trim() {
  std::lock_guard lock(mutex_);
  for (const auto& [size, data] : free_) {
    system_free(data, device_);
    reserved_ -= size;
  }
  free_.clear();
}

Pool::~Pool() { trim(); }

const std::shared_ptr<Pool>& common_pool(Device device) {
  // Never destroyed: tensors of the interpreter's last breath still return their blocks.
  static auto* cpu = new std::shared_ptr<Pool>(std::make_shared<Pool>(Device::cpu));
  static auto* cuda = new std::shared_ptr<Pool>(std::make_shared<Pool>(Device::cuda));
  // A fork in the middle of another thread's allocation would leave the child's pools locked.
  static const int guarded = pthread_atfork([] { (*cpu)->lock(), (*cuda)->lock(); },
                                            [] { (*cuda)->unlock(), (*cpu)->unlock(); },
                                            [] { (*cuda)->unlock(), (*cpu)->unlock(); });
  (void)guarded;
  return device == Device::cpu ? *cpu : *cuda;
}

}  // namespace fastnn
