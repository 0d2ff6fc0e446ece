"""Watch a training: activations, their gradients, and its steps.

All numbers are means of absolute values. Watching changes no bit of the
training: it reads, and draws nothing at random.
"""

import math
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from shortcuts._checks import checked_scale, listed
from shortcuts._sizes import mean_sizes, sum_of_sizes
from shortcuts._stream import find_blocks, first_tensor
from shortcuts.weights import trainable_weights


class Watch:
    """Measure the outputs of a model's blocks, and their gradients.

    Open it before the training, and before the first step of a model that is
    compiled: what ``torch.compile`` has compiled ignores it. It adds up
    ``|h|`` when a block returns its output ``h``, and ``|dL/dh|`` when the
    backward pass reaches it; nothing waits for the device before
    :meth:`read`, and no activation is kept. What checkpointing computes again
    counts once. On exit its hooks are gone.

    Args:
        model: the model, wrapped (DistributedDataParallel, ``torch.compile``)
            or not.
        blocks: the blocks to watch, as modules or as names in the model. If
            not given, the longest list (ModuleList or Sequential) of at least
            two modules of one class.

    Raises:
        TypeError: if ``model`` is no module, or a block is neither name nor
            module; in a forward pass, if a block returns no tensor of
            floating-point numbers. (The first one counts that is found in a
            tuple, list, mapping or dataclass.)
        ValueError: if a block is not in the model, or there is no longest
            list, or there are several: give the blocks of one. On opening, if
            it is open.

    Example:
        >>> import torch
        >>> from shortcuts import DeepNeuralNetwork
        >>> from shortcuts.watching import Watch
        >>> _ = torch.manual_seed(123)
        >>> model = DeepNeuralNetwork([3, 3, 1], use_shortcut=True)
        >>> with Watch(model) as watch:
        ...     for _ in range(2):
        ...         model(torch.ones(4, 3)).square().mean().backward()
        ...     for name, mean in watch.read().items():
        ...         print(name, round(mean, 4))
        h/layers.0 0.0949
        h/layers.1 0.1521
        delta/layers.0 0.0026
        delta/layers.1 0.076
    """

    def __init__(
        self,
        model: nn.Module,
        blocks: Iterable[str | nn.Module] | None = None,
    ) -> None:
        self._blocks = find_blocks(model, blocks)
        self._handles: list[RemovableHandle] = []
        self._forget()

    def __enter__(self) -> Self:
        if self._handles:
            raise ValueError("expected a closed Watch, got one that is open")
        # A compiled model calls hooks between the graphs that it compiles.
        uncompiled: Any = torch.compiler.disable
        for name, block in self._blocks.items():
            see = uncompiled(partial(self._see, name))
            self._handles.append(block.register_forward_hook(see))
        return self

    def __exit__(self, *_: object) -> None:
        while self._handles:
            self._handles.pop().remove()

    def read(self, scale: float = 1.0) -> dict[str, float]:
        """Return the means since the last reading, and begin anew.

        They are those of this process alone, and of all forward and backward
        passes that the blocks have seen, validation among them, each weighted
        by its number of activations. Each device sends its sums once.

        Args:
            scale: divides the gradients: a ``GradScaler``'s ``get_scale()``;
                the number of microbatches, if their losses were added up and
                not divided.

        Returns:
            ``"h/<block>"`` to ``mean |h|``, for each block in order, then
            ``"delta/<block>"`` to ``mean |dL/dh|``, in units of the loss per
            unit of ``h``. Without the latter, if no output has asked for a
            gradient, as under ``torch.no_grad()``. What is infinite or nan
            shows in the block that has it. A block that did not run, or that
            no gradient reached, is reported as ``nan``, with a warning; so is
            a gradient that cannot be seen, because the output is a view that
            has been changed in place.

        Raises:
            TypeError: if ``scale`` is no number.
            ValueError: if it is not above 0, or if no block has run since the
                last reading.
        """
        scale = checked_scale(scale)
        if not self._counts:
            raise ValueError(
                "expected a forward pass since the last reading, got none "
                "that a block has shown: either the model has not run, or "
                "torch.compile had compiled it before this Watch was opened, "
                "which it then ignores: open it before the first step"
            )
        sums, counts, graded = self._sums_on_host(), self._counts, self._graded
        self._forget()
        means: dict[str, float] = {}
        kinds = ("h", 1.0, "forward pass"), ("delta", scale, "gradient")
        for kind, factor, what in kinds[: 1 + graded]:
            names = {f"{kind}/{block}": block for block in self._blocks}
            for name in names:
                total = sums[name] / factor
                means[name] = (
                    total / counts[name] if counts[name] else math.nan
                )
            missing = [names[name] for name in names if name not in counts]
            if missing:
                warnings.warn(
                    f"no {what} reached {listed(missing)}: reported as nan",
                    stacklevel=2,
                )
        return means

    def _forget(self) -> None:
        self._sums: dict[tuple[torch.device, str], Tensor] = {}
        self._counts: Counter[str] = Counter()
        self._graded = False

    def _see(self, block: str, _: nn.Module, __: Any, output: object) -> None:
        """Note the output of a block."""
        h: Any = first_tensor(output)
        if h is None:
            raise TypeError(
                f"expected block {block} to return a tensor of floating-point "
                f"numbers, or one among others, got {type(output).__name__}"
            )
        # Within a backward pass, it is checkpointing that runs the block.
        if torch._C._current_graph_task_id() == -1:
            self._add(f"h/{block}", h)
        if h.requires_grad:
            self._graded = True
            h.register_hook(partial(self._add, f"delta/{block}"))

    def _add(self, name: str, value: Tensor) -> None:
        if not self._handles:  # a graph may outlive this Watch
            return
        value = value.detach()
        if hasattr(value, "to_local"):  # a DTensor
            value = value.to_local()
        place = value.device, name
        # Not in place: a sum of inference mode may not be changed outside.
        self._sums[place] = sum_of_sizes(value, value) + self._sums.get(
            place, 0
        )
        self._counts[name] += value.numel()

    def _sums_on_host(self) -> dict[str, float]:
        sums: defaultdict[str, float] = defaultdict(float)
        for device in {device for device, _ in self._sums}:
            names = [name for place, name in self._sums if place == device]
            values = torch.stack([self._sums[device, name] for name in names])
            for name, value in zip(names, values.tolist(), strict=True):
                sums[name] += value
        return sums


