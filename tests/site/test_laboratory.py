"""The laboratory shows torch's own numbers, whatever its knobs say."""

import gzip
import hashlib
import itertools
import math
import random
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
import torch
from playwright.sync_api import Browser, Locator, Page
from torch import nn

from helpers import (
    CHAPTERS,
    PAGES,
    Build,
    Visit,
    first_of,
    source,
    text_of,
    without,
)
from shortcuts import GELU
from shortcuts.ensembles import Ensemble, Lenses

ACTIVATIONS: dict[str, Any] = {
    "gelu-tanh": GELU,
    "gelu": lambda: GELU("none"),
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
METRICS = ["printed", "output", "delta"]
PRESETS = re.findall(
    r"^\((.*)\)=\n### .*\n\n```\{preset\}", source("laboratory"), re.M
)
EXACT = 1e-8  # relative, of what is no exact zero


class State(NamedTuple):
    """The settings of all knobs."""

    depth: int = 5
    width: int = 3
    activation: str = "gelu-tanh"
    shortcut: str = "off"
    skip: float = 1
    scale: float = 1
    norm: str = "none"
    seed: int = 123
    metric: str = "printed"

    @property
    def address(self) -> str:
        """Return the fragment of an address."""
        return urlencode(self._asdict())

    def linears(self) -> list[nn.Linear]:
        """Draw the weights as a reader would."""
        sizes = [self.width] * self.depth + [1]
        torch.manual_seed(self.seed)
        return [nn.Linear(n, m) for n, m in itertools.pairwise(sizes)]

    def measure(self, use_shortcut: bool) -> Lenses:
        """Measure the network in float64, with the package."""
        x = torch.linspace(1, -1, self.width, dtype=torch.float64)
        with warnings.catch_warnings(action="ignore"):  # of overflow
            return Ensemble(
                [self.width] * self.depth + [1],
                use_shortcut,
                seeds=[self.seed],
                activation=ACTIVATIONS[self.activation],
                skip_scale=self.skip,
                branch_scale=self.scale,
                normalise=self.norm == "pre",
            ).measure(x[None])


def states(count: int) -> Iterator[State]:
    """Turn all knobs at random, the same way each time."""
    chance = random.Random(412)
    for number in range(count):
        large = 10 ** chance.uniform(-3, 6)
        yield State(
            depth=chance.randint(1, 50),
            width=chance.randint(1, 64),
            activation=chance.choice([*ACTIVATIONS]),
            shortcut=chance.choice(["off", "on"]),
            skip=chance.choice([0, 1, 1, 1, chance.uniform(0, 2)]),
            scale=chance.choice([0, 1, chance.uniform(0, 2), large]),
            norm=chance.choice(["none", "pre"]),
            seed=chance.choice([123, number, chance.randrange(2**32)]),
            metric=chance.choice(METRICS),
        )


STATES = [*states(600)]
# A change has to agree with some of them, a release with all.
few_and_all = pytest.mark.parametrize("count", first_of([40, len(STATES)]))


@pytest.fixture(scope="module")
def lab(browser: Browser, site: str) -> Iterator[Visit]:
    """Open the laboratory."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit = Visit(context.new_page(), site)
    visit.open("laboratory.html")
    yield visit
    assert visit.complaints == []
    context.close()


SHOW = """async addresses => {
  const go = address => new Promise(there => {
    if (location.hash === `#${address}`) return there();
    addEventListener("hashchange", there, { once: true });
    location.hash = address;
  });
  const found = [];
  await go("elsewhere");
  for (const address of addresses) {
    await go(address);
    const rows = [...document.querySelectorAll("#lab tbody tr")];
    found.push(rows.map(
      row => [...row.querySelectorAll("data")].map(field => field.value)));
  }
  return found;
}"""


def show(page: Page, *addresses: str) -> list[list[list[float]]]:
    """Return the numbers of the table at each of these addresses.

    A row is a layer: gradients without and with shortcuts, activations without
    and with them.
    """
    found = page.evaluate(SHOW, addresses)
    return [[[float(n) for n in row] for row in rows] for rows in found]


# The rows of the table, as they stand
TABLE = """[...document.querySelectorAll("#lab tbody tr")].map(
  row => [...row.querySelectorAll("data")].map(data => Number(data.value)))"""


# The same numbers


@few_and_all
def test_weights_are_torchs_to_the_last_bit(
    browser: Browser, site: str, count: int
) -> None:
    page = browser.new_page()
    page.goto(site + "laboratory.html")
    widths = [STATES[width]._replace(width=width) for width in range(1, 65)]
    cases = STATES[:count] + widths
    digests = page.evaluate(
        """async cases => {
          const code = document.querySelector("script[type=module]").text;
          const blob = new Blob([code], { type: "text/javascript" });
          const lab = await import(URL.createObjectURL(blob));
          const found = [];
          for (const [seed, sizes] of cases) {
            const linears = lab.drawLinears(seed, sizes);
            const parts = linears.flatMap(part => [part.weight, part.bias]);
            const bytes = await new Blob(parts).arrayBuffer();
            const digest = await crypto.subtle.digest("SHA-256", bytes);
            found.push([...new Uint8Array(digest)]);
          }
          return found;
        }""",
        [[s.seed, [s.width] * s.depth + [1]] for s in cases],
    )
    page.close()
    for state, digest in zip(cases, digests, strict=True):
        data = b"".join(
            part.detach().numpy().tobytes()
            for linear in state.linears()
            for part in (linear.weight, linear.bias)
        )
        assert bytes(digest) == hashlib.sha256(data).digest(), state


def expected(state: State, lenses: Lenses) -> torch.Tensor:
    """Return the gradient of each layer in the metric of a state."""
    if state.metric == "delta":
        return lenses.deltas[0]
    if state.metric == "printed" or lenses.outputs == 0:  # then all are zero
        return lenses.gradients[0]
    return lenses.gradients[0] / (2 * lenses.outputs.abs().item())


def tolerance(lenses: Lenses) -> float:
    """Return how exactly float64 knows the gradients of a network.

    All of them are multiples of the slope of the last unit, which is known to
    some 1e-16, however small it is.
    """
    slope = (lenses.deltas[0, -1] / (2 * lenses.outputs.abs())).item()
    return 1e-15 / slope if 0 < slope < 1e-7 else EXACT


def agrees(found: torch.Tensor, right: torch.Tensor, close: float) -> bool:
    """Say whether numbers are the same, zeros as zeros, inf beyond 1e300."""
    beyond = ~(right < 1e300)
    within = (found - right).abs() <= close * right + 1e-300
    same = torch.where(beyond, ~(found < 1e300), within)
    zeros = (found == 0) == (right == 0)
    return bool((same & (zeros | (close >= 1))).all())


@few_and_all
def test_numbers_are_torchs_in_float64(lab: Visit, count: int) -> None:
    tables = show(lab.page, *(state.address for state in STATES[:count]))
    exact = zeros = overflows = 0
    for state, rows in zip(STATES[:count], tables, strict=True):
        found = torch.tensor(rows, dtype=torch.float64).T
        assert found.shape == (4, state.depth)
        lenses = [
            state.measure(use_shortcut) for use_shortcut in (False, True)
        ]
        for lens, gradients, activations in zip(
            lenses, found[:2], found[2:], strict=True
        ):
            right = expected(state, lens)
            tiny = 0 < lens.outputs.abs().item() < 1e-99
            if state.metric == "output" and not (
                right.isfinite().all() and not tiny
            ):
                continue  # infinity by infinity, 0 by nearly 0 say nothing
            assert agrees(gradients, right, tolerance(lens)), state
            assert agrees(activations, lens.activations[0], EXACT), state
            zeros += bool((right == 0).any())
            overflows += bool((~right.isfinite()).any())
        exact += all(tolerance(lens) == EXACT for lens in lenses)
    assert exact >= 5 / 6 * count
    assert zeros > count / 12
    assert overflows >= count // 150


# The Python


def python(lab: Visit) -> str:
    """Copy the Python as a reader does.

    By key: a click is lost where the button changes its icon back, two
    seconds after the copy before, between the mouse's down and its up.
    """
    page = lab.page
    page.evaluate("navigator.clipboard.writeText('nothing')")
    page.evaluate("document.querySelector('#lab .python').open = true")
    page.locator("#lab .python button.copybtn").press("Enter")
    return str(page.evaluate("navigator.clipboard.readText()"))


def fields(printed: str) -> list[list[str]]:
    """Return the fields of what it prints, below its first line."""
    return [line.split() for line in printed.splitlines()[1:]]


def run(code: str) -> str:
    """Run it here, where torch is imported; return what it prints."""
    printed = StringIO()
    with torch.random.fork_rng(), redirect_stdout(printed):
        exec(code, {})
    return printed.getvalue()


def columns(page: Page, network: int) -> list[list[str]]:
    """Return gradients and activations of a network, as the table says."""
    said = page.evaluate(
        """() => [...document.querySelectorAll("#lab tbody tr")].map(
          row => [...row.querySelectorAll("data")].map(d => d.textContent))"""
    )
    words = {"exactly 0": "0.000e+00", "overflow": "inf"}
    return [
        [words.get(row[i], row[i]) for row in said]
        for i in (network, network + 2)
    ]


EVERY_ACTIVATION = [
    f"activation={name}&depth=7&width=5&norm={norm}&shortcut=on&scale=0.3&skip=0.9"
    for name, norm in zip(ACTIVATIONS, ["none", "pre"] * 3, strict=True)
]


@pytest.mark.parametrize("address", [*PRESETS, *EVERY_ACTIVATION])
def test_the_copied_python_prints_the_numbers(
    lab: Visit, address: str
) -> None:
    show(lab.page, address)
    chosen = lab.page.locator("#knob-shortcut").input_value()
    network = ["off", "on"].index(chosen)
    lines = fields(run(python(lab)))
    layers = [[*column] for column in zip(*lines, strict=True)]
    assert layers[0] == [str(layer) for layer in range(len(layers[0]))]
    for metric, column in zip(METRICS, layers[2:], strict=True):
        lab.page.select_option("#knob-metric", metric)
        assert columns(lab.page, network) == [column, layers[1]]


def test_the_copied_python_runs_anywhere(lab: Visit, tmp_path: Path) -> None:
    show(lab.page, PRESETS[0])
    code = python(lab)
    (tmp_path / "pasted.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "pasted.py"],
        cwd=tmp_path,
        env=without("PYTHONPATH") | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run(code)


# Presets


@pytest.mark.parametrize("name", PRESETS)
def test_presets_show_what_the_page_says_of_them(
    lab: Visit, book: Build, name: str
) -> None:
    rows = show(lab.page, name)[0]
    (part,) = book.soup("laboratory").select(f"section#{name}")
    words = re.search(
        r"gradient: (\S+) at layer 0, (\S+) at the last", text_of(part)
    )
    assert words
    network = lab.page.locator("#knob-shortcut").input_value() == "on"
    ends = rows[0][network], rows[-1][network]
    assert words.groups() == tuple(f"{end:.3e}" for end in ends)
    pressed = lab.page.locator("#lab [aria-pressed=true]")
    assert part.h3
    assert text_of(part.h3) == f"{pressed.inner_text()}#"
    says = lab.page.locator("#lab .preset-says").inner_text()
    assert len(says) > 100


def test_every_preset_is_what_a_chapter_has_just_said(book: Build) -> None:
    linked = {
        str(link["href"]).partition("#")[2]
        for chapter in CHAPTERS
        for link in book.soup(chapter).select("a[href*='laboratory.html#']")
    }
    assert linked == {*PRESETS}
    assert len(PRESETS) == 7


def test_a_button_is_a_preset(lab: Visit) -> None:
    show(lab.page, "prenorm")
    lab.page.get_by_role("button", name="ReZero").click()
    assert lab.page.locator("#knob-scale").input_value() == "0"
    assert lab.page.evaluate("location.hash") == "#rezero"
    lab.page.get_by_role("button", name="Reset").click()
    assert lab.page.evaluate("location.hash") == "#listing-without"


def test_who_comes_by_a_link_sees_the_laboratory(
    browser: Browser, site: str
) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(site + "scaling.html")
    page.locator("a[href='laboratory.html#explosion']").first.click()
    page.wait_for_function("document.querySelector('#lab tbody')")
    page.wait_for_load_state("load")
    page.wait_for_function("scrollY > 0")
    box = page.locator("#lab").bounding_box()
    assert box
    assert 0 <= box["y"] < 200
    assert page.locator("#knob-depth").input_value() == "50"
    page.close()


# Knobs


def state_of(page: Page) -> dict[str, str]:
    """Return the settings of the knobs."""
    found: dict[str, str] = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(
          "#lab [id^=knob]")].map(knob => [knob.name, knob.value]))"""
    )
    return found


