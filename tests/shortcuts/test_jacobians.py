"""Jacobians against autograd's, and path sums against a list of all paths."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import jacrev
from torch.testing import assert_close

from shortcuts import DeepNeuralNetwork
from shortcuts.jacobians import layer_jacobians, sums_by_length

X = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)


@pytest.mark.parametrize("use_shortcut", [False, True])
@pytest.mark.parametrize("activation", [nn.GELU, nn.Tanh])
def test_their_product_is_that_of_the_network(
    use_shortcut: bool, activation: type[nn.Module]
) -> None:
    sizes = [3, 3, 4, 4, 1]
    for seed in range(5):
        torch.manual_seed(seed)
        model = DeepNeuralNetwork(
            sizes, use_shortcut, activation=activation
        ).double()
        whole = torch.eye(3, dtype=torch.float64)
        for jacobian, bypassed in zip(
            layer_jacobians(model, X), model.bypassed, strict=True
        ):
            assert not jacobian.requires_grad
            if bypassed:
                jacobian = jacobian + torch.eye(len(jacobian))
            whole = jacobian @ whole
        expected = jacrev(model)(X).detach()
        assert_close(whole, expected, rtol=1e-12, atol=1e-15)


def test_by_hand() -> None:
    model = DeepNeuralNetwork([2, 2], False, activation=nn.ReLU)
    weight, bias = model.parameters()
    weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    bias.data = torch.tensor([0.0, -100.0])  # the second unit is off
    (jacobian,) = layer_jacobians(model, torch.tensor([1.0, 1.0]))
    assert jacobian.tolist() == [[1.0, 2.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (X[:2], r"last dimension is 3, got shape \(2,\)"),
        (X[None], r"one sample, a vector, got shape \(1, 3\)"),
    ],
)
def test_wrong_samples(x: Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        layer_jacobians(DeepNeuralNetwork([3, 1], False).double(), x)


def test_what_is_no_sample_or_no_network() -> None:
    model = DeepNeuralNetwork([3, 1], False).double()
    with pytest.raises(TypeError, match="x to be a tensor, got list"):
        layer_jacobians(model, [1.0, 2.0, 3.0])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a DeepNeuralNetwork, got Linear"):
        layer_jacobians(nn.Linear(3, 1), X)  # type: ignore[arg-type]


def matrices(depth: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(depth)
    numbers = torch.randn(depth, 3, 3, generator=generator)
    return list(numbers.double())


@pytest.mark.parametrize("depth", [1, 2, 5, 8])
def test_sums_over_all_paths_of_a_length(depth: int) -> None:
    jacobians = matrices(depth)
    expected = torch.zeros(depth + 1, 3, 3, dtype=torch.float64)
    for choice in product((False, True), repeat=depth):
        path = torch.eye(3, dtype=torch.float64)
        for through, jacobian in zip(choice, jacobians, strict=True):
            path = jacobian @ path if through else path
        expected[sum(choice)] += path
    assert_close(sums_by_length(jacobians), expected, rtol=1e-10, atol=1e-12)


def test_they_add_up_to_the_product() -> None:
    jacobians = matrices(20)
    whole = torch.eye(3, dtype=torch.float64)
    for jacobian in jacobians:
        whole = (torch.eye(3) + jacobian) @ whole
    assert_close(sums_by_length(jacobians).sum(0), whole, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    "jacobians",
    [
        [],
        [torch.ones(2, 3)],
        [torch.ones(2, 2), torch.ones(3, 3)],
        [X],
        [torch.ones(())],
    ],
)
def test_no_square_matrices(jacobians: Any) -> None:
    with pytest.raises(ValueError, match="square Jacobians of one size"):
        sums_by_length(jacobians)
