// The host simulator: what launch.cuh's names mean without a GPU.
//
// Each thread of a block (a lane) is a fiber. One warp runs as far as it can, to a block barrier
// or its end, before the next warp starts; a fairer order would hide missing barriers. Shared
// memory and fresh device memory are filled with NaN bytes, asynchronous copies land only at the
// wait that covers them, and every block runs after the previous one. So a kernel that forgets a
// barrier, a wait or a bound gives NaN or a DeviceError that names kernel, block, lane and line.
// One launch at a time in a process; warps, barriers and memory are otherwise as on the device.
// It cannot show bank conflicts, coalescing, missing fences, or timing.
#pragma once

#include <cstring>
#include <functional>
#include <source_location>
#include <vector>

#include "fiber.h"

namespace fastnn::cuda {

using Site = std::source_location;

namespace sim {

// --- Schedules: the order of lanes in a warp (bit 0: down) and of warps and blocks (bit 1: down).
// FASTNN_SIM_SCHEDULE=0..3 sets the first one; `all` changes it at every launch.
constexpr int kSchedules = 4;
void set_schedule(int schedule);  // 0..3, or -1 for `all`

// --- Lanes
enum class State { kReady, kWarpWait, kBlockWait, kDone };

struct PendingCopy {
  void* to;
  const void* from;
  int bytes;
  bool valid;
  int group;
};

struct Lane {
  Fiber fiber;
  State state;
  Site site;  // where it waits, or last waited
  int id;     // in the block
  int warp_lane;
  Dim3 thread;
  std::uint64_t slot[2];  // values on offer in this collective and the one before
  unsigned collectives;
  std::vector<PendingCopy> copies;
  int committed;  // groups of copies
};

extern Lane* lane;  // the one that runs
extern Dim3 block, block_shape, grid_shape;

void wait(State state, const Site& site);  // lets others run until the wait is over
const Lane& lane_of_warp(int index);
[[noreturn]] void fail(const std::string& what, const Site& site);  // ends the launch

// --- Launch
struct Kernel {
  std::string_view name;
  std::function<void()> body;  // one thread's work
};

void submit(Stream stream, std::function<void()> work);  // runs it, or records it in a capture
void check_pointer(const void* p, int argument, std::string_view kernel);
void run(const Kernel& kernel, const LaunchCfg& cfg);

// --- Memory
void* shared_static(const void* key, std::size_t bytes, std::size_t align, const Site& site);
void* shared_dynamic(std::size_t bytes, const Site& site);
void check_access(const void* p, std::size_t bytes, const char* what, const Site& site);
void cp_async(void* shared, const void* global, int bytes, bool valid, const Site& site);
void cp_commit();
void cp_wait(int groups_left);

// --- Collectives. Lanes may be one collective apart, hence two slots.
std::uint64_t exchange_bits(std::uint64_t mine, int from, const Site& site);
unsigned ballot(bool p, const Site& site);

template <class T>
T exchange(T v, int from, const Site& site) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &v, sizeof v);
  bits = exchange_bits(bits, from, site);
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

}  // namespace sim

FN_DEVICE Dim3 thread_idx() { return sim::lane->thread; }
FN_DEVICE Dim3 block_idx() { return sim::block; }
FN_DEVICE Dim3 block_dim() { return sim::block_shape; }
FN_DEVICE Dim3 grid_dim() { return sim::grid_shape; }

inline void block_sync(Site site = Site::current()) { sim::wait(sim::State::kBlockWait, site); }

inline int atomic_add(int* p, int v) { return std::exchange(*p, *p + v); }
inline int atomic_max(int* p, int v) { return std::exchange(*p, *p < v ? v : *p); }
inline int atomic_cas(int* p, int expected, int v) {
  return std::exchange(*p, *p == expected ? v : *p);
}

inline void publish(int* p, int v) { *p = v; }

template <auto Kernel, class... Args>
void launch(const LaunchCfg& cfg, Args... args) {
  constexpr std::string_view name = kernel_name(__PRETTY_FUNCTION__);
  [[maybe_unused]] int i = 0;
  [[maybe_unused]] const auto check_argument = [&](auto arg) {
    ++i;
    if constexpr (std::is_pointer_v<decltype(arg)>) sim::check_pointer(arg, i, name);
  };
  (check_argument(args), ...);
  sim::submit(cfg.stream, [=] { sim::run({name, [=] { Kernel(args...); }}, cfg); });
}

}  // namespace fastnn::cuda

#define FN_SHARED(Struct, name)                                          \
  static_assert(sizeof(Struct) <= ::fastnn::cuda::kStaticSharedBytes,    \
                "more than 48 KB: use FN_DYN_SMEM and LaunchCfg::smem"); \
  static const char name##_key = 0;                                      \
  auto& name = *static_cast<Struct*>(::fastnn::cuda::sim::shared_static( \
      &name##_key, sizeof(Struct), alignof(Struct), ::fastnn::cuda::Site::current()))

#define FN_DYN_SMEM(Struct, name)     \
  auto& name = *static_cast<Struct*>( \
      ::fastnn::cuda::sim::shared_dynamic(sizeof(Struct), ::fastnn::cuda::Site::current()))
