// The scheduler and the checks of sim.h.
#include "../launch.cuh"

#include <csignal>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "memory.h"

namespace fastnn::cuda::sim {

Lane* lane = nullptr;
Dim3 block, block_shape, grid_shape;

namespace {

constexpr int kMaxThreads = 1024;
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kStackBytes = 256 * 1024;
#else
constexpr std::size_t kStackBytes = 64 * 1024;
#endif
constexpr std::size_t kRedZone = 64;  // after each static piece of shared memory
constexpr std::size_t kNear = 4096;   // a fault this close to a region is counted to it

struct Piece {
  const void* key;
  char* first;
  std::size_t bytes;
  Site site;
};

// Everything about the launch in progress.
std::mutex launching;
std::unique_ptr<Lane[]> lanes;
char* stacks[kMaxThreads];
Fiber scheduler;
const Kernel* kernel;
std::string error;  // set by fail(); ends the launch
char* arena;        // static pieces from the front, dynamic memory flush against the end
std::size_t arena_used, dynamic_bytes;
std::vector<Piece> pieces;

std::string text(Dim3 d) {
  return "(" + std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z) + ")";
}

std::string text(const Site& s) {
  const std::string_view path = s.file_name();
  return std::string(path.substr(path.find_last_of('/') + 1)) + ":" + std::to_string(s.line());
}

bool same(const Site& a, const Site& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         std::strcmp(a.file_name(), b.file_name()) == 0;
}

std::string where(const Lane& l) { return "block " + text(block) + " thread " + text(l.thread); }

// --- Schedules
int schedule_from_environment() {
  const char* s = std::getenv("FASTNN_SIM_SCHEDULE");
  if (!s || !*s) return 0;
  if (!std::strcmp(s, "all")) return -1;
  if (s[0] >= '0' && s[0] < '0' + kSchedules && !s[1]) return s[0] - '0';
  throw DeviceError("FASTNN_SIM_SCHEDULE must be 0, 1, 2, 3 or all, not '" + std::string(s) + "'");
}

int& chosen_schedule() {
  static int schedule = schedule_from_environment();
  return schedule;
}

// --- Lanes
void lane_main() {
  fiber_entered(scheduler);
  kernel->body();
  bool waiting = false;
  for (const PendingCopy& c : lane->copies) waiting |= c.valid;
  if (waiting) fail("it ends with a cp_async that no cp_wait covered", lane->site);
  lane->state = State::kDone;
  switch_to(lane->fiber, scheduler);
  std::abort();  // a lane that is done is never resumed
}

void resume(Lane& l) {
  lane = &l;
  switch_to(scheduler, l.fiber);
  lane = nullptr;
  if (!error.empty()) throw DeviceError(error);
}

[[noreturn]] void launch_error(const std::string& what) {
  throw DeviceError("kernel " + std::string(kernel->name) + ": " + what);
}

// Runs one warp until each of its lanes is at a block barrier or done.
void run_warp(Lane* warp, bool lanes_down) {
  for (;;) {
    for (int i = 0; i < kWarp; ++i) {
      Lane& l = warp[lanes_down ? kWarp - 1 - i : i];
      if (l.state == State::kReady) resume(l);
    }
    const Lane* collective = nullptr;
    for (int i = 0; i < kWarp; ++i)
      if (warp[i].state == State::kWarpWait) collective = &warp[i];
    if (!collective) return;
    for (int i = 0; i < kWarp; ++i) {
      const Lane& l = warp[i];
      if (l.state == State::kWarpWait && same(l.site, collective->site)) continue;
      launch_error("divergent warp operation: " + where(*collective) + " is at " +
                   text(collective->site) + ", but " + where(l) +
                   (l.state == State::kDone ? " has returned" : " is at " + text(l.site)));
    }
    for (int i = 0; i < kWarp; ++i) warp[i].state = State::kReady;
  }
}

// Ends a round, in which every warp ran: true when the block is done.
bool barrier_complete(int threads) {
  const Lane* waits = nullptr;
  const Lane* done = nullptr;
  for (int i = 0; i < threads; ++i) (lanes[i].state == State::kDone ? done : waits) = &lanes[i];
  if (!waits) return true;
  if (done)
    launch_error("divergent barrier: " + where(*waits) + " waits at " + text(waits->site) +
                 ", but " + where(*done) + " has returned");
  for (int i = 0; i < threads; ++i) {
    if (!same(lanes[i].site, waits->site))
      launch_error("divergent barrier: " + where(*waits) + " waits at " + text(waits->site) +
                   ", but " + where(lanes[i]) + " waits at " + text(lanes[i].site));
    lanes[i].state = State::kReady;
  }
  return false;
}

char* dynamic_memory() { return arena + kSharedBytes - (dynamic_bytes + 15) / 16 * 16; }

void run_block(int threads, int schedule) {
  const bool lanes_down = schedule & 1, warps_down = schedule & 2;
  arena_used = 0;
  pieces.clear();
  std::memset(dynamic_memory(), kPoison, arena + kSharedBytes - dynamic_memory());
  for (int i = 0; i < threads; ++i) {
    Lane& l = lanes[i];
    l.state = State::kReady;
    l.site = Site();
    l.id = i;
    l.warp_lane = i % kWarp;
    l.thread = Dim3(i % block_shape.x, i / block_shape.x % block_shape.y,
                    i / block_shape.x / block_shape.y);
    l.collectives = l.committed = 0;
    l.copies.clear();
    fiber_start(l.fiber, stacks[i], kStackBytes, lane_main);
  }
  const int warps = threads / kWarp;
  do {
    for (int w = 0; w < warps; ++w)
      run_warp(&lanes[(warps_down ? warps - 1 - w : w) * kWarp], lanes_down);
  } while (!barrier_complete(threads));
  for (const Piece& p : pieces)
    for (std::size_t i = 0; i < kRedZone; ++i)
      if (static_cast<unsigned char>(p.first[p.bytes + i]) != kPoison)
        launch_error("block " + text(block) + " wrote past the end of the shared memory of " +
                     text(p.site));
}

// --- A touched guard page, or any other wild address, ends the launch like another error.
struct sigaction previous_segv, previous_bus;

void on_fault(int number, siginfo_t* info, void*) {
  if (!lane) {  // not in a kernel: none of our business
    sigaction(number, number == SIGSEGV ? &previous_segv : &previous_bus, nullptr);
    return;
  }
  const auto* stack = stacks[lane->id];
  const auto* p = static_cast<const char*>(info->si_addr);
  if (p < stack && p >= stack - kNear)
    fail("a thread's local variables need more than the simulator's stack", lane->site);
  if (p >= arena - kNear && p < arena + kSharedBytes + kNear)
    fail("access outside the block's shared memory", lane->site);
  fail("access out of bounds, " + memory_describe(p), lane->site);
}

// Catches faults while it lives. The handler leaves its stack by a fiber switch, so the signal
// must not stay blocked (SA_NODEFER) and it needs a stack of its own (the lane's may be full).
struct FaultGuard {
  static constexpr std::size_t kBytes = 64 * 1024;
  stack_t previous_stack;
  FaultGuard() {
    static char* const own = static_cast<char*>(guarded_pages(kBytes));
    stack_t s{};
    s.ss_sp = own;
    s.ss_size = kBytes;
    sigaltstack(&s, &previous_stack);
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaction(SIGSEGV, &action, &previous_segv);
    sigaction(SIGBUS, &action, &previous_bus);
  }
  ~FaultGuard() {
    sigaction(SIGSEGV, &previous_segv, nullptr);
    sigaction(SIGBUS, &previous_bus, nullptr);
    sigaltstack(&previous_stack, nullptr);
  }
};

void check_shape(const LaunchCfg& cfg, long threads) {
  const Dim3 g = cfg.grid, b = cfg.block;
  if (b.x < 1 || b.y < 1 || b.z < 1 || threads > kMaxThreads || threads % kWarp != 0)
    launch_error("block " + text(b) + " must be 1 to 32 whole warps");
  if (g.x < 1 || g.y < 1 || g.z < 1 || g.y > 65535 || g.z > 65535)
    launch_error("grid " + text(g) + " must be at least 1 and at most 65535 in y and z");
  if (cfg.smem > kSharedBytes)
    launch_error(std::to_string(cfg.smem) + " bytes of shared memory asked for, a block has " +
                 std::to_string(kSharedBytes));
}

}  // namespace

