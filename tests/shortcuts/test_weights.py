"""Which parameters are weights, by name, shape, and what is tied to them."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from shortcuts.weights import left_out, trainable_weights


def module(**shapes: tuple[int, ...]) -> nn.Module:
    """Make one that holds parameters of these names and shapes."""
    found = nn.Module()
    for name, shape in shapes.items():
        found.register_parameter(name, nn.Parameter(torch.ones(shape)))
    return found


def test_by_name_or_by_two_dimensions() -> None:
    model = nn.ModuleDict(
        {
            "experts": module(
                gate_up_proj=(2, 3, 4), gate_up_proj_bias=(2, 4)
            ),
            "norm": module(weight=(3,), bias=(3,)),
            "adapter": module(ia3_l=(1, 3), gamma=(3,)),
            "bias_net": module(weight=(3, 3)),
            "frozen": module(weight=(3, 3)).requires_grad_(False),
        }
    )
    assert list(trainable_weights(model)) == [
        "experts.gate_up_proj",
        "norm.weight",
        "adapter.ia3_l",
        "bias_net.weight",
    ]
    assert left_out(model) == {
        "experts.gate_up_proj_bias": "a bias",
        "norm.bias": "a bias",
        "adapter.gamma": "a vector without 'weight' in its name",
        "frozen.weight": "frozen",
    }


def test_a_parametrised_one_goes_by_what_it_makes() -> None:
    model = nn.ModuleDict({"weight_net": nn.Linear(3, 3)})
    nn.utils.parametrize.register_parametrization(
        model["weight_net"], "bias", nn.Tanh()
    )
    parametrizations.weight_norm(model["weight_net"])
    path = "weight_net.parametrizations"
    assert list(trainable_weights(model)) == [
        f"{path}.weight.original0",
        f"{path}.weight.original1",
    ]
    assert left_out(model) == {f"{path}.bias.original": "a bias"}


def test_tied_ones_count_once_by_the_name_that_says_weight() -> None:
    model = module(embedding=(2, 3), other=(2, 3))
    model.head = nn.Linear(3, 2, bias=False)
    model.head.weight = model.get_parameter("embedding")
    model.again = model.head
    assert list(trainable_weights(model)) == ["other", "head.weight"]
    assert left_out(model) == {
        "embedding": "the same as head.weight",
        "again.weight": "the same as head.weight",
    }


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (torch.relu, TypeError, r"a torch\.nn\.Module, got builtin_function"),
        (nn.LazyLinear(1), ValueError, "uninitialized weight, bias: run the"),
        (
            module(**{f"bias{i}": (1,) for i in range(9)}),
            ValueError,
            r"got parameters \[bias0, bias1, bias2, bias3, bias4 and 4 more\]",
        ),
    ],
)
def test_what_has_none(model: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        trainable_weights(model)