def test_the_address_carries_the_state(lab: Visit) -> None:
    page = lab.page
    show(page, "listing-without")
    for knob, value in (("depth", "9"), ("width", "4"), ("seed", "77")):
        page.fill(f"#knob-{knob}", value)
    page.fill("#knob-skip", "0.75")
    page.fill("#knob-scale", "0.25")
    for knob, choice in (
        ("activation", "silu"),
        ("shortcut", "on"),
        ("norm", "pre"),
        ("metric", "delta"),
    ):
        page.select_option(f"#knob-{knob}", choice)
    state, address = state_of(page), page.evaluate("location.hash")
    assert state == dict(
        pair.split("=") for pair in address.lstrip("#").split("&")
    )
    assert len(state) == 9
    page.goto(f"{lab.home}laboratory.html?again{address}")
    assert state_of(page) == state
    page.get_by_role("button", name="Reset").click()
    assert state_of(page)["depth"] == "5"
    assert page.evaluate("location.hash") == "#listing-without"


def test_sliders_and_keys_turn_knobs(lab: Visit) -> None:
    page = lab.page
    show(page, "listing-with")
    slider = page.get_by_label("Layers, slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#knob-depth").input_value() == "6"
    assert page.locator("#lab tbody tr").count() == 6
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    assert page.locator("#knob-width").input_value() == "4"
    assert page.get_by_label("Units in each, slider").input_value() == "4"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "depth=51",
            "expected depth to be a whole number from 1 to 50, got 51",
        ),
        (
            "width=2.5",
            "expected width to be a whole number from 1 to 64, got ",
        ),
        (
            "scale=-1",
            "expected scale to be a number from 0 to 1000000, got -1",
        ),
        ("seed=", "a whole number from 0 to 4294967295, got none"),
        ("norm=post", "expected norm to be one of none, pre, got post"),
        (
            "toString=1",
            "expected one of depth, width, skip, scale, seed, activation",
        ),
        ("seed=<i>1</i>", "from 0 to 4294967295, got <i>1</i>"),
    ],
)
def test_a_bad_address_changes_nothing(
    lab: Visit, address: str, words: str
) -> None:
    before = show(lab.page, "listing-with")
    assert show(lab.page, address) == before
    complaint = lab.page.locator("#lab [role=alert]")
    assert words in complaint.inner_text()
    show(lab.page, "rezero")
    assert complaint.inner_text() == ""


