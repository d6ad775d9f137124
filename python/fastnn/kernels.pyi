"""The kernels as Python functions, one per line of csrc/kernels.def.

Each takes its arguments in order, writes into the tensors marked Out and InOut, and returns
nothing: `kernels.softmax(x, y)`. Shapes and types are checked at the gate (ValueError, TypeError).
"""

from collections.abc import Sequence

from ._core import Array

FAMILIES: list[str]

def matmul_nn(a: Array, b: Array, c: Array, /) -> None:
    """c = a b

    Shapes: a:f(*m,k) b:f(k,n) c:f(*m,n)
    Written: c
    """

def matmul_nt(a: Array, b: Array, c: Array, /) -> None:
    """c = a b^T

    Shapes: a:f(*m,k) b:f(n,k) c:f(*m,n)
    Written: c
    """

def matmul_tn(a: Array, b: Array, c: Array, /) -> None:
    """c = a^T b

    Shapes: a:f(*m,k) b:f(*m,n) c:f(k,n)
    Written: c
    """

def batch_matmul_nn(a: Array, b: Array, c: Array, /) -> None:
    """c = a b, for each of a batch of matrices

    Shapes: a:f(*b,m,k) b:f(*b,k,n) c:f(*b,m,n)
    Written: c
    """

def batch_matmul_nt(a: Array, b: Array, c: Array, /) -> None:
    """c = a b^T, for each of a batch of matrices

    Shapes: a:f(*b,m,k) b:f(*b,n,k) c:f(*b,m,n)
    Written: c
    """

def batch_matmul_tn(a: Array, b: Array, c: Array, /) -> None:
    """c = a^T b, for each of a batch of matrices

    Shapes: a:f(*b,m,k) b:f(*b,m,n) c:f(*b,k,n)
    Written: c
    """

def dense(x: Array, w: Array, b: Array | None, y: Array, activation: int, alpha: float, /) -> None:
    """y = act(x w + b), act an Activation with its slope alpha; without b, act(x w)

    Shapes: x:f(*m,k) w:f(k,n) b:f(n)? y:f(*m,n) activation>=0
    Written: y
    """

def sum_rows(x: Array, y: Array, /) -> None:
    """y_j = sum_i x_ij: the gradient of a bias

    Shapes: x:f(*m,n) y:f(n)
    Written: y
    """

def add(a: Array, b: Array, y: Array, /) -> None:
    """y = a + b

    Shapes: a:n(^s) b:n(^s) y:n(*s)
    Written: y
    """

def subtract(a: Array, b: Array, y: Array, /) -> None:
    """y = a - b

    Shapes: a:n(^s) b:n(^s) y:n(*s)
    Written: y
    """

def multiply(a: Array, b: Array, y: Array, /) -> None:
    """y = a b

    Shapes: a:n(^s) b:n(^s) y:n(*s)
    Written: y
    """

def divide(a: Array, b: Array, y: Array, /) -> None:
    """y = a / b

    Shapes: a:f(^s) b:f(^s) y:f(*s)
    Written: y
    """

def add_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = x + value

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def rsubtract_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = value - x

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def multiply_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = x value

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def divide_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = x / value

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def rdivide_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = value / x

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def maximum(a: Array, b: Array, y: Array, /) -> None:
    """y = max(a, b), NaN where either is

    Shapes: a:n(^s) b:n(^s) y:n(*s)
    Written: y
    """

def minimum(a: Array, b: Array, y: Array, /) -> None:
    """y = min(a, b), NaN where either is

    Shapes: a:n(^s) b:n(^s) y:n(*s)
    Written: y
    """

def power(a: Array, b: Array, y: Array, /) -> None:
    """y = a^b

    Shapes: a:n(^s) b:n(^s) y:n(*s)
    Written: y
    """

def floor_divide(a: Array, b: Array, y: Array, /) -> None:
    """y = floor(a / b); integers by 0 give 0

    Shapes: a:n(^s) b:n(^s) y:n(*s)
    Written: y
    """

def mod(a: Array, b: Array, y: Array, /) -> None:
    """y = a - b floor(a / b), with the sign of b; integers by 0 give 0

    Shapes: a:n(^s) b:n(^s) y:n(*s)
    Written: y
    """

def maximum_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = max(x, value)

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def minimum_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = min(x, value)

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def power_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = x^value

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def rpower_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = value^x

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def floor_divide_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = floor(x / value)

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def rfloor_divide_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = floor(value / x)

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def mod_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = x - value floor(x / value)

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def rmod_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = value - x floor(value / x)

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def maximum_grad(a: Array, b: Array, dy: Array, da: Array, /) -> None:
    """da = dy (1 where a > b, 1/2 where a = b, else 0)

    Shapes: a:f(^s) b:f(^s) dy:f(*s) da:f(*s)
    Written: da
    """

def power_grad(a: Array, b: Array, dy: Array, da: Array, /) -> None:
    """da = dy b a^(b-1)

    Shapes: a:f(^s) b:f(^s) dy:f(*s) da:f(*s)
    Written: da
    """

def power_exponent_grad(a: Array, b: Array, dy: Array, db: Array, /) -> None:
    """db = dy a^b log a, 0 where a = 0

    Shapes: a:f(^s) b:f(^s) dy:f(*s) db:f(*s)
    Written: db
    """

def power_scalar_grad(x: Array, dy: Array, dx: Array, value: float, /) -> None:
    """dx = dy value x^(value-1)

    Shapes: x:f(*s) dy:f(*s) dx:f(*s)
    Written: dx
    """

def cast(x: Array, y: Array, /) -> None:
    """y = x as y's type: towards zero to integers, x != 0 to bool

    Shapes: x:x(*s) y:y(*s)
    Written: y
    """

