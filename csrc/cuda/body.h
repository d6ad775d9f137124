// What the catalogue's CUDA bodies share: the stream, the workspace, errors, and types.
//
// A body hands its launches to enqueue() and returns before the work is done:
//   void name(In a, Out y) noexcept { enqueue([&](Stream s) { name_launch(..., s); }); }
// It keeps no pointer into tensors.
#pragma once

#include "fault.cuh"
#include "launches.h"
#include "tensor.h"

namespace fastnn::cuda {

// --- backend.cu
// Runs f(context, stream) with the launches of other threads kept out; keeps the error's text.
void enqueue(void (*f)(void* context, Stream stream), void* context) noexcept;
// Device memory between the launches of one body: kWorkspaceDoubles of it, there from the start,
// since nothing may be allocated while a program runs.
double* workspace();
// Where a launch of the catalogue's kernel reports values, and what the host found by itself.
Report report(const char* kernel, const char* what);
void fault(const char* kernel, const char* what, int64_t value = 0, int64_t limit = -1) noexcept;

template <class F>
void enqueue(F f) noexcept {
  enqueue([](void* c, Stream stream) { (*static_cast<F*>(c))(stream); }, &f);
}

// --- f(a zero of the type) for the type of a tensor
template <class F>
void with_float(DType type, F f) {
  type == DType::float64 ? f(double{}) : f(float{});
}

template <class F>
void with_number(DType type, F f) {
  type == DType::int32 ? f(int32_t{}) : with_float(type, f);
}

// Elements that are only moved: their size is all that counts.
template <class F>
void with_bytes(DType type, F f) {
  switch (item_bytes(type)) {
    case 1:
      return f(std::uint8_t{});
    case 4:
      return f(std::uint32_t{});
    default:
      return f(std::uint64_t{});
  }
}

}  // namespace fastnn::cuda
