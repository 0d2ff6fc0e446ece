"""Train many networks at once, each with a learning rate of its own.

The networks are those of an ``Ensemble``; a row holds all weights of one of
them. One batched product computes a layer of all, one backward pass their
gradients, and one update moves every row by its own rate. Networks never mix:
a run depends on its seed and its rate, not on which others run beside it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from shortcuts._checks import (
    check_finite,
    check_input,
    check_tensor,
    checked_number,
    checked_whole,
)
from shortcuts.ensembles import Ensemble, Linear, Pass, with_bar

Step = Callable[[Tensor], Tensor]  # gradients of all rows to their steps


class Optimizer(Protocol):
    """What makes a step of a gradient, such as SGD and Adam."""

    def stepper(self) -> Step:
        """Return what turns the gradient of each step into a step."""
        ...


class SGD(NamedTuple):
    """Gradient descent with momentum, as ``torch.optim.SGD`` computes it.

    Example:
        >>> import torch
        >>> from shortcuts.training import SGD
        >>> step = SGD(momentum=0.5).stepper()
        >>> step(torch.ones(1)), step(torch.ones(1))
        (tensor([1.]), tensor([1.5000]))
    """

    momentum: float = 0.0

    def stepper(self) -> Step:
        """Return what turns the gradient of each step into a step."""
        velocity = torch.zeros(())

        def step(gradient: Tensor) -> Tensor:
            nonlocal velocity
            velocity = self.momentum * velocity + gradient
            return velocity

        return step


class Adam(NamedTuple):
    """Adam, as ``torch.optim.Adam`` computes it.

    Example:
        >>> import torch
        >>> from shortcuts.training import Adam
        >>> Adam().stepper()(torch.tensor([3.0, -1e-4]))
        tensor([ 1.0000, -0.9999])

    Source: Kingma and Ba (2015), arXiv:1412.6980, algorithm 1.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def stepper(self) -> Step:
        """Return what turns the gradient of each step into a step."""
        first, second = self.betas
        mean, square, steps = torch.zeros(()), torch.zeros(()), 0

        def step(gradient: Tensor) -> Tensor:
            nonlocal mean, square, steps
            steps += 1
            mean = first * mean + (1 - first) * gradient
            square = second * square + (1 - second) * gradient.square()
            size = (square / (1 - second**steps)).sqrt()
            return mean / (1 - first**steps) / (size + self.eps)

        return step


@dataclass(frozen=True)
class Networks:
    """Networks of an ensemble's shape, with numbers of their own.

    A row holds the weights and biases of a network, layer by layer, and then
    what each layer's branch is multiplied by.

    Example:
        >>> import torch
        >>> from shortcuts.ensembles import Ensemble
        >>> from shortcuts.training import start
        >>> networks = start(Ensemble([2, 8, 8, 3], True, seeds=range(5)))
        >>> networks.forward(torch.zeros(10, 2)).outputs.shape
        torch.Size([5, 10, 3])
    """

    shape: Ensemble
    rows: Float[Tensor, "networks numbers"]

    @property
    def linears(self) -> list[Linear]:
        """Their Linears, first to last: views of the rows."""
        sizes = list(pairwise(self.shape.layer_sizes))
        lengths = [n_out * n for n_in, n_out in sizes for n in (n_in, 1)]
        parts = self.rows[:, : -len(sizes)].split(lengths, dim=1)
        return [
            Linear(weight.unflatten(1, (n_out, n_in)), bias[:, None])
            for weight, bias, (n_in, n_out) in zip(
                parts[::2], parts[1::2], sizes, strict=True
            )
        ]

    @property
    def scales(self) -> list[Float[Tensor, "networks 1 1"]]:
        """What each layer's branch is multiplied by: views of the rows."""
        layers = len(self.shape.layer_sizes) - 1
        return list(self.rows[:, -layers:, None, None].unbind(1))

    def forward(
        self,
        x: Float[Tensor, "*networks samples n_in"],
        *,
        layers: Sequence[int] | None = None,
    ) -> Pass:
        """Pass samples through them, as :meth:`Ensemble.forward` does.

        Args:
            x: the same samples for all networks, or some for each.
            layers: which layers to pass through, and in what order; all of
                them, first to last, if not given.
        """
        x = x.expand(len(self.rows), -1, -1)
        return self.shape.forward(
            self.linears, x, scales=self.scales, layers=layers
        )

    def losses(
        self,
        x: Float[Tensor, "*networks samples n_in"],
        y: Int[Tensor, "*networks samples"],
    ) -> Float[Tensor, " networks"]:
        """Return each network's mean cross-entropy."""
        outputs = self.forward(x).outputs
        y = y.expand(outputs.shape[:2])
        each = functional.cross_entropy(outputs.mT, y, reduction="none")
        return each.mean(1)


