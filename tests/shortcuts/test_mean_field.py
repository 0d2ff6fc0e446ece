"""Averages against integrals, and predictions against closed forms."""

import itertools
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from torch import Tensor, nn

from shortcuts import GELU
from shortcuts.mean_field import (
    critical_point,
    gradient_correlation,
    normal_mean,
    pair_mean,
    propagate,
    root,
    slope,
)


@given(st.floats(-5, 5), st.sampled_from([-1, 1]))
def test_a_root_to_the_last_digit(place: float, sign: int) -> None:
    def cubic(x: float) -> float:
        return sign * ((x - place) ** 3 + x - place)

    found = root(cubic, -7.0, 6.0)
    assert found == pytest.approx(place, rel=1e-15, abs=1e-300)


def test_roots_at_the_ends_and_where_a_sign_jumps() -> None:
    assert root(lambda x: x, 0.0, 3.0) == 0
    assert root(lambda x: x - 3, 0.0, 3.0) == 3
    assert root(lambda x: -1.0 if x < 2 else 1.0, 0.0, 3.0) == 2


@pytest.mark.parametrize(
    ("first", "last"),
    [
        *((value, value) for value in (1.0, 1e-200, -5e-324, math.inf)),
        *itertools.product((math.nan,), (-1.0, 0.0, 1.0, math.nan)),
        *itertools.product((-1.0, 0.0, 1.0), (math.nan,)),
    ],
)
def test_no_root(first: float, last: float) -> None:
    words = (
        "expected a change of sign between 0.0 and 3.0, got "
        f"{first:.3g} and {last:.3g}"
    )
    with pytest.raises(ValueError, match=f"^{words}$"):
        root(lambda x: last if x else first, 0.0, 3.0)


@pytest.mark.parametrize("size", [5e-324, 1e-200, 1e200, math.inf])
@pytest.mark.parametrize("sign", [-1, 1])
def test_of_a_value_only_the_sign_counts(size: float, sign: int) -> None:
    value = sign * size
    assert root(lambda x: -value if x < 2 else value, 0.0, 3.0) == 2
    assert root(lambda x: value if x else 0.0, 0.0, 3.0) == 0
    assert root(lambda x: 0.0 if x == 3 else value, 0.0, 3.0) == 3


def test_a_root_between_numbers_whose_sum_is_none() -> None:
    assert root(lambda x: x - 1.6e308, 1.5e308, 1.7e308) == 1.6e308
    assert root(lambda x: 1.6e308 - x, 1.5e308, 1.7e308) == 1.6e308
    assert root(lambda x: x - 1e-323, 0.0, 1.5e-323) == 1e-323


def test_where_no_root_can_be_sought() -> None:
    for ends in ((3.0, 0.0), (0.0, 0.0)):
        with pytest.raises(ValueError, match=r"low < high, got [30]\.0 and"):
            root(lambda x: x - 1, *ends)
    with pytest.raises(ValueError, match="high to be finite, got inf"):
        root(lambda x: x - 1, 0.0, math.inf)
    with pytest.raises(ValueError, match="low to be finite, got nan"):
        root(lambda x: x - 1, math.nan, 3.0)
    with pytest.raises(ValueError, match=r"a number at 1\.5, got nan"):
        root(lambda x: math.nan if x == 1.5 else x - 1, 0.0, 3.0)


@pytest.mark.parametrize("variance", [0.0, 1e-8, 0.3, 1.0, 7.0])
def test_moments(variance: float) -> None:
    for power, moment in ((1, 0.0), (2, variance), (4, 3 * variance**2)):
        found = normal_mean(partial(torch.pow, exponent=power), variance)
        assert found == pytest.approx(moment, rel=1e-10, abs=1e-14)
    half = normal_mean(lambda z: z.relu() ** 2, variance)
    assert half == pytest.approx(variance / 2, rel=1e-10)


@pytest.mark.parametrize("f", [GELU(), GELU("none"), nn.SiLU(), nn.Tanh()])
@pytest.mark.parametrize("variance", [0.1, 1.0, 4.0])
def test_means_against_integrals(
    f: Callable[[Tensor], Tensor], variance: float
) -> None:
    def density(z: float) -> float:
        bell = math.exp(-(z**2) / (2 * variance))
        return bell / math.sqrt(2 * math.pi * variance)

    def squared(z: float) -> float:
        return f(torch.tensor(z, dtype=torch.float64)).item() ** 2

    expected, _ = quad(lambda z: squared(z) * density(z), -30, 30, limit=200)
    found = normal_mean(lambda z: f(z) ** 2, variance)
    assert found == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("correlation", [-1.0, -0.9, 0.0, 0.3, 0.97, 1.0])
