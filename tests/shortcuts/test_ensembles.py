"""Many networks at once against a loop over single ones, layer by layer."""

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
import tqdm
from torch import Tensor, nn
from torch.func import jacrev, vmap
from torch.nn import functional
from torch.testing import assert_close

from shortcuts import GELU, DeepNeuralNetwork, ensembles, measure_gradients
from shortcuts.ensembles import Ensemble, Lenses
from shortcuts.printed import SIZES

X = torch.tensor([[1.0, 0.0, -1.0]])
SAMPLES = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
Forward = Callable[[Tensor], Tensor]


def single(seed: int, sizes: list[int], shortcut: bool) -> DeepNeuralNetwork:
    torch.manual_seed(seed)
    return DeepNeuralNetwork(sizes, shortcut)


# The same networks as torch builds


@pytest.mark.parametrize(
    "sizes", [SIZES, [1, 1], [7, 5, 13, 2], [64, 64, 30], [100, 3]]
)
def test_the_weights_are_torchs_own_to_the_last_bit(sizes: list[int]) -> None:
    drawn = Ensemble(sizes, False, seeds=range(120, 130)).draw()
    for i, seed in enumerate(range(120, 130)):
        model = single(seed, sizes, False)
        for layer, linear in zip(model.layers, drawn, strict=True):
            weight, bias = layer.parameters()
            assert torch.equal(linear.weight[i], weight)
            assert torch.equal(linear.bias[i, 0], bias)


def test_they_are_torchs_own_without_fused_multiply_add_too() -> None:
    run = [sys.executable, "-m", "pytest", "--noconftest"]
    done = subprocess.run(
        [*run, "-k", "last_bit", __file__],
        env=os.environ | {"ATEN_CPU_CAPABILITY": "default"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("sizes", [SIZES, [3, 4, 4, 2]])
def test_gradients_are_those_of_a_loop(
    sizes: list[int], shortcut: bool
) -> None:
    seeds = range(60, 200)
    for dtype, rtol in ((torch.float64, 1e-9), (torch.float32, 2e-3)):
        x = SAMPLES.to(dtype)
        found = Ensemble(sizes, shortcut, seeds=seeds).measure(x)
        assert found.gradients.dtype == found.outputs.dtype == dtype
        for row, seed in zip(found.gradients.tolist(), seeds, strict=True):
            model = single(seed, sizes, shortcut).to(dtype)
            table = list(measure_gradients(model, x).values())
            # Near GELU's minimum float32 keeps but three digits.
            assert row == pytest.approx(table, rel=rtol)


def test_in_float32_all_but_a_few_agree_closely() -> None:
    found = Ensemble(SIZES, False, seeds=range(200)).measure(X).gradients
    exact = Ensemble(SIZES, False, seeds=range(200)).measure(X.double())
    assert (found / exact.gradients - 1).abs().quantile(0.95) < 1e-5


def test_another_activation_is_made_as_for_a_single_network() -> None:
    found = Ensemble(SIZES, True, seeds=[9], activation=nn.Tanh).measure(X)
    torch.manual_seed(9)
    model = DeepNeuralNetwork(SIZES, True, activation=nn.Tanh)
    table = list(measure_gradients(model, X).values())
    assert found.gradients[0].tolist() == pytest.approx(table, rel=1e-5)


def test_a_target() -> None:
    target = torch.full((1, 1), 0.7)
    found = Ensemble(SIZES, True, seeds=[4]).measure(X, target)
    table = measure_gradients(single(4, SIZES, True), X, target)
    assert found.gradients[0].tolist() == pytest.approx(
        list(table.values()), rel=1e-5
    )


# The lenses, against a network written out for one sample at a time


def oracle(ensemble: Ensemble, i: int, x: Tensor) -> dict[str, Any]:
    """Measure network ``i`` in the plainest way, sample by sample."""
    act = ensemble.activation()
    linears = [(w[i].to(x), b[i, 0].to(x)) for w, b in ensemble.draw()]

    def layer(k: int, h: Tensor, z: Tensor | None = None) -> Any:
        weight, bias = linears[k]
        fed = h
        if ensemble.normalise:
            fed = (h - h.mean()) / (h.var(correction=0) + 1e-5).sqrt()
        if ensemble.activation_first:
            fed = act(fed)
        if z is None:
            z = weight @ fed + bias
        out = z if ensemble.activation_first else act(z)
        if ensemble.bypassed[k]:
            out = ensemble.skip_scale * h + ensemble.branch_scale * out
        return out, fed, z

    def rest(k: int) -> Forward:
        def forward(h: Tensor) -> Tensor:
            for j in range(k, len(linears)):
                h = layer(j, h)[0]
            return h

        return forward

    found: dict[str, Any] = {"activations": [], "jacobians": []}
    found |= {"deltas": [], "gradients": []}
    ys = vmap(rest(0))(x)
    dl_dy = 2 * ys / ys.numel()
    for k in range(len(linears)):
        stream, deltas, outer, squares = [], [], [], []
        for sample, slope in zip(x, dl_dy, strict=True):
            h = sample
            for j in range(k):
                h = layer(j, h)[0]
            _, fed, z = layer(k, h)

            def from_z(z: Tensor, k: int = k, h: Tensor = h) -> Tensor:
                return rest(k + 1)(layer(k, h, z)[0])

            delta = slope @ jacrev(from_z)(z)
            stream.append(h)
            deltas.append(delta)
            outer.append(torch.outer(delta, fed))
            squares.append(jacrev(rest(k))(h).square().sum())
        found["activations"].append(torch.stack(stream).abs().mean())
        found["deltas"].append(torch.stack(deltas).abs().mean())
        found["gradients"].append(torch.stack(outer).sum(0).abs().mean())
        found["jacobians"].append(torch.stack(squares).mean().sqrt())
    table = {name: torch.stack(values) for name, values in found.items()}
    return table | {"outputs": ys}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_shortcut": True},
        {"use_shortcut": True, "skip_scale": 0.7, "branch_scale": 0.3},
        {"use_shortcut": True, "normalise": True},
        {"use_shortcut": True, "activation_first": True},
        {"normalise": True, "activation_first": True},
        {"activation": nn.ReLU, "variances": (2.0, 0.1)},
        {"activation": nn.Sigmoid, "use_shortcut": True},
    ],
)
def test_all_lenses_with_every_option(options: dict[str, Any]) -> None:
    chosen: dict[str, Any] = {"use_shortcut": False} | options
    ensemble = Ensemble([3, 4, 4, 4, 2], **chosen, seeds=range(3))
    x = SAMPLES.double()
    found = ensemble.measure(x)
    for i in range(3):
        for name, values in oracle(ensemble, i, x).items():
            assert_close(
                getattr(found, name)[i], values, rtol=1e-9, atol=1e-15
            )


