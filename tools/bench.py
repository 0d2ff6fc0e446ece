"""Print costs as ratios: `make bench`.

Everything printed is a ratio of what was measured in this run: machines
differ, and are busy. A loop of ``DeepNeuralNetwork`` and ``measure_gradients``
is held against an ``Ensemble`` of the same networks, the drawing of their
weights included in both. Builds of the book are held against the *floor*, all
cells of the book as one script in one process. Turning a knob of the
laboratory is held against a frame of the screen. To look at gradients is held
against one read of them in float32, and what it costs is written to
``book/costs.csv``, which a chapter shows.
"""

import csv
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import torch
from playwright.sync_api import sync_playwright
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from helpers import CHAPTERS, ROOT, Build, build, shown, without
from press.chromium import launch
from shortcuts import (
    DeepNeuralNetwork,
    Watch,
    gradient_means,
    measure_gradients,
)
from shortcuts.ensembles import Ensemble
from shortcuts.printed import SIZES
from shortcuts.tasks import spirals
from shortcuts.training import train
from shortcuts.transformers import GPT

X = torch.tensor([[1.0, 0.0, -1.0]])
ROUNDS = 5
COSTS = ROOT / "book" / "costs.csv"
FRAME = 16  # milliseconds
# A hundred turns of a knob, each with all that the page then writes anew.
TURN = """([knob, factor]) => {
  const input = document.getElementById(`knob-${knob}`);
  return [...Array(100)].map((_, turn) => {
    input.value = turn * factor;
    const start = performance.now();
    input.dispatchEvent(new Event("input", { bubbles: true }));
    document.body.getBoundingClientRect();
    return performance.now() - start;
  });
}"""


def loop(networks: int) -> int:
    """Count the tables that rise at every layer, one network at a time."""
    rising = 0
    for seed in range(networks):
        torch.manual_seed(seed)
        model = DeepNeuralNetwork(SIZES, use_shortcut=True)
        table = list(measure_gradients(model, X).values())
        rising += table == sorted(table)
    return rising


def together(networks: int) -> int:
    """Count the same, many networks at a time."""
    ensemble = Ensemble(SIZES, use_shortcut=True, seeds=range(networks))
    return sum(
        int((chunk.gradients.diff(dim=1) >= 0).all(dim=1).sum())
        for chunk in ensemble.measure_in_chunks(X)
    )


def seconds_each(count: int, run: object) -> float:
    """Return the time of one network."""
    assert callable(run)
    start = perf_counter()
    run(count)
    return (perf_counter() - start) / count


def peak(networks: int) -> int:
    """Return the peak memory of a process that measures so many."""
    command = [sys.executable, __file__, str(networks)]
    return int(subprocess.check_output(command))


def trainings() -> None:
    """Print how many trainings of 16 layers fit into the time of one."""
    task = spirals()
    sizes = [2, *[16] * 15, 3]

    def run(count: int) -> None:
        networks = Ensemble(sizes, use_shortcut=True, seeds=range(count))
        train(networks, *task, rates=0.01, steps=20, batch=64)

    def one(seed: int) -> None:
        torch.manual_seed(seed)
        model = DeepNeuralNetwork(sizes, use_shortcut=True)
        adam = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(20):
            at = torch.randint(len(task.x), (64,))
            adam.zero_grad()
            torch.autograd.backward(
                cross_entropy(model(task.x[at]), task.y[at])
            )
            adam.step()

    loop, many = seconds(partial(one, 0), partial(run, 64))
    print(f"trainings in the time of one, 64 together: {64 * loop / many:.0f}")


def networks() -> None:
    """Print the cost of many networks at once."""
    assert loop(300) == together(300)
    ratios = []
    for _ in range(ROUNDS):
        one, many = seconds_each(500, loop), seconds_each(10_000, together)
        ratios.append(one / many)
    ratios.sort()
    print(
        "10,000 networks together, times faster than a loop: "
        f"{ratios[ROUNDS // 2]:.0f} ({ratios[0]:.0f} to {ratios[-1]:.0f})"
    )
    counts = (10_000, 100_000, 1_000_000)
    times = [seconds_each(count, together) for count in counts]
    peaks = [peak(count) for count in counts]
    for count, time, memory in zip(counts, times, peaks, strict=True):
        print(
            f"{count:9,} networks: time each {time / times[0]:.2f}, "
            f"peak memory {memory / peaks[0]:.2f}"
        )


