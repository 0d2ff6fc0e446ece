"""Every refusal says in full what was expected, and what came."""

import ast
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import shortcuts
from shortcuts import DeepNeuralNetwork, gradient_means, measure_gradients
from shortcuts._checks import (
    check_finite,
    check_input,
    check_switch,
    check_tensor,
    checked_number,
    checked_sizes,
    checked_whole,
    listed,
    new_activation,
)
from shortcuts.auditing import audit, jacobian_norms
from shortcuts.blocks import Fixup, LayerScale, Residual
from shortcuts.ensembles import Ensemble
from shortcuts.figures import (
    Points,
    Sample,
    draw_curves,
    draw_distributions,
    draw_points,
)
from shortcuts.mean_field import (
    critical_point,
    normal_mean,
    pair_mean,
    propagate,
)
from shortcuts.statistics import quantiles

LAYER, X = nn.Linear(2, 2), torch.ones(1, 2)
INF = torch.tensor([1.0, math.inf])


class Pair(nn.Module):
    """A branch that returns two tensors."""

    def forward(self, h: torch.Tensor) -> Any:
        """Return it twice."""
        return h, h


def ensemble(**options: Any) -> Ensemble:
    return Ensemble([2, 1], False, **{"seeds": [0]} | options)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: check_tensor("x", [1.0, 2.0]),
            "x to be a tensor, got list",
        ),
        (
            lambda: check_switch("normalise", "no"),  # type: ignore[arg-type]
            "normalise to be True or False, got 'no'",
        ),
        (
            lambda: check_input(torch.arange(3), 3),
            "a floating-point input, got torch.int64",
        ),
        (
            lambda: DeepNeuralNetwork([2, 1], True)([1.0, 2.0]),
            "the input to be a tensor, got list",
        ),
        (
            lambda: Residual(Pair())(X),
            "what the branch returns to be a tensor, got tuple",
        ),
        (
            lambda: DeepNeuralNetwork(
                [2, 2],
                True,
                activation=torch.relu,  # type: ignore[arg-type]
            ),
            "activation to be a class or function that makes a module without "
            f"being given anything, such as nn.GELU, got {torch.relu!r}, "
            "which says: relu() missing 1 required positional arguments: "
            '"input"',
        ),
        (
            lambda: checked_sizes([3, 0]),
            "every layer size to be at least 1, got 0 in (3, 0)",
        ),
        (
            lambda: DeepNeuralNetwork([2, 2], 1),  # type: ignore[arg-type]
            "use_shortcut to be True or False, got 1",
        ),
        (
            lambda: DeepNeuralNetwork([2], True),
            "at least two layer sizes, of the input and of one layer, "
            "got (2,)",
        ),
        (
            lambda: DeepNeuralNetwork([2, 2], True, activation=nn.ReLU()),
            "activation to be a class or function that makes a module, such "
            "as nn.GELU, got ReLU()",
        ),
        (
            lambda: measure_gradients(nn.ReLU(), X),
            "a model with trainable weights (requires_grad=True, and 'weight' "
            "in the name or two dimensions), got parameters []",
        ),
        (
            lambda: gradient_means(nn.Linear(2, 2)),
            "gradients, got none: the loss has to depend on the weights, and "
            "backward() has to come before gradient_means()",
        ),
        (
            lambda: measure_gradients(LAYER, X, loss_fn=lambda y, t: t.sum()),
            "a loss that depends on the weights, got a constant",
        ),
        (
            lambda: Residual(LAYER, math.inf),
            "scale to be finite, got inf",
        ),
        (
            lambda: LayerScale(LAYER, 2, math.nan),
            "epsilon to be finite, got nan",
        ),
        (lambda: Fixup(2, 0), "depth to be at least 1, got 0"),
        (lambda: ensemble(seeds=[]), "at least one seed, got none"),
        (
            lambda: ensemble(seeds=[0, "one", 2]),
            "seeds to be whole numbers, got 'one'",
        ),
        (
            lambda: ensemble(seeds=[2**64]),
            f"seeds of at most 64 bits, got {2**64}",
        ),
        (
            lambda: ensemble(seeds=[-(2**63) - 1]),
            f"seeds of at most 64 bits, got {-(2**63) - 1}",
        ),
        (
            lambda: ensemble(variances=(1.0,)),
            "two variances, of weights and of biases, got (1.0,)",
        ),
        (
            lambda: ensemble(variances=(1.0, -1.0)),
            "the variance of biases to be at least 0, got -1.0",
        ),
        (
            lambda: ensemble().measure(X[0]),
            "x of shape (samples, 2) with at least one sample, got (2,)",
        ),
        (
            lambda: ensemble().measure(X, torch.tensor([[math.inf]])),
            "a finite target, got 1 of 1 numbers that are infinite or nan",
        ),
        (
            lambda: normal_mean(lambda z: z / 0, 1.0),
            "a finite function, got 16384 of 16384 numbers that are infinite "
            "or nan",
        ),
        (
            lambda: pair_mean(lambda z: z / 0, 1.0, 0.5),
            "a finite function, got 65536 of 65536 numbers that are infinite "
            "or nan",
        ),
        (
            lambda: pair_mean(torch.tanh, -1.0, 0.5),
            "variance to be at least 0, got -1.0",
        ),
        (
            lambda: audit(LAYER, X, blocks=[LAYER]),  # type: ignore[arg-type]
            "loss to be a function of no arguments, such as "
            "lambda: model(x), got Tensor",
        ),
        (
            lambda: jacobian_norms(LAYER, X, blocks=[LAYER]),  # type: ignore[arg-type]
            "run to be a function of no arguments, such as "
            "lambda: model(x), got Tensor",
        ),
        (
            lambda: propagate(nn.Tanh(), c_w=1, c_b=0, start=1, depth=0),
            "depth to be at least 1, got 0",
        ),
        (
            lambda: critical_point(nn.Tanh(), between=(2.0, 2.0)),
            "0 < low < high < inf, got between=(2.0, 2.0)",
        ),
        (
            lambda: critical_point(lambda z: 0 * z),
            "a critical variance between 1.0 and 10.0, found none",
        ),
        (
            lambda: quantiles(INF),
            "a finite sample, got 1 of 2 numbers that are infinite or nan",
        ),
        (
            lambda: quantiles(X, (0.5, 1.01)),
            "levels between 0 and 1, got (0.5, 1.01)",
        ),
        (
            lambda: draw_curves(X, x_label=""),
            "at least one panel, got none",
        ),
        (
            lambda: draw_points(
                {"a": Points(INF, INF)},
                line=("", Points(X, X)),
                x_label="",
                y_label="",
            ),
            "a finite kind 'a', got 2 of 4 numbers that are infinite or nan",
        ),
        (
            lambda: draw_distributions(Sample("a", INF), x_label=""),
            "a finite sample 'a', got 1 of 2 numbers that are infinite or nan",
        ),
    ],
)
def test_what_is_said(call: Callable[[], object], said: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value) == f"expected {said}"


