"""Audits against Jacobians written out, and gradients kept by hand."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import jacrev
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from shortcuts import DeepNeuralNetwork, measure_loss
from shortcuts.auditing import Audit, Row, audit, jacobian_norms


def linears(*factors: float) -> Any:
    """Multiply a number by one factor after another."""
    model: Any = nn.Sequential(*(nn.Linear(1, 1, bias=False) for _ in factors))
    for layer, factor in zip(model, factors, strict=True):
        nn.init.constant_(layer.weight, factor)
    return model


def perceptron(width: int, *, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    blocks = (
        nn.Sequential(nn.Linear(width, width), nn.GELU()) for _ in range(3)
    )
    return nn.Sequential(*blocks).double()


def exact_norm(block: Any, x: Tensor) -> float:
    jacobian: Tensor = jacrev(block)(x).reshape(block(x).numel(), -1)
    return math.sqrt(jacobian.detach().square().sum() / len(jacobian))


def squares(model: Any, x: Tensor) -> Callable[[], Tensor]:
    return lambda: model(x).square().mean()


class Applies(nn.Module):
    """A block that is a function."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> object:
        """Apply it."""
        return self.function(*args, **kwargs)


# Gains


def test_norms_on_paper() -> None:
    model = linears(3.0, -2.0)
    norms = jacobian_norms(model, lambda: model(torch.ones(20, 1)))
    assert norms == {"0": pytest.approx(3), "1": pytest.approx(2)}


def test_few_outputs_are_exact() -> None:
    model, x = perceptron(3), torch.linspace(-1, 1, 6).double().view(2, 3)
    norms, h = jacobian_norms(model, lambda: model(x), probes=6), x
    for i, block in enumerate(model):
        assert norms[str(i)] == pytest.approx(exact_norm(block, h), rel=1e-12)
        h = block(h).detach()


def test_probes_miss_by_what_is_said() -> None:
    # The variance of |J^T v|^2 is 2 sum K_ij^2 over i != j, with K = J J^T.
    scores = []
    for seed in range(40):
        model = perceptron(12, seed=seed)
        h = torch.randn(4, 12, dtype=torch.double)
        norms = jacobian_norms(model, squares(model, h), probes=4)
        for i, block in enumerate(model):
            jacobian = jacrev(block)(h).reshape(48, 48)
            k = jacobian @ jacobian.T
            spread = (k - k.diag().diag()).square().sum().mul(2 / 4).sqrt()
            miss = 48 * norms[str(i)] ** 2 - k.trace()
            scores.append((miss / spread).item())
            h = block(h).detach()
    z = torch.tensor(scores)
    assert abs(z.mean()) < 0.5
    assert 0.5 < z.square().mean() < 1.7


def test_many_probes_come_closer() -> None:
    model, x = perceptron(8), torch.linspace(-1, 1, 80).double().view(10, 8)
    norms = jacobian_norms(model, lambda: model(x), probes=79)
    assert norms["0"] == pytest.approx(exact_norm(model[0], x), rel=0.02)
    assert norms["0"] != exact_norm(model[0], x)


@pytest.mark.parametrize("measure", [audit, jacobian_norms])
def test_eight_probes_of_their_own(measure: Any) -> None:
    model = perceptron(8)
    run = squares(model, torch.linspace(-1, 1, 80).double().view(10, 8))
    first = measure(model, run)
    torch.manual_seed(7)  # what others draw meanwhile
    assert measure(model, run, probes=8) == first
    assert measure(model, run, probes=9) != first


def test_a_block_that_runs_twice() -> None:
    # It squares, so its Jacobian is 2 h: 6, and then 18.
    block = Applies(torch.square)
    norms = jacobian_norms(
        nn.Sequential(block),
        lambda: block(block(torch.tensor([3.0]))),
        blocks=[block],
    )
    assert norms == {"0": pytest.approx(math.sqrt((6**2 + 18**2) / 2))}


def test_inputs_and_outputs_among_others_changed_in_place() -> None:
    def times(*, mask: None, x: Tensor) -> object:
        return mask, (x.mul_(3), mask)

    first, second = Applies(times), Applies(times)
    model = nn.Sequential(first, second)

    def run() -> None:
        h = first(mask=None, x=torch.ones(9) * weight)[1][0]
        h.mul_(7)
        second(mask=None, x=h)[1][0].mul_(7)

    weight = torch.ones(9, requires_grad=True)
    assert jacobian_norms(model, run) == {"0": 3, "1": 3}