def gpt2_small() -> nn.Module:
    """Return all weights of a model of GPT-2's smallest size."""
    shapes = [(50257, 768), (1024, 768)]
    shapes += [(2304, 768), (768, 768), (3072, 768), (768, 3072)] * 12
    return nn.ParameterDict(
        {f"weight{i}": torch.empty(shape) for i, shape in enumerate(shapes)}
    )


def fill(model: nn.Module, dtype: torch.dtype) -> list[nn.Parameter]:
    """Give every parameter a gradient."""
    for parameter in model.to(dtype).parameters():
        parameter.grad = torch.rand_like(parameter)
    return list(model.parameters())


def seconds(*runs: Callable[[], object]) -> list[float]:
    """Return the least time of each, measured in turns."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(ROUNDS + 1):
        for run, own in zip(runs, times, strict=True):
            start = perf_counter()
            run()
            own.append(perf_counter() - start)
    return [min(own[1:]) for own in times]


def each(grads: list[Tensor], look: Callable[[Tensor], object]) -> None:
    """Look at each gradient."""
    for grad in grads:
        look(grad)


def mean_size(grad: Tensor) -> float:
    """Return a gradient's mean size, as a reader's own loop would."""
    return grad.abs().mean().item()


def step(watched: bool) -> Callable[[], object]:
    """Return a step of a training of a small GPT."""
    model = GPT(128, 256, width=128, heads=4, depth=6)
    text = torch.randint(128, (8, 256))

    def run() -> None:
        model.zero_grad()
        loss = cross_entropy(model(text).flatten(0, 1), text.flatten())
        torch.autograd.backward(loss)

    def run_watched() -> None:
        with Watch(model) as watch:
            run()
            watch.read()

    return run_watched if watched else run


def measuring() -> None:
    """Print the cost of looking at gradients, and keep it for the book."""
    rows: list[tuple[str, float]] = []
    one = 0.0  # read, in float32
    model = gpt2_small()
    for dtype in (torch.float32, torch.bfloat16):
        weights = fill(model, dtype)
        grads = [w.grad for w in weights if w.grad is not None]
        read, means, loop, clip = seconds(
            partial(each, grads, Tensor.sum),
            partial(gradient_means, model),
            partial(each, grads, mean_size),
            partial(clip_grad_norm_, weights, math.inf),
        )
        one = one or read
        if find_spec("lightning"):
            from lightning.pytorch.utilities import grad_norm

            (peer,) = seconds(partial(grad_norm, model, 2))
            print(f"Lightning's grad_norm, {dtype}: {peer / one:.2f}")
        kind = str(dtype).removeprefix("torch.")
        rows += [
            (f"`gradient_means`, {kind}", means / one),
            (f"`p.grad.abs().mean().item()` for each, {kind}", loop / one),
            (f"`clip_grad_norm_`, {kind}", clip / one),
        ]
    few, many = (
        nn.ParameterDict(
            {f"weight{i}": torch.empty(3, 3) for i in range(count)}
        )
        for count in (800, 8000)
    )
    for small in (few, many):
        fill(small, torch.float32)
    times = seconds(
        partial(gradient_means, few), partial(gradient_means, many)
    )
    print(f"8,000 small weights / 800: {times[1] / times[0]:.1f}")
    plain, watched = seconds(step(False), step(True))
    rows.append(("a step with a `Watch`, of one without", watched / plain))
    with COSTS.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["what", "percent"])
        for what, ratio in rows:
            print(f"{what:<55}{ratio:6.2f}")
            writer.writerow([what, round(100 * ratio)])


def script(chapter: str) -> str:
    """Return the cells of a chapter as one script, with names of its own."""
    code = "\n".join(shown(chapter))
    return f"exec({code!r}, {{}})\n"


def seconds_of_script(code: str) -> tuple[float, float]:
    """Return the time that a process of its own takes, and that of its CPU."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.py"
        path.write_text(code, encoding="utf-8")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = perf_counter()
        subprocess.run(
            [sys.executable, path.name],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(ROOT / "code")},
            check=True,
        )
        wall = perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user = after.ru_utime - before.ru_utime
    return wall, user + after.ru_stime - before.ru_stime


