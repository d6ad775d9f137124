// All threading. A kernel is written SPMD: every member of the team runs it, and shares the work by
// tiles. Tiles are cut by problem size, never by thread count, and each tile's sums have a fixed
// order, so the bits of a result do not depend on who computes a tile. That frees the members to
// grab tiles as they go: each starts on its own share and then helps the others, so a core that
// another process borrows for a moment costs little more than that core.
//
// Rules: all members call tiles() and barrier() in the same order. tiles() does not wait at its
// end; a kernel that reads what another member wrote calls barrier() first. Between two kernels the
// executor puts the barrier.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace fastnn::team {

inline constexpr int kMaxMembers = 64;
inline constexpr int kLoops = 32;                 // tiles() calls between two barriers
inline constexpr size_t kLocalBytes = 4 << 20;    // private scratch of a member
inline constexpr size_t kSharedBytes = 16 << 20;  // scratch of the team

struct alignas(128) Cursor {
  int64_t next = 0;
};

struct Crew;
struct Watch;

// What float32 products may trade for speed. `float32`: what has about the error of plain sums,
// such as Winograd's convolutions; `float32_strict`: nothing, every product is made and added;
// `bfloat16`: operands are rounded to it where the processor multiplies those faster.
enum class Precision { float32, float32_strict, bfloat16 };

struct Member {
  int rank;
  int size;
  int loop;         // tiles() calls since the last barrier
  Cursor* cursors;  // [kLoops][size]
  void* local;
  void* shared;
  Crew* crew;
  Precision precision = Precision::float32;  // the same for all members at the same kernel
  const char* kernel = nullptr;              // running now, named in a fault
  int64_t slept_ns = 0;                      // at barriers, since the round began
  Watch* watch = nullptr;                    // where the results of the kernel could be undone
};

// The calling thread's membership; a lone member outside any region.
Member& self() noexcept;

void barrier() noexcept;

// A barrier behind which all have what the first member came with: for a choice that hangs on what
// one of them saw, such as the time, of ways that give the same bits.
int64_t agree(int64_t choice) noexcept;
int64_t now_ns() noexcept;

// What a kernel may find wrong with values that no shape shows. The first report of a run wins and
// becomes a ValueError: "<kernel>: <what> is <value>, expected 0 <= value < <limit>", or
// "<kernel>: <what>" without a limit. The kernel itself goes on and stays inside its arrays.
void fault(const char* what, int64_t value = 0, int64_t limit = -1) noexcept;

// True once the results of this kernel are going to be thrown away. A kernel that may take long
// asks between pieces of a few milliseconds and skips the rest, but none of its barriers, and
// nothing that it needs to stay inside its arrays.
bool broken_off() noexcept;

// Scratch of at least `bytes`, 64-byte aligned, or null where that is more than the limits above.
// The shared one may be in another member's hands: call barrier() before its first use if this
// kernel has not yet, and always after its last.
inline __attribute__((always_inline)) void* local_scratch(size_t bytes) noexcept {
  return bytes <= kLocalBytes ? self().local : nullptr;
}
inline __attribute__((always_inline)) void* shared_scratch(size_t bytes) noexcept {
  return bytes <= kSharedBytes ? self().shared : nullptr;
}

// --- for the executor --------------------------------------------------------------------------
struct Fault {
  const char* kernel = nullptr;
  const char* what = nullptr;
  int64_t value = 0, limit = -1;
};

// Over a run that may be broken off, and undone, because somebody wants the thread of the first
// member back: that one asks every 20 ms, and all part where they meet next.
struct Watch {
  bool (*asked)();
  int64_t next_look_ns = 0;
  int64_t next_stop = 0;  // where the members meet next, a place in the run
  int64_t stop = -1;      // where they part, if they do

  explicit Watch(bool (*asked)()) noexcept;
  void look() noexcept;  // for the first member; a call costs what telling the time costs
  bool stops() const noexcept { return stops_at() >= 0; }
  int64_t stops_at() const noexcept { return __atomic_load_n(&stop, __ATOMIC_RELAXED); }
};

// Threads a region may use: min(affinity, cgroup quota, OMP_NUM_THREADS), or what was set.
int max_threads() noexcept;
void set_max_threads(int n) noexcept;

// The precision of the runs that begin from now on.
Precision precision() noexcept;
void set_precision(Precision) noexcept;

// True once a member of the running team has reported a fault.
bool faulted() noexcept;

// While it lives, the first member of a team computes as if there were no others, who may be
// anywhere between the barrier before and the one after.
class Alone {
 public:
  Alone() : me_(self()), size_(me_.size), loop_(me_.loop) { me_.size = 1; }
  ~Alone() { me_.size = size_, me_.loop = loop_; }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;

 private:
  Member& me_;
  const int size_, loop_;
};

// Runs body(context) on `threads` members, with denormals flushed; returns the first fault.
Fault run(int threads, void (*body)(void*), void* context);

// The same for round after round, as long as next(context), called by the first member, says so.
// The team adapts between rounds: a member whose core was taken away is not waited for, and where
// much of a round went by in waiting, the next ones go on with fewer. Who takes part does not
// change the bits.
Fault run_rounds(int threads, bool (*next)(void*), void (*body)(void*), void* context);

}  // namespace fastnn::team

#ifdef FASTNN_ISA
namespace fastnn::FASTNN_ISA {

// Calls f(i) once for every tile i in [0, n), shared among the members.
template <class F>
inline __attribute__((always_inline)) void tiles(int64_t n, F f) {
  team::Member& me = team::self();
  if (me.size == 1) {
    for (int64_t i = 0; i < n; ++i) f(i);
    return;
  }
  if (me.loop == team::kLoops) team::barrier();
  team::Cursor* cursors = me.cursors + me.loop++ * me.size;
  for (int k = 0; k < me.size; ++k) {
    const int owner = me.rank + k < me.size ? me.rank + k : me.rank + k - me.size;
    const int64_t begin = n * owner / me.size, end = n * (owner + 1) / me.size;
    for (;;) {
      const int64_t i = begin + __atomic_fetch_add(&cursors[owner].next, 1, __ATOMIC_RELAXED);
      if (i >= end) break;
      f(i);
    }
  }
}

// Calls f(begin, end) over [0, n) in pieces of `grain`, shared among the members.
template <class F>
inline __attribute__((always_inline)) void pieces(int64_t n, int64_t grain, F f) {
  const int64_t count = (n + grain - 1) / grain;
  tiles(count, [&](int64_t i) {
    const int64_t begin = i * grain;
    f(begin, begin + grain < n ? begin + grain : n);
  });
}

inline bool is_first_member() { return team::self().rank == 0; }

}  // namespace fastnn::FASTNN_ISA
#endif
