"""The training of many networks at once."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from shortcuts import DeepNeuralNetwork
from shortcuts import training as module
from shortcuts.ensembles import Ensemble
from shortcuts.mean_field import gradient_correlation
from shortcuts.tasks import Task, spirals
from shortcuts.training import (
    Networks,
    divided,
    drawn,
    gradient_agreement,
    train,
)

SIZES = [2, 4, 4, 4, 3]
RATES = torch.tensor([0.01, 0.1, 0.03])
TASK = Task(spirals(30).x.double(), spirals(30).y)
OPTIMIZERS: list[Any] = [
    torch.optim.Adam,
    partial(torch.optim.Adam, eps=0.1),
    torch.optim.SGD,
    partial(torch.optim.SGD, momentum=0.9, weight_decay=0.1),
]


def loop(
    ensemble: Ensemble,
    seed: int,
    rate: float,
    steps: int,
    optimizer: Any,
    batch: int | None,
) -> tuple[list[float], Tensor]:
    """Train one network as torch's own documentation does."""
    torch.manual_seed(seed)
    model = DeepNeuralNetwork(
        ensemble.layer_sizes, ensemble.use_shortcut, activation=nn.GELU
    ).double()
    own = optimizer(model.parameters(), lr=rate)
    generator, losses = torch.Generator().manual_seed(seed), []
    for _ in range(steps):
        x, y = TASK
        if batch is not None:
            at = torch.randint(len(x), (batch,), generator=generator)
            x, y = x[at], y[at]
        own.zero_grad()
        loss = cross_entropy(model(x), y)
        torch.autograd.backward(loss)
        own.step()
        losses.append(loss.item())
    parameters = [p.detach().flatten() for p in model.parameters()]
    return losses, torch.cat(parameters)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("use_shortcut", [False, True])
@pytest.mark.parametrize("batch", [None, 7])
def test_each_run_is_that_of_a_loop(
    optimizer: Any, use_shortcut: bool, batch: int | None
) -> None:
    networks = Ensemble(
        SIZES, use_shortcut, seeds=[5, 6, 7], activation=nn.GELU
    )
    runs = train(
        networks,
        *TASK,
        rates=RATES,
        steps=20,
        optimizer=optimizer,
        batch=batch,
    )
    for i, (seed, rate) in enumerate(zip((5, 6, 7), RATES, strict=True)):
        losses, numbers = loop(
            networks, seed, rate.double().item(), 20, optimizer, batch
        )
        assert runs.losses[i].tolist() == pytest.approx(losses, rel=1e-9)
        torch.testing.assert_close(runs.networks.rows[i], numbers)


def test_a_run_depends_on_its_seed_and_rate_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(seeds: list[int], rates: Any) -> Tensor:
        networks = Ensemble(SIZES, True, seeds=seeds)
        return train(networks, *TASK, rates=rates, steps=9, batch=5).losses

    whole = run([1, 2, 3], RATES)
    assert torch.equal(run([1, 2, 3], RATES), whole)
    torch.testing.assert_close(run([3, 1], RATES[[2, 0]]), whole[[2, 0]])
    torch.testing.assert_close(run([2], 0.1), whole[[1]])
    monkeypatch.setattr(module, "NETWORKS_AT_ONCE", 2)
    torch.testing.assert_close(run([1, 2, 3], RATES), whole)
    assert not torch.allclose(whole[0], run([2], RATES[0]))


def test_what_a_row_holds() -> None:
    ensemble = Ensemble([2, 3, 3, 4], True, seeds=[1, 2], branch_scale=0.5)
    networks = drawn(ensemble)
    for linear, again in zip(ensemble.draw(), networks.linears, strict=True):
        assert torch.equal(linear.weight, again.weight)
        assert torch.equal(linear.bias, again.bias)
    assert networks.scales.tolist() == [[0.5] * 3] * 2
    assert networks.rows.shape == (2, 9 + 12 + 16)
    expected = ensemble.measure(torch.ones(5, 2)).outputs
    found = networks.forward(torch.ones(5, 2)).outputs
    torch.testing.assert_close(found, expected)


