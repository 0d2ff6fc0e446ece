"""The figures of the book: plain numbers in, a picture out.

Every figure shows itself when it ends a notebook cell, and
``figure.savefig(path)`` writes it to a file. Nothing here touches pyplot or
the reader's settings: the one visual language of the book is ``STYLE`` and
``COLOURS``. Figures have no background and are drawn in dark ink, so that a
dark page can turn their lightness round.
"""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import matplotlib.style
import numpy as np
from cycler import cycler
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor

# From Okabe and Ito's colours, which colour-blind readers can tell apart; the
# purple is made darker.
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
        kind = options.get("format") or str(fname).rpartition(".")[2]
        if kind.lower() == "svg":
            given = options.get("metadata") or {}
            options["metadata"] = {"Date": None} | given
        with _book_style():
            # The layout is found once: were it sought again at each saving,
            # two savings would differ.
            if self.get_layout_engine() is not None:
                self.draw_without_rendering()
                self.set_layout_engine("none")
            super().savefig(fname, **options)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        svg, png = io.BytesIO(), io.BytesIO()
        self.savefig(svg, format="svg")
        self.savefig(png, format="png", dpi=200)
        return {
            "image/svg+xml": svg.getvalue().decode(),
            "image/png": base64.b64encode(png.getvalue()).decode(),
        }


def _book_style() -> AbstractContextManager[None]:
    return matplotlib.style.context(["default", STYLE])


class Panel(NamedTuple):
    """One set of axes: named curves, and named stretches to shade."""

    y_label: str
    curves: Mapping[str, Float[Tensor, " points"]]
    shaded: Mapping[str, tuple[float, float]] = MappingProxyType({})


