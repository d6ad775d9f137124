// The simulator itself: planted bugs, each of which it must catch under every schedule, and the
// device interface it stands in for.
#include "check.h"

using namespace test;

namespace {

enum Bug {
  kNone,
  kNoBarrierInLoop,  // before the panel is used
  kNoBarrierBeforeReuse,
  kNoCopyWait,
  kWriteOutOfBounds,
  kReadOutOfBounds,
  kReturnBeforeBarrier,
};

// c (16, 16) = a (16, k) b (k, 16), a textbook tiled product: 16 x 16 threads, one panel buffer.
template <Bug kBug>
__global__ void small_gemm(const float* a, const float* b, float* c, int k) {
  struct Shared {
    float a[16][16], b[16][16];
  };
  FN_SHARED(Shared, s);
  const int x = thread_idx().x, y = thread_idx().y;
  if (kBug == kReturnBeforeBarrier && y == 15) return;
  float sum = 0;
  for (int k0 = 0; k0 < k; k0 += 16) {
    cp_async<4>(&s.a[y][x], a + y * k + k0 + x, true);
    cp_async<4>(&s.b[y][x], b + (k0 + y) * 16 + x, true);
    cp_commit();
    if (kBug != kNoCopyWait || k0 + 16 >= k) cp_wait<0>();
    if (kBug != kNoBarrierInLoop) block_sync();
    for (int d = 0; d < 16; ++d) sum += s.a[y][d] * s.b[d][x];
    if (kBug != kNoBarrierBeforeReuse) block_sync();
  }
  const int i = kBug == kWriteOutOfBounds && x == 15 && y == 15 ? 256 : y * 16 + x;
  if (kBug == kReadOutOfBounds && y == 3 && x == 5) sum += a[16 * k + 2];
  c[i] = sum;
}

// True when the simulator reported an error or the result is wrong.
template <Bug kBug>
bool caught(std::string* error = nullptr) {
  const int k = 64;
  const auto a = normal<float>(16 * k, 1), b = normal<float>(k * 16, 2);
  Array<float> da(a), db(b), dc(256);
  try {
    launch<small_gemm<kBug>>({1, {16, 16}}, da.get(), db.get(), dc.get(), k);
  } catch (const DeviceError& e) {
    if (error) *error = e.what();
    return true;
  }
  const auto c = dc.host();
  for (int i = 0; i < 256; ++i) {
    double want = 0, bound = 0;
    for (int d = 0; d < k; ++d) {
      want += static_cast<double>(a[i / 16 * k + d]) * b[d * 16 + i % 16];
      bound += std::abs(a[i / 16 * k + d] * b[d * 16 + i % 16]);
    }
    if (!agrees(c[i], want, bound * k * kEps<float>)) return true;
  }
  return false;
}

}  // namespace

CASE(sound_kernel_passes) {
  every_schedule([] {
    std::string error;
    expect(!caught<kNone>(&error), "a sound kernel fails: " + error);
  });
}

CASE(catches_missing_barrier_in_loop) {
  every_schedule([] { expect(caught<kNoBarrierInLoop>(), "missed"); });
}

CASE(catches_missing_barrier_before_reuse) {
  every_schedule([] { expect(caught<kNoBarrierBeforeReuse>(), "missed"); });
}

CASE(catches_missing_copy_wait) {
  every_schedule([] { expect(caught<kNoCopyWait>(), "missed"); });
}

CASE(catches_write_out_of_bounds) {
  every_schedule([] {
    expect_error(
        [] {
          std::string error;
          caught<kWriteOutOfBounds>(&error);
          if (!error.empty()) throw DeviceError(error);
        },
        {"out of bounds, 0 bytes past the end of an allocation of 1024 bytes", "small_gemm",
         "block (0,0,0) thread (15,15,0)", "simulator.cpp:"});
  });
}

CASE(catches_read_out_of_bounds) {
  every_schedule([] {
    std::string error;
    expect(caught<kReadOutOfBounds>(&error) && error.find("8 bytes past") != error.npos, error);
  });
}

CASE(catches_return_before_barrier) {
  every_schedule([] {
    std::string error;
    expect(caught<kReturnBeforeBarrier>(&error) && error.find("divergent barrier") != error.npos &&
               error.find("has returned") != error.npos,
           error);
  });
}

CASE(works_after_errors) {
  for (int i = 0; i < 20; ++i) {
    caught<kWriteOutOfBounds>();
    caught<kReturnBeforeBarrier>();
    expect(!caught<kNone>(), "an earlier error left traces");
  }
}

