// The team over OpenMP: one parallel region, our own barrier inside it (it spins for a moment, then
// sleeps, because the other core may belong to somebody else just now), per-member scratch that is
// touched once and kept, and the floating-point state of the caller restored on the way out.
#include "cpu/team.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <mutex>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <omp.h>

namespace fastnn::team {

struct Crew {
  alignas(128) int arrived = 0;
  alignas(128) uint32_t generation = 0;
  int sleepers = 0;
  alignas(128) Cursor cursors[kLoops * kMaxMembers];
  Fault fault;
  int fault_taken = 0;
};

namespace {

constexpr int kSpins = 2000;  // about 40 us of pauses, several times a balanced wait

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void sleep_while_equal(uint32_t* word, uint32_t value) {
#if defined(__linux__)
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
#else
  sched_yield();
#endif
}

void wake_all(uint32_t* word) {
#if defined(__linux__)
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
#endif
}

// Denormal operands cost 50 to 100 times a normal one; a run flushes them and puts the caller's
// state back.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" ::"r"(saved_ | (1ull << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }

 private:
  uint64_t saved_;
#endif
};

// Scratch of one team: reserved once, paged in as it is first used.
struct Scratch {
  void* local[kMaxMembers] = {};
  void* shared = nullptr;
};

void* reserve(size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

bool prepare(Scratch& s, int members) {
  if (!s.shared && !(s.shared = reserve(kSharedBytes))) return false;
  for (int i = 0; i < members; ++i)
    if (!s.local[i] && !(s.local[i] = reserve(kLocalBytes))) return false;
  return true;
}

// A calling thread owns its scratch, so that several Python threads can compute at once.
thread_local struct Owned {
  Scratch scratch;
  Crew* crew = nullptr;
  ~Owned() {
    for (void* p : scratch.local)
      if (p) munmap(p, kLocalBytes);
    if (scratch.shared) munmap(scratch.shared, kSharedBytes);
    delete crew;
  }
} owned;

thread_local Member lone{0, 1, 0, nullptr, nullptr, nullptr, nullptr, nullptr};
thread_local Member* current = nullptr;

// libgomp's threads do not survive fork(): the child computes on one thread.
bool forked = false;

int cgroup_quota() {
  auto read = [](const char* path, long& a, long& b) {
    FILE* f = fopen(path, "r");
    if (!f) return 0;
    char text[64] = {};
    const size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    return n ? sscanf(text, "%ld %ld", &a, &b) : 0;
  };
  long quota = 0, period = 0, ignored = 0;
  if (read("/sys/fs/cgroup/cpu.max", quota, period) == 2 && quota > 0 && period > 0)
    return std::max(1L, quota / period);
  if (read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, ignored) == 1 && quota > 0 &&
      read("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, ignored) == 1 && period > 0)
    return std::max(1L, quota / period);
  return kMaxMembers;
}

int detect_threads() {
  pthread_atfork(nullptr, nullptr, [] { forked = true; });
  int n = kMaxMembers;
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
#else
  n = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
#endif
  n = std::min(n, cgroup_quota());
  if (const char* text = getenv("OMP_NUM_THREADS"))
    if (const int wanted = atoi(text); wanted > 0) n = std::min(n, wanted);
  return std::clamp(n, 1, kMaxMembers);
}

int& thread_setting() {
  static int n = detect_threads();
  return n;
}

}  // namespace

Member& self() noexcept { return current ? *current : lone; }

int max_threads() noexcept { return forked ? 1 : thread_setting(); }
void set_max_threads(int n) noexcept { thread_setting() = std::clamp(n, 1, kMaxMembers); }

void barrier() noexcept {
  Member& me = self();
  if (me.size == 1) {
    me.loop = 0;
    return;
  }
  Crew& crew = *me.crew;
  const int loops = me.loop;
  me.loop = 0;
  const uint32_t generation = __atomic_load_n(&crew.generation, __ATOMIC_ACQUIRE);
  if (__atomic_add_fetch(&crew.arrived, 1, __ATOMIC_ACQ_REL) == me.size) {
    for (int i = 0; i < loops * me.size; ++i) crew.cursors[i].next = 0;
    crew.arrived = 0;
    __atomic_store_n(&crew.generation, generation + 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&crew.sleepers, __ATOMIC_SEQ_CST)) wake_all(&crew.generation);
    return;
  }
  for (int i = 0; i < kSpins; ++i) {
    if (__atomic_load_n(&crew.generation, __ATOMIC_ACQUIRE) != generation) return;
    relax();
  }
  __atomic_add_fetch(&crew.sleepers, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&crew.generation, __ATOMIC_SEQ_CST) == generation)
    sleep_while_equal(&crew.generation, generation);
  __atomic_sub_fetch(&crew.sleepers, 1, __ATOMIC_SEQ_CST);
}

void fault(const char* what, int64_t value, int64_t limit) noexcept {
  Crew* crew = self().crew;
  if (!crew || __atomic_exchange_n(&crew->fault_taken, 1, __ATOMIC_ACQ_REL)) return;
  crew->fault = {self().kernel, what, value, limit};
}

bool faulted() noexcept {
  const Crew* crew = self().crew;
  return crew && __atomic_load_n(&crew->fault_taken, __ATOMIC_ACQUIRE);
}

Fault run(int threads, void (*body)(void*), void* context) {
  if (current) {  // already inside a run: the caller's member goes on alone
    body(context);
    return {};
  }
  threads = std::clamp(threads, 1, max_threads());
  if (!owned.crew) owned.crew = new Crew;
  if (!prepare(owned.scratch, threads)) throw std::bad_alloc();
  Crew& crew = *owned.crew;
  Scratch& scratch = owned.scratch;
  crew.arrived = 0;
  crew.sleepers = 0;
  crew.fault = {};
  crew.fault_taken = 0;
  auto work = [&](int rank, int size) {
    FlushDenormals flush;
    Member me{rank, size, 0, crew.cursors, scratch.local[rank], scratch.shared, &crew, nullptr};
    current = &me;
    body(context);
    barrier();  // clears the cursors and orders all writes before the return
    current = nullptr;
  };
  if (threads == 1) {
    work(0, 1);
  } else {
#pragma omp parallel num_threads(threads)
    work(omp_get_thread_num(), omp_get_num_threads());
  }
  return crew.fault;
}

}  // namespace fastnn::team