def test_a_jacobian_smaller_than_the_root_of_the_smallest_number() -> None:
    # 1e-30 in every layer but the last: squared, it is no float32 any more.
    found = Ensemble(
        [1, 1, 1],
        False,
        seeds=[0],
        activation=nn.Identity,
        variances=(1e-40, 0.0),
    )
    first, last = (linear.weight.item() for linear in found.draw())
    norms = found.measure(torch.ones(1, 1)).jacobians
    assert norms.tolist()[0] == pytest.approx([abs(first * last), abs(last)])


# Chunks


def same(one: Lenses, other: Lenses) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble = Ensemble(SIZES, True, seeds=range(50, 250))
    whole = ensemble.measure(SAMPLES.double())
    monkeypatch.setattr(ensembles, "NUMBERS_AT_ONCE", 10_000)
    parts = list(ensemble.measure_in_chunks(SAMPLES.double()))
    assert len(parts) > 5
    assert max(len(part.outputs) for part in parts) < 40
    joined = Lenses(*(torch.cat(p) for p in zip(*parts, strict=True)))
    for a, b in zip(joined, whole, strict=True):
        assert_close(a, b, rtol=1e-12, atol=0)


def test_chunks_come_as_they_are_asked_for() -> None:
    ensemble = Ensemble(SIZES, False, seeds=range(10**9))
    first = next(ensemble.measure_in_chunks(X))
    assert torch.equal(
        first.gradients[:5],
        Ensemble(SIZES, False, seeds=range(5)).measure(X).gradients,
    )


def test_a_network_depends_on_its_seed_alone() -> None:
    for variances in (None, (1.5, 0.2)):
        seeds = [7, 123, 7]
        rows = Ensemble(SIZES, True, seeds=seeds, variances=variances).measure(
            X.double()
        )
        alone = Ensemble(SIZES, True, seeds=[123], variances=variances)
        for part, row in zip(alone.measure(X.double()), rows, strict=True):
            assert_close(part[0], row[1], rtol=1e-12, atol=0)
            assert torch.equal(row[0], row[2])


