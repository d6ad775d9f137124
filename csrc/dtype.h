// Element types. `float32` and `float64` are the storage types of computation, `int32` counts and
// indexes, `uint8` holds raw images, `boolean` masks. int64 is converted at the Python boundary.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace fastnn {

enum class DType : uint8_t { float32, float64, int32, uint8, boolean };

inline constexpr int kDTypes = 5;
constexpr const char* kDTypeNames[kDTypes] = {"float32", "float64", "int32", "uint8", "bool"};
constexpr size_t kDTypeBytes[kDTypes] = {4, 8, 4, 1, 1};

inline const char* name(DType t) { return kDTypeNames[static_cast<int>(t)]; }
inline size_t item_bytes(DType t) { return kDTypeBytes[static_cast<int>(t)]; }

enum class Device : uint8_t { cpu, cuda };

inline const char* name(Device d) { return d == Device::cpu ? "cpu" : "cuda"; }

}  // namespace fastnn