def test_a_bad_number_changes_nothing(lab: Visit) -> None:
    page = lab.page
    show(page, "listing-with")
    page.fill("#knob-depth", "0")
    complaint = page.locator("#lab [role=alert]")
    assert complaint.inner_text().endswith("from 1 to 50, got 0")
    assert page.locator("#knob-depth[aria-invalid=true]").count() == 1
    assert page.locator("#lab tbody tr").count() == 5
    page.fill("#knob-depth", "2")
    assert complaint.inner_text() == ""
    assert page.locator("[aria-invalid]").count() == 0
    assert page.locator("#lab tbody tr").count() == 2


# What is to be seen


@pytest.mark.parametrize(
    "address", ["explosion", "depth=1", "depth=3&shortcut=on&scale=1e6"]
)
def test_curves_pass_where_the_numbers_are(lab: Visit, address: str) -> None:
    rows = show(lab.page, address)[0]
    for panel in (0, 1):
        curves = lab.page.locator("#lab svg").nth(panel).locator("g g")
        drawn: list[tuple[float, float, float]] = []  # layer, log, height
        for network, kind in enumerate(("without", "with")):
            line = curves.and_(lab.page.locator(f".{kind}")).first
            places = re.findall(
                r"[ML]([\d.]+) ([\d.]+)",
                line.locator(".line").get_attribute("d") or "",
            )
            marks = line.locator(".marks").get_attribute("d") or ""
            assert re.findall(r"M([\d.]+) ([\d.]+)", marks) == places
            for row, (x, y) in zip(rows, places, strict=True):
                log = math.log10(row[network + 2 * panel])
                drawn.append((float(x), log, float(y)))
        # Equal steps of the logarithm are equal steps up, and layers go right.
        low, high = (f(drawn, key=lambda d: d[1]) for f in (min, max))
        assert low[2] - high[2] >= 10 * (high[1] - low[1] > 1)
        for _, log, y in drawn:
            part = (log - low[1]) / (high[1] - low[1] or 1)
            assert abs(y - low[2] - part * (high[2] - low[2])) < 0.2
        across = [x for x, _, _ in drawn[: len(rows)]]
        assert across == sorted({*across})
        assert across * 2 == [x for x, _, _ in drawn]