# Drawing with given variances


def test_variances() -> None:
    c_w, c_b = 1.7, 0.3
    (linear,) = Ensemble(
        [50, 40], False, seeds=range(40), variances=(c_w, c_b)
    ).draw()
    for values, variance in ((linear.weight, c_w / 50), (linear.bias, c_b)):
        spread = 5 * variance * (2 / values.numel()) ** 0.5  # of a variance
        assert abs(values.var().item() - variance) < spread
        assert (
            abs(values.mean().item()) < 5 * (variance / values.numel()) ** 0.5
        )
        # Of a normal distribution the fourth power has mean 3; of a uniform
        # one, 1.8.
        fourth = (values / variance**0.5).pow(4).mean()
        assert fourth == pytest.approx(3.0, abs=0.5)
    (linear,) = Ensemble([3, 3], False, seeds=[0], variances=(1, 0)).draw()
    assert torch.equal(linear.bias, torch.zeros(1, 1, 3))


# Nothing of the caller's is touched, and nothing of the caller's matters


def test_torchs_defaults_do_not_matter() -> None:
    ensemble = Ensemble(SIZES, True, seeds=range(3), variances=(1.0, 0.1))
    like_torch = Ensemble(SIZES, True, seeds=range(3))
    expected = ensemble.measure(X), like_torch.measure(X)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        ensemble = replace(ensemble, branch_scale=1.0)  # is built anew
        found = ensemble.measure(X), like_torch.measure(X)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    assert all(map(same, found, expected))


def test_later_changes_do_not_matter() -> None:
    sizes, seeds, x = [3, 3, 1], [1, 2], X.clone()
    ensemble = Ensemble(sizes, True, seeds=seeds)
    expected = ensemble.measure(X)
    chunks = ensemble.measure_in_chunks(x)
    sizes[1], seeds[0] = 5, 7
    x.zero_()
    assert same(next(chunks), expected)
    assert ensemble == Ensemble((3, 3, 1), True, seeds=(1, 2))
    assert hash(ensemble) == hash(Ensemble([3, 3, 1], True, seeds=[1, 2]))


def test_each_layer_has_an_activation_of_its_own() -> None:
    def kinds() -> Iterator[nn.Module]:
        while True:
            yield from (nn.Tanh(), nn.ReLU(), nn.Sigmoid())

    made, made_alone = kinds(), kinds()
    next(made)  # one is made to look at
    next(made)
    next(made)
    ensemble = Ensemble(
        [3, 3, 3, 1], True, seeds=[0], activation=lambda: next(made)
    )
    next(made)
    next(made)
    found = ensemble.measure(X.double())
    torch.manual_seed(0)
    model = DeepNeuralNetwork(
        [3, 3, 3, 1], True, activation=lambda: next(made_alone)
    )
    assert_close(found.outputs[0], model.double()(X.double()).detach())


def test_an_activation_with_a_weight_of_its_own() -> None:
    for x in (X, X.double()):
        found = Ensemble(SIZES, True, seeds=[3], activation=nn.PReLU)
        torch.manual_seed(3)
        model = DeepNeuralNetwork(SIZES, True, activation=nn.PReLU).to(x)
        assert_close(found.measure(x).outputs[0], model(x).detach())


def test_the_random_state_stays() -> None:
    state = torch.get_rng_state()
    Ensemble(SIZES, True, seeds=range(3)).measure(X)
    Ensemble(SIZES, True, seeds=[0], variances=(1.0, 0.0)).measure(X)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_input_stays() -> None:
    x = X.clone().requires_grad_()
    found = Ensemble(SIZES, True, seeds=[0]).measure(x)
    assert torch.equal(x, X)
    assert x.grad is None
    assert not any(part.requires_grad for part in found)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_it_measures_all_the_same(mode: Any) -> None:
    ensemble = Ensemble(SIZES, True, seeds=range(3), activation=nn.PReLU)
    expected = ensemble.measure(X)
    with mode():
        x = X.clone()
        assert same(ensemble.measure(x), expected)


