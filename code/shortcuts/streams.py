"""Rules for the stream: which earlier outputs each branch reads.

With shortcuts every branch reads the sum of all outputs before it. Other rules
let it read other mixes. Which output is read with what weight, for every
branch, is the *depth mixing matrix* (Chen et al. (2026), arXiv:2603.15031,
section 6.2): row ``l`` is what branch ``l`` reads, counted from zero, and the
last row what the last norm reads. Column 0 is the embedding, and column ``i``
the output of branch ``i - 1``.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad, rms_norm

from shortcuts._checks import check_switch, checked_number, checked_whole
from shortcuts.transformers import GPT, Tokens

Weigh = Callable[[Sequence[Tokens]], Float[Tensor, "outputs _ _"]]


def sinkhorn(
    logits: Float[Tensor, "*batch n n"], steps: int = 20
) -> Float[Tensor, "*batch n n"]:
    """Return matrices with sums of rows and columns of one, nearly.

    The columns and rows of the logits' exponentials are divided by their sums,
    in turns. Rows come last, so theirs are one up to rounding.

    Args:
        logits: the logarithms of the numbers to begin with.
        steps: how often both are divided.

    Example:
        >>> import torch
        >>> from shortcuts.streams import sinkhorn
        >>> matrix = sinkhorn(torch.zeros(4, 4))
        >>> matrix[0].tolist()
        [0.25, 0.25, 0.25, 0.25]

    Source: Xie et al. (2025), arXiv:2512.24880, equation (9).
    """
    for _ in range(checked_whole("steps", steps, low=1)):
        logits = logits.log_softmax(-2).log_softmax(-1)
    return logits.exp()


class Rule(nn.Module):
    """A depth mixing matrix that does not depend on the text.

    A rule of one's own overrides :meth:`matrix`. This one is that of the
    shortcut: all ones.

    Args:
        branches: of the network, two a block.

    Raises:
        TypeError: if the number is not whole.
        ValueError: if there is no branch.

    Example:
        >>> from shortcuts.streams import Rule
        >>> Rule(branches=2).matrix().tolist()
        [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    """

    def __init__(self, branches: int) -> None:
        super().__init__()
        self.branches = checked_whole("branches", branches, low=1)

    def matrix(self) -> Float[Tensor, "reads outputs"]:
        """Return what each branch reads, and at last the network's end."""
        return torch.ones(self.branches + 1, self.branches + 1).tril()

    def begin(self) -> Weigh:
        """Return a function from the outputs so far to their weights."""
        matrix = self.matrix()[..., None, None]

        def weigh(outputs: Sequence[Tokens]) -> Tensor:
            count = len(outputs)
            return matrix[count - 1, :count].to(outputs[0])

        return weigh


class Scales(Rule):
    """``stream * h + embedding * h_0`` is read and added to, not ``h``.

    Args:
        branches: of the network, two a block.
        stream: what the scales of the stream begin with.
        embedding: what those of the embedding begin with.

    Example:
        >>> from shortcuts.streams import Scales
        >>> Scales(branches=2, stream=0.5).matrix().tolist()
        [[0.5, 0.0, 0.0], [0.25, 0.5, 0.0], [0.25, 0.5, 1.0]]

    Source: the public code of nanochat (Karpathy, 2026).
    """

    def __init__(
        self, branches: int, *, stream: float = 1.0, embedding: float = 0.0
    ) -> None:
        super().__init__(branches)
        self.stream, self.embedding = (
            nn.Parameter(torch.full((branches,), checked_number(name, value)))
            for name, value in (("stream", stream), ("embedding", embedding))
        )

    def matrix(self) -> Float[Tensor, "reads outputs"]:
        """Return what each branch reads, and at last the network's end."""
        outputs = torch.eye(self.branches + 1).to(self.stream)
        h, reads = outputs[0], []
        for branch in range(self.branches):
            h = self.stream[branch] * h + self.embedding[branch] * outputs[0]
            reads.append(h)
            h = h + outputs[branch + 1]
        return torch.stack([*reads, h])


class HyperConnections(Rule):
    """Several streams: ``X`` becomes ``mix @ X + write * F(read @ X)``.

    They begin as one stream, repeated. Branch ``l`` reads stream ``l`` modulo
    their number and writes to all; mixing is the identity; the end reads their
    mean. Of the paper's weights these are the static ones: none depends on the
    text.

    Args:
        branches: of the network, two a block.
        streams: how many.
        constrained: whether ``sinkhorn`` makes the mixing from logits, as in
            mHC. It begins with numbers of ``exp(-apart)`` off the diagonal.
        apart: see there.

    Example:
        >>> from shortcuts.streams import HyperConnections
        >>> HyperConnections(branches=2).matrix().tolist()
        [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]

    Source: Zhu et al. (2025), arXiv:2409.19606; constrained, Xie et al.
    (2025), arXiv:2512.24880, without the bounds on reading and writing.
    """

    def __init__(
        self,
        branches: int,
        *,
        streams: int = 4,
        constrained: bool = False,
        apart: float = 6.0,
    ) -> None:
        super().__init__(branches)
        streams = checked_whole("streams", streams, low=1)
        check_switch("constrained", constrained)
        apart = checked_number("apart", apart)
        self.constrained = constrained
        one = torch.eye(streams)
        begin = (one - 1) * apart if constrained else one
        self.read = nn.Parameter(one[torch.arange(branches) % streams])
        self.write = nn.Parameter(torch.ones(branches, streams))
        self.mix = nn.Parameter(begin.repeat(branches, 1, 1))
        self.end = nn.Parameter(torch.full((streams,), 1 / streams))

    def mixes(self) -> Float[Tensor, "branches streams streams"]:
        """Return the matrices that mix the streams."""
        return sinkhorn(self.mix) if self.constrained else self.mix

    def matrix(self) -> Float[Tensor, "reads outputs"]:
        """Return what each branch reads, and at last the network's end."""
        outputs = torch.eye(self.branches + 1).to(self.mix)
        x, reads = outputs[0].expand(self.read.shape[1], -1), []
        for branch, mix in enumerate(self.mixes()):
            reads.append(self.read[branch] @ x)
            x = mix @ x + torch.outer(self.write[branch], outputs[branch + 1])
        return torch.stack([*reads, self.end @ x])


class AttentionResiduals(Rule):
    """Each branch attends to the outputs before it, for each token anew.

    Its weights are a softmax of how well a learned query fits the outputs,
    each divided by its root mean square. Queries begin at zero, so all outputs
    have the same weight.

    Args:
        branches: of the network, two a block.
        width: of the stream.

    Example:
        >>> import torch
        >>> from shortcuts.streams import AttentionResiduals
        >>> weigh = AttentionResiduals(branches=2, width=8).begin()
        >>> weigh([torch.ones(1, 5, 8), torch.ones(1, 5, 8)])[:, 0, 0].tolist()
        [0.5, 0.5]

    Source: Chen et al. (2026), arXiv:2603.15031.
    """

    def __init__(self, branches: int, width: int) -> None:
        super().__init__(branches)
        width = checked_whole("width", width, low=1)
        self.query = nn.Parameter(torch.zeros(branches + 1, width))

    def begin(self) -> Weigh:
        """Return a function from the outputs so far to their weights."""
        scores: list[Tensor] = []

        def weigh(outputs: Sequence[Tokens]) -> Tensor:
            for new in outputs[len(scores) :]:
                key = rms_norm(new, self.query.shape[1:])
                scores.append(key @ self.query.mT)  # one for each row
            row = len(outputs) - 1
            return torch.stack([s[..., row] for s in scores]).softmax(0)

        return weigh


class MixedGPT(nn.Module):
    """A GPT with a rule for the input of each branch.

    Args:
        gpt: with shortcuts that add, and no norm on its stream; its
            parameters are shared, not copied.
        rule: for as many branches as it has.

    Raises:
        ValueError: if the GPT's stream is no sum, or the rule is for another
            number of branches.

    Example:
        >>> import torch
        >>> from shortcuts.streams import MixedGPT, Scales
        >>> from shortcuts.transformers import GPT
        >>> gpt = GPT(vocabulary=128, context=16, width=8, heads=2, depth=3)
        >>> text = torch.zeros(1, 5, dtype=torch.long)
        >>> mixed = MixedGPT(gpt, Scales(branches=6))
        >>> bool(torch.allclose(mixed(text), gpt(text), atol=1e-5))
        True
    """

    def __init__(self, gpt: GPT, rule: Rule) -> None:
        super().__init__()
        for block in gpt.blocks:
            if not block.adds:
                raise ValueError(
                    "expected a GPT whose stream is a sum, got one with norms "
                    "on it, with scaled shortcuts, or with none"
                )
        branches = len(gpt.branches())
        if rule.branches != branches:
            raise ValueError(
                f"expected a rule for {branches} branches, got one for "
                f"{rule.branches}"
            )
        self.gpt, self.rule = gpt, rule

    def forward(
        self, text: Int[Tensor, "batch tokens"]
    ) -> Float[Tensor, "batch tokens vocabulary"]:
        """Return the logits of the character after each."""
        return self.gpt.read(self.stream(text)[-1])

    def stream(self, text: Int[Tensor, "batch tokens"]) -> list[Tokens]:
        """Return what each branch reads, and at last the network's end.

        Example:
            >>> import torch
            >>> from shortcuts.streams import MixedGPT, Rule
            >>> from shortcuts.transformers import GPT
            >>> gpt = GPT(128, context=16, width=8, heads=2, depth=1)
            >>> mixed = MixedGPT(gpt, Rule(branches=2))
            >>> len(mixed.stream(torch.zeros(1, 5, dtype=torch.long)))
            3
        """
        reads, _ = self._run(text)
        return reads

    def matrix(
        self, text: Int[Tensor, "batch tokens"]
    ) -> Float[Tensor, "reads outputs"]:
        """Return the depth mixing matrix, its mean over the tokens of a text.

        Example:
            >>> import torch
            >>> from shortcuts.streams import AttentionResiduals, MixedGPT
            >>> from shortcuts.transformers import GPT
            >>> gpt = GPT(128, context=16, width=8, heads=2, depth=1)
            >>> mixed = MixedGPT(gpt, AttentionResiduals(branches=2, width=8))
            >>> mixed.matrix(torch.zeros(1, 5, dtype=torch.long))[1].tolist()
            [0.5, 0.5, 0.0]
        """
        _, rows = self._run(text)
        means = [row.mean((1, 2)) for row in rows]
        return torch.stack(
            [pad(mean, (0, len(rows) - len(mean))) for mean in means]
        )

    def _run(self, text: Tensor) -> tuple[list[Tokens], list[Tensor]]:
        """Return the inputs of all branches, and the weights of each."""
        weigh = self.rule.begin()
        outputs, reads, rows = [self.gpt.embed(text)], [], []
        for branch in [*self.gpt.branches(), None]:
            rows.append(weigh(outputs))
            reads.append((rows[-1][..., None] * torch.stack(outputs)).sum(0))
            if branch:
                outputs.append(branch(reads[-1]))
        return reads, rows