def draw_curves(
    x: Float[Tensor, " points"], *panels: Panel, x_label: str
) -> BookFigure:
    """Draw panels side by side, their curves over the same ``x``."""
    with _book_style():
        figure = BookFigure(figsize=(WIDTH, 3.2))
        grid = figure.subplots(1, len(panels), squeeze=False)
        for axes, panel in zip(grid[0], panels, strict=True):
            for name, curve in panel.curves.items():
                axes.plot(x, curve, label=name)
            for name, ends in panel.shaded.items():
                axes.axvspan(*ends, color=COLOURS["grey"], alpha=0.15, lw=0)
                place = {"transform": axes.get_xaxis_transform()}
                axes.text(sum(ends) / 2, 0.5, name, ha="center", **place)
            axes.set(xlabel=x_label, ylabel=panel.y_label)
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
        nudges: what is added to the weight, zero among them.
        losses: the loss at each nudge of each weight.
        gradient: the slope of each tangent.

    Raises:
        ValueError: if there is no nudge of zero, where the tangents touch.
    """
    rows, columns, _ = losses.shape
    zero = int(nudges.abs().argmin())
    if nudges[zero].abs() > 1e-6 * nudges.abs().max():  # linspace rounds
        raise ValueError(
            "expected a nudge of zero among the nudges, the smallest is "
            f"{nudges[zero].item()}"
        )
    low, high = losses.min().item(), losses.max().item()
    margin = 0.05 * (high - low) or 1.0
    with _book_style():
        figure = BookFigure(figsize=(WIDTH, 1.2 + 1.6 * rows))
        grid = figure.subplots(
            rows, columns, sharex=True, sharey=True, squeeze=False
        )
        for (i, j), axes in np.ndenumerate(grid):
            start = losses[i, j, zero].item()
            axes.plot(nudges, losses[i, j], label="loss")
            axes.plot(nudges, start + gradient[i, j] * nudges, label="tangent")
            axes.plot(0, start, "o", color=COLOURS["ink"])
            axes.set_title(f"{name}[{i}, {j}]: slope {gradient[i, j]:.4g}")
        grid[0, 0].set_ylim(low - margin, high + margin)
        grid[0, 0].legend()
        figure.supxlabel("nudge added to this weight alone")
        figure.supylabel("loss")
    return figure


class Column(NamedTuple):
    """One network of :func:`draw_networks`.

    ``layer_sizes`` and ``bypassed`` are those of ``DeepNeuralNetwork``;
    ``gradients`` holds one number for each layer, first to last, or nothing.
    """

    title: str
    layer_sizes: Sequence[int]
    bypassed: Sequence[bool]
    gradients: Sequence[float] = ()


def draw_networks(*columns: Column) -> BookFigure:
    """Draw networks side by side, input below, gradients as bars.

    A layer is a box, a shortcut an arrow around it, drawn where ``bypassed``
    says so and nowhere else. All bars share one logarithmic axis. A gradient
    of zero or nan has no bar, but its label says what it is.

    Raises:
        ValueError: if a column has not one gradient for each of its layers.
    """
    for column in columns:
        layers, values = len(column.bypassed), len(column.gradients)
        if values not in (0, layers):
            raise ValueError(
                f"expected a gradient for each of the {layers} layers, "
                f"got {values}"
            )
    depth = max(len(column.bypassed) for column in columns)
    values_of_all = [value for column in columns for value in column.gradients]
    ratios = [r for c in columns for r in ((1.25, 1) if c.gradients else (1,))]
    with _book_style():
        figure = BookFigure(figsize=(WIDTH, 1.3 + 0.72 * depth))
        row = iter(
            figure.subplots(
                1, len(ratios), squeeze=False, sharey=True, width_ratios=ratios
            )[0]
        )
        for column in columns:
            axes = next(row)
            axes.set_ylim(-1.0, depth - 0.1)
            _draw_network(axes, column)
            if column.gradients:
                _draw_bars(next(row), column.gradients, values_of_all)
    return figure


# Heights from the middle of a box, in layers: its edge, the fork below where a
# shortcut leaves, the sum above where it ends, and the radius of that ring.
EDGE, FORK, SUM, RING = 0.25, 0.37, 0.44, 0.08


def _draw_network(axes: Axes, column: Column) -> None:
    ink, blue = COLOURS["ink"], COLOURS["blue"]
    side = -1.25  # where shortcuts run; boxes reach from -1 to 1

    def arrow(
        start: tuple[float, float], end: tuple[float, float], **style: Any
    ) -> None:
        style = {"arrowstyle": "-|>", "color": ink, "shrinkA": 0} | style
        axes.annotate("", end, start, arrowprops={"shrinkB": 0} | style)

    axes.set_axis_off()
    axes.set_xlim(side - 0.15, -side)
    axes.set_title(column.title, x=0.53, weight="bold", fontsize=10)
    axes.text(0, -0.72, "input", ha="center", va="top")
    end = -0.7  # of what is drawn so far
    for i, (n_in, n_out) in enumerate(pairwise(column.layer_sizes)):
        box = FancyBboxPatch(
            (-0.95, i - 0.2),
            1.9,
            0.4,
            boxstyle="round,pad=0.05",
            fc="none",
            ec=ink,
        )
        axes.add_patch(box)
        label = f"layers.{i}   {n_in} → {n_out}"
        axes.text(0, i - 0.01, label, ha="center", va="center", fontsize=9)
        arrow((0, end), (0, i - EDGE))
        end = i + EDGE
        if column.bypassed[i]:
            way = [0, side, side], [i - FORK, i - FORK, i + SUM]
            axes.plot(*way, color=blue, ls="-", lw=1.8)
            arrow((side, i + SUM), (-0.12, i + SUM), color=blue, lw=1.8)
            axes.plot([0, 0], [end, i + SUM - RING], color=ink, ls="-", lw=1)
            axes.plot(0, i + SUM, "o", ms=11, mfc="none", mec=blue)
            axes.plot(0, i + SUM, "+", ms=8, mec=blue, mew=1.5)
            end = i + SUM + RING
    last = len(column.bypassed) - 1
    arrow((0, end), (0, last + 0.74))
    axes.text(0, last + 0.76, "output", ha="center", va="bottom")


def _draw_bars(
    axes: Axes, gradients: Sequence[float], values: Sequence[float]
) -> None:
    drawable = [value for value in values if 0 < value < math.inf] or [1.0]
    floor, ceiling = min(drawable) / 4, max(drawable) * 40
    for i, gradient in enumerate(gradients):
        has_bar = 0 < gradient < math.inf
        if has_bar:
            axes.barh(i, gradient, height=0.42, color=COLOURS["orange"])
        end = gradient if has_bar else floor
        axes.text(end * 1.3, i, f"{gradient:.3g}", va="center", fontsize=9)
    axes.set_xscale("log")
    axes.set_xlim(floor, ceiling)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("mean |dL/dW|")
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False, labelleft=False)