def test_learned_scales() -> None:
    """A branch that begins at zero gets a gradient by its scale alone."""
    shape = Ensemble([2, 4, 4, 3], True, seeds=[1], branch_scale=0.0)
    train_some = partial(
        train, shape, *TASK, rates=0.1, optimizer=torch.optim.SGD
    )
    fixed = train_some(steps=3).networks
    assert fixed.scales.eq(0).all()
    one = train_some(steps=1, learn_scales=True).networks
    start = drawn(shape)
    bypassed = torch.tensor(shape.bypassed)
    assert one.scales[0, bypassed].ne(0).all()
    assert one.scales[0, ~bypassed].eq(0).all()  # there is no branch
    before, after = start.linears[1], one.linears[1]
    torch.testing.assert_close(after.weight.float(), before.weight)


def test_losses_and_gradients_of_one_network() -> None:
    ensemble = Ensemble(SIZES, True, seeds=[3], activation=nn.GELU)
    networks = drawn(ensemble).to(TASK.x)
    torch.manual_seed(3)
    model = DeepNeuralNetwork(SIZES, True, activation=nn.GELU).double()
    outputs = model(TASK.x)
    loss = cross_entropy(outputs, TASK.y)
    torch.autograd.backward(loss)
    assert networks.losses(*TASK).item() == pytest.approx(loss.item())
    layers: Any = model.layers
    weights = [linear.weight for linear, _ in layers]
    means = [weight.grad.abs().mean().item() for weight in weights]
    assert networks.gradients(*TASK)[0].tolist() == pytest.approx(means)


def test_a_gradient_of_rows_and_scales() -> None:
    """What a small step changes, for each network on its own."""
    ensemble = Ensemble(SIZES, True, seeds=[3, 4], branch_scale=0.5)
    networks = drawn(ensemble).to(TASK.x)
    slope, step = networks.gradient(*TASK), 1e-6
    way = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    rows, scales = way(networks.rows.shape), way(networks.scales.shape)
    ahead, behind = (
        Networks(
            ensemble,
            networks.rows + sign * step * rows,
            networks.scales + sign * step * scales,
        ).losses(*TASK)
        for sign in (1, -1)
    )
    expected = (slope.rows * rows).sum(1) + (slope.scales * scales).sum(1)
    torch.testing.assert_close(
        (ahead - behind) / (2 * step), expected, rtol=1e-6, atol=1e-9
    )
    assert not networks.rows.requires_grad
    plain = drawn(Ensemble(SIZES, False, seeds=[3]))
    assert plain.gradient(TASK.x.float(), TASK.y).scales.eq(0).all()


def test_gradients_of_neighbours() -> None:
    """A linear network's are the same; those of a wide one follow the law."""
    flat = drawn(Ensemble([4, 4, 4], True, seeds=[1], activation=nn.Identity))
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    near = partial(gradient_agreement, correlation=0.9)
    torch.testing.assert_close(near(flat, x), torch.ones(1, 2))
    wide = drawn(
        Ensemble(
            [200] * 4,
            False,
            seeds=range(20),
            activation=nn.ReLU,
            variances=(2.0, 0.0),
        )
    )
    for correlation in (0.9, -0.5):
        found = gradient_agreement(
            wide, torch.ones(1, 200), correlation=correlation
        )
        law = gradient_correlation(
            nn.ReLU(),
            c_w=2,
            c_b=0,
            start=1,
            correlation=correlation,
            depth=3,
        )
        torch.testing.assert_close(
            found.mean(0).double(), law, rtol=0, atol=0.06
        )
    whole = near(wide, torch.ones(1, 200))
    some = near(wide, torch.ones(1, 200), layers=[-1, 0])
    assert torch.equal(some, whole[:, [-1, 0]])
    again = near(wide, torch.ones(1, 200), seed=1)
    assert not torch.equal(again, near(wide, torch.ones(1, 200)))


