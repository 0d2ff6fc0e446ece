"""Jacobians of a network, layer by layer, and the paths through them."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev

from shortcuts._checks import check_input, check_tensor
from shortcuts.networks import DeepNeuralNetwork

Matrix = Float[Tensor, "n_out n_in"]


def layer_jacobians(
    model: DeepNeuralNetwork, x: Float[Tensor, " n_in"]
) -> list[Matrix]:
    """Return the Jacobian of each layer, without its shortcut, first to last.

    Each is taken where the network takes it: at the activations that ``x``
    leads to. The Jacobian of a layer that a shortcut bypasses is the identity
    more.

    Raises:
        TypeError: if ``model`` is another module, or ``x`` no tensor of
            floating-point numbers.
        ValueError: if ``x`` is not one sample, a vector of the first layer
            size.

    Example:
        >>> import torch
        >>> from shortcuts import DeepNeuralNetwork
        >>> from shortcuts.jacobians import layer_jacobians
        >>> model = DeepNeuralNetwork([3, 2, 1], use_shortcut=False)
        >>> first, second = layer_jacobians(model, torch.ones(3))
        >>> (second @ first).shape
        torch.Size([1, 3])
    """
    if not isinstance(model, DeepNeuralNetwork):
        raise TypeError(
            f"expected a DeepNeuralNetwork, got {type(model).__name__}"
        )
    check_tensor("x", x)
    check_input(x, model.layer_sizes[0])
    if x.dim() != 1:
        raise ValueError(
            f"expected one sample, a vector, got shape {tuple(x.shape)}"
        )
    jacobians, h = [], x.detach().clone()
    for layer, bypassed in zip(model.layers, model.bypassed, strict=True):
        jacobians.append(jacrev(layer)(h).detach())
        h = (h + layer(h) if bypassed else layer(h)).detach()
    return jacobians


def sums_by_length(
    jacobians: Sequence[Float[Tensor, "n n"]],
) -> Float[Tensor, "lengths n n"]:
    """Return the sum of the paths of each length in a product.

    Multiplied out, ``(I + J_L) ... (I + J_1)`` is a sum of ``2 ** L``
    products, one for each path: at every layer a path goes through the branch
    or takes the shortcut. Entry ``k`` of the result is the sum over all paths
    through ``k`` branches, for ``k`` from 0 to ``L``; together they are the
    Jacobian of the network.

    Raises:
        ValueError: if there are no Jacobians, or they are not square matrices
            of one size.

    Example:
        >>> import torch
        >>> from shortcuts.jacobians import sums_by_length
        >>> jacobians = [torch.tensor([[2.0]]), torch.tensor([[3.0]])]
        >>> sums_by_length(jacobians).flatten()  # (1 + 3) (1 + 2)
        tensor([1., 5., 6.])
    """
    shapes = {tuple(jacobian.shape) for jacobian in jacobians}
    sizes = {size for shape in shapes for size in shape}
    if len(shapes) != 1 or len(sizes) != 1 or len(*shapes) != 2:
        raise ValueError(
            f"expected square Jacobians of one size, got shapes {shapes}"
        )
    depth, (n,) = len(jacobians), sizes
    sums = jacobians[0].new_zeros(depth + 1, n, n)
    sums[0].fill_diagonal_(1)
    for jacobian in jacobians:
        # A path through k branches so far went through this one, or not.
        sums[1:] += jacobian @ sums[:-1]
    return sums