@pytest.mark.parametrize("variance", [0.0, 0.2, 5.0])
def test_means_of_pairs(correlation: float, variance: float) -> None:
    """Against moments, and against the arc-cosine kernels."""
    mean = partial(pair_mean, variance=variance, correlation=correlation)
    angle = math.acos(correlation)
    relu = math.sin(angle) + (math.pi - angle) * correlation
    near = partial(pytest.approx, rel=1e-10, abs=1e-12)
    assert mean(nn.Identity()) == near(variance * correlation)
    assert mean(torch.square) == near(variance**2 * (1 + 2 * correlation**2))
    assert mean(torch.relu) == pytest.approx(
        variance * relu / (2 * math.pi), abs=6e-5 * variance
    )
    if variance:
        on = mean(lambda z: (z > 0).double())
        share = (math.pi - angle) / (2 * math.pi)
        assert on == pytest.approx(share, abs=2e-3)


def test_slopes() -> None:
    z = torch.tensor([-2.0, 0.0, 1.5], dtype=torch.float64)
    expected = 1 - torch.tanh(z) ** 2
    with torch.no_grad():
        assert torch.allclose(slope(torch.tanh)(z), expected, rtol=1e-12)
    assert not z.requires_grad


def test_a_linear_network() -> None:
    found = propagate(nn.Identity(), c_w=0.5, c_b=0.1, start=2.0, depth=3)
    # 0.5 * 2 + 0.1, then half of that plus 0.1, and so on.
    assert found.variances.tolist() == pytest.approx([1.1, 0.65, 0.425])
    assert found.chi.tolist() == pytest.approx([0.5] * 3)


def test_hes_initialisation_keeps_relu_as_it_is() -> None:
    found = propagate(nn.ReLU(), c_w=2.0, c_b=0.0, start=1.0, depth=50)
    assert found.variances.tolist() == pytest.approx([2.0] * 50)
    assert found.chi.tolist() == pytest.approx([1.0] * 50)


def test_two_inputs_of_relu() -> None:
    """Its kernels have a closed form, layer by layer."""
    found = gradient_correlation(
        nn.ReLU(), c_w=2.0, c_b=0.0, start=1.0, correlation=0.5, depth=3
    )
    angle, expected = math.pi / 3, 1.0
    for layer in found.tolist():
        expected *= 1 - angle / math.pi
        assert layer == pytest.approx(expected, abs=2e-3)
        cosine = math.sin(angle) + (math.pi - angle) * math.cos(angle)
        angle = math.acos(cosine / math.pi)


@pytest.mark.parametrize("f", [nn.Identity(), nn.Tanh(), nn.ReLU()])
def test_two_inputs_that_are_one(f: Callable[[Tensor], Tensor]) -> None:
    options = {"c_w": 1.3, "c_b": 0.1, "start": 0.7}
    found = gradient_correlation(f, depth=5, correlation=1.0, **options)
    assert found.tolist() == pytest.approx([1.0] * 5, abs=1e-9)


def test_inputs_of_zeros() -> None:
    silent = partial(
        gradient_correlation, c_w=1, c_b=0, start=0, correlation=-1, depth=2
    )
    assert silent(torch.tanh).tolist() == pytest.approx([1.0] * 2)
    with pytest.raises(ValueError, match="finite correlation of gradients"):
        silent(torch.relu)


def test_two_inputs_of_a_wide_network() -> None:
    """The gradients of networks with biases, not the theory over again."""
    options = {"c_w": 2.0, "c_b": 0.3, "correlation": -0.6}
    expected = gradient_correlation(torch.tanh, start=1.0, depth=3, **options)
    generator = torch.Generator().manual_seed(0)
    n, sums = 200, torch.zeros(3, dtype=torch.float64)
    normal = partial(torch.randn, generator=generator, dtype=torch.float64)
    for _ in range(200):
        basis = torch.linalg.qr(normal(n, 2)).Q.T * n**0.5
        x = torch.stack([basis[0], -0.6 * basis[0] + 0.8 * basis[1]])
        h = x.requires_grad_()
        for _ in range(3):
            weight, bias = normal(n, n) * (2 / n) ** 0.5, normal(n) * 0.3**0.5
            h = torch.tanh(h @ weight.T + bias)
        (slopes,) = torch.autograd.grad((h @ normal(n)).sum(), x)
        sums += (slopes @ slopes.T).flatten()[[0, 1, 3]]
    found = sums[1] / (sums[0] * sums[2]).sqrt()
    assert found.item() == pytest.approx(expected[-1].item(), rel=0.05)


