#include "cpu/simd.h"
#include "cpu/team.h"
#include "kernels.h"
#include <string.h>
namespace fastnn::FASTNN_ISA {
void fill(Out y, double value) noexcept {
  if (y.dtype() == DType::float32) { float* p = y.data<float>(); pieces(y.size(), 16384, [&](int64_t b, int64_t e) { for (; b < e; ++b) p[b] = float(value); }); }
  else if (y.dtype() == DType::float64) { double* p = y.data<double>(); pieces(y.size(), 16384, [&](int64_t b, int64_t e) { for (; b < e; ++b) p[b] = value; }); }
  else if (y.dtype() == DType::int32) { int32_t* p = y.data<int32_t>(); pieces(y.size(), 16384, [&](int64_t b, int64_t e) { for (; b < e; ++b) p[b] = int32_t(value); }); }
  else { uint8_t* p = y.data<uint8_t>(); pieces(y.size(), 16384, [&](int64_t b, int64_t e) { for (; b < e; ++b) p[b] = uint8_t(value); }); }
}
void copy(In x, Out y) noexcept {
  const int64_t bytes = x.size() * int64_t(item_bytes(x.dtype()));
  pieces(bytes, 65536, [&](int64_t b, int64_t e) { memcpy(y.data<char>() + b, x.data<char>() + b, e - b); });
}
}
