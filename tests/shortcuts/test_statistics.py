"""Quantiles and proportions against values worked out by hand."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from shortcuts.statistics import Proportion, proportion, quantiles


def flags(successes: int, size: int) -> torch.Tensor:
    return torch.arange(size) < successes


@given(
    st.integers(1, 3_000).flatmap(
        lambda n: st.tuples(st.integers(0, n), st.just(n))
    )
)
def test_wilsons_interval(sample: tuple[int, int]) -> None:
    k, n = sample
    oracle = binomtest(k, n).proportion_ci(0.95, method="wilson")
    found = proportion(flags(k, n))
    assert found.share == k / n
    assert found.low == pytest.approx(oracle.low, abs=1e-9)
    assert found.high == pytest.approx(oracle.high, abs=1e-9)
    assert 0 <= found.low <= found.share <= found.high <= 1


def test_it_is_written_in_per_cent() -> None:
    assert str(Proportion(0.4656, 0.4351, 0.4965)) == "46.6 % (43.5 to 49.6)"
    assert str(Proportion(0.0, 0.0, 0.0375)) == "0.0 % (0.0 to 3.8)"
    assert str(Proportion(1.0, 1.0, 1.0)) == "100.0 % (100.0 to 100.0)"


def test_an_interval_is_never_written_as_one_number() -> None:
    assert str(proportion(flags(0, 10_000))) == "0.00 % (0.00 to 0.04)"
    assert str(proportion(flags(9_999, 10_000))) == "99.99 % (99.94 to 100.00)"
    assert str(proportion(flags(10**6, 10**6))) == (
        "100.0000 % (99.9996 to 100.0000)"
    )


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        (torch.tensor([0, 1]), TypeError, "torch.bool, got torch.int64"),
        (torch.ones(0) > 0, ValueError, r"each network, got shape \(0,\)"),
        (torch.ones(2, 2) > 0, ValueError, r"got shape \(2, 2\)"),
    ],
)
def test_wrong_flags(values: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        proportion(values)


def test_quartiles_and_median() -> None:
    found = quantiles(torch.tensor([4.0, 0.0, 2.0, 1.0, 3.0]))
    assert found.tolist() == [1.0, 2.0, 3.0]
    # Between neighbours linearly.
    assert quantiles(torch.tensor([0.0, 10.0]), (0.05, 0.5)).tolist() == [
        pytest.approx(0.5),
        5.0,
    ]


def test_each_column_has_its_own() -> None:
    table = torch.tensor([[0.0, 5.0], [1.0, 7.0], [2.0, 6.0]])
    assert quantiles(table, (0.5,)).tolist() == [[1.0, 6.0]]


@pytest.mark.parametrize("strange", [math.nan, math.inf, -math.inf])
def test_nothing_is_averaged_away(strange: float) -> None:
    with pytest.raises(ValueError, match="1 of 3 numbers that are"):
        quantiles(torch.tensor([1.0, strange, 2.0]))


def test_no_numbers() -> None:
    with pytest.raises(ValueError, match=r"values, got shape \(0,\)"):
        quantiles(torch.zeros(0))


def test_what_is_no_tensor() -> None:
    with pytest.raises(TypeError, match="values to be a tensor, got list"):
        quantiles([1.0])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="flags to be a tensor, got list"):
        proportion([True])  # type: ignore[arg-type]


def test_levels_that_are_none() -> None:
    with pytest.raises(ValueError, match=r"between 0 and 1, got \(50,\)"):
        quantiles(torch.ones(3), (50,))


def test_more_numbers_than_torch_takes_quantiles_of() -> None:
    assert quantiles(torch.arange(2**24 + 3.0), (1.0,)).item() == 2**24 + 2


def test_the_outermost_levels() -> None:
    values = torch.tensor([3.0, 1.0, 2.0])
    assert quantiles(values, (0, 1)).tolist() == [1, 3]
