"""What networks are trained on."""

import re

import pytest
import torch

from shortcuts.tasks import VOCABULARY, batches, characters


def test_the_text_is_english_and_code() -> None:
    text = characters()
    assert 0 <= int(text.min()) <= int(text.max()) < VOCABULARY
    said = bytes(text.tolist()).decode("ascii")
    assert len(re.findall(r"\bthe\b", said)) > 1000
    assert "def " in said


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
