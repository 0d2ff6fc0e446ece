"""Ways to tame a shortcut: blocks to put around a branch, or in its place.

Every block maps a stream ``h`` to a stream of the same shape. A *branch* is
any module that does so too, such as one layer of Linear and GELU. Each block
is named as in the paper that it comes from.

All raise TypeError for what is no module, no whole number or no number, and
ValueError for a size below 1, a number that is not finite, and a stream or a
branch that does not fit.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shortcuts._checks import (
    check_input,
    check_tensor,
    checked_number,
    checked_whole,
    new_activation,
)
from shortcuts.activations import GELU

Stream = Float[Tensor, "*batch features"]


class Block(nn.Module):
    """Base of all blocks around a branch.

    Raises:
        TypeError: if the branch is no module.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from shortcuts.blocks import Block
        >>> Block(nn.Linear(3, 2)).run(torch.ones(3))
        Traceback (most recent call last):
        ValueError: expected a branch that keeps the shape (3,), got (2,)
    """

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        if not isinstance(branch, nn.Module):
            raise TypeError(f"expected branch to be a module, got {branch!r}")
        self.branch = branch

    def run(self, h: Stream) -> Stream:
        """Return the branch of a copy of ``h``.

        The stream stays as it was, even where the branch works in place.

        Raises:
            TypeError: if it is no tensor.
            ValueError: if it has another shape, which torch would silently
                repeat until the shapes agree.
        """
        out: Tensor = self.branch(h.clone())
        check_tensor("what the branch returns", out)
        if out.shape != h.shape:
            raise ValueError(
                f"expected a branch that keeps the shape {tuple(h.shape)}, "
                f"got {tuple(out.shape)}"
            )
        return out


class Residual(Block):
    """``h + scale * branch(h)``, with a scale that is not learned.

    A scale of 1 is equation (1) of He et al. (2016), arXiv:1512.03385; one
    over the square root of the number of blocks keeps the stream from growing
    with depth, as in Hayou et al. (2021), arXiv:2010.12859.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from shortcuts.blocks import Residual
        >>> Residual(nn.ReLU(), scale=0.5)(torch.tensor([-1.0, 1.0]))
        tensor([-1.0000,  1.5000])
    """

    def __init__(self, branch: nn.Module, scale: float = 1.0) -> None:
        super().__init__(branch)
        self.scale = checked_number("scale", scale)

    def forward(self, h: Stream) -> Stream:
        """Add the scaled branch to the stream."""
        return h + self.scale * self.run(h)

    def extra_repr(self) -> str:
        """Say the scale in ``print(model)``."""
        return f"scale={self.scale:g}"


class SkipInit(Block):
    """``h + alpha * branch(h)``, with one learned number ``alpha``.

    Args:
        branch: what the shortcut bypasses.
        alpha: where the learned number starts.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from shortcuts.blocks import SkipInit
        >>> block = SkipInit(nn.ReLU(), alpha=0.5)
        >>> block(torch.tensor([-1.0, 1.0])).tolist()
        [-1.0, 1.5]

    Source: De and Smith (2020), arXiv:2002.10444.
    """

    def __init__(self, branch: nn.Module, alpha: float = 0.0) -> None:
        super().__init__(branch)
        self.alpha = nn.Parameter(torch.tensor(checked_number("alpha", alpha)))

    def forward(self, h: Stream) -> Stream:
        """Add the branch, scaled by the learned number."""
        return h + self.alpha * self.run(h)


class ReZero(SkipInit):
    """:class:`SkipInit` that starts at zero: at first the block does nothing.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from shortcuts.blocks import ReZero
        >>> ReZero(nn.Linear(2, 2))(torch.tensor([-1.0, 1.0])).tolist()
        [-1.0, 1.0]

    Source: Bachlechner et al. (2021), arXiv:2003.04887.
    """

    def __init__(self, branch: nn.Module) -> None:
        super().__init__(branch, alpha=0.0)


class LayerScale(Block):
    """``h + gamma * branch(h)``, with one learned number for each feature.

    Args:
        branch: what the shortcut bypasses.
        features: the size of the stream.
        epsilon: where all of ``gamma`` starts. The paper takes 0.1 for up to
            18 blocks, 1e-5 for 24, and 1e-6 for more.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from shortcuts.blocks import LayerScale
        >>> block = LayerScale(nn.ReLU(), features=2)
        >>> block(torch.tensor([-1.0, 1.0])).detach()
        tensor([-1.0000,  1.1000])

    Source: Touvron et al. (2021), arXiv:2103.17239.
    """

    def __init__(
        self, branch: nn.Module, features: int, epsilon: float = 0.1
    ) -> None:
        super().__init__(branch)
        features = checked_whole("features", features, low=1)
        start = checked_number("epsilon", epsilon)
        self.gamma = nn.Parameter(torch.full((features,), start))

    def forward(self, h: Stream) -> Stream:
        """Add the branch, each feature scaled by its learned number."""
        check_input(h, len(self.gamma))
        return h + self.gamma * self.run(h)


class PreNorm(Block):
    """``h + branch(LayerNorm(h))``: the branch sees a stream of one size.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from shortcuts.blocks import PreNorm
        >>> h = torch.tensor([0.0, 0.0, 300.0])
        >>> (PreNorm(nn.Identity(), features=3)(h) - h).detach()
        tensor([-0.7071, -0.7071,  1.4142])

    Source: the Transformer block that Xiong et al. (2020), arXiv:2002.04745,
    call Pre-LN.
    """

    def __init__(self, branch: nn.Module, features: int) -> None:
        super().__init__(branch)
        self.norm = nn.LayerNorm(checked_whole("features", features, low=1))

    def forward(self, h: Stream) -> Stream:
        """Add the branch of the normalised stream."""
        check_input(h, *self.norm.normalized_shape)
        return h + self.run(self.norm(h))


class Fixup(nn.Module):
    """A branch of two Linears that starts at zero, and its shortcut.

    The first Linear is drawn from a normal distribution of variance ``2 /
    features``, times ``1 / sqrt(depth)``; the second starts at zero. Before
    each Linear and the activation a learned number is added that starts at
    zero; the branch is multiplied by one that starts at one, and another is
    added. So at first the block does nothing.

    Args:
        features: the size of the stream.
        depth: how many such blocks the network has.
        activation: called without arguments, to make what stands between the
            Linears.

    Raises:
        TypeError: if features or depth is no whole number.
        ValueError: if one of them is below 1.

    Example:
        >>> import torch
        >>> from shortcuts.blocks import Fixup
        >>> block = Fixup(features=3, depth=10)
        >>> block(torch.tensor([1.0, 0.0, -1.0])).tolist()
        [1.0, 0.0, -1.0]

    Source: Zhang, Dauphin and Ma (2019), arXiv:1901.09321, with m = 2 layers
    in a branch, so that their factor ``depth ** (-1 / (2m - 2))`` of the
    weights is ``depth ** -0.5``.
    """

    def __init__(
        self,
        features: int,
        depth: int,
        *,
        activation: Callable[[], nn.Module] = GELU,
    ) -> None:
        super().__init__()
        features = checked_whole("features", features, low=1)
        depth = checked_whole("depth", depth, low=1)
        self.activation = new_activation(activation)
        self.first = nn.Linear(features, features, bias=False)
        self.second = nn.Linear(features, features, bias=False)
        self.biases = nn.Parameter(torch.zeros(4))
        self.multiplier = nn.Parameter(torch.ones(()))
        nn.init.normal_(self.first.weight, std=(2 / features / depth) ** 0.5)
        nn.init.zeros_(self.second.weight)

    def forward(self, h: Stream) -> Stream:
        """Add the branch to the stream."""
        check_input(h, self.first.in_features)
        b = self.biases
        z = self.activation(self.first(h + b[0]) + b[1])
        out: Tensor = h + self.multiplier * self.second(z + b[2]) + b[3]
        return out


class Highway(Block):
    """``t * branch(h) + (1 - t) * h``, with a learned gate ``t`` in (0, 1).

    The gate is ``sigmoid(W h + b)``, one number for each feature.

    Args:
        branch: what the gate lets in.
        features: the size of the stream.
        bias: where ``b`` starts; the lower, the more of ``h`` is carried on.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from shortcuts.blocks import Highway
        >>> block = Highway(nn.ReLU(), features=2, bias=-100.0)
        >>> block(torch.tensor([-1.0, 1.0])).tolist()
        [-1.0, 1.0]

    Source: Srivastava, Greff and Schmidhuber (2015), arXiv:1505.00387.
    """

    def __init__(
        self, branch: nn.Module, features: int, bias: float = -2.0
    ) -> None:
        super().__init__(branch)
        features = checked_whole("features", features, low=1)
        bias = checked_number("bias", bias)
        self.gate = nn.Linear(features, features)
        nn.init.constant_(self.gate.bias, bias)

    def forward(self, h: Stream) -> Stream:
        """Mix the branch and the stream."""
        check_input(h, self.gate.in_features)
        t = torch.sigmoid(self.gate(h))
        return t * self.run(h) + (1 - t) * h
