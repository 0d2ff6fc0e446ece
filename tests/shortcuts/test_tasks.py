"""The tasks of training."""

import math
import re
from pydoc_data.topics import topics

import pytest
import torch

from shortcuts.tasks import (
    VOCABULARY,
    batches,
    characters,
    digits,
    spirals,
)


def test_the_text_is_english_and_code() -> None:
    text = characters()
    assert 0 <= int(text.min()) <= int(text.max()) < VOCABULARY
    said = bytes(text.tolist()).decode("ascii")
    assert len(re.findall(r"\bthe\b", said)) > 1000
    assert "def " in said
    assert all(
        f"\n{topic}\n" in f"\n{said}\n"
        for topic in topics.values()
        if topic.isascii()
    )


def test_pieces_and_what_follows() -> None:
    text = torch.arange(50)
    drawn = batches(text, size=400, context=3, seed=5)
    x, y = next(drawn)
    assert x.shape == y.shape == (400, 3)
    assert torch.equal(y, x + 1)
    assert torch.equal(x[:, 1:], x[:, :-1] + 1)
    # Every start that there is, and no other.
    assert sorted({*x[:, 0].tolist()}) == list(range(47))
    again = next(batches(text, size=400, context=3, seed=5))
    assert torch.equal(again[0], x)
    assert not torch.equal(next(drawn)[0], x)


@pytest.mark.parametrize(
    ("text", "size", "context", "words"),
    [
        (torch.arange(3), 1, 3, "a text of more than 3 characters, got 3"),
        (torch.arange(9), 0, 3, "size to be at least 1, got 0"),
        (torch.arange(9), 1, 0, "context to be at least 1, got 0"),
    ],
)
def test_what_is_refused(
    text: torch.Tensor, size: int, context: int, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        next(batches(text, size=size, context=context, seed=0))


def test_spirals() -> None:
    x, y = spirals(3000, turns=1.5, seed=3)
    radius = x.norm(dim=1)
    assert 0.1 <= radius.min() < 0.11
    assert 0.99 < radius.max() <= 1
    for arm in range(3):
        # Turned back by what its radius says, an arm is a straight line.
        turned = 2 * math.pi * (1.5 * (radius - 0.1) / 0.9 + arm / 3)
        along = torch.stack([turned.cos(), turned.sin()], dim=1)
        own = y == arm
        assert own.sum() == 1000
        torch.testing.assert_close(x[own], (radius[:, None] * along)[own])
    assert torch.equal(spirals(9, seed=3).x, spirals(9, seed=3).x)
    assert torch.equal(spirals().x, spirals(300, turns=2.0, seed=0).x)
    assert not torch.equal(spirals(9, seed=3).x, spirals(9, seed=4).x)
    with pytest.raises(ValueError, match="samples to be at least 3, got 2"):
        spirals(2)
    with pytest.raises(TypeError, match="turns to be a number, got 'two'"):
        spirals(turns="two")  # type: ignore[arg-type]


def test_digits() -> None:
    pytest.importorskip("sklearn")
    x, y = digits()
    assert x.shape == (1797, 64)
    assert x.dtype == torch.float32
    assert y.dtype == torch.int64
    assert set(y.tolist()) == set(range(10))
    assert x.mean().item() == pytest.approx(0, abs=1e-5)
    assert x.std().item() == pytest.approx(1, rel=1e-5)
    assert y[:4].tolist() == [0, 1, 2, 3]
