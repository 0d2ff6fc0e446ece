"""What counts as a weight in other people's architectures, and its mean."""

import math
import os
import random
import re
import socket
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList
from zoo import ZOO, loss_of

from shortcuts import gradient_means, measure_loss
from shortcuts.weights import left_out

BUILD = Path(__file__).parents[2] / os.environ.get("BUILD", "_build")
TABLE = BUILD / "elsewhere" / "left-out.txt"
rows: dict[str, str] = {}
worst: dict[str, float] = {}  # relative differences, which are small


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Write what was left out of each, for somebody to read."""
    yield
    if not rows:
        return
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    most = max(worst, key=lambda name: worst[name])
    last = f"{len(rows)} models; farthest off: {worst[most]:.0e}, {most}\n"
    TABLE.write_text("\n".join([*rows.values(), last]), encoding="utf-8")


@pytest.fixture(autouse=True)
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("an architecture asks for a download")

    monkeypatch.setattr(socket.socket, "connect", refused)


def seed() -> None:
    """Begin all random numbers anew."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def made(name: str) -> tuple[nn.Module, Callable[[], Tensor]]:
    """Return a model in training mode, and what computes its loss."""
    seed()
    model, args, kwargs = ZOO[name]()
    model.train()
    return model, lambda: loss_of(model(*args, **kwargs))


def exact(model: nn.Module) -> dict[str, float]:
    """Return the means by this test's own rule, in float64."""
    names = defaultdict(list)
    weights: dict[int, nn.Parameter] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        for leaf, parameter in module._parameters.items():
            if parameter is None or not parameter.requires_grad:
                continue
            stands_for = f"{path}.{leaf}".lstrip(".")
            if isinstance(module, ParametrizationList):
                stands_for = path.replace("parametrizations.", "")
            called_weight = "weight" in stands_for
            called_bias = "bias" in stands_for.split(".")[-1]
            if (called_weight or parameter.dim() >= 2) and not called_bias:
                weights[id(parameter)] = parameter
                names[id(parameter)].append(f"{path}.{leaf}".lstrip("."))
    means = {}
    for key, parameter in weights.items():
        telling = [name for name in names[key] if "weight" in name]
        name, grad = (telling or names[key])[0], parameter.grad
        if grad is None:
            means[name] = math.nan
        else:
            dense = grad.to_dense() if grad.is_sparse else grad
            means[name] = dense.double().abs().mean().item()
    return means


def quiet_means(measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Measure without a word on what gets no gradient: the table tells."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "no gradient reached")
        return measure()


def close(means: dict[str, float]) -> Any:
    return pytest.approx(means, rel=1e-6, abs=1e-30, nan_ok=True)


def row(name: str, model: nn.Module, means: dict[str, float]) -> str:
    """Say what is measured of a model, and what is not, layers as stars."""
    out = left_out(model)
    said = {n: why for n, why in out.items() if not n.endswith("bias")}
    for weight, mean in means.items():
        if math.isnan(mean):
            said[weight] = "measured, but no gradient"
    reasons = Counter(
        f"{re.sub('[0-9]+', '*', weight)}: {why}"
        for weight, why in said.items()
    )
    biases = sum(weight.endswith("bias") for weight in out)
    lines = [f"{name}: {len(means)} weights, {biases} of the name bias"]
    lines += [f"    {count} x {words}" for words, count in reasons.items()]
    return "\n".join(lines) + "\n"


def all_names(model: nn.Module) -> list[str]:
    parameters = model.named_parameters(remove_duplicate=False)
    return [name for name, _ in parameters]


def test_there_are_many() -> None:
    assert len({name.split(",")[0] for name in ZOO}) >= 30


@pytest.mark.parametrize("name", ZOO)
def test_means_are_those_of_a_loop_and_nothing_is_lost(name: str) -> None:
    model, loss = made(name)
    loss().backward()
    means = quiet_means(lambda: gradient_means(model))
    rows[name] = row(name, model, means)
    print(rows[name])
    expected = exact(model)
    worst[name] = max(
        abs(means[weight] / mean - 1)
        for weight, mean in expected.items()
        if mean > 0
    )
    assert means == close(expected)
    assert sum(mean > 0 for mean in means.values()) > len(means) / 3
    names, out = all_names(model), left_out(model)
    assert sorted([*means, *out]) == sorted(names)
    assert list(means) == [weight for weight in names if weight in means]


def trace(model: nn.Module) -> dict[str, Any]:
    """Return all that a pass might change, tensors as copies."""
    found: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].tolist(),
        "python": random.getstate(),
    }
    for path, module in model.named_modules():
        found[f"{path}: mode"] = module.training
        found[f"{path}: attributes"] = sorted(vars(module))
        for name, buffer in module._buffers.items():
            found[f"{path}: buffer {name}"] = buffer
    for name, parameter in model.named_parameters():
        found[f"{name}: value"] = parameter.detach()
        found[f"{name}: grad"] = parameter.grad
    return {
        name: value.clone() if isinstance(value, Tensor) else value
        for name, value in found.items()
    }


def assert_no_trace(before: dict[str, Any], model: nn.Module) -> None:
    after = trace(model)
    assert before.keys() == after.keys()
    for name, value in before.items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(
                after[name], value, rtol=0, atol=0, equal_nan=True, msg=name
            )
        else:
            assert after[name] == value, name


@pytest.mark.parametrize("name", ZOO)
def test_one_batch_measured_leaves_no_trace(name: str) -> None:
    model, loss = made(name)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    seed()
    before = trace(model)
    measured = quiet_means(lambda: measure_loss(model, loss))
    assert_no_trace(before, model)
    assert quiet_means(lambda: measure_loss(model, loss)) == close(measured)
    assert_no_trace(before, model)
    model.zero_grad()
    loss().backward()
    assert measured == close(exact(model))