def start(ensemble: Ensemble, dtype: torch.dtype = torch.float32) -> Networks:
    """Return the networks of an ensemble as they are drawn.

    Example:
        >>> from shortcuts.ensembles import Ensemble
        >>> from shortcuts.training import start
        >>> start(Ensemble([2, 8, 3], False, seeds=range(5))).rows.shape
        torch.Size([5, 53])
    """
    linears = ensemble.draw()
    layers = len(linears)
    scales = torch.full((len(ensemble.seeds), layers), ensemble.branch_scale)
    parts = [part.flatten(1) for linear in linears for part in linear]
    return Networks(ensemble, torch.cat([*parts, scales], dim=1).to(dtype))


class Runs(NamedTuple):
    """What trainings leave behind."""

    losses: Float[Tensor, "networks steps"]
    """The loss of each step, of the samples that it was taken for."""

    networks: Networks
    """The networks after the last step."""


def train(
    ensemble: Ensemble,
    x: Float[Tensor, "samples n_in"],
    y: Int[Tensor, " samples"],
    *,
    rates: float | Float[Tensor, " networks"],
    steps: int,
    optimizer=torch.optim.Adam,
    batch: int | None = None,
    learn_scale: bool = False,
    at_once=64,
    progress: bool | None = None,
) -> Runs:
    rates = torch.as_tensor(rates, dtype=x.dtype).expand(len(ensemble.seeds))
    chunks = []
    for first in with_bar(range(0, len(ensemble.seeds), at_once), progress):
        part = slice(first, first + at_once)
        some = replace(ensemble, seeds=ensemble.seeds[part])
        chunks.append(
            _train(start(some, x.dtype), x, y, rates[part], steps, optimizer, batch, learn_scale)
        )
    losses, rows = map(torch.cat, zip(*chunks, strict=True))
    return Runs(losses, Networks(ensemble, rows))

BY=True
def _train(networks, x, y, rates, steps, optimizer, batch, learn_scale):
    rows = networks.rows
    n_scales = len(networks.shape.layer_sizes) - 1
    generators = [torch.Generator().manual_seed(seed) for seed in networks.shape.seeds]
    losses = []
    if BY:
        each = [row.clone().requires_grad_() for row in rows]
        optimizer = optimizer([{"params": [r], "lr": rate.item()} for r, rate in zip(each, rates)])
    else:
        distinct, inverse = rates.unique(return_inverse=True)
        order=inverse.argsort(stable=True); back=order.argsort()
        each=[rows[inverse==i].clone().requires_grad_() for i in range(len(distinct))]
        optimizer = optimizer([{"params": [r], "lr": rate.item()} for r, rate in zip(each, distinct)])
    for _ in range(steps):
        bx, by = x, y
        if batch is not None:
            at = torch.stack([torch.randint(len(x), (batch,), generator=g) for g in generators])
            bx, by = x[at], y[at]
        rows = torch.stack(each) if BY else torch.cat(each)[back]
        optimizer.zero_grad()
        loss = Networks(networks.shape, rows).losses(bx, by)
        loss.sum().backward()
        if not learn_scale:
            for row in each: row.grad[..., -n_scales:] = 0
        losses.append(loss.detach())
        optimizer.step()
    return torch.stack(losses, 1), (torch.stack(each) if BY else torch.cat(each)[back]).detach()
