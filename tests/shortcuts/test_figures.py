"""Figures hold the numbers given, and leave the reader's settings alone."""

import base64
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from colorspacious import cspace_convert, deltaE
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import QuadMesh
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from matplotlib.text import Text

from shortcuts.figures import (
    COLOURED,
    COLOURS,
    LINES,
    STYLE,
    BookFigure,
    Column,
    Panel,
    Points,
    Sample,
    draw_blocks,
    draw_curves,
    draw_distributions,
    draw_log,
    draw_networks,
    draw_points,
    draw_ranges,
    draw_regions,
    draw_shares,
    draw_slopes,
    draw_tables,
)
from shortcuts.logs import GradientLog
from shortcuts.statistics import Proportion

LAYERS = [3, 3, 3, 1]
GRADIENTS = [0.01, 0.002, 0.3]


def dots(axes: Axes) -> list[float]:
    """Return where the dots of gradients lie, from below."""
    found = [line for line in axes.lines if line.get_marker() == "o"]
    found.sort(key=lambda line: heights(line)[0])
    return [float(np.asarray(line.get_xdata())[0]) for line in found]


def heights(line: Line2D) -> list[float]:
    return [float(y) for y in np.asarray(line.get_ydata())]


def sums(axes: Axes) -> list[int]:
    """Return after which layers a plus sign stands."""
    return [
        math.floor(heights(line)[0])
        for line in axes.lines
        if line.get_marker() == "+"
    ]


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize(
    "bypassed",
    [[False] * 3, [True, True, False], [False, True, False], [True] * 3],
)
def test_shortcuts_are_drawn_where_they_are_and_nowhere_else(
    bypassed: list[bool],
) -> None:
    (axes,) = draw_networks(Column("a title", LAYERS, bypassed)).axes
    assert sums(axes) == [i for i in range(3) if bypassed[i]]
    assert axes.get_title() == "a title"
    labels = texts(axes)
    for i, (n_in, n_out) in enumerate(pairwise(LAYERS)):
        assert f"layers.{i}   {n_in} → {n_out}" in labels


def test_dots_and_labels_are_the_gradients() -> None:
    left, left_dots, right, right_dots = draw_networks(
        Column("left", LAYERS, [False] * 3, GRADIENTS),
        Column("right", LAYERS, [True, True, False], [0.1, 0.25, 4.0]),
    ).axes
    assert sums(left) == []
    assert sums(right) == [0, 1]
    assert dots(left_dots) == GRADIENTS
    assert dots(right_dots) == [0.1, 0.25, 4.0]
    assert texts(left_dots) == ["0.01", "0.002", "0.3"]
    assert texts(right_dots) == ["0.1", "0.25", "4"]
    for axes, colour in ((left_dots, "blue"), (right_dots, "orange")):
        drawn = {line.get_color() for line in axes.lines if line.get_gid()}
        assert drawn == {COLOURS[colour]}
    assert left_dots.get_xscale() == "log"
    assert left_dots.get_xlim() == right_dots.get_xlim()
    assert left_dots.get_xlim()[0] < 0.002 < 4.0 < left_dots.get_xlim()[1]


def test_gradients_without_a_place_on_the_axis_are_said() -> None:
    strange = [0.0, math.nan, 0.5]
    _, axes = draw_networks(Column("", LAYERS, [False] * 3, strange)).axes
    assert dots(axes) == [0.5]
    assert texts(axes) == ["0", "nan", "0.5"]
    assert 0 < axes.get_xlim()[0] < 0.5 < axes.get_xlim()[1]
    _, axes = draw_networks(Column("", [1, 1], [True], [0.0])).axes
    assert dots(axes) == []


def test_a_gradient_too_few() -> None:
    with pytest.raises(ValueError, match=r"each of the 3 layers, got 2"):
        draw_networks(Column("", LAYERS, [False] * 3, [1.0, 2.0]))


def test_networks_of_different_depths() -> None:
    one, deep = draw_networks(
        Column("one layer", [1, 1], [True]),
        Column("deep", [2] * 8, [False] * 7),
    ).axes
    assert sums(one) == [0]
    assert len([t for t in texts(deep) if t.startswith("layers.")]) == 7
    assert one.get_ylim() == deep.get_ylim()


@pytest.mark.parametrize(
    ("parts", "below_sum"),
    [(["b", "a", "+"], 1), (["b", "c", "+", "a"], 1), (["a", "+", "a"], 0)],
)
def test_blocks_hold_their_parts_in_order_and_one_shortcut(
    parts: list[str], below_sum: int
) -> None:
    axes, other = draw_blocks({"a title": parts, "long": [*"abcde", "+"]}).axes
    assert (axes.get_title(), other.get_title()) == ("a title", "long")
    assert axes.get_ylim() == other.get_ylim()
    words = [text for text in axes.texts if text.get_text()]
    words.sort(key=lambda text: text.get_position()[1])
    parts.remove("+")
    assert [w.get_text() for w in words] == ["input", *parts, "output"]
    assert sums(axes) == [below_sum]
    assert sums(other) == [4]
    (way,) = [line for line in axes.lines if len(heights(line)) == 3]
    start, _, end = heights(way)
    assert -0.7 < start < -0.25  # between the input and the first box
    assert below_sum + 0.25 < end < below_sum + 0.75  # above that box


@pytest.mark.parametrize(
    "parts", [[], ["a", "b"], ["+", "a"], ["a", "+", "b", "+"]]
)
def test_blocks_without_a_place_for_one_shortcut(parts: list[str]) -> None:
    words = re.escape(
        f"one '+' with a part before it in the block 'x', got {parts}"
    )
    with pytest.raises(ValueError, match=words):
        draw_blocks({"x": parts})
    none = r"^expected at least one block, got none$"
    with pytest.raises(ValueError, match=none):
        draw_blocks({})


