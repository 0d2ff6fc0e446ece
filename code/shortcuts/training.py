"""Train many networks at once, each at a rate of its own.

The networks are those of an ``Ensemble``; a row holds all numbers of one of
them. Rows that follow each other at one rate are one parameter of one of
torch's optimizers. One batched product computes a layer of all networks, one
backward pass their gradients.
Networks never mix: a run depends on its seed and its rate, not on which
others run beside it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, pairwise, product
from typing import Any, NamedTuple, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from shortcuts._checks import (
    check_samples,
    check_switch,
    check_tensor,
    checked_correlation,
    checked_number,
    checked_whole,
)
from shortcuts.ensembles import Ensemble, Linear, Pass, _with_bar

NewOptimizer = Callable[[Any], Any]  # of groups of parameters
ADAM: NewOptimizer = partial(torch.optim.Adam, fused=True)
NETWORKS_AT_ONCE = 64
STEPS_AT_ONCE = 16  # whose samples are drawn together


@dataclass(frozen=True)
class Networks:
    """Networks of an ensemble's shape, with numbers of their own.

    Example:
        >>> import torch
        >>> from shortcuts.ensembles import Ensemble
        >>> from shortcuts.training import drawn
        >>> networks = drawn(Ensemble([2, 8, 8, 3], True, seeds=range(5)))
        >>> networks.forward(torch.zeros(10, 2)).outputs.shape
        torch.Size([5, 10, 3])
    """

    shape: Ensemble

    rows: Float[Tensor, "networks numbers"]
    """The weights and biases of each network, layer by layer."""

    scales: Float[Tensor, "networks layers"]
    """What the branch of each layer is multiplied by."""

    @property
    def linears(self) -> list[Linear]:
        """The Linears of all networks, first to last, as views of the rows."""
        # Layers of one size are cut apart at once, for speed.
        groups = [
            (size, len(list(layers)))
            for size, layers in groupby(pairwise(self.shape.layer_sizes))
        ]
        lengths = [n * (n_in + 1) * n_out for (n_in, n_out), n in groups]
        parts = torch.split(self.rows, lengths, dim=1)
        linears: list[Linear] = []
        for ((n_in, n_out), n), part in zip(groups, parts, strict=True):
            part = part.view(len(part), n, -1)
            sizes = [n_in * n_out, n_out]
            weights, biases = torch.split(part, sizes, dim=2)
            linears += map(
                Linear,
                weights.reshape(-1, n, n_out, n_in).unbind(1),
                biases[:, :, None].unbind(1),
            )
        return linears

    def forward(
        self,
        x: Float[Tensor, "*networks samples n_in"],
        *,
        layers: Sequence[int] | None = None,
    ) -> Pass:
        """Pass samples through them, the same for all, or some for each.

        ``layers`` says which layers to pass through, as in
        :meth:`shortcuts.ensembles.Ensemble.forward`.
        """
        x = x.expand(len(self.rows), -1, -1)
        scales = self.scales[:, :, None, None].unbind(1)
        return self.shape.forward(
            self.linears, x, scales=scales, layers=layers
        )

    def __getitem__(self, part: slice) -> Self:
        """Return some of the networks; the shape keeps all seeds."""
        return replace(self, rows=self.rows[part], scales=self.scales[part])

    def to(self, x: Tensor) -> Self:
        """Return them in the dtype of ``x``."""
        return replace(self, rows=self.rows.to(x), scales=self.scales.to(x))

    def losses(
        self,
        x: Float[Tensor, "*networks samples n_in"],
        y: Int[Tensor, "*networks samples"],
    ) -> Float[Tensor, " networks"]:
        """Return each network's cross-entropy, the mean over its samples.

        Example:
            >>> import torch
            >>> from shortcuts.ensembles import Ensemble
            >>> from shortcuts.training import drawn
            >>> networks = drawn(Ensemble([2, 8, 3], False, seeds=[0]))
            >>> networks.losses(torch.ones(1, 2), torch.tensor([0]))
            tensor([1.1830])
        """
        outputs = self.forward(x).outputs
        y = y.expand(outputs.shape[:2])
        each = functional.cross_entropy(outputs.mT, y, reduction="none")
        return each.mean(1)

    def gradient(
        self, x: Float[Tensor, "samples n_in"], y: Int[Tensor, " samples"]
    ) -> Self:
        """Return the gradient of each network's loss, as networks of it.

        Its rows and scales are dL/drows and dL/dscales.

        Example:
            >>> import torch
            >>> from shortcuts.ensembles import Ensemble
            >>> from shortcuts.training import drawn
            >>> networks = drawn(Ensemble([2, 8, 3], False, seeds=[0]))
            >>> slope = networks.gradient(torch.ones(1, 2), torch.tensor([0]))
            >>> [linear.weight.shape for linear in slope.linears]
            [torch.Size([1, 8, 2]), torch.Size([1, 3, 8])]
        """
        with torch.inference_mode(False), torch.enable_grad():
            rows = self.rows.detach().clone().requires_grad_()
            scales = self.scales.detach().clone().requires_grad_()
            again = replace(self, rows=rows, scales=scales)
            loss = again.losses(x.clone(), y).sum()
            found = torch.autograd.grad(
                loss, (rows, scales), materialize_grads=True
            )
        return replace(self, rows=found[0], scales=found[1])

    def gradients(
        self, x: Float[Tensor, "samples n_in"], y: Int[Tensor, " samples"]
    ) -> Float[Tensor, "networks layers"]:
        """Return ``mean |dL/dW|`` of each layer's weights.

        Example:
            >>> import torch
            >>> from shortcuts.ensembles import Ensemble
            >>> from shortcuts.training import drawn
            >>> networks = drawn(Ensemble([2, 8, 3], False, seeds=[0]))
            >>> networks.gradients(torch.ones(1, 2), torch.tensor([0])).shape
            torch.Size([1, 2])
        """
        found = [linear.weight for linear in self.gradient(x, y).linears]
        return torch.stack([w.abs().mean((1, 2)) for w in found], dim=1)


def drawn(
    ensemble: Ensemble,
    *,
    seeds: Sequence[int] | None = None,
) -> Networks:
    """Return the networks of an ensemble as they are before any training.

    They are float32, and those of all its seeds, if none are given.

    Example:
        >>> from shortcuts.ensembles import Ensemble
        >>> from shortcuts.training import drawn
        >>> drawn(Ensemble([2, 8, 3], False, seeds=range(5))).rows.shape
        torch.Size([5, 51])
    """
    linears = ensemble.draw(seeds)
    parts = [part.flatten(1) for linear in linears for part in linear]
    rows = torch.cat(parts, dim=1)
    scales = rows.new_full((len(rows), len(linears)), ensemble.branch_scale)
    return Networks(ensemble, rows, scales)


class _Divided(nn.Module):
    """An activation function that first divides what it gets."""

    def __init__(self, activation: Callable[[], nn.Module], by: float) -> None:
        super().__init__()
        self.activation, self.by = activation(), by

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.activation(z / self.by)
        return out


def divided(ensemble: Ensemble, by: float) -> Networks:
    """Return networks that begin as those drawn, and are moved by less.

    Each layer with an activation function divides its ``z`` before that, and
    its weights and biases begin as many times larger, so the networks compute
    the same up to rounding. A step of a given size on these weights moves
    ``z`` by ``1 / by`` of what it was.

    Raises:
        TypeError: if ``by`` is no number.
        ValueError: if it is not above 0.

    Example:
        >>> import torch
        >>> from shortcuts.kinds import classifiers
        >>> from shortcuts.tasks import spirals
        >>> from shortcuts.training import divided, drawn
        >>> x, y = task = spirals(9)
        >>> shape = classifiers("plain, mirrored", 4, task, seeds=[0])
        >>> one, other = divided(shape, by=8), drawn(shape)
        >>> torch.allclose(one.losses(x, y), other.losses(x, y))
        True
    """
    if checked_number("by", by) <= 0:
        raise ValueError(f"expected by to be above 0, got {by!r}")
    activation = partial(_Divided, ensemble.activation, by)
    networks = drawn(replace(ensemble, activation=activation))
    linears = networks.linears
    for linear in linears[1:-1] if ensemble.linear_ends else linears:
        linear.weight.mul_(by)
        linear.bias.mul_(by)
    return networks


def gradient_agreement(
    networks: Networks,
    x: Float[Tensor, "samples n_in"],
    *,
    correlation: float,
    seed: int = 0,
    layers: Sequence[int] | None = None,
) -> Float[Tensor, "networks layers"]:
    """Return how alike the gradients of neighbouring inputs are.

    Each sample gets a neighbour of the same length, whose scalar product with
    it over the product of both lengths is ``correlation``. For a random
    direction of what a layer hands on, its gradients with respect to both
    inputs are compared: their scalar products over their lengths, all samples
    together. See :func:`shortcuts.mean_field.gradient_correlation` for what
    it is in wide networks. ``layers`` says which layers to look at, as
    ``[-1]`` does; all of them, if not given. The time it takes grows with
    their number.

    Raises:
        TypeError: if the correlation is no number.
        ValueError: if it is not between -1 and 1.

    Example:
        >>> import torch
        >>> from shortcuts.ensembles import Ensemble
        >>> from shortcuts.training import drawn, gradient_agreement
        >>> networks = drawn(Ensemble([8, 8, 8], True, seeds=range(5)))
        >>> x = torch.ones(1, 8)
        >>> found = gradient_agreement(networks, x, correlation=0.9)
        >>> found.shape, bool((found[:, 0] > 0.9).all())
        (torch.Size([5, 2]), True)
    """
    correlation = checked_correlation(correlation)
    generator = torch.Generator().manual_seed(seed)
    aside = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    square = x.square().sum(1, keepdim=True)
    aside = aside - (aside * x).sum(1, keepdim=True) / square * x
    aside = aside * (square / aside.square().sum(1, keepdim=True)).sqrt()
    other = correlation * x + (1 - correlation**2) ** 0.5 * aside
    with torch.inference_mode(False), torch.enable_grad():
        both = torch.stack([x, other]).flatten(0, 1).detach()
        both = both.expand(len(networks.rows), -1, -1).clone()
        done, found = networks.forward(both.requires_grad_()), []
        handed_on = [*done.stream[1:], done.outputs]
        ways = [  # of all layers, so that each has its own whoever asks
            torch.randn(h.shape[::2], generator=generator, dtype=h.dtype)
            for h in handed_on
        ]
        for layer in range(len(ways)) if layers is None else layers:
            along = (handed_on[layer] * ways[layer][:, None]).sum()
            (slopes,) = torch.autograd.grad(along, both, retain_graph=True)
            one, two = (half.flatten(1) for half in slopes.chunk(2, dim=1))
            lengths = one.norm(dim=1) * two.norm(dim=1)
            found.append((one * two).sum(dim=1) / lengths)
    return torch.stack(found, dim=1)


class Runs(NamedTuple):
    """The losses and the networks of trainings.

    Example:
        >>> import torch
        >>> from shortcuts.ensembles import Ensemble
        >>> from shortcuts.training import train
        >>> two = Ensemble([1, 1], False, seeds=range(2), linear_ends=True)
        >>> x, y = torch.ones(1, 1), torch.zeros(1, dtype=torch.long)
        >>> train(two, x, y, rates=0.1, steps=3).losses.shape
        torch.Size([2, 3])
    """

    losses: Float[Tensor, "networks steps"]
    """The loss before each step, of the samples that the step is made of."""

    networks: Networks
    """The networks after the last step."""

    @property
    def diverged(self) -> Bool[Tensor, " networks"]:
        """Which networks hold numbers that are infinite or nan."""
        networks = self.networks
        numbers = torch.cat([networks.rows, networks.scales], dim=1)
        return ~numbers.isfinite().all(1)


def train(
    networks: Ensemble | Networks,
    x: Float[Tensor, "samples n_in"],
    y: Int[Tensor, " samples"],
    *,
    rates: float | Float[Tensor, " networks"],
    steps: int,
    optimizer: NewOptimizer = ADAM,
    batch: int | None = None,
    learn_scales: bool = False,
    progress: bool | None = None,
) -> Runs:
    """Train all networks to tell classes apart, by cross-entropy.

    Each run is the one that a loop over ``torch.optim`` makes of the same
    network, the same rate and the same samples, but for rounding. The seed of
    a network also draws its samples. A run whose numbers pass what the dtype
    holds goes on with inf or nan, and :attr:`Runs.diverged` tells.

    Args:
        networks: as they begin: those of an ensemble, or others of its shape.
            They take the dtype of ``x``.
        x: the samples, float32 or float64.
        y: the class of each, from 0 on.
        rates: the learning rate, of all or of each network.
        steps: how many steps.
        optimizer: makes one of groups of parameters, as
            ``partial(torch.optim.SGD, momentum=0.9)`` does; it has to treat
            each number alone. Adam, if not given.
        batch: how many samples a step takes, each network others, drawn with
            replacement; all, if not given.
        learn_scales: whether to train what the branches are multiplied by,
            as ReZero and SkipInit do.
        progress: whether to show a progress bar; if not given, a terminal
            shows one for what takes longer than a second.

    Raises:
        TypeError: if ``x``, ``y`` or a number is not as above.
        ValueError: if there is not a class for each sample and an output for
            each class, ``x`` holds inf or nan, a rate is negative or not
            finite, or there is not one for each network.

    Example:
        >>> import torch
        >>> from shortcuts.ensembles import Ensemble
        >>> from shortcuts.training import train
        >>> shape = Ensemble([1, 4, 4, 2], True, seeds=range(100))
        >>> x = torch.tensor([[-1.0], [0.0], [1.0]])
        >>> y = torch.tensor([0, 1, 0])
        >>> runs = train(shape, x, y, rates=0.1, steps=50)
        >>> int(runs.diverged.sum())
        0
        >>> (runs.losses[:, 0] > runs.losses[:, -1]).all().item()
        True
    """
    given = networks if isinstance(networks, Networks) else None
    ensemble = networks.shape if isinstance(networks, Networks) else networks
    _check_task(ensemble, x, y)
    rates = _checked_rates(rates, len(ensemble.seeds))
    if given and len(given.rows) != len(rates):
        raise ValueError(
            f"expected a seed for each of {len(given.rows)} networks, "
            f"got {len(rates)}"
        )
    steps = checked_whole("steps", steps, low=1)
    if batch is not None:
        batch = checked_whole("batch", batch, low=1)
    check_switch("learn_scales", learn_scales)
    starts = range(0, len(rates), NETWORKS_AT_ONCE)
    plan = list(product(starts, range(steps)))
    runners: list[_Runner] = []
    with torch.inference_mode(False), torch.enable_grad():
        x, y = x.detach().clone(), y.clone()
        for start, step in _with_bar(plan, progress, unit="step"):
            if step == 0:
                part = slice(start, start + NETWORKS_AT_ONCE)
                seeds = ensemble.seeds[part]
                some = given[part] if given else drawn(ensemble, seeds=seeds)
                samples = _samples(x, y, seeds, batch)
                runners.append(
                    _Runner(some.to(x), rates[part], optimizer, learn_scales)
                )
            runners[-1].step(*next(samples))
        losses = torch.cat([torch.stack(r.losses, dim=1) for r in runners])
        ended = [runner.networks() for runner in runners]
        rows = torch.cat([some.rows.detach() for some in ended])
        scales = torch.cat([some.scales.detach() for some in ended])
    return Runs(losses, Networks(ensemble, rows, scales))


class _Runner:
    """Some networks in training: neighbours of one rate are one parameter."""

    def __init__(
        self,
        networks: Networks,
        rates: Tensor,
        optimizer: NewOptimizer,
        learn_scales: bool,
    ) -> None:
        self.shape = networks.shape
        self.losses: list[Float[Tensor, " networks"]] = []
        groups = [list(same) for _, same in groupby(rates.tolist())]
        lengths = [len(same) for same in groups]
        self.rows = [
            rows.clone().requires_grad_()
            for rows in torch.split(networks.rows, lengths)
        ]
        self.scales = [
            scales.clone().requires_grad_(learn_scales)
            for scales in torch.split(networks.scales, lengths)
        ]
        self.optimizer = optimizer(
            [
                {"params": params, "lr": rate}
                for (rate, *_), *params in zip(
                    groups, self.rows, self.scales, strict=True
                )
            ]
        )

    def networks(self) -> Networks:
        """Return them as they are now."""
        rows, scales = map(torch.cat, (self.rows, self.scales))
        return Networks(self.shape, rows, scales)

    def step(self, x: Tensor, y: Tensor) -> None:
        """Take a step, and note the losses before it."""
        self.optimizer.zero_grad()
        losses = self.networks().losses(x, y)
        # The gradient of a network is that of its own loss.
        torch.autograd.backward(losses.sum())
        self.optimizer.step()
        self.losses.append(losses.detach())


def _samples(
    x: Tensor, y: Tensor, seeds: Sequence[int], batch: int | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the samples of each step, the same for all or some for each."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    while batch is None:
        yield x, y
    while True:  # as if drawn step by step, but some steps at once, for speed
        size = (STEPS_AT_ONCE, batch)
        drawn_by = [
            torch.randint(len(x), size, generator=generator)
            for generator in generators
        ]
        for at in torch.stack(drawn_by, dim=1):
            yield x[at], y[at]


def _check_task(ensemble: Ensemble, x: Tensor, y: Tensor) -> None:
    """Refuse samples and classes that do not fit the networks."""
    n_in, *_, n_out = ensemble.layer_sizes
    check_samples(x, n_in)
    check_tensor("y", y)
    if y.dtype != torch.int64:
        raise TypeError(f"expected classes in torch.int64, got {y.dtype}")
    if y.shape != (len(x),):
        raise ValueError(
            f"expected a class for each of {len(x)} samples, "
            f"got shape {tuple(y.shape)}"
        )
    if y.min() < 0 or y.max() >= n_out:
        raise ValueError(
            f"expected classes from 0 to {n_out - 1}, one for each output, "
            f"got {int(y.min())} to {int(y.max())}"
        )


def _checked_rates(rates: float | Tensor, networks: int) -> Tensor:
    """Return a rate for each network."""
    if not isinstance(rates, Tensor):
        rates = torch.tensor(checked_number("the rate", rates, low=0))
    if rates.shape not in ((), (networks,)):
        raise ValueError(
            f"expected one rate, or one for each of {networks} networks, "
            f"got shape {tuple(rates.shape)}"
        )
    if not (rates.isfinite() & (rates >= 0)).all():
        raise ValueError("expected finite rates that are not below 0")
    return rates.double().expand(networks)
