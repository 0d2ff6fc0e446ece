"""A small GPT, with its LayerNorms where one wants them.

What maps a character to a vector, blocks that each add what they find to a
stream of vectors, and a matrix that reads from the stream which character
comes next: Radford et al. (2019), all in one place and without dropout. A
block is attention and an MLP, each a branch with a shortcut.
"""

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shortcuts._checks import check_switch, checked_number, checked_whole
from shortcuts.activations import GELU

Tokens = Float[Tensor, "batch tokens width"]
Branch = Callable[[Tokens], Tokens]
Norm = Literal["none", "pre", "post", "peri", "deep"]
NORMS = get_args(Norm)
BRANCH_ENDS = ["attention.out.weight", "mlp.2.weight"]
DEEP = ["attention.value.weight", "mlp.0.weight", *BRANCH_ENDS]


class CausalAttention(nn.Module):
    """Each token takes values from itself and those before it.

    Args:
        width: of the stream.
        heads: that ask side by side; they share the width.
        causal: without, each token takes from those after it as well.

    Raises:
        ValueError: if the heads cannot share the width evenly.

    Example:
        >>> import torch
        >>> from shortcuts.transformers import CausalAttention
        >>> CausalAttention(width=8, heads=2)(torch.ones(1, 5, 8)).shape
        torch.Size([1, 5, 8])

    Source: Vaswani et al. (2017), section 3.2, with the mask of a decoder.
    """

    def __init__(self, width: int, heads: int, *, causal: bool = True) -> None:
        super().__init__()
        check_switch("causal", causal)
        self.causal = causal
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
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        if self.causal:
            scores = scores + torch.full_like(scores[0, 0], -math.inf).triu(1)
        mixed = scores.softmax(-1) @ v
        y: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return y


class TransformerBlock(nn.Module):
    """Attention, then an MLP, each a branch with a shortcut.

    Args:
        width: of the stream.
        heads: of the attention.
        norm: where each branch has its LayerNorm: ``"pre"``, before the
            branch, off the stream; ``"post"``, on the stream, after the sum;
            ``"peri"``, before the branch and after it, both off the stream;
            ``"none"``, nowhere. ``"deep"`` is as ``"post"`` here.
        use_shortcut: without, each branch's output takes the stream's place.
        skip_scale: what the shortcuts multiply the stream by.
        causal: whether a token takes only from those before it.

    Example:
        >>> import torch
        >>> from shortcuts.transformers import TransformerBlock
        >>> TransformerBlock(width=8, heads=2)(torch.ones(1, 5, 8)).shape
        torch.Size([1, 5, 8])

    Source: Vaswani et al. (2017) for post, Radford et al. (2019) for pre, Kim
    et al. (2025), arXiv:2502.02732, for peri.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        norm: Norm = "pre",
        use_shortcut: bool = True,
        skip_scale: float = 1.0,
        causal: bool = True,
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ValueError(
                f"expected norm to be one of {', '.join(NORMS)}, got {norm!r}"
            )
        check_switch("use_shortcut", use_shortcut)
        self.use_shortcut = use_shortcut
        self.skip_scale = checked_number("skip_scale", skip_scale)
        before, after = norm in ("pre", "peri"), norm == "peri"
        on_stream = norm in ("post", "deep")

        def norm_if(wanted: bool) -> nn.Module:
            return nn.LayerNorm(width) if wanted else nn.Identity()

        self.attention_norm = norm_if(before)
        self.attention = CausalAttention(width, heads, causal=causal)
        self.attention_after = norm_if(after)
        self.attention_stream = norm_if(on_stream)
        self.mlp_norm = norm_if(before)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), GELU(), nn.Linear(4 * width, width)
        )
        self.mlp_after = norm_if(after)
        self.mlp_stream = norm_if(on_stream)

    def forward(self, h: Tokens) -> Tokens:
        """Pass the stream through both branches."""
        attention, mlp = self.branches()
        h = self.attention_stream(self.joined(h, attention(h)))
        done: Tensor = self.mlp_stream(self.joined(h, mlp(h)))
        return done

    def branches(self) -> list[Branch]:
        """Return attention and MLP as functions of the stream, with norms."""
        return [
            lambda h: self.attention_after(
                self.attention(self.attention_norm(h))
            ),
            lambda h: self.mlp_after(self.mlp(self.mlp_norm(h))),
        ]

    @property
    def adds(self) -> bool:
        """Whether the stream is the sum of what has been found, no more."""
        whole = self.use_shortcut and self.skip_scale == 1
        return whole and isinstance(self.mlp_stream, nn.Identity)

    def joined(self, h: Tokens, out: Tokens) -> Tokens:
        """Add a branch's output to the stream, if there is a shortcut."""
        if not self.use_shortcut:
            return out
        return self.skip_scale * h + out


