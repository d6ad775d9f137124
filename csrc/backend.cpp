#include "backend.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include <mutex>

#include "kernels.h"

namespace fastnn {

namespace {

#define KERNEL(name, params, shapes, flops, doc) reinterpret_cast<AnyKernel>(&FASTNN_SPACE::name),
#define KERNEL_CPU KERNEL

#define FASTNN_SPACE baseline
const AnyKernel baseline_table[] = {
#include "kernels.def"
};
#undef FASTNN_SPACE
#ifdef FASTNN_HAVE_AVX2
#define FASTNN_SPACE avx2
const AnyKernel avx2_table[] = {
#include "kernels.def"
};
#undef FASTNN_SPACE
#endif
#ifdef FASTNN_HAVE_AVX512
#define FASTNN_SPACE avx512
const AnyKernel avx512_table[] = {
#include "kernels.def"
};
#undef FASTNN_SPACE
#endif
#undef KERNEL
#undef KERNEL_CPU

struct Isa {
  const char* name;
  const AnyKernel* kernels;
  bool (*runs_here)();
};

// Best first. Chosen by feature bits, never by CPU model.
const Isa isas[] = {
#ifdef FASTNN_HAVE_AVX512
    {"avx512", avx512_table, [] { return __builtin_cpu_supports("x86-64-v4") != 0; }},
#endif
#ifdef FASTNN_HAVE_AVX2
    {"avx2", avx2_table, [] { return __builtin_cpu_supports("x86-64-v3") != 0; }},
#endif
    {"baseline", baseline_table, [] { return true; }},
};

const Isa* find_isa(const std::string& wanted) {
  std::string known;
  for (const Isa& isa : isas) {
    if (!isa.runs_here()) continue;
    if (wanted.empty() || wanted == isa.name) return &isa;
    known += (known.empty() ? "" : ", ") + std::string(isa.name);
  }
  throw std::invalid_argument("instruction set '" + wanted +
                              "' is not available here, expected one of: " + known);
}

const Isa*& chosen() {
  static const Isa* isa = [] {
    const char* wanted = getenv("FASTNN_ISA");
    return find_isa(wanted ? wanted : "");
  }();
  return isa;
}

std::string folder_of_this_library() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(&folder_of_this_library), &info)) return ".";
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/'));
}

const CudaBackend* load_cuda(std::string& error) {
  // FASTNN_CUDA: "sim" for the host simulator of the kernels, or a library's path.
  const char* given = getenv("FASTNN_CUDA");
  const std::string mode = given ? given : "";
  const std::string file =
      mode.find('/') != mode.npos
          ? mode
          : folder_of_this_library() +
                (mode == "sim" ? "/libfastnn_cuda_sim.so" : "/libfastnn_cuda.so");
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = dlerror();
    error = access(file.c_str(), F_OK) != 0
                ? "device 'cuda' is not available: this build of fastnn has no CUDA kernels (no " +
                      file + ")"
                : "device 'cuda' is not available: " + std::string(why ? why : file);
    return nullptr;
  }
  auto entry = reinterpret_cast<const CudaBackend* (*)()>(dlsym(library, "fastnn_cuda_backend"));
  const CudaBackend* backend = entry ? entry() : nullptr;
  if (!backend) {
    error = "device 'cuda' is not available: " + file + " is not a fastnn CUDA library";
    return nullptr;
  }
  if (const char* text = backend->start()) {
    error = std::string("device 'cuda' is not available: ") + text;
    return nullptr;
  }
  return backend;
}

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Isa& isa : isas)
    if (isa.runs_here()) names.push_back(isa.name);
  return names;
}

const char* current_isa() { return chosen()->name; }
bool multiplies_bfloat16() {
#ifdef FASTNN_HAVE_AVX512
  return chosen()->kernels == avx512_table && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}
void set_isa(const std::string& name) { chosen() = find_isa(name); }
const AnyKernel* cpu_kernels() { return chosen()->kernels; }

const CudaBackend& cuda_backend() {
  static std::mutex mutex;
  static const CudaBackend* backend = nullptr;
  std::lock_guard lock(mutex);
  std::string error;
  if (!backend) backend = load_cuda(error);
  if (!backend) throw DeviceError(error);
  return *backend;
}

void check(const char* error, const char* what) {
  if (error) throw DeviceError(std::string(what) + ": " + error);
}

}  // namespace fastnn
