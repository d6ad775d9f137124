// Moving data: 16-byte loads and stores, and asynchronous copies into shared memory.
//
// The only file with inline assembly. cp_async starts a copy, cp_commit closes a group of them,
// cp_wait<N> waits until at most the N latest groups are still under way; the block sees the data
// after a block_sync. The simulator delays each copy until the wait that covers it.
// Included by launch.cuh.
#pragma once

namespace fastnn::cuda {

// Neighbouring elements that travel together: Pack<float> has 4, Pack<double> 2.
template <class T, int N = 16 / sizeof(T)>
struct alignas(N * sizeof(T)) Pack {
  static constexpr int size = N;
  T v[N];
  FN_HOST_DEVICE T& operator[](int i) { return v[i]; }
  FN_HOST_DEVICE const T& operator[](int i) const { return v[i]; }
};

// True where every pointer can be read in packs of `bytes`.
template <class... P>
bool aligned(std::size_t bytes, const P*... p) {
  return ((reinterpret_cast<std::uintptr_t>(p) % bytes == 0) && ...);
}

#ifdef FASTNN_CUDA_SIM

template <int N, class T>
Pack<T, N> load_pack(const T* p, Site site = Site::current()) {
  sim::check_access(p, sizeof(Pack<T, N>), "load", site);
  Pack<T, N> pack;
  std::memcpy(&pack, p, sizeof pack);
  return pack;
}

template <int N, class T>
void store_pack(T* p, const Pack<T, N>& pack, Site site = Site::current()) {
  sim::check_access(p, sizeof pack, "store", site);
  std::memcpy(static_cast<void*>(p), &pack, sizeof pack);
}

template <int kBytes>
void cp_async(void* shared, const void* global, bool valid, Site site = Site::current()) {
  sim::cp_async(shared, global, kBytes, valid, site);
}
inline void cp_commit() { sim::cp_commit(); }
template <int N>
void cp_wait() {
  sim::cp_wait(N);
}

#else

template <int N, class T>
FN_DEVICE Pack<T, N> load_pack(const T* p, Site = {}) {
  return *reinterpret_cast<const Pack<T, N>*>(p);
}

template <int N, class T>
FN_DEVICE void store_pack(T* p, const Pack<T, N>& pack, Site = {}) {
  *reinterpret_cast<Pack<T, N>*>(p) = pack;
}

// Copies 4, 8 or 16 bytes, both addresses aligned so; not valid: writes zeros, reads nothing.
template <int kBytes>
FN_DEVICE void cp_async(void* shared, const void* global, bool valid, Site = {}) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int source_bytes = valid ? kBytes : 0;
  if constexpr (kBytes == 16)  // .cg: past L1, which holds nothing worth keeping here
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global),
                 "r"(source_bytes)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(global),
                 "n"(kBytes), "r"(source_bytes)
                 : "memory");
}
FN_DEVICE void cp_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N>
FN_DEVICE void cp_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

#endif

template <class T>
FN_DEVICE Pack<T> ld16(const T* p, Site site = Site::current()) {
  return load_pack<16 / sizeof(T)>(p, site);
}
template <class T>
FN_DEVICE void st16(T* p, const Pack<T>& pack, Site site = Site::current()) {
  store_pack(p, pack, site);
}
FN_DEVICE void cp_async16(void* shared, const void* global, bool valid = true,
                          Site site = Site::current()) {
  cp_async<16>(shared, global, valid, site);
}

}  // namespace fastnn::cuda
