// The team over OpenMP: one parallel region, our own barrier inside it (it spins for a moment, then
// sleeps, because the other core may belong to somebody else just now), per-member scratch that is
// touched once and kept, and the floating-point state of the caller restored on the way out.
//
// Rounds. The first member leads; the others wait at their doors and are let in round by round.
// That is where the team adapts to a core that it has to share: see gather() and judge().
#include "cpu/team.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <utility>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <omp.h>

#include "memory.h"

namespace fastnn::team {

// Where a member other than the first waits to be let into a round.
struct alignas(128) Door {
  uint32_t ticket = 0;  // changes when it opens
  int sleeping = 0;
  int present = 0;
  int rank = 0;
  // Of the thread behind it, which is the same as long as teams are of one size.
  int thread = 0;                 // its number in the system, once it has come
  const void* allowed = nullptr;  // the cores it may use by itself, a cpu_set_t
  int kept_off = -1;              // the core that it is kept off now

  void close(bool same_thread) {
    Door next;
    if (same_thread) next.thread = thread, next.allowed = allowed, next.kept_off = kept_off;
    *this = next;
  }
};

struct Crew {
  alignas(128) int arrived = 0;
  alignas(128) uint32_t generation = 0;
  int sleepers = 0;
  int64_t choices[2] = {};  // of agree(), in turn: the last one may still be read
  alignas(128) Cursor cursors[kLoops * kMaxMembers];
  Door doors[kMaxMembers];
  int size = 1;  // of the round
  int cpu = -1;  // where the first member runs
  bool over = false;
  Fault fault;
  int fault_taken = 0;
  // Where the machine is shared: at most `most` members until `hold_until_ns`.
  int most = kMaxMembers;
  int64_t hold_until_ns = 0, patience_ns = 0;
};

namespace {

// About 100 us of pauses, as long as it takes to wake a sleeper on a virtual machine: who sleeps
// while one member makes a small call by itself costs more than who spins.
constexpr int kSpins = 5000;
constexpr int kSpinsForLate = 200;
constexpr int64_t kLook_ns = 20'000'000;  // how often a run asks whether it is to be broken off
// Waking a sleeping thread takes up to 0.1 ms; one that lost its core is away for milliseconds.
constexpr int64_t kDisturbance_ns = 500'000;
constexpr int64_t kShortest_ns = 2'000'000, kLongest_ns = 64'000'000;

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

// Spins for a moment, then sleeps; how long it slept is added to `slept_ns`. Whoever changes the
// word wakes the sleepers, of whom there are `sleepers`.
void wait_for_change(uint32_t* word, uint32_t old, int* sleepers, int64_t* slept_ns) {
  for (int i = 0; i < kSpins; ++i) {
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != old) return;
    relax();
  }
  const int64_t begin = now_ns();
  __atomic_add_fetch(sleepers, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == old) sleep_while_equal(word, old);
  __atomic_sub_fetch(sleepers, 1, __ATOMIC_SEQ_CST);
  *slept_ns += now_ns() - begin;
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

// How many more threads the system would start now, up to `wanted`. libgomp ends the process where
// it cannot start one (limits of memory or of processes), so it is asked for no more than these;
// their stacks stay with the C library, for the real ones.
int threads_to_be_had(int wanted) {
  pthread_t threads[kMaxMembers];
  int count = 0, gate = 0;
  const auto wait = [](void* gate) -> void* {
    while (!__atomic_load_n(static_cast<int*>(gate), __ATOMIC_ACQUIRE)) sched_yield();
    return nullptr;
  };
  while (count < wanted && pthread_create(&threads[count], nullptr, wait, &gate) == 0) ++count;
  __atomic_store_n(&gate, 1, __ATOMIC_RELEASE);
  for (int i = 0; i < count; ++i) pthread_join(threads[i], nullptr);
  return count;
}

// A calling thread owns its scratch, so that several Python threads can compute at once.
thread_local struct Owned {
  Scratch scratch;
  Crew* crew = nullptr;
  int threads = 1;  // of its last region; libgomp keeps as many
  ~Owned() {
    for (void* p : scratch.local)
      if (p) munmap(p, kLocalBytes);
    if (scratch.shared) munmap(scratch.shared, kSharedBytes);
    delete crew;
  }
} owned;

thread_local Member lone{0, 1, 0, nullptr, nullptr, nullptr, nullptr};
thread_local Member* current = nullptr;

std::atomic<Precision> precision_setting{Precision::float32};

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

int64_t now_ns() noexcept {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

Member& self() noexcept { return current ? *current : lone; }

int max_threads() noexcept { return forked ? 1 : thread_setting(); }
void set_max_threads(int n) noexcept { thread_setting() = std::clamp(n, 1, kMaxMembers); }

Precision precision() noexcept { return precision_setting; }
void set_precision(Precision p) noexcept { precision_setting = p; }

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
  wait_for_change(&crew.generation, generation, &crew.sleepers, &me.slept_ns);
}

int64_t agree(int64_t choice) noexcept {
  Member& me = self();
  if (me.size == 1) {
    barrier();
    return choice;
  }
  Crew& crew = *me.crew;
  int64_t& place = crew.choices[__atomic_load_n(&crew.generation, __ATOMIC_ACQUIRE) % 2];
  if (me.rank == 0) place = choice;
  barrier();
  return place;
}

void fault(const char* what, int64_t value, int64_t limit) noexcept {
  Crew* crew = self().crew;
  if (!crew || __atomic_exchange_n(&crew->fault_taken, 1, __ATOMIC_ACQ_REL)) return;
  crew->fault = {self().kernel, what, value, limit};
}

Watch::Watch(bool (*asked)()) noexcept : asked(asked) {
  if (asked) next_look_ns = now_ns() + kLook_ns;
}

void Watch::look() noexcept {
  if (stops() || now_ns() < next_look_ns) return;
  if (asked()) __atomic_store_n(&stop, next_stop, __ATOMIC_RELAXED);
  next_look_ns = now_ns() + kLook_ns;
}

bool broken_off() noexcept {
  const Member& me = self();
  if (!me.watch) return false;
  if (me.rank == 0) me.watch->look();
  return me.watch->stops();
}

bool faulted() noexcept {
  const Crew* crew = self().crew;
  return crew && __atomic_load_n(&crew->fault_taken, __ATOMIC_ACQUIRE);
}

namespace {

void open(Door& door) {
  __atomic_add_fetch(&door.ticket, 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&door.sleeping, __ATOMIC_SEQ_CST)) wake_all(&door.ticket);
}

// Some machines (virtual ones whose caches the scheduler does not know) wake a thread on the core
// of whoever woke it and leave it there: two members then take turns on one core beside an idle
// one. So the others are kept off the first one's core, wherever it goes. (A team as large as a
// machine with many cores is spread by the scheduler, and would pay a call for every member.)
constexpr int kKeptApart = 8;

#if defined(__linux__)
int here() { return sched_getcpu(); }
int thread_id() { return static_cast<int>(syscall(SYS_gettid)); }

// The calling thread's cores as they were before this file narrowed them.
const void* own_cores() {
  thread_local const cpu_set_t cores = [] {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_ZERO(&set);
    return set;
  }();
  return &cores;
}

void keep_off(int thread, const void* allowed, int cpu) {
  cpu_set_t others = *static_cast<const cpu_set_t*>(allowed);
  if (cpu >= 0) CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) > 0) sched_setaffinity(thread, sizeof others, &others);
}
#else
int here() { return -1; }
int thread_id() { return 0; }
const void* own_cores() { return nullptr; }
void keep_off(int, const void*, int) {}
#endif

