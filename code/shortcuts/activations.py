"""GELU, the activation function of the book, written out in both its forms."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class GELU(nn.Module):
    """The Gaussian error linear unit, x Phi(x), one number at a time.

    Phi is the cumulative distribution function of the standard normal
    distribution. Both forms are from section 2 of Hendrycks and Gimpel (2016),
    arXiv:1606.08415.

    Args:
        approximate: ``"tanh"``, the approximation that listing 4.5 uses, or
            ``"none"``, x Phi(x) itself. The words are those of
            ``torch.nn.GELU``, but the default is not: there it is ``"none"``.

    Raises:
        ValueError: for any other ``approximate``.

    Example:
        >>> import torch
        >>> from shortcuts import GELU
        >>> GELU()(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([-0.1588,  0.0000,  0.8412])
    """

    def __init__(self, approximate: str = "tanh") -> None:
        super().__init__()
        if approximate not in ("tanh", "none"):
            raise ValueError(
                'expected approximate to be "tanh" or "none", '
                f"got {approximate!r}"
            )
        self.approximate = approximate

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Apply the function to each element; shape and dtype stay.

        Raises:
            TypeError: if ``x`` does not hold floating-point numbers.
        """
        if not torch.is_floating_point(x):
            raise TypeError(f"expected a floating-point tensor, got {x.dtype}")
        # Half precision is computed in float32 and rounded once, at the end.
        z = x.to(torch.promote_types(x.dtype, torch.float32))
        if self.approximate == "tanh":
            bend = math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)
            y = 0.5 * z * (1 + torch.tanh(bend))
        else:
            # Phi(z) = (1 + erf(z / sqrt 2)) / 2; erfc keeps the digits of the
            # left tail, which 1 + erf loses to rounding.
            y = 0.5 * z * torch.erfc(-z / math.sqrt(2))
        return y.to(x.dtype)

    def extra_repr(self) -> str:
        """Say in ``print(model)`` which form it is."""
        return f"approximate={self.approximate!r}"
