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
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import matplotlib.style
import numpy as np
import torch
from cycler import cycler
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.ticker import (
    LogFormatterSciNotation,
    LogLocator,
    MaxNLocator,
)
from matplotlib.transforms import Bbox, BboxTransformTo
from torch import Tensor

from shortcuts._checks import check_finite
from shortcuts.logs import GradientLog, shortened
from shortcuts.statistics import Proportion, quantiles

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

# Curves differ in colour and in line, in this order.
LINES: dict[str, Any] = {
    "blue": "-",
    "orange": "--",
    "green": "-.",
    "purple": ":",
    "ink": (0, (5, 1, 1, 1, 1, 1)),
}

STYLE: dict[str, Any] = {
    "axes.formatter.limits": (-3, 4),
    "axes.grid": True,
    "axes.labelcolor": COLOURS["ink"],
    "axes.edgecolor": COLOURS["grey"],
    "axes.prop_cycle": cycler(
        color=[COLOURS[name] for name in LINES], linestyle=LINES.values()
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
# What a theory says is a thin dark line.
THEORY: dict[str, Any] = {
    "color": COLOURS["ink"],
    "linestyle": (0, (3, 2)),
    "linewidth": 1.2,
}
# Sizes are colours of this map: its lightness goes one way, on a dark page and
# for colour-blind readers, too.
COLOURED = "viridis"
# What has no size to be coloured, and how it looks instead
BLANK: dict[str, dict[str, Any]] = {
    "exactly 0": {"ec": COLOURS["grey"], "hatch": "////"},
    "nan or inf": {"ec": COLOURS["ink"], "hatch": "xxxxx"},
    "not logged": {"ec": COLOURS["grey"]},
}
WIDTH = 6.4  # inches, the text width of a page


class BookFigure(Figure):
    """A figure that notebooks show by themselves, as SVG and as PNG.

    Example:
        >>> import io
        >>> from shortcuts.figures import BookFigure
        >>> figure, svg = BookFigure(), io.BytesIO()
        >>> _ = figure.subplots().plot([1, 2])
        >>> figure.savefig(svg, format="svg")
        >>> b"<dc:date>" in svg.getvalue()
        False
    """

    motion = ""  # CSS that moves the drawing, where a browser shows it

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save as matplotlib does, in the book's style and without a date."""
        kind = options.get("format") or str(fname).rpartition(".")[2]
        if kind.lower() == "svg":
            given = options.get("metadata") or {}
            options["metadata"] = {"Date": None} | given
        with _book_style():
            # The layout is found once: were it sought again at each saving,
            # two savings would differ.
            if (layout := self.get_layout_engine()) is not None:
                layout.execute(self)
                self.set_layout_engine("none")
            super().savefig(fname, **options)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        svg, png = io.BytesIO(), io.BytesIO()
        self.savefig(svg, format="svg")
        self.savefig(png, format="png", dpi=200)
        drawing = svg.getvalue().decode()
        if self.motion:
            style = f"<style>{self.motion}</style>\n</svg>"
            drawing = drawing.replace("</svg>", style)
        return {
            "image/svg+xml": drawing,
            "image/png": base64.b64encode(png.getvalue()).decode(),
        }


def _book_style() -> AbstractContextManager[None]:
    return matplotlib.style.context(["default", STYLE])


class Panel(NamedTuple):
    """One set of axes: named curves, and named stretches to shade.

    A curve is a number for each ``x``, or such a row for each network: then
    their median is drawn, in a band from the lower to the upper quartile.
    Where networks without and with shortcuts are compared, those without come
    first, so that they are blue and the others orange on every page.

    Example:
        >>> import torch
        >>> from shortcuts.figures import Panel, draw_curves
        >>> panel = Panel("loss", {"plain": torch.ones(2)}, log=True)
        >>> figure = draw_curves(torch.arange(2), panel, x_label="step")
        >>> figure.axes[0].get_yscale()
        'log'
    """

    y_label: str
    curves: Mapping[str, Float[Tensor, "*networks points"]]
    shaded: Mapping[str, tuple[float, float]] = MappingProxyType({})
    title: str = ""
    log: bool = False  # whether y has a logarithmic axis
    expected: Mapping[str, Float[Tensor, " points"]] = MappingProxyType({})
    """what a theory says, as thin dark lines over the curves"""
    colours: Sequence[str] = tuple(LINES)
    guide: float | None = None  # where a grey line lies


def draw_curves(
    x: Float[Tensor, " points"],
    *panels: Panel,
    x_label: str,
    columns: int | None = None,
    share_y: bool = False,
    log_x: bool = False,
) -> BookFigure:
    """Draw panels side by side, their curves over the same ``x``.

    After ``columns`` panels, if given, a new row begins. A legend names the
    curves of a panel, unless the panel before has named the same. In a row of
    panels with the same names, or a single one, they stand where the curves
    of the last panel end instead, if they end apart. On a
    logarithmic axis zeros cannot be drawn: the legend counts the networks that
    have one.

    Raises:
        ValueError: if there is no panel, one has more curves than colours, a
            curve holds a number that is infinite or nan, or it has not one
            number for each ``x``.

    Example:
        >>> import torch
        >>> from shortcuts.figures import Panel, draw_curves
        >>> losses = torch.tensor([[4.0, 1.0], [5.0, 2.0], [9.0, 3.0]])
        >>> panel = Panel("loss", {"of three networks": losses})
        >>> figure = draw_curves(torch.arange(2), panel, x_label="step")
        >>> figure.axes[0].lines[0].get_ydata().tolist()  # the median
        [5.0, 2.0]
    """
    if not panels:
        raise ValueError("expected at least one panel, got none")
    columns = columns or len(panels)
    rows = math.ceil(len(panels) / columns)
    with _book_style():
        figure = BookFigure(figsize=(WIDTH, 3.2 if rows == 1 else 2.6 * rows))
        grid = figure.subplots(rows, columns, squeeze=False, sharey=share_y)
        for axes in grid.flat[len(panels) :]:
            axes.remove()
        used = grid.flat[: len(panels)]
        for axes, panel in zip(used, panels, strict=True):
            _draw_panel(axes, x, panel)
            axes.set_xlabel(x_label)
            if log_x:
                axes.set_xscale("log")
        names = [axes.get_legend_handles_labels()[1] for axes in used]
        at_ends = rows == 1 and all(
            len(panel.curves) == len(labels) > 1 and labels == names[-1]
            for panel, labels in zip(panels, names, strict=True)
        )
        if at_ends and _name_at_ends(used[-1]):
            return figure
        shown: list[str] = []
        for axes, labels in zip(used, names, strict=True):
            has_zeros = any("with a zero" in label for label in labels)
            if (len(labels) > 1 and labels != shown) or has_zeros:
                axes.legend()
            shown = labels
    return figure


def _name_at_ends(axes: Axes) -> bool:
    """Write each curve's name where it ends, if there is room for all."""
    lines: list[Any] = axes.get_legend_handles_labels()[0]
    axes.get_ylim()  # until it is asked for, an axis has no limits
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = to_axes.transform([line.get_xydata()[-1] for line in lines])
    heights = _apart(ends[:, 1], 0.075)
    if max(abs(heights - ends[:, 1])) > 0.1:
        return False
    for line, end, height in zip(lines, ends[:, 0], heights, strict=True):
        axes.annotate(
            line.get_label(),
            (end, height),
            xycoords="axes fraction",
            xytext=(5, 0),
            textcoords="offset points",
            color=line.get_color(),
            va="center",
        )
    return True


def _apart(heights: Any, room: float) -> Any:
    """Move heights so far apart that each has room, in the same order."""
    order = np.argsort(heights)
    below = room * np.arange(len(heights))
    # What rises, with the room of those below taken out, is far enough apart.
    free = heights[order] - below
    up, down = np.maximum.accumulate(free), free[::-1]
    down = np.minimum.accumulate(down)[::-1]
    moved = np.empty(len(heights))
    moved[order] = (up + down) / 2 + below
    return moved


class _PlainNumbers(LogFormatterSciNotation):
    """Labels such as 0.2, where a logarithmic axis is a short one."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        label: str = super().__call__(x, pos)
        axis: Any = self.axis
        low, high = axis.get_view_interval()
        short = low > 1e-3 and high < 1e4 and high < 100 * low
        return f"{x:g}" if label and short else label


def _name_plainly(axis: Any) -> None:
    axis.set_major_formatter(_PlainNumbers())
    axis.set_minor_formatter(_PlainNumbers(labelOnlyBase=False))


def _draw_panel(axes: Axes, x: Tensor, panel: Panel) -> None:
    if panel.log:
        axes.set_yscale("log", nonpositive="mask")
        _name_plainly(axes.yaxis)
    if not x.is_floating_point():
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if panel.guide is not None:
        axes.axhline(panel.guide, color=COLOURS["grey"], lw=1)
    if len(panel.curves) > len(panel.colours):
        raise ValueError(
            f"expected at most {len(panel.colours)} curves, as many as "
            f"colours, got {len(panel.curves)}"
        )
    for colour, (name, curve) in zip(
        panel.colours, panel.curves.items(), strict=False
    ):
        line = {"color": COLOURS[colour], "linestyle": LINES[colour]}
        _draw_curve(axes, x, curve, name, line)
    for name, curve in panel.expected.items():
        axes.plot(x, curve, label=name, **THEORY)
    for name, ends in panel.shaded.items():
        axes.axvspan(*ends, color=COLOURS["grey"], alpha=0.15, lw=0)
        x_axis = axes.get_xaxis_transform()
        axes.text(sum(ends) / 2, 0.5, name, ha="center", transform=x_axis)
    axes.set_title(panel.title, fontsize=10)
    axes.set_ylabel(panel.y_label)


def _draw_curve(
    axes: Axes, x: Tensor, curve: Tensor, name: str, line: dict[str, Any]
) -> None:
    if curve.shape[-1:] != x.shape:
        raise ValueError(
            f"expected {len(x)} numbers for the curve {name!r}, "
            f"got shape {tuple(curve.shape)}"
        )
    if curve.dim() == 1:
        check_finite(f"curve {name!r}", curve)
        axes.plot(x, curve.detach().double(), label=name, **line)
        return
    low, middle, high = quantiles(curve)
    zeros = int((curve == 0).any(1).sum())
    if zeros and axes.get_yscale() == "log":
        name = f"{name} ({zeros} of {len(curve)} with a zero)"
    axes.plot(x, middle, label=name, **line)
    axes.fill_between(x, low, high, color=line["color"], alpha=0.2, lw=0)


class Sample(NamedTuple):
    """One row of :func:`draw_distributions`: a number of each network.

    Example:
        >>> import torch
        >>> from shortcuts.figures import Sample, draw_distributions
        >>> sample = Sample("layer 1", torch.tensor([1.0, 2.0, 5.0]), mark=2)
        >>> figure = draw_distributions(sample, x_label="y", mark_label="here")
        >>> figure.axes[0].get_title("right")
        'median 2, here 5'
    """

    title: str
    values: Float[Tensor, " networks"]
    mark: int | None = None  # the network to point at


def draw_distributions(
    *samples: Sample, x_label: str, mark_label: str = ""
) -> BookFigure:
    """Draw how numbers are distributed, one below the other, on a log axis.

    Each row shows a histogram, its median as a line, and the marked network
    as a dot with its value. Values of zero count for the median, but cannot be
    drawn: the title counts them.

    Raises:
        ValueError: if a value is negative, infinite or nan, or a sample is no
            vector or holds nothing but zeros.

    Example:
        >>> import torch
        >>> from shortcuts.figures import Sample, draw_distributions
        >>> sample = Sample("layer 1", torch.tensor([0.0, 0.0, 1.0, 2.0, 5.0]))
        >>> figure = draw_distributions(sample, x_label="gradient")
        >>> figure.axes[0].get_title("left")
        'layer 1 (2 are zero)'
    """
    drawn = [_logarithms(sample) for sample in samples]
    ends = torch.stack([quantiles(logs, (0.002, 0.998)) for logs in drawn])
    low, high = ends.min().item(), ends.max().item()
    margin = 0.5 if low == high else 0.0
    edges = np.linspace(low - margin, high + margin, 61)
    with _book_style():
        figure = BookFigure(figsize=(WIDTH, 0.7 + 1.05 * len(samples)))
        grid = figure.subplots(len(samples), squeeze=False, sharex=True)
        for axes, sample, logs in zip(grid[:, 0], samples, drawn, strict=True):
            zeros = len(sample.values) - len(logs)
            title = f"{sample.title} ({zeros} are zero)"
            axes.set_title(
                title if zeros else sample.title, loc="left", fontsize=10
            )
            # The first and the last bin hold what lies beyond them.
            inside = np.clip(logs.numpy(), edges[0], edges[-1])
            counts, _ = np.histogram(inside, edges)
            style = {"fill": True, "color": COLOURS["blue"], "alpha": 0.45}
            axes.stairs(counts, 10**edges, **style)
            median = quantiles(sample.values, (0.5,)).item()
            axes.axvline(median, color=COLOURS["blue"])
            said = f"median {_short(median)}"
            if sample.mark is not None:
                value = sample.values[sample.mark].item()
                height = 0.1 * axes.get_ylim()[1]
                axes.plot(value, height, "o", color=COLOURS["orange"], ms=8)
                said += f", {mark_label} {_short(value)}"
            axes.set_title(said, loc="right", fontsize=10)
            axes.set_xscale("log")
            axes.tick_params(left=False, labelleft=False)
            axes.spines["left"].set_visible(False)
            axes.grid(axis="y", visible=False)
        grid[-1, 0].set_xlabel(x_label)
    return figure


def _logarithms(sample: Sample) -> Tensor:
    """Return those of the values that have one."""
    values = sample.values.detach().double()
    check_finite(f"sample {sample.title!r}", values)
    if values.dim() != 1 or values.min() < 0 or values.max() == 0:
        raise ValueError(
            "expected a vector of numbers that are not negative and not all "
            f"zero in the sample {sample.title!r}, got shape "
            f"{tuple(values.shape)} from {values.min():.3g} to "
            f"{values.max():.3g}"
        )
    return values[values > 0].log10()


def _short(value: float) -> str:
    return f"{value:,.0f}" if 100 <= value < 1e6 else f"{value:.3g}"


class Points(NamedTuple):
    """One kind of dots of :func:`draw_points`.

    Example:
        >>> import torch
        >>> from shortcuts.figures import Points, draw_points
        >>> dots = Points(x=torch.tensor([1.0, 2.0]), y=torch.ones(2))
        >>> kinds, line = {"measured": dots}, ("predicted", dots)
        >>> figure = draw_points(kinds, line=line, x_label="x", y_label="y")
        >>> figure.axes[0].lines[1].get_xydata().tolist()
        [[1.0, 1.0], [2.0, 1.0]]
    """

    x: Float[Tensor, " points"]
    y: Float[Tensor, " points"]


def draw_points(
    points: Mapping[str, Points],
    *,
    line: tuple[str, Points],
    x_label: str,
    y_label: str,
    guide: float | None = None,
) -> BookFigure:
    """Draw kinds of dots and one named line, both axes logarithmic.

    Args:
        points: the dots of each kind, by its name; at most five kinds.
        line: its name, and the points that it connects.
        x_label: what is measured across.
        y_label: what is measured up.
        guide: where a grey line crosses both axes, if anywhere.

    Raises:
        ValueError: if there are more than five kinds, or a number is not
            positive or not finite.

    Example:
        >>> import torch
        >>> from shortcuts.figures import Points, draw_points
        >>> dots = Points(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
        >>> kinds, line = {"measured": dots}, ("predicted", dots)
        >>> figure = draw_points(kinds, line=line, x_label="x", y_label="y")
        >>> figure.axes[0].get_legend_handles_labels()[1]
        ['predicted', 'measured']
    """
    markers = ["o", "s", "^", "D", "v"]
    if len(points) > len(markers):
        raise ValueError(f"expected at most five kinds, got {len(points)}")
    for kind, dots in points.items():
        check_finite(f"kind {kind!r}", torch.stack(tuple(dots)))
        if torch.stack(tuple(dots)).min() <= 0:
            raise ValueError(f"expected positive numbers, got {kind}: {dots}")
    with _book_style():
        figure = BookFigure(figsize=(WIDTH, 4.2))
        axes = figure.subplots()
        if guide is not None:
            for grey_line in (axes.axvline, axes.axhline):
                grey_line(guide, color=COLOURS["grey"], lw=1)
        name, ends = line
        axes.plot(*ends, label=name, **THEORY)
        for marker, (kind, dots) in zip(markers, points.items(), strict=False):
            axes.plot(*dots, marker, label=kind, ms=7, mfc="none", mew=1.8)
        axes.set(xlabel=x_label, ylabel=y_label, xscale="log", yscale="log")
        _name_plainly(axes.xaxis)
        _name_plainly(axes.yaxis)
        axes.legend()
    return figure


def draw_ranges(
    rows: Mapping[str, Sequence[Float[Tensor, " networks"]]],
    *,
    titles: Sequence[str],
    limits: tuple[float, float],
    grey: Collection[str] = (),
) -> BookFigure:
    """Draw a dot and a bar for each row, in panels side by side.

    Args:
        rows: for each name, a number of each network for every panel. The dot
            is their median, whose value stands at the right; the bar reaches
            from the 5 % to the 95 % quantile.
        titles: one for each panel.
        limits: the ends of all logarithmic axes, which have a line at 1. A
            median that lies outside, or is zero, is written at the edge.
        grey: the rows that the others are compared with.

    Raises:
        ValueError: if a number is infinite or nan, or a row has not one sample
            for each title.

    Example:
        >>> import torch
        >>> from shortcuts.figures import draw_ranges
        >>> rows = {"plain": [torch.tensor([1.0, 2.0, 5.0])]}
        >>> figure = draw_ranges(rows, titles=["gradient"], limits=(0.1, 10))
        >>> figure.axes[0].lines[-1].get_xdata().tolist()  # the dot
        [2.0]
    """
    for name, samples in rows.items():
        if len(samples) != len(titles):
            raise ValueError(
                f"expected {len(titles)} samples for the row {name!r}, "
                f"got {len(samples)}"
            )
    with _book_style():
        figure = BookFigure(figsize=(WIDTH, 1.0 + 0.34 * len(rows)))
        grid = figure.subplots(1, len(titles), squeeze=False, sharey=True)
        for i, (axes, title) in enumerate(zip(grid[0], titles, strict=True)):
            axes.set(xscale="log", xlim=limits)
            axes.xaxis.set_major_locator(LogLocator(numticks=5))
            axes.minorticks_off()
            axes.tick_params(axis="x", labelsize=8)
            axes.set_title(title, fontsize=10)
            axes.axvline(1, color=COLOURS["grey"], lw=1)
            for place, (name, samples) in enumerate(rows.items()):
                colour = COLOURS["grey" if name in grey else "blue"]
                low, middle, high = quantiles(
                    samples[i], (0.05, 0.5, 0.95)
                ).tolist()
                side = "right"
                if limits[0] <= middle <= limits[1]:
                    _draw_range(axes, place, (low, middle, high), colour)
                    said = f"{middle:.2g} ".replace("e+0", "e")
                elif middle > limits[1]:
                    said = f"{middle:.0e} ▸ "
                else:
                    said = f" ◂ {middle:.0e}" if middle else " ◂ exactly 0"
                    side = "left"
                end = limits[side == "right"]
                style: dict[str, Any] = {"va": "center", "fontsize": 9}
                axes.text(end, place, said, ha=side, **style)
        _name_rows(grid[0, 0], rows)
    return figure


def draw_shares(rows: Mapping[str, Proportion], *, x_label: str) -> BookFigure:
    """Draw a dot for each share, in its interval, on an axis of per cent.

    The share and the ends of the interval are written at the right.

    Example:
        >>> from shortcuts.figures import draw_shares
        >>> from shortcuts.statistics import Proportion
        >>> rows = {"it falls": Proportion(0.5, 0.4, 0.6)}
        >>> figure = draw_shares(rows, x_label="of 100 networks")
        >>> figure.axes[0].lines[-1].get_xdata().tolist()  # the dot
        [50.0]
    """
    with _book_style():
        figure = BookFigure(figsize=(WIDTH, 0.8 + 0.3 * len(rows)))
        axes = figure.subplots()
        axes.set(xlim=(-2, 102), xlabel=x_label)
        for place, share in enumerate(rows.values()):
            low, middle, high = (
                100 * end for end in (share.low, share.share, share.high)
            )
            _draw_range(axes, place, (low, middle, high), COLOURS["blue"])
            axes.text(104, place, str(share), va="center", fontsize=9)
        _name_rows(axes, rows)
    return figure


def _draw_range(
    axes: Axes, place: int, ends: tuple[float, float, float], colour: str
) -> None:
    low, middle, high = ends
    axes.plot([low, high], [place] * 2, color=colour, ls="-", alpha=0.5)
    axes.plot(middle, place, "o", color=colour, ms=4)


def _name_rows(axes: Axes, names: Collection[str]) -> None:
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.5, -0.5)


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

    Example:
        >>> import torch
        >>> from shortcuts.figures import draw_slopes
        >>> nudges, gradient = torch.linspace(-1, 1, 5), torch.tensor([[2.0]])
        >>> losses = (1 + nudges).square().reshape(1, 1, 5)
        >>> figure = draw_slopes("W", nudges, losses, gradient)
        >>> figure.axes[0].get_title()
        'W[0, 0]: slope 2'
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

    Example:
        >>> from shortcuts.figures import Column, draw_networks
        >>> column = Column("plain", [3, 3, 1], [False, False], [0.1, 0.25])
        >>> figure = draw_networks(column)
        >>> [text.get_text() for text in figure.axes[1].texts]
        ['0.1', '0.25']
    """

    title: str
    layer_sizes: Sequence[int]
    bypassed: Sequence[bool]
    gradients: Sequence[float] = ()


def draw_networks(*columns: Column) -> BookFigure:
    """Draw networks side by side, input below, gradients as dots.

    A layer is a box, a shortcut an arrow around it, drawn where ``bypassed``
    says so and nowhere else. Dots are blue in a network without shortcuts and
    orange in one with them, and share one logarithmic axis. A gradient of zero
    or nan has no dot, but its label says what it is.

    Raises:
        ValueError: if a column has not one gradient for each of its layers.

    Example:
        >>> from shortcuts.figures import Column, draw_networks
        >>> without = Column("without", [3, 3, 1], [False, False])
        >>> with_shortcuts = Column("with", [3, 3, 1], [True, False])
        >>> figure = draw_networks(without, with_shortcuts)
        >>> [axes.get_title() for axes in figure.axes]
        ['without', 'with']
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
        for number, column in enumerate(columns):
            axes = next(row)
            axes.set_ylim(-1.0, depth - 0.1)
            _draw_network(axes, column)
            if column.gradients:
                _draw_gradients(next(row), column, values_of_all, number)
    figure.motion = _one_layer_after_the_other(depth)
    return figure


def _one_layer_after_the_other(depth: int) -> str:
    """Return CSS that lets dots appear as a gradient travels, last first."""
    starts = [1 + 0.4 * (depth - 1 - i) for i in range(depth)]
    delays = "".join(
        f'[id^="gradient-{i}-"] {{ animation-delay: {start:.1f}s }}'
        for i, start in enumerate(starts)
    )
    return (
        "@media screen and (prefers-reduced-motion: no-preference) {"
        '[id^="gradient-"] { animation: appear 0.5s both }'
        f"{delays} }} @keyframes appear {{ from {{ opacity: 0 }} }}"
    )


# Heights from the middle of a box, in boxes: its edge, the fork below where a
# shortcut leaves, the sum above where it ends, and the radius of that ring.
EDGE, FORK, SUM, RING = 0.25, 0.37, 0.44, 0.08


def _draw_network(axes: Axes, column: Column) -> None:
    sizes = pairwise(column.layer_sizes)
    labels = [f"layers.{i}   {n} → {m}" for i, (n, m) in enumerate(sizes)]
    shortcuts = {i: i for i, has_one in enumerate(column.bypassed) if has_one}
    _draw_boxes(axes, column.title, labels, shortcuts)


def _draw_boxes(
    axes: Axes,
    title: str,
    labels: Sequence[str],
    shortcuts: Mapping[int, int],  # above which box to below which box
) -> None:
    ink, orange = COLOURS["ink"], COLOURS["orange"]
    side = -1.25  # where shortcuts run; boxes reach from -1 to 1

    def arrow(
        start: tuple[float, float], end: tuple[float, float], **style: Any
    ) -> None:
        style = {"arrowstyle": "-|>", "color": ink, "shrinkA": 0} | style
        axes.annotate("", end, start, arrowprops={"shrinkB": 0} | style)

    axes.set_axis_off()
    axes.set_xlim(side - 0.15, -side)
    axes.set_title(title, x=0.53, weight="bold", fontsize=10)
    axes.text(0, -0.72, "input", ha="center", va="top")
    end = -0.7  # of what is drawn so far
    for i, label in enumerate(labels):
        box = FancyBboxPatch(
            (-0.95, i - 0.2),
            1.9,
            0.4,
            boxstyle="round,pad=0.05",
            fc="none",
            ec=ink,
        )
        axes.add_patch(box)
        axes.text(0, i - 0.01, label, ha="center", va="center", fontsize=9)
        arrow((0, end), (0, i - EDGE))
        end = i + EDGE
        if i in shortcuts:
            fork = shortcuts[i] - FORK
            way = [0, side, side], [fork, fork, i + SUM]
            axes.plot(*way, color=orange, ls="-", lw=1.8)
            arrow((side, i + SUM), (-0.12, i + SUM), color=orange, lw=1.8)
            axes.plot([0, 0], [end, i + SUM - RING], color=ink, ls="-", lw=1)
            axes.plot(0, i + SUM, "o", ms=11, mfc="none", mec=orange)
            axes.plot(0, i + SUM, "+", ms=8, mec=orange, mew=1.5)
            end = i + SUM + RING
    last = len(labels) - 1
    arrow((0, end), (0, last + 0.74))
    axes.text(0, last + 0.76, "output", ha="center", va="bottom")


def _draw_gradients(
    axes: Axes,
    column: Column,
    values: Sequence[float],
    number: int,  # of the network, which makes names of dots unique
) -> None:
    drawable = [value for value in values if 0 < value < math.inf] or [1.0]
    floor, ceiling = min(drawable) / 4, max(drawable) * 40
    colour = COLOURS["orange" if any(column.bypassed) else "blue"]
    for i, gradient in enumerate(column.gradients):
        axes.axhline(i, color=COLOURS["grey"], lw=0.8, alpha=0.4, ls="-")
        end = floor
        if 0 < gradient < math.inf:
            end = gradient
            (dot,) = axes.plot(gradient, i, "o", color=colour, ms=8)
            dot.set_gid(f"gradient-{i}-{number}")
        text = axes.text(end * 1.7, i + 0.08, f"{gradient:.3g}", fontsize=9)
        text.set_gid(f"gradient-{i}-{number}-label")
    axes.set_xscale("log")
    axes.set_xlim(floor, ceiling)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("mean |dL/dW|")
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False, labelleft=False)


def draw_blocks(blocks: Mapping[str, Sequence[str]]) -> BookFigure:
    """Draw blocks side by side, input below, each with its shortcut.

    Args:
        blocks: for each title, the parts that an input meets, in this order.
            The one called "+" is where the shortcut ends, which leaves at the
            input.

    Raises:
        ValueError: if there is no block, or the parts of one have not one "+"
            with a part before it.

    Example:
        >>> from shortcuts.figures import draw_blocks
        >>> figure = draw_blocks({"a block": ["Linear", "+", "ReLU"]})
        >>> figure.axes[0].get_title()
        'a block'
    """
    if not blocks:
        raise ValueError("expected at least one block, got none")
    for title, parts in blocks.items():
        if parts.count("+") != 1 or parts[0] == "+":
            raise ValueError(
                "expected one '+' with a part before it in the block "
                f"{title!r}, got {list(parts)}"
            )
    height = max(len(parts) for parts in blocks.values()) - 1
    with _book_style():
        figure = BookFigure(figsize=(WIDTH, 1.3 + 0.62 * height))
        row = figure.subplots(1, len(blocks), squeeze=False)[0]
        for axes, (title, parts) in zip(row, blocks.items(), strict=True):
            axes.set_ylim(-1.0, height)
            labels = [part for part in parts if part != "+"]
            above = parts.index("+") - 1
            _draw_boxes(axes, title, labels, {above: 0})
    return figure


def draw_regions(
    rows: Mapping[str, Sequence[Int[Tensor, "height width"]]],
    *,
    titles: Sequence[str],
) -> BookFigure:
    """Draw which of five classes or fewer is chosen where, as maps.

    There is a row for each name and a column for each title. The first line
    of a map is its lower edge.

    Raises:
        ValueError: if there is no row, one has not a map for each title, or a
            class is not between 0 and 4.

    Example:
        >>> import torch
        >>> from shortcuts.figures import draw_regions
        >>> left, right = torch.tensor([[0, 1]]), torch.tensor([[1, 1]])
        >>> figure = draw_regions({"plain": [left, right]}, titles=["1", "2"])
        >>> figure.axes[0].images[0].origin, figure.axes[1].get_title()
        ('lower', '2')
    """
    if not rows:
        raise ValueError("expected at least one row, got none")
    classes = ListedColormap([COLOURS[name] for name in LINES])
    count = len(titles)
    with _book_style():
        side = (WIDTH - 0.4) / count
        size = (WIDTH, (side + 0.1) * len(rows) + 0.3)
        figure = BookFigure(figsize=size, dpi=200)
        grid = figure.subplots(len(rows), count, squeeze=False)
        for line, (name, maps) in zip(grid, rows.items(), strict=True):
            if len(maps) != count:
                raise ValueError(
                    f"expected {count} maps of {name!r}, got {len(maps)}"
                )
            for axes, chosen in zip(line, maps, strict=True):
                if not (chosen >= 0).all() or not (chosen < len(LINES)).all():
                    raise ValueError(
                        f"expected classes from 0 to {len(LINES) - 1}, "
                        f"got {int(chosen.min())} to {int(chosen.max())}"
                    )
                limits = {"vmin": 0, "vmax": len(LINES) - 1}
                axes.imshow(
                    chosen.numpy(), origin="lower", cmap=classes, **limits
                )
                axes.set(xticks=[], yticks=[])
            line[0].set_ylabel(name)
        for axes, title in zip(grid[0], titles, strict=True):
            axes.set_title(title, fontsize=10)
    return figure


def draw_tables(
    tables: Mapping[str, Float[Tensor, "rows columns"]],
    *,
    limits: tuple[float, float],
    label: str,
    x_label: str,
    y_label: str,
    columns: int | None = None,
) -> BookFigure:
    """Draw tables of numbers as colours, side by side, counted from 1.

    After ``columns`` of them, if given, a new row begins. The first line of a
    table is at the bottom. What lies beyond the limits has the
    colour of the limit.

    Raises:
        ValueError: if there is no table, or a number is infinite or nan.

    Example:
        >>> import torch
        >>> from shortcuts.figures import draw_tables
        >>> tables = {"plain": torch.tensor([[0.0, 1.0]])}
        >>> texts = {"label": "share", "x_label": "read", "y_label": "fitted"}
        >>> figure = draw_tables(tables, limits=(0, 1), **texts)
        >>> figure.axes[0].images[0].get_array().tolist()
        [[0.0, 1.0]]
    """
    if not tables:
        raise ValueError("expected at least one table, got none")
    low, high = limits
    across = columns or len(tables)
    down = math.ceil(len(tables) / across)
    with _book_style():
        side = (WIDTH - 1.2) / max(across, 2.6)
        size = (WIDTH, (side + 0.6) * down)
        figure = BookFigure(figsize=size, dpi=200)
        grid = figure.subplots(down, across, squeeze=False)
        for axes in grid.flat[len(tables) :]:
            axes.remove()
        used = grid.flat[: len(tables)]
        for axes, (title, table) in zip(used, tables.items(), strict=True):
            check_finite(f"table {title!r}", table)
            height, width = table.shape
            image = axes.imshow(
                table.detach().cpu().numpy(),
                origin="lower",
                cmap=COLOURED,
                extent=(0.5, width + 0.5, 0.5, height + 0.5),
                vmin=low,
                vmax=high,
            )
            axes.set_title(title, fontsize=10)
            axes.set(xlabel=x_label, ylabel=y_label)
            axes.grid(visible=False)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(_whole_ticks(5))
        figure.colorbar(image, ax=list(used), label=label, shrink=0.8)
    return figure


def draw_log(
    logs: GradientLog | Mapping[str, GradientLog],
    lens: str,
    *,
    label: str,
    x_label: str = "step",
    columns: int | None = None,
    limits: tuple[float, float] | None = None,
) -> BookFigure:
    """Draw the numbers of a lens as colours, names over steps.

    A cell lies at its step and reaches half way to the steps beside it. The
    first name is at the bottom, where the input of a network is drawn. The
    colours are logarithmic. What has none is hatched, and a legend counts it;
    what is absent is left blank. Where many names stand close, some are
    written; what all have in common stands once, beside them.

    Args:
        logs: one, or one for each title, to be drawn side by side with the
            same colours.
        lens: which of their numbers to draw.
        label: what the colours stand for, with its unit.
        x_label: what the steps are.
        columns: after so many logs, if given, a new row begins.
        limits: the numbers at both ends of the colours; what lies beyond has
            the colour of the limit. If not given, the least and the largest.

    Raises:
        ValueError: if there is no log, one does not have the lens, or a number
            is negative.

    Example:
        >>> from shortcuts.figures import draw_log
        >>> from shortcuts.logs import GradientLog
        >>> log = GradientLog()
        >>> _ = log.add(0, dW={"blocks.0": 0.5, "blocks.1": 2.0})
        >>> figure = draw_log(log, "dW", label="mean $|dL/dW|$")
        >>> figure.axes[0].collections[0].get_array().tolist()
        [[0.5], [2.0]]
    """
    titled = {"": logs} if isinstance(logs, GradientLog) else dict(logs)
    if not titled:
        raise ValueError("expected at least one log, got none")
    names = [log.names(lens) for log in titled.values()]
    grids = [_grid(log, lens) for log in titled.values()]
    cells = np.ma.hstack([grid.ravel() for grid in grids])
    lowest = np.nanmin(cells.filled(0), initial=0)
    if lowest < 0:
        raise ValueError(f"expected no negative {lens!r}, got {lowest}")
    blank = {kind: flags.sum() for kind, flags in _blank(cells).items()}
    sizes = cells[~np.any(list(_blank(cells).values()), axis=0)]
    if limits or not len(sizes):
        norm = LogNorm(*limits or ())
    else:
        norm = LogNorm(sizes.min(), sizes.max())
    same = all(others == names[0] for others in names)
    across = columns or len(titled)
    down = math.ceil(len(titled) / across)
    with _book_style():
        # Each of a few names has a line; many share the height of fourteen.
        height = 1.6 + 0.2 * min(max(map(len, names)), 14)
        # The cells are pixels, and an SVG holds as many as the figure has.
        figure = BookFigure(figsize=(WIDTH, height * down), dpi=200)
        table = figure.subplots(down, across, squeeze=False, sharey=same)
        for axes in table.flat[len(titled) :]:
            axes.remove()
        used = table.flat[: len(titled)]
        for i, (axes, title) in enumerate(zip(used, titled, strict=True)):
            _draw_grid(axes, titled[title].steps, grids[i], norm)
            axes.set_title(title, fontsize=10)
            axes.set_xlabel(x_label)
            axes.xaxis.set_major_locator(_whole_ticks(1 + 6 // across))
            if i % across == 0 or not same:
                _name_some(axes, names[i], 20 if same else 24 // across)
        if len(sizes):
            colours = ScalarMappable(norm, COLOURED)
            figure.colorbar(colours, ax=list(used), label=label)
        legend = [
            Patch(fc="none", label=f"{kind} ({count:,})", **BLANK[kind])
            for kind, count in blank.items()
            if count
        ]
        if legend:
            figure.legend(handles=legend, loc="outside lower center", ncols=3)
    return figure


def _grid(log: GradientLog, lens: str) -> Any:
    """Return the numbers of each name in a row, masked where absent."""
    rows = [log.values(f"{lens}/{name}") for name in log.names(lens)]
    absent = [[value is None for value in row] for row in rows]
    return np.ma.array(np.array(rows, dtype=float), mask=absent)


def _blank(grid: Any) -> dict[str, Any]:
    """Return which cells have no colour, for each reason."""
    numbers = grid.filled(1.0)
    flags = numbers == 0, ~np.isfinite(numbers), np.ma.getmaskarray(grid)
    return dict(zip(BLANK, flags, strict=True))


def _draw_grid(
    axes: Axes, steps: Sequence[int], grid: Any, norm: LogNorm
) -> None:
    gaps = [b - a for a, b in pairwise(steps)] or [1]
    around = [steps[0] - gaps[0], *steps, steps[-1] + gaps[-1]]
    edges = [(a + b) / 2 for a, b in pairwise(around)]
    blank = _blank(grid)
    coloured = np.ma.array(grid, mask=np.any(list(blank.values()), axis=0))
    heights = np.arange(len(grid) + 1) - 0.5
    mesh = axes.pcolormesh(edges, heights, coloured, norm=norm, cmap=COLOURED)
    # Between paths a browser leaves seams, and many make a large file.
    mesh.set_rasterized(True)
    for kind, flags in blank.items():
        if flags.any():
            outline = _outline(flags, edges)
            patch = PathPatch(outline, fc="none", lw=0.6, **BLANK[kind])
            patch.set_rasterized(len(outline) > 2000)
            axes.add_patch(patch)
    axes.grid(visible=False)


def _outline(flags: Any, edges: Sequence[float]) -> Outline:
    """Return boxes around flags: runs in a row, rows with equal ones as one.

    A row is a height of one, and the first is around zero.
    """
    boxes: list[Outline] = []
    begun: dict[tuple[int, int], int] = {}  # first and end of a run: its row
    for height, flagged in enumerate([*flags, flags[0] & False]):
        turns = np.flatnonzero(np.diff(np.pad(flagged, 1).astype(int)))
        runs = dict.fromkeys(zip(turns[::2], turns[1::2], strict=True), height)
        for run in begun.keys() - runs.keys():
            (left, right), low = run, begun.pop(run) - 0.5
            corners = Bbox.from_extents(
                edges[left], low, edges[right], height - 0.5
            )
            boxes.append(
                Outline.unit_rectangle().transformed(BboxTransformTo(corners))
            )
        begun = runs | begun
    return Outline.make_compound_path(*boxes)


def _name_some(axes: Axes, names: Sequence[str], longest: int) -> None:
    """Write names beside their rows, as many as there is room for."""
    common, own = shortened(names, longest)
    ticks = _whole_ticks(14).tick_values(0, len(names) - 1)
    places = [int(tick) for tick in ticks if 0 <= tick < len(names)]
    axes.set_yticks(places, [own[place] for place in places], fontsize=9)
    room = 12 + 2 * min(len(names), 14)  # characters, from below to above
    if len(common) > room:
        common = f"…{common[-room:]}"
    if common != "*":
        axes.set_ylabel(common)


def _whole_ticks(most: int) -> MaxNLocator:
    round_steps = [1, 2, 5, 10]
    return MaxNLocator(most, integer=True, min_n_ticks=1, steps=round_steps)