def test_a_progress_bar_where_one_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ensemble = Ensemble(SIZES, True, seeds=range(3))
    ensemble.measure(X)
    assert capsys.readouterr() == ("", "")
    ensemble.measure(X, progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "chunk" in printed.err


@pytest.mark.parametrize(
    ("progress", "disable", "delay"),
    [(None, None, 1), (True, False, 0), (False, True, 0)],
)
@pytest.mark.parametrize("method", ["measure", "measure_in_chunks"])
def test_when_the_bar_is_shown(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    progress: bool | None,
    disable: bool | None,
    delay: int,
) -> None:
    given = {}

    def bar(chunks: range, **options: Any) -> range:
        given.update(options)
        return chunks

    monkeypatch.setattr(tqdm, "tqdm", bar)
    ensemble = Ensemble(SIZES, True, seeds=range(3))
    list(getattr(ensemble, method)(X, progress=progress))
    assert (given["disable"], given["delay"]) == (disable, delay)
    assert not given["leave"]


def test_no_bar_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble = Ensemble(SIZES, True, seeds=range(3))
    expected = ensemble.measure(X)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert same(ensemble.measure(X, progress=True), expected)


def test_chunks_hold_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensembles, "NUMBERS_AT_ONCE", 1)
    ensemble = Ensemble(SIZES, True, seeds=range(3))
    target = torch.tensor([[0.1]])
    whole = ensemble.measure(X, target)
    chunks = list(ensemble.measure_in_chunks(X, target))
    assert len(chunks) == 3
    assert same(whole, Lenses(*map(torch.cat, zip(*chunks, strict=True))))
    # A target takes the dtype of the samples.
    assert same(whole, ensemble.measure(X, target.double()))


def test_seeds_of_64_bits() -> None:
    seeds = [-(2**63), 2**64 - 1]
    assert len(Ensemble(SIZES, True, seeds=seeds).draw()[0].weight) == 2


def test_activations_with_weights_take_the_dtype_of_the_samples() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        ensemble = Ensemble(SIZES, True, seeds=[1], activation=nn.PReLU)
        found = ensemble.measure(X)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.outputs.dtype == torch.float32
    made = Ensemble(SIZES, True, seeds=[1], activation=lambda: nn.PReLU())
    expected = replace(made, activation=nn.PReLU).measure(X.double()).outputs
    assert_close(made.measure(X.double()).outputs, expected)


# Warnings and errors


def test_shapes_that_allow_no_shortcut_are_said() -> None:
    with pytest.warns(UserWarning, match="have no shortcut") as caught:
        ensemble = Ensemble([3, 4, 5, 1], True, seeds=range(3))
    assert str(caught[0].message) == (
        "no layer of sizes (3, 4, 5, 1) has as many inputs as outputs: these "
        "networks have no shortcut"
    )
    plain = Ensemble([3, 4, 5, 1], False, seeds=range(3))
    assert same(ensemble.measure(X), plain.measure(X))


def overflowing() -> Ensemble:
    # With weights this large the output of some networks passes 3.4e38.
    sizes = [3] * 30 + [1]
    return Ensemble(sizes, False, seeds=range(200), variances=(5e2, 0.0))


def test_warnings_point_at_who_asked() -> None:
    with pytest.warns(UserWarning, match="have no shortcut") as caught:
        Ensemble([3, 4, 5, 1], True, seeds=range(3))
    assert caught[0].filename == __file__
    ensemble = overflowing()
    words = "passed what torch.float32 holds"
    with pytest.warns(UserWarning, match=words) as caught:
        ensemble.measure(X * 1e3)
    with pytest.warns(UserWarning, match=words) as caught_later:
        for _ in ensemble.measure_in_chunks(X * 1e3):
            pass
    assert caught[0].filename == caught_later[0].filename == __file__


def test_overflow_is_counted_in_every_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ensembles, "NUMBERS_AT_ONCE", 1)
    # Only the way back overflows: what the stream holds are small numbers.
    ensemble = Ensemble(
        [2, 2], True, seeds=range(3), normalise=True, branch_scale=1e200
    )
    with pytest.warns(UserWarning, match=r"^3 of 3 networks passed what"):
        ensemble.measure(torch.tensor([[1.0, 2.0]], dtype=torch.float64))