def test_lists_are_cut() -> None:
    assert listed(range(5)) == "0, 1, 2, 3, 4"
    assert listed(range(6)) == "0, 1, 2, 3, 4 and 1 more"


def test_what_is_good_passes() -> None:
    check_tensor("x", X)
    check_finite("x", torch.tensor([1.0, -1e38]))  # large, but finite
    check_switch("normalise", False)
    check_input(X, 2)
    found = checked_number("x", 2), checked_whole("n", np.int64(3), low=3)
    assert found == (2.0, 3)
    assert [type(number) for number in found] == [float, int]
    assert checked_number("x", 0, low=0) == 0
    assert checked_number("x", sys.float_info.max) == sys.float_info.max
    assert checked_sizes(range(3, 0, -2)) == (3, 1)
    assert isinstance(new_activation(nn.ReLU), nn.ReLU)


def test_the_name_in_a_refusal_is_that_of_the_value() -> None:
    checks = {
        "_check_callable",
        "check_switch",
        "check_tensor",
        "checked_number",
        "checked_whole",
    }
    named = []
    for module in Path(shortcuts.__file__).parent.glob("*.py"):
        for call in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            match call:
                case ast.Call(
                    ast.Name(check), [ast.Constant(str(name)), value, *_]
                ) if check in checks and name.isidentifier():
                    named.append((name, ast.unparse(value)))
    assert len(named) > 40
    assert [pair for pair in named if pair[0] != pair[1]] == []
