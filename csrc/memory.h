// Memory in blocks. Eager calls draw from a cache of freed blocks by size; while a program is being
// recorded, blocks come from that program's private pool and go back to it in execution order, and
// that reuse IS the program's memory plan.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "dtype.h"

namespace fastnn {

struct OutOfMemory : std::bad_alloc {
  std::string text;
  OutOfMemory(size_t bytes, Device device, const char* why = nullptr)
      : text("out of memory: " + std::to_string(bytes) + " bytes wanted on " + name(device) +
             (why ? std::string(" (") + why + ")" : "")) {}
  const char* what() const noexcept override { return text.c_str(); }
};

struct Block {
  void* data = nullptr;
  size_t bytes = 0;
  Device device = Device::cpu;
  bool readonly = false;
  bool constant = false;  // made from host values in a recording: replays find it as it is now
  bool scratch = false;   // of no use when a step has ended, whatever its pool
  const class Pool* pool = nullptr;  // where it goes back to
  std::function<void(Block&)> release;

  Block() = default;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() {
    if (release) release(*this);
  }
};

using BlockPtr = std::shared_ptr<Block>;

// Freed blocks by size class; all memory it ever took is returned when the pool dies, which every
// living block of it prevents.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  explicit Pool(Device device) : device_(device) {}
  ~Pool();
  BlockPtr allocate(size_t bytes);
  size_t reserved_bytes() const { return reserved_; }
  // Returns cached free memory to the system.
  void trim();
  // Nobody allocates in between: round a fork, whose child would find a lock held by no thread.
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  const Device device_;
  std::mutex mutex_;
  std::multimap<size_t, void*> free_;
  size_t reserved_ = 0;
};

// The pool that eager calls use.
const std::shared_ptr<Pool>& common_pool(Device device);

}  // namespace fastnn