void keep_apart(Crew& crew, int count) {
  if (count > kKeptApart) return;
  const int cpu = here();
  __atomic_store_n(&crew.cpu, cpu, __ATOMIC_RELAXED);
  for (int id = 1; id < count; ++id) {
    Door& door = crew.doors[id];
    const int thread = __atomic_load_n(&door.thread, __ATOMIC_ACQUIRE);
    if (!thread || __atomic_exchange_n(&door.kept_off, cpu, __ATOMIC_RELAXED) == cpu) continue;
    keep_off(thread, door.allowed, cpu);
  }
}

// Whether a member has come to its door. Those who are late are given a moment, all together, and
// the core, should it be this one that they wait for.
bool is_present(const Door& door, int& spins) {
  for (; spins > 0; --spins) {
    if (__atomic_load_n(&door.present, __ATOMIC_ACQUIRE)) return true;
    relax();
    if (spins == 1) sched_yield();
  }
  return __atomic_load_n(&door.present, __ATOMIC_ACQUIRE);
}

// Opens the doors of those who take part in the next round. For the first round members may still
// be on their way; later one that is not back at its door, though it has had time to come, has lost
// its core, and the round goes on without it.
int gather(Crew& crew, int count, bool first) {
  const int most = std::min(count, crew.most);
  int size = 1, spins = kSpinsForLate, chosen[kMaxMembers];
  keep_apart(crew, count);
  for (int id = 1; id < count && size < most; ++id) {
    Door& door = crew.doors[id];
    if (!is_present(door, spins) && !first) continue;
    __atomic_store_n(&door.present, 0, __ATOMIC_RELAXED);
    chosen[size] = id;
    door.rank = size++;
  }
  crew.size = size;
  for (int r = 1; r < size; ++r) open(crew.doors[chosen[r]]);
  return size;
}

