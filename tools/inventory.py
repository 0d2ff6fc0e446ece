"""Fetch the places where torch is documented anew: `make inventory`.

Sphinx reads the result, a small file that lies beside the chapters, so that a
build links to torch's documentation without a network.
"""

import re
from importlib.metadata import version
from pathlib import Path

import sphobjinv

BOOK = Path(__file__).parents[1] / "book"
FILE = BOOK / "torch.inv"
# What the package's type hints call them, and what torch's documentation does
ALIASES = {
    "Tensor": "torch.Tensor",
    "torch.nn.modules.module.Module": "torch.nn.Module",
}


def names_in_book() -> set[str]:
    """Return the names of torch in chapters and type hints."""
    texts = [path.read_text(encoding="utf-8") for path in BOOK.glob("*.md")]
    named = re.findall(r"\{py:\w+\}`[^`]*?(torch\.[\w.]+)", " ".join(texts))
    return {*named, *ALIASES.values()}


def shortened(whole: sphobjinv.Inventory) -> sphobjinv.Inventory:
    """Return the entries that the book needs, of an inventory of torch.

    Raises:
        LookupError: if one is not there.
    """
    found = {o.name: o for o in whole.objects if o.domain == "py"}
    if missing := names_in_book() - found.keys():
        raise LookupError(f"torch does not document {sorted(missing)}")
    small = sphobjinv.Inventory()
    small.project, small.version = whole.project, whole.version
    for name in sorted(names_in_book()):
        entry = found[name]
        small.objects.append(entry.evolve(uri=entry.uri_expanded))
    for alias, name in ALIASES.items():
        small.objects.append(
            found[name].evolve(name=alias, uri=found[name].uri_expanded)
        )
    return small


if __name__ == "__main__":
    release = ".".join(version("torch").split(".")[:2])
    url = f"https://docs.pytorch.org/docs/{release}/objects.inv"
    text = shortened(sphobjinv.Inventory(url=url)).data_file(contract=True)
    sphobjinv.writebytes(FILE, sphobjinv.compress(text))
