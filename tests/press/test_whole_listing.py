"""The parts of a whole listing, and pages that cannot have one."""

import pytest

from press.project import PACKAGE
from press.whole_listing import Cell, assemble


def test_a_small_one() -> None:
    cells = [
        Cell("import torch\nfrom shortcuts import GELU", "", False),
        Cell("# ones\nh = torch.ones(2)\n\n# shown\nGELU()(h)", "Sums", True),
    ]
    code = assemble(cells)
    assert code.startswith("import math\n\nimport torch\nfrom torch import ")
    assert code.endswith(
        "# Sums\n\n# ones\nh = torch.ones(2)\n\n# shown\nprint(GELU()(h))"
    )
    assert code.count("class ") == 1
    assert "Float" not in code
    source = (PACKAGE / "activations.py").read_text("utf-8")
    assert source.split("def extra_repr")[1] in code + "\n"


def test_drawings_are_left_out_with_all_that_hangs_on_them() -> None:
    code = assemble(
        [
            Cell("from shortcuts.figures import draw_networks", "", False),
            Cell("f = draw_networks()\nfor a in f.axes:\n    a", "", False),
            Cell("a = 1\nprint(a)", "", False),
        ]
    )
    assert code == "a = 1\nprint(a)"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "bypassed = 1\nDeepNeuralNetwork",
            "than the package's: {'bypassed'}",
        ),
        (
            "import numpy as np\nnp",
            "nothing but torch, got 'import numpy as np'",
        ),
    ],
)
def test_what_cannot_be_one(code: str, words: str) -> None:
    cells = [
        Cell("from shortcuts import DeepNeuralNetwork\n" + code, "", False)
    ]
    with pytest.raises(ValueError, match=words):
        assemble(cells)