def test_norms_under_checkpointing() -> None:
    model, x = perceptron(4), torch.linspace(-1, 1, 20).double().view(5, 4)

    def run(use_reentrant: bool) -> None:
        h = x.clone().requires_grad_()
        for block in model:
            h = checkpoint(block, h, use_reentrant=use_reentrant)

    expected = jacobian_norms(model, lambda: model(x))
    assert jacobian_norms(model, lambda: run(False)) == expected
    with pytest.raises(ValueError, match="block 0 to run with") as caught:
        jacobian_norms(model, lambda: run(True))
    assert str(caught.value).endswith(
        "got an output without: torch.no_grad(), or checkpointing with "
        "use_reentrant=True"
    )


# Audits


def test_an_audit_on_paper() -> None:
    # h is 2, 4, and then 6, 12; the loss is the sum of those, and dL/dh is 3
    # and 1, dL/dW is 3 + 6 and 2 + 4.
    model = linears(2.0, 3.0)
    first, second = audit(
        model, lambda: model(torch.tensor([[1.0], [2.0]])).sum()
    )
    assert first[:-1] == ("0", 3, 3, 9, 0)
    assert second[:-1] == ("1", 9, 1, 6, 0)
    diagonals = first.shortcut, second.shortcut
    assert diagonals == pytest.approx((2, 3))


def test_the_table() -> None:
    rows = Audit([Row("a.0", 12345.678, 1e-9, None, None, None)])
    rows.append(Row("b", math.nan, math.inf, 5e-7, 2.5e-5, 0.996))
    assert repr(rows) == str(rows)
    assert str(rows).splitlines() == [
        "block       |h|  |dL/dh|  |dL/dW|    zeros  shortcut",
        "a.0    1.23e+04    1e-09        -        -         -",
        "b           nan      inf    5e-07  2.5e-05      1.00",
    ]


def test_an_audit_against_gradients_kept_by_hand() -> None:
    model, x = perceptron(4), torch.linspace(-1, 1, 20).double().view(5, 4)
    rows = audit(model, squares(model, x))
    h, states = x, []
    for block in model:
        h = block(h)
        h.retain_grad()
        states.append(h)
    torch.autograd.backward([squares(nn.Identity(), h)()])
    means = measure_loss(model, squares(model, x))
    for i, (row, state) in enumerate(zip(rows, states, strict=True)):
        assert row.block == str(i)
        assert row.h == pytest.approx(state.abs().mean().item())
        assert row.delta == pytest.approx(state.grad.abs().mean().item())
        assert row.gradient == pytest.approx(means[f"{i}.0.weight"])


def exact_diagonal(function: Any, x: Tensor) -> Any:
    jacobian = jacrev(function)(x).reshape(x.numel(), -1)
    return pytest.approx(jacobian.diag().mean().item())


def test_the_diagonal_where_the_stream_goes_on() -> None:
    torch.manual_seed(0)
    model: Any = DeepNeuralNetwork([3, 3, 3, 3], use_shortcut=True).double()
    x = torch.tensor([[1.0, 0.0, -1.0]]).double()
    rows, h = audit(model, squares(model, x)), x
    for row, layer in zip(rows, model.layers, strict=True):
        expected = 1 + exact_diagonal(layer, h).expected
        assert row.shortcut == pytest.approx(expected, rel=1e-12)
        h = (h + layer(h)).detach()


def test_a_stream_that_is_changed_in_place() -> None:
    blocks = [Applies(lambda x: x / 2), Applies(lambda x: x / 4)]
    other, first = nn.Identity(), nn.Linear(1, 1)

    def loss() -> Tensor:
        h: Tensor = first(torch.ones(9, 1))
        for block in blocks:
            h += other(block(h))
        return h.sum()

    model = nn.ModuleList([*blocks, other, first])
    rows = audit(model, loss, blocks=blocks)
    diagonals = [row.shortcut for row in rows]
    # Behind the last block, the next module takes what the block returns.
    assert diagonals == pytest.approx([1.5, 0.25])


@pytest.mark.parametrize(
    ("use_shortcut", "low", "high"), [(False, -0.2, 0.2), (True, 0.8, 1.2)]
)
def test_shortcuts_of_the_model(
    use_shortcut: bool, low: float, high: float
) -> None:
    torch.manual_seed(0)
    model = DeepNeuralNetwork([16] * 6 + [1], use_shortcut)
    x = torch.randn(32, 16)
    rows: Any
    *rows, last = audit(model, squares(model, x))
    assert all(low < row.shortcut < high for row in rows)
    assert last.shortcut is None


