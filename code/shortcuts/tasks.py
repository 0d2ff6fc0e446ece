"""What networks are trained on: nothing that has to be downloaded."""

from collections.abc import Iterator
from pydoc_data.topics import topics

import torch
from jaxtyping import Int
from torch import Tensor

from shortcuts._checks import checked_whole

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
    """Yield, without end, pieces of a text and what follows each character.

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
