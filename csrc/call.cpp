#include "call.h"

#include <algorithm>
#include <utility>

#include "kernels.h"
#include "program.h"

namespace fastnn {

namespace {

template <class T>
T unbox(const Arg& a) {
  if constexpr (std::is_same_v<T, double>)
    return a.real;
  else if constexpr (std::is_same_v<T, int64_t>)
    return a.integer;
  else if constexpr (std::is_same_v<T, bool>)
    return a.integer != 0;
  else if constexpr (std::is_same_v<T, Ints>)
    return a.ints;
  else
    return T(&a.view);
}

template <class Signature>
struct Unboxed;

template <class... P>
struct Unboxed<void (*)(P...) noexcept> {
  static void invoke(AnyKernel body, const Arg* args) {
    call(reinterpret_cast<void (*)(P...) noexcept>(body), args, std::index_sequence_for<P...>{});
  }
  template <size_t... I>
  static void call(void (*body)(P...) noexcept, const Arg* args, std::index_sequence<I...>) {
    body(unbox<P>(args[I])...);
  }
};

}  // namespace

const std::vector<Kernel>& catalogue() {
  struct Line {
    const char *name, *params, *shapes, *operations, *doc;
    bool on_cuda;
    void (*invoke)(AnyKernel, const Arg*);
  };
#define LINE(name, params, shapes, flops, doc, cuda) \
  {#name, #params, shapes, flops, doc, cuda, &Unboxed<decltype(&baseline::name)>::invoke},
#define KERNEL(name, params, shapes, flops, doc) LINE(name, params, shapes, flops, doc, true)
#define KERNEL_CPU(name, params, shapes, flops, doc) LINE(name, params, shapes, flops, doc, false)
  static constexpr Line lines[] = {
#include "kernels.def"
  };
#undef KERNEL
#undef KERNEL_CPU
#undef LINE
  static const std::vector<Kernel> kernels = [] {
    std::vector<Kernel> list;
    for (const Line& l : lines)
      list.push_back(Kernel(l.name, l.params, l.shapes, l.doc, static_cast<int>(list.size()),
                            l.on_cuda, l.invoke,
                            ShapeLine(l.name, l.params, l.shapes, l.operations)));
    return list;
  }();
  return kernels;
}

double Call::cost_ns() const {
  // Rates of one core on in-cache data, low on purpose: they only choose between one thread and
  // all.
  return flops / 40.0 + bytes / 12.0;
}

void Call::run() const {
  team::Member& me = team::self();
  me.kernel = kernel->name;
  const team::Precision before = me.precision;
  if (rounds_products) me.precision = team::Precision::bfloat16;
  kernel->invoke(body, args.data());
  me.precision = before;
}

bool& rounds_products() noexcept {
  static thread_local bool value = false;
  return value;
}

Call make_call(const Kernel& kernel, std::vector<Arg> args, std::vector<BlockPtr> blocks) {
  const Sizes sizes = kernel.line.unify(args);
  Call call;
  call.kernel = &kernel;
  const auto& params = kernel.line.params();
  int first = -1;
  const auto elements = [](const View& v) {
    int64_t n = 1;
    for (int d = 0; d < v.rank; ++d) n *= v.shape[d];
    return n;
  };
  int64_t written = 0;
  for (size_t i = 0; i < params.size(); ++i)
    if (is_written(params[i].kind) && args[i].view.data) written += elements(args[i].view);
  for (size_t i = 0; i < params.size(); ++i) {
    const View& v = args[i].view;
    if (!is_tensor(params[i].kind) || !v.data) continue;
    if (first < 0) {
      first = static_cast<int>(i);
      call.device = v.device;
    } else if (v.device != call.device) {
      throw DeviceError(std::string(kernel.name) + ": " + params[i].name + " is on " +
                        name(v.device) + " but " + params[first].name + " is on " +
                        name(call.device));
    }
    if (is_written(params[i].kind) && blocks[i]->readonly)
      throw std::invalid_argument(std::string(kernel.name) + ": " + params[i].name +
                                  " is written but its memory is read-only");
    int64_t n = elements(v);
    if (kernel.line.reads_in_part(i)) n = std::min(n, written);
    call.bytes += static_cast<double>(n) * static_cast<double>(item_bytes(v.dtype)) *
                  (params[i].kind == Kind::inout ? 2 : 1);
  }
  call.flops = kernel.line.flops(sizes);
  call.rounds_products = rounds_products() && multiplies_bfloat16();
  call.body = call.device == Device::cpu ? cpu_kernels()[kernel.index]
                                         : cuda_backend().kernels[kernel.index];
  if (!call.body)
    throw DeviceError(std::string(kernel.name) + " has no kernel for device '" + name(call.device) +
                      "' yet");
  call.args = std::move(args);
  call.blocks = std::move(blocks);
  return call;
}

void throw_fault(const team::Fault& f) {
  std::string text = f.kernel ? std::string(f.kernel) + ": " : "";
  text += f.what;
  if (f.limit >= 0)
    text += " is " + std::to_string(f.value) + ", expected 0 <= value < " + std::to_string(f.limit);
  if (f.limit >= 0 && f.value == INT32_MIN)
    text += " (as fractions, NaN and what int32 cannot hold become that number)";
  throw std::invalid_argument(text);
}

namespace {

void throw_cuda_fault(const CudaBackend& cuda) {
  CudaFault f;
  if (cuda.take_fault(&f)) throw_fault({f.kernel, f.what, f.value, f.limit});
}

}  // namespace

void run_on_cuda(const Call& call) {
  const CudaBackend& cuda = cuda_backend();
  call.run();
  check(cuda.take_error(), call.kernel->name);
  throw_cuda_fault(cuda);
}

void wait_for_cuda(const char* what) {
  const CudaBackend& cuda = cuda_backend();
  check(cuda.synchronize(), what);
  throw_cuda_fault(cuda);
}

void run_now(const Call& call) {
  if (call.device == Device::cuda) return run_on_cuda(call);
  constexpr double kParallelFrom_ns = 20'000;
  const int threads = call.cost_ns() < kParallelFrom_ns ? 1 : team::max_threads();
  const auto body = [](void* c) { static_cast<const Call*>(c)->run(); };
  const team::Fault fault = team::run(threads, body, const_cast<Call*>(&call));
  if (fault.what) throw_fault(fault);
}

void dispatch(Call call) {
  run_now(call);
  if (Program* program = Program::recording()) program->record(std::move(call));
}

}  // namespace fastnn
