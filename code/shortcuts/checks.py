"""Refuse bad input in the same words everywhere."""

import math
from numbers import Integral, Real

from torch import Tensor


def check_tensor(name: str, value: object) -> None:
    """Refuse what is no tensor.

    Example:
        >>> from shortcuts.checks import check_tensor
        >>> check_tensor("x", [1.0, 2.0])
        Traceback (most recent call last):
        TypeError: expected x to be a tensor, got list
    """
    if not isinstance(value, Tensor):
        raise TypeError(
            f"expected {name} to be a tensor, got {type(value).__name__}"
        )


def check_finite(name: str, value: Tensor) -> None:
    """Refuse a tensor that holds inf or nan.

    Example:
        >>> import torch
        >>> from shortcuts.checks import check_finite
        >>> check_finite("x", torch.tensor([1.0, -1e38]))  # large, but finite
    """
    strange = value.numel() - int(value.isfinite().sum())
    if strange:
        raise ValueError(
            f"expected a finite {name}, got {strange} of {value.numel()} "
            "numbers that are infinite or nan"
        )


def check_switch(name: str, value: bool) -> None:
    """Refuse what is neither True nor False.

    Example:
        >>> from shortcuts.checks import check_switch
        >>> check_switch("normalise", "no")
        Traceback (most recent call last):
        TypeError: expected normalise to be True or False, got 'no'
    """
    if not isinstance(value, bool):
        raise TypeError(f"expected {name} to be True or False, got {value!r}")


def checked_whole(name: str, value: object, *, low: int) -> int:
    """Return a whole number that is not below ``low``, or raise.

    Example:
        >>> from shortcuts.checks import checked_whole
        >>> checked_whole("depth", 0, low=1)
        Traceback (most recent call last):
        ValueError: expected depth to be at least 1, got 0
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"expected {name} to be a whole number, got {value!r}")
    if value < low:
        raise ValueError(
            f"expected {name} to be at least {low}, got {value!r}"
        )
    return int(value)


def checked_number(
    name: str, value: float, *, low: float = -math.inf
) -> float:
    """Return a finite number that is not below ``low``, or raise.

    Example:
        >>> from shortcuts.checks import checked_number
        >>> checked_number("scale", 2)
        2.0
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"expected {name} to be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"expected {name} to be finite, got {value!r}")
    if value < low:
        raise ValueError(
            f"expected {name} to be at least {low:g}, got {value!r}"
        )
    return float(value)
