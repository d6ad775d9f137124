#include "cpu/team.h"
#include "kernels.h"
namespace fastnn::FASTNN_ISA {
void add(In, In, Out) noexcept {}
}