def test_slopes() -> None:
    nudges = torch.linspace(-1, 1, 5)
    gradient = torch.tensor([[1.0, -2.0]])
    losses = 5 + gradient[..., None] * nudges + nudges**2
    axes = draw_slopes("W", nudges, losses, gradient).axes
    assert [a.get_title() for a in axes] == [
        "W[0, 0]: slope 1",
        "W[0, 1]: slope -2",
    ]
    for j, panel in enumerate(axes):
        curve, tangent, point = panel.lines
        assert heights(curve) == losses[0, j].tolist()
        expected = (5 + gradient[0, j] * nudges).tolist()
        assert heights(tangent) == pytest.approx(expected)
        assert heights(point) == [5]


def test_slopes_of_a_flat_loss_and_without_a_zero() -> None:
    nudges, flat = torch.tensor([-1.0, 0.0, 1.0]), torch.ones(1, 1, 3)
    (axes,) = draw_slopes("W", nudges, flat, torch.zeros(1, 1)).axes
    assert axes.get_ylim() == (0, 2)
    with pytest.raises(
        ValueError, match=r"nudge of zero .* the smallest is -?0\.5"
    ):
        draw_slopes("W", nudges + 0.5, flat, torch.zeros(1, 1))


def test_curves() -> None:
    x = torch.tensor([0.0, 1.0, 2.0])
    left, right = draw_curves(
        x,
        Panel("one", {"a": x + 1}, {"here": (0, 1)}),
        Panel("two", {"a": x + 1, "b": 2 * x + 1}),
        x_label="an x",
    ).axes
    assert (left.get_xlabel(), left.get_ylabel()) == ("an x", "one")
    assert heights(right.lines[1]) == [1, 3, 5]
    colours = [line.get_color() for line in right.lines]
    assert colours == [COLOURS["blue"], COLOURS["orange"]]
    assert texts(left) == ["here"]
    assert left.get_legend() is None  # a lone curve is named by its axis
    legend = right.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == ["a", "b"]


def figure() -> BookFigure:
    return draw_networks(
        Column("a title", LAYERS, [True, False, False], GRADIENTS)
    )


def test_a_notebook_gets_svg_and_png_and_always_the_same() -> None:
    shown = figure()._repr_mimebundle_()
    assert shown["image/svg+xml"].count("<svg") == 1
    assert shown.keys() == {"image/svg+xml", "image/png"}
    assert shown == figure()._repr_mimebundle_()


def test_saved_files_are_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg", "one.png", "two.png"):
        figure().savefig(tmp_path / name)
    for suffix in ("svg", "png"):
        one, two = (tmp_path / f"{name}.{suffix}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_one_figure_is_the_same_however_often_it_is_shown(
    tmp_path: Path,
) -> None:
    shown = figure()
    once = shown._repr_mimebundle_()
    assert shown._repr_mimebundle_() == once
    shown.savefig(tmp_path / "a.svg")
    still = once["image/svg+xml"].replace(
        f"<style>{shown.motion}</style>\n", ""
    )
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == still


def test_dots_appear_from_the_last_layer_to_the_first() -> None:
    column = Column("", [3, 3, 3, 3, 3, 1], [False] * 5, [0.1, 0.2, 0.3, 1, 2])
    svg = draw_networks(column, column)._repr_mimebundle_()["image/svg+xml"]
    assert (
        "<style>@media screen and (prefers-reduced-motion: no-preference) {"
        '[id^="gradient-"] { animation: appear 0.5s both }'
        '[id^="gradient-0-"] { animation-delay: 2.6s }'
        '[id^="gradient-1-"] { animation-delay: 2.2s }'
    ) in svg
    assert (
        "animation-delay: 1.0s } } "
        "@keyframes appear { from { opacity: 0 } }</style>\n</svg>"
    ) in svg
    starts = {
        int(layer): float(start)
        for layer, start in re.findall(
            r'\[id\^="gradient-(\d)-"\] { animation-delay: ([\d.]+)s }', svg
        )
    }
    assert sorted(starts, key=lambda layer: starts[layer]) == [4, 3, 2, 1, 0]
    assert max(starts.values()) + 0.5 < 5  # more would need a switch
    moved = re.findall(r'<g id="(gradient-(\d)-\d(?:-label)?)">', svg)
    assert len({name for name, _ in moved}) == len(moved) == 2 * 5 * 2
    assert {int(layer) for _, layer in moved} == starts.keys()


def test_other_figures_do_not_move() -> None:
    still = draw_curves(
        torch.arange(3), Panel("", {"": torch.ones(3)}), x_label=""
    )
    assert (
        "<style"
        not in still._repr_mimebundle_()["image/svg+xml"].split("</defs>", 1)[
            1
        ]
    )


def test_no_drawing_holds_a_date(tmp_path: Path) -> None:
    figure().savefig(tmp_path / "a.SVG")
    figure().savefig(tmp_path / "a.dot.svg")
    figure().savefig(tmp_path / "b.svg", metadata={"Title": "a title"})
    figure().savefig(tmp_path / "c", format="svg")
    drawings = [
        path.read_text(encoding="utf-8") for path in tmp_path.iterdir()
    ]
    assert len(drawings) == 4
    assert not any("<dc:date>" in drawing for drawing in drawings)
    assert sum("<dc:title>a title" in drawing for drawing in drawings) == 1


def test_the_readers_settings_neither_change_nor_matter() -> None:
    plain = figure()._repr_mimebundle_()
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "none"}):
        before = dict(matplotlib.rcParams)
        assert figure()._repr_mimebundle_() == plain
        assert dict(matplotlib.rcParams) == before


def test_imports_load_no_more_than_they_need() -> None:
    code = (
        "import sys; import shortcuts; assert 'matplotlib' not in sys.modules;"
        "import shortcuts.figures; assert 'pyplot' not in str(sys.modules)"
    )
    path = Path(__file__).parents[2] / "code"
    subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(path)},
        check=True,
    )


# Many networks in one picture