def negative(x: Array, y: Array, /) -> None:
    """y = -x

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def abs(x: Array, y: Array, /) -> None:
    """y = |x|

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def sign(x: Array, y: Array, /) -> None:
    """y = -1, 0 or 1

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def square(x: Array, y: Array, /) -> None:
    """y = x^2

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def sqrt(x: Array, y: Array, /) -> None:
    """y = sqrt(x)

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def rsqrt(x: Array, y: Array, /) -> None:
    """y = 1 / sqrt(x)

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def reciprocal(x: Array, y: Array, /) -> None:
    """y = 1 / x

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def exp(x: Array, y: Array, /) -> None:
    """y = e^x

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def expm1(x: Array, y: Array, /) -> None:
    """y = e^x - 1

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def log(x: Array, y: Array, /) -> None:
    """y = log x

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def log1p(x: Array, y: Array, /) -> None:
    """y = log(1 + x)

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def sin(x: Array, y: Array, /) -> None:
    """y = sin x

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def cos(x: Array, y: Array, /) -> None:
    """y = cos x

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def erf(x: Array, y: Array, /) -> None:
    """y = erf x

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def floor(x: Array, y: Array, /) -> None:
    """y = floor(x)

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def ceil(x: Array, y: Array, /) -> None:
    """y = ceil(x)

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def round(x: Array, y: Array, /) -> None:
    """y = x to the nearest integer, ties to the even one

    Shapes: x:f(*s) y:f(*s)
    Written: y
    """

def abs_grad(x: Array, dy: Array, dx: Array, /) -> None:
    """dx = dy sign(x)

    Shapes: x:f(*s) dy:f(*s) dx:f(*s)
    Written: dx
    """

def square_grad(x: Array, dy: Array, dx: Array, /) -> None:
    """dx = 2 x dy

    Shapes: x:f(*s) dy:f(*s) dx:f(*s)
    Written: dx
    """

def sqrt_grad(y: Array, dy: Array, dx: Array, /) -> None:
    """dx = dy / (2 y)

    Shapes: y:f(*s) dy:f(*s) dx:f(*s)
    Written: dx
    """

def rsqrt_grad(y: Array, dy: Array, dx: Array, /) -> None:
    """dx = -dy y^3 / 2

    Shapes: y:f(*s) dy:f(*s) dx:f(*s)
    Written: dx
    """

def reciprocal_grad(y: Array, dy: Array, dx: Array, /) -> None:
    """dx = -dy y^2

    Shapes: y:f(*s) dy:f(*s) dx:f(*s)
    Written: dx
    """

def expm1_grad(y: Array, dy: Array, dx: Array, /) -> None:
    """dx = dy (y + 1)

    Shapes: y:f(*s) dy:f(*s) dx:f(*s)
    Written: dx
    """

def log1p_grad(x: Array, dy: Array, dx: Array, /) -> None:
    """dx = dy / (1 + x)

    Shapes: x:f(*s) dy:f(*s) dx:f(*s)
    Written: dx
    """

def sin_grad(x: Array, dy: Array, dx: Array, /) -> None:
    """dx = dy cos x

    Shapes: x:f(*s) dy:f(*s) dx:f(*s)
    Written: dx
    """

def cos_grad(x: Array, dy: Array, dx: Array, /) -> None:
    """dx = -dy sin x

    Shapes: x:f(*s) dy:f(*s) dx:f(*s)
    Written: dx
    """

def erf_grad(x: Array, dy: Array, dx: Array, /) -> None:
    """dx = dy 2/sqrt(pi) e^(-x^2)

    Shapes: x:f(*s) dy:f(*s) dx:f(*s)
    Written: dx
    """

def equal(a: Array, b: Array, y: Array, /) -> None:
    """y = (a = b)

    Shapes: a:n(^s) b:n(^s) y:b(*s)
    Written: y
    """

def not_equal(a: Array, b: Array, y: Array, /) -> None:
    """y = (a != b)

    Shapes: a:n(^s) b:n(^s) y:b(*s)
    Written: y
    """

def less(a: Array, b: Array, y: Array, /) -> None:
    """y = (a < b)

    Shapes: a:n(^s) b:n(^s) y:b(*s)
    Written: y
    """

def less_equal(a: Array, b: Array, y: Array, /) -> None:
    """y = (a <= b)

    Shapes: a:n(^s) b:n(^s) y:b(*s)
    Written: y
    """

def equal_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = (x = value)

    Shapes: x:n(*s) y:b(*s)
    Written: y
    """

def not_equal_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = (x != value)

    Shapes: x:n(*s) y:b(*s)
    Written: y
    """

def less_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = (x < value)

    Shapes: x:n(*s) y:b(*s)
    Written: y
    """

def less_equal_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = (x <= value)

    Shapes: x:n(*s) y:b(*s)
    Written: y
    """

