// The simulator's device memory, see memory.h.
#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <new>

namespace fastnn::cuda::sim {

namespace {

using Address = std::uintptr_t;
constexpr std::size_t kBefore = 256;  // bytes watched in front of an allocation
constexpr std::size_t kAlign = 16;

std::size_t page_bytes() {
  static const std::size_t bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

// One page, n bytes rounded up to pages, one page; nullptr when there is no room.
char* map_guarded(std::size_t bytes) {
  const std::size_t page = page_bytes(), inside = round_up(bytes, page);
  void* all = mmap(nullptr, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return nullptr;
  char* first = static_cast<char*>(all) + page;
  if (mprotect(first, inside, PROT_READ | PROT_WRITE) != 0) {
    munmap(all, inside + 2 * page);
    return nullptr;
  }
  return first;
}

std::mutex mutex;
std::map<Address, std::size_t> live;  // first byte -> bytes asked for

// The allocation that p lies in or is nearest to; there is one.
std::pair<const Address, std::size_t> nearest(Address p) {
  auto after = live.upper_bound(p);
  if (after == live.begin()) return *after;
  const auto before = std::prev(after);
  const Address end = before->first + before->second;
  if (after != live.end() && p >= end && after->first - p < p - end) return *after;
  return *before;
}

bool poisoned(Address from, Address to) {
  const auto* p = reinterpret_cast<const unsigned char*>(from);
  return std::all_of(p, p + (to - from), [](unsigned char b) { return b == kPoison; });
}

std::string bytes_text(std::size_t n) { return std::to_string(n) + (n == 1 ? " byte" : " bytes"); }

}  // namespace

void* guarded_pages(std::size_t bytes) {
  char* first = map_guarded(bytes);
  if (!first) throw std::bad_alloc();
  return first + round_up(bytes, page_bytes()) - bytes;
}

void* memory_allocate(std::size_t bytes) {
  const std::size_t inside = round_up(bytes, kAlign) + kBefore;
  if (inside < bytes) throw std::bad_alloc();
  char* first = map_guarded(inside);
  if (!first) throw std::bad_alloc();
  char* end = first + round_up(inside, page_bytes());
  char* data = end - round_up(bytes, kAlign);
  std::memset(data - kBefore, kPoison, end - data + kBefore);
  const std::lock_guard lock(mutex);
  live[reinterpret_cast<Address>(data)] = bytes;
  return data;
}

void memory_free(void* p) noexcept {
  const std::lock_guard lock(mutex);
  const auto found = live.find(reinterpret_cast<Address>(p));
  if (found == live.end()) return;
  const std::size_t page = page_bytes();
  const std::size_t inside = round_up(round_up(found->second, kAlign) + kBefore, page);
  char* end = static_cast<char*>(p) + round_up(found->second, kAlign);
  live.erase(found);
  munmap(end - inside - page, inside + 2 * page);
}

bool memory_holds(const void* p, std::size_t bytes) {
  const std::lock_guard lock(mutex);
  const auto a = reinterpret_cast<Address>(p);
  auto after = live.upper_bound(a);
  if (after == live.begin()) return false;
  const auto& [first, size] = *std::prev(after);
  return a - first <= size && bytes <= size - (a - first);
}

std::string memory_describe(const void* p) {
  const std::lock_guard lock(mutex);
  if (live.empty()) return "outside all device memory";
  const auto a = reinterpret_cast<Address>(p);
  const auto [first, size] = nearest(a);
  const std::string of = " an allocation of " + bytes_text(size);
  const std::size_t far = std::size_t{1} << 30;
  if (a >= first && a < first + size) return bytes_text(a - first) + " into" + of;
  if (a >= first + size && a - first - size < far)
    return bytes_text(a - first - size) + " past the end of" + of;
  if (a < first && first - a < far) return bytes_text(first - a) + " before" + of;
  return "outside all device memory";
}

std::string memory_damage() {
  const std::lock_guard lock(mutex);
  for (const auto& [first, size] : live) {
    if (!poisoned(first + size, first + round_up(size, kAlign)))
      return "wrote just past the end of an allocation of " + bytes_text(size);
    if (!poisoned(first - kBefore, first))
      return "wrote just before an allocation of " + bytes_text(size);
  }
  return "";
}

}  // namespace fastnn::cuda::sim