def test_a_median_in_its_band() -> None:
    table = torch.tensor([[1.0, 9.0], [2.0, 5.0], [3.0, 7.0]])
    panel = Panel("y", {"many": table, "one": table[0]}, title="a title")
    (axes,) = draw_curves(torch.tensor([0, 1]), panel, x_label="x").axes
    assert [heights(line) for line in axes.lines] == [[2, 7], [1, 9]]
    assert axes.get_title() == "a title"
    (band,) = axes.collections
    corners = {tuple(p) for p in np.asarray(band.get_paths()[0].vertices)}
    assert {(0, 1.5), (1, 6), (0, 2.5), (1, 8)} <= corners
    # Layers are whole numbers, and so are their ticks.
    assert all(tick == round(tick) for tick in axes.get_xticks())


def test_zeros_are_counted_where_they_cannot_be_drawn() -> None:
    table = torch.tensor([[1.0, 0.0], [2.0, 5.0], [3.0, 7.0]])
    curves = {"a": table, "b": table + 1}
    x = torch.arange(2)
    for log, names in (
        (False, ["a", "b"]),
        (True, ["a (1 of 3 with a zero)", "b"]),
    ):
        (axes,) = draw_curves(x, Panel("y", curves, log=log), x_label="x").axes
        assert [line.get_label() for line in axes.lines] == names
        assert axes.get_yscale() == ("log" if log else "linear")


def test_nothing_infinite_is_drawn() -> None:
    table = torch.tensor([[1.0, math.inf], [2.0, 5.0]])
    with pytest.raises(ValueError, match="1 of 4 numbers that are"):
        draw_curves(torch.arange(2), Panel("y", {"a": table}), x_label="x")


def test_names_stand_where_curves_end_apart() -> None:
    far = {"low": torch.tensor([3.0, 1.0]), "high": torch.tensor([2.0, 5.0])}
    figure = draw_curves(torch.arange(2), Panel("y", far), x_label="x")
    (axes,) = figure.axes
    assert axes.get_legend() is None
    names: Any = axes.texts
    to_data = axes.transAxes + axes.transData.inverted()
    low, high = (to_data.transform(name.xy).tolist() for name in names)
    assert low == pytest.approx([1, 1])
    assert high == pytest.approx([1, 5])
    for line, name in zip(axes.lines, names, strict=True):
        assert name.get_color() == line.get_color()
    near = far | {"as low": torch.tensor([4.0, 1.1])}
    (axes,) = draw_curves(torch.arange(2), Panel("y", near), x_label="x").axes
    names = axes.texts
    places = dict(zip(near, (name.xy[1] for name in names), strict=True))
    assert 0.07 < places["as low"] - places["low"] < 0.08
    assert places["high"] == pytest.approx(1 - 1 / 22)
    row = draw_curves(
        torch.arange(2), Panel("y", near), Panel("z", far), x_label="x"
    )
    assert [axes.get_legend() is None for axes in row.axes] == [False, False]
    row = draw_curves(
        torch.arange(2), Panel("y", far), Panel("z", far), x_label="x"
    )
    assert [axes.get_legend() for axes in row.axes] == [None, None]
    assert [len(axes.texts) for axes in row.axes] == [0, 2]
    many = {str(i): torch.tensor([i, 1.0]) for i in range(5)}
    (axes,) = draw_curves(torch.arange(2), Panel("y", many), x_label="x").axes
    assert axes.get_legend() is not None
    assert not axes.texts


def test_short_logarithmic_axes_have_plain_numbers() -> None:
    for top, plain in (3.0, True), (1e9, False):
        curve = {"a": torch.tensor([0.2, top])}
        panel = Panel("y", curve, log=True)
        figure = draw_curves(torch.arange(2), panel, x_label="x")
        figure.draw_without_rendering()
        axis = figure.axes[0].yaxis
        ticks = axis.get_ticklabels() + axis.get_ticklabels(minor=True)
        said = {tick.get_text() for tick in ticks} - {""}
        assert said
        assert all(("10^" in text) != plain for text in said)


def test_rows_of_panels_and_one_legend_for_the_same_names() -> None:
    x, curve = torch.arange(3), torch.arange(3.0)
    same = [Panel(f"y{i}", {"a": curve, "b": curve}) for i in range(3)]
    other = Panel("y3", {"c": curve, "d": curve})
    figure = draw_curves(x, *same, other, x_label="x", columns=2)
    assert [axes.get_ylabel() for axes in figure.axes] == [
        *("y0", "y1", "y2", "y3")
    ]
    places = [axes.get_subplotspec() for axes in figure.axes]
    rows = [place.rowspan.start for place in places if place]
    assert rows == [0, 0, 1, 1]
    legends = [axes.get_legend() is not None for axes in figure.axes]
    assert legends == [True, False, False, True]


