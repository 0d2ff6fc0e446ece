"""How much faster are many networks at once than a loop? `make bench`.

Everything printed is a ratio of what was measured in this run: machines
differ, and are busy. A loop of ``DeepNeuralNetwork`` and ``measure_gradients``
is held against an ``Ensemble`` of the same networks, the drawing of their
weights included in both.
"""

import resource
import subprocess
import sys
from time import perf_counter

import torch

from shortcuts import DeepNeuralNetwork, measure_gradients
from shortcuts.ensembles import Ensemble
from shortcuts.printed import SIZES

X = torch.tensor([[1.0, 0.0, -1.0]])
ROUNDS = 5


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
    command = [sys.executable, "-m", "tests.bench", str(networks)]
    return int(subprocess.check_output(command))


def main() -> None:
    """Print the ratios."""
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


if __name__ == "__main__":
    if len(sys.argv) > 1:
        together(int(sys.argv[1]))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    else:
        main()
