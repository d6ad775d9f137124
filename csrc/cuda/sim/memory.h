// The simulator's device memory: each allocation ends at a page that cannot be touched.
//
// So reading or writing one element too far stops the kernel there and then, without a sanitizer.
// The bytes round an allocation up to 16 (a kernel may count on no more alignment than that) are
// NaN bytes too, checked after each launch, as is the space before it.
#pragma once

#include <cstddef>
#include <string>

namespace fastnn::cuda::sim {

constexpr int kPoison = 0xff;  // a NaN in every floating-point type, -1 as an integer

void* memory_allocate(std::size_t bytes);
void memory_free(void* p) noexcept;
// True where [p, p + bytes) lies in one live allocation.
bool memory_holds(const void* p, std::size_t bytes);
// Where p lies, in words: "4 bytes past the end of an allocation of 400 bytes".
std::string memory_describe(const void* p);
// Text of the first allocation with bytes written just outside it; empty when all are whole.
std::string memory_damage();

// Memory with an untouchable page right after it and another before, for stacks and the shared
// memory arena. Never freed.
void* guarded_pages(std::size_t bytes);

}  // namespace fastnn::cuda::sim
