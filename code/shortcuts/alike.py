"""Train models that differ in their parameters only, side by side.

Their parameters are stacked, and one model is computed whose parameters have
one more dimension. An optimizer that treats each number on its own, as Adam
does, does to each model what it would do to it alone.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from shortcuts._checks import checked_number, checked_whole

Batch = tuple[Tensor, ...]


class _Measured(nn.Module):
    """A measurement of a model, as a module's own forward pass."""

    def __init__(
        self, model: nn.Module, measure: Callable[..., Tensor]
    ) -> None:
        super().__init__()
        self.model = model
        self.measure = measure

    def forward(self, *batch: Tensor) -> Tensor:
        return self.measure(self.model, *batch)


def train_alike(
    models: Sequence[nn.Module],
    measure: Callable[..., Float[Tensor, " numbers"]],
    batches: Iterator[Batch],
    *,
    steps: int,
    rate: float | Float[Tensor, " models"],
    fresh: Batch,
    every: int = 1,
) -> Float[Tensor, "models times numbers"]:
    """Train models with Adam, and return the measurements on the way.

    The models are trained in place; their ``.grad`` and random states are
    left alone.

    Args:
        models: of one shape, without buffers, alike in all but the values of
            their parameters.
        measure: called as ``measure(model, *batch)``; the first number of the
            vector that it returns is the loss.
        batches: what is trained on, one a step.
        steps: how many.
        rate: of learning, or one for each model.
        fresh: the batch that is measured, before step 0, ``every``, ...
        every: how many steps lie between two measurements.

    Raises:
        TypeError: if a number is not whole, or none.
        ValueError: if there is no model, a model has buffers, the models
            differ in more than the values of their parameters, a number is
            too small, the rates are not as many as the models, or there are
            fewer batches than steps. The models are as they were.

    Example:
        >>> import torch
        >>> from itertools import repeat
        >>> from shortcuts.alike import train_alike
        >>> models = [torch.nn.Linear(1, 1) for _ in range(5)]
        >>> def loss(model, x, y):
        ...     return (model(x) - y).square().mean()[None]
        >>> task = torch.zeros(3, 1), torch.ones(3, 1)
        >>> found = train_alike(models, loss, repeat(task), steps=50, rate=0.1,
        ...                     fresh=task)
        >>> found.shape, bool((found[:, -1] < found[:, 0]).all())
        (torch.Size([5, 50, 1]), True)
    """
    steps = checked_whole("steps", steps, low=1)
    every = checked_whole("every", every, low=1)
    _check_alike(models)
    rates = _rate_of_each(rate, len(models))
    whole = [_Measured(model, measure) for model in models]
    stacked, _ = stack_module_state(whole)

    def measured(*batch: Tensor) -> Tensor:
        def one(parameters: Any) -> Any:
            return functional_call(whole[0], parameters, batch)

        found: Tensor = vmap(one)(stacked)
        return found

    with torch.no_grad():
        alone = torch.stack([model(*fresh) for model in whole])
        if not torch.allclose(alone, measured(*fresh), 1e-3, equal_nan=True):
            raise ValueError(
                "expected models that differ in the values of their "
                f"parameters only, got {alone.tolist()} one by one, and side "
                f"by side {measured(*fresh).tolist()}"
            )
    # With a rate of 1, since each model has its own.
    optimizer = torch.optim.Adam(stacked.values(), lr=1.0, fused=True)
    found = []
    for step in range(steps):
        if step % every == 0:
            with torch.no_grad():
                found.append(measured(*fresh))
        batch = next(batches, None)
        if batch is None:
            raise ValueError(f"expected {steps} batches, got {step}")
        losses = measured(*batch)[:, 0]
        optimizer.zero_grad()
        losses.sum().backward()  # type: ignore[no-untyped-call]
        before = [values.detach().clone() for values in stacked.values()]
        optimizer.step()
        with torch.no_grad():
            for old, values in zip(before, stacked.values(), strict=True):
                own = rates.to(old).reshape(-1, *[1] * (old.dim() - 1))
                values.copy_(old + own * (values - old))
    with torch.no_grad():
        for name, values in stacked.items():
            for model, value in zip(whole, values, strict=True):
                model.get_parameter(name).copy_(value)
    return torch.stack(found, dim=1)


def _rate_of_each(rate: Any, models: int) -> Tensor:
    if not isinstance(rate, Tensor):
        same = checked_number("rate", rate, low=0)
        return torch.full((models,), same, dtype=torch.float64)
    usable = rate.isfinite() & (rate >= 0)
    if rate.shape != (models,) or not usable.all():
        raise ValueError(
            f"expected a rate, or {models} finite ones, not negative, got "
            f"{rate}"
        )
    return rate


def _check_alike(models: Sequence[nn.Module]) -> None:
    if not models:
        raise ValueError("expected at least one model, got none")
    shapes = []
    for model in models:
        buffers = [name for name, _ in model.named_buffers()]
        if buffers:
            raise ValueError(f"expected no buffers, got {', '.join(buffers)}")
        shapes.append({k: v.shape for k, v in model.named_parameters()})
    for i, shape in enumerate(shapes):
        if shape != shapes[0] or type(models[i]) is not type(models[0]):
            raise ValueError(
                f"expected models of one class and shape, got {models[0]} "
                f"and, as number {i}, {models[i]}"
            )