// After a round of `size` members, of whose time the first one slept a part: with 40 % and more the
// others bring less than they cost, so half of them stay out for a while, twice as long each time,
// and half as long after every round that went well.
void judge(Crew& crew, int size, int64_t begin_ns, int64_t slept_ns) {
  if (size == 1 && crew.hold_until_ns == 0) return;
  const int64_t end_ns = now_ns();
  if (slept_ns > kDisturbance_ns && 5 * slept_ns > 2 * (end_ns - begin_ns)) {
    crew.patience_ns = std::clamp(2 * crew.patience_ns, kShortest_ns, kLongest_ns);
    crew.most = std::max(1, size / 2);
    crew.hold_until_ns = end_ns + crew.patience_ns;
    return;
  }
  if (size > 1) crew.patience_ns /= 2;
  if (crew.hold_until_ns && end_ns > crew.hold_until_ns) {
    crew.most = kMaxMembers;
    crew.hold_until_ns = 0;
  }
}

void lead(Member& me, int count, bool (*next)(void*), void (*body)(void*), void* context) {
  Crew& crew = *me.crew;
  if (count > 1 && now_ns() >= crew.hold_until_ns) crew.most = kMaxMembers, crew.hold_until_ns = 0;
  for (bool first = true; next(context); first = false) {
    me.size = count == 1 ? 1 : gather(crew, count, first);
    me.slept_ns = 0;
    const int64_t begin_ns = count == 1 ? 0 : now_ns();
    body(context);
    barrier();  // clears the cursors and orders all writes
    if (count > 1) judge(crew, me.size, begin_ns, me.slept_ns);
  }
  crew.over = true;
  for (int id = 1; id < count; ++id) open(crew.doors[id]);
}

void follow(Member& me, Door& door, int count, void (*body)(void*), void* context) {
  if (count <= kKeptApart) {
    const int cpu = __atomic_load_n(&me.crew->cpu, __ATOMIC_RELAXED);
    door.allowed = own_cores();
    if (here() == cpu && __atomic_exchange_n(&door.kept_off, cpu, __ATOMIC_RELAXED) != cpu)
      keep_off(0, door.allowed, cpu);
    __atomic_store_n(&door.thread, thread_id(), __ATOMIC_RELEASE);
  }
  for (uint32_t seen = 0;; ++seen) {  // a ticket a round
    __atomic_store_n(&door.present, 1, __ATOMIC_RELEASE);
    wait_for_change(&door.ticket, seen, &door.sleeping, &me.slept_ns);
    if (me.crew->over) return;
    me.rank = door.rank;
    me.size = me.crew->size;
    body(context);
    barrier();
  }
}

}  // namespace

Fault run_rounds(int threads, bool (*next)(void*), void (*body)(void*), void* context) {
  if (current) {  // already inside a run: the caller's member goes on alone
    while (next(context)) body(context);
    return {};
  }
  threads = std::clamp(threads, 1, max_threads());
  if (!owned.crew) owned.crew = new Crew;
  if (!prepare(owned.scratch, threads)) {
    threads = 1;  // of little memory one member makes the most
    if (!prepare(owned.scratch, 1)) throw OutOfMemory(kSharedBytes + kLocalBytes, Device::cpu);
  }
  if (threads > owned.threads) threads = owned.threads + threads_to_be_had(threads - owned.threads);
  Crew& crew = *owned.crew;
  Scratch& scratch = owned.scratch;
  crew.arrived = 0;
  crew.sleepers = 0;
  crew.over = false;
  crew.fault = {};
  crew.fault_taken = 0;
  for (int id = 1; id < threads; ++id) crew.doors[id].close(threads == owned.threads);
  auto work = [&, chosen = precision()](int id, int count) {
    FlushDenormals flush;
    Member me{id, count, 0, crew.cursors, scratch.local[id], scratch.shared, &crew, chosen};
    current = &me;
    if (id == 0)
      lead(me, count, next, body, context);
    else
      follow(me, crew.doors[id], count, body, context);
    current = nullptr;
  };
  if (threads == 1) {
    work(0, 1);
  } else {
    owned.threads = threads;
#pragma omp parallel num_threads(threads)
    work(omp_get_thread_num(), omp_get_num_threads());
  }
  return crew.fault;
}

Fault run(int threads, void (*body)(void*), void* context) {
  struct Once {
    void (*body)(void*);
    void* context;
    bool done;
  } once{body, context, false};
  // A region waits for all its members at its end, so a disturbed team opens a smaller one.
  if (const Crew* crew = owned.crew; crew && crew->hold_until_ns && now_ns() < crew->hold_until_ns)
    threads = std::min(threads, crew->most);
  return run_rounds(
      threads, [](void* o) { return !std::exchange(static_cast<Once*>(o)->done, true); },
      [](void* o) { static_cast<Once*>(o)->body(static_cast<Once*>(o)->context); }, &once);
}

}  // namespace fastnn::team
