"""Tasks for training, none of which has to be downloaded."""

import math
from collections.abc import Iterator
from pydoc_data.topics import topics
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from shortcuts._checks import checked_number, checked_whole

ARMS = 3  # of the spirals
VOCABULARY = 128  # the characters of ASCII


def characters() -> Int[Tensor, " length"]:
    """Return the texts of Python's own ``help()``, a number a character.

    They ship with Python and differ a little from version to version; about
    half a million characters of English and code, in ASCII.

    Example:
        >>> from shortcuts.tasks import characters
        >>> text = characters()
        >>> len(text) > 300_000, int(text.max()) < 128
        (True, True)
    """
    text = "\n".join(topics[name] for name in sorted(topics))
    return torch.frombuffer(
        bytearray(text.encode("ascii", "ignore")), dtype=torch.uint8
    ).long()


def batches(
    text: Int[Tensor, " length"], *, size: int, context: int, seed: int
) -> Iterator[tuple[Int[Tensor, "size context"], Int[Tensor, "size context"]]]:
    """Yield, without end, pieces of a text and the next characters.

    Raises:
        TypeError: if a number is not whole.
        ValueError: if it is below 1, or the text is too short.

    Example:
        >>> import torch
        >>> from shortcuts.tasks import batches
        >>> x, y = next(batches(torch.arange(9), size=1, context=3, seed=0))
        >>> (y - x).tolist()
        [[1, 1, 1]]
    """
    size = checked_whole("size", size, low=1)
    context = checked_whole("context", context, low=1)
    generator = torch.Generator().manual_seed(seed)
    if len(text) <= context:
        raise ValueError(
            f"expected a text of more than {context} characters, "
            f"got {len(text)}"
        )
    while True:
        starts = torch.randint(
            len(text) - context, (size, 1), generator=generator
        )
        at = starts + torch.arange(context)
        yield text[at], text[at + 1]


class Task(NamedTuple):
    """Samples, and the class of each.

    Example:
        >>> from shortcuts.tasks import spirals
        >>> task = spirals()
        >>> task.x.shape, int(task.y.max())
        (torch.Size([300, 2]), 2)
    """

    x: Float[Tensor, "samples n_in"]
    """A row of numbers for each sample."""

    y: Int[Tensor, " samples"]
    """Classes from 0 on."""


def spirals(samples: int = 300, *, turns: float = 2.0, seed: int = 0) -> Task:
    """Draw points on the three arms of a spiral, one class an arm.

    The points of an arm lie within the unit circle, from a tenth of its
    radius outwards, and are drawn uniformly along the radius.

    Raises:
        TypeError: if an argument is no number, or ``samples`` not whole.
        ValueError: if there are fewer samples than arms.

    Example:
        >>> from shortcuts.tasks import spirals
        >>> spirals(6).y.tolist()
        [0, 1, 2, 0, 1, 2]
    """
    samples = checked_whole("samples", samples, low=ARMS)
    turns = checked_number("turns", turns)
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(samples) % ARMS
    along = torch.rand(samples, generator=generator)
    angle = 2 * math.pi * (turns * along + y / ARMS)
    direction = torch.stack([angle.cos(), angle.sin()], dim=1)
    return Task((0.1 + 0.9 * along[:, None]) * direction, y)


def digits() -> Task:
    """Return scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels.

    All numbers together have mean 0 and variance 1. scikit-learn, which has
    to be installed, ships with the images; they are the test set of the UCI
    archive's *Optical Recognition of Handwritten Digits* (Alpaydin and
    Kaynak, 1998).

    Example:
        >>> from shortcuts.tasks import digits
        >>> digits().x.shape
        torch.Size([1797, 64])
    """
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32)
    return Task((x - x.mean()) / x.std(), torch.tensor(classes).long())
