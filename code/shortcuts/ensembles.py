"""Many networks at once: build and measure S networks of one shape together.

One network says what can happen, ten thousand say what usually does. Tensors
have a leading dimension of networks, so that a layer of all of them is one
batched product. Networks never mix: but for rounding, a row's numbers depend
on its seed alone.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import groupby, pairwise
from numbers import Integral
from operator import itemgetter
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from shortcuts._checks import (
    check_finite,
    check_samples,
    check_switch,
    check_tensor,
    checked_number,
    checked_sizes,
    new_activation,
)
from shortcuts.activations import GELU
from shortcuts.networks import bypassed

SWITCHES = [
    "use_shortcut",
    "activation_first",
    "normalise",
    "orthogonal",
    "mirrored",
    "linear_ends",
]
Part = TypeVar("Part")
NUMBERS_AT_ONCE = 2**20  # how many a chunk of networks may take


class Lenses(NamedTuple):
    """Measurements: the book's four lenses, and the outputs.

    ``h_l`` is what layer ``l`` takes from the stream, ``z_l`` the output of
    its Linear, and ``y`` the network's output.

    Example:
        >>> import torch
        >>> from shortcuts.ensembles import Ensemble
        >>> networks = Ensemble([3, 3, 1], True, seeds=range(100))
        >>> lenses = networks.measure(torch.tensor([[1.0, 0.0, -1.0]]))
        >>> lenses.activations.mean(dim=0)
        tensor([0.6667, 0.7402])
    """

    activations: Float[Tensor, "networks layers"]
    """``mean |h_l|``, over samples and units."""

    deltas: Float[Tensor, "networks layers"]
    """``mean |dL/dz_l|``, over samples and units."""

    gradients: Float[Tensor, "networks layers"]
    """``mean |dL/dW_l|``, which listing 4.5 prints."""

    jacobians: Float[Tensor, "networks layers"]
    """Frobenius norm of dy/dh_l, root mean square over samples; no loss."""

    outputs: Float[Tensor, "networks samples n_out"]
    """y itself."""


class Linear(NamedTuple):
    """One Linear of each network.

    Example:
        >>> import torch
        >>> from shortcuts.ensembles import Linear
        >>> linear = Linear(torch.ones(10, 2, 3), torch.zeros(10, 1, 2))
        >>> (torch.ones(4, 3) @ linear.weight.mT + linear.bias).shape
        torch.Size([10, 4, 2])
    """

    weight: Float[Tensor, "networks n_out n_in"]
    bias: Float[Tensor, "networks 1 n_out"]


@dataclass(frozen=True)
class Ensemble:
    """Networks of one shape, one for each seed.

    By default, network ``s`` is the one that ``torch.manual_seed(s)`` and then
    ``DeepNeuralNetwork(layer_sizes, use_shortcut)`` make, with the same
    weights to the last bit. The options make other networks, each of them
    again determined by its seed alone.

    Args:
        layer_sizes: as of :class:`~shortcuts.networks.DeepNeuralNetwork`.
        use_shortcut: as there. If no layer can have one, a warning says so.
        seeds: one for each network, such as ``range(10_000)``.
        activation: as there; what it makes has to work on each number alone,
            without randomness, and not in place.
        variances: if not given, weights and biases are drawn as ``nn.Linear``
            does, uniformly, with variance ``1 / (3 n_in)``. A pair ``(c_w,
            c_b)`` draws weights from a normal distribution of variance ``c_w /
            n_in`` and biases from one of variance ``c_b``; ``(2.0, 0.0)`` is
            the initialisation of He et al. (2015), arXiv:1502.01852.
        activation_first: compute ``W act(h) + b``, not ``act(W h + b)``.
        normalise: pass ``h`` through a LayerNorm, without weights of its own,
            on its way into the layer.
        skip_scale: what a shortcut multiplies ``h`` by.
        branch_scale: what the layer that it bypasses is multiplied by.
        orthogonal: begin with weights whose rows or columns, whichever are
            fewer, are orthonormal, and with biases of zero, as in Saxe et al.
            (2014), arXiv:1312.6120.
        mirrored: let hidden units begin in pairs of opposite sign, so that an
            orthogonal network with GELU or ReLU begins as a linear one:
            "looks linear" of Balduzzi et al. (2017), arXiv:1702.08591, for
            GELU with ``gelu(z) - gelu(-z) = z``.
        linear_ends: let the first layer write into the stream and the last
            read from it without activation, and the first without LayerNorm.

    Raises:
        TypeError: for what that refuses, and for options of another type than
            above.
        ValueError: for what it refuses, for no seeds, for numbers that are not
            finite or, as variances, negative, for an activation that mixes
            numbers, draws random ones, or writes to its input, for
            ``orthogonal`` with variances, for ``mirrored`` without it or with
            an odd hidden layer, and for ``linear_ends`` with
            ``activation_first``.

    Example:
        >>> import torch
        >>> from shortcuts.ensembles import Ensemble
        >>> networks = Ensemble([3, 3, 3, 3, 3, 1], True, seeds=range(100))
        >>> lenses = networks.measure(torch.tensor([[1.0, 0.0, -1.0]]))
        >>> lenses.gradients.median(dim=0).values
        tensor([0.0064, 0.0068, 0.0048, 0.0060, 0.0439])
    """

    layer_sizes: Sequence[int]
    use_shortcut: bool
    _: KW_ONLY
    seeds: Sequence[int]
    activation: Callable[[], nn.Module] = GELU
    variances: tuple[float, float] | None = None
    activation_first: bool = False
    normalise: bool = False
    skip_scale: float = 1.0
    branch_scale: float = 1.0
    orthogonal: bool = False
    mirrored: bool = False
    linear_ends: bool = False

    def __post_init__(self) -> None:
        def keep(**values: object) -> None:
            # Copies of its own: a frozen dataclass does not change.
            for name, value in values.items():
                object.__setattr__(self, name, value)

        keep(layer_sizes=checked_sizes(self.layer_sizes))
        for name in SWITCHES:
            check_switch(name, getattr(self, name))
        _check_activation(new_activation(self.activation))
        keep(seeds=_checked_seeds(self.seeds))
        if self.variances is not None:
            keep(variances=_checked_variances(self.variances))
        for name in ("skip_scale", "branch_scale"):
            keep(**{name: checked_number(name, getattr(self, name))})
        self._check_together()
        if self.use_shortcut and not any(self.bypassed):
            warnings.warn(
                f"no layer of sizes {self.layer_sizes} has as many inputs as "
                "outputs: these networks have no shortcut",
                stacklevel=3,
            )

    def _check_together(self) -> None:
        """Refuse options that contradict each other."""
        if self.orthogonal and self.variances is not None:
            raise ValueError(
                "expected variances or orthogonal weights, got both"
            )
        if self.mirrored and not self.orthogonal:
            raise ValueError("expected mirrored weights to be orthogonal, too")
        if self.mirrored and any(n % 2 for n in self.layer_sizes[1:-1]):
            raise ValueError(
                "expected hidden layers of even size for mirrored weights, "
                f"got {self.layer_sizes}"
            )
        if self.linear_ends and self.activation_first:
            raise ValueError(
                "expected activation_first or linear_ends, got both"
            )

    @property
    def _uniform(self) -> bool:
        return self.variances is None and not self.orthogonal

    @property
    def bypassed(self) -> list[bool]:
        """Which layers a shortcut bypasses, first to last."""
        return bypassed(self.layer_sizes, self.use_shortcut)

    def draw(self, seeds: Sequence[int] | None = None) -> list[Linear]:
        """Return the Linears of the networks of these seeds, first to last.

        They are float32, and of all networks if no seeds are given.

        Example:
            >>> import torch
            >>> from shortcuts.ensembles import Ensemble
            >>> first, second = Ensemble([3, 2, 1], False, seeds=[7]).draw()
            >>> _ = torch.manual_seed(7)
            >>> torch.equal(first.weight[0], torch.nn.Linear(3, 2).weight)
            True
        """
        seeds = self.seeds if seeds is None else _checked_seeds(seeds)
        # One row of numbers for each seed, to be cut into layers.
        rest = torch.empty(
            len(seeds), self._parameters(), dtype=torch.float32, device="cpu"
        )
        # torch's own call, since a processor without fused multiply-add rounds
        # otherwise. Layers with as many inputs have one bound, and are drawn
        # at once.
        bounds, lengths = [], []
        for n_in, layers in groupby(pairwise(self.layer_sizes), itemgetter(0)):
            bounds.append(n_in**-0.5)
            lengths.append(sum((n_in + 1) * n_out for _, n_out in layers))
        rows = zip(*torch.split(rest, lengths, dim=1), strict=True)
        generator = torch.Generator()
        for row, seed in zip(rows, seeds, strict=True):
            generator.manual_seed(seed)
            for part, bound in zip(row, bounds, strict=True):
                if self._uniform:
                    part.uniform_(-bound, bound, generator=generator)
                else:
                    part.normal_(generator=generator)
        linears: list[Linear] = []
        for n_in, n_out in pairwise(self.layer_sizes):
            sizes = [n_in * n_out, n_out, rest.shape[1] - (n_in + 1) * n_out]
            weight, bias, rest = torch.split(rest, sizes, dim=1)
            weight = weight.reshape(-1, n_out, n_in)
            if self.variances is not None:
                c_w, c_b = self.variances
                weight, bias = weight * (c_w / n_in) ** 0.5, bias * c_b**0.5
            elif self.orthogonal:
                weight = self._orthogonal(weight, len(linears))
                bias = torch.zeros_like(bias)
            linears.append(Linear(weight, bias[:, None]))
        return linears

    def _orthogonal(self, normal: Tensor, layer: int) -> Tensor:
        """Make orthonormal weights of normal ones, in pairs if mirrored."""
        if not self.mirrored:
            return _orthonormal(normal)
        first, last = layer == 0, layer == len(self.layer_sizes) - 2
        rows = normal.shape[1] // (1 if last else 2)
        columns = normal.shape[2] // (1 if first else 2)
        weight = _orthonormal(normal[:, :rows, :columns])
        if first and self.linear_ends:  # h and -h differ by 2 h, not by h
            weight = weight / 2
        if not first:
            weight = torch.cat([weight, -weight], dim=2)
        return weight if last else torch.cat([weight, -weight], dim=1)

    def measure(
        self,
        x: Float[Tensor, "samples n_in"],
        target: Float[Tensor, "samples n_out"] | None = None,
        *,
        progress: bool | None = None,
    ) -> Lenses:
        """Measure all networks on the same samples, with mean squared error.

        The networks take the dtype of ``x``. In float64 their weights are
        those that torch draws in float32, so they are the same networks,
        computed more exactly. There is one backward pass for each output.

        Args:
            x: the samples, float32 or float64.
            target: what the loss compares the outputs with, zeros if not
                given.
            progress: whether to show a progress bar; if not given, a terminal
                shows one for what takes longer than a second.

        Raises:
            TypeError: if ``x`` or ``target`` is no tensor, or ``x`` not
                float32 or float64.
            ValueError: if ``x`` is no matrix with a row for each sample and a
                column for each input, ``target`` has not the outputs' shape,
                or one of them holds inf or nan.

        Networks whose numbers pass what the dtype holds keep their inf and
        nan, and a warning counts them. (It counts those, too, in which only
        the squares within a LayerNorm pass it, so that finite numbers are
        wrong.)

        Example:
            >>> import torch
            >>> from shortcuts.ensembles import Ensemble
            >>> network = Ensemble([3, 3, 3, 3, 3, 1], True, seeds=[123])
            >>> lenses = network.measure(torch.tensor([[1.0, 0.0, -1.0]]))
            >>> [f"{mean:.3f}" for mean in lenses.gradients[0]]
            ['0.222', '0.207', '0.329', '0.267', '1.326']
        """
        x, target = self._checked(x, target)
        chunks = self._chunks(x, target, progress, stacklevel=3)
        return Lenses(*map(torch.cat, zip(*chunks, strict=True)))

    def measure_in_chunks(
        self,
        x: Float[Tensor, "samples n_in"],
        target: Float[Tensor, "samples n_out"] | None = None,
        *,
        progress: bool | None = None,
    ) -> Iterator[Lenses]:
        """Measure as :meth:`measure` does, but hand out some rows at a time.

        The memory it takes does not grow with the number of networks.

        Example:
            >>> import torch
            >>> from shortcuts.ensembles import Ensemble
            >>> networks = Ensemble([3, 3, 1], True, seeds=range(1000))
            >>> chunks = networks.measure_in_chunks(torch.ones(1, 3))
            >>> sum(int((lenses.outputs > 0).sum()) for lenses in chunks)
            494
        """
        x, target = self._checked(x, target)
        return self._chunks(x, target, progress, stacklevel=2)

    def _checked(
        self, x: Tensor, target: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return copies of samples and target, or raise."""
        check_samples(x, self.layer_sizes[0])
        zeros = x.new_zeros(len(x), self.layer_sizes[-1])
        if target is None:
            target = zeros
        check_tensor("target", target)
        if target.shape != zeros.shape:
            raise ValueError(
                "expected a target of the outputs' shape "
                f"{tuple(zeros.shape)}, got {tuple(target.shape)}"
            )
        check_finite("target", target)
        return x.detach().clone(), target.detach().to(x).clone()

    def _parameters(self) -> int:
        return sum((n + 1) * m for n, m in pairwise(self.layer_sizes))

    def _chunks(
        self,
        x: Tensor,
        target: Tensor,
        progress: bool | None,
        stacklevel: int,  # of who asked for the chunks
    ) -> Iterator[Lenses]:
        states = 6 * len(x) * sum(self.layer_sizes)
        step = max(1, NUMBERS_AT_ONCE // (3 * self._parameters() + states))
        overflowed = 0
        for start in _with_bar(range(0, len(self.seeds), step), progress):
            seeds = self.seeds[start : start + step]
            with torch.inference_mode(False), torch.enable_grad():
                h = x.clone().requires_grad_().expand(len(seeds), -1, -1)
                done = self.forward(self.draw(seeds), h)
                lenses = _measured(done, target)
            parts = list(lenses)
            if self.normalise:  # a LayerNorm whose squares overflow returns 0
                parts += [h.square().sum(-1) for h in done.stream]
            finite = [part.flatten(1).isfinite().all(1) for part in parts]
            overflowed += int((~torch.stack(finite).all(0)).sum())
            yield lenses
        if overflowed:
            warnings.warn(
                f"{overflowed} of {len(self.seeds)} networks passed what "
                f"{x.dtype} holds: their rows hold inf, nan or wrong numbers",
                stacklevel=stacklevel,
            )

    def forward(
        self,
        linears: Sequence[Linear],
        h: Float[Tensor, "networks samples n_in"],
        *,
        scales: Sequence[Tensor] | None = None,
        layers: Sequence[int] | None = None,
    ) -> "Pass":
        """Pass samples through networks of this shape, whatever their weights.

        Args:
            linears: as :meth:`draw` makes them.
            h: the samples of each network.
            scales: what the branch of each layer is multiplied by, instead of
                ``branch_scale``.
            layers: which layers to pass through, and in what order; all of
                them, first to last, if not given.

        Example:
            >>> import torch
            >>> from shortcuts.ensembles import Ensemble
            >>> networks = Ensemble([3, 3, 1], True, seeds=[7])
            >>> done = networks.forward(networks.draw(), torch.ones(1, 1, 3))
            >>> done.outputs.shape
            torch.Size([1, 1, 1])
        """
        last = len(self.bypassed) - 1
        activations = self._activations(h)
        done = Pass([], [], [], h)
        for layer in range(last + 1) if layers is None else layers:
            at_end = self.linear_ends and layer in (0, last)
            (weight, bias), activation = linears[layer], activations[layer]
            branch = h
            if self.normalise and not (self.linear_ends and layer == 0):
                branch = functional.layer_norm(branch, branch.shape[-1:])
            if self.activation_first:
                branch = activation(branch)
            z = torch.baddbmm(bias.to(h), branch, weight.to(h).mT)
            done.stream.append(h)
            done.inputs.append(branch)
            done.zs.append(z)
            branch = z if self.activation_first or at_end else activation(z)
            if self.bypassed[layer]:
                scale = self.branch_scale if scales is None else scales[layer]
                skip = h if self.skip_scale == 1 else self.skip_scale * h
                h = skip + scale * branch
            else:
                h = branch
        return done._replace(outputs=h)

    def _activations(self, h: Tensor) -> list[nn.Module]:
        """Make the activation of each layer, in the dtype of ``h``."""
        layers = len(self.bypassed)
        if isinstance(self.activation, type):  # all that it makes are alike
            return [new_activation(self.activation).to(h)] * layers
        return [new_activation(self.activation).to(h) for _ in range(layers)]


class Pass(NamedTuple):
    """The tensors of a forward pass, a list entry for each layer.

    Example:
        >>> import torch
        >>> from shortcuts.ensembles import Ensemble
        >>> networks = Ensemble([3, 3, 1], True, seeds=[7])
        >>> done = networks.forward(networks.draw(), torch.ones(1, 1, 3))
        >>> torch.equal(done.stream[0], torch.ones(1, 1, 3))
        True
    """

    stream: list[Float[Tensor, "networks samples n_in"]]
    """What each layer takes from the stream, h."""

    inputs: list[Float[Tensor, "networks samples n_in"]]
    """What each Linear takes, which is h unless an option says otherwise."""

    zs: list[Float[Tensor, "networks samples n_out"]]
    """What each Linear returns, z."""

    outputs: Float[Tensor, "networks samples n_out"]
    """What the last layer leaves."""


def _orthonormal(normal: Tensor) -> Tensor:
    """Return orthonormal columns, or rows if they are fewer, all as likely."""
    wide = normal.shape[-2] < normal.shape[-1]
    q, r = torch.linalg.qr(normal.mT if wide else normal)
    q *= r.diagonal(dim1=-2, dim2=-1).sign()[:, None]
    found: Tensor = q.mT if wide else q
    return found


def _with_bar(
    parts: Sequence[Part], progress: bool | None, *, unit: str = "chunk"
) -> Iterable[Part]:
    """Show a progress bar, if tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return parts
    bar: Iterable[Part] = tqdm(
        parts,
        disable=None if progress is None else not progress,
        delay=1 if progress is None else 0,
        leave=False,
        unit=unit,
    )
    return bar


def _measured(done: Pass, target: Tensor) -> Lenses:
    """Walk back from the outputs, one of them at a time.

    This gives the rows of the Jacobians dy/dh and dy/dz. The loss enters only
    here, as dL/dy.
    """
    y, layers = done.outputs, len(done.zs)
    dl_dy = 2 / target.numel() * (y.detach() - target)
    deltas = [torch.zeros_like(z) for z in done.zs]
    norms = [torch.zeros_like(h) for h in done.stream]
    for j in range(y.shape[-1]):
        rows = torch.autograd.grad(
            y[..., j].sum(), [*done.zs, *done.stream], retain_graph=True
        )
        for layer in range(layers):
            deltas[layer] += dl_dy[..., j, None] * rows[layer]
            norms[layer] = torch.hypot(norms[layer], rows[layers + layer])
    return Lenses(
        activations=_means(done.stream),
        deltas=_means(deltas),
        gradients=_means(
            delta.mT @ h for delta, h in zip(deltas, done.inputs, strict=True)
        ),
        jacobians=torch.stack([_norm(norm) for norm in norms], dim=1),
        outputs=y.detach(),
    )


def _norm(values: Tensor) -> Float[Tensor, " networks"]:
    """Return the norm over units, root mean square over samples.

    Squares of small numbers would be lost, so the largest is divided out.
    """
    largest = values.amax((1, 2), keepdim=True)
    ratios = torch.where(largest > 0, values / largest, 0)
    mean_square = ratios.square().sum(-1).mean(-1)
    return largest[:, 0, 0] * mean_square.sqrt()


def _means(values: Iterable[Tensor]) -> Float[Tensor, "networks layers"]:
    means = [value.detach().abs().mean((1, 2)) for value in values]
    return torch.stack(means, dim=1)


def _check_activation(activation: nn.Module) -> None:
    """Raise where networks or units would mix, or differ between calls."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        z = torch.linspace(-3, 3, 61, dtype=torch.float32, device="cpu")
        activation, probe = activation.to(z), z.clone()
        whole, again = activation(probe), activation(z.clone())
        alone = torch.cat([activation(part) for part in z.clone()[:, None]])
    if not (
        torch.equal(probe, z)
        and torch.equal(whole, again)
        and whole.shape == z.shape
        and torch.allclose(whole, alone, atol=1e-6)
    ):
        raise ValueError(
            "expected an activation that works on each number alone, without "
            f"randomness and not in place, got {activation}"
        )


def _checked_seeds(seeds: Sequence[int]) -> Sequence[int]:
    """Return a range as it is, and other sequences as tuples."""
    if not isinstance(seeds, Sequence) or isinstance(seeds, str | bytes):
        raise TypeError(
            "expected seeds to be a sequence such as range(10_000), "
            f"got {seeds!r}"
        )
    if not seeds:
        raise ValueError("expected at least one seed, got none")
    is_range = isinstance(seeds, range)
    for seed in (seeds[0], seeds[-1]) if is_range else seeds:
        if isinstance(seed, bool) or not isinstance(seed, Integral):
            raise TypeError(
                f"expected seeds to be whole numbers, got {seed!r}"
            )
        if not -(2**63) <= seed < 2**64:  # what torch takes
            raise ValueError(f"expected seeds of at most 64 bits, got {seed}")
    return seeds if is_range else tuple(int(seed) for seed in seeds)


def _checked_variances(variances: Sequence[float]) -> tuple[float, float]:
    if not isinstance(variances, Sequence) or len(variances) != 2:
        raise ValueError(
            "expected two variances, of weights and of biases, "
            f"got {variances!r}"
        )
    c_w, c_b = variances
    return (
        checked_number("the variance of weights", c_w, low=0),
        checked_number("the variance of biases", c_b, low=0),
    )
