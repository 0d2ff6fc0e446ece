"""The network against the printed tables and a network by hand."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from shortcuts import GELU, DeepNeuralNetwork, measure_gradients
from shortcuts.printed import (
    BOOK_SECTION_WITH,
    BOOK_SECTION_WITHOUT,
    NOTEBOOK_WITH,
    NOTEBOOK_WITHOUT,
    SIZES,
    read_printout,
)

some_sizes = st.lists(st.integers(1, 4), min_size=2, max_size=6)


def by_hand(model: DeepNeuralNetwork, x: Tensor) -> Tensor:
    """What the network should compute, matrix by matrix."""
    p = model.state_dict()
    for i, bypassed in enumerate(model.bypassed):
        z = x @ p[f"layers.{i}.0.weight"].T + p[f"layers.{i}.0.bias"]
        y = nn.functional.gelu(z, approximate="tanh")
        x = x + y if bypassed else y
    return x


@pytest.mark.parametrize(
    ("activation", "use_shortcut", "printout", "rtol"),
    [
        (GELU, False, BOOK_SECTION_WITHOUT, 1e-4),
        (nn.GELU, False, NOTEBOOK_WITHOUT, 1e-4),
        (nn.GELU, True, NOTEBOOK_WITH, 1e-4),
        (GELU, True, BOOK_SECTION_WITH, 1e-4),
        (GELU, True, NOTEBOOK_WITH, 2e-3),  # what the two forms of GELU share
    ],
)
def test_the_printed_tables(
    activation: type[nn.Module], use_shortcut: bool, printout: str, rtol: float
) -> None:
    torch.manual_seed(123)
    model = DeepNeuralNetwork(SIZES, use_shortcut, activation=activation)
    table = measure_gradients(model, torch.tensor([[1.0, 0.0, -1.0]]))
    torch.testing.assert_close(
        table, read_printout(printout), rtol=rtol, atol=0
    )


def test_each_printout_is_nearest_to_its_own_form_of_gelu() -> None:
    def differences(printout: str, use_shortcut: bool) -> list[float]:
        printed = read_printout(printout)
        tables = []
        for activation in (GELU, nn.GELU):
            torch.manual_seed(123)
            model = DeepNeuralNetwork(
                SIZES, use_shortcut, activation=activation
            )
            tables.append(
                measure_gradients(model, torch.tensor([[1.0, 0.0, -1.0]]))
            )
        return [
            max(abs(table[name] / printed[name] - 1) for name in printed)
            for table in tables
        ]

    tanh, exact = differences(BOOK_SECTION_WITHOUT, False)
    assert tanh < exact / 5
    tanh, exact = differences(BOOK_SECTION_WITH, True)
    assert tanh < exact / 5
    tanh, exact = differences(NOTEBOOK_WITHOUT, False)
    assert exact < tanh / 5
    tanh, exact = differences(NOTEBOOK_WITH, True)
    assert exact < tanh / 5


def test_weights_are_drawn_as_by_a_row_of_linears() -> None:
    torch.manual_seed(7)
    rows = [nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1)]
    torch.manual_seed(7)
    model = DeepNeuralNetwork([2, 3, 3, 1], use_shortcut=True)
    expected = {
        f"layers.{i}.0.{name}": value
        for i, row in enumerate(rows)
        for name, value in row.state_dict().items()
    }
    assert list(model.state_dict()) == list(expected)
    for name, value in model.state_dict().items():
        assert torch.equal(value, expected[name])


@given(sizes=some_sizes, use_shortcut=st.booleans())
def test_forward(sizes: list[int], use_shortcut: bool) -> None:
    model = DeepNeuralNetwork(sizes, use_shortcut).double()
    assert model.bypassed == [
        use_shortcut and sizes[i] == sizes[i + 1]
        for i in range(len(sizes) - 1)
    ]
    for batch in ((), (1,), (5,), (2, 3), (0,)):
        x = torch.randn(*batch, sizes[0], dtype=torch.float64)
        before = x.clone()
        y = model(x)
        assert y.shape == (*batch, sizes[-1])
        torch.testing.assert_close(y, by_hand(model, x))
        assert torch.equal(x, before)


def test_one_layer() -> None:
    model = DeepNeuralNetwork([1, 1], use_shortcut=True)
    for parameter, value in zip(model.parameters(), (2.0, 0.0), strict=True):
        nn.init.constant_(parameter, value)
    x = torch.tensor([[1.0]])
    assert torch.equal(model(x), 1 + GELU()(torch.tensor([[2.0]])))


def test_a_shortcut_around_nothing_is_the_identity() -> None:
    model = DeepNeuralNetwork([3, 3, 3, 3], use_shortcut=True)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(4, 3)
    assert torch.equal(model(x), x)
    model.use_shortcut = False
    assert torch.equal(model(x), torch.zeros(4, 3))


def test_the_activation_is_made_once_a_layer() -> None:
    made = []

    def activation() -> nn.Module:
        made.append(nn.Tanh())
        return made[-1]

    model = DeepNeuralNetwork([2, 2, 2, 1], False, activation=activation)
    assert [list(layer.children())[1] for layer in model.layers] == made
    assert len(made) == 3


@pytest.mark.parametrize("kind", [tuple, iter, np.array])
def test_any_sequence_of_integers_will_do(
    kind: Callable[[list[int]], Sequence[int]],
) -> None:
    model = DeepNeuralNetwork(kind([3, 1]), use_shortcut=False)
    assert model(torch.zeros(1, 3)).shape == (1, 1)
    assert model.layer_sizes == (3, 1)
    assert {*map(type, model.layer_sizes)} == {int}


def test_print_says_whether_there_are_shortcuts() -> None:
    assert "use_shortcut=True" in repr(DeepNeuralNetwork([2, 2], True))
    assert "use_shortcut=False" in repr(DeepNeuralNetwork([2, 2], False))


@pytest.mark.parametrize(
    ("sizes", "error", "words"),
    [
        ([], ValueError, r"at least two layer sizes, .*got \(\)"),
        ([3], ValueError, r"at least two layer sizes, .*got \(3,\)"),
        ([3, 0], ValueError, r"at least 1, got 0 in \(3, 0\)"),
        ([-2, 3], ValueError, r"at least 1, got -2 in \(-2, 3\)"),
        ([3, True], TypeError, r"to be an integer, got True in \(3, True\)"),
        ([3, 2.0], TypeError, r"to be an integer, got 2\.0 in \(3, 2\.0\)"),
        ([3, "2"], TypeError, r"to be an integer, got '2'"),
        (
            [3, torch.tensor(2)],
            TypeError,
            r"to be an integer, got tensor\(2\)",
        ),
        (3, TypeError, r"a sequence of integers, got 3"),
        (None, TypeError, r"a sequence of integers, got None"),
    ],
)
def test_wrong_sizes(sizes: Any, error: type[Exception], words: str) -> None:
    random_state = torch.get_rng_state()
    with pytest.raises(error, match=words):
        DeepNeuralNetwork(sizes, use_shortcut=True)
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.parametrize("use_shortcut", ["False", 1, None])
def test_wrong_switch(use_shortcut: Any) -> None:
    with pytest.raises(
        TypeError, match=f"True or False, got {use_shortcut!r}"
    ):
        DeepNeuralNetwork([2, 2], use_shortcut)


@pytest.mark.parametrize(
    ("activation", "words"),
    [
        (nn.GELU(), r"such as nn\.GELU, got GELU\(approximate='none'\)"),
        ("gelu", r"such as nn\.GELU, got 'gelu'"),
        (dict, r"activation\(\) to make a module, got \{\}"),
    ],
)
def test_wrong_activation(activation: Any, words: str) -> None:
    random_state = torch.get_rng_state()
    with pytest.raises(TypeError, match=words):
        DeepNeuralNetwork([2, 2], True, activation=activation)
    assert torch.equal(torch.get_rng_state(), random_state)


def test_an_input_of_whole_numbers() -> None:
    model = DeepNeuralNetwork([3, 1], use_shortcut=False)
    with pytest.raises(
        TypeError, match=r"floating-point input, got torch\.int64"
    ):
        model(torch.tensor([[1, 0, -1]]))


@pytest.mark.parametrize("shape", [(), (0,), (4,), (3, 2), (3, 1)])
def test_an_input_that_does_not_fit(shape: tuple[int, ...]) -> None:
    model = DeepNeuralNetwork([3, 3], use_shortcut=True)
    with pytest.raises(
        ValueError, match=r"last dimension is 3, got shape \("
    ) as error:
        model(torch.zeros(shape))
    assert str(shape) in str(error.value)