def test_neighbours_are_as_long_and_as_far_as_is_said() -> None:
    seen = []

    class Copies(nn.Module):
        """An activation function that keeps what it gets."""

        def forward(self, z: Tensor) -> Tensor:
            """Keep it."""
            seen.append(z.detach().clone())
            return z + z**2

    shape = Ensemble([3, 3, 3], False, seeds=[0, 1], activation=Copies)
    networks = drawn(shape)
    first = networks.linears[0]
    first.weight.copy_(torch.eye(3))
    first.bias.zero_()
    x = torch.tensor([[1.0, 2.0, 3.0], [0.0, -4.0, 0.0], [0.1, 0.1, 0.2]])
    seen.clear()
    gradient_agreement(networks, x.double(), correlation=0.3)
    near = seen[0][0][3:]
    assert torch.equal(seen[0][0][:3], x.double())
    torch.testing.assert_close(near.norm(dim=1), x.double().norm(dim=1))
    cosines = torch.cosine_similarity(x.double(), near, dim=1)
    torch.testing.assert_close(cosines, torch.full((3,), 0.3).double())


@pytest.mark.parametrize("linear_ends", [True, False])
def test_divided_networks_begin_alike_and_move_by_less(
    linear_ends: bool,
) -> None:
    shape = Ensemble(
        SIZES, False, seeds=[1, 2], activation=nn.Tanh, linear_ends=linear_ends
    )
    one, other = drawn(shape).to(TASK.x), divided(shape, by=8).to(TASK.x)
    expected = one.forward(TASK.x).outputs
    torch.testing.assert_close(other.forward(TASK.x).outputs, expected)
    hidden = slice(1, -1) if linear_ends else slice(None)
    for networks, step in (one, 0.01), (other, 0.08):
        for part in sum(networks.linears[hidden], ()):
            part.add_(step)
    expected = one.forward(TASK.x).outputs
    torch.testing.assert_close(other.forward(TASK.x).outputs, expected)
    with pytest.raises(ValueError, match="by to be above 0, got 0"):
        divided(shape, by=0)
    assert divided(shape, by=0.5).linears[1].weight.ne(0).any()


def test_a_rate_of_zero_is_one() -> None:
    shape = Ensemble(SIZES, False, seeds=[1, 2])
    rates = torch.tensor([0.0, 0.1])
    rows = train(shape, *TASK, rates=rates, steps=2).networks.rows
    begun = drawn(shape).rows.double()
    assert rows.eq(begun).all(dim=1).tolist() == [True, False]


def test_layers_may_be_left_out_and_swapped() -> None:
    shape = Ensemble([2, 4, 4, 4, 3], False, seeds=[1, 2])
    networks = drawn(shape)
    x = torch.randn(6, 2)
    act = shape.activation()
    for layers in ([0, 1, 2, 3], [0, 2, 1, 3], [0, 3], [0, 1, 1, 3]):
        h = x.expand(2, -1, -1)
        for layer in layers:
            weight, bias = networks.linears[layer]
            h = act(h @ weight.mT + bias)
        done = networks.forward(x, layers=layers)
        torch.testing.assert_close(done.outputs, h)
        assert len(done.stream) == len(layers)