void set_schedule(int schedule) {
  if (schedule < -1 || schedule >= kSchedules) throw DeviceError("no such simulator schedule");
  chosen_schedule() = schedule;
}

void run(const Kernel& k, const LaunchCfg& cfg) {
  const std::lock_guard lock(launching);
  static unsigned launches = 0;
  const int schedule = chosen_schedule() < 0 ? launches % kSchedules : chosen_schedule();
  ++launches;
  kernel = &k;
  const long threads = static_cast<long>(cfg.block.x) * cfg.block.y * cfg.block.z;
  check_shape(cfg, threads);
  if (!arena) arena = static_cast<char*>(guarded_pages(kSharedBytes));
  if (!lanes) lanes = std::make_unique<Lane[]>(kMaxThreads);
  for (int i = 0; i < threads; ++i)
    if (!stacks[i]) stacks[i] = static_cast<char*>(guarded_pages(kStackBytes));

  const FaultGuard guard;
  error.clear();
  dynamic_bytes = cfg.smem;
  block_shape = cfg.block;
  grid_shape = cfg.grid;
  const std::int64_t blocks = std::int64_t{cfg.grid.x} * cfg.grid.y * cfg.grid.z;
  for (std::int64_t i = 0; i < blocks; ++i) {
    const std::int64_t b = schedule & 2 ? blocks - 1 - i : i;
    block = Dim3(static_cast<int>(b % cfg.grid.x), static_cast<int>(b / cfg.grid.x % cfg.grid.y),
                 static_cast<int>(b / cfg.grid.x / cfg.grid.y));
    run_block(static_cast<int>(threads), schedule);
  }
  const std::string damage = memory_damage();
  if (!damage.empty()) launch_error(damage);
}