def ends(panel: Locator, kind: str) -> int:
    """Return how many triangles a curve has."""
    path = panel.locator(f"g.{kind} .ends").get_attribute("d") or ""
    return path.count("M")


def test_zeros_are_said(lab: Visit) -> None:
    show(lab.page, "dead-network")
    summary = lab.page.locator("#lab [role=status]").inner_text()
    assert "With shortcuts: gradient all exactly 0. Output y: e" in summary
    gradients = lab.page.locator("#lab svg").first
    assert "with shortcuts, all exactly 0" in gradients.inner_html()
    assert ends(gradients, "with") == 50
    fields = lab.page.locator("#lab tbody data").all_text_contents()
    assert fields[1] == "exactly 0"
    show(lab.page, "rezero")
    assert "49 of 50 exactly 0" in gradients.inner_html()


def test_overflow_is_said(lab: Visit) -> None:
    address = "depth=50&width=64&shortcut=on&scale=1e6&activation=silu"
    rows = show(lab.page, address)[0]
    assert not any(math.isfinite(row[1]) for row in rows)
    summary = lab.page.locator("#lab [role=status]").inner_text()
    assert "With shortcuts: gradient all overflow. Output y: " in summary
    gradients = lab.page.locator("#lab svg").first
    assert "with shortcuts, all overflow<" in gradients.inner_html()
    fields = lab.page.locator("#lab tbody data").all_text_contents()
    assert fields[1] == "overflow"
    assert ends(gradients, "with") > 9


