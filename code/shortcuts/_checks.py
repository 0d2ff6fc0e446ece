"""Refuse bad input in the same words everywhere."""

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real

import torch
from torch import Tensor, nn


def listed(names: Iterable[object], *, most: int = 5) -> str:
    """Return names with commas between them, a long list cut.

    Example:
        >>> from shortcuts._checks import listed
        >>> listed(range(100), most=3)
        '0, 1, 2 and 97 more'
    """
    names = list(names)
    more = len(names) - most
    said = ", ".join(str(name) for name in names[:most])
    return f"{said} and {more} more" if more > 0 else said


def check_module(model: object) -> None:
    """Raise unless ``model`` is a module."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"expected a torch.nn.Module, got {type(model).__name__}"
        )


def check_tensor(name: str, value: object) -> None:
    """Raise unless the value is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"expected {name} to be a tensor, got {type(value).__name__}"
        )


def check_finite(name: str, value: Tensor) -> None:
    """Refuse a tensor that holds inf or nan."""
    strange = value.numel() - int(value.isfinite().sum())
    if strange:
        raise ValueError(
            f"expected a finite {name}, got {strange} of {value.numel()} "
            "numbers that are infinite or nan"
        )


def check_switch(name: str, value: bool) -> None:
    """Raise unless the value is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"expected {name} to be True or False, got {value!r}")


def checked_whole(name: str, value: object, *, low: int) -> int:
    """Return a whole number that is not below ``low``, or raise."""
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
    """Return a finite number that is not below ``low``, or raise."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"expected {name} to be a number, got {value!r}")
    if not abs(value) <= sys.float_info.max:
        raise ValueError(f"expected {name} to be finite, got {value!r}")
    if value < low:
        raise ValueError(
            f"expected {name} to be at least {low:g}, got {value!r}"
        )
    return float(value)


def checked_correlation(correlation: float) -> float:
    """Return a number between -1 and 1, or raise."""
    correlation = checked_number("correlation", correlation, low=-1)
    if correlation > 1:
        raise ValueError(
            f"expected correlation to be at most 1, got {correlation!r}"
        )
    return correlation


def checked_scale(scale: float) -> float:
    """Return the divisor of gradients, a number above 0, or raise."""
    scale = checked_number("scale", scale)
    if scale <= 0:
        raise ValueError(f"expected scale to be above 0, got {scale!r}")
    return scale


def check_input(x: Tensor, size: int) -> None:
    """Raise unless ``x`` is floating point, of last dimension ``size``."""
    check_tensor("the input", x)
    if not x.is_floating_point():
        raise TypeError(f"expected a floating-point input, got {x.dtype}")
    if x.shape[-1:] != (size,):
        raise ValueError(
            f"expected an input whose last dimension is {size}, "
            f"got shape {tuple(x.shape)}"
        )


def check_samples(x: Tensor, size: int) -> None:
    """Raise unless ``x`` is a finite matrix, with ``size`` numbers a row."""
    check_tensor("x", x)
    check_input(x, size)
    if x.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"expected x in float32 or float64, got {x.dtype}")
    if x.dim() != 2 or not len(x):
        raise ValueError(
            f"expected x of shape (samples, {size}) with at least one "
            f"sample, got {tuple(x.shape)}"
        )
    check_finite("x", x)


def checked_sizes(layer_sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the sizes of a network's layers, or raise."""
    try:
        sizes = tuple(layer_sizes)
    except TypeError:
        raise TypeError(
            "expected layer_sizes to be a sequence of integers, "
            f"got {layer_sizes!r}"
        ) from None
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, Integral):
            raise TypeError(
                "expected every layer size to be an integer, "
                f"got {size!r} in {sizes}"
            )
        if size < 1:
            raise ValueError(
                "expected every layer size to be at least 1, "
                f"got {size} in {sizes}"
            )
    if len(sizes) < 2:
        raise ValueError(
            "expected at least two layer sizes, of the input and of one "
            f"layer, got {sizes}"
        )
    return tuple(int(size) for size in sizes)


def new_activation(activation: Callable[[], nn.Module]) -> nn.Module:
    """Make the activation function of one layer, or raise."""
    if isinstance(activation, nn.Module) or not callable(activation):
        raise TypeError(
            "expected activation to be a class or function that makes a "
            f"module, such as nn.GELU, got {activation!r}"
        )
    try:
        module = activation()
    except TypeError as error:
        raise TypeError(
            "expected activation to be a class or function that makes a "
            f"module without being given anything, such as nn.GELU, got "
            f"{activation!r}, which says: {error}"
        ) from error
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"expected activation() to make a module, got {module!r}"
        )
    return module
