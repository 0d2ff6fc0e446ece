"""Models trained side by side against the same models, one by one."""

import copy
from itertools import repeat
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shortcuts.alike import train_alike

RATE, STEPS = 0.01, 7


def draw(seed: int, width: int = 4) -> nn.Sequential:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 2))
    return model.double()


def measure(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    out = model(x)
    return torch.stack([(out - y).square().mean(), out.abs().max()])


def piece(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    return x, x[:, :2].sin()


EACH = torch.tensor([0.01, 0.0, 0.1], dtype=torch.float64)


@pytest.mark.parametrize("rate", [RATE, EACH])
def test_as_one_by_one(rate: Any) -> None:
    """Same parameters and measurements; what is the reader's stays."""
    models = [draw(seed) for seed in range(3)]
    models[1][0].weight.grad = torch.ones(4, 3, dtype=torch.float64)
    expected = []
    rates = EACH if rate is EACH else [rate] * 3
    for model, own in zip(copy.deepcopy(models), rates, strict=True):
        optimizer = torch.optim.Adam(model.parameters(), lr=float(own))
        told = []
        for step in range(STEPS):
            if step % 3 == 0:
                told.append(measure(model, *piece(99)).detach())
            optimizer.zero_grad()
            measure(model, *piece(step))[0].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        expected.append((torch.stack(told), model))
    state = torch.get_rng_state()
    found = train_alike(
        models,
        measure,
        map(piece, range(STEPS)),
        steps=STEPS,
        rate=rate,
        fresh=piece(99),
        every=3,
    )
    assert torch.equal(torch.get_rng_state(), state)
    for model, row, (rows, trained) in zip(
        models, found, expected, strict=True
    ):
        torch.testing.assert_close(row, rows, rtol=1e-12, atol=1e-12)
        for one, other in zip(
            model.parameters(), trained.parameters(), strict=True
        ):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    grads: list[Any] = [
        part.grad for model in models for part in model.parameters()
    ]
    assert [i for i, grad in enumerate(grads) if grad is not None] == [4]
    assert torch.equal(grads[4], torch.ones(4, 3, dtype=torch.float64))


class Scaled(nn.Linear):
    """Alike in shape and parameters, and yet another function."""

    scale = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Scale what the Linear returns."""
        return self.scale * super().forward(x)


def scaled(scale: float) -> Scaled:
    torch.manual_seed(0)
    model = Scaled(3, 2).double()
    model.scale = scale
    return model


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ([], "^expected at least one model, got none"),
        ([draw(0), draw(1, width=5)], "one class and shape, got .* number 1"),
        ([nn.Linear(3, 2), scaled(1.0)], "one class and shape, got Linear"),
        ([nn.BatchNorm1d(3)], "no buffers, got running_mean, running_var"),
        (
            [scaled(1.0), scaled(1.01)],
            "^expected models that differ .* only, got",
        ),
    ],
)
def test_models_that_cannot_be_stacked(models: Any, words: str) -> None:
    before = copy.deepcopy(models)
    with pytest.raises(ValueError, match=f"(?s){words}"):
        train_alike(
            models,
            measure,
            repeat(piece(0)),
            steps=1,
            rate=RATE,
            fresh=piece(1),
        )
    for one, other in zip(models, before, strict=True):
        assert all(map(torch.equal, one.parameters(), other.parameters()))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps to be at least 1, got 0"),
        ({"every": 0}, "every to be at least 1, got 0"),
        ({"rate": -1.0}, "rate to be at least 0, got -1.0"),
        ({"rate": torch.ones(2)}, "a rate, or 1 finite ones, not negative"),
        ({"rate": -torch.ones(1)}, "a rate, or 1 finite ones, not negative"),
        ({"rate": torch.tensor([torch.inf])}, "or 1 finite ones, .* got"),
    ],
)
def test_numbers_that_are_too_small(options: Any, words: str) -> None:
    given = {"steps": 1, "rate": RATE, "fresh": piece(1)} | options
    with pytest.raises(ValueError, match=words):
        train_alike([draw(0)], measure, repeat(piece(0)), **given)


def test_each_step_is_measured() -> None:
    found = train_alike(
        [scaled(1.0)],
        measure,
        repeat(piece(0)),
        steps=3,
        rate=RATE,
        fresh=piece(1),
    )
    assert found.shape[:2] == (1, 3)


def test_a_training_that_cannot_end_changes_nothing() -> None:
    model, before = draw(0), draw(0)
    with pytest.raises(ValueError, match="expected 3 batches, got 2"):
        train_alike(
            [model],
            measure,
            map(piece, range(2)),
            steps=3,
            rate=RATE,
            fresh=piece(1),
        )
    assert all(map(torch.equal, model.parameters(), before.parameters()))
