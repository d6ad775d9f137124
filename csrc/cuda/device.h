// The device behind one small C++ interface: memory, copies, streams, graphs.
//
// Two implementations, chosen at build time: device.cu stands on the CUDA runtime (linked
// statically, so the library loads on a machine without a driver) and sim/device_sim.cpp on the
// host simulator. This header names no CUDA type, so plain C++ files include it.
// Every failure is a fastnn::DeviceError; only device_count() reports one as text instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

struct CUstream_st;  // what cudaStream_t points to

namespace fastnn {

struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace fastnn

namespace fastnn::cuda {

using Stream = ::CUstream_st*;  // nullptr: the legacy default stream
struct Graph;                   // a captured sequence of launches and copies, ready to replay

struct DeviceCount {
  int count;          // 0 when there is nothing to use
  std::string error;  // why count is 0: no driver, driver too old, no device
};

struct DeviceInfo {
  std::string name;
  int capability;  // 90 for compute capability 9.0
  int multiprocessors;
  std::size_t memory_bytes;
  bool simulated;
};

// Never throws and never crashes, whatever the machine lacks.
DeviceCount device_count() noexcept;
// Makes `index` current for this thread. Throws with device_count's text where it cannot.
void device_use(int index);
DeviceInfo device_info(int index);

void* device_malloc(std::size_t bytes);  // bytes == 0 gives nullptr
void device_free(void* p) noexcept;

// Copies are ordered on the stream. Host memory that is not pinned makes the first two wait.
void copy_to_device(void* dst, const void* src, std::size_t bytes, Stream stream);
void copy_to_host(void* dst, const void* src, std::size_t bytes, Stream stream);
void copy_on_device(void* dst, const void* src, std::size_t bytes, Stream stream);
void device_memset(void* dst, int byte, std::size_t bytes, Stream stream);

void* pinned_malloc(std::size_t bytes);  // host memory that copies asynchronously
void pinned_free(void* p) noexcept;

Stream stream_create();  // non-blocking: it does not wait for the default stream
void stream_destroy(Stream stream) noexcept;
void stream_sync(Stream stream);  // waits, and throws what failed in the meantime

// Between begin and end, launches and device copies on `stream` are recorded, not run.
// No allocation, synchronisation or host copy belongs in between.
void capture_begin(Stream stream);
Graph* capture_end(Stream stream);
void graph_launch(Graph* graph, Stream stream);
void graph_destroy(Graph* graph) noexcept;

}  // namespace fastnn::cuda
