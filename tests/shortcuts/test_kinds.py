"""The kinds of networks that the book trains."""

import pytest
import torch

from shortcuts.kinds import KINDS, classifiers
from shortcuts.tasks import Task, digits, spirals
from shortcuts.training import drawn


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_fits_both_tasks(kind: str) -> None:
    for task, n_in, n_out in ((digits(), 64, 10), (spirals(30), 2, 3)):
        networks = classifiers(kind, 4, task, seeds=range(3), width=8)
        assert networks.layer_sizes == (n_in, 8, 8, 8, n_out)
        assert networks.linear_ends
        assert any(networks.bypassed) == kind.startswith("shortcuts")
        losses = drawn(networks).losses(task.x[:30], task.y[:30])
        assert losses.isfinite().all()


def test_scales_of_branches() -> None:
    task = spirals(30)
    for kind, scale in (("shortcuts", 0.25), ("shortcuts, unscaled", 1.0)):
        networks = classifiers(kind, 16, task, seeds=[0])
        assert networks.branch_scale == scale


def test_starts() -> None:
    """Which weights a name stands for, seen on the weights."""
    for kind, (size, spread) in {
        "plain": (1.98306 / 16, 0.17292),
        "as nn.Linear draws": (1 / 48, 1 / 48),
        "plain, orthogonal": (1 / 16, 0.0),
    }.items():
        networks = classifiers(kind, 3, spirals(30), seeds=range(200))
        weight, bias = drawn(networks).linears[1]
        assert weight.var().item() == pytest.approx(size, rel=0.05)
        assert bias.var().item() == pytest.approx(spread, rel=0.1)


def test_what_is_no_kind() -> None:
    with pytest.raises(ValueError, match=r"one of .*'plain', .*got 'deep'"):
        classifiers("deep", 4, spirals(30), seeds=[0])
    with pytest.raises(ValueError, match="layers to be at least 2, got 1"):
        classifiers("plain", 1, spirals(30), seeds=[0])


def test_a_task_of_ones_own() -> None:
    task = Task(torch.zeros(4, 5), torch.tensor([0, 1, 1, 0]))
    networks = classifiers("shortcuts", 2, task, seeds=[0], width=5)
    assert networks.layer_sizes == (5, 5, 2)