def seconds_of_build(project: Path) -> tuple[float, Build]:
    """Return the time of a build, cold or not, and the build."""
    start = perf_counter()
    built = build(project, project / "_build")
    return perf_counter() - start, built


def seconds_of_make(build: Path, *targets: str) -> float:
    """Return the time of some targets, all that they need being set up."""
    start = perf_counter()
    run = subprocess.run(
        ["make", *targets, f"VENV={sys.prefix}"],
        cwd=ROOT,
        env=without("MAKE") | {"BUILD": str(build)},
        capture_output=True,
        text=True,
    )
    if run.returncode:
        sys.exit(run.stdout + run.stderr)
    return perf_counter() - start


def gates(floor: float) -> None:
    """Print how long the gates take."""
    with tempfile.TemporaryDirectory() as folder:
        build = Path(folder)
        html = seconds_of_make(build, "html")
        all_three = seconds_of_make(build, "html", "pdf", "epub")
        test = seconds_of_make(build, "test")
        check = seconds_of_make(build, "check")
    for what, ratio in (
        ("make html / floor", html / floor),
        ("make html pdf epub / make html", all_three / html),
        ("make test / make html", test / html),
        ("make check / make html", check / html),
    ):
        print(f"{what:<42}{ratio:6.2f}")
    print()


def builds() -> None:
    """Print the cost of builds of the book."""
    floor, cpu = seconds_of_script("".join(map(script, CHAPTERS)))
    gates(floor)
    print(f"{'':<42}floors   pages run")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        ignored = shutil.ignore_patterns(".*", "_build", "__pycache__")
        shutil.copytree(ROOT, project, ignore=ignored)
        page = project / "book" / f"{CHAPTERS[1]}.md"
        module = project / "code" / "shortcuts" / "printed.py"
        conf = project / "conf.py"
        for what, path, old, new in (
            ("a cold build", None, "", ""),
            ("one again, nothing changed", None, "", ""),
            ("after a change of prose", page, "\n## ", "\nMore.\n\n## "),
            ("after a change of a cell", page, "\nimport ", "\nimport os, "),
            ("after a change of a module", module, "import re", "import re\n"),
            ("the pages alone, execution off", conf, '"force"', '"off"'),
        ):
            if path is not None:
                text = path.read_text(encoding="utf-8")
                assert old in text
                path.write_text(text.replace(old, new, 1), encoding="utf-8")
            wall, built = seconds_of_build(project)
            # Without their examples the pages are refused, and yet written.
            assert (built.status == 0) == (new != '"off"'), built.output
            if what == "a cold build":
                html = shutil.copytree(built.html, Path(folder) / "html")
            ran = built.output.count("Executing notebook using")
            print(f"{what:<42}{wall / floor:6.2f}{ran:12}")
        laboratory(html)
    print("\nshare of the CPU time, run alone:")
    for chapter in CHAPTERS:
        print(
            f"{chapter:<42}{seconds_of_script(script(chapter))[1] / cpu:6.2f}"
        )


def laboratory(html: Path) -> None:
    """Print the cost of turning a knob at 32 layers of 64 units."""
    address = (html / "laboratory.html").as_uri() + "#depth=32&width=64"
    print("\n32 layers of 64 units in the laboratory, shares of a frame:")
    with sync_playwright() as playwright, launch(playwright) as browser:
        page = browser.new_page()
        for what, options, knob, factor in (
            ("another seed", "", "seed", 1),
            ("another scale", "&shortcut=on", "scale", 0.01),
            ("... of exact GELU", "&activation=gelu", "scale", 0.01),
            ("... with LayerNorm", "&norm=pre&shortcut=on", "scale", 0.01),
        ):
            page.goto("about:blank")
            page.goto(address + options)
            page.evaluate(TURN, [knob, factor])  # compiles it
            times = sorted(page.evaluate(TURN, [knob, factor]))
            low, median, high = (times[i] / FRAME for i in (0, 50, 99))
            print(f"{what:<42}{median:6.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        together(int(sys.argv[1]))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    else:
        networks()
        trainings()
        print()
        measuring()
        print()
        builds()