def test_networks_of_ones_own_are_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From where they are, and as the loop that made them would go on."""
    shape = Ensemble(SIZES, True, seeds=[1, 2, 3], branch_scale=0.5)
    run = partial(train, rates=RATES, optimizer=torch.optim.SGD)
    whole = run(shape, *TASK, steps=5).networks
    monkeypatch.setattr(module, "NETWORKS_AT_ONCE", 2)
    half = run(shape, *TASK, steps=2).networks
    before = half.rows.clone()
    again = run(half, *TASK, steps=3).networks
    torch.testing.assert_close(again.rows, whole.rows)
    assert torch.equal(half.rows, before)
    with pytest.raises(ValueError, match="each of 2 networks, got 3"):
        run(half[1:], *TASK, steps=1)


def test_runs_that_diverge_are_told() -> None:
    shape = Ensemble(
        SIZES, True, seeds=[1, 1], activation=nn.ReLU, linear_ends=True
    )
    runs = train(
        shape,
        *TASK,
        rates=torch.tensor([0.01, 1e6]),
        steps=30,
        optimizer=torch.optim.SGD,
    )
    assert runs.diverged.tolist() == [False, True]
    assert math.isfinite(runs.losses[0, -1])


def test_nothing_of_the_readers_is_changed() -> None:
    x, y = TASK.x.clone().requires_grad_(), TASK.y.clone()
    state = torch.random.get_rng_state()
    with torch.inference_mode():
        runs = train(Ensemble(SIZES, True, seeds=[1]), x, y, rates=1, steps=2)
    assert x.grad is None
    assert torch.equal(x, TASK.x)
    assert torch.equal(y, TASK.y)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not runs.networks.rows.requires_grad
    assert not runs.networks.rows.is_inference()


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"x": [[1.0, 2.0]]}, TypeError, "x to be a tensor, got list"),
        ({"x": torch.ones(30, 2).half()}, TypeError, "float32 or float64"),
        ({"x": torch.ones(30, 3)}, ValueError, "last dimension is 2"),
        (
            {"x": torch.ones(2)},
            ValueError,
            r"shape \(samples, 2\).*got \(2,\)",
        ),
        ({"x": torch.full((30, 2), math.inf)}, ValueError, "finite x"),
        ({"y": [0] * 30}, TypeError, "y to be a tensor, got list"),
        ({"y": TASK.y.double()}, TypeError, "torch.int64, got torch.float64"),
        ({"y": TASK.y[1:]}, ValueError, r"each of 30 samples, got .*\(29,\)"),
        ({"y": TASK.y + 1}, ValueError, "0 to 2, one for each output.*1 to 3"),
        ({"y": TASK.y - 1}, ValueError, "got -1 to 1"),
        ({"rates": "fast"}, TypeError, "the rate to be a number, got 'fast'"),
        ({"rates": -0.1}, ValueError, "the rate to be at least 0, got -0.1"),
        (
            {"rates": -RATES},
            ValueError,
            "^expected finite rates that are not below 0$",
        ),
        ({"rates": RATES / 0}, ValueError, "finite rates"),
        ({"rates": RATES[1:]}, ValueError, r"each of 3 networks.*\(2,\)"),
        ({"steps": 0}, ValueError, "steps to be at least 1, got 0"),
        ({"batch": 0}, ValueError, "batch to be at least 1, got 0"),
        ({"learn_scales": 1}, TypeError, "learn_scales to be True or False"),
    ],
)
def test_what_cannot_be_trained(
    changed: dict[str, Any], error: type[Exception], words: str
) -> None:
    given: dict[str, Any] = {
        "x": TASK.x,
        "y": TASK.y,
        "rates": RATES,
        "steps": 1,
    } | changed
    networks = Ensemble(SIZES, True, seeds=[1, 2, 3])
    with pytest.raises(error, match=words):
        train(networks, **given)


def test_a_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    networks = Ensemble(SIZES, True, seeds=[1])
    train(networks, *TASK, rates=0.1, steps=7, progress=True)
    assert "0/7" in capsys.readouterr().err
    train(networks, *TASK, rates=0.1, steps=1)
    assert capsys.readouterr().err == ""


def test_networks_of_a_type() -> None:
    networks = drawn(Ensemble(SIZES, True, seeds=[1]))
    assert networks.rows.dtype == networks.scales.dtype == torch.float32
    double = networks.to(TASK.x)
    assert isinstance(double, Networks)
    assert double.rows.dtype == double.scales.dtype == torch.float64
