"""What many measurements say together: quantiles, and proportions.

Numbers that are infinite or nan are refused, so that none is averaged away.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from scipy.stats import binomtest
from torch import Tensor


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
        TypeError: if they are not of dtype ``torch.bool``.
        ValueError: if they are no vector, or there are none.

    Source: Wilson (1927), Journal of the American Statistical Association 22,
    as SciPy computes it.
    """
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
        ValueError: if a value is infinite or nan, or there are none.
    """
    check_finite(values)
    return torch.quantile(
        values.double(), torch.tensor(levels, dtype=torch.float64), dim=0
    )


def check_finite(values: Tensor) -> None:
    """Refuse values that are infinite, nan, or not there."""
    strange = values.numel() - int(values.isfinite().sum())
    if strange or not values.numel():
        raise ValueError(
            f"expected finite numbers, got {strange} of {values.numel()} that "
            "are infinite or nan"
        )
