// device.h on the simulator: work runs at once, on the calling thread, in the order it is given.
#include "../launch.cuh"

#include <map>
#include <memory>
#include <mutex>
#include <new>

#include "memory.h"

struct CUstream_st {};  // a stream is only an identity here

namespace fastnn::cuda {

struct Graph {
  std::vector<std::function<void()>> work;
};

namespace {
std::mutex mutex;
std::map<Stream, std::unique_ptr<Graph>> captures;

Graph* capture_of(Stream stream) {
  const std::lock_guard lock(mutex);
  const auto found = captures.find(stream);
  return found == captures.end() ? nullptr : found->second.get();
}

void refuse_in_capture(Stream stream, const char* what) {
  if (capture_of(stream)) throw DeviceError(std::string(what) + " is not allowed in a capture");
}

void check_range(const void* p, std::size_t bytes, const char* what) {
  if (!sim::memory_holds(p, bytes))
    throw DeviceError(std::string(what) + " of " + std::to_string(bytes) +
                      " bytes is out of bounds, " + sim::memory_describe(p));
}
}  // namespace

void sim::submit(Stream stream, std::function<void()> work) {
  if (Graph* graph = capture_of(stream))
    graph->work.push_back(std::move(work));
  else
    work();
}

DeviceCount device_count() noexcept { return {1, ""}; }

void device_use(int index) {
  if (index != 0)
    throw DeviceError("GPU " + std::to_string(index) + " does not exist: the simulator has 1");
}

DeviceInfo device_info(int index) {
  device_use(index);
  return {"host simulator", 90, 4, std::size_t{1} << 32, true};
}

void* device_malloc(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  try {
    return sim::memory_allocate(bytes);
  } catch (const std::bad_alloc&) {
    throw DeviceError("out of GPU memory: asked for " + std::to_string(bytes) + " bytes");
  }
}

void device_free(void* p) noexcept { sim::memory_free(p); }

void copy_to_device(void* dst, const void* src, std::size_t bytes, Stream stream) {
  if (bytes == 0) return;
  refuse_in_capture(stream, "copying to the GPU");
  check_range(dst, bytes, "copying to the GPU");
  std::memcpy(dst, src, bytes);
}

void copy_to_host(void* dst, const void* src, std::size_t bytes, Stream stream) {
  if (bytes == 0) return;
  refuse_in_capture(stream, "copying from the GPU");
  check_range(src, bytes, "copying from the GPU");
  std::memcpy(dst, src, bytes);
}

void copy_on_device(void* dst, const void* src, std::size_t bytes, Stream stream) {
  if (bytes == 0) return;
  check_range(dst, bytes, "copying on the GPU");
  check_range(src, bytes, "copying on the GPU");
  sim::submit(stream, [=] { std::memmove(dst, src, bytes); });
}

void device_memset(void* dst, int byte, std::size_t bytes, Stream stream) {
  if (bytes == 0) return;
  check_range(dst, bytes, "setting GPU memory");
  sim::submit(stream, [=] { std::memset(dst, byte, bytes); });
}

void* pinned_malloc(std::size_t bytes) { return bytes ? ::operator new(bytes) : nullptr; }
void pinned_free(void* p) noexcept { ::operator delete(p); }

Stream stream_create() { return new CUstream_st; }

void stream_destroy(Stream stream) noexcept {
  const std::lock_guard lock(mutex);
  captures.erase(stream);
  delete stream;
}

void stream_sync(Stream stream) { refuse_in_capture(stream, "waiting for a stream"); }

void capture_begin(Stream stream) {
  if (!stream) throw DeviceError("the default stream cannot be captured");
  refuse_in_capture(stream, "starting a capture");
  const std::lock_guard lock(mutex);
  captures[stream] = std::make_unique<Graph>();
}

Graph* capture_end(Stream stream) {
  const std::lock_guard lock(mutex);
  const auto found = captures.find(stream);
  if (found == captures.end()) throw DeviceError("this stream is not being captured");
  Graph* graph = found->second.release();
  captures.erase(found);
  return graph;
}

void graph_launch(Graph* graph, Stream stream) {
  refuse_in_capture(stream, "launching a graph");
  for (const auto& work : graph->work) work();
}

void graph_destroy(Graph* graph) noexcept { delete graph; }

}  // namespace fastnn::cuda