// Never returns, so nothing on the lane's stack is destroyed: an error leaks a few strings.
void fail(const std::string& what, const Site& site) {
  error = "kernel " + std::string(kernel->name) + ", " + where(*lane) +
          (site.line() ? ", at " + text(site) : "") + ": " + what;
  switch_to(lane->fiber, scheduler);
  std::abort();
}

void wait(State state, const Site& site) {
  lane->state = state;
  lane->site = site;
  switch_to(lane->fiber, scheduler);
}

const Lane& lane_of_warp(int index) { return lanes[lane->id / kWarp * kWarp + index]; }

void check_pointer(const void* p, int argument, std::string_view name) {
  if (p && !memory_holds(p, 0))
    throw DeviceError("kernel " + std::string(name) + ": argument " + std::to_string(argument) +
                      " is no device memory: " + memory_describe(p));
}

// --- Shared memory
void* shared_static(const void* key, std::size_t bytes, std::size_t align, const Site& site) {
  for (const Piece& p : pieces)
    if (p.key == key) return p.first;
  align = align < 16 ? 16 : align;
  const std::size_t first = (arena_used + align - 1) / align * align;
  const std::size_t counted = first + bytes - pieces.size() * kRedZone;  // as the device would
  if (counted > kStaticSharedBytes || counted + dynamic_bytes > kSharedBytes)
    fail("the kernel's FN_SHARED need more than a block has: " + std::to_string(counted) +
             " bytes, besides " + std::to_string(dynamic_bytes) + " of dynamic memory",
         site);
  arena_used = first + bytes + kRedZone;
  if (arena_used > static_cast<std::size_t>(dynamic_memory() - arena))
    fail("the kernel's shared memory does not fit, red zones included", site);
  std::memset(arena + first, kPoison, bytes + kRedZone);
  pieces.push_back({key, arena + first, bytes, site});
  return arena + first;
}

void* shared_dynamic(std::size_t bytes, const Site& site) {
  if (bytes > dynamic_bytes)
    fail("FN_DYN_SMEM needs " + std::to_string(bytes) + " bytes, the launch gave " +
             std::to_string(dynamic_bytes),
         site);
  return dynamic_memory();
}

// --- Checked accesses
static bool in_arena(const void* p, std::size_t bytes) {
  const auto* c = static_cast<const char*>(p);
  if (c >= dynamic_memory() && c + bytes <= arena + kSharedBytes) return true;
  for (const Piece& piece : pieces)
    if (c >= piece.first && c + bytes <= piece.first + piece.bytes) return true;
  return false;
}

void check_access(const void* p, std::size_t bytes, const char* what, const Site& site) {
  if (reinterpret_cast<std::uintptr_t>(p) % bytes != 0)
    fail("misaligned " + std::string(what) + " of " + std::to_string(bytes) + " bytes", site);
  if (!in_arena(p, bytes) && !memory_holds(p, bytes))
    fail(std::string(what) + " of " + std::to_string(bytes) + " bytes out of bounds, " +
             memory_describe(p),
         site);
}

// --- Asynchronous copies
void cp_async(void* shared, const void* global, int bytes, bool valid, const Site& site) {
  if (!in_arena(shared, bytes)) fail("cp_async writes outside the block's shared memory", site);
  check_access(shared, bytes, "cp_async store", site);
  if (valid) check_access(global, bytes, "cp_async load", site);
  std::memset(shared, kPoison, bytes);  // from now on the old content is not to be read
  lane->copies.push_back({shared, global, bytes, valid, lane->committed});
}

void cp_commit() { ++lane->committed; }

void cp_wait(int groups_left) {
  std::erase_if(lane->copies, [&](const PendingCopy& c) {
    if (c.group >= lane->committed - groups_left) return false;
    c.valid ? std::memcpy(c.to, c.from, c.bytes) : std::memset(c.to, 0, c.bytes);
    return true;
  });
}

// --- Collectives
std::uint64_t exchange_bits(std::uint64_t mine, int from, const Site& site) {
  const unsigned turn = lane->collectives++ % 2;
  lane->slot[turn] = mine;
  wait(State::kWarpWait, site);
  return lane_of_warp(from).slot[turn];
}

unsigned ballot(bool p, const Site& site) {
  const unsigned turn = lane->collectives++ % 2;
  lane->slot[turn] = p;
  wait(State::kWarpWait, site);
  unsigned bits = 0;
  for (int i = 0; i < kWarp; ++i) bits |= static_cast<unsigned>(lane_of_warp(i).slot[turn]) << i;
  return bits;
}

}  // namespace fastnn::cuda::sim