def test_a_distribution_its_median_and_the_marked_one() -> None:
    values = torch.tensor([0.0, 1.0, 10.0, 100.0, 1e3, 1e4])
    figure = draw_distributions(
        Sample("first", values, mark=4),
        Sample("second", values[1:]),
        x_label="times",
        mark_label="number 4:",
    )
    first, second = figure.axes
    assert first.get_title(loc="left") == "first (1 are zero)"
    assert first.get_title(loc="right") == "median 55, number 4: 1,000"
    assert second.get_title(loc="left") == "second"
    assert second.get_title(loc="right") == "median 100"
    median, mark = first.lines
    assert np.asarray(median.get_xdata()).tolist() == pytest.approx([55] * 2)
    assert np.asarray(mark.get_xdata()).tolist() == [1e3]
    (histogram,) = first.patches
    assert isinstance(histogram, StepPatch)
    counts, *_ = histogram.get_data()
    assert sum(counts) == 5
    assert second.get_xlabel() == "times"
    with pytest.raises(ValueError, match="infinite or nan"):
        draw_distributions(
            Sample("a", torch.tensor([1.0, math.inf])), x_label=""
        )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (torch.zeros(3), "not all zero.*from 0 to 0"),
        (torch.tensor([1.0, -2.0]), "not negative.*from -2 to 1"),
        (torch.ones(2, 2), r"a vector.*shape \(2, 2\)"),
    ],
)
def test_samples_that_have_no_distribution(
    values: torch.Tensor, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        draw_distributions(Sample("a", values), x_label="")


def test_a_sample_of_equal_numbers() -> None:
    figure = draw_distributions(Sample("a", torch.full((9,), 3.0)), x_label="")
    (histogram,) = figure.axes[0].patches
    assert isinstance(histogram, StepPatch)
    counts, edges, _ = histogram.get_data()
    place = int(np.argmax(counts))
    assert edges[place] <= 3.0 < edges[place + 1]


def test_expected_curves_guides_and_colours() -> None:
    x = torch.arange(2)
    panel = Panel(
        *("y", {"a": torch.ones(2)}),
        expected={"theory": torch.zeros(2)},
        colours=("green",),
        guide=0.5,
    )
    (axes,) = draw_curves(x, panel, x_label="x").axes
    guide, curve, theory = axes.lines
    assert heights(guide) == [0.5, 0.5]
    assert curve.get_color() == COLOURS["green"]
    assert theory.get_color() == COLOURS["ink"]
    assert heights(theory) == [0, 0]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["a", "theory"]


def test_a_lone_curve_with_zeros_says_so() -> None:
    table = torch.tensor([[1.0, 0.0], [2.0, 5.0]])
    panel = Panel("y", {"a": table}, log=True)
    (axes,) = draw_curves(torch.arange(2), panel, x_label="x").axes
    assert axes.get_legend() is not None


def test_wrong_curves() -> None:
    x = torch.arange(3)
    with pytest.raises(ValueError, match=r"3 numbers.*'a', got shape \(2,\)"):
        draw_curves(x, Panel("y", {"a": torch.ones(2)}), x_label="x")
    curve = torch.tensor([1.0, math.nan, 2.0])
    with pytest.raises(ValueError, match="finite curve 'a', got 1 of 3"):
        draw_curves(x, Panel("y", {"a": curve}), x_label="x")
    many = Panel("y", {name: torch.ones(3) for name in "abcdef"})
    with pytest.raises(ValueError, match=r"at most 5 curves, .* got 6"):
        draw_curves(torch.arange(3), many, x_label="x")
    with pytest.raises(ValueError, match="at least one panel, got none"):
        draw_curves(x, x_label="x")


def test_wrong_points_and_rows() -> None:
    one = Points(torch.ones(1), torch.ones(1))
    zero = Points(torch.ones(1), torch.zeros(1))
    labels = {"x_label": "x", "y_label": "y"}
    with pytest.raises(ValueError, match="at most five kinds, got 6"):
        draw_points(dict.fromkeys("abcdef", one), line=("", one), **labels)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="positive numbers, got a"):
        draw_points({"a": zero}, line=("", one), **labels)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2 samples for the row 'a', got 1"):
        draw_ranges(
            {"a": [torch.ones(2)]}, titles=["x", "y"], limits=(0.1, 10)
        )


def test_points_and_their_line() -> None:
    dots = Points(torch.tensor([1.0, 10.0]), torch.tensor([2.0, 20.0]))
    ends = Points(torch.tensor([0.1, 20.0]), torch.tensor([0.2, 40.0]))
    (axes,) = draw_points(
        {"a": dots, "b": dots}, line=("law", ends), x_label="x", y_label="y"
    ).axes
    labels = {line.get_label(): line for line in axes.lines}
    assert list(labels) == ["law", "a", "b"]
    assert heights(labels["a"]) == [2.0, 20.0]
    assert heights(labels["law"]) == pytest.approx([0.2, 40.0])
    markers = {labels["a"].get_marker(), labels["b"].get_marker()}
    assert len(markers) == 2
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_ranges_say_what_they_cannot_draw() -> None:
    rows = {
        "inside": [torch.tensor([1.0, 2.0, 3.0])],
        "below": [torch.full((3,), 1e-9)],
        "above": [torch.full((3,), 1e9)],
        "zero": [torch.zeros(3)],
    }
    (axes,) = draw_ranges(
        rows, titles=["a"], limits=(1e-3, 1e3), grey=["above"]
    ).axes
    assert texts(axes) == ["2 ", " ◂ 1e-09", "1e+09 ▸ ", " ◂ exactly 0"]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(rows)
    assert dots(axes) == [2.0]
    (bar,) = [line for line in axes.lines if line.get_alpha()]
    assert np.asarray(bar.get_xdata()).tolist() == pytest.approx([1.1, 2.9])
    assert bar.get_color() == COLOURS["blue"]


def test_rows_to_compare_with_are_grey() -> None:
    rows = {name: [torch.tensor([1.0, 2.0])] for name in ("old", "new")}
    options = {"titles": ["a"], "limits": (0.1, 10.0), "grey": ["old"]}
    (axes,) = draw_ranges(rows, **options).axes  # type: ignore[arg-type]
    drawn = [line.get_color() for line in axes.lines[1:]]
    assert drawn == [COLOURS["grey"]] * 2 + [COLOURS["blue"]] * 2


def test_shares_and_their_intervals() -> None:
    rows = {"a": Proportion(0.5, 0.4, 0.75), "b": Proportion(1.0, 0.9, 1.0)}
    (axes,) = draw_shares(rows, x_label="x").axes
    drawn = [np.asarray(line.get_xdata()).tolist() for line in axes.lines]
    assert drawn == [[40.0, 75.0], [50.0], [90.0, 100.0], [100.0]]
    assert texts(axes) == [str(share) for share in rows.values()]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert axes.yaxis_inverted()  # the first is on top


