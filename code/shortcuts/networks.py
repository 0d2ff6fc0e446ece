"""The network of listing 4.5, with and without shortcut connections."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from shortcuts._checks import (
    check_input,
    check_switch,
    checked_sizes,
    new_activation,
)
from shortcuts.activations import GELU


class DeepNeuralNetwork(nn.Module):
    """Layers of Linear and activation, bypassed by shortcuts where they fit.

    Without shortcuts a layer computes ``h = layer(h)``, with them
    ``h = h + layer(h)`` wherever input and output have the same shape.
    Shortcuts have no weights, so ``torch.manual_seed(s)`` before building
    gives both networks the same ones, and with the sizes of listing 4.5 and
    seed 123 those of the book section and of the notebook.

    Args:
        layer_sizes: units of the input and of every layer; sizes ``[3, 3, 1]``
            make two layers, the first from 3 to 3 units and the second from 3
            to 1.
        use_shortcut: whether to add a layer's input to its output.
        activation: called without arguments, once a layer, to make what
            follows the Linear; ``nn.GELU`` gives the network of the notebook.
            All calls come before the first weight is drawn.

    Raises:
        TypeError: if a size is no integer, ``use_shortcut`` no bool, or
            ``activation`` makes no module.
        ValueError: if there are fewer than two sizes, or one is below 1.

    Example:
        >>> import torch
        >>> from shortcuts import DeepNeuralNetwork
        >>> model = DeepNeuralNetwork([3, 3, 1], use_shortcut=True)
        >>> model.bypassed
        [True, False]
        >>> model(torch.ones(2, 3)).shape
        torch.Size([2, 1])

    Source: listing 4.5 of Raschka (2024); the shortcut is equation (1) of He
    et al. (2016), arXiv:1512.03385, with the activation inside the bypassed
    branch.
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        use_shortcut: bool,
        *,
        activation: Callable[[], nn.Module] = GELU,
    ) -> None:
        super().__init__()
        sizes = checked_sizes(layer_sizes)
        check_switch("use_shortcut", use_shortcut)
        activations = [new_activation(activation) for _ in sizes[1:]]
        self.layer_sizes = sizes
        self.use_shortcut = use_shortcut
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(n_in, n_out), act)
            for (n_in, n_out), act in zip(
                pairwise(sizes), activations, strict=True
            )
        )

    def forward(
        self, x: Float[Tensor, "*batch n_in"]
    ) -> Float[Tensor, "*batch n_out"]:
        """Pass ``x`` through all layers.

        Raises:
            TypeError: if ``x`` holds no floating-point numbers.
            ValueError: if its last dimension is not the first layer size.
        """
        check_input(x, self.layer_sizes[0])
        for layer in self.layers:
            layer_output = layer(x)
            fits = self.use_shortcut and x.shape == layer_output.shape
            x = x + layer_output if fits else layer_output
        return x

    @property
    def bypassed(self) -> list[bool]:
        """Which layers a shortcut bypasses, first to last."""
        return bypassed(self.layer_sizes, self.use_shortcut)

    def extra_repr(self) -> str:
        """Name in ``print(model)`` the options that the layers do not show."""
        return f"use_shortcut={self.use_shortcut}"


def bypassed(layer_sizes: Sequence[int], use_shortcut: bool) -> list[bool]:
    """Return which layers of these sizes a shortcut can bypass.

    Example:
        >>> from shortcuts.networks import bypassed
        >>> bypassed([3, 3, 5, 5, 1], use_shortcut=True)
        [True, False, True, False]
    """
    return [
        use_shortcut and n_in == n_out for n_in, n_out in pairwise(layer_sizes)
    ]
