"""The figures of the book: plain numbers in, a picture out.

Every figure shows itself when it ends a notebook cell, and
``figure.savefig(path)`` writes it to a file. Nothing here touches pyplot or
the reader's settings: the one visual language of the book is ``STYLE`` and
``COLOURS``. Figures have no background and are drawn in dark ink, so that a
dark page can turn their lightness round.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import matplotlib.style
from cycler import cycler
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor

# Okabe and Ito's colours, which colour-blind readers can tell apart, the dark
# ones.
COLOURS = {
    "blue": "#0072b2",
    "orange": "#d55e00",
    "green": "#009e73",
    "purple": "#aa4f86",
    "ink": "#1a1a1a",
    "grey": "#6b6b6b",
}

STYLE: dict[str, Any] = {
    "axes.formatter.limits": (-3, 4),
    "axes.grid": True,
    "axes.labelcolor": COLOURS["ink"],
    "axes.edgecolor": COLOURS["grey"],
    "axes.prop_cycle": cycler(
        color=[
            COLOURS[name]
            for name in ("blue", "orange", "green", "purple", "ink")
        ],
        linestyle=["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))],
    ),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "savefig.transparent": True,
    "svg.hashsalt": "shortcuts",
}
WIDTH = 6.4  # inches, the text width of a page


class BookFigure(Figure):
    """A figure that notebooks show by themselves, as SVG and as PNG."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save as matplotlib does, in the book's style and without a date."""
        if options.get("format") == "svg" or str(fname).endswith(".svg"):
            options.setdefault("metadata", {"Date": None})
        with _book_style():
            super().savefig(fname, **options)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        svg, png = io.BytesIO(), io.BytesIO()
        self.savefig(svg, format="svg")
        self.savefig(png, format="png", dpi=200)
        return {
            "image/svg+xml": svg.getvalue().decode(),
            "image/png": base64.b64encode(png.getvalue()).decode(),
        }


def _book_style() -> Any:
    return matplotlib.style.context(["default", STYLE])


class Panel(NamedTuple):
    """One set of axes: named curves, and named stretches to shade."""

    y_label: str
    curves: Mapping[str, Float[Tensor, " points"]]
    shaded: Mapping[str, tuple[float, float]] = {}


def draw_curves(
    x: Float[Tensor, " points"],
    *panels: Panel,
    x_label: str,
    y_log: bool = False,
) -> BookFigure:
    """Draw panels side by side, their curves over the same ``x``."""
    with _book_style():
        figure = BookFigure(figsize=(WIDTH, 3.2))
        grid = figure.subplots(1, len(panels), squeeze=False)
        for axes, panel in zip(grid[0], panels, strict=True):
            for name, curve in panel.curves.items():
                axes.plot(x, curve, label=name)
            for name, ends in panel.shaded.items():
                axes.axvspan(
                    *ends, color=COLOURS["grey"], alpha=0.15, linewidth=0
                )
                axes.text(
                    sum(ends) / 2, 0.5, name,
                    ha="center", transform=axes.get_xaxis_transform(),
                )  # fmt: skip
            axes.set(xlabel=x_label, ylabel=panel.y_label)
            if y_log:
                axes.set_yscale("log")
            if len(panel.curves) > 1:
                axes.legend()
    return figure


def draw_slopes(
    name: str,
    nudges: Float[Tensor, " points"],
    losses: Float[Tensor, "rows columns points"],
    gradient: Float[Tensor, "rows columns"],
) -> BookFigure:
    """Draw the loss as each weight alone is nudged, and its tangent.

    Args:
        name: what the matrix is called.
        nudges: what is added to the weight; 0 must be among them.
        losses: the loss at each nudge of each weight.
        gradient: the slope of each tangent.
    """
    rows, columns, _ = losses.shape
    at_zero = losses[0, 0, nudges.abs().argmin()].item()
    with _book_style():
        figure = BookFigure(figsize=(WIDTH, 1.2 + 1.6 * rows))
        grid = figure.subplots(
            rows, columns, sharex=True, sharey=True, squeeze=False
        )
        for i, j in ((i, j) for i in range(rows) for j in range(columns)):
            axes = grid[i, j]
            axes.plot(nudges, losses[i, j], label="loss")
            axes.plot(
                nudges, at_zero + gradient[i, j] * nudges, label="tangent"
            )
            axes.plot(0, at_zero, "o", color=COLOURS["ink"])
            axes.set_title(f"{name}[{i}, {j}]: slope {gradient[i, j]:.4g}")
        low, high = losses.min().item(), losses.max().item()
        grid[0, 0].set_ylim(
            low - 0.05 * (high - low), high + 0.05 * (high - low)
        )
        grid[0, 0].legend()
        figure.supxlabel("nudge added to this weight alone")
        figure.supylabel("loss")
    return figure