def test_medians_and_marks_are_written_out() -> None:
    sample = Sample("", torch.tensor([1e6, 1e6, 2.0]), 2)
    (axes,) = draw_distributions(sample, x_label="").axes
    assert axes.get_title(loc="right") == "median 1e+06,  2"


def test_pixels_of_a_picture_in_a_notebook() -> None:
    png = base64.b64decode(figure()._repr_mimebundle_()["image/png"])
    assert int.from_bytes(png[16:20]) == 6.4 * 200  # its header's width


def log_of(steps: Sequence[int], **rows: Sequence[Any]) -> GradientLog:
    """Return a log of one lens: for each name, a number or None by step."""
    log = GradientLog()
    for i, step in enumerate(steps):
        row = {f"blocks.{name}": values[i] for name, values in rows.items()}
        log.add(step, dW={n: v for n, v in row.items() if v is not None})
    return log


def mesh(axes: Axes) -> QuadMesh:
    (found,) = axes.collections
    assert isinstance(found, QuadMesh)
    return found


def boxes(axes: Axes) -> dict[str, list[list[float]]]:
    """Return the ends of each box that is left blank, by its hatch."""
    found = {}
    for patch in axes.patches:
        corners = np.asarray(patch.get_path().vertices).reshape(-1, 5, 2)
        ends = [[*box.min(0), *box.max(0)] for box in corners]
        found[patch.get_hatch() or ""] = sorted(ends)
    return found


def ticks(axis: Axis) -> dict[float, str]:
    labels = [label.get_text() for label in axis.get_ticklabels()]
    return dict(zip(axis.get_ticklocs(), labels, strict=True))


def legend_of(figure: BookFigure) -> list[str]:
    legends = figure.legends
    return [text.get_text() for one in legends for text in one.get_texts()]


def test_cells_of_a_log_lie_at_their_steps_the_first_name_below() -> None:
    log = log_of([10, 20, 60], a=[1.0, 2.0, 3.0], b=[4.0, 5.0, 1e-6])
    figure = draw_log(log, "dW", label="mean", x_label="iteration")
    axes, bar = figure.axes
    array = mesh(axes).get_array()
    assert array is not None
    assert array.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 1e-6]]
    corners = np.asarray(mesh(axes).get_coordinates())
    assert corners[0, :, 0].tolist() == [5.0, 15.0, 40.0, 80.0]
    assert corners[:, 0, 1].tolist() == [-0.5, 0.5, 1.5]
    assert not axes.yaxis_inverted()
    assert ticks(axes.yaxis) == {0: "a", 1: "b"}
    assert axes.get_ylabel() == "blocks.*"
    assert axes.get_xlabel() == "iteration"
    assert axes.get_title() == ""
    assert (bar.get_ylabel(), bar.get_yscale()) == ("mean", "log")
    assert bar.get_ylim() == pytest.approx((1e-6, 5.0))
    assert mesh(axes).get_cmap().name == COLOURED
    assert legend_of(figure) == []


def test_panels_of_logs_share_their_colours() -> None:
    logs = {
        "one": log_of([0, 1], a=[1.0, 100.0], b=[1.0, 1.0]),
        "two": log_of([0, 5], a=[0.01, 1.0], b=[1.0, 1.0]),
        "three": log_of([7], a=[3.0], b=[0.0]),
    }
    *panels, bar = draw_log(logs, "dW", label="").axes
    assert [axes.get_title() for axes in panels] == list(logs)
    assert {axes.get_xlabel() for axes in panels} == {"step"}
    first, *others = panels
    shared = first.get_shared_y_axes()
    assert all(shared.joined(first, other) for other in others)
    norms = [mesh(axes).norm for axes in panels]
    assert {(norm.vmin, norm.vmax) for norm in norms} == {(0.01, 100.0)}
    assert bar.get_ylim() == pytest.approx((0.01, 100.0))
    assert [axes.get_ylabel() for axes in panels] == ["blocks.*", "", ""]
    assert panels[2].get_xlim() == (6.5, 7.5)
    assert [tick for tick in panels[2].get_xticks() if 6.5 < tick < 7.5] == [7]
    figure = draw_log(logs, "dW", label="", columns=2)
    *panels, _ = figure.axes
    at = [axes.get_subplotspec().rowspan.start for axes in panels]  # type: ignore[union-attr]
    assert at == [0, 0, 1]
    assert [axes.get_ylabel() for axes in panels] == [
        "blocks.*",
        "",
        "blocks.*",
    ]
    assert panels[2].get_xlim() == (6.5, 7.5)
    *panels, bar = draw_log(logs, "dW", label="", limits=(0.1, 10.0)).axes
    assert {(n.vmin, n.vmax) for n in (mesh(a).norm for a in panels)} == {
        (0.1, 10.0)
    }
    assert bar.get_ylim() == pytest.approx((0.1, 10.0))
    del logs["three"]
    logs["other"] = log_of([0], c=[1.0])
    *panels, _ = draw_log(logs, "dW", label="").axes
    assert ticks(panels[1].yaxis) == {0: "a", 1: "b"}
    assert ticks(panels[2].yaxis) == {0: "blocks.c"}


def test_only_the_names_of_the_lens() -> None:
    log = GradientLog()
    log.add(0, h={"a": 1.0, "b": 2.0}, dW={"c": 3.0})
    assert ticks(draw_log(log, "dW", label="").axes[0].yaxis) == {0: "c"}


