"""The tables that the two sources print, word for word, and how to read them.

Both show the network of listing 4.5 (sizes 3, 3, 3, 3, 3, 1, seed 123, input
1, 0, -1, target 0), without shortcuts and with them. The book section uses the
tanh form of GELU, the notebook the exact form. Our excerpt of the book section
breaks off before its second table, so that one is from the book itself; the
book's public notebook (rasbt/LLMs-from-scratch, ch04) prints the same numbers
to seven digits.
"""

import re

SIZES = [3, 3, 3, 3, 3, 1]

BOOK_SECTION_WITHOUT = """\
layers.0.0.weight has gradient mean of 0.00020173587836325169
layers.1.0.weight has gradient mean of 0.0001201116101583466
layers.2.0.weight has gradient mean of 0.0007152041653171182
layers.3.0.weight has gradient mean of 0.001398873864673078
layers.4.0.weight has gradient mean of 0.005049646366387606
"""

BOOK_SECTION_WITH = """\
layers.0.0.weight has gradient mean of 0.22169792652130127
layers.1.0.weight has gradient mean of 0.20694105327129364
layers.2.0.weight has gradient mean of 0.32896995544433594
layers.3.0.weight has gradient mean of 0.2665732502937317
layers.4.0.weight has gradient mean of 1.3258541822433472
"""

NOTEBOOK_WITHOUT = """\
layers.0.0.weight has gradient mean of 0.00020174118981231004
layers.1.0.weight has gradient mean of 0.00012011769285891205
layers.2.0.weight has gradient mean of 0.0007152436301112175
layers.3.0.weight has gradient mean of 0.00139885104727
layers.4.0.weight has gradient mean of 0.005049602594226599
"""

NOTEBOOK_WITH = """\
layers.0.0.weight has gradient mean of 0.22186800837516785
layers.1.0.weight has gradient mean of 0.20709273219108582
layers.2.0.weight has gradient mean of 0.3292388319969177
layers.3.0.weight has gradient mean of 0.2667772173881531
layers.4.0.weight has gradient mean of 1.3268063068389893
"""

_LINE = re.compile(r"(\S+) has gradient mean of (\S+)")


def read_printout(printout: str) -> dict[str, float]:
    """Turn printed lines back into numbers.

    Raises:
        ValueError: if a line does not read ``NAME has gradient mean of
            NUMBER``.

    Example:
        >>> from shortcuts.printed import read_printout
        >>> read_printout("layers.0.0.weight has gradient mean of 0.25")
        {'layers.0.0.weight': 0.25}
    """
    means = {}
    for line in printout.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(
                f"expected 'NAME has gradient mean of NUMBER', got {line!r}"
            )
        means[match[1]] = float(match[2])
    return means