class Column(NamedTuple):
    """One network of :func:`draw_networks`.

    ``layer_sizes`` and ``bypassed`` are those of ``DeepNeuralNetwork``;
    ``gradients`` holds one number a layer, first to last, to be drawn as bars.
    """

    title: str
    layer_sizes: Sequence[int]
    bypassed: Sequence[bool]
    gradients: Sequence[float] = ()


def draw_networks(*columns: Column) -> BookFigure:
    """Draw networks side by side, input below, gradients as bars.

    A layer is a box, a shortcut an arrow around it, drawn where ``bypassed``
    says so and nowhere else. All bars share one logarithmic axis.
    """
    depth = max(len(column.bypassed) for column in columns)
    values = [value for column in columns for value in column.gradients]
    ratios = [
        share
        for c in columns
        for share in ((1.25, 1) if c.gradients else (1,))
    ]
    with _book_style():
        figure = BookFigure(figsize=(WIDTH, 1.3 + 0.72 * depth))
        row = figure.subplots(
            1, len(ratios), squeeze=False, sharey=True, width_ratios=ratios
        )[0]
        axes_left = iter(row)
        for column in columns:
            _draw_network(next(axes_left), column)
            if column.gradients:
                _draw_bars(next(axes_left), column.gradients, values)
        row[0].set_ylim(-1.0, depth - 0.1)
    return figure


def _draw_network(axes: Axes, column: Column) -> None:
    ink, blue = COLOURS["ink"], COLOURS["blue"]
    arrow = {"arrowstyle": "-|>", "color": ink, "shrinkA": 0, "shrinkB": 0}
    low, plus, side = (
        0.37,
        0.44,
        -1.25,
    )  # a fork, a sum, and the way round the box
    axes.set_axis_off()
    axes.set_xlim(side - 0.15, -side)
    axes.text(0, -0.72, "input", ha="center", va="top")
    axes.text(0, 1.02, column.title, ha="center", weight="bold",
              transform=axes.get_xaxis_transform())  # fmt: skip
    for i, (sizes, bypassed) in enumerate(
        zip(pairwise(column.layer_sizes), column.bypassed, strict=True)
    ):
        start = (
            -0.7
            if i == 0
            else i - 1 + (plus if column.bypassed[i - 1] else 0.27)
        )
        axes.annotate("", (0, i - 0.25), (0, start), arrowprops=arrow)
        axes.add_patch(
            FancyBboxPatch(
                (-0.95, i - 0.2), 1.9, 0.4,
                boxstyle="round,pad=0.05", fc="none", ec=ink, lw=1.3,
            )
        )  # fmt: skip
        label = f"layers.{i}   {sizes[0]} → {sizes[1]}"
        axes.text(0, i - 0.01, label, ha="center", va="center", fontsize=9)
        if bypassed:
            axes.plot(
                [0, side, side],
                [i - low, i - low, i + plus],
                color=blue,
                ls="-",
                lw=1.8,
            )
            axes.annotate(
                "", (-0.12, i + plus), (side, i + plus),
                arrowprops=arrow | {"color": blue, "lw": 1.8},
            )  # fmt: skip
            axes.plot(
                [0, 0], [i + 0.25, i + plus - 0.1], color=ink, ls="-", lw=1
            )
            axes.plot(0, i + plus, "o", ms=11, mfc="none", mec=blue)
            axes.plot(0, i + plus, "+", ms=8, mec=blue, mew=1.5)
    last = len(column.bypassed) - 1
    start = last + (plus + 0.1 if column.bypassed[last] else 0.25)
    axes.annotate("", (0, last + 0.72), (0, start), arrowprops=arrow)
    axes.text(0, last + 0.74, "output", ha="center", va="bottom")


def _draw_bars(
    axes: Axes, gradients: Sequence[float], values: Sequence[float]
) -> None:
    floor, ceiling = min(values) / 4, max(values) * 40
    axes.barh(
        range(len(gradients)), gradients, height=0.42, color=COLOURS["orange"]
    )
    for i, gradient in enumerate(gradients):
        axes.text(
            gradient * 1.3, i, f"{gradient:.3g}", va="center", fontsize=9
        )
    axes.set_xscale("log")
    axes.set_xlim(floor, ceiling)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("mean |dL/dW|")
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False, labelleft=False)