def test_what_has_no_colour_is_blank_and_counted() -> None:
    nan, inf = math.nan, math.inf
    log = log_of(
        [0, 1, 2, 3],
        a=[1.0, 0.0, 0.0, nan],
        b=[2.0, 0.0, 0.0, -0.0],
        c=[0.0, 0.0, 0.0, inf],
        d=[None, 1.0, None, 1.0],
    )
    figure = draw_log({"": log, "other": log_of([0], a=[0.0])}, "dW", label="")
    axes = figure.axes[0]
    array = mesh(axes).get_array()
    assert array is not None
    assert np.ma.filled(array, 9).tolist() == [
        [1, 9, 9, 9],
        [2, 9, 9, 9],
        [9, 9, 9, 9],
        [9, 1, 9, 1],
    ]
    assert mesh(axes).norm.vmin == 1
    assert boxes(axes) == {
        "////": [
            [-0.5, 1.5, 2.5, 2.5],
            [0.5, -0.5, 2.5, 0.5],
            [0.5, 0.5, 3.5, 1.5],
        ],
        "xxxxx": [[2.5, -0.5, 3.5, 0.5], [2.5, 1.5, 3.5, 2.5]],
        "": [[-0.5, 2.5, 0.5, 3.5], [1.5, 2.5, 2.5, 3.5]],
    }
    assert legend_of(figure) == [
        *("exactly 0 (9)", "nan or inf (2)", "not logged (2)")
    ]


def test_blank_rows_of_one_kind_are_one_box() -> None:
    rows = {name: [1.0, math.nan, math.nan, 1.0] for name in "abc"}
    axes, _ = draw_log(log_of(range(4), **rows), "dW", label="").axes
    assert boxes(axes) == {"xxxxx": [[0.5, -0.5, 2.5, 2.5]]}


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_a_log_without_any_size(value: float) -> None:
    figure = draw_log(log_of([4], a=[value]), "dW", label="")
    (axes,) = figure.axes  # and no bar
    assert ticks(axes.yaxis) == {0: "blocks.a"}
    assert axes.get_ylabel() == ""
    assert len(legend_of(figure)) == 1
    assert figure._repr_mimebundle_().keys() == {"image/svg+xml", "image/png"}


def test_a_log_with_one_size() -> None:
    figure = draw_log(log_of([0, 1], a=[2.0, 2.0]), "dW", label="")
    low, high = figure.axes[1].get_ylim()
    assert low < 2.0 < high
    assert figure._repr_mimebundle_().keys() == {"image/svg+xml", "image/png"}


def deep(layers: int, steps: int) -> GradientLog:
    start = "model.transformer.layers"
    log = GradientLog()
    for i in range(steps):
        names = (f"{start}.{n}.attention.weight" for n in range(layers))
        row = {name: (n + 1.0) * (i % 7) for n, name in enumerate(names)}
        log.add(1000 * i, h=row)
    return log


@pytest.mark.parametrize("layers", [1, 3, 14, 15, 300])
@pytest.mark.parametrize("panels", [1, 3])
def test_no_words_lie_over_others(layers: int, panels: int) -> None:
    log, other = deep(layers, 120), deep(layers + 1, 9)
    logs = {f"panel {i}": log for i in range(panels - 1)} | {"last": other}
    figure = draw_log(logs, "h", label="mean $|dL/dh|$")
    figure.draw_without_rendering()
    words = [
        text
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_visible() and text.get_text()
    ]
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low <= tick.get_loc() <= high:  # is not drawn
                    words = [word for word in words if word != tick.label1]
    ends = [word.get_window_extent() for word in words]
    for (one, a), (two, b) in combinations(zip(words, ends, strict=True), 2):
        assert not a.overlaps(b), (one.get_text(), two.get_text())
    for word, end in zip(words, ends, strict=True):
        assert figure.bbox.containsx(end.x0), word
        assert figure.bbox.containsx(end.x1), word
        assert float(word.get_fontsize()) >= 9
    assert 1 <= len(figure.axes[0].get_yticks()) <= 15


def test_rows_are_as_high_as_their_names_need() -> None:
    def height(*layers: int) -> float:
        logs = {str(i): deep(n, 2) for i, n in enumerate(layers)}
        return draw_log(logs, "h", label="", columns=1).get_figheight()

    assert height(3) < height(14) == height(15) == height(300)
    assert height(14, 14) == 2 * height(14)


def test_long_names_end_where_their_rows_do() -> None:
    """A line has room for two characters, and twelve more stand beside."""
    for layers, room in (3, 18), (14, 40), (300, 40):
        name = draw_log(deep(layers, 2), "h", label="").axes[0].get_ylabel()
        assert name[0] == "…"
        assert (
            name[1:] == "model.transformer.layers.*.attention.weight"[-room:]
        )


def test_a_large_log_is_a_small_file_and_always_the_same() -> None:
    log = deep(300, 30)
    svg = draw_log(log, "h", label="")._repr_mimebundle_()["image/svg+xml"]
    assert svg.count("<image") == 2  # all cells, and the bar
    assert len(svg) < 200_000
    again = draw_log(log, "h", label="")._repr_mimebundle_()["image/svg+xml"]
    assert svg == again


def test_many_blank_boxes_are_pixels_too() -> None:
    few, many = GradientLog(), GradientLog()
    for step in range(50):
        few.add(step, h={"a": step % 2})
        many.add(step, h={f"{i}": (step + i) % 2 for i in range(50)})
    panels = draw_log({"few": few, "many": many}, "h", label="").axes[:2]
    assert [axes.patches[0].get_rasterized() for axes in panels] == [
        *(False, True)
    ]


def test_logs_that_cannot_be_drawn() -> None:
    log = log_of([0, 1], a=[1.0, -2.0], b=[math.nan, -0.5])
    for logs, said in (
        ({}, "at least one log, got none"),
        (log, "no negative 'dW', got -2.0"),
        ({"empty": GradientLog()}, "one of the lenses [], got 'dW'"),
    ):
        with pytest.raises(ValueError, match=f"^expected {re.escape(said)}$"):
            draw_log(logs, "dW", label="")


# What they look like

