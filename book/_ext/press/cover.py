"""The cover of PDF and EPUB: the title, and figure 4.12 from a run."""

from typing import Any

from matplotlib.figure import Figure

A4 = 8.27, 11.69  # inches


def draw(title: str, rights: str) -> Figure:
    """Draw the title, both networks of figure 4.12, and the rights."""
    # No other builder needs these, and torch takes seconds to come.
    import torch

    from shortcuts import DeepNeuralNetwork, measure_gradients
    from shortcuts.figures import COLOURS, Column, draw_networks

    sizes, x = [3, 3, 3, 3, 3, 1], torch.tensor([[1.0, 0.0, -1.0]])
    columns = []
    for use_shortcut, name in ((False, "x = F(x)"), (True, "x = x + F(x)")):
        torch.manual_seed(123)
        model = DeepNeuralNetwork(sizes, use_shortcut)
        gradients = list(measure_gradients(model, x).values())
        columns.append(Column(name, sizes, model.bypassed, gradients))
    cover = draw_networks(*columns)
    cover.set_size_inches(A4)
    layout: Any = cover.get_layout_engine()
    layout.set(rect=(0.08, 0.15, 0.84, 0.45))
    ink: Any = {"color": COLOURS["ink"], "fontfamily": "STIXGeneral"}
    name, _, rest = title.partition(", ")
    words = name.replace(" ", "\n")
    big: Any = {"size": 58, "weight": "bold", "linespacing": 0.95}
    cover.text(0.1, 0.9, words, va="top", **big, **ink)
    cover.text(0.1, 0.74, rest, size=40, va="top", style="italic", **ink)
    cover.text(0.1, 0.07, rights, size=13, **ink)
    return cover
