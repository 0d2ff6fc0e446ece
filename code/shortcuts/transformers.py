"""A small GPT, with its LayerNorms where one wants them.

What maps a character to a vector, blocks that each add what they find to a
stream of vectors, and a matrix that reads from the stream which character
comes next: Radford et al. (2019), all in one place and without dropout. A
block is attention and an MLP, each a branch with a shortcut.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from shortcuts._checks import check_switch, checked_whole
from shortcuts.activations import GELU

Tokens = Float[Tensor, "batch tokens width"]
Norm = Literal["pre", "post"]


class CausalAttention(nn.Module):
    """Each token takes what it asks for from itself and those before it.

    Args:
        width: of the stream.
        heads: that ask side by side; they share the width.

    Raises:
        ValueError: if the heads cannot share the width evenly.

    Example:
        >>> import torch
        >>> from shortcuts.transformers import CausalAttention
        >>> CausalAttention(width=8, heads=2)(torch.ones(1, 5, 8)).shape
        torch.Size([1, 5, 8])

    Source: Vaswani et al. (2017), section 3.2, with the mask of a decoder.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        width = checked_whole("width", width, low=1)
        self.heads = checked_whole("heads", heads, low=1)
        if width % heads:
            raise ValueError(
                f"expected heads to divide the width {width}, got {heads}"
            )
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, h: Tokens) -> Tokens:
        """Mix the tokens."""
        q, k, v = (
            # (batch, tokens, width) to (batch, heads, tokens, width of one)
            linear(h).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        mixed = scaled_dot_product_attention(q, k, v, is_causal=True)
        y: Tensor = self.out(mixed.transpose(1, 2).flatten(-2))
        return y


class TransformerBlock(nn.Module):
    """Attention, then an MLP, each a branch with a shortcut.

    Args:
        width: of the stream.
        heads: of the attention.
        norm: where each branch has its LayerNorm: ``"pre"``, before the
            branch, off the stream; ``"post"``, on the stream, after the sum.
        use_shortcut: without, each branch's output takes the stream's place.

    Example:
        >>> import torch
        >>> from shortcuts.transformers import TransformerBlock
        >>> TransformerBlock(width=8, heads=2)(torch.ones(1, 5, 8)).shape
        torch.Size([1, 5, 8])

    Source: Vaswani et al. (2017) for post, Radford et al. (2019) for pre.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        norm: Norm = "pre",
        use_shortcut: bool = True,
    ) -> None:
        super().__init__()
        if norm not in ("pre", "post"):
            raise ValueError(f"expected norm to be pre or post, got {norm!r}")
        check_switch("use_shortcut", use_shortcut)
        self.norm, self.use_shortcut = norm, use_shortcut
        self.attention_norm = nn.LayerNorm(width)
        self.attention = CausalAttention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, h: Tokens) -> Tokens:
        """Pass the stream through both branches."""
        h = self.around(self.attention, self.attention_norm, h)
        return self.around(self.mlp, self.mlp_norm, h)

    def around(self, branch: nn.Module, norm: nn.Module, h: Tokens) -> Tokens:
        """Put the norm and the shortcut around a branch."""
        out: Tensor = branch(norm(h) if self.norm == "pre" else h)
        out = h + out if self.use_shortcut else out
        return norm(out) if self.norm == "post" else out


class GPT(nn.Module):
    """A GPT: which character comes next, for each of a text.

    Args:
        vocabulary: the number of characters.
        context: the number of characters that it can see.
        width: of the stream.
        heads: of each block's attention.
        depth: the number of blocks.
        norm: where the LayerNorms stand, see :class:`TransformerBlock`.
        use_shortcut: whether the branches have shortcuts.

    Raises:
        TypeError: if a number is not whole.
        ValueError: if one is below 1, or the heads do not divide the width.

    Example:
        >>> import torch
        >>> from shortcuts.transformers import GPT
        >>> model = GPT(vocabulary=128, context=16, width=8, heads=2, depth=3)
        >>> model(torch.zeros(1, 5, dtype=torch.long)).shape
        torch.Size([1, 5, 128])
    """

    def __init__(
        self,
        vocabulary: int,
        context: int,
        *,
        width: int = 32,
        heads: int = 4,
        depth: int = 12,
        norm: Norm = "pre",
        use_shortcut: bool = True,
    ) -> None:
        super().__init__()
        depth = checked_whole("depth", depth, low=1)
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width, heads, norm=norm, use_shortcut=use_shortcut
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(
        self, text: Int[Tensor, "batch tokens"]
    ) -> Float[Tensor, "batch tokens vocabulary"]:
        """Return the logits of what follows each character.

        Raises:
            ValueError: if the text is longer than the context.
        """
        tokens, most = text.shape[1], self.position.num_embeddings
        if tokens > most:
            raise ValueError(
                f"expected a text of at most {most} characters, got {tokens}"
            )
        h = self.token(text) + self.position(
            torch.arange(tokens, device=text.device)
        )
        for block in self.blocks:
            h = block(h)
        y: Tensor = self.head(self.norm(h))
        return y