MANY = torch.tensor([[1.0, 9.0, 0.0], [2.0, 5.0, 0.0], [3.0, 7.0, 5.0]])
TWO = torch.tensor([0.5, 2.0])
PICTURES: dict[str, Callable[[], BookFigure]] = {
    "curves": lambda: draw_curves(
        torch.tensor([0, 10, 32]),
        Panel("many", {"a": MANY, "b": MANY + 1}, log=True, guide=3.0),
        Panel(
            "many",
            {"a": MANY + 1, "b": MANY + 2},
            title="a title",
            colours=("green", "purple"),
        ),
        Panel(
            "one",
            {"c": TWO.new_tensor([1.0, 3.0, 2.0])},
            {"here": (0, 10)},
            expected={"a theory": TWO.new_tensor([1.0, 2.0, 2.0])},
        ),
        x_label="layer",
        columns=2,
    ),
    "curves-named": lambda: draw_curves(
        torch.tensor([0, 10, 32]),
        Panel("y", {"low": 4 * MANY[:, 0], "high": 4 * MANY[:, 1]}),
        x_label="layer",
    ),
    "curves-one": lambda: draw_curves(
        TWO,
        Panel("y", {"a": TWO, "b": 2 * TWO}),
        Panel("z", {"a": 9 * TWO}),
        x_label="x",
        share_y=True,
    ),
    "distributions": lambda: draw_distributions(
        Sample("first", torch.linspace(0.0, 900.0, 50), 20),
        Sample("second", torch.linspace(0.1, 5.0, 50)),
        x_label="a ratio",
        mark_label="this one:",
    ),
    "points": lambda: draw_points(
        {name: Points(TWO, TWO**i) for i, name in enumerate("abcde")},
        line=("a line", Points(TWO, TWO)),
        x_label="across",
        y_label="up",
        guide=1.0,
    ),
    "ranges": lambda: draw_ranges(
        {
            "in": [MANY[:, 0], MANY[:, 1]],
            "out": [1e9 * MANY[:, 0], 1e-9 * MANY[:, 1]],
            "zero": [MANY[:, 2], MANY[:, 1]],
            "wide": [torch.tensor([1e-5, 1.0, 1e5]), MANY[:, 0]],
            "low": [torch.tensor([1e-9, 1e-9, 1e9]), MANY[:, 0]],
            "edge": [
                torch.full((3,), end).double() for end in (2**-10, 2**10)
            ],
        },
        titles=("left", "right"),
        limits=(2**-10, 2**10),
        grey=["wide"],
    ),
    "shares": lambda: draw_shares(
        {"many": Proportion(0.9, 0.8, 0.95), "few": Proportion(0.1, 0, 0.2)},
        x_label="of 100",
    ),
    "slopes": lambda: draw_slopes(
        "W",
        torch.linspace(-1, 1, 3),
        torch.tensor([[1.0, 2.0, 3.0], [4.0, 4.0, 5.0]]).repeat(2, 1, 1),
        torch.tensor([[1.0, 0.5], [0.5, 1.0]]),
    ),
    "blocks": lambda: draw_blocks(
        {
            "short": ["Linear", "GELU", "+"],
            "with a part after": ["Linear", "ReLU", "Linear", "+", "ReLU"],
        }
    ),
    "log": lambda: draw_log(
        {
            "one": log_of(
                [0, 1, 2, 4, 8],
                **{"0": [1.0, 0.0, 0.0, 0.0, 0.0]},
                **{"1": [1.0, 0.1, 0.01, 1e-3, 0.0]},
                **{"10": [None, None, 5.0, 30.0, math.inf]},
            ),
            "two": log_of([0, 20], **{name: [1, 2] for name in "abc"}),
        },
        "dW",
        label="mean |dL/dW|",
        x_label="time",
    ),
    "regions": lambda: draw_regions(
        {"plain": [torch.eye(3).int(), torch.ones(3, 3).int()]},
        titles=["2 layers", "all"],
    ),
    "tables": lambda: draw_tables(
        {name: torch.eye(4) for name in ("plain", "shortcuts")},
        limits=(0, 1),
        label="share right",
        x_label="read at layer",
        y_label="fitted at layer",
    ),
    "networks": lambda: draw_networks(
        Column("plain", LAYERS, [False] * 3, GRADIENTS),
        Column("a title", LAYERS, [True, True, False], [0.1, 0.0, 1.0]),
        Column("bare", [2, 3], [False]),
        Column("infinite", [2, 3], [False], [math.inf]),
    ),
}
PIXELS = re.compile(r'(?<=;base64,)[^"]*|(?<=id="image)[^"]*')
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


@pytest.mark.skipif(
    matplotlib.__version_info__ < (3, 11),
    reason="before 3.11 Matplotlib writes other words into an SVG",
)
@pytest.mark.parametrize("name", PICTURES)
def test_they_look_as_when_they_were_last_looked_at(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STYLE, "svg.fonttype", "none")  # words stay words
    drawn = tmp_path / f"{name}.svg"
    PICTURES[name]().savefig(drawn)
    old = (Path(__file__).parent / "pictures" / f"{name}.svg").read_text()
    # The packing of pixels is not ours.
    new, old = (PIXELS.sub("", text) for text in (drawn.read_text(), old))
    look = f"if {drawn} looks right, let it stand"
    assert NUMBER.sub("", new) == NUMBER.sub("", old), look
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (new, old)]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.02), look


def test_regions() -> None:
    """Each class in a colour of its own, the first line below."""
    first, second = torch.tensor([[0, 1], [2, 2]]), torch.tensor([[1, 1]])
    rows = {"plain": [first, second], "shortcuts": [second, first]}
    figure = draw_regions(rows, titles=["2", "4"])
    axes = figure.axes
    assert [one.get_title() for one in axes] == ["2", "4", "", ""]
    labels = [one.get_ylabel() for one in axes]
    assert labels == ["plain", "", "shortcuts", ""]
    half = draw_regions({"plain": [first, second]}, titles=["2", "4"])
    heights = [one.get_figheight() - 0.3 for one in (figure, half)]
    assert heights[0] == pytest.approx(2 * heights[1])
    (image,) = axes[0].images
    assert image.origin == "lower"
    assert np.asarray(image.get_array()).tolist() == first.tolist()
    colours = image.cmap(image.norm(np.arange(len(LINES))))
    expected = [matplotlib.colors.to_rgba(COLOURS[name]) for name in LINES]
    assert colours == pytest.approx(np.array(expected))


