// The test programs' few tools: named cases, device arrays, a checked comparison.
//
//   case_list       program --list prints the names; program name... runs those
//   Array<T>        device memory of exactly n elements, poisoned with NaN bytes at first
//   every_schedule  runs a case under each order of warps and lanes that the simulator knows
#pragma once

#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "launch.cuh"

namespace test {

using namespace fastnn;
using namespace fastnn::cuda;
using std::int32_t;
using std::int64_t;

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Case {
  const char* name;
  void (*run)();
};
inline std::vector<Case> case_list;
struct Register {
  Register(const char* name, void (*run)()) { case_list.push_back({name, run}); }
};
#define CASE(name)                                        \
  static void name();                                     \
  static const ::test::Register name##_case(#name, name); \
  static void name()

inline void expect(bool ok, const std::string& what) {
  if (!ok) throw Failure(what);
}

// Runs f, which must throw a DeviceError that contains every one of `parts`.
template <class F>
void expect_error(F f, std::initializer_list<const char*> parts) {
  try {
    f();
  } catch (const DeviceError& e) {
    for (const char* part : parts)
      expect(std::strstr(e.what(), part), std::string("no '") + part + "' in: " + e.what());
    return;
  }
  throw Failure(std::string("no error, expected: ") + *parts.begin());
}

template <class F>
void every_schedule(F f) {
  for (int s = 0; s < sim::kSchedules; ++s) {
    sim::set_schedule(s);
    try {
      f();
    } catch (const std::exception& e) {
      throw Failure("schedule " + std::to_string(s) + ": " + e.what());
    }
  }
  sim::set_schedule(0);
}

// `offset` elements off the 16-byte boundary, for the paths without packs.
template <class T>
struct Array {
  int64_t n, offset;
  T* base;
  explicit Array(int64_t n, int64_t offset = 0)
      : n(n), offset(offset), base(static_cast<T*>(device_malloc((n + offset) * sizeof(T)))) {}
  explicit Array(const std::vector<T>& v, int64_t offset = 0)
      : Array(static_cast<int64_t>(v.size()), offset) {
    copy_to_device(get(), v.data(), n * sizeof(T), nullptr);
  }
  Array(const Array&) = delete;
  ~Array() { device_free(base); }
  T* get() { return base ? base + offset : nullptr; }
  operator T*() { return get(); }
  std::vector<T> host() {
    std::vector<T> v(n);
    copy_to_host(v.data(), get(), n * sizeof(T), nullptr);
    return v;
  }
};

template <class T>
std::vector<T> normal(int64_t n, unsigned seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<double> gauss;
  std::vector<T> v(n);
  for (T& x : v) x = static_cast<T>(gauss(bits));
  return v;
}

template <class T>
constexpr double kEps = std::numeric_limits<T>::epsilon();

inline bool agrees(double got, double want, double tolerance) {
  if (std::isnan(want)) return std::isnan(got);
  if (std::isinf(want)) return got == want;
  return std::abs(got - want) <= tolerance;  // false for NaN: poison never passes
}

// tolerance(i) is absolute.
template <class T, class Tolerance>
void expect_close(const std::vector<T>& got, const std::vector<double>& want, Tolerance tolerance,
                  const std::string& what) {
  expect(got.size() == want.size(), what + ": sizes differ");
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!agrees(got[i], want[i], tolerance(i))) {
      char text[200];
      std::snprintf(text, sizeof text, ": element %zu is %.9g, expected %.9g within %.2g", i,
                    static_cast<double>(got[i]), want[i], tolerance(i));
      throw Failure(what + text);
    }
}

template <class T>
void expect_same(const std::vector<T>& got, const std::vector<T>& want, const std::string& what) {
  expect(got.size() == want.size() &&
             std::memcmp(got.data(), want.data(), got.size() * sizeof(T)) == 0,
         what + ": bits differ");
}

inline std::string shape_text(std::initializer_list<int64_t> sizes) {
  std::string text;
  for (int64_t s : sizes) text += (text.empty() ? "" : "x") + std::to_string(s);
  return text;
}

}  // namespace test
