"""Audit one batch of any model: its stream, and its gradients."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shortcuts._checks import check_tensor, checked_whole
from shortcuts._probing import (
    Step,
    check_ran,
    probed,
    recorded,
    square,
    trace,
)
from shortcuts._sizes import mean_sizes
from shortcuts._stream import find_blocks
from shortcuts.gradients import _weights_of_one_process

Grads = dict[Any, Tensor | None]  # of a weight, or where one arrives


def jacobian_norms(
    model: nn.Module,
    run: Callable[[], object],
    *,
    blocks: Iterable[str | nn.Module] | None = None,
    probes: int = 8,
) -> dict[str, float]:
    """Return ``||J||_F / sqrt(n)`` of each block, where the run takes it.

    ``J`` is the Jacobian of a block's output, ``n`` numbers, with respect to
    its input, over the whole batch at once; where several tensors enter, with
    respect to the one that is made of the output of the block before, and of
    several outputs the first counts. The norm says by how much a gradient of
    random entries grows on its way back through the block, in the root mean
    square: 1 for an orthogonal matrix and for the identity.

    Of random probes, the relative error of the square is about
    ``sqrt(2 / (probes n))`` or less where no direction stands out, and at
    most ``sqrt(2 / probes)``. Where ``n`` is not above ``probes``, the norm is
    exact, and of no numbers at all it is nan. Probes come from a generator of
    their own, so a second call returns the same. The model is left as it was,
    as by :func:`shortcuts.gradients.measure_loss`.

    Args:
        model: the model, in the mode it is in.
        run: runs the forward pass once: ``lambda: model(x)``.
        blocks: as :class:`shortcuts.watching.Watch` takes them.
        probes: how many backward passes through each block.

    Raises:
        TypeError: if ``model`` is no module, ``run`` cannot be called,
            ``probes`` is no whole number, or a block takes or returns no
            tensor.
        ValueError: if ``probes`` is below 1, the blocks are not to be found,
            one does not run, or one runs without gradients.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from shortcuts.auditing import jacobian_norms
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        >>> for factor, layer in zip([1, 3], model):
        ...     _ = nn.init.eye_(layer.weight).data.mul_(factor)
        >>> norms = jacobian_norms(model, lambda: model(torch.ones(4, 2)))
        >>> {name: round(norm, 4) for name, norm in norms.items()}
        {'0': 1.0, '1': 3.0}
    """
    found = find_blocks(model, blocks)
    probes = checked_whole("probes", probes, low=1)
    _check_callable("run", run)
    generator = torch.Generator().manual_seed(0)
    squares, counts = dict.fromkeys(found, 0.0), dict.fromkeys(found, 0)
    with recorded(model, found, run) as (_, steps):
        check_ran("run", found, steps)
        for step in steps:
            if not step.output.requires_grad:
                raise ValueError(
                    f"expected block {step.block} to run with gradients, got "
                    "an output without: torch.no_grad(), or checkpointing "
                    "with use_reentrant=True"
                )
            mean = probed(step, step.output, square, probes, generator)
            squares[step.block] += mean or 0.0
            counts[step.block] += step.output.numel()
    return {
        name: math.sqrt(squares[name] / n) if n else math.nan
        for name, n in counts.items()
    }


class Row(NamedTuple):
    """One block's row of an audit; ``None`` where nothing can be said.

    Example:
        >>> from shortcuts.auditing import Row
        >>> row = Row("blocks.0", 1.1, 2e-4, 2e-3, zeros=0.0, shortcut=0.99)
        >>> row.shortcut > 0.5
        True
    """

    block: str
    h: float  # mean |h| of its output
    delta: float  # mean |dL/dh|
    gradient: float | None  # mean |dL/dW|, of all numbers in its weights
    zeros: float | None  # the share of those that are exactly 0
    shortcut: float | None  # the mean diagonal of its Jacobian


class Audit(list[Row]):
    """The rows of an audit, which print as a table.

    Example:
        >>> from shortcuts.auditing import Audit, Row
        >>> Audit([Row("blocks.0", 1.1, 2e-4, 2e-3, zeros=0.0, shortcut=0.99)])
        block     |h|  |dL/dh|  |dL/dW|  zeros  shortcut
        blocks.0  1.1   0.0002    0.002      0      0.99
    """

    def __repr__(self) -> str:
        """Align the names to the left and the numbers to the right."""
        head = "block", "|h|", "|dL/dh|", "|dL/dW|", "zeros", "shortcut"
        formats = ".3g", ".3g", ".3g", ".3g", "z.2f"
        rows = [(r.block, *map(_cell, r[1:], formats)) for r in self]
        table: list[tuple[str, ...]] = [head, *rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(
                [block.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]
            )
            for block, *cells in table
        )


def _cell(value: float | None, digits: str) -> str:
    return "-" if value is None else format(value, digits)


def audit(
    model: nn.Module,
    loss: Callable[[], Float[Tensor, ""]],
    *,
    blocks: Iterable[str | nn.Module] | None = None,
    probes: int = 8,
) -> Audit:
    """Measure, block by block, one forward and one backward pass.

    The last column says whether a shortcut bypasses the block: the mean
    diagonal of the Jacobian from the block's input to where the stream goes
    on, near 1 with a shortcut, less where a norm follows it, and near 0
    without. The stream goes on in the input of the next block, and behind the
    last one in what the next module takes or the model returns; so a shortcut
    counts whether the block adds it or the model around it. Where that has
    another shape than the block's input, the block's own output is taken;
    where that has, too, or where nothing that follows is made of the block's
    output, as between experts that stand side by side, there is no diagonal,
    and ``None`` is printed as ``-``. Of several tensors that enter a block the
    stream is the one that is made of the output of the block before. A
    shortcut that begins further up, before a norm in front of the
    block, is none around the block, and not seen. The diagonal is an average
    over random probes, and exact if the stream has no more than ``probes``
    numbers.

    The model is left as it was, as by
    :func:`shortcuts.gradients.measure_loss`, and a second call returns the
    same. What the loss does not depend on has the
    derivative 0, and a loss that is not finite is measured all the same: the
    first row that is not finite says where it began.

    Args:
        model: the model, in the mode it is in.
        loss: runs the model once and returns the scalar loss, in whatever
            way: ``lambda: model(**batch).loss``.
        blocks: as :class:`shortcuts.watching.Watch` takes them.
        probes: how many backward passes through each block.

    Returns:
        A list with a :class:`Row` for each block: ``mean |h|`` of its output,
        ``mean |dL/dh|`` and ``mean |dL/dW|`` over all its trainable weights
        together, which share of those has a gradient of exactly 0, and the
        shortcut. ``None`` stands for the gradient and the zeros of a block
        without trainable weights.

    Raises:
        TypeError: if ``model`` is no module, ``loss`` cannot be called or
            returns no tensor, ``probes`` is no whole number, or a block takes
            or returns no tensor of floating-point numbers.
        ValueError: if ``probes`` is below 1, the blocks are not to be found or
            one does not run, the model has no trainable weights, the loss is
            not a scalar or depends on nothing, or checkpointing has
            ``use_reentrant=True``.

    Example:
        >>> import torch
        >>> from shortcuts import DeepNeuralNetwork
        >>> from shortcuts.auditing import audit
        >>> _ = torch.manual_seed(123)
        >>> model = DeepNeuralNetwork([3, 3, 3, 1], use_shortcut=True)
        >>> x = torch.tensor([[1.0, 0.0, -1.0]])
        >>> audit(model, lambda: model(x).square().mean())
        block        |h|  |dL/dh|  |dL/dW|  zeros  shortcut
        layers.0   0.142   0.0629   0.0231  0.333      0.84
        layers.1  0.0668   0.0683   0.0193      0      0.97
        layers.2   0.197    0.394     0.22      0         -
    """
    found = find_blocks(model, blocks)
    weights = list(_weights_of_one_process(model).values())
    probes = checked_whole("probes", probes, low=1)
    _check_callable("loss", loss)
    generator = torch.Generator().manual_seed(0)
    with recorded(model, found, loss) as (value, steps):
        _check_scalar(value)
        check_ran("loss", found, steps)
        outputs = [step.made for step in steps if step.made is not None]
        # Inputs, too: they lead the gradients through blocks that are frozen.
        inputs = [step.source for step in steps]
        wanted: list[Any] = [*outputs, *weights, *inputs]
        grads = _gradients(value, wanted)
        for step in steps:
            step.diagonal = _diagonal(step, probes, generator)
    grad_of: Grads = dict(zip(wanted, grads, strict=True))
    rows = Audit()
    for name, block in found.items():
        inside = set(block.parameters())
        own = [weight for weight in weights if weight in inside]
        runs = [step for step in steps if step.block == name]
        rows.append(_row(name, runs, own, grad_of))
    return rows


def _gradients(loss: Tensor, wanted: list[Any]) -> Sequence[Tensor | None]:
    try:
        return torch.autograd.grad(
            loss, wanted, retain_graph=True, allow_unused=True
        )
    except RuntimeError as error:
        if "use_reentrant" not in str(error):
            raise
        raise ValueError(
            "expected checkpointing with use_reentrant=False, got True"
        ) from error


def _row(
    name: str, runs: list[Step], weights: list[Tensor], grad_of: Grads
) -> Row:
    outputs = [run.output for run in runs]
    deltas = [grad_of.get(run.made) for run in runs]
    grads = [grad_of[weight] for weight in weights]
    diagonals = [run.diagonal for run in runs if run.diagonal is not None]
    return Row(
        name,
        h=_mean(mean_sizes(outputs, outputs), outputs),
        delta=_mean(_sizes(deltas, outputs), outputs),
        gradient=_mean(_sizes(grads, weights), weights) if weights else None,
        zeros=_mean(_zero_shares(grads), weights) if weights else None,
        shortcut=fmean(diagonals) if diagonals else None,
    )


def _mean(values: Iterable[float], of: Sequence[Tensor]) -> float:
    """Return the mean of values that are each that of a tensor's numbers."""
    counts = [tensor.numel() for tensor in of]
    totals = [v * n for v, n in zip(values, counts, strict=True) if n]
    return sum(totals) / sum(counts) if totals else math.nan