def test_a_layer_is_pointed_at_in_both_panels(lab: Visit) -> None:
    show(lab.page, "listing-without")
    panel = lab.page.locator("#lab svg").nth(1)
    box = panel.bounding_box()
    assert box
    lab.page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 100)
    assert lab.page.locator("#lab svg .marked").count() == 2
    says = lab.page.locator("#lab .marked-says").inner_text()
    assert says.startswith("Layer 4: without shortcuts gradient 0.00505, mean")
    lab.page.mouse.move(0, 0)
    assert lab.page.locator("#lab svg .marked").count() == 0


@pytest.mark.parametrize("width", first_of([1280, 390]))
def test_everyone_can_use_it(browser: Browser, site: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    visit = Visit(page, site)
    visit.open("laboratory.html#dead-network")
    page.evaluate(
        "document.querySelectorAll('#lab details').forEach(d => d.open = true)"
    )
    page.fill("#knob-width", "99")
    assert page.locator("#lab [role=alert]").inner_text()
    wider = "document.documentElement.scrollWidth - window.innerWidth"
    assert page.evaluate(wider) <= 0
    assert visit.axe("light") + visit.axe("dark") == ""
    page.close()


# Without it


def test_without_scripts_the_build_shows_it(
    browser: Browser, site: str
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site + "laboratory.html")
    assert page.get_by_text("What it shows first").is_visible()
    assert page.locator("#lab form").count() == 0
    assert page.locator("#fig-laboratory img").is_visible()
    assert page.locator(".cell_output table tbody tr").count() == 5
    context.close()


def test_on_paper_stands_what_the_build_shows(lab: Visit) -> None:
    lab.page.emulate_media(media="print")
    assert lab.page.get_by_text("What it shows first").is_visible()
    assert not lab.page.locator("#lab form").is_visible()
    lab.page.emulate_media(media="screen")
    assert not lab.page.get_by_text("What it shows first").is_visible()
    assert lab.page.locator("#lab form").is_visible()


def test_the_table_of_the_build_is_that_of_the_laboratory(lab: Visit) -> None:
    show(lab.page, "listing-without")
    table = lab.page.locator(".cell_output table tbody tr")
    built = [row.split()[1:] for row in table.all_inner_texts()]
    live = [columns(lab.page, network) for network in (0, 1)]
    turned = [live[0][0], live[1][0], live[0][1], live[1][1]]
    assert [[*column] for column in zip(*built, strict=True)] == turned


def test_it_works_from_the_disk(browser: Browser, book: Build) -> None:
    page = browser.new_page()
    page.goto((book.html / "laboratory.html").as_uri() + "#rezero")
    assert page.locator("#lab tbody tr").count() == 50
    page.close()


# A few knobs, in chapters

# The knob that is turned, and the state in which it begins
FEW = {
    "measuring": ("seed", State(shortcut="on")),
    "identity": ("skip", State(31, 16, shortcut="on", seed=3, metric="delta")),
    "scaling": ("scale", State(50, 16, shortcut="on")),
}
each_few = pytest.mark.parametrize("name", FEW)
TOLD = re.compile(
    r"With shortcuts: (gradient|mean \|h\|) (\S+) at layer 0, (\S+) at layer "
    r"(\d+)\. Output y: (\S+)\. Gain at layer (\d+): (\S+)\."
)
# How high the page is, the place of the knobs, and the words above them
HEIGHTS = """["body", "#lab", "#lab > :first-child"].map(
  part => document.querySelector(part).getBoundingClientRect().height)"""
UNDO = """() => {
  document.querySelector("#lab > .live").style.display = "none";
  document.querySelector("#lab").classList.remove("alive");
}"""


@pytest.fixture
def few(browser: Browser, site: str, name: str) -> Iterator[Page]:
    """Open a chapter that has a few knobs."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    visit = Visit(page, site)
    visit.open(f"{name}.html#sources")
    yield page
    assert visit.complaints == []
    page.close()


@each_few
def test_keys_turn_a_few_knobs(few: Page, name: str) -> None:
    knob, state = FEW[name]
    few.locator("#lab a").last.focus()  # it stands above them
    turned = "([id, was]) => document.getElementById(id).value !== was"
    for key, times in (("ArrowDown", 1), ("ArrowRight", 7)):
        was = few.locator(f"#knob-{knob}").input_value()
        few.keyboard.press("Tab")
        few.wait_for_function("document.activeElement.matches('#lab *')")
        for _ in range(times):
            few.keyboard.press(key)
        few.wait_for_function(turned, arg=[f"knob-{knob}", was])
        value = few.locator(f"#knob-{knob}").input_value()
        turn: dict[str, Any] = {
            knob: int(value) if knob == "seed" else float(value)
        }
        before, state = state, state._replace(**turn)
        assert state != before
        # All numbers of the panel
        lenses = [state.measure(has) for has in (False, True)]
        shown = [
            lens.activations[0] if name == "scaling" else expected(state, lens)
            for lens in lenses
        ]
        rows = few.evaluate(TABLE)
        for found, right in zip(zip(*rows, strict=True), shown, strict=True):
            numbers = torch.tensor(found, dtype=torch.float64)
            assert agrees(numbers, right, EXACT)
        # What is said of them
        words = few.locator("#lab [role=status]").text_content()
        told = TOLD.fullmatch(words or "")
        assert told, words
        last, end = int(told[4]), int(told[6])
        assert (last, end) == (state.depth - 1, last * (name == "scaling"))
        for said, right in (
            (told[2], shown[1][0]),
            (told[3], shown[1][last]),
            (told[5], lenses[1].outputs),
            (told[7], shown[1][end] / shown[0][end]),
        ):
            assert float(said) == pytest.approx(right.item(), rel=0.01)


@pytest.mark.parametrize("width", first_of([1280, 390]))
@each_few
def test_nothing_moves(few: Page, name: str, width: int) -> None:
    few.set_viewport_size({"width": width, "height": 900})
    heights = few.evaluate(HEIGHTS)
    said = set()
    for value in ("0", "1", "2", "9", "-1", "777.7"):
        few.fill(f"#knob-{FEW[name][0]}", value)
        said.add(few.locator("#lab [role=alert]").inner_text())
        said.add(few.locator("#lab [role=status]").inner_text())
        assert few.evaluate(HEIGHTS) == heights
    few.locator("#lab svg").hover()
    said.add(few.locator("#lab .marked-says").inner_text())
    assert few.evaluate(HEIGHTS) == heights
    assert len(said) > 6
    few.evaluate(UNDO)  # as it was before the script came
    assert few.evaluate(HEIGHTS) == heights


@each_few
def test_the_link_takes_the_knobs_along(few: Page, name: str) -> None:
    knob, start = FEW[name]
    summary = few.locator("#lab [role=status]")
    said = summary.inner_text()
    few.fill(f"#knob-{knob}", "2")
    few.get_by_role("button", name="Reset").click()
    assert summary.inner_text() == said
    few.fill(f"#knob-{knob}", "2")
    few.keyboard.press("Tab")
    assert few.evaluate("location.hash") == "#sources"
    few.locator("#lab a").last.click()
    few.wait_for_url("**/laboratory.html#*")
    state = start._asdict() | {knob: 2}
    assert state_of(few) == {each: str(state[each]) for each in state}


@each_few
def test_without_scripts_a_link_stands_there(
    browser: Browser, site: str, name: str
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}{name}.html")
    link = page.locator("#lab").get_by_role("link", name="The laboratory")
    assert link.is_visible()
    assert page.locator("#lab form").count() == 0
    _, place, words = page.evaluate(HEIGHTS)
    assert place == words  # and no room for what does not come
    context.close()


@each_few
def test_on_paper_a_few_knobs_are_words(few: Page, name: str) -> None:
    few.emulate_media(media="print")
    assert few.get_by_role("link", name="The laboratory").first.is_visible()
    assert not few.locator("#lab form").is_visible()
    _, place, words = few.evaluate(HEIGHTS)
    assert place == words


# Bytes


def test_no_other_page_loads_it(book: Build) -> None:
    for name in PAGES:
        has = ("mersenneTwister" in book.page(name)) + (
            "laboratory.css" in book.page(name)
        )
        assert has == 2 * (name == "laboratory" or name in FEW)


def test_it_adds_few_bytes(book: Build) -> None:
    page = book.page("laboratory")
    script = re.search(r'<script type="module">.*?</script>', page, re.DOTALL)
    article = re.search(r"<article.*?</article>", page, re.DOTALL)
    assert script
    assert article
    style = book.html / "_static" / "laboratory.css"
    whole = page.encode() + style.read_bytes()
    empty = page.replace(script[0], "").replace(article[0], "").encode()
    added = len(gzip.compress(whole)) - len(gzip.compress(empty))
    assert 8_000 < added < 30_000
    assert len(script[0].encode() + style.read_bytes()) < 30_000
