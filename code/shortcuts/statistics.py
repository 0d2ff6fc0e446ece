"""What many measurements say together: quantiles, and proportions.

Numbers that are infinite or nan are refused, so that none is averaged away.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.stats import binomtest
from torch import Tensor

from shortcuts.checks import check_finite, check_tensor


class Proportion(NamedTuple):
    """A share of a sample, and the 95 % interval of what it stands for."""

    share: float
    low: float
    high: float

    def __str__(self) -> str:
        """Write it in per cent: ``46.6 % (43.5 to 49.7)``."""
        share, low, high = (100 * value for value in self)
        return f"{share:.1f} % ({low:.1f} to {high:.1f})"


def proportion(flags: Bool[Tensor, " networks"]) -> Proportion:
    """Return how many of ``flags`` hold, with Wilson's 95 % interval.

    Raises:
        TypeError: if they are no tensor of dtype ``torch.bool``.
        ValueError: if they are no vector, or there are none.

    Source: Wilson (1927), Journal of the American Statistical Association 22,
    as SciPy computes it.
    """
    check_tensor("flags", flags)
    if flags.dtype != torch.bool:
        raise TypeError(f"expected flags of torch.bool, got {flags.dtype}")
    if flags.dim() != 1 or not len(flags):
        raise ValueError(
            "expected a vector with a flag for each network, "
            f"got shape {tuple(flags.shape)}"
        )
    test = binomtest(int(flags.sum()), len(flags))
    interval = test.proportion_ci(confidence_level=0.95, method="wilson")
    return Proportion(
        float(test.statistic), float(interval.low), float(interval.high)
    )


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
    """
    check_tensor("values", values)
    check_finite("sample", values)
    if not values.numel():
        raise ValueError(f"expected values, got shape {tuple(values.shape)}")
    if not all(0 <= level <= 1 for level in levels):
        raise ValueError(f"expected levels between 0 and 1, got {levels}")
    numbers = values.detach().double().numpy()
    return torch.from_numpy(np.quantile(numbers, levels, axis=0))