def test_overflow_is_counted_and_kept() -> None:
    ensemble = overflowing()
    words = "passed what torch.float32 holds"
    with pytest.warns(UserWarning, match=words) as caught:
        found = ensemble.measure(X * 1e3)
    finite = found.outputs.flatten(1).isfinite().all(1)
    for part in found:
        finite &= part.flatten(1).isfinite().all(1)
    lost = int((~finite).sum())
    assert 0 < lost < 200
    assert str(caught[0].message).startswith(f"{lost} of 200 networks")


def test_an_overflow_that_leaves_finite_numbers_is_counted_too() -> None:
    ensemble = Ensemble([3, 3, 3, 1], True, seeds=range(2), normalise=True)
    with pytest.warns(UserWarning, match="2 of 2 networks passed"):
        found = ensemble.measure(X * 1e20)
    assert found.outputs.isfinite().all()
    found = ensemble.measure(X * 1e10)  # squares of this do fit
    assert_close(found.outputs, ensemble.measure(X * 1e9).outputs)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"seeds": range(0)}, ValueError, "at least one seed, got none"),
        ({"seeds": []}, ValueError, "at least one seed"),
        ({"seeds": 10_000}, TypeError, r"such as range\(10_000\), got 10000"),
        ({"seeds": [1.5]}, TypeError, "whole numbers, got 1.5"),
        ({"seeds": range(2**65, 2**65 + 1)}, ValueError, "64 bits, got"),
        ({"seeds": [-(2**63) - 1]}, ValueError, "64 bits, got"),
        ({"layer_sizes": [3]}, ValueError, "at least two layer sizes"),
        ({"layer_sizes": [3, 0]}, ValueError, "at least 1, got 0"),
        ({"activation": "gelu"}, TypeError, "such as nn.GELU, got 'gelu'"),
        ({"use_shortcut": 1}, TypeError, "True or False, got 1"),
        ({"seeds": [True]}, TypeError, "whole numbers, got True"),
        ({"seeds": b"123"}, TypeError, "to be a sequence such as range"),
        ({"seeds": {1, 2}}, TypeError, "to be a sequence such as range"),
        ({"variances": (1.0,)}, ValueError, r"two variances.*got \(1.0,\)"),
        ({"variances": 5}, ValueError, "two variances.*got 5"),
        ({"variances": (-1.0, 0.0)}, ValueError, "weights to be at least 0"),
        ({"variances": (1.0, math.nan)}, ValueError, "biases to be finite"),
        ({"variances": (1.0, "a")}, TypeError, "biases to be a number"),
        ({"normalise": "no"}, TypeError, "normalise to be True or False"),
        ({"activation_first": 1}, TypeError, "activation_first to be True"),
        ({"skip_scale": "2"}, TypeError, "skip_scale to be a number"),
        ({"branch_scale": math.inf}, ValueError, "branch_scale to be finite"),
        ({"activation": nn.Dropout}, ValueError, "without randomness"),
        ({"activation": nn.RReLU}, ValueError, "without randomness"),
        ({"activation": partial(nn.Softmax, -1)}, ValueError, "number alone"),
        ({"activation": partial(nn.ReLU, True)}, ValueError, "not in place"),
    ],
)
def test_wrong_options(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    good: dict[str, Any] = {
        "layer_sizes": SIZES,
        "use_shortcut": False,
        "seeds": [0],
    }
    with pytest.raises(error, match=words):
        Ensemble(**good | options)


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        ([1.0, 0.0, -1.0], TypeError, "x to be a tensor, got list"),
        (X.int(), TypeError, "floating-point input, got torch.int32"),
        (X[0], ValueError, r"\(samples, 3\).*got \(3,\)"),
        (X[None], ValueError, r"\(samples, 3\).*got \(1, 1, 3\)"),
        (X[:0], ValueError, "at least one sample"),
        (X[:, :2], ValueError, "last dimension is 3"),
        (X.half(), TypeError, "float32 or float64, got torch.float16"),
        (X / 0, ValueError, "finite x, got 3 of 3"),
    ],
)
def test_wrong_samples(x: Any, error: type[Exception], words: str) -> None:
    ensemble = Ensemble(SIZES, False, seeds=[0])
    for measure in (ensemble.measure, ensemble.measure_in_chunks):
        with pytest.raises(error, match=words):  # and at once
            measure(x)


def test_wrong_target() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 1\), got \(1,\)"):
        Ensemble(SIZES, False, seeds=[0]).measure(X, torch.zeros(1))
    with pytest.raises(TypeError, match="target to be a tensor, got float"):
        Ensemble(SIZES, False, seeds=[0]).measure(X, 0.0)  # type: ignore[arg-type]