class Update(NamedTuple):
    """A step's change of a weight: ``mean |dW|``, and its share of it.

    The share is ``mean |dW| / mean |W|``, of the weight before the step. It
    is 0 where nothing changed, and infinite where all of the weight was 0.

    Example:
        >>> from shortcuts.watching import Update
        >>> Update(size=0.25, share=0.5).share
        0.5
    """

    size: float
    share: float


@contextmanager
def updates(model: nn.Module) -> Iterator[dict[str, Update]]:
    """Measure each step's change of each weight.

    Put it around ``optimizer.step()``, at the steps at which you ask. While
    it is open it holds one copy of the trainable weights.

    Yields:
        A dictionary that is empty until the exit, and then holds an
        :class:`Update` for each trainable weight, by name in the order of the
        model. Of weights that are sharded over processes (DTensors) these are
        means over the whole, and all processes have to ask. After an
        exception it stays empty.

    Raises:
        TypeError: if ``model`` is no module.
        ValueError: if it has no trainable weights.

    Example:
        >>> import torch
        >>> from shortcuts.watching import updates
        >>> model = torch.nn.Linear(2, 1)
        >>> _ = torch.nn.init.constant_(model.weight, 0.5)
        >>> model(torch.ones(2)).backward()
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
        >>> with updates(model) as changes:
        ...     optimizer.step()
        >>> changes
        {'weight': Update(size=0.25, share=0.5)}
    """
    weights = trainable_weights(model)
    changes: dict[str, Update] = {}
    parameters = list(weights.values())
    copies = [parameter.detach().clone() for parameter in parameters]
    yield changes
    before = mean_sizes(parameters, copies)
    for copy, parameter in zip(copies, parameters, strict=True):
        copy.sub_(parameter.detach())
    after = mean_sizes(parameters, copies)
    for name, old, size in zip(weights, before, after, strict=True):
        changes[name] = Update(size, _share(size, old))


def _share(size: float, whole: float) -> float:
    if size == 0:
        return 0.0
    return size / whole if whole else size * math.inf
