#include "cpu/team.h"
#include "kernels.h"
namespace fastnn::FASTNN_ISA {
void softmax(In, Out) noexcept {}
void softmax_grad(In, In, Out) noexcept {}
}
