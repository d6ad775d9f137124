// device.h on the CUDA runtime.
//
// CUDA 13 needs driver 580 or later; the runtime is linked statically and finds the driver at run
// time, so every call here can fail cleanly on a machine that has none.
#include "launch.cuh"

#include <unistd.h>

namespace fastnn::cuda {

struct Graph {
  cudaGraphExec_t exec;
};

namespace {

std::string version_text(int v) {
  return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10);
}

// What a person must do, for the errors that a person can mend.
std::string explain(cudaError_t error) {
  std::string text = cudaGetErrorString(error);
  int driver = 0;
  switch (error) {
    case cudaErrorInsufficientDriver:
      if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
        return "no NVIDIA driver was found (" + text + "); CUDA 13 needs driver 580 or later";
      return "the NVIDIA driver is too old: it supports CUDA " + version_text(driver) +
             ", this build needs CUDA " + version_text(CUDART_VERSION) +
             " (driver 580 or later); please update the driver";
    case cudaErrorNoDevice:
      return "the NVIDIA driver sees no GPU (" + text +
             "); check nvidia-smi and "
             "CUDA_VISIBLE_DEVICES";
    case cudaErrorNoKernelImageForDevice:
      return "this build has no code for this GPU (" + text +
             "); compute capability 8.0 or later "
             "is needed";
    default:
      return text + " [" + cudaGetErrorName(error) + "]";
  }
}

// A CUDA context does not survive fork(): using it there hangs or corrupts, so refuse.
void refuse_after_fork() {
  static const pid_t owner = getpid();
  if (getpid() != owner)
    throw DeviceError(
        "the GPU was used before this process was forked, and CUDA does not work in "
        "the child: start worker processes with the 'spawn' method");
}

}  // namespace

void check(cudaError_t error, const std::string& what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // clear it, so that the next call does not report it again
  throw DeviceError(what + " failed: " + explain(error));
}

DeviceCount device_count() noexcept {
  try {
    refuse_after_fork();
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess) {
      cudaGetLastError();
      return {0, explain(error)};
    }
    return {count, count > 0 ? "" : explain(cudaErrorNoDevice)};
  } catch (const std::exception& e) {
    return {0, e.what()};
  }
}

void device_use(int index) {
  const DeviceCount found = device_count();
  if (found.count == 0) throw DeviceError("no GPU can be used: " + found.error);
  if (index < 0 || index >= found.count)
    throw DeviceError("GPU " + std::to_string(index) + " does not exist: this machine has " +
                      std::to_string(found.count));
  check(cudaSetDevice(index), "selecting GPU " + std::to_string(index));
}

DeviceInfo device_info(int index) {
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, index),
        "reading the properties of GPU " + std::to_string(index));
  return {p.name, p.major * 10 + p.minor, p.multiProcessorCount, p.totalGlobalMem, false};
}

void* device_malloc(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  refuse_after_fork();
  void* p = nullptr;
  const cudaError_t error = cudaMalloc(&p, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t unused = 0, total = 0;
    cudaMemGetInfo(&unused, &total);
    throw DeviceError("out of GPU memory: asked for " + std::to_string(bytes) + " bytes, " +
                      std::to_string(unused) + " of " + std::to_string(total) + " are free");
  }
  check(error, "allocating " + std::to_string(bytes) + " bytes on the GPU");
  return p;
}

void device_free(void* p) noexcept { cudaFree(p); }

static void copy(void* dst, const void* src, std::size_t bytes, cudaMemcpyKind kind, Stream stream,
                 const char* what) {
  if (bytes > 0) check(cudaMemcpyAsync(dst, src, bytes, kind, stream), what);
}

void copy_to_device(void* dst, const void* src, std::size_t bytes, Stream stream) {
  copy(dst, src, bytes, cudaMemcpyHostToDevice, stream, "copying to the GPU");
}

void copy_to_host(void* dst, const void* src, std::size_t bytes, Stream stream) {
  copy(dst, src, bytes, cudaMemcpyDeviceToHost, stream, "copying from the GPU");
}

void copy_on_device(void* dst, const void* src, std::size_t bytes, Stream stream) {
  copy(dst, src, bytes, cudaMemcpyDeviceToDevice, stream, "copying on the GPU");
}

void device_memset(void* dst, int byte, std::size_t bytes, Stream stream) {
  if (bytes > 0) check(cudaMemsetAsync(dst, byte, bytes, stream), "setting GPU memory");
}

void* pinned_malloc(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  refuse_after_fork();
  void* p = nullptr;
  check(cudaMallocHost(&p, bytes), "allocating pinned host memory");
  return p;
}

void pinned_free(void* p) noexcept { cudaFreeHost(p); }

Stream stream_create() {
  refuse_after_fork();
  Stream stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
  return stream;
}

void stream_destroy(Stream stream) noexcept { cudaStreamDestroy(stream); }

void stream_sync(Stream stream) { check(cudaStreamSynchronize(stream), "work on the GPU"); }

void capture_begin(Stream stream) {
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "starting a capture");
}

Graph* capture_end(Stream stream) {
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream, &graph), "ending a capture");
  cudaGraphExec_t exec = nullptr;
  const cudaError_t error = cudaGraphInstantiate(&exec, graph, 0);
  cudaGraphDestroy(graph);
  check(error, "instantiating a graph");
  return new Graph{exec};
}

void graph_launch(Graph* graph, Stream stream) {
  check(cudaGraphLaunch(graph->exec, stream), "launching a graph");
}

void graph_destroy(Graph* graph) noexcept {
  if (!graph) return;
  cudaGraphExecDestroy(graph->exec);
  delete graph;
}

}  // namespace fastnn::cuda
