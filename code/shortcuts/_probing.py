"""Run a model once, and probe the Jacobians of its blocks where they ran.

Where the entries of ``v`` are 1 or -1 at random, ``v^T J v`` is on average
the trace of ``J``, and ``|J^T v|^2`` the sum of its squares. No Jacobian is
ever held.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from shortcuts._checks import listed
from shortcuts._state import kept_state
from shortcuts._stream import tensors


@dataclass
class Entrance:
    """A tensor that enters a block."""

    shape: torch.Size
    edge: GradientEdge | None  # where gradients of it arrive


@dataclass(eq=False)
class Step:
    """One run of a block: its input, and copies of the stream after it."""

    block: str
    entrances: list[Entrance]
    at: int | None  # which of them is the stream, as far as is known
    output: Tensor
    made: GradientEdge | None  # where gradients of its output arrive
    streams: list[Tensor] = field(
        default_factory=list
    )  # what was made of it and follows, best first
    beside: bool = False  # the next block takes nothing that was made of it
    diagonal: float | None = None  # the mean of that of its Jacobian

    @property
    def shape(self) -> torch.Size:
        """The shape of the stream before the block."""
        return self.entrances[self.at or 0].shape

    @property
    def source(self) -> GradientEdge:
        """Where the gradients of that arrive."""
        edge = self.entrances[self.at or 0].edge
        assert edge is not None
        return edge


@contextmanager
def recorded(
    model: nn.Module, blocks: dict[str, nn.Module], run: Callable[[], Any]
) -> Iterator[tuple[Any, list[Step]]]:
    """Run the model, note each run of a block, and leave all as it was.

    Yields what ``run`` has returned, with gradients, and the steps.
    """
    names = {block: name for name, block in blocks.items()}
    steps: list[Step] = []
    entered: list[tuple[list[Entrance], int | None]] = []

    def go_on(inputs: Sequence[Tensor], module: nn.Module) -> int | None:
        """Note where the stream is: best at the next block's entrance."""
        if not steps or (steps[-1].streams and module not in names):
            return None
        at = _first_after(steps[-1].made, inputs)
        if at is not None:
            # A copy: the model may change its own in place.
            steps[-1].streams.insert(0, inputs[at].clone())
        return at

    def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
        inputs = list(tensors((args, kwargs)))
        at = go_on(inputs, module)
        if module not in names:
            return
        _check_found(inputs, names[module], "take")
        if steps:
            steps[-1].beside = at is None
        if at is None:  # each of them may turn out to be the stream
            for x in inputs:
                if not x.requires_grad:
                    kept.callback(x.requires_grad_().requires_grad_, False)
        with torch.enable_grad():  # torch 2.4 finds no edge without
            entered.append(([_entrance(x) for x in inputs], at))

    def leave(module: nn.Module, _: Any, output: object) -> None:
        outputs = list(tensors(output))
        if module not in names:
            go_on(outputs, module)
            return
        _check_found(outputs, names[module], "return")
        y = outputs[0]
        made = get_gradient_edge(y) if y.requires_grad else None
        steps.append(Step(names[module], *entered.pop(), y.clone(), made))

    with ExitStack() as kept:
        kept.enter_context(torch.inference_mode(False))
        kept.enter_context(torch.enable_grad())
        kept.enter_context(kept_state(model))
        with ExitStack() as hooks:
            for module in model.modules():
                for handle in (
                    module.register_forward_pre_hook(enter, with_kwargs=True),
                    module.register_forward_hook(leave),
                ):
                    hooks.callback(handle.remove)
            value = run()
        _settle(steps)
        yield value, steps


def _entrance(x: Tensor) -> Entrance:
    return Entrance(x.shape, get_gradient_edge(x) if x.requires_grad else None)


def _first_after(
    made: GradientEdge | None, inputs: Iterable[Tensor]
) -> int | None:
    """Return which input is the first that was made of a block's output."""
    for at, x in enumerate(inputs):
        if made is not None and x.requires_grad:
            nodes, seen = [get_gradient_edge(x).node], set[Any]()
            while nodes:
                node = nodes.pop()
                if node is made.node:
                    return at
                if node not in seen:
                    seen.add(node)
                    nodes += [n for n, _ in node.next_functions if n]
    return None


def _settle(steps: Iterable[Step]) -> None:
    """Give blocks of unknown stream the kind that most others have."""
    known = Counter(step.at for step in steps if step.at is not None)
    usual = known.most_common(1)[0][0] if known else 0
    for step in steps:
        if step.at is None:
            step.at = usual if usual < len(step.entrances) else 0


def check_ran(name: str, blocks: Iterable[str], steps: Iterable[Step]) -> None:
    ran = {step.block for step in steps}
    idle = [block for block in blocks if block not in ran]
    if idle:
        raise ValueError(
            f"expected {name}() to run every block, got no pass through "
            f"{listed(idle)}, or through code that torch.compile has compiled"
        )


def probed(
    step: Step,
    target: Tensor,
    measure: Callable[[Tensor, Tensor], Tensor],
    probes: int,
    generator: torch.Generator,
) -> float | None:
    """Return the mean over probes ``v`` of a measure of ``v`` and ``J^T v``.

    ``J`` is the Jacobian of the target with respect to the step's input. The
    result is ``None`` if no gradient leads from one to the other, or there
    are no numbers in it.
    """
    if not target.requires_grad or not target.numel():
        return None
    values = []
    for v in _probes(target, probes, generator):
        (pulled,) = torch.autograd.grad(
            target, [step.source], v, retain_graph=True, allow_unused=True
        )
        if pulled is None:
            return None
        values.append(measure(v, pulled).item())
    return fmean(values)


def trace(v: Tensor, pulled: Tensor) -> Tensor:
    return (v * pulled).real.sum(dtype=_wide(pulled))


def square(_: Tensor, pulled: Tensor) -> Tensor:
    return pulled.abs().to(_wide(pulled)).square().sum()


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def _probes(
    like: Tensor, count: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """Yield random vectors with ``v v^T`` the identity on average.

    Where unit vectors are few enough, they are so exactly.
    """
    n = like.numel()
    if n <= count:
        vectors: Iterable[Tensor] = torch.eye(
            n, dtype=torch.float64
        ) * math.sqrt(n)
    else:
        signs = partial(torch.randint, 2, (n,), generator=generator)
        vectors = (signs() * 2 - 1 for _ in range(count))
    for vector in vectors:
        yield vector.reshape(like.shape).to(like)


def _check_found(found: Sequence[Tensor], block: str, verb: str) -> None:
    if not found:
        raise TypeError(
            f"expected block {block} to {verb} a tensor of floating-point "
            "numbers, got none"
        )