class GPT(nn.Module):
    """A GPT: which character comes next, for each of a text.

    Args:
        vocabulary: the number of characters.
        context: the number of characters that it can see.
        width: of the stream.
        heads: of each block's attention.
        depth: the number of blocks.
        norm: where the LayerNorms stand, see :class:`TransformerBlock`; with
            ``"pre"`` and ``"peri"`` there is one before the last matrix, too.
            ``"deep"`` is DeepNorm: post-norm, whose shortcuts multiply the
            stream by ``(2 * depth) ** 0.25``, and whose values, outputs and
            MLPs begin with weights divided by ``(8 * depth) ** 0.25``.
        use_shortcut: whether the branches have shortcuts.
        branch_gain: what the last matrix of each branch is multiplied by at
            the start; ``(2 * depth) ** -0.5`` is that of GPT-2.
        weight_variance: of the weights within blocks, times the numbers that
            each weighs: ``1 / 3`` is that of torch's own layers, and 0.31
            that of GPT-2, which draws 768 with a deviation of 0.02.
        causal: whether a character sees only those before it.

    Raises:
        TypeError: if a number is not whole.
        ValueError: if one is below 1, or the heads do not divide the width,
            or a variance is negative.

    Weights begin as torch's own layers draw them, times one number.

    Example:
        >>> import torch
        >>> from shortcuts.transformers import GPT
        >>> model = GPT(vocabulary=128, context=16, width=8, heads=2, depth=3)
        >>> model(torch.zeros(1, 5, dtype=torch.long)).shape
        torch.Size([1, 5, 128])

    Source: Wang et al. (2022), arXiv:2203.00555, for DeepNorm, with the
    constants of a decoder.
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
        branch_gain: float = 1.0,
        weight_variance: float = 1 / 3,
        causal: bool = True,
    ) -> None:
        super().__init__()
        depth = checked_whole("depth", depth, low=1)
        branch_gain = checked_number("branch_gain", branch_gain)
        variance = checked_number("weight_variance", weight_variance, low=0)
        deep = norm == "deep"
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width,
                heads,
                norm=norm,
                use_shortcut=use_shortcut,
                skip_scale=(2 * depth) ** 0.25 if deep else 1.0,
                causal=causal,
            )
            for _ in range(depth)
        )
        at_end = norm in ("pre", "peri")
        self.norm = nn.LayerNorm(width) if at_end else nn.Identity()
        self.head = nn.Linear(width, vocabulary, bias=False)
        gains = dict.fromkeys(BRANCH_ENDS, branch_gain)
        if deep:
            small = (8 * depth) ** -0.25
            gains = {name: small * gains.get(name, 1.0) for name in DEEP}
        scale = math.sqrt(3 * variance)
        for block in self.blocks:
            for name, parameter in block.named_parameters():
                if parameter.dim() == 2:
                    parameter.data *= scale * gains.get(name, 1.0)

    def forward(
        self, text: Int[Tensor, "batch tokens"]
    ) -> Float[Tensor, "batch tokens vocabulary"]:
        """Return the logits of the character after each.

        Raises:
            ValueError: if the text is longer than the context.
        """
        return self.read(self.stream(text)[-1])

    def stream(self, text: Int[Tensor, "batch tokens"]) -> list[Tokens]:
        """Return the stream before the first block, and after each block.

        Raises:
            ValueError: if the text is longer than the context.

        Example:
            >>> import torch
            >>> from shortcuts.transformers import GPT
            >>> model = GPT(128, context=16, width=8, heads=2, depth=3)
            >>> len(model.stream(torch.zeros(1, 5, dtype=torch.long)))
            4
        """
        h = [self.embed(text)]
        for block in self.blocks:
            h.append(block(h[-1]))
        return h

    def embed(self, text: Int[Tensor, "batch tokens"]) -> Tokens:
        """Return the stream before the first block.

        Raises:
            ValueError: if the text is longer than the context.
        """
        tokens, most = text.shape[1], self.position.num_embeddings
        if tokens > most:
            raise ValueError(
                f"expected a text of at most {most} characters, got {tokens}"
            )
        places = torch.arange(tokens, device=text.device)
        h: Tensor = self.token(text) + self.position(places)
        return h

    def branches(self) -> list[Branch]:
        """Return the branches of all blocks, as functions of the stream.

        Example:
            >>> from shortcuts.transformers import GPT
            >>> model = GPT(128, context=16, width=8, heads=2, depth=3)
            >>> len(model.branches())
            6
        """
        found: list[Branch] = []
        for block in self.blocks:
            assert isinstance(block, TransformerBlock)
            found += block.branches()
        return found

    def read(self, h: Tokens) -> Float[Tensor, "batch tokens vocabulary"]:
        """Return the logits that the last matrix reads from a stream.

        From that of an earlier block they are the *logit lens*.
        """
        y: Tensor = self.head(self.norm(h))
        return y