def test_the_critical_point_of_gelu() -> None:
    f = GELU("none")
    found = critical_point(f)
    assert found == pytest.approx((1.98306, 0.17292, 3.5616), abs=5e-5)
    # It is what it claims to be: variance and chi stay, and so does a small
    # change of the variance, but for terms of second order.
    for nudge in (0.0, 1e-4):
        start = (found.variance + nudge - found.c_b) / found.c_w
        path = propagate(
            f, c_w=found.c_w, c_b=found.c_b, start=start, depth=20
        )
        assert path.chi.tolist() == pytest.approx([1.0] * 20, abs=1e-4)
        moved = (path.variances - found.variance - nudge).abs().max()
        assert moved < 1e-6


def test_other_critical_points() -> None:
    found = critical_point(nn.SiLU(), between=(5.0, 50.0))
    assert found == pytest.approx((1.98800, 0.55514, 14.3202), abs=5e-4)
    # Where the conditions hold, but biases would need a negative variance.
    with pytest.raises(ValueError, match="found none"):
        critical_point(lambda z: GELU()(z) + 0.1, between=(3.0, 100.0))


def test_there_is_none() -> None:
    with pytest.raises(ValueError, match=r"between 1.0 and 10.0, found none"):
        critical_point(nn.Tanh())


def test_wrong_input() -> None:
    with pytest.raises(ValueError, match="variance to be at least 0, got -1"):
        normal_mean(torch.square, -1.0)
    with pytest.raises(ValueError, match="infinite or nan"):
        normal_mean(torch.log, 1.0)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        propagate(torch.tanh, c_w=1.0, c_b=0.0, start=1.0, depth=0)
    for name in ("c_w", "c_b", "start"):
        options = {"c_w": 1.0, "c_b": 1.0, "start": 1.0, name: -1.0}
        with pytest.raises(ValueError, match=f"{name} to be at least 0"):
            propagate(torch.tanh, depth=1, **options)
    for correlation in (-1.1, 1.1):
        for function in (
            partial(pair_mean, torch.tanh, 1.0),
            partial(
                gradient_correlation,
                torch.tanh,
                c_w=1,
                c_b=0,
                start=1,
                depth=1,
            ),
        ):
            with pytest.raises(ValueError, match="correlation to be at "):
                function(correlation=correlation)
    for between in ((0.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (1.0, math.inf)):
        with pytest.raises(ValueError, match="expected 0 < low < high < inf"):
            critical_point(GELU(), between=between)
    for size, start, words in (
        (1e150, 0.0, "finite chi, got 1 of 1"),
        (1.0, 1e300, "variance to be finite, got inf"),
    ):
        with pytest.raises(ValueError, match=words):
            propagate(
                partial(torch.mul, size), c_w=1e10, c_b=0, start=start, depth=1
            )


def test_where_a_function_jumps() -> None:
    # The slope of hardtanh is 1 between -1 and 1, else 0.
    for variance in (0.1, 1.0, 10.0, 100.0):
        inside = math.erf(1 / math.sqrt(2 * variance))
        found = normal_mean(lambda z: slope(nn.Hardtanh())(z) ** 2, variance)
        assert found == pytest.approx(inside, abs=6e-4)  # two jumps


@pytest.mark.parametrize("variance", [25.0, 1e4])
def test_where_a_function_is_steep(variance: float) -> None:
    def integrand(z: float) -> float:
        bell = math.exp(-(z**2) / (2 * variance))
        return (1 - math.tanh(z) ** 2) ** 2 * bell

    expected, _ = quad(integrand, -20, 20, points=[0])
    expected /= math.sqrt(2 * math.pi * variance)
    found = normal_mean(lambda z: slope(torch.tanh)(z) ** 2, variance)
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_it_works_all_the_same(
    mode: Callable[[], AbstractContextManager[None]],
) -> None:
    expected = critical_point(GELU())
    with mode():
        assert critical_point(GELU()) == expected


def test_signals_are_float64() -> None:
    signal = propagate(nn.Tanh(), c_w=0.1, c_b=0.1, start=0.1, depth=1)
    assert signal.variances.item() == 0.1 * 0.1 + 0.1
    assert {part.dtype for part in signal} == {torch.float64}
