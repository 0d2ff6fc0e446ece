"""The kinds of networks that the book trains, by the names it calls them."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from shortcuts._checks import checked_whole
from shortcuts.ensembles import Ensemble
from shortcuts.mean_field import critical_point
from shortcuts.tasks import Task

CRITICAL = critical_point(nn.GELU())[:2]  # variances of weights and biases
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"variances": CRITICAL},
    "plain, LayerNorm": {"variances": CRITICAL, "normalise": True},
    "plain, orthogonal": {"activation": nn.Tanh, "orthogonal": True},
    "plain, mirrored": {"orthogonal": True, "mirrored": True},
    "shortcuts": {"use_shortcut": True},
    "shortcuts, LayerNorm": {"use_shortcut": True, "normalise": True},
    "shortcuts, unscaled": {"use_shortcut": True, "branch_scale": 1.0},
    "as nn.Linear draws": {},
}


def classifiers(
    kind: str,
    layers: int,
    task: Task,
    *,
    seeds: Sequence[int],
    width: int = 16,
) -> Ensemble:
    """Return networks of one kind that fit a task, one for each seed.

    If nothing else is said, branches are multiplied by ``layers**-0.5``.

    Raises:
        ValueError: if there is no such kind, or for fewer than two layers.

    Example:
        >>> from shortcuts.kinds import classifiers
        >>> from shortcuts.tasks import spirals
        >>> networks = classifiers("shortcuts", 4, spirals(), seeds=range(5))
        >>> networks.layer_sizes, networks.branch_scale
        ((2, 16, 16, 16, 3), 0.5)
    """
    if kind not in KINDS:
        raise ValueError(f"expected one of {list(KINDS)}, got {kind!r}")
    layers = checked_whole("layers", layers, low=2)
    classes = int(task.y.max()) + 1
    sizes = [task.x.shape[1], *[width] * (layers - 1), classes]
    common = {
        "use_shortcut": False,
        "activation": nn.GELU,
        "branch_scale": layers**-0.5,
        "linear_ends": True,
    }
    return Ensemble(sizes, seeds=seeds, **(common | KINDS[kind]))
