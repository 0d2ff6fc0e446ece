"""Blocks against their formulas, and what they do before training."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import nn
from torch.func import jacrev, vmap
from torch.testing import assert_close

from shortcuts import GELU, DeepNeuralNetwork
from shortcuts.blocks import (
    Fixup,
    Highway,
    LayerScale,
    PreNorm,
    Residual,
    ReZero,
    SkipInit,
)

H = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))


def branch() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh())


def test_formulas() -> None:
    f = branch()
    assert_close(Residual(f)(H), H + f(H))
    assert_close(Residual(f, 0.3)(H), H + 0.3 * f(H))
    assert_close(SkipInit(f, 0.2)(H), H + 0.2 * f(H))
    assert_close(LayerScale(f, 4, 0.1)(H), H + 0.1 * f(H))
    centred = H - H.mean(1, keepdim=True)
    normed = centred / (H.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    assert_close(PreNorm(f, 4)(H), H + f(normed))


def test_what_is_learned_takes_part() -> None:
    f = branch()
    skip, scale = SkipInit(f), LayerScale(f, 4)
    skip.alpha.data.fill_(-2.0)
    scale.gamma.data.copy_(torch.tensor([1.0, 0.0, 3.0, -1.0]))
    assert_close(skip(H), H - 2 * f(H))
    assert_close(scale(H), H + scale.gamma * f(H))


def test_the_gate_mixes() -> None:
    f = branch()
    highway = Highway(f, 4, bias=-2.0)
    t = torch.sigmoid(H @ highway.gate.weight.T - 2.0)
    assert_close(highway(H), t * f(H) + (1 - t) * H)
    assert_close(Highway(f, 4, bias=-100.0)(H), H)
    assert_close(Highway(f, 4, bias=100.0)(H), f(H))


@pytest.mark.parametrize(
    "make",
    [
        lambda: SkipInit(branch()),
        lambda: ReZero(branch()),
        lambda: Fixup(4, 9),
    ],
)
def test_what_starts_as_the_identity(make: Callable[[], nn.Module]) -> None:
    assert torch.equal(make()(H), H)


def test_fixup() -> None:
    torch.manual_seed(0)
    block = Fixup(64, depth=25, activation=nn.Tanh)
    # He's variance 2 / 64, and the factor 25 ** -0.5 of the weights.
    std = block.first.weight.std().item()
    assert std == pytest.approx(math.sqrt(2 / 64 / 25), rel=0.05)
    assert torch.equal(block.second.weight, torch.zeros(64, 64))
    assert block.multiplier.item() == 1
    assert block.biases.tolist() == [0.0] * 4
    nn.init.normal_(block.second.weight)
    block.biases.data.copy_(torch.tensor([0.1, -0.2, 0.3, 0.7]))
    block.multiplier.data.fill_(1.5)
    h = torch.randn(3, 64)
    z = torch.tanh((h + 0.1) @ block.first.weight.T - 0.2) + 0.3
    expected = h + 1.5 * z @ block.second.weight.T + 0.7
    assert_close(block(h), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("block", "learned"),
    [
        (Residual(nn.Identity(), 0.1), []),
        (SkipInit(nn.Identity()), [()]),
        (ReZero(nn.Identity()), [()]),
        (LayerScale(nn.Identity(), 4), [(4,)]),
        (PreNorm(nn.Identity(), 4), [(4,), (4,)]),
        (Highway(nn.Identity(), 4), [(4, 4), (4,)]),
        (Fixup(4, 2), [(4,), (), (4, 4), (4, 4)]),
    ],
)
def test_what_is_learned(
    block: nn.Module, learned: list[tuple[int, ...]]
) -> None:
    assert [tuple(p.shape) for p in block.parameters()] == learned


BLOCKS: list[Callable[[nn.Module], nn.Module]] = [
    Residual,
    SkipInit,
    ReZero,
    lambda branch: LayerScale(branch, 4),
    lambda branch: PreNorm(branch, 4),
    lambda branch: Highway(branch, 4),
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_branch_of_another_shape(
    block: Callable[[nn.Module], nn.Module],
) -> None:
    # torch would add (5, 1) to (5, 4) without a word.
    with pytest.raises(ValueError, match=r"shape \(5, 4\), got \(5, 1\)"):
        block(nn.Linear(4, 1))(H)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("block", BLOCKS)
def test_a_branch_that_works_in_place_leaves_the_stream_alone(
    block: Callable[[nn.Module], nn.Module],
    mode: Callable[[], AbstractContextManager[None]],
) -> None:
    model = block(nn.ReLU())
    with mode():
        h = H.clone()
        expected = model(h)
        model.branch = nn.ReLU(inplace=True)
        assert torch.equal(model(h), expected)
        assert torch.equal(h, H)


each_module = pytest.mark.parametrize(
    "module",
    [
        *(block(branch()) for block in BLOCKS),
        Fixup(4, 2),
        GELU(),
        GELU("none"),
        DeepNeuralNetwork([4, 4, 2], use_shortcut=True),
    ],
    ids=lambda module: type(module).__name__,
)


@each_module
def test_all_ways_to_run_a_module_agree(module: nn.Module) -> None:
    expected = module(H)
    assert_close(vmap(module)(H), expected)
    h = H[0].clone().requires_grad_()
    (slope,) = torch.autograd.grad(module(h).sum(), h)
    assert_close(jacrev(module)(H[0]).sum(0), slope)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert_close(module(H), expected)
            assert_close(module(H.clone()), expected)  # made in this mode


@each_module
def test_a_module_compiles_as_a_whole(module: nn.Module) -> None:
    torch.compiler.reset()
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    assert_close(compiled(H), module(H))
    with torch.inference_mode():
        assert_close(compiled(H.clone()), module(H))


@pytest.mark.parametrize("block", BLOCKS)
def test_a_branch_that_is_none(
    block: Callable[[nn.Module], nn.Module],
) -> None:
    with pytest.raises(TypeError, match="branch to be a module, got <class"):
        block(nn.GELU)  # type: ignore[arg-type]


def refuses(
    make: Callable[[Any], nn.Module],
    value: Any,
    error: type[Exception],
    words: str,
) -> None:
    """Hold that a value is refused before anything is drawn."""
    random_state = torch.get_rng_state()
    with pytest.raises(error, match=f"^{words}$"):
        make(value)
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (0, ValueError, "to be at least 1, got 0"),
        (-1, ValueError, "to be at least 1, got -1"),
        (2.5, TypeError, "to be a whole number, got 2.5"),
        (True, TypeError, "to be a whole number, got True"),
        (None, TypeError, "to be a whole number, got None"),
    ],
)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("features", lambda n: LayerScale(nn.Identity(), n)),
        ("features", lambda n: PreNorm(nn.Identity(), n)),
        ("features", lambda n: Highway(nn.Identity(), n)),
        ("features", lambda n: Fixup(n, 2)),
        ("depth", lambda n: Fixup(4, n)),
    ],
)
def test_wrong_sizes(
    make: Callable[[Any], nn.Module],
    name: str,
    value: Any,
    error: type[Exception],
    words: str,
) -> None:
    refuses(make, value, error, f"expected {name} {words}")
    make(1)  # is enough


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("x", TypeError, "to be a number, got 'x'"),
        (math.nan, ValueError, "to be finite, got nan"),
        (-math.inf, ValueError, "to be finite, got -inf"),
        (10**400, ValueError, "to be finite, got 10*"),
    ],
)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("scale", lambda number: Residual(nn.Identity(), number)),
        ("alpha", lambda number: SkipInit(nn.Identity(), number)),
        ("epsilon", lambda number: LayerScale(nn.Identity(), 4, number)),
        ("bias", lambda number: Highway(nn.Identity(), 4, number)),
    ],
)
def test_wrong_numbers(
    make: Callable[[Any], nn.Module],
    name: str,
    value: Any,
    error: type[Exception],
    words: str,
) -> None:
    refuses(make, value, error, f"expected {name} {words}")


def test_whole_numbers_are_numbers() -> None:
    assert SkipInit(branch(), 1).alpha.item() == 1.0


def test_an_activation_that_is_made() -> None:
    with pytest.raises(TypeError, match=r"such as nn\.GELU"):
        Fixup(4, 2, activation=nn.GELU())


@pytest.mark.parametrize(
    "block",
    [
        LayerScale(nn.Identity(), 4),
        PreNorm(nn.Identity(), 4),
        Highway(nn.Identity(), 4),
        Fixup(4, 2),
    ],
    ids=lambda block: type(block).__name__,
)
def test_a_stream_of_other_features(block: nn.Module) -> None:
    # Of (5, 1), LayerScale would make (5, 4) without a word.
    words = r"an input whose last dimension is 4, got shape \(5, 1\)"
    with pytest.raises(ValueError, match=words):
        block(H[:, :1])


def test_print_says_the_scale() -> None:
    assert "scale=0.25" in repr(Residual(branch(), 0.25))


def test_where_layer_scale_starts_by_default() -> None:
    assert LayerScale(nn.Identity(), 2).gamma.tolist() == pytest.approx(
        [0.1] * 2
    )
