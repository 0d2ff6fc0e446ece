"""Run a model once, and probe the Jacobians of its blocks where they ran.

Where the entries of ``v`` are 1 or -1 at random, ``v^T J v`` is on average
the trace of ``J``, and ``|J^T v|^2`` the sum of its squares. No Jacobian is
ever held.
"""

import math
from collections.abc import Callable, Iterable, Iterator
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
from shortcuts._stream import first_tensor


@dataclass(eq=False)
class Step:
    """One run of a block: what went in, and copies of what came after."""

    block: str
    shape: torch.Size  # of its input
    source: GradientEdge  # where gradients of its input arrive
    output: Tensor
    made: GradientEdge | None  # where those of its output do
    streams: list[Tensor] = field(
        default_factory=list
    )  # what follows, best first
    diagonal: float | None = None  # the mean of that of its Jacobian


@contextmanager
def recorded(
    model: nn.Module, blocks: dict[str, nn.Module], run: Callable[[], Any]
) -> Iterator[tuple[Any, list[Step]]]:
    """Run the model, note each run of a block, and leave all as it was.

    Yields what ``run`` has returned, with gradients, and the steps.
    """
    names = {block: name for name, block in blocks.items()}
    steps: list[Step] = []
    entered: list[tuple[torch.Size, GradientEdge]] = []

    def go_on(value: object, module: nn.Module) -> Tensor | None:
        """Note where the stream is: best at the next block's entrance."""
        x = first_tensor(value)
        if x is None or not steps:
            return x
        streams = steps[-1].streams
        if module in names or not streams:
            # A copy: the model may change its own in place.
            streams.insert(0, x.clone())
        return x

    def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
        x = go_on((args, kwargs), module)
        if module in names:
            x = _found(x, names[module], "take")
            if not x.requires_grad:
                kept.callback(x.requires_grad_().requires_grad_, False)
            with torch.enable_grad():  # torch 2.4 finds no edge without
                entered.append((x.shape, get_gradient_edge(x)))

    def leave(module: nn.Module, _: Any, output: object) -> None:
        if module not in names:
            go_on(output, module)
            return
        y = _found(first_tensor(output), names[module], "return")
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
        yield value, steps


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
    result is ``None`` if no gradient leads from one to the other.
    """
    if not target.requires_grad:
        return None
    values = []
    for v in _probes(target, probes, generator):
        (pulled,) = torch.autograd.grad(
            target, [step.source], v, retain_graph=True, allow_unused=True
        )
        if pulled is None:
            return None
        values.append(measure(v, pulled).item())
    return fmean(values) if values else math.nan


def trace(v: Tensor, pulled: Tensor) -> Tensor:
    return (v * pulled).real.sum(dtype=_wide(pulled))


def square(_: Tensor, pulled: Tensor) -> Tensor:
    return pulled.abs().to(_wide(pulled)).square().sum()


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def _probes(
    like: Tensor, count: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """Yield vectors whose ``v v^T`` are the identity on average.

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
        yield vector.reshape(like.shape).to(like.dtype).to(like.device)


def _found(x: Tensor | None, block: str, verb: str) -> Tensor:
    if x is None:
        raise TypeError(
            f"expected block {block} to {verb} a tensor of floating-point "
            "numbers, got none"
        )
    return x
