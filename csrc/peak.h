// What this machine does at most, measured: the two lines of the roofline model (Williams et al.
// 2009) that a kernel's speed is compared with.
#pragma once
#include <stddef.h>

namespace fastnn::peak {

// float32 operations a second of independent multiply-adds on registers, a multiply-add counted as
// two, with the vectors of the instruction set that is in use.
double flops(int threads);

// Bytes a second of copying from one array to another, reading and writing counted, `bytes` in all:
// with few bytes what the caches give, with many what memory gives.
double bytes(int threads, size_t bytes);

// The measured peaks of a team, taken once and kept; about 0.2 s the first time.
struct Peaks {
  double flops, bytes;
};
Peaks of(int threads);

}  // namespace fastnn::peak