@pytest.mark.parametrize("norm", [None, nn.LayerNorm(32)])
@pytest.mark.parametrize(
    ("norm_first", "low", "high"), [(True, 0.9, 1.1), (False, 0.5, 0.98)]
)
def test_shortcuts_of_a_transformer(
    norm_first: bool, low: float, high: float, norm: nn.Module | None
) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        32, 4, 64, norm_first=norm_first, batch_first=True
    )
    model = nn.TransformerEncoder(
        layer, 3, norm=norm, enable_nested_tensor=False
    )
    rows: Any = audit(model, squares(model, torch.randn(4, 10, 32)))
    assert [row.block for row in rows] == [f"layers.{i}" for i in range(3)]
    assert all(low < row.shortcut < high for row in rows)


class Residual(nn.Module):
    """A block of a ResNet, with its shortcut within, or without one."""

    def __init__(self, n_in: int, n_out: int, is_bypassed: bool) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, padding=1, stride=n_out // n_in),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_out, n_out, 3, padding=1),
            nn.BatchNorm2d(n_out),
        )
        self.is_bypassed = is_bypassed
        self.pool = nn.Conv2d(n_in, n_out, 1, stride=n_out // n_in)

    def forward(self, x: Tensor) -> Tensor:
        """Add in place, as torchvision does."""
        y: Tensor = self.branch(x)
        if self.is_bypassed:
            y += x if x.shape == y.shape else self.pool(x)
        return nn.functional.relu_(y)


@pytest.mark.parametrize(
    ("is_bypassed", "low", "high"), [(False, -0.2, 0.2), (True, 0.4, 1.1)]
)
def test_shortcuts_of_a_resnet(
    is_bypassed: bool, low: float, high: float
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.Sequential(
            Residual(8, 16, is_bypassed),
            Residual(16, 16, is_bypassed),
            Residual(16, 16, is_bypassed),
        ),
        nn.Flatten(),
    )
    rows: Any
    first, *rows = audit(model, squares(model, torch.randn(4, 3, 10, 10)))
    assert first.shortcut is None
    assert all(low < row.shortcut < high for row in rows)


class Conditioned(nn.Module):
    """A layer that takes the stream as the second of its tensors."""

    def __init__(self, is_bypassed: bool) -> None:
        super().__init__()
        self.linear, self.is_bypassed = nn.Linear(9, 9), is_bypassed

    def forward(self, condition: Tensor, x: Tensor) -> Tensor:
        """Multiply by the condition, which no block changes."""
        y: Tensor = (self.linear(x) * condition).tanh()
        return x + y if self.is_bypassed else y


@pytest.mark.parametrize(
    ("is_bypassed", "low", "high"), [(False, -0.2, 0.2), (True, 0.8, 1.2)]
)
@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("raw", ["none", "x", "condition"])
def test_the_stream_is_what_the_block_before_has_made(
    is_bypassed: bool, low: float, high: float, by_name: bool, raw: str
) -> None:
    torch.manual_seed(0)
    blocks = nn.ModuleList(Conditioned(is_bypassed) for _ in range(4))
    ends = nn.ModuleList([nn.Linear(9, 9), nn.Linear(9, 9), blocks])

    def run() -> Any:
        x, condition = (end(torch.ones(7, 9)) for end in ends[:2])
        # A batch as it comes asks for no gradient.
        if raw == "x":
            x = torch.linspace(-1, 1, 63).view(7, 9)
        elif raw == "condition":
            condition = torch.ones(7, 9)
        for block in blocks:
            given = {"condition": condition, "x": x}
            x = block(**given) if by_name else block(*given.values())
        return x

    rows: Any = audit(ends, lambda: run().square().mean(), blocks=blocks)
    assert all(low < row.shortcut < high for row in rows)
    norms = jacobian_norms(ends, run, blocks=blocks).values()
    assert all((norm > 0.8) == is_bypassed for norm in norms)


def test_where_the_stream_enters_blocks_that_no_block_leads_to() -> None:
    # The first has one tensor, the others have the stream as their second;
    # of one that stands alone, the first of its tensors is the stream.
    torch.manual_seed(0)
    blocks: Any = nn.ModuleList(
        [nn.Linear(9, 9), Conditioned(True), Conditioned(True)]
    )
    condition, x = torch.ones(7, 9), torch.linspace(-1, 1, 63).view(7, 9)

    def loss() -> Any:
        h = blocks[0](x)
        for block in blocks[1:]:
            h = block(condition, h)
        return h.square().mean()

    linear, *others = audit(blocks, loss, blocks=blocks)
    weight = blocks[0].weight
    mean = pytest.approx(weight.diag().mean().item(), abs=0.1)
    assert linear.shortcut == mean
    assert all(
        row.shortcut is not None and row.shortcut > 0.8 for row in others
    )
    (alone,) = audit(
        blocks[1],
        lambda: blocks[1](condition, x).square().mean(),
        blocks=[blocks[1]],
    )
    assert alone.shortcut is not None
    assert alone.shortcut < 0.5


def test_a_part_of_many_paths_that_no_block_has_made() -> None:
    # Two to the sixtieth, and each node is looked at once.
    blocks = [Applies(lambda x: x / 2), nn.Identity()]
    other = nn.Linear(1, 1)
    model = nn.ModuleList([*blocks, other])

    def loss() -> Tensor:
        h: Tensor = blocks[0](torch.ones(9, 1))
        beside: Tensor = other(torch.ones(9, 1))
        for _ in range(60):
            beside = (beside + beside) / 2
        h = blocks[1](h + beside)
        return h.sum()

    rows = audit(model, loss, blocks=blocks)
    assert [row.shortcut for row in rows] == pytest.approx([0.5, 1])


def test_blocks_side_by_side_have_no_shortcut() -> None:
    torch.manual_seed(0)
    experts = nn.ModuleList(nn.Linear(9, 9) for _ in range(3))
    model = nn.ModuleList([nn.Linear(9, 9), experts])

    def loss() -> Any:
        x: Tensor = model[0](torch.ones(7, 9))
        return sum(expert(x) for expert in experts).square().mean()

    rows = audit(model, loss, blocks=experts)
    assert [row.shortcut for row in rows[:2]] == [None, None]


def test_audits_refuse_reentrant_checkpointing() -> None:
    model = perceptron(4)
    x = torch.ones(5, 4).double().requires_grad_()

    def loss() -> Any:
        h: Any = x
        for block in model:
            h = checkpoint(block, h, use_reentrant=True)
        return h.square().mean()

    words = "^expected checkpointing with use_reentrant=False, got True$"
    with pytest.raises(ValueError, match=words):
        audit(model, loss)


def test_audits_under_checkpointing() -> None:
    model, x = perceptron(4), torch.linspace(-1, 1, 20).double().view(5, 4)

    def loss() -> Tensor:
        h = x
        for block in model:
            h = checkpoint(block, h, use_reentrant=False)
        return h.square().mean()

    with set_checkpoint_early_stop(False):  # so that hooks would run again
        assert audit(model, loss) == audit(model, squares(model, x))


def test_an_expert_that_gets_no_token() -> None:
    model = linears(2.0, 3.0)

    def run(tokens: int) -> Tensor:
        h: Tensor = model[1](model[0](torch.ones(2, 1))[:tokens])
        return h.sum()

    idle = audit(model, lambda: run(0))[1]
    assert (math.isnan(idle.h), math.isnan(idle.delta)) == (True, True)
    assert idle.shortcut is None
    norms = jacobian_norms(model, lambda: run(0))
    assert norms["0"] == pytest.approx(2)
    assert math.isnan(norms["1"])
    norms = jacobian_norms(model, lambda: run(0) + run(2))
    assert norms == pytest.approx({"0": 2, "1": 3})


def test_a_block_that_does_not_read_the_stream() -> None:
    # Ninety numbers, so that its probes are random.
    weight = torch.ones(90, requires_grad=True)
    block = Applies(lambda x: 3 * weight)
    model = nn.ModuleList([block, nn.Linear(1, 1)])

    def run() -> Any:
        return block(torch.ones(90)).sum()

    assert jacobian_norms(model, run, blocks=[block]) == {"0": 0}
    assert audit(model, run, blocks=[block])[0].shortcut is None


def test_sums_of_coarse_numbers_are_fine() -> None:
    # In bfloat16 a thousand and one is a thousand.
    block, x = nn.Identity(), torch.ones(1001, dtype=torch.bfloat16)
    model = nn.ModuleList([block, nn.Linear(1, 1)])
    run = squares(block, x)
    assert jacobian_norms(model, run, blocks=[block]) == {"0": 1}
    assert audit(model, run, blocks=[block])[0].shortcut == 1


def test_weights_without_a_gradient() -> None:
    model: Any = nn.Sequential(nn.Linear(2, 1), nn.Linear(2, 1))
    nn.init.ones_(model[0].weight)

    def loss() -> Tensor:
        model[1](torch.ones(1, 2))
        x = torch.tensor([[0.0, 3.0]])
        return model[0](x).sum()  # type: ignore[no-any-return]

    first, second = audit(model, loss)
    assert (first.gradient, first.zeros) == (1.5, 0.5)
    assert second[2:] == (0, 0, 1, None)


def test_frozen_blocks() -> None:
    model = linears(2.0, 3.0, 4.0)
    model[:2].requires_grad_(False)
    first, second, _ = audit(model, squares(model, torch.ones(1, 1)))
    assert (first.gradient, first.zeros, first.shortcut) == (None, None, 2)
    assert (first.delta, second.delta) == (2 * 24 * 12, 2 * 24 * 4)


def test_a_loss_that_runs_the_model_twice() -> None:
    model: Any = DeepNeuralNetwork([3, 3, 3], use_shortcut=True)
    x = torch.tensor([[1.0, 0.0, -1.0]])
    once = audit(model, squares(model, x))
    twice = audit(model, lambda: squares(model, x)() + squares(model, x)())
    for one, two in zip(once, twice, strict=True):
        assert two.shortcut == pytest.approx(one.shortcut)
        assert (two.h, two.delta) == pytest.approx((one.h, one.delta))
        assert two.gradient == pytest.approx(2 * (one.gradient or math.nan))


def test_where_it_ceases_to_be_finite() -> None:
    model = linears(2.0, 1e30, 1e30)
    rows = audit(model, squares(model, torch.ones(1, 1)))
    assert [math.isfinite(row.h) for row in rows] == [True, True, False]


# What is left alone


@pytest.mark.parametrize("measure", [audit, jacobian_norms])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_no_trace(measure: Any, mode: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    model: Any = nn.Sequential(
        *(
            nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
            for _ in range(2)
        )
    )
    x, state = torch.randn(8, 3), torch.get_rng_state()
    buffers = [buffer.clone() for buffer in model.buffers()]
    first = measure(model, squares(model, x))
    with mode():
        assert measure(model, squares(model, x)) == first
    with pytest.raises(ZeroDivisionError):
        measure(model, lambda: model(x).sum() / (1 // 0))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, model.buffers(), buffers))
    assert all(p.grad is None for p in model.parameters())
    assert x.grad is None
    assert not x.requires_grad
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


# What is refused


@pytest.mark.parametrize("measure", [audit, jacobian_norms])
def test_what_cannot_be_run(measure: Any) -> None:
    model = linears(2.0, 3.0)
    name = "loss" if measure is audit else "run"
    with pytest.raises(ValueError, match="probes to be at least 1, got 0"):
        measure(model, squares(model, torch.ones(1, 1)), probes=0)
    words = rf"^expected {name}\(\) to run every block, got .* 1, or"
    with pytest.raises(ValueError, match=words):
        measure(model, squares(model[0], torch.ones(1, 1)))
    for function, verb in (lambda _: None, "return"), (lambda: 1, "take"):
        block = Applies(function)
        whole = nn.Sequential(linears(1.0), block)
        run = block if verb == "take" else lambda b=block: b(torch.ones(1))
        words = (
            f"block 1 to {verb} a tensor of floating-point numbers, got none$"
        )
        with pytest.raises(TypeError, match=words):
            measure(whole, run, blocks=[block])


@pytest.mark.parametrize(
    ("loss", "error", "words"),
    [
        (lambda y: y, ValueError, r"a scalar loss .*, got \(2, 1\)"),
        (lambda y: y.detach().sum(), ValueError, "got a constant"),
        (lambda y: 1.0, TypeError, "loss to be a tensor, got float"),
    ],
)
def test_wrong_losses(
    loss: Callable[[Tensor], Any], error: type[Exception], words: str
) -> None:
    model = linears(2.0, 3.0)
    with pytest.raises(error, match=words):
        audit(model, lambda: loss(model(torch.ones(2, 1))))
