"""Activation functions over flat arrays, written so that LLVM turns them into vector code.

`tanh` and `exp` follow Cephes (Moshier 1989): the exponential by splitting off a power of two, the
hyperbolic tangent by a polynomial near 0 and by the exponential elsewhere. The largest error seen
is
2 units in the last place for float32 and 4 for float64 (tests/kernels/test_functions.py). Both
precisions run the same code with other coefficients.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from symstudy.kernels.jit import Floats, Index, Real, compiled_inline

LINEAR, TANH, SILU, RELU, GELU, SIN, POLYNOMIAL = range(7)
"""Codes of the activation functions; `symstudy.models.activations` names them."""

SQRT_HALF = math.sqrt(0.5)
INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)


def float32_of(typing: Any, bits: Any) -> Any:
    """Return the float32 whose bits are those of the int32 `bits`."""
    del typing, bits

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), emit


def float64_of(typing: Any, bits: Any) -> Any:
    """Return the float64 whose bits are those of the int64 `bits`."""
    del typing, bits

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), emit


bits_to_float32: Any = intrinsic(float32_of)
bits_to_float64: Any = intrinsic(float64_of)


@compiled_inline
def exp32(x: Real) -> Real:
    """Return exp(x) in float32; x is clipped to [-87, 88]."""
    x = min(max(x, np.float32(-87.0)), np.float32(88.0))
    power = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - power * np.float32(0.693359375)
    r = r - power * np.float32(-2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    return p * bits_to_float32((np.int32(power) + np.int32(127)) << np.int32(23))


@compiled_inline
def exp64(x: Real) -> Real:
    """Return exp(x) in float64; x is clipped to [-708, 709]."""
    x = min(max(x, -708.0), 709.0)
    power = np.floor(x * 1.4426950408889634073599 + 0.5)
    r = x - power * 6.93145751953125e-1
    r = r - power * 1.42860682030941723212e-6
    z = r * r
    p = 1.26177193074810590878e-4
    p = p * z + 3.02994407707441961300e-2
    p = (p * z + 9.99999999999999999910e-1) * r
    q = 3.00198505138664455042e-6
    q = q * z + 2.52448340349684104192e-3
    q = q * z + 2.27265548208155028766e-1
    q = q * z + 2.00000000000000000009e0
    value = 1.0 + 2.0 * (p / (q - p))
    return value * bits_to_float64((np.int64(power) + np.int64(1023)) << np.int64(52))


@compiled_inline
def tanh32(x: Real) -> Real:
    """Return tanh(x) in float32."""
    size = abs(x)
    z = x * x
    p = np.float32(-5.70498872745e-3)
    p = p * z + np.float32(2.06390887954e-2)
    p = p * z + np.float32(-5.37397155531e-2)
    p = p * z + np.float32(1.33314422036e-1)
    p = p * z + np.float32(-3.33332819422e-1)
    near = p * z * x + x
    far = np.float32(1.0) - np.float32(2.0) / (exp32(size + size) + np.float32(1.0))
    far = far if x >= np.float32(0.0) else -far
    return far if size >= np.float32(0.625) else near  # in this order NaN stays NaN


@compiled_inline
def tanh64(x: Real) -> Real:
    """Return tanh(x) in float64."""
    size = abs(x)
    z = x * x
    p = -9.64399179425052238628e-1
    p = p * z + -9.92877231001918586564e1
    p = p * z + -1.61468768441708447952e3
    q = z + 1.12811678491632931402e2
    q = q * z + 2.23548839060100448583e3
    q = q * z + 4.84406305325125486048e3
    near = x + x * z * (p / q)
    far = 1.0 - 2.0 / (exp64(size + size) + 1.0)
    far = far if x >= 0.0 else -far
    return far if size >= 0.625 else near  # in this order NaN stays NaN


def exp(x: float) -> float:
    """Return e to the power of `x`; in a kernel, in the precision of `x`."""
    return math.exp(x)


def tanh(x: float) -> float:
    """Return the hyperbolic tangent of `x`; in a kernel, in the precision of `x`."""
    return math.tanh(x)


@overload(exp)
def exp_in_kernel(x: Any) -> Any:
    """Pick the exponential for the type of `x`."""

    def single(x: Any) -> Any:
        return exp32(x)

    def double(x: Any) -> Any:
        return exp64(x)

    return single if x == types.float32 else double


@overload(tanh)
def tanh_in_kernel(x: Any) -> Any:
    """Pick the hyperbolic tangent for the type of `x`."""

    def single(x: Any) -> Any:
        return tanh32(x)

    def double(x: Any) -> Any:
        return tanh64(x)

    return single if x == types.float32 else double


@compiled_inline
def gelu32(z: Floats, slope: Floats) -> None:
    """Replace float32 `z` by z Phi(z), Phi the normal distribution function, and fill `slope`.

    erf is Cephes' polynomial of x^2 below 1, and above it that of Abramowitz and Stegun 1964,
    7.1.26, which needs one division; its largest error is 2e-7.
    """
    kind = z.dtype.type
    for i in range(z.size):
        x = z[i]
        a = abs(x) * kind(SQRT_HALF)
        q = a * a
        bell = exp(-q)
        p = kind(7.853861353153693e-5) * q - kind(8.010193625184903e-4)
        p = p * q + kind(5.188327685732524e-3)
        p = p * q - kind(2.685381193529856e-2)
        p = p * q + kind(1.128358514861418e-1)
        p = p * q - kind(3.761262582423300e-1)
        p = p * q + kind(1.128379165726710)
        t = kind(1.0) / (kind(1.0) + kind(0.3275911) * a)
        s = kind(1.061405429) * t - kind(1.453152027)
        s = s * t + kind(1.421413741)
        s = s * t - kind(0.284496736)
        s = s * t + kind(0.254829592)
        near, far = a * p, kind(1.0) - bell * (s * t)
        erf = near if a < kind(1.0) else far  # in this order NaN stays NaN
        erf = erf if x >= kind(0.0) else -erf
        below = kind(0.5) * (kind(1.0) + erf)
        z[i] = x * below
        slope[i] = below + x * kind(INV_SQRT_2PI) * bell


@compiled_inline
def gelu64(z: Floats, slope: Floats) -> None:
    """Replace `z` by z Phi(z), Phi the normal distribution function, and fill `slope`.

    erf is Cephes' pair of ratios of polynomials, of x^2 below 1 and of |x| with exp(-x^2) above;
    its largest error is 4 units in the last place.
    """
    kind = z.dtype.type
    for i in range(z.size):
        x = z[i]
        size = abs(x) * kind(SQRT_HALF)
        # Not min(): in this order NaN stays NaN.
        a = kind(8.0) if size > kind(8.0) else size  # noqa: FURB136
        q = a * a
        bell = exp(-q)
        p = kind(9.60497373987051638749e0) * q + kind(9.00260197203842689217e1)
        p = p * q + kind(2.23200534594684319226e3)
        p = p * q + kind(7.00332514112805075473e3)
        p = p * q + kind(5.55923013010394962768e4)
        r = q + kind(3.35617141647503099647e1)
        r = r * q + kind(5.21357949780152679795e2)
        r = r * q + kind(4.59432382970980127987e3)
        r = r * q + kind(2.26290000613890934246e4)
        r = r * q + kind(4.92673942608635921086e4)
        s = kind(2.46196981473530512524e-10) * a + kind(5.64189564831068821977e-1)
        s = s * a + kind(7.46321056442269912687e0)
        s = s * a + kind(4.86371970985681366614e1)
        s = s * a + kind(1.96520832956077098242e2)
        s = s * a + kind(5.26445194995477358631e2)
        s = s * a + kind(9.34528527171957607540e2)
        s = s * a + kind(1.02755188689515710272e3)
        s = s * a + kind(5.57535335369399327526e2)
        t = a + kind(1.32281951154744992508e1)
        t = t * a + kind(8.67072140885989742329e1)
        t = t * a + kind(3.54937778887819891062e2)
        t = t * a + kind(9.75708501743205489753e2)
        t = t * a + kind(1.82390916687909736289e3)
        t = t * a + kind(2.24633760818710981792e3)
        t = t * a + kind(1.65666309194161350182e3)
        t = t * a + kind(5.57535340817727675546e2)
        near, far = a * p / r, kind(1.0) - bell * s / t
        erf = near if a < kind(1.0) else far
        erf = erf if x >= kind(0.0) else -erf
        below = kind(0.5) * (kind(1.0) + erf)
        z[i] = x * below
        slope[i] = below + x * kind(INV_SQRT_2PI) * bell


@compiled_inline
def activate(z: Floats, slope: Floats, code: Index, coefficient: Real) -> None:
    """Replace the pre-activations `z` by f(z) and fill `slope` with f'(z).

    Args:
        z: Flat array of pre-activations, overwritten with activations.
        slope: Array like `z` for the derivative.
        code: Which function, one of the codes of this module.
        coefficient: a of the polynomial z + a z^2, in the type of `z`.
    """
    one = z.dtype.type(1.0)
    if code == TANH:
        for i in range(z.size):
            f = tanh(z[i])
            z[i] = f
            slope[i] = one - f * f
    elif code == SILU:
        for i in range(z.size):
            x = z[i]
            gate = one / (one + exp(-x))
            z[i] = x * gate
            slope[i] = gate * (one + x * (one - gate))
    elif code == RELU:
        for i in range(z.size):
            on = one if z[i] > 0 else one - one
            z[i] = z[i] * on
            slope[i] = on
    elif code == GELU:
        if z.itemsize == 4:
            gelu32(z, slope)
        else:
            gelu64(z, slope)
    elif code == SIN:
        for i in range(z.size):
            x = z[i]
            z[i] = math.sin(x)
            slope[i] = math.cos(x)
    elif code == POLYNOMIAL:
        for i in range(z.size):
            x = z[i]
            z[i] = x + coefficient * x * x
            slope[i] = one + (coefficient + coefficient) * x
    elif code == LINEAR:
        for i in range(z.size):
            slope[i] = one
    else:
        raise ValueError("the kernels must know the activation's code")
