// The library's only door: memory, copies, errors and the table of kernels behind interface.h.
//
// All work of the process is ordered on one stream; a lock keeps the launches of one body together.
#include <atomic>
#include <mutex>
#include <new>

#include "body.h"
#include "interface.h"

namespace fastnn::cuda {

#define KERNEL(name, params, shapes, flops, doc) void name params noexcept;
#define KERNEL_CPU(name, params, shapes, flops, doc)
#include "kernels.def"
#undef KERNEL
#undef KERNEL_CPU

namespace {

const AnyKernel table[] = {
#define KERNEL(name, params, shapes, flops, doc) reinterpret_cast<AnyKernel>(&name),
#define KERNEL_CPU(name, params, shapes, flops, doc) nullptr,
#include "kernels.def"
#undef KERNEL
#undef KERNEL_CPU
};

// Set by start(), never taken back: tensors live until the interpreter's last breath.
Stream stream;
double* scratch;
FaultWord* word;  // pinned
std::string description;

std::mutex mutex;
CudaFault host_fault;  // what is found before a launch; kernel is null where nothing is
thread_local std::string pending, text;

// The error's text, or null.
template <class F>
const char* guarded(F f) {
  try {
    f();
    return nullptr;
  } catch (const std::exception& e) {
    text = e.what();
    return text.c_str();
  }
}

const char* start();

const char* allocate(std::size_t bytes, void** data) {
  return guarded([&] { *data = device_malloc(bytes); });
}

void release(void* data) { device_free(data); }

const char* copy_in(void* device, const void* host, std::size_t bytes) {
  return guarded([&] { copy_to_device(device, host, bytes, stream); });
}

const char* copy_out(void* host, const void* device, std::size_t bytes) {
  return guarded([&] {
    copy_to_host(host, device, bytes, stream);
    stream_sync(stream);
  });
}

const char* copy_device(void* to, const void* from, std::size_t bytes) {
  return guarded([&] { copy_on_device(to, from, bytes, stream); });
}

const char* synchronize() {
  return guarded([] { stream_sync(stream); });
}

const char* take_error() {
  if (pending.empty()) return nullptr;
  text = std::exchange(pending, {});
  return text.c_str();
}

bool take_fault(CudaFault* fault) {
  const std::lock_guard lock(mutex);
  if (host_fault.kernel) {
    *fault = std::exchange(host_fault, {});
    return true;
  }
  if (!std::atomic_ref(word->ready).load(std::memory_order_acquire)) return false;
  *fault = {word->kernel, word->what, word->value, word->limit};
  // Only now may another kernel report: it sees `taken` last.
  word->ready = 0;
  std::atomic_ref(word->taken).store(0, std::memory_order_release);
  return true;
}

CudaBackend backend{start,       allocate,   release,    copy_in, copy_out, copy_device,
                    synchronize, take_error, take_fault, table,   "",       false};

const char* start() {
  return guarded([] {
    device_use(0);
    const DeviceInfo info = device_info(0);
    stream = stream_create();
    scratch = static_cast<double*>(device_malloc(kWorkspaceDoubles * sizeof(double)));
    word = new (pinned_malloc(sizeof(FaultWord))) FaultWord{};
    description = info.name;
    backend.description = description.c_str();
    backend.exact_memory = info.simulated;
  });
}

}  // namespace

void enqueue(void (*f)(void* context, Stream stream), void* context) noexcept {
  const std::lock_guard lock(mutex);
  if (const char* error = guarded([&] { f(context, stream); }); error && pending.empty())
    pending = error;
}

double* workspace() { return scratch; }

Report report(const char* kernel, const char* what) { return {word, kernel, what}; }

// Never called inside enqueue, which holds the lock.
void fault(const char* kernel, const char* what, int64_t value, int64_t limit) noexcept {
  const std::lock_guard lock(mutex);
  if (!host_fault.kernel) host_fault = {kernel, what, value, limit};
}

}  // namespace fastnn::cuda

extern "C" __attribute__((visibility("default"))) const fastnn::CudaBackend* fastnn_cuda_backend() {
  return &fastnn::cuda::backend;
}
