"""What a wide network does on average, without drawing one.

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

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from numpy.polynomial.hermite_e import hermegauss
from scipy.optimize import brentq
from torch import Tensor

from shortcuts.statistics import check_finite

Function = Callable[[Tensor], Tensor]
# Gauss and Hermite's rule for averages over a standard normal number. An even
# number of points has none at zero, where ReLU bends.
_POINTS, _WEIGHTS = map(torch.from_numpy, hermegauss(200))
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def normal_mean(function: Function, variance: float) -> float:
    """Return E[function(z)] for a normal z of mean 0 and this variance.

    Raises:
        ValueError: if the variance is negative, or the mean is not finite.
    """
    if not variance >= 0:
        raise ValueError(f"expected a variance of 0 or more, got {variance}")
    values = function(_POINTS * variance**0.5)
    check_finite(values)
    return (_WEIGHTS * values).sum().item()


def slope(activation: Function) -> Function:
    """Return the derivative of an activation that works element by element."""

    def derivative(z: Tensor) -> Tensor:
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            return torch.autograd.grad(activation(z).sum(), z)[0]

    return derivative


class Signal(NamedTuple):
    """What :func:`propagate` returns, an entry for each layer."""

    variances: Float[Tensor, " layers"]
    """of z"""

    gains: Float[Tensor, " layers"]
    """of a squared gradient on its way back: ``chi = c_w E[f'(z)^2]``"""


def propagate(
    activation: Function, *, c_w: float, c_b: float, start: float, depth: int
) -> Signal:
    """Follow a plain network of infinite width, ``h = f(W h + b)``.

    Args:
        activation: f.
        c_w: variance of the weights, times the layer's inputs.
        c_b: variance of the biases.
        start: mean square of the network's input.
        depth: how many layers.

    Raises:
        ValueError: if the depth is not positive, a variance negative, or what
            comes out no longer finite.
    """
    if depth < 1:
        raise ValueError(f"expected a depth of at least 1, got {depth}")
    variances, gains = [], []
    for _ in range(depth):
        variance = c_w * start + c_b
        variances.append(variance)
        gains.append(
            c_w * normal_mean(lambda z: slope(activation)(z) ** 2, variance)
        )
        start = normal_mean(lambda z: activation(z) ** 2, variance)
    return Signal(
        torch.tensor(variances, dtype=torch.float64),
        torch.tensor(gains, dtype=torch.float64),
    )


class CriticalPoint(NamedTuple):
    """Where a signal neither grows nor shrinks, forward and backward."""

    c_w: float
    c_b: float
    variance: float  # of z, at every layer


def critical_point(
    activation: Function, *, between: tuple[float, float] = (1.0, 10.0)
) -> CriticalPoint:
    """Solve for the initialisation at which a smooth activation is critical.

    Three conditions for three numbers: the variance reproduces itself, a small
    change of it does too, and the gain of a gradient is 1.

    Args:
        activation: f.
        between: where the variance of z is sought.

    Raises:
        ValueError: if there is no such variance between the two.

    Source: Roberts, Yaida and Hanin (2022), arXiv:2106.10165, where GELU is
    said to be "half-stable" there.
    """
    derivative = slope(activation)

    def needed_c_w(variance: float) -> float:
        return 1 / normal_mean(lambda z: derivative(z) ** 2, variance)

    def change(variance: float) -> float:
        growth = normal_mean(
            lambda z: z * activation(z) * derivative(z), variance
        )
        return needed_c_w(variance) * growth / variance - 1

    if not change(between[0]) * change(between[1]) < 0:
        raise ValueError(
            f"expected a critical variance between {between[0]} and "
            f"{between[1]}, found none"
        )
    variance = brentq(change, *between, xtol=1e-12)
    c_w = needed_c_w(variance)
    c_b = variance - c_w * normal_mean(lambda z: activation(z) ** 2, variance)
    return CriticalPoint(c_w, c_b, variance)