def test_tables() -> None:
    """Lines are counted from 1 at the bottom, colours are shared."""
    table = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 2.0]])
    words: dict[str, Any] = {
        "label": "share",
        "x_label": "read",
        "y_label": "fitted",
    }
    tables = {"a": table, "b": table.T, "c": table}
    figure = draw_tables(tables, limits=(0, 1.5), columns=2, **words)
    *panels, bar = figure.axes
    one_row = draw_tables({"a": table, "b": table}, limits=(0, 1), **words)
    assert figure.get_figheight() == 2 * one_row.get_figheight()
    assert [one.get_title() for one in panels] == ["a", "b", "c"]
    assert bar.get_ylabel() == "share"
    (image,) = panels[0].images
    assert image.origin == "lower"
    assert list(image.get_extent()) == [0.5, 3.5, 0.5, 2.5]
    assert np.asarray(image.get_array()).tolist() == table.tolist()
    assert {one.images[0].get_clim() for one in panels} == {(0, 1.5)}
    assert bar.get_ylim() == (0, 1.5)
    assert panels[1].get_position().y0 > panels[2].get_position().y0


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (
            lambda: draw_regions({}, titles=[]),
            "expected at least one row, got none",
        ),
        (
            lambda: draw_regions({"a": [torch.ones(1, 1)]}, titles=["1", "2"]),
            "expected 2 maps of 'a', got 1",
        ),
        (
            lambda: draw_regions({"a": [torch.tensor([[5]])]}, titles=[""]),
            "expected classes from 0 to 4, got 5 to 5",
        ),
        (
            lambda: draw_tables(
                {}, limits=(0, 1), label="", x_label="", y_label=""
            ),
            "expected at least one table, got none",
        ),
        (
            lambda: draw_tables(
                {"a": torch.tensor([[math.nan]])},
                limits=(0, 1),
                label="",
                x_label="",
                y_label="",
            ),
            "expected .*table 'a'.*",
        ),
    ],
)
def test_what_is_no_map(draw: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}$"):
        draw()


def test_rates_have_a_logarithmic_axis() -> None:
    panel = Panel("loss", {"a": torch.ones(2)})
    for log_x, scale in ((False, "linear"), (True, "log")):
        figure = draw_curves(
            torch.tensor([0.1, 1.0]), panel, x_label="rate", log_x=log_x
        )
        assert figure.axes[0].get_xscale() == scale


# As others see them

KINDS = [None, "deuteranomaly", "protanomaly", "tritanomaly"]
# What a dark page makes of a colour: book.css inverts it and turns its hue
# round. These are the matrices of the Filter Effects specification.
TURNED_ROUND = np.array(
    [[-0.574, 1.430, 0.144], [0.426, 0.430, 0.144], [0.426, 1.430, -0.856]]
)


def seen(name: str, kind: str | None, dark: bool) -> np.ndarray:
    """Return a colour of ours as it is seen, by whom, on which page."""
    channels = [int(COLOURS[name][i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return viewed(np.array(channels), kind, dark)


def viewed(colour: np.ndarray, kind: str | None, dark: bool) -> np.ndarray:
    """Return a colour as it is seen, by whom, on which page."""
    if dark:
        colour = np.clip(TURNED_ROUND @ (1 - colour), 0, 1)
    if kind:
        space = {"name": "sRGB1+CVD", "cvd_type": kind, "severity": 100}
        colour = np.clip(cspace_convert(colour, space, "sRGB1"), 0, 1)
    return colour


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return how different two colours look; 1 is just to be seen."""
    return float(deltaE(one, other, input_space="sRGB1"))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_sizes_can_be_told_apart(kind: str | None, dark: bool) -> None:
    colours = matplotlib.colormaps[COLOURED](np.linspace(0, 1, 11))[:, :3]
    shades = [viewed(colour, kind, dark) for colour in colours]
    page = np.full(3, 0x12 / 255 if dark else 1.0)
    assert all(difference(shade, page) > 10 for shade in shades)
    assert all(difference(*pair) > 3 for pair in pairwise(shades))
    light = [luminance(shade) for shade in shades]
    assert light == sorted(light, reverse=dark)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_curves_can_be_told_apart(kind: str | None, dark: bool) -> None:
    for one, other in combinations(LINES, 2):
        apart = difference(seen(one, kind, dark), seen(other, kind, dark))
        assert apart > 9, (one, other)
    ours = seen("blue", kind, dark), seen("orange", kind, dark)
    assert difference(*ours) > 40  # without and with shortcuts


def luminance(colour: np.ndarray) -> float:
    """Return relative luminance, as WCAG defines it."""
    linear = np.where(
        colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4
    )
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", COLOURS)
def test_colours_stand_out_from_the_page(
    name: str, kind: str | None, dark: bool
) -> None:
    page = luminance(np.full(3, 0x12 / 255)) if dark else 1.0
    shades = sorted([luminance(seen(name, kind, dark)), page])
    assert (shades[1] + 0.05) / (shades[0] + 0.05) > 3  # WCAG 1.4.11


def test_dark_pages_turn_colours_round_as_these_tests_do() -> None:
    css = Path(__file__).parents[2] / "book" / "_static" / "book.css"
    rule = "filter: invert(1) hue-rotate(180deg) !important;"
    assert css.read_text(encoding="utf-8").count(rule) == 1


def test_only_the_figures_module_names_colours() -> None:
    root = Path(__file__).parents[2]
    sources = [*(root / "book").glob("*.md"), *(root / "code").rglob("*.py")]
    for path in sources:
        named = re.findall(r"#[0-9a-f]{6}\b", path.read_text(encoding="utf-8"))
        assert not named or path.name == "figures.py", path