def _sizes(
    grads: Sequence[Tensor | None], like: Sequence[Tensor]
) -> Iterator[float]:
    sizes = mean_sizes(like, grads)
    return (
        0.0 if grad is None else size
        for grad, size in zip(grads, sizes, strict=True)
    )


def _zero_shares(grads: Iterable[Tensor | None]) -> Iterator[float]:
    for grad in grads:
        if grad is None:
            yield 1.0
        else:
            yield grad.to_dense().eq(0).double().mean().item()


def _diagonal(
    step: Step, probes: int, generator: torch.Generator
) -> float | None:
    if step.beside and not step.streams:
        return None
    for stream in *step.streams, step.output:
        if stream.shape == step.shape:
            mean = probed(step, stream, trace, probes, generator)
            if mean is not None:
                return mean / stream.numel()
    return None


def _check_callable(name: str, value: object) -> None:
    if not callable(value):
        raise TypeError(
            f"expected {name} to be a function of no arguments, such as "
            f"lambda: model(x), got {type(value).__name__}"
        )


def _check_scalar(loss: Tensor) -> None:
    # One that is not finite is measured: the rows say where that began.
    check_tensor("loss", loss)
    if loss.shape != () or not loss.requires_grad:
        what = "a constant" if loss.shape == () else tuple(loss.shape)
        raise ValueError(
            f"expected a scalar loss that depends on the model, got {what}"
        )