def greater_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = (x > value)

    Shapes: x:n(*s) y:b(*s)
    Written: y
    """

def greater_equal_scalar(x: Array, y: Array, value: float, /) -> None:
    """y = (x >= value)

    Shapes: x:n(*s) y:b(*s)
    Written: y
    """

def logical_and(a: Array, b: Array, y: Array, /) -> None:
    """y = a and b

    Shapes: a:b(^s) b:b(^s) y:b(*s)
    Written: y
    """

def logical_or(a: Array, b: Array, y: Array, /) -> None:
    """y = a or b

    Shapes: a:b(^s) b:b(^s) y:b(*s)
    Written: y
    """

def logical_xor(a: Array, b: Array, y: Array, /) -> None:
    """y = either a or b

    Shapes: a:b(^s) b:b(^s) y:b(*s)
    Written: y
    """

def logical_not(x: Array, y: Array, /) -> None:
    """y = not x

    Shapes: x:b(*s) y:b(*s)
    Written: y
    """

def isnan(x: Array, y: Array, /) -> None:
    """y = x is not a number

    Shapes: x:f(*s) y:b(*s)
    Written: y
    """

def isinf(x: Array, y: Array, /) -> None:
    """y = x is infinite

    Shapes: x:f(*s) y:b(*s)
    Written: y
    """

def isfinite(x: Array, y: Array, /) -> None:
    """y = x is neither infinite nor NaN

    Shapes: x:f(*s) y:b(*s)
    Written: y
    """

def where(condition: Array, a: Array, b: Array, y: Array, /) -> None:
    """y = a where the condition holds, else b

    Shapes: condition:b(^s) a:x(^s) b:x(^s) y:x(*s)
    Written: y
    """

def clip(x: Array, y: Array, low: float, high: float, /) -> None:
    """y = min(max(x, low), high)

    Shapes: x:n(*s) y:n(*s)
    Written: y
    """

def clip_grad(x: Array, dy: Array, dx: Array, low: float, high: float, /) -> None:
    """dx = dy where low <= x <= high, else 0

    Shapes: x:f(*s) dy:f(*s) dx:f(*s)
    Written: dx
    """

def activation_forward(x: Array, y: Array, kind: int, alpha: float, /) -> None:
    """y = the activation number `kind` of activations.h, of x

    Shapes: x:f(*s) y:f(*s) kind>=0
    Written: y
    """

def activation_grad(x: Array | None, y: Array | None, dy: Array, dx: Array, kind: int, alpha: float, /) -> None:
    """dx = dy times the activation's derivative, which reads x, y or neither

    Shapes: x:f(*s)? y:f(*s)? dy:f(*s) dx:f(*s) kind>=0
    Written: dx
    """

def prelu(x: Array, alpha: Array, y: Array, /) -> None:
    """y = x where x > 0, else alpha x

    Shapes: x:f(*s) alpha:f(^s) y:f(*s)
    Written: y
    """

def prelu_grad(x: Array, alpha: Array, dy: Array, dx: Array, /) -> None:
    """dx = dy where x > 0, alpha dy where x < 0, 0 at 0

    Shapes: x:f(*s) alpha:f(^s) dy:f(*s) dx:f(*s)
    Written: dx
    """

def prelu_slope_grad(x: Array, dy: Array, dalpha: Array, /) -> None:
    """dalpha = 0 where x > 0, else x dy; to be summed over alpha's broadcast axes

    Shapes: x:f(*s) dy:f(*s) dalpha:f(*s)
    Written: dalpha
    """

def sum(x: Array, y: Array, /) -> None:
    """y = sum of x over its middle axis

    Shapes: x:n(o,n,i) y:n(o,i)
    Written: y
    """

def mean(x: Array, y: Array, /) -> None:
    """y = mean of x over its middle axis

    Shapes: x:f(o,n,i) y:f(o,i)
    Written: y
    """

def prod(x: Array, y: Array, /) -> None:
    """y = product of x over its middle axis

    Shapes: x:n(o,n,i) y:n(o,i)
    Written: y
    """

def max(x: Array, y: Array, /) -> None:
    """y = maximum of x over its middle axis, NaN where there is one

    Shapes: x:n(o,n,i) y:n(o,i)
    Written: y
    """

def min(x: Array, y: Array, /) -> None:
    """y = minimum of x over its middle axis, NaN where there is one

    Shapes: x:n(o,n,i) y:n(o,i)
    Written: y
    """

def any(x: Array, y: Array, /) -> None:
    """y = one of x is true, over its middle axis

    Shapes: x:b(o,n,i) y:b(o,i)
    Written: y
    """

def all(x: Array, y: Array, /) -> None:
    """y = all of x are true, over its middle axis

    Shapes: x:b(o,n,i) y:b(o,i)
    Written: y
    """

def var(x: Array, mean: Array, y: Array, /) -> None:
    """y = mean of (x - mean)^2 over x's middle axis

    Shapes: x:f(o,n,i) mean:f(o,i) y:f(o,i)
    Written: y
    """

def norm(x: Array, y: Array, /) -> None:
    """y = sqrt(sum x^2) over x's middle axis

    Shapes: x:f(o,n,i) y:f(o,i)
    Written: y
    """

def logsumexp(x: Array, max: Array, y: Array, /) -> None:
    """y = log sum e^x over x's middle axis, of which max is the maximum

    Shapes: x:f(o,n,i) max:f(o,i) y:f(o,i)
    Written: y
    """

def var_grad(x: Array, mean: Array, dy: Array, dx: Array, /) -> None:
    """dx = 2/n (x - mean) dy

    Shapes: x:f(o,n,i) mean:f(o,i) dy:f(o,i) dx:f(o,n,i)
    Written: dx
    """

def norm_grad(x: Array, y: Array, dy: Array, dx: Array, /) -> None:
    """dx = x dy / y, 0 where y = 0

    Shapes: x:f(o,n,i) y:f(o,i) dy:f(o,i) dx:f(o,n,i)
    Written: dx
    """

def logsumexp_grad(x: Array, y: Array, dy: Array, dx: Array, /) -> None:
    """dx = e^(x - y) dy

    Shapes: x:f(o,n,i) y:f(o,i) dy:f(o,i) dx:f(o,n,i)
    Written: dx
    """

def extremum_grad(x: Array, y: Array, dy: Array, dx: Array, /) -> None:
    """dx = dy, divided among the elements equal to y, the maximum or minimum

    Shapes: x:f(o,n,i) y:f(o,i) dy:f(o,i) dx:f(o,n,i)
    Written: dx
    """

def prod_grad(x: Array, dy: Array, dx: Array, /) -> None:
    """dx = dy times the product of all other elements along the middle axis

    Shapes: x:f(o,n,i) dy:f(o,i) dx:f(o,n,i)
    Written: dx
    """

def cumsum(x: Array, y: Array, reverse: bool, /) -> None:
    """y = running sum of x along its middle axis, from the end if reverse

    Shapes: x:n(o,n,i) y:n(o,n,i)
    Written: y
    """

def argmax(x: Array, y: Array, /) -> None:
    """y = first index of the maximum, or of NaN, along x's middle axis

    Shapes: x:n(o,n,i) y:i(o,i)
    Written: y
    """

def argmin(x: Array, y: Array, /) -> None:
    """y = first index of the minimum, or of NaN, along x's middle axis

    Shapes: x:n(o,n,i) y:i(o,i)
    Written: y
    """

def softmax(x: Array, y: Array, /) -> None:
    """y = exp(x - max x) / sum exp(x - max x), along the last axis

    Shapes: x:f(*r,n) y:f(*r,n)
    Written: y
    """

def softmax_grad(y: Array, dy: Array, dx: Array, /) -> None:
    """dx = y (dy - sum(dy y)), along the last axis

    Shapes: y:f(*r,n) dy:f(*r,n) dx:f(*r,n)
    Written: dx
    """

def log_softmax(x: Array, y: Array, /) -> None:
    """y = x - max x - log sum exp(x - max x), along the last axis

    Shapes: x:f(*r,n) y:f(*r,n)
    Written: y
    """

def log_softmax_grad(y: Array, dy: Array, dx: Array, /) -> None:
    """dx = dy - exp(y) sum(dy), along the last axis

    Shapes: y:f(*r,n) dy:f(*r,n) dx:f(*r,n)
    Written: dx
    """

def softmax_axis(x: Array, y: Array, log_result: bool, /) -> None:
    """softmax, or its logarithm, along the middle axis

    Shapes: x:f(o,n,i) y:f(o,n,i)
    Written: y
    """

def softmax_axis_grad(y: Array, dy: Array, dx: Array, log_result: bool, /) -> None:
    """gradient of softmax_axis from its result

    Shapes: y:f(o,n,i) dy:f(o,n,i) dx:f(o,n,i)
    Written: dx
    """

def conv2d(x: Array, w: Array, b: Array | None, y: Array, stride_h: int, stride_w: int, pad_top: int, pad_left: int, dilation_h: int, dilation_w: int, g: int, activation: int, alpha: float, /) -> None:
    """y = act(b + windows of x times w, in g groups of channels); what a window sees outside x is 0

    Shapes: x:f(n,h,w,g*c) w:f(r,s,c,g*k) b:f(g*k)? y:f(n,p,q,g*k) stride_h>=1 stride_w>=1 dilation_h>=1 dilation_w>=1 g>=1 activation>=0
    Written: y
    """

def conv2d_input_grad(dy: Array, w: Array, dx: Array, stride_h: int, stride_w: int, pad_top: int, pad_left: int, dilation_h: int, dilation_w: int, g: int, /) -> None:
    """the gradient of x in conv2d: dx collects w dy from every window it lies in

    Shapes: dy:f(n,p,q,g*k) w:f(r,s,c,g*k) dx:f(n,h,w,g*c) stride_h>=1 stride_w>=1 dilation_h>=1 dilation_w>=1 g>=1
    Written: dx
    """

def conv2d_transpose(x: Array, w: Array, b: Array | None, y: Array, stride_h: int, stride_w: int, pad_top: int, pad_left: int, dilation_h: int, dilation_w: int, g: int, activation: int, alpha: float, /) -> None:
    """y = act(b + conv2d_input_grad(x, w)): the transposed convolution

    Shapes: x:f(n,p,q,g*k) w:f(r,s,c,g*k) b:f(g*c)? y:f(n,h,w,g*c) stride_h>=1 stride_w>=1 dilation_h>=1 dilation_w>=1 g>=1 activation>=0
    Written: y
    """

def conv2d_weight_grad(x: Array, dy: Array, dw: Array, stride_h: int, stride_w: int, pad_top: int, pad_left: int, dilation_h: int, dilation_w: int, g: int, /) -> None:
    """the gradient of w in conv2d: dw = sum over outputs of x in the window times dy

    Shapes: x:f(n,h,w,g*c) dy:f(n,p,q,g*k) dw:f(r,s,c,g*k) stride_h>=1 stride_w>=1 dilation_h>=1 dilation_w>=1 g>=1
    Written: dw
    """

def max_pool2d(x: Array, y: Array, arg: Array | None, pool_h: int, pool_w: int, stride_h: int, stride_w: int, pad_top: int, pad_left: int, /) -> None:
    """y = the largest of each window, NaN if it holds one; arg, uint8 or (beyond 256 inputs) int32, its place there

    Shapes: x:f(n,h,w,c) y:f(n,p,q,c) arg:x(n,p,q,c)? pool_h>=1 pool_w>=1 stride_h>=1 stride_w>=1
    Written: y, arg
    """

def max_pool2d_grad(arg: Array, dy: Array, dx: Array, pool_h: int, pool_w: int, stride_h: int, stride_w: int, pad_top: int, pad_left: int, /) -> None:
    """dx = dy where the window's largest was, else 0

    Shapes: arg:x(n,p,q,c) dy:f(n,p,q,c) dx:f(n,h,w,c) pool_h>=1 pool_w>=1 stride_h>=1 stride_w>=1
    Written: dx
    """

def average_pool2d(x: Array, y: Array, pool_h: int, pool_w: int, stride_h: int, stride_w: int, pad_top: int, pad_left: int, /) -> None:
    """y = the mean of each window, without its padding

    Shapes: x:f(n,h,w,c) y:f(n,p,q,c) pool_h>=1 pool_w>=1 stride_h>=1 stride_w>=1
    Written: y
    """

def average_pool2d_grad(dy: Array, dx: Array, pool_h: int, pool_w: int, stride_h: int, stride_w: int, pad_top: int, pad_left: int, /) -> None:
    """dx = sum over windows of dy / inputs of the window

    Shapes: dy:f(n,p,q,c) dx:f(n,h,w,c) pool_h>=1 pool_w>=1 stride_h>=1 stride_w>=1
    Written: dx
    """

def global_average_pool(x: Array, mask: Array | None, y: Array, /) -> None:
    """y = mean of x over l, where the mask is true; 0 where it never is

    Shapes: x:f(n,l,c) mask:b(n,l)? y:f(n,c)
    Written: y
    """

def global_average_pool_grad(mask: Array | None, dy: Array, dx: Array, /) -> None:
    """dx = dy / count where the mask is true, else 0

    Shapes: mask:b(n,l)? dy:f(n,c) dx:f(n,l,c)
    Written: dx
    """

def global_max_pool(x: Array, y: Array, /) -> None:
    """y = the largest x over l, NaN if there is one

    Shapes: x:f(n,l,c) y:f(n,c)
    Written: y
    """

def global_max_pool_grad(x: Array, y: Array, dy: Array, dx: Array, /) -> None:
    """dx = dy shared equally among the x that are y, else 0

    Shapes: x:f(n,l,c) y:f(n,c) dy:f(n,c) dx:f(n,l,c)
    Written: dx
    """

def upsample_nearest2d(x: Array, y: Array, size_h: int, size_w: int, /) -> None:
    """y = every pixel of x repeated

    Shapes: x:f(n,h,w,c) y:f(n,size_h*h,size_w*w,c) size_h>=1 size_w>=1
    Written: y
    """

def upsample_nearest2d_grad(dy: Array, dx: Array, size_h: int, size_w: int, /) -> None:
    """dx = sum of dy over the repetitions

    Shapes: dy:f(n,size_h*h,size_w*w,c) dx:f(n,h,w,c) size_h>=1 size_w>=1
    Written: dx
    """

def resize_bilinear(x: Array, y: Array, /) -> None:
    """y = x between its four nearest pixels, centres at i + 1/2, the border repeated

    Shapes: x:f(n,h,w,c) y:f(n,p,q,c)
    Written: y
    """

def resize_bilinear_grad(dy: Array, dx: Array, /) -> None:
    """dx of resize_bilinear

    Shapes: dy:f(n,p,q,c) dx:f(n,h,w,c)
    Written: dx
    """

def batch_norm(x: Array, gamma: Array | None, beta: Array | None, mask: Array | None, y: Array, mean: Array, inv_std: Array, moving_mean: Array, moving_variance: Array, momentum: float, epsilon: float, /) -> None:
    """y = gamma (x - mean) inv_std + beta with mean and inv_std = (variance + epsilon)^-1/2 of the rows (in the mask); moving = momentum moving + (1 - momentum) batch, biased variance (Ioffe & Szegedy 2015)

    Shapes: x:f(*r,c) gamma:f(c)? beta:f(c)? mask:b(*r)? y:f(*r,c) mean:f(c) inv_std:f(c) moving_mean:f(c) moving_variance:f(c)
    Written: y, mean, inv_std, moving_mean, moving_variance
    """

def batch_norm_inference(x: Array, mean: Array, variance: Array, gamma: Array | None, beta: Array | None, y: Array, epsilon: float, /) -> None:
    """y = gamma (x - mean) (variance + epsilon)^-1/2 + beta

    Shapes: x:f(*r,c) mean:f(c) variance:f(c) gamma:f(c)? beta:f(c)? y:f(*r,c)
    Written: y
    """

def batch_norm_grad(x: Array, dy: Array, mean: Array, inv_std: Array, gamma: Array | None, mask: Array | None, dx: Array | None, dgamma: Array | None, dbeta: Array | None, /) -> None:
    """gradients of batch_norm: dbeta = sum dy, dgamma = sum dy xhat, dx = gamma inv_std (dy - [in mask] (dbeta + xhat dgamma) / N)

    Shapes: x:f(*r,c) dy:f(*r,c) mean:f(c) inv_std:f(c) gamma:f(c)? mask:b(*r)? dx:f(*r,c)? dgamma:f(c)? dbeta:f(c)?
    Written: dx, dgamma, dbeta
    """

def layer_norm(x: Array, gamma: Array | None, beta: Array | None, y: Array, mean: Array, inv_std: Array, epsilon: float, centered: bool, /) -> None:
    """y = gamma (x - mean) inv_std + beta along the last axis (Ba et al. 2016); mean is 0 unless centered (root mean square normalisation)

    Shapes: x:f(*r,n) gamma:f(n)? beta:f(n)? y:f(*r,n) mean:f(*r) inv_std:f(*r)
    Written: y, mean, inv_std
    """

def layer_norm_grad(x: Array, dy: Array, mean: Array, inv_std: Array, gamma: Array | None, dx: Array | None, dgamma: Array | None, dbeta: Array | None, centered: bool, /) -> None:
    """gradients of layer_norm: with g = dy gamma, dx = inv_std (g - [centered] mean g - xhat mean(g xhat))

    Shapes: x:f(*r,n) dy:f(*r,n) mean:f(*r) inv_std:f(*r) gamma:f(n)? dx:f(*r,n)? dgamma:f(n)? dbeta:f(n)?
    Written: dx, dgamma, dbeta
    """

def dropout(x: Array, state: Array, y: Array, rate: float, /) -> None:
    """y = x / (1 - rate) with probability 1 - rate, else 0, drawn from the state; on dy it gives dx

    Shapes: x:f(*s) state:i(4) y:f(*s)
    Written: y
    """

def random_uniform(state: Array, y: Array, low: float, high: float, /) -> None:
    """y uniform in [low, high)

    Shapes: state:i(4) y:f(*s)
    Written: y
    """

def random_normal(state: Array, y: Array, mean: float, deviation: float, /) -> None:
    """y normal, by Box and Muller

    Shapes: state:i(4) y:f(*s)
    Written: y
    """

def rng_next(state: Array, saved: Array, /) -> None:
    """saved = state {seed_lo, seed_hi, step_lo, step_hi}; step += 1

    Shapes: state:i(4) saved:i(4)
    Written: state, saved
    """

def embedding(index: Array, table: Array, y: Array, /) -> None:
    """y = table[index]

    Shapes: index:i(*r) table:f(v,d)~ y:f(*r,d)
    Written: y
    """

def embedding_grad(index: Array, dy: Array, dtable: Array, /) -> None:
    """dtable[j] = sum of dy where index is j

    Shapes: index:i(*r) dy:f(*r,d) dtable:f(v,d)
    Written: dtable
    """

def embedding_mean(index: Array, mask: Array | None, table: Array, y: Array, /) -> None:
    """y = mean of table[index] over l, where the mask is true; 0 where it never is

    Shapes: index:i(n,l) mask:b(n,l)? table:f(v,d)~ y:f(n,d)
    Written: y
    """

def embedding_mean_grad(index: Array, mask: Array | None, dy: Array, dtable: Array, /) -> None:
    """dtable[j] = sum of dy / count where index is j and the mask is true

    Shapes: index:i(n,l) mask:b(n,l)? dy:f(n,d) dtable:f(v,d)
    Written: dtable
    """

def simple_rnn(x: Array | None, w: Array | None, bias: Array | None, z: Array, u: Array, h0: Array | None, mask: Array | None, drop: Array | None, h: Array, hn: Array, activation: int, alpha: float, reverse: bool, keep: bool, /) -> None:
    """h_t = act(z_t + h_{t-1} u)

    Shapes: x:f(b,t,d)? w:f(d,n)? bias:f(n)? z:f(b,t,n) u:f(n,n) h0:f(b,n)? mask:b(b,t)? drop:f(1,b,n)? h:f(b,t,n) hn:f(b,n)
    Written: z, h, hn
    """

def simple_rnn_grad(z: Array, u: Array, h: Array, h0: Array | None, mask: Array | None, drop: Array | None, dy: Array | None, dhn: Array | None, dz: Array, hp: Array, dh0: Array, activation: int, alpha: float, reverse: bool, /) -> None:
    """gradient of simple_rnn through time; hp: the state before each step, as u sees it, so that du = hp^T dz

    Shapes: z:f(b,t,n) u:f(n,n) h:f(b,t,n) h0:f(b,n)? mask:b(b,t)? drop:f(1,b,n)? dy:f(b,t,n)? dhn:f(b,n)? dz:f(b,t,n) hp:f(1,b,t,n) dh0:f(b,n)
    Written: dz, hp, dh0
    """

def lstm(x: Array | None, w: Array | None, bias: Array | None, z: Array, u: Array, h0: Array | None, c0: Array | None, mask: Array | None, drop: Array | None, h: Array, c: Array, hn: Array, cn: Array, activation: int, alpha: float, recurrent_activation: int, recurrent_alpha: float, reverse: bool, keep: bool, /) -> None:
    """long short-term memory, gates i f c o (Hochreiter & Schmidhuber 1997)

    Shapes: x:f(b,t,d)? w:f(d,4*n)? bias:f(4*n)? z:f(b,t,4*n) u:f(n,4*n) h0:f(b,n)? c0:f(b,n)? mask:b(b,t)? drop:f(q,b,n)? h:f(b,t,n) c:f(b,t,n) hn:f(b,n) cn:f(b,n)
    Written: z, h, c, hn, cn
    """

def lstm_grad(z: Array, u: Array, h: Array, c: Array, h0: Array | None, c0: Array | None, mask: Array | None, drop: Array | None, dy: Array | None, dhn: Array | None, dcn: Array | None, dz: Array, hp: Array, dh0: Array, dc0: Array, activation: int, alpha: float, recurrent_activation: int, recurrent_alpha: float, reverse: bool, /) -> None:
    """gradient of lstm through time; p is 1, or 4 where drop has a mask for each gate

    Shapes: z:f(b,t,4*n) u:f(n,4*n) h:f(b,t,n) c:f(b,t,n) h0:f(b,n)? c0:f(b,n)? mask:b(b,t)? drop:f(q,b,n)? dy:f(b,t,n)? dhn:f(b,n)? dcn:f(b,n)? dz:f(b,t,4*n) hp:f(p,b,t,n) dh0:f(b,n) dc0:f(b,n)
    Written: dz, hp, dh0, dc0
    """

def gru(x: Array | None, w: Array | None, bias: Array | None, z: Array, u: Array, recurrent_bias: Array | None, h0: Array | None, mask: Array | None, drop: Array | None, h: Array, s: Array, hn: Array, activation: int, alpha: float, recurrent_activation: int, recurrent_alpha: float, reset_after: bool, reverse: bool, keep: bool, /) -> None:
    """gated recurrent unit, gates z r h (Cho et al. 2014); s: h u_h + recurrent_bias_h with reset_after, else r h

    Shapes: x:f(b,t,d)? w:f(d,3*n)? bias:f(3*n)? z:f(b,t,3*n) u:f(n,3*n) recurrent_bias:f(3*n)? h0:f(b,n)? mask:b(b,t)? drop:f(q,b,n)? h:f(b,t,n) s:f(b,t,n) hn:f(b,n)
    Written: z, h, s, hn
    """

def gru_grad(z: Array, u: Array, h: Array, s: Array, h0: Array | None, mask: Array | None, drop: Array | None, dy: Array | None, dhn: Array | None, dz: Array, ds: Array | None, hp: Array, dh0: Array, activation: int, alpha: float, recurrent_activation: int, recurrent_alpha: float, reset_after: bool, reverse: bool, /) -> None:
    """gradient of gru through time; ds: of h u + bias, only with reset_after; hp: p is 3 with a drop for each gate, else 1, or 2 (h, then r h) without reset_after

    Shapes: z:f(b,t,3*n) u:f(n,3*n) h:f(b,t,n) s:f(b,t,n) h0:f(b,n)? mask:b(b,t)? drop:f(q,b,n)? dy:f(b,t,n)? dhn:f(b,n)? dz:f(b,t,3*n) ds:f(b,t,3*n)? hp:f(p,b,t,n) dh0:f(b,n)
    Written: dz, ds, hp, dh0
    """

def gates_nn(x: Array, w: Array, b: Array | None, z: Array, gates: int, /) -> None:
    """z = x w + b by gates, n/gates columns each: the last p-1 gates have an x of their own, x_1 ... x_(p-1), the others share x_0

    Shapes: x:f(p,*m,k) w:f(k,n) b:f(n)? z:f(*m,n) gates>=1
    Written: z
    """

def gates_nt(dz: Array, w: Array, dx: Array, gates: int, /) -> None:
    """the gradient of x in gates_nn

    Shapes: dz:f(*m,n) w:f(k,n) dx:f(p,*m,k) gates>=1
    Written: dx
    """

def gates_tn(x: Array, dz: Array, dw: Array, gates: int, /) -> None:
    """the gradient of w in gates_nn

    Shapes: x:f(p,*m,k) dz:f(*m,n) dw:f(k,n) gates>=1
    Written: dw
    """

def zero_masked(x: Array, mask: Array, y: Array, reverse: bool, /) -> None:
    """y_t = x_t where the mask of step t is true, else 0; reverse: the mask lies in the opposite order

    Shapes: x:f(b,t,n) mask:b(b,t) y:f(b,t,n)
    Written: y
    """

def pointwise_loss(t: Array, y: Array, loss: Array, kind: int, parameter: float, mean: bool, /) -> None:
    """mean (or sum) over the last axis of a PointwiseLoss of target t and prediction y

    Shapes: t:f(*r,n) y:f(*r,n) loss:f(*r) kind>=0
    Written: loss
    """

def pointwise_loss_grad(t: Array, y: Array, dloss: Array, dy: Array, kind: int, parameter: float, mean: bool, /) -> None:
    """gradient of pointwise_loss in y

    Shapes: t:f(*r,n) y:f(*r,n) dloss:f(*r) dy:f(*r,n) kind>=0
    Written: dy
    """

def sparse_crossentropy(y: Array, label: Array, loss: Array, stats: Array, from_logits: bool, ignored: int, /) -> None:
    """loss = -log p[label], p = softmax(y), or y / sum y clipped to [1e-7, 1 - 1e-7]; 0 where label is ignored

    Shapes: y:f(*r,n) label:i(*r) loss:f(*r) stats:f(*r,2)
    Written: loss, stats
    """

def sparse_crossentropy_grad(y: Array, label: Array, stats: Array, dloss: Array, dy: Array, from_logits: bool, ignored: int, /) -> None:
    """from logits dy = dloss (softmax(y) - onehot(label)); else dloss (1 / sum y - onehot(label) / y)

    Shapes: y:f(*r,n) label:i(*r) stats:f(*r,2) dloss:f(*r) dy:f(*r,n)
    Written: dy
    """

def categorical_crossentropy(t: Array, y: Array, loss: Array, stats: Array, from_logits: bool, smoothing: float, /) -> None:
    """loss = -sum t' log p, t' = t (1 - smoothing) + smoothing / n, p as in sparse_crossentropy

    Shapes: t:f(*r,n) y:f(*r,n) loss:f(*r) stats:f(*r,3)
    Written: loss, stats
    """

def categorical_crossentropy_grad(t: Array, y: Array, stats: Array, dloss: Array, dy: Array, from_logits: bool, smoothing: float, /) -> None:
    """gradient of categorical_crossentropy in y

    Shapes: t:f(*r,n) y:f(*r,n) stats:f(*r,3) dloss:f(*r) dy:f(*r,n)
    Written: dy
    """

def accumulate(x: Array, scale: float, total: Array, /) -> None:
    """total += scale sum(x)

    Shapes: x:x(*s) total:F()
    Written: total
    """

def accumulate_each(x: Array, scale: float, total: Array, /) -> None:
    """total += scale x, element by element

    Shapes: x:x(*s) total:F(*s)
    Written: total
    """

def accumulate_constant(value: float, total: Array, /) -> None:
    """total += value

    Shapes: total:F(*s)
    Written: total
    """

def threshold_counts(y_true: Array, y_pred: Array, weight: Array | None, thresholds: Array, counts: Array, column: int, /) -> None:
    """counts[y_true = 0, label, k] += weight, k the last of the rising thresholds below y_pred or 0; l is 1 or c; of one column, or all if it is -1

    Shapes: y_true:x(n,c) y_pred:f(n,c) weight:f(n,c)? thresholds:F(t) counts:F(2,l,t)
    Written: counts
    """

def confusion_counts(y_true: Array, y_pred: Array, weight: Array | None, counts: Array, ignored: int, /) -> None:
    """counts[y_true, y_pred] += weight, but for classes out of range and for y_true = ignored

    Shapes: y_true:i(n) y_pred:i(n) weight:f(n)? counts:F(c,c)
    Written: counts
    """

def in_top_k(targets: Array, x: Array, y: Array, k: int, /) -> None:
    """y = 1 where fewer than k entries are larger than that of class `targets`, else 0

    Shapes: targets:i(*r) x:f(*r,n) y:f(*r) k>=1
    Written: y
    """

def keep_top_k(x: Array, y: Array, k: int, other: float, /) -> None:
    """y = x at the k largest entries of a row, equal ones by position; `other` elsewhere

    Shapes: x:f(*r,n) y:f(*r,n) k>=1
    Written: y
    """

def sgd(p: Array, g: Array, lr: Array, /) -> None:
    """p -= lr g

    Shapes: p:f(n) g:f(n) lr:F()
    Written: p
    """

def sgd_momentum(p: Array, g: Array, v: Array, lr: Array, momentum: float, nesterov: bool, /) -> None:
    """v = momentum v - lr g; p += v, with nesterov p += momentum v - lr g

    Shapes: p:f(n) g:f(n) v:f(n) lr:F()
    Written: p, v
    """

def sgd_average(p: Array, g: Array, v: Array, lr: Array, momentum: float, /) -> None:
    """v = momentum v + (1 - momentum) g; p -= lr v

    Shapes: p:f(n) g:f(n) v:f(n) lr:F()
    Written: p, v
    """

def adagrad(p: Array, g: Array, a: Array, lr: Array, epsilon: float, /) -> None:
    """a += g^2; p -= lr g / sqrt(a + epsilon) (Duchi et al. 2011)

    Shapes: p:f(n) g:f(n) a:f(n) lr:F()
    Written: p, a
    """

def rmsprop(p: Array, g: Array, v: Array, average: Array | None, m: Array | None, lr: Array, rho: float, momentum: float, epsilon: float, /) -> None:
    """v = rho v + (1 - rho) g^2; m = momentum m + lr g / sqrt(v [- average^2] + epsilon); p -= m (Hinton 2012; centered: Graves 2013)

    Shapes: p:f(n) g:f(n) v:f(n) average:f(n)? m:f(n)? lr:F()
    Written: p, v, average, m
    """

def adam(p: Array, g: Array, m: Array, v: Array, lr: Array, t: Array, beta_1: float, beta_2: float, epsilon: float, weight_decay: float, /) -> None:
    """Adam step t with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019)

    Shapes: p:f(n) g:f(n) m:f(n) v:f(n) lr:F() t:i()
    Written: p, m, v
    """

def adam_amsgrad(p: Array, g: Array, m: Array, v: Array, v_hat: Array, lr: Array, t: Array, beta_1: float, beta_2: float, epsilon: float, weight_decay: float, /) -> None:
    """Adam step t on the largest v so far (Reddi et al. 2018)

    Shapes: p:f(n) g:f(n) m:f(n) v:f(n) v_hat:f(n) lr:F() t:i()
    Written: p, m, v, v_hat
    """

def adamax(p: Array, g: Array, m: Array, u: Array, lr: Array, t: Array, beta_1: float, beta_2: float, epsilon: float, /) -> None:
    """u = max(beta_2 u, |g|); p -= lr / (1 - beta_1^t) m / (u + epsilon) (Kingma & Ba 2015, section 7.1)

    Shapes: p:f(n) g:f(n) m:f(n) u:f(n) lr:F() t:i()
    Written: p, m, u
    """

def nadam_product(product: Array, t: Array, beta_1: float, /) -> None:
    """product *= beta_1 (1 - 0.96^t / 2)

    Shapes: product:F() t:i()
    Written: product
    """

def nadam(p: Array, g: Array, m: Array, v: Array, product: Array, lr: Array, t: Array, beta_1: float, beta_2: float, epsilon: float, /) -> None:
    """Adam step t with Nesterov momentum (Dozat 2015)

    Shapes: p:f(n) g:f(n) m:f(n) v:f(n) product:F() lr:F() t:i()
    Written: p, m, v
    """

def adadelta(p: Array, g: Array, a: Array, d: Array, lr: Array, rho: float, epsilon: float, /) -> None:
    """a = rho a + (1 - rho) g^2; move = sqrt(d + epsilon) g / sqrt(a + epsilon); d likewise of move; p -= lr move (Zeiler 2012)

    Shapes: p:f(n) g:f(n) a:f(n) d:f(n) lr:F()
    Written: p, a, d
    """

def lion(p: Array, g: Array, m: Array, lr: Array, beta_1: float, beta_2: float, /) -> None:
    """p -= lr sign(beta_1 m + (1 - beta_1) g); m = beta_2 m + (1 - beta_2) g (Chen et al. 2023)

    Shapes: p:f(n) g:f(n) m:f(n) lr:F()
    Written: p, m
    """

def ftrl(p: Array, g: Array, a: Array, linear: Array, lr: Array, power_: float, l1: float, l2: float, shrinkage: float, beta: float, /) -> None:
    """follow the regularised leader (McMahan et al. 2013)

    Shapes: p:f(n) g:f(n) a:f(n) linear:f(n) lr:F()
    Written: p, a, linear
    """

def rescale(p: Array, factor: float, /) -> None:
    """p *= factor

    Shapes: p:f(n)
    Written: p
    """

def weight_decay(p: Array, lr: Array, decay: float, /) -> None:
    """p *= 1 - decay lr

    Shapes: p:f(n) lr:F()
    Written: p
    """

def clip_value(g: Array, limit: float, /) -> None:
    """g = min(max(g, -limit), limit)

    Shapes: g:f(n)
    Written: g
    """

def clip_norm(g: Array, offsets: Array | None, limit: float, /) -> None:
    """g *= limit / max(norm, limit), norm of all of g or of each of the segments between offsets

    Shapes: g:f(n) offsets:i(k)?
    Written: g
    """

def moving_average(average: Array, p: Array, t: Array, momentum: float, overwrite_every: int, /) -> None:
    """average = momentum average + (1 - momentum) p, at step t = 1 average = p; every overwrite_every-th step p = average

    Shapes: average:f(n) p:f(n) t:i() overwrite_every>=0
    Written: average, p
    """

def increment(t: Array, /) -> None:
    """t += 1

    Shapes: t:i()
    Written: t
    """

def schedule_rate(table: Array, t: Array, first: Array, lr: Array, /) -> None:
    """lr = table[t - first], the nearest end outside the table

    Shapes: table:F(n) t:i() first:i() lr:F()
    Written: lr
    """

def fill(y: Array, value: float, /) -> None:
    """y = value

    Shapes: y:x(*s)
    Written: y
    """

def one_hot(index: Array, y: Array, /) -> None:
    """y = 1 at the index of each row, else 0; all 0 for an index outside

    Shapes: index:i(*s) y:x(*s,k)
    Written: y
    """

def arange(y: Array, start: float, step: float, /) -> None:
    """y[i] = start + i step

    Shapes: y:n(n)
    Written: y
    """

def copy(x: Array, y: Array, /) -> None:
    """y = x

    Shapes: x:x(*s) y:x(*s)
    Written: y
    """

def broadcast_copy(x: Array, y: Array, /) -> None:
    """y = x, broadcast

    Shapes: x:x(^s) y:x(*s)
    Written: y
    """

def transpose(x: Array, y: Array, axes: Sequence[int], /) -> None:
    """y[...] = x with axis axes[k] as axis k

    Shapes: x:x(*s) y:x(*t)
    Written: y
    """

def slice(x: Array, y: Array, start: Sequence[int], step: Sequence[int], /) -> None:
    """y[k] = x[start + k step]

    Shapes: x:x(*s) y:x(*t)
    Written: y
    """

def slice_update(x: Array, value: Array, start: Sequence[int], step: Sequence[int], /) -> None:
    """x[start + k step] = value[k]

    Shapes: x:x(*s) value:x(*t)
    Written: x
    """

def pad(x: Array, y: Array, before: Sequence[int], value: float, /) -> None:
    """y = x from position `before` on, `value` around it

    Shapes: x:x(*s) y:x(*t)
    Written: y
    """

def triangle(x: Array, y: Array, k: int, upper: bool, /) -> None:
    """y = x on and below diagonal k, or on and above it; 0 elsewhere

    Shapes: x:x(*b,m,n) y:x(*b,m,n)
    Written: y
    """

def take(x: Array, index: Array, y: Array, /) -> None:
    """y = x at the indices along its middle axis

    Shapes: x:x(o,n,i)~ index:i(k) y:x(o,k,i)
    Written: y
    """

def take_grad(index: Array, dy: Array, dx: Array, /) -> None:
    """dx = dy added up at the indices

    Shapes: index:i(k) dy:f(o,k,i) dx:f(o,n,i)
    Written: dx
    """

def take_along(x: Array, index: Array, y: Array, /) -> None:
    """y = x at each row's own indices

    Shapes: x:x(*r,n)~ index:i(*r,k) y:x(*r,k)
    Written: y
    """

def take_along_grad(index: Array, dy: Array, dx: Array, /) -> None:
    """dx = dy added up at each row's own indices

    Shapes: index:i(*r,k) dy:f(*r,k) dx:f(*r,n)
    Written: dx
    """

def gather_rows(data: Array, index: Array, y: Array, /) -> None:
    """y = the rows of data with these indices

    Shapes: data:x(n,*r)~ index:i(b) y:x(b,*r)
    Written: y
    """

def gather_rows_scaled(data: Array, index: Array, y: Array, scale: float, /) -> None:
    """y = scale times the rows of data with these indices

    Shapes: data:u(n,*r)~ index:i(b) y:f(b,*r)
    Written: y
    """

def sort(x: Array, y: Array, index: Array, rank: Array, descending: bool, /) -> None:
    """y = x sorted along its last axis; index: where each element was, rank: where each went

    Shapes: x:n(*r,n) y:n(*r,n) index:i(*r,n) rank:i(*r,n)
    Written: y, index, rank
    """

def top_k(x: Array, values: Array, index: Array, /) -> None:
    """the k largest elements of each row and where they were

    Shapes: x:n(*r,n) values:n(*r,k) index:i(*r,k)
    Written: values, index
    """

def searchsorted(sorted: Array, values: Array, y: Array, right: bool, /) -> None:
    """y = the number of sorted elements below each value, or not above it

    Shapes: sorted:n(n) values:n(*s) y:i(*s)
    Written: y
    """
