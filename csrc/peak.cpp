#include "peak.h"

#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <utility>

#include "backend.h"
#include "cpu/team.h"

namespace fastnn::peak {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// --- multiply-adds -------------------------------------------------------------------------------
constexpr int64_t kTurns = 20'000;  // about 0.1 ms
constexpr int kChains = 12;  // enough for two units of latency 4 to 5, and no register spilled
float sink;                  // so that no compiler finds the sums useless

// One function an instruction set; without FMA instructions the compiler makes it a multiplication
// and an addition.
#define FASTNN_CHAINS(isa, vec_bytes, attributes)                    \
  attributes void chains_##isa() {                                   \
    typedef float V __attribute__((vector_size(vec_bytes)));         \
    V x = V{} + 0.999f, y = V{} + 0.001f, a[kChains];                \
    for (V& v : a) v = V{} + 1.5f;                                   \
    asm volatile("" : "+m"(x), "+m"(y));                             \
    const V factor = x, term = y;                                    \
    for (int64_t i = 0; i < kTurns; ++i)                             \
      _Pragma("GCC unroll 12") for (V& v : a) v = v * factor + term; \
    for (const V& v : a) x += v;                                     \
    float first = x[0];                                              \
    __atomic_store(&sink, &first, __ATOMIC_RELAXED);                 \
  }
FASTNN_CHAINS(baseline, 16, __attribute__((noinline)))
#if defined(__x86_64__)
FASTNN_CHAINS(avx2, 32, __attribute__((noinline, target("avx2,fma"))))
FASTNN_CHAINS(avx512, 64, __attribute__((noinline, target("avx512f,prefer-vector-width=512"))))
#endif

struct Chains {
  void (*run)();
  int lanes;
};

Chains chains_of(const std::string& isa) {
#if defined(__x86_64__)
  if (isa == "avx512") return {chains_avx512, 16};
  if (isa == "avx2") return {chains_avx2, 8};
#endif
  return {chains_baseline, 4};
}

// --- timing --------------------------------------------------------------------------------------
// The greatest speed, amount(members) a second, of several rounds in which every member of a team
// calls work(member). Rounds are short: a moment in which all cores are free is found soon. A team
// that was disturbed a moment ago comes with fewer members; it is waited for.
template <class Amount, class Work>
double greatest(int threads, int rounds, Amount amount, Work work) {
  struct Context {
    Work& work;
    int rounds;
    double seconds = 1e9;
    int members = 1;
  };
  threads = std::clamp(threads, 1, team::max_threads());
  double speed = 0;
  for (int attempt = 0; attempt < 8; ++attempt) {
    if (attempt) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    Context context{work, rounds};
    const auto body = [](void* c) {
      Context& x = *static_cast<Context*>(c);
      const team::Member& me = team::self();
      for (int r = 0; r < x.rounds; ++r) {
        team::barrier();
        const double begin = now();
        x.work(me);
        team::barrier();
        if (me.rank == 0) x.seconds = std::min(x.seconds, now() - begin);
      }
      if (me.rank == 0) x.members = me.size;
    };
    team::run(threads, body, &context);
    speed = std::max(speed, amount(context.members) / context.seconds);
    if (context.members == threads) break;
  }
  return speed;
}

struct Free {
  void operator()(void* p) const { free(p); }
};

}  // namespace

double flops(int threads) {
  const Chains chains = chains_of(current_isa());
  return greatest(
      threads, 60, [&](int members) { return 2.0 * kChains * chains.lanes * kTurns * members; },
      [&](const team::Member&) { chains.run(); });
}

double bytes(int threads, size_t bytes) {
  constexpr size_t kPage = 4096;
  const size_t n = std::max((bytes / 2 + 63) / 64 * 64, size_t{64});  // of each of the two arrays
  const std::unique_ptr<char, Free> from(static_cast<char*>(aligned_alloc(64, n))),
      to(static_cast<char*>(aligned_alloc(64, n)));
  if (!from || !to) throw std::bad_alloc();
  memset(from.get(), 1, n);
  for (size_t i = 0; i < n; i += kPage) to.get()[i] = 1;  // pages are there before the clock runs
  // Small arrays are copied several times a round, so that the barriers' time does not count.
  const size_t repeats = std::max((size_t{1} << 21) / n, size_t{1});
  const size_t rounds = std::clamp((size_t{192} << 20) / (n * repeats), size_t{4}, size_t{40});
  const auto copy = [&](const team::Member& me) {
    const size_t lines = n / 64, rank = static_cast<size_t>(me.rank),
                 size = static_cast<size_t>(me.size);
    const size_t begin = lines * rank / size * 64, end = lines * (rank + 1) / size * 64;
    for (size_t k = 0; k < repeats; ++k) {
      memcpy(to.get() + begin, from.get() + begin, end - begin);
      asm volatile("" ::: "memory");
    }
  };
  const double amount = 2.0 * static_cast<double>(n) * static_cast<double>(repeats);
  return greatest(threads, static_cast<int>(rounds), [&](int) { return amount; }, copy);
}

Peaks of(int threads) {
  constexpr size_t kMemoryBytes = 128 << 20;  // beyond most caches
  static std::mutex mutex;
  static std::map<std::pair<std::string, int>, Peaks> known;
  const std::lock_guard lock(mutex);
  const std::pair key(std::string(current_isa()), threads);
  auto found = known.find(key);
  if (found == known.end())
    found = known.emplace(key, Peaks{flops(threads), bytes(threads, kMemoryBytes)}).first;
  return found->second;
}

}  // namespace fastnn::peak
