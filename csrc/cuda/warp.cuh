// Warp collectives, always with all 32 lanes in converged code, and the reductions built on them.
//
// reduce is a butterfly: every lane ends with the same bits, in an order that never changes.
// WarpGroup and BlockGroup let one row kernel serve short rows (a warp each) and long rows (a
// block each). Included by launch.cuh.
#pragma once

namespace fastnn::cuda {

struct Sum {
  template <class T>
  FN_DEVICE T operator()(T a, T b) const {
    return a + b;
  }
};

// NaN wins, as in NumPy: fmax would hide it.
struct Max {
  template <class T>
  FN_DEVICE T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
};

namespace warp {

#ifdef FASTNN_CUDA_SIM
FN_DEVICE int lane() { return sim::lane->warp_lane; }
FN_DEVICE int index() { return sim::lane->id / kWarp; }

template <class T>
T shfl_xor(T v, int mask, Site site = Site::current()) {
  return sim::exchange(v, lane() ^ mask, site);
}
template <class T>
T shfl_down(T v, int delta, Site site = Site::current()) {
  return sim::exchange(v, lane() + delta < kWarp ? lane() + delta : lane(), site);
}
template <class T>
T shfl(T v, int from, Site site = Site::current()) {
  return sim::exchange(v, from % kWarp, site);
}
inline unsigned ballot(bool p, Site site = Site::current()) { return sim::ballot(p, site); }
inline void sync(Site site = Site::current()) { sim::ballot(false, site); }
#else
constexpr unsigned kAll = 0xffffffffu;
FN_DEVICE int linear() {
  return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}
FN_DEVICE int lane() { return linear() % kWarp; }
FN_DEVICE int index() { return linear() / kWarp; }

template <class T>
FN_DEVICE T shfl_xor(T v, int mask, Site = {}) {
  return __shfl_xor_sync(kAll, v, mask);
}
template <class T>
FN_DEVICE T shfl_down(T v, int delta, Site = {}) {
  return __shfl_down_sync(kAll, v, delta);
}
template <class T>
FN_DEVICE T shfl(T v, int from, Site = {}) {
  return __shfl_sync(kAll, v, from);
}
FN_DEVICE unsigned ballot(bool p, Site = {}) { return __ballot_sync(kAll, p); }
FN_DEVICE void sync(Site = {}) { __syncwarp(); }
#endif

// All lanes get op over the warp.
template <class T, class Op>
FN_DEVICE T reduce(T v, Op op, Site site = Site::current()) {
  FN_UNROLL
  for (int mask = kWarp / 2; mask > 0; mask /= 2) v = op(v, shfl_xor(v, mask, site));
  return v;
}

}  // namespace warp

// Threads that share a row. Each has rank() of size, and reduce() gives all of them op over all.
struct WarpGroup {
  static constexpr int size = kWarp;
  struct Scratch {};
  FN_DEVICE explicit WarpGroup(Scratch&) {}
  FN_DEVICE int rank() const { return warp::lane(); }
  template <class Op>
  FN_DEVICE auto reduce(auto v, Op op) const {
    return warp::reduce(v, op);
  }
};

template <class T, int kThreads>
struct BlockGroup {
  static_assert(kThreads % kWarp == 0 && kThreads <= kWarp * kWarp);
  static constexpr int size = kThreads;
  struct Scratch {
    T v[kThreads / kWarp];
  };
  Scratch& scratch;
  FN_DEVICE explicit BlockGroup(Scratch& s) : scratch(s) {}
  FN_DEVICE int rank() const { return thread_idx().x; }
  template <class Op>
  FN_DEVICE T reduce(T v, Op op) const {
    v = warp::reduce(v, op);
    block_sync();  // the previous reduction may still be read
    if (warp::lane() == 0) scratch.v[warp::index()] = v;
    block_sync();
    v = scratch.v[0];
    for (int w = 1; w < kThreads / kWarp; ++w) v = op(v, scratch.v[w]);
    return v;
  }
};

}  // namespace fastnn::cuda