// --- One wrong kernel for each of the simulator's own checks.
namespace {

struct Floats {
  float v[64];
};

__global__ void two_barriers(int* p) {
  if (thread_idx().x < 32)
    block_sync();
  else
    block_sync();
  *p = 0;
}

__global__ void half_a_warp_shuffles(float* p) {
  if (thread_idx().x % 32 < 16) p[0] = warp::shfl_xor(1.0f, 1);
}

__global__ void misaligned_load(const float* x, float* y) { st16(y, ld16(x + 1)); }

__global__ void misaligned_copy(const float* x) {
  FN_SHARED(Floats, s);
  cp_async16(&s.v[0], x + 2);
}

__global__ void copy_past_the_end(const float* x) {
  FN_SHARED(Floats, s);
  if (thread_idx().x == 9) cp_async16(&s.v[0], x + 64);
  cp_commit();
  cp_wait<0>();
}

__global__ void copy_never_awaited(const float* x) {
  FN_SHARED(Floats, s);
  cp_async16(&s.v[0], x);
  cp_commit();
}

__global__ void writes_past_static_shared() {
  FN_SHARED(Floats, s);
  volatile int past = 64;
  s.v[past] = 1;
}

__global__ void writes_past_dynamic_shared() {
  FN_DYN_SMEM(Floats, s);
  volatile int past = 64;
  s.v[past] = 1;
}

__global__ void reads_fresh_shared(float* y) {
  FN_SHARED(Floats, s);
  y[thread_idx().x] = s.v[thread_idx().x];
}

__global__ void recurses_without_end(float* y) {
  volatile char waste[32768];
  waste[0] = 0;
  if (grid_dim().x == 1) recurses_without_end(y);
  y[0] = waste[0];
}

__global__ void writes_slack(char* p) {
  volatile int past = 5;
  p[past] = 0;
}

__global__ void writes_before(float* p) {
  volatile int before = -3;
  p[before] = 0;
}

__global__ void wild_write(float* p) { *(p + (std::int64_t{1} << 40)) = 0; }

struct Big {
  char bytes[40 * 1024];
};
__global__ void two_big_pieces(char* p) {
  FN_SHARED(Big, one);
  FN_SHARED(Big, two);
  *p = one.bytes[0] + two.bytes[0];
}

}  // namespace

CASE(catches_divergence) {
  Array<float> x(64);
  Array<int> i(1);
  every_schedule([&] {
    expect_error([&] { launch<two_barriers>({1, 64}, i.get()); },
                 {"divergent barrier", "two_barriers", "simulator.cpp:"});
    expect_error([&] { launch<half_a_warp_shuffles>({1, 32}, x.get()); },
                 {"divergent warp operation", "has returned"});
  });
}

CASE(catches_bad_vectors_and_copies) {
  Array<float> x(64), y(64);
  expect_error([&] { launch<misaligned_load>({1, 32}, x.get(), y.get()); },
               {"misaligned load of 16"});
  expect_error([&] { launch<misaligned_copy>({1, 32}, x.get()); }, {"misaligned cp_async load"});
  expect_error([&] { launch<copy_past_the_end>({1, 32}, x.get()); },
               {"cp_async load of 16 bytes out of bounds", "thread (9,0,0)", "simulator.cpp:"});
  expect_error([&] { launch<copy_never_awaited>({1, 32}, x.get()); }, {"no cp_wait covered"});
}

CASE(catches_misuse_of_shared_memory) {
  Array<float> y(32);
  Array<char> c(1);
  expect_error([] { launch<writes_past_static_shared>({1, 32}); },
               {"past the end of the shared memory"});
  expect_error([] { launch<writes_past_dynamic_shared>({1, 32, sizeof(Floats)}); },
               {"outside the block's shared memory"});
  expect_error([] { launch<writes_past_dynamic_shared>({1, 32, 128}); },
               {"FN_DYN_SMEM needs 256 bytes, the launch gave 128"});
  expect_error([&] { launch<two_big_pieces>({1, 32}, c.get()); }, {"more than a block has"});
  expect_error([&] { launch<two_big_pieces>({1, 32, kSharedBytes + 1}, c.get()); },
               {"a block has 232448"});
  launch<reads_fresh_shared>({1, 32}, y.get());
  for (float v : y.host()) expect(std::isnan(v), "shared memory starts as NaN");
}

CASE(catches_wild_addresses) {
  Array<char> c(5);
  {
    Array<float> z(64);
    expect_error([&] { launch<writes_before>({1, 32}, z.get()); }, {"wrote just before"});
  }
  expect_error([&] { launch<writes_slack>({1, 32}, c.get()); },
               {"wrote just past the end of an allocation of 5 bytes"});
}

CASE(catches_wild_pointers) {
  Array<float> x(64);
  float on_host[4] = {};
  expect_error([&] { launch<wild_write>({1, 32}, x.get()); }, {"outside all device memory"});
  expect_error([&] { launch<reads_fresh_shared>({1, 32}, on_host); },
               {"argument 1 is no device memory"});
  expect_error([&] { launch<recurses_without_end>({1, 32}, x.get()); }, {"simulator's stack"});
}

CASE(refuses_bad_launches) {
  Array<float> y(64);
  for (Dim3 block : {Dim3(33), Dim3(0), Dim3(1056), Dim3(1024, 2)})
    expect_error([&] { launch<reads_fresh_shared>({1, block}, y.get()); }, {"whole warps"});
  expect_error([&] { launch<reads_fresh_shared>({0, 32}, y.get()); }, {"grid (0,1,1)"});
  expect_error([&] { launch<reads_fresh_shared>({{1, 65536}, 32}, y.get()); }, {"65535"});
  expect_error([] { grid_for(int64_t{1} << 40, 2); }, {"does not fit a grid"});
}