def test_the_layernorm_is_torchs() -> None:
    # The oracle above writes it out; torch's own has the same epsilon.
    h = SAMPLES.double()
    by_hand = h - h.mean(1, keepdim=True)
    by_hand /= (h.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    assert_close(functional.layer_norm(h, (3,)), by_hand)
    assert GELU is Ensemble.activation


# Other starts, for training


@pytest.mark.parametrize("sizes", [[5, 5, 5], [3, 7, 2]])
def test_orthogonal_weights(sizes: list[int]) -> None:
    shape = Ensemble(sizes, False, seeds=[1, 2], orthogonal=True)
    for layer, (weight, bias) in enumerate(shape.draw()):
        assert weight.shape == (2, sizes[layer + 1], sizes[layer])
        few = weight if weight.shape[1] <= weight.shape[2] else weight.mT
        identity = torch.eye(few.shape[1]).expand(2, -1, -1)
        assert_close(few @ few.mT, identity, atol=1e-5, rtol=0)
        assert bias.eq(0).all()
    first, again = shape.draw([1])[0], shape.draw([2, 1])[0]
    assert_close(first.weight[0], again.weight[1])
    assert not torch.allclose(again.weight[0], again.weight[1])


def test_orthogonal_weights_are_drawn_without_a_preference() -> None:
    shape = Ensemble([2, 2], False, seeds=range(4000), orthogonal=True)
    ((weight, _),) = shape.draw()
    corner, turns = weight[:, 0, 0], torch.linalg.det(weight)
    # The cosine of a uniform angle: mean 0, mean square a half, both signs of
    # the determinant alike.
    assert abs(corner.mean()) < 0.04
    assert corner.square().mean() == pytest.approx(0.5, abs=0.03)
    assert turns.mean().item() == pytest.approx(0, abs=0.06)


@pytest.mark.parametrize("linear_ends", [False, True])
@pytest.mark.parametrize("activation", [GELU, nn.GELU, nn.ReLU])
def test_mirrored_networks_begin_as_linear_ones(
    linear_ends: bool, activation: Any
) -> None:
    shape = Ensemble(
        [4, 8, 8, 8, 3],
        False,
        seeds=[1, 2],
        activation=activation,
        orthogonal=True,
        mirrored=True,
        linear_ends=linear_ends,
    )
    x, other = SAMPLES[:, :2].repeat(1, 2).double(), torch.randn(5, 4).double()
    h = torch.stack([x, other, x - 2 * other]).view(1, 15, 4)
    done = shape.forward(shape.draw(), h.expand(2, -1, -1))
    z = done.zs[-1].view(2, 3, 5, 3)
    assert_close(z[:, 2], z[:, 0] - 2 * z[:, 1])
    # All lengths are kept up to the last layer, which has fewer rows.
    hidden = done.zs[-2][..., :4]
    lengths = h.norm(dim=-1).expand(2, -1)
    assert_close(hidden.norm(dim=-1), lengths, rtol=1e-5, atol=0)


def test_linear_ends() -> None:
    shape = Ensemble(
        [3, 4, 4, 2],
        True,
        seeds=[1],
        normalise=True,
        linear_ends=True,
        branch_scale=0.5,
    )
    first, middle, last = shape.draw()
    x = SAMPLES[None]
    h = x @ first.weight.mT + first.bias

    def norm(h: Tensor) -> Tensor:
        return functional.layer_norm(h, h.shape[-1:])

    h = h + 0.5 * GELU()(norm(h) @ middle.weight.mT + middle.bias)
    expected = norm(h) @ last.weight.mT + last.bias
    assert_close(shape.measure(SAMPLES).outputs, expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"orthogonal": True, "variances": (1, 0)},
            "variances or orthogonal weights, got both",
        ),
        ({"mirrored": True}, "mirrored weights to be orthogonal, too"),
        (
            {"mirrored": True, "orthogonal": True},
            "hidden layers of even size for mirrored weights, got (3, 3, 1)",
        ),
        (
            {"linear_ends": True, "activation_first": True},
            "activation_first or linear_ends, got both",
        ),
    ],
)
def test_options_that_contradict(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        Ensemble([3, 3, 1], False, seeds=[1], **options)
    assert str(caught.value) == f"expected {words}"
