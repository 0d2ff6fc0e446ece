"""Quantiles and proportions of many measurements.

Numbers that are infinite or nan are refused, so that none is averaged away.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from shortcuts._checks import check_finite, check_tensor

Z = 1.959963984540054  # standard errors that 95 % of a normal sample keep to


class Proportion(NamedTuple):
    """A share of a sample, and the 95 % interval of the true share.

    Example:
        >>> from shortcuts.statistics import Proportion
        >>> print(Proportion(0.466, low=0.435, high=0.497))
        46.6 % (43.5 to 49.7)
        >>> print(Proportion(0.9999, low=0.9994, high=1.0))
        99.99 % (99.94 to 100.00)
    """

    share: float
    low: float
    high: float

    def __str__(self) -> str:
        """Write it in per cent, with digits enough to tell them apart."""
        for digits in range(1, 16):
            written = [f"{100 * value:.{digits}f}" for value in self]
            if len(set(written)) == len(set(self)):
                break
        share, low, high = written
        return f"{share} % ({low} to {high})"


def proportion(flags: Bool[Tensor, " networks"]) -> Proportion:
    """Return how many of ``flags`` hold, with Wilson's 95 % interval.

    Raises:
        TypeError: if they are no tensor of dtype ``torch.bool``.
        ValueError: if they are no vector, or there are none.

    Example:
        >>> import torch
        >>> from shortcuts.statistics import proportion
        >>> print(proportion(torch.tensor([True] * 3 + [False] * 7)))
        30.0 % (10.8 to 60.3)

    Source: Wilson (1927), Journal of the American Statistical Association 22.
    """
    check_tensor("flags", flags)
    if flags.dtype != torch.bool:
        raise TypeError(f"expected flags of torch.bool, got {flags.dtype}")
    if flags.dim() != 1 or not len(flags):
        raise ValueError(
            "expected a vector with a flag for each network, "
            f"got shape {tuple(flags.shape)}"
        )
    n = len(flags)
    share = int(flags.sum()) / n
    # The ends solve (end - share)^2 = Z^2 end (1 - end) / n.
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    spread = math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    reach = Z * spread / (1 + Z**2 / n)
    low, high = max(0.0, middle - reach), min(1.0, middle + reach)
    return Proportion(share, min(low, share), max(high, share))


def quantiles(
    values: Float[Tensor, "networks ..."],
    levels: Sequence[float] = (0.25, 0.5, 0.75),
) -> Float[Tensor, "levels ..."]:
    """Return quantiles over the networks, between neighbours linearly.

    Args:
        values: one number, or one table, for each network.
        levels: between 0 and 1; the lower quartile, the median and the upper
            quartile if not given.

    Raises:
        TypeError: if ``values`` is no tensor.
        ValueError: if a value is infinite or nan, there are none, or a level
            is not between 0 and 1.

    Example:
        >>> import torch
        >>> from shortcuts.statistics import quantiles
        >>> quantiles(torch.tensor([1.0, 2.0, 3.0, 4.0, 50.0]))
        tensor([2., 3., 4.], dtype=torch.float64)
    """
    check_tensor("values", values)
    check_finite("sample", values)
    if not values.numel():
        raise ValueError(f"expected values, got shape {tuple(values.shape)}")
    if not all(0 <= level <= 1 for level in levels):
        raise ValueError(f"expected levels between 0 and 1, got {levels}")
    rows = values.detach().double().sort(dim=0).values
    places = rows.new_tensor(levels) * (len(rows) - 1)
    shares = places.frac().reshape(-1, *[1] * (rows.dim() - 1))
    return rows[places.floor().long()].lerp(rows[places.ceil().long()], shares)
