"""Wide networks on average, without sampling one.

In a wide network with random weights the numbers ``z`` of a layer are nearly
normal with mean zero. Their variance at the next layer, and the factor by
which a gradient's square shrinks or grows on its way back through the layer,
are then averages over a normal distribution: two numbers a layer tell how a
network of any depth begins.

Weights have variance ``c_w / n_in`` and biases ``c_b``. Everything here has no
dimension.

Source: Poole et al. (2016), arXiv:1606.05340, and Schoenholz et al. (2017),
arXiv:1611.01232.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from shortcuts._checks import (
    check_finite,
    checked_correlation,
    checked_number,
    checked_whole,
)

Function = Callable[[Tensor], Tensor]
# The midpoints of a fine grid, twelve standard deviations to either side. None
# is at zero, where ReLU bends.
_POINTS = (torch.arange(-8192, 8192, dtype=torch.float64) + 0.5) * (12 / 8192)
_WEIGHTS = torch.softmax(-_POINTS.square() / 2, dim=0)
# For pairs a coarser one, of eight standard deviations.
_ONE = (torch.arange(-128, 128, dtype=torch.float64) + 0.5) * (8 / 128)
_PAIRS = torch.cartesian_prod(_ONE, _ONE)
_PAIR_WEIGHTS = torch.softmax(-_PAIRS.square().sum(1) / 2, dim=0)


def normal_mean(function: Function, variance: float) -> float:
    """Return E[function(z)] for a normal z of mean 0 and this variance.

    For smooth functions, and those that jump or bend at zero only, the error
    is that of float64. A jump elsewhere adds up to 3e-4 of its height.

    Raises:
        ValueError: if the variance is negative or not finite, or the function
            is not finite within twelve standard deviations.

    Example:
        >>> import torch
        >>> from shortcuts.mean_field import normal_mean
        >>> round(normal_mean(torch.abs, variance=1.0), 4)
        0.7979
    """
    variance = checked_number("variance", variance, low=0)
    values = function(_POINTS * variance**0.5)
    check_finite("function", values)
    return (_WEIGHTS * values).sum().item()


def pair_mean(
    function: Function, variance: float, correlation: float
) -> float:
    """Return E[function(z) function(z')] for two normal numbers.

    Both have mean 0 and this variance, and between them this correlation.
    For smooth functions the error is below 1e-9 of the mean square, for those
    that bend or jump it is up to 2e-3.

    Raises:
        ValueError: if the variance is negative or not finite, the correlation
            not between -1 and 1, or the function not finite.

    Example:
        >>> from torch import nn
        >>> from shortcuts.mean_field import pair_mean
        >>> round(pair_mean(nn.Identity(), 2.0, correlation=0.5), 4)
        1.0

    Source: Cho and Saul (2009), for ReLU in closed form.
    """
    variance = checked_number("variance", variance, low=0)
    correlation = checked_correlation(correlation)
    first, other = _PAIRS.T * variance**0.5
    second = correlation * first + (1 - correlation**2) ** 0.5 * other
    values = function(first) * function(second)
    check_finite("function", values)
    return (_PAIR_WEIGHTS * values).sum().item()


def slope(activation: Function) -> Function:
    """Return the derivative of an activation that works element by element.

    Example:
        >>> import torch
        >>> from shortcuts.mean_field import slope
        >>> slope(torch.square)(torch.tensor([1.0, 2.0]))
        tensor([2., 4.])
    """

    def derivative(z: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            z = z.detach().clone().requires_grad_()
            return torch.autograd.grad(activation(z).sum(), z)[0]

    return derivative


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function changes its sign, to the last digit.

    Raises:
        ValueError: if the ends are not finite numbers in their order, or the
            function has the same sign at both, or is nan where it is asked.

    Example:
        >>> from shortcuts.mean_field import root
        >>> round(root(lambda z: z**2 - 2, 0.0, 2.0), 3)
        1.414
    """
    low, high = checked_number("low", low), checked_number("high", high)
    if not low < high:
        raise ValueError(f"expected low < high, got {low} and {high}")
    first, last = function(low), function(high)
    if not (first <= 0 <= last or last <= 0 <= first):
        raise ValueError(
            f"expected a change of sign between {low} and {high}, got "
            f"{first:.3g} and {last:.3g}"
        )
    if first == 0:
        return low
    while low < (middle := low / 2 + high / 2) < high:
        value = function(middle)
        if math.isnan(value):
            raise ValueError(f"expected a number at {middle}, got nan")
        if min(first, value) > 0 or max(first, value) < 0:
            low = middle
        else:
            high = middle
    return high


class Signal(NamedTuple):
    """The result of :func:`propagate`, an entry for each layer.

    Example:
        >>> import torch
        >>> from shortcuts.mean_field import propagate
        >>> signal = propagate(torch.tanh, c_w=1, c_b=0, start=1, depth=4)
        >>> round(signal.chi.prod().item(), 3)
        0.168
    """

    variances: Float[Tensor, " layers"]
    """of z"""

    chi: Float[Tensor, " layers"]
    """factor of a squared gradient on its way back, ``c_w E[f'(z)^2]``"""


def propagate(
    activation: Function, *, c_w: float, c_b: float, start: float, depth: int
) -> Signal:
    """Follow a plain network of infinite width, ``h = f(W h + b)``.

    Args:
        activation: the function f.
        c_w: variance of the weights, times the layer's inputs.
        c_b: variance of the biases.
        start: mean square of the network's input.
        depth: how many layers.

    Raises:
        ValueError: if the depth is not positive, a variance is negative, or
            what comes out is no longer finite.

    Example:
        >>> import torch
        >>> from shortcuts.mean_field import propagate
        >>> signal = propagate(torch.relu, c_w=2, c_b=0, start=1, depth=3)
        >>> signal.chi.round(decimals=4)
        tensor([1., 1., 1.], dtype=torch.float64)
    """
    depth = checked_whole("depth", depth, low=1)
    c_w = checked_number("c_w", c_w, low=0)
    c_b = checked_number("c_b", c_b, low=0)
    start = checked_number("start", start, low=0)
    variances, chi = [], []
    for _ in range(depth):
        variance = c_w * start + c_b
        variances.append(variance)
        chi.append(
            c_w * normal_mean(lambda z: slope(activation)(z) ** 2, variance)
        )
        start = normal_mean(lambda z: activation(z) ** 2, variance)
    signal = Signal(
        torch.tensor(variances, dtype=torch.float64),
        torch.tensor(chi, dtype=torch.float64),
    )
    check_finite("chi", signal.chi)
    return signal


def gradient_correlation(
    activation: Function,
    *,
    c_w: float,
    c_b: float,
    start: float,
    correlation: float,
    depth: int,
) -> Float[Tensor, " layers"]:
    """Return how alike the gradients of two inputs are, after each layer.

    For a number that a plain network of infinite width, ``h = f(W h + b)``,
    computes after some layers: the correlation of its gradients, with respect
    to the input, at two inputs. Each layer multiplies it by
    ``E[f'(z) f'(z')] / E[f'(z)^2]``.

    Args:
        activation: the function f.
        c_w: variance of the weights, times the layer's inputs.
        c_b: variance of the biases.
        start: mean square of both inputs.
        correlation: their scalar product over the product of their norms.
        depth: how many layers.

    Raises:
        ValueError: for what :func:`propagate` refuses, for a correlation that
            is not between -1 and 1, and where all gradients are zero.

    Example:
        >>> import torch
        >>> from shortcuts.mean_field import gradient_correlation
        >>> found = gradient_correlation(
        ...     torch.relu, c_w=2, c_b=0, start=1, correlation=0.5, depth=3
        ... )
        >>> [round(number, 2) for number in found.tolist()]
        [0.67, 0.47, 0.35]

    Source: the two recursions are those of Poole et al. (2016); that their
    ratio is a correlation of gradients, that of Balduzzi et al. (2017).
    """
    correlation = checked_correlation(correlation)
    variances, chi = propagate(
        activation, c_w=c_w, c_b=c_b, start=start, depth=depth
    )
    factors = []
    both = c_w * start * correlation + c_b
    for variance in variances.tolist():
        correlation = min(both / variance, 1.0) if variance else 1.0
        product = pair_mean(slope(activation), variance, correlation)
        factors.append(c_w * product)
        both = c_w * pair_mean(activation, variance, correlation) + c_b
    found = (torch.tensor(factors, dtype=torch.float64) / chi).cumprod(0)
    check_finite("correlation of gradients", found)
    return found


class CriticalPoint(NamedTuple):
    """Where a signal neither grows nor shrinks, forward and backward.

    Example:
        >>> from shortcuts import GELU
        >>> from shortcuts.mean_field import critical_point
        >>> point = critical_point(GELU())
        >>> print(f"c_w = {point.c_w:.3f}, c_b = {point.c_b:.3f}")
        c_w = 1.983, c_b = 0.173
    """

    c_w: float
    c_b: float
    variance: float  # of z, at every layer


def critical_point(
    activation: Function, *, between: tuple[float, float] = (1.0, 10.0)
) -> CriticalPoint:
    """Solve for the initialisation at which a smooth activation is critical.

    Three conditions for three numbers: the variance reproduces itself, a small
    change of it does too, and the factor of a squared gradient is 1.

    Args:
        activation: the function f, without bends other than at zero.
        between: where the variance of z is sought.

    Raises:
        ValueError: if no such variance is found between the two.

    Example:
        >>> from torch import nn
        >>> from shortcuts.mean_field import critical_point
        >>> [round(number, 3) for number in critical_point(nn.GELU())]
        [1.983, 0.173, 3.562]

    Source: Roberts, Yaida and Hanin (2022), arXiv:2106.10165, where GELU is
    said to be "half-stable" there.
    """
    derivative = slope(activation)

    def needed_c_w(variance: float) -> float:
        mean_square = normal_mean(lambda z: derivative(z) ** 2, variance)
        return 1 / mean_square if mean_square > 0 else math.inf

    def change(variance: float) -> float:
        growth = normal_mean(
            lambda z: z * activation(z) * derivative(z), variance
        )
        return needed_c_w(variance) * growth / variance - 1

    low, high = between
    if not 0 < low < high < math.inf:
        raise ValueError(
            f"expected 0 < low < high < inf, got between={between}"
        )
    nowhere = ValueError(
        f"expected a critical variance between {low} and {high}, found none"
    )
    try:
        variance = root(change, low, high)
    except ValueError:
        raise nowhere from None
    c_w = needed_c_w(variance)
    c_b = variance - c_w * normal_mean(lambda z: activation(z) ** 2, variance)
    if c_b < 0:
        raise nowhere
    return CriticalPoint(c_w, c_b, variance)