// --- What kernels rely on.
namespace {

__global__ void collectives(int* down, int* from, unsigned* votes, float* sum, double* most) {
  const int t = thread_idx().x;
  down[t] = warp::shfl_down(t, 5);
  from[t] = warp::shfl(t, 7);
  votes[t] = warp::ballot(t % 3 == 0);
  sum[t] = warp::reduce(static_cast<float>(t), Sum{});
  most[t] = warp::reduce(t == 40 ? 99.5 : -t, Max{});
}

__global__ void count(int* counter, int* most) {
  atomic_add(counter, 1);
  atomic_max(most, block_idx().x * 1000 + thread_idx().x);
  if (atomic_cas(most, -5, 1) == -5) atomic_add(counter, 1000000);
}

__global__ void places(int* p) {
  const Dim3 b = block_idx(), t = thread_idx(), g = grid_dim(), d = block_dim();
  const int blocks = b.x + g.x * (b.y + g.y * b.z);
  const int threads = t.x + d.x * (t.y + d.y * t.z);
  p[blocks * d.x * d.y * d.z + threads] = warp::index() * 32 + warp::lane() + 1000 * blocks;
}

}  // namespace

CASE(warp_operations) {
  every_schedule([] {
    Array<int> down(64), from(64);
    Array<unsigned> votes(64);
    Array<float> sum(64);
    Array<double> most(64);
    launch<collectives>({1, 64}, down.get(), from.get(), votes.get(), sum.get(), most.get());
    for (int t = 0; t < 64; ++t) {
      const int warp = t / 32 * 32;
      expect(down.host()[t] == (t % 32 + 5 < 32 ? t + 5 : t), "shfl_down");
      expect(from.host()[t] == warp + 7, "shfl");
      unsigned bits = 0;
      for (int l = 0; l < 32; ++l) bits |= ((warp + l) % 3 == 0 ? 1u : 0u) << l;
      expect(votes.host()[t] == bits, "ballot");
      expect(sum.host()[t] == (warp ? 1520 : 496), "reduce sum");
      expect(most.host()[t] == (warp ? 99.5 : 0), "reduce max");
    }
  });
}

CASE(atomics_and_indices) {
  every_schedule([] {
    Array<int> counter(std::vector<int>{0}), most(std::vector<int>{-1}), p(2 * 3 * 2 * 64);
    launch<count>({3, 64}, counter.get(), most.get());
    expect(counter.host()[0] == 192 && most.host()[0] == 2063, "atomics");
    launch<places>({{2, 3, 2}, {8, 4, 2}}, p.get());
    for (int i = 0; i < p.n; ++i) expect(p.host()[i] == i / 64 * 1000 + i % 64, "indices");
  });
}

CASE(device_interface) {
  expect(device_count().count == 1 && device_count().error.empty(), "one simulated device");
  expect(device_info(0).simulated, "it says what it is");
  expect_error([] { device_use(1); }, {"GPU 1 does not exist"});
  expect(device_malloc(0) == nullptr, "nothing");
  Array<int> a(std::vector<int>{1, 2, 3}), b(3);
  copy_on_device(b, a, 12, nullptr);
  expect_same(b.host(), {1, 2, 3}, "copy");
  device_memset(b, 0, 8, nullptr);
  expect_same(b.host(), {0, 0, 3}, "memset");
  int v[4];
  expect_error([&] { copy_to_host(v, a, 16, nullptr); }, {"16 bytes", "out of bounds"});
  expect_error([&] { copy_to_device(b.get() + 1, v, 12, nullptr); }, {"out of bounds"});
  expect_error([] { sim::set_schedule(4); }, {"schedule"});
}

static __global__ void doubles(const float* x, float* y) {
  y[thread_idx().x] = 2 * x[thread_idx().x];
}

CASE(capture_and_replay) {
  const Stream stream = stream_create();
  Array<float> x(std::vector<float>(96, 1.0f)), y(96);
  capture_begin(stream);
  launch<doubles>({1, 96, 0, stream}, x.get(), y.get());
  copy_on_device(x, y, 384, stream);
  expect_error([&] { stream_sync(stream); }, {"not allowed in a capture"});
  expect_error([&] { copy_to_host(nullptr, x, 384, stream); }, {"not allowed in a capture"});
  Graph* graph = capture_end(stream);
  expect(x.host()[0] == 1 && std::isnan(y.host()[0]), "a capture runs nothing");
  for (int i = 0; i < 3; ++i) graph_launch(graph, stream);
  stream_sync(stream);
  for (float v : x.host()) expect(v == 8, "three replays");
  graph_destroy(graph);
  expect_error([&] { capture_end(stream); }, {"not being captured"});
  stream_destroy(stream);
}
