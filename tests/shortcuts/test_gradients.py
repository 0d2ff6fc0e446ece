"""Gradients against hand-worked values, finite differences and autograd."""

import copy
import math
import random
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from shortcuts import (
    DeepNeuralNetwork,
    gradient_means,
    measure_gradients,
    measure_loss,
    print_gradients,
)
from shortcuts._sizes import sum_of_sizes
from shortcuts.printed import SIZES, read_printout

X = torch.tensor([[1.0, 0.0, -1.0]])


def listing(use_shortcut: bool = False) -> DeepNeuralNetwork:
    torch.manual_seed(123)
    return DeepNeuralNetwork(SIZES, use_shortcut)


def linear(weights: list[list[float]], bias: bool = False) -> nn.Linear:
    weight = torch.tensor(weights)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
    layer.weight.data = weight
    return layer


# What is measured


def test_two_layers_on_paper() -> None:
    # Those of the chapter on gradients: |dL/dW1| is 8, 16, 0, 0, and |dL/dW2|
    # is 4, 0.
    model = nn.Sequential(
        linear([[1.0, 0.0], [0.5, -1.0]]), nn.ReLU(), linear([[2.0, 3.0]])
    )
    x = torch.tensor([[1.0, 2.0]])
    assert measure_gradients(model, x) == {"0.weight": 6.0, "2.weight": 2.0}


def test_the_mean_of_absolute_values() -> None:
    # y = 2, so dL/dy = 4, and dL/dW is 4, 0, -4: mean 0, sum of sizes 8, mean
    # 8 / 3.
    means = measure_gradients(linear([[3.0, 5.0, 1.0]]), X)
    assert means == {"weight": pytest.approx(8 / 3)}


def test_target_and_loss() -> None:
    model, x = linear([[3.0]]), torch.tensor([[2.0]])
    assert measure_gradients(model, x) == {"weight": 24}  # 2 (6 - 0) 2
    assert measure_gradients(model, x, torch.tensor([[5.0]])) == {"weight": 4}
    doubled = measure_gradients(
        model, x, loss_fn=lambda y, t: 2 * (y - t).sum()
    )
    assert doubled == {"weight": 4}


def test_weights_in_their_order_and_no_biases() -> None:
    model = nn.Sequential(
        nn.Embedding(5, 4), nn.LayerNorm(4), nn.LSTM(4, 3), Head(3)
    )
    assert list(measure_gradients(model, torch.tensor([[1, 2]]))) == [
        "0.weight",
        "1.weight",
        "2.weight_ih_l0",
        "2.weight_hh_l0",
        "3.weighted.weight",
    ]


class Head(nn.Module):
    """Takes what an LSTM returns; has a bias with "weight" in its path."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weighted = nn.Linear(size, 1)

    def forward(self, lstm_output: tuple[Tensor, Any]) -> Tensor:
        """Use the sequence and leave the state."""
        y: Tensor = self.weighted(lstm_output[0])
        return y


@given(
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    use_shortcut=st.booleans(),
    seed=st.integers(0, 999),
)
def test_finite_differences(
    sizes: list[int], use_shortcut: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    model = DeepNeuralNetwork(sizes, use_shortcut).double()
    x = torch.randn(2, sizes[0], dtype=torch.float64)
    target = torch.randn(2, sizes[-1], dtype=torch.float64)

    def loss() -> Any:
        return (model(x) - target).square().mean().item()

    means, step = measure_gradients(model, x, target), 1e-6
    for name, weight in model.named_parameters():
        if "weight" not in name:
            continue
        slopes = []
        for entry in weight.data.view(-1):
            entry += step
            up = loss()
            entry -= 2 * step
            slopes.append(abs(up - loss()) / (2 * step))
            entry += step
        assert means[name] == pytest.approx(
            sum(slopes) / len(slopes), abs=1e-8
        )


@pytest.mark.parametrize("use_shortcut", [False, True])
def test_the_same_as_backward_leaves(use_shortcut: bool) -> None:
    model = listing(use_shortcut)
    model(X).square().mean().backward()
    assert gradient_means(model) == measure_gradients(model, X)


def test_classes_as_target() -> None:
    model, classes = nn.Linear(3, 4), torch.tensor([2, 0])
    x, loss = torch.randn(2, 3), nn.CrossEntropyLoss()
    loss(model(x), classes).backward()
    assert measure_gradients(
        model, x, classes, loss_fn=loss
    ) == gradient_means(model)
    one = measure_gradients(model, x[0], classes[0], loss_fn=loss)
    assert one.keys() == {"weight"}


def test_a_loss_around_another_takes_any_target() -> None:
    model, words = nn.Linear(3, 5), torch.tensor([[0, 4], [1, 1]])
    x, flat = torch.randn(2, 2, 3), nn.CrossEntropyLoss()

    def loss(output: Tensor, _: Tensor) -> Tensor:
        value: Tensor = flat(output.flatten(0, 1), words.flatten())
        return value

    torch.autograd.backward(loss(model(x), words))
    assert measure_gradients(model, x, loss_fn=loss) == gradient_means(model)


def test_half_precision_is_averaged_in_float32() -> None:
    model = nn.Linear(300, 1, bias=False).bfloat16()
    x = torch.linspace(0, 1, 300).bfloat16()
    output = model(x).item()
    expected = (2 * output * x.float()).abs().mean().item()
    measured = measure_loss(model, lambda: model(x).square().mean())
    assert measured["weight"] == pytest.approx(expected, rel=1e-2)
    model.weight.grad = torch.full_like(model.weight, 1.0)
    model.weight.grad[0, 0] = 1.5
    # In bfloat16 the mean would round to 1.
    assert gradient_means(model)["weight"] == pytest.approx(
        1 + 0.5 / 300, rel=1e-6
    )


def test_sparse_gradients() -> None:
    model = nn.Embedding(4, 2, sparse=True)
    nn.init.ones_(model.weight)
    index = torch.tensor([1, 1])
    # The loss is the mean of four squares: 4 x 2 / 4 over the entries of one
    # row.
    assert measure_gradients(model, index) == {"weight": pytest.approx(2 / 8)}


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_compressed_rows() -> None:
    sparse = torch.tensor([[1.0, 0.0], [0.0, -2.0]]).to_sparse_csr()
    assert sum_of_sizes(sparse, sparse) == 3


def test_tied_weights_count_once() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    means = measure_gradients(nn.Sequential(first, second), torch.ones(1, 2))
    assert list(means) == ["0.weight"]


def test_weights_tied_to_something_of_another_name() -> None:
    model = nn.Module()
    model.embedding = nn.Parameter(torch.ones(1, 3))
    model.head = nn.Linear(3, 1)
    model.head.weight = model.embedding
    model.forward = model.head.forward
    assert list(measure_gradients(model, X)) == ["head.weight"]


def test_frozen_weights_are_left_out() -> None:
    model = listing()
    model.layers[1].requires_grad_(False)
    expected = [f"layers.{i}.0.weight" for i in (0, 2, 3, 4)]
    assert list(measure_gradients(model, X)) == expected
    model(X).square().mean().backward()
    assert list(gradient_means(model)) == expected


class Idle(nn.Module):
    """A network one of whose layers nothing passes through."""

    def __init__(self) -> None:
        super().__init__()
        self.idle, self.used = nn.Linear(3, 3), nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Leave one layer out."""
        y: Tensor = self.used(x)
        return y


def test_weights_without_a_gradient_are_reported() -> None:
    model = Idle()
    with pytest.warns(
        UserWarning, match=r"no gradient reached idle\.weight: .*nan"
    ):
        means = measure_gradients(model, X)
    assert list(means) == ["idle.weight", "used.weight"]
    assert math.isnan(means["idle.weight"])
    assert means["used.weight"] > 0

    model(X).sum().backward()
    with pytest.warns(
        UserWarning, match=r"no gradient reached idle\.weight: .*nan"
    ):
        assert math.isnan(gradient_means(model)["idle.weight"])


def test_a_gradient_that_is_not_finite_is_told_from_a_missing_one() -> None:
    model = nn.Sequential(*(nn.Linear(1, 1, bias=False) for _ in range(4)))
    for layer, value in zip(model, [1.0, math.nan, -math.inf], strict=False):
        layer.weight.grad = torch.full((1, 1), value)
    with pytest.warns(UserWarning, match="no gradient|not finite") as caught:
        means = list(gradient_means(model).values())
    assert means[0] == 1
    assert math.isnan(means[1])
    assert means[2] == math.inf
    assert math.isnan(means[3])
    assert [str(warning.message) for warning in caught] == [
        "no gradient reached 3.weight: reported as nan",
        "the gradient is not finite in 1.weight, 2.weight",
    ]


def test_long_lists_of_names_are_cut() -> None:
    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(400)))
    model[0](torch.ones(1, 1)).sum().backward()
    words = r"reached 1\.weight, .*, 5\.weight and 394 more: reported"
    with pytest.warns(UserWarning, match=words):
        gradient_means(model)


# What is in .grad


def test_scale_divides() -> None:
    model = linear([[3.0]])
    (65536 * model(torch.tensor([[2.0]]))).backward()
    assert gradient_means(model, scale=65536.0) == {"weight": 2.0}


@pytest.mark.parametrize("scale", [0, -1.0, math.nan])
def test_scales_that_are_none(scale: float) -> None:
    with pytest.raises(ValueError, match=f"scale to be .*, got {scale}"):
        gradient_means(linear([[3.0]]), scale=scale)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_large_gradients_keep_their_digits(dtype: torch.dtype) -> None:
    # Added up one after the other in float32, they are 2 to 10 % off.
    model = nn.Linear(6000, 3000, bias=False, dtype=dtype)
    model.weight.grad = torch.rand_like(model.weight) + 1
    exact = model.weight.grad.double().abs().mean().item()
    assert gradient_means(model)["weight"] == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize(
    "laid_out",
    [
        lambda g: g,
        lambda g: g.to(memory_format=torch.channels_last),
        lambda g: g.transpose(0, 1).contiguous().transpose(0, 1),
        lambda g: torch.cat([g, g], 3)[..., : g.shape[3]],
        lambda g: g[:1, :1].expand(g.shape),
    ],
)
def test_gradients_however_they_lie(
    laid_out: Callable[[Tensor], Tensor],
) -> None:
    model = nn.Conv2d(8, 6, 3, bias=False)
    model.weight.grad = laid_out(torch.randn(6, 8, 3, 3))
    expected = model.weight.grad.abs().double().mean().item()
    assert gradient_means(model)["weight"] == pytest.approx(expected)


def test_no_gradient_is_copied() -> None:
    model = nn.Conv2d(300, 400, 3, bias=False)
    model.weight.grad = torch.randn(400, 300, 3, 3).to(
        memory_format=torch.channels_last
    )
    own, sizes = model.weight.grad.untyped_storage().data_ptr(), []

    class Made(TorchDispatchMode):  # type: ignore[no-untyped-call]
        """Notes what is made, and is no view of the gradient."""

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            made = func(*args, **kwargs or {})
            for t in made if isinstance(made, list | tuple) else [made]:
                is_new = isinstance(t, Tensor)
                if is_new and t.untyped_storage().data_ptr() != own:
                    sizes.append(t.numel())
            return made

    made: Any = Made
    with made():
        gradient_means(model)
    assert sizes
    assert max(sizes) < model.weight.numel() / 4


def test_one_transfer_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    model = listing()
    model(X).sum().backward()
    read: list[Any] = []
    tolist = Tensor.tolist

    def noted(tensor: Tensor) -> Any:
        read.append(tensor.shape)
        with torch._C.DisableTorchFunction():  # where it is asked once more
            return tolist(tensor)

    monkeypatch.setattr(Tensor, "tolist", noted)
    for name in "item", "__float__", "__bool__", "cpu", "numpy":
        monkeypatch.setattr(Tensor, name, None)
    gradient_means(model)
    assert read == [(5,)]


def test_sparse_gradients_are_not_made_dense(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = torch.tensor([[1.0, -2.0], [1.0, 1.0], [3.0, 0.0]])
    model = nn.Embedding(10, 2, sparse=True)
    model.weight.grad = torch.sparse_coo_tensor(
        torch.tensor([[1, 1, 7]]),
        values,
        model.weight.shape,
        check_invariants=True,
    )
    monkeypatch.setattr(Tensor, "to_dense", None)
    # Row 1 holds 2, -1: added up before sizes are taken.
    assert gradient_means(model) == {"weight": pytest.approx(6 / 20)}


def test_complex_gradients() -> None:
    model = nn.Linear(1, 2, bias=False, dtype=torch.complex64)
    model.weight.grad = torch.tensor([[3 + 4j], [0 - 1j]])
    assert gradient_means(model) == {"weight": 3.0}


def test_no_numbers_have_no_mean() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Embedding(0, 2))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    means = gradient_means(model)
    assert means["0.weight"] == 1
    assert math.isnan(means["1.weight"])


# A loss of one's own


class TwoInputs(nn.Module):
    """A model as people have them: two inputs, a dictionary out."""

    def __init__(self) -> None:
        super().__init__()
        self.bilinear = nn.Bilinear(2, 2, 1)

    def forward(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        """Return the output and a loss of its own."""
        y = self.bilinear(a, b)
        return {"y": y, "loss": y.square().mean()}


def test_a_loss_of_ones_own() -> None:
    model, a, b = TwoInputs(), torch.randn(5, 2), torch.randn(5, 2)
    measured = measure_loss(model, lambda: model(a, b)["loss"])
    assert all(p.grad is None for p in model.parameters())
    model(a, b)["loss"].backward()
    assert measured == gradient_means(model)


class Random(nn.Module):
    """A model that draws from all three: stochastic depth, masking."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.calls = nn.Linear(3, 3), 0

    def forward(self, x: Tensor) -> Tensor:
        """Scale by chance, and count."""
        self.calls += 1
        chance = random.random() + np.random.random() + torch.rand(())
        y: Tensor = self.linear(x) * chance
        return y


def drawn_by_numpy() -> Any:
    state: Any = np.random.get_state()
    return state[1].tolist()


def test_all_that_draws_is_put_back() -> None:
    model = Random()
    states = random.getstate(), drawn_by_numpy()
    first = measure_gradients(model, X)
    assert measure_gradients(model, X) == first
    assert states == (random.getstate(), drawn_by_numpy())
    assert model.calls == 0


class Cached(nn.Module):
    """A model that keeps what it has seen, as those that generate do."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.cache: Tensor | None
        self.register_buffer("cache", None)

    def forward(self, x: Tensor) -> Tensor:
        """Add what is in the cache, and keep what comes out."""
        y: Tensor = self.linear(x)
        y = y if self.cache is None else y + self.cache
        self.cache, self.last = y, y
        self.register_buffer("late", y.detach())
        return y


def test_what_a_pass_makes_is_put_back() -> None:
    model = Cached()
    first = measure_gradients(model, X)
    assert measure_gradients(model, X) == first
    assert model.cache is None
    assert not hasattr(model, "last")
    assert not hasattr(model, "late")
    copy.deepcopy(model)


def test_functional_losses_with_classes() -> None:
    model, x = nn.Linear(3, 4), torch.randn(4, 3)
    classes = torch.tensor([2, 0, 3, 3])  # as many as classes: may broadcast
    by_class = measure_gradients(
        model, x, classes, loss_fn=nn.CrossEntropyLoss()
    )
    cross_entropy = nn.functional.cross_entropy
    assert by_class == measure_gradients(
        model, x, classes, loss_fn=cross_entropy
    )

    def flat(output: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(output.flatten(0, 1), target.flatten())

    words = torch.randint(4, (2, 5))
    measure_gradients(model, torch.randn(2, 5, 3), words, loss_fn=flat)


@pytest.mark.parametrize(
    "loss_fn",
    [
        nn.CrossEntropyLoss(),
        nn.BCEWithLogitsLoss(),
        nn.functional.cross_entropy,
        nn.functional.kl_div,
    ],
)
def test_zeros_are_no_target_for_every_loss(loss_fn: Any) -> None:
    name = getattr(loss_fn, "__name__", type(loss_fn).__name__)
    with pytest.raises(ValueError, match="expected a target") as caught:
        measure_gradients(nn.Linear(3, 3), X, loss_fn=loss_fn)
    said = f"expected a target, got none: to {name} zeros are no target"
    assert str(caught.value) == said


def test_a_loss_of_torchs_without_a_name() -> None:
    class Callable:
        def __call__(self, output: Tensor, target: Tensor) -> Tensor:
            return (output - target).sum()

        def __repr__(self) -> str:
            return "this one"

    Callable.__module__ = "torch.somewhere"
    with pytest.raises(ValueError, match="none: to this one zeros are no"):
        measure_gradients(nn.Linear(3, 3), X, loss_fn=Callable())


def test_logits_may_be_masked() -> None:
    model, mask = nn.Linear(3, 3), torch.tensor([0, 0, -math.inf])

    def masked() -> Tensor:
        return nn.functional.cross_entropy(model(X) + mask, torch.tensor([1]))

    assert 0 < measure_loss(model, masked)["weight"] < math.inf
    measured = measure_gradients(
        model,
        X,
        torch.tensor([1]),
        loss_fn=lambda y, t: nn.functional.cross_entropy(y + mask, t),
    )
    assert measured == measure_loss(model, masked)


def test_losses_that_cannot_tell_anything() -> None:
    normed = nn.Sequential(nn.Linear(3, 8), nn.LayerNorm(8))
    x = 100 * torch.randn(5, 3)
    words = (
        "^the output's mean square is 1, as a LayerNorm leaves it, whatever "
        "the weights are: without a target, the gradients measure no more "
        "than its epsilon$"
    )
    pair = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    for model, samples in ((normed, x), (normed, x[0]), (pair, x)):
        with pytest.warns(UserWarning, match=words):
            measure_gradients(model, samples)
    measure_gradients(normed, x, torch.zeros(5, 8))  # asked for: no warning
    ones: Any = nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 1))
    nn.init.zeros_(ones[1].weight)
    nn.init.ones_(ones[1].bias)
    measure_gradients(ones, torch.randn(2, 5, 3))  # of mean square 1, but wide
    zero = linear([[0.0, 0.0, 0.0]])
    words = "^without a target, every gradient is exactly 0: give one$"
    with pytest.warns(UserWarning, match=words):
        measure_gradients(zero, X)
    measure_gradients(zero, X, torch.zeros(1, 1))


# What is printed


def test_the_printed_lines(capsys: pytest.CaptureFixture[str]) -> None:
    model = linear([[3.0]])
    x, target = torch.tensor([[2.0]]), torch.tensor([[5.0]])
    print_gradients(model, x, target)
    assert capsys.readouterr().out == "weight has gradient mean of 4.0\n"
    print_gradients(model, x, loss_fn=nn.L1Loss())
    assert capsys.readouterr().out == "weight has gradient mean of 2.0\n"


def test_the_lines_of_the_listing(capsys: pytest.CaptureFixture[str]) -> None:
    model = listing()
    print_gradients(model, X)
    assert read_printout(capsys.readouterr().out) == measure_gradients(
        model, X
    )


# What is left alone


class Restless(nn.Module):
    """A model whose forward pass draws, counts, and keeps running means."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4)
        self.dropout, self.head = nn.Dropout(0.5), nn.Linear(4, 1)
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Draw and count."""
        self.calls = self.calls + 1
        y: Tensor = self.head(self.dropout(self.norm(self.linear(x))))
        return y


def fails(output: Tensor, target: Tensor) -> Tensor:
    raise RuntimeError("the reader's own loss")


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("loss_fn", [nn.MSELoss(), fails])
def test_no_trace(training: bool, loss_fn: Callable[..., Tensor]) -> None:
    torch.manual_seed(0)
    model, x = (
        Restless().train(training),
        torch.randn(8, 3, requires_grad=True),
    )
    model.norm.eval()  # a mode of its own
    model.linear.weight.grad = kept = torch.ones(4, 3)
    model.norm.train(training)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    random_state = torch.get_rng_state()

    if loss_fn is fails:
        with pytest.raises(RuntimeError, match="the reader's own loss"):
            measure_gradients(model, x, loss_fn=loss_fn)
    else:
        first = measure_gradients(model, x, loss_fn=loss_fn)
        assert measure_gradients(model, x, loss_fn=loss_fn) == first

    assert torch.equal(torch.get_rng_state(), random_state)
    assert [module.training for module in model.modules()] == modes
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert model.linear.weight.grad is kept
    assert kept.eq(1).all()
    assert model.head.weight.grad is None
    assert x.grad is None
    assert torch.is_grad_enabled()


def test_dropout_is_measured_in_the_mode_the_model_is_in() -> None:
    torch.manual_seed(0)
    model, x = Restless(), torch.randn(8, 3)
    training = measure_gradients(model.train(), x)
    assert measure_gradients(model.eval(), x) != training


def test_a_shared_buffer_is_left_alone() -> None:
    norm = nn.BatchNorm1d(3)
    model, mean = nn.Sequential(nn.Linear(3, 3), norm, norm), norm.running_mean
    measure_gradients(model, torch.randn(4, 3))
    assert norm.running_mean is mean
    assert mean is not None
    assert mean.eq(0).all()
    assert norm.num_batches_tracked == 0


class Recomputed(nn.Module):
    """A model whose forward pass runs once more during the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))

    def forward(self, x: Tensor) -> Tensor:
        """Keep no activations."""
        y: Tensor = checkpoint(self.inner, x, use_reentrant=False)
        return y


def test_gradient_checkpointing_leaves_no_trace() -> None:
    model = Recomputed()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    measure_gradients(model, torch.randn(4, 3))
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name


class Reversed(torch.autograd.Function):
    """Computes anew on the way back, as reversible layers do."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Module) -> Tensor:
        """Keep the input alone."""
        ctx.save_for_backward(x)
        ctx.layer = layer
        with torch.no_grad():
            y: Tensor = layer(x)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Run a backward pass within this one."""
        (x,) = ctx.saved_tensors
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            ctx.layer(x).backward(*grads)
        return x.grad, None


def test_layers_that_run_a_backward_pass_of_their_own() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 1)
    model, bias = nn.Sequential(first, second), torch.ones(1)
    second.bias.grad = bias

    apply: Any = Reversed.apply

    def loss() -> Any:
        # The second weight is met outside, too: both parts count.
        y = apply(first(X), second)
        return y.square().sum() + second.weight.sum()

    measured = measure_loss(model, loss)
    assert measure_loss(model, loss) == measured
    assert first.weight.grad is second.weight.grad is None
    assert second.bias.grad is bias
    assert bias == 1
    loss().backward()
    assert measured == pytest.approx(gradient_means(model))


def test_a_weight_that_only_the_pass_within_meets() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 1)
    model, apply = nn.Sequential(first, second), cast(Any, Reversed.apply)
    measured = measure_loss(model, lambda: apply(first(X), second).sum())
    apply(first(X), second).sum().backward()
    assert measured == pytest.approx(gradient_means(model))


def test_where_torch_keeps_dtensor_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Torch 2.4 has a torch.distributed.tensor without it.
    name = "torch.distributed.tensor"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    assert measure_gradients(linear([[3.0]]), torch.ones(1, 1))["weight"] == 6


def test_the_history_of_input_and_target_is_left_alone() -> None:
    model = nn.Linear(3, 3)
    x = model(X).sigmoid()
    expected = measure_gradients(model, x.detach(), x.detach() / 2)
    assert measure_gradients(model, x, x / 2) == expected
    x.sum().backward()  # the graph of x is still there


def test_a_layer_that_writes_to_its_input() -> None:
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 1))
    x = X.clone()
    assert measure_gradients(model, x) == measure_gradients(model, x)
    assert torch.equal(x, X)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_where_gradients_are_off(mode: type) -> None:
    model, x = Restless(), torch.randn(8, 3)  # it has buffers
    expected = measure_gradients(model, x)
    with mode():
        assert measure_gradients(model, x.clone()) == expected
        assert not torch.is_grad_enabled()


# What is refused


@pytest.mark.parametrize("loss_fn", [nn.MSELoss, "mse"])
def test_what_is_no_loss(loss_fn: Any) -> None:
    said = r"take an output and a target, such as nn\.MSELoss\(\), got "
    with pytest.raises(TypeError, match=said):
        measure_gradients(listing(), X, loss_fn=loss_fn)
    said = r"^expected loss to be a function that runs the model and returns "
    with pytest.raises(TypeError, match=said):
        measure_loss(listing(), loss_fn)


def test_no_sample() -> None:
    with pytest.raises(ValueError, match=r"a sample at least, got shape \(0,"):
        measure_gradients(nn.Linear(3, 3), torch.zeros(0, 3))


def constant(output: Tensor, target: Tensor) -> Tensor:
    return torch.tensor(1.0)


class Pair(nn.Linear):
    """A model that returns two tensors."""

    def forward(self, input: Tensor) -> Any:  # noqa: A002
        """Return the output twice."""
        y = super().forward(input)
        return y, y


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (torch.zeros(1), r"output's shape \(2, 1\), got \(1,\)"),
        (torch.zeros(2), r"output's shape \(2, 1\), got \(2,\)"),
        (torch.zeros(()), r"output's shape \(2, 1\), got \(\)"),
        (torch.zeros(2, 2), r"output's shape \(2, 1\), got \(2, 2\)"),
        (torch.zeros(5, 4), r"output's shape \(2, 1\), got \(5, 4\)"),
        *(
            (torch.zeros(shape, dtype=torch.long), words)
            for shape, words in (
                ((1,), r"output's shape \(2, 1\), got \(1,\)"),
                ((2,), r"output's shape \(2, 1\), got \(2,\)"),
                ((2, 2), r"output's shape \(2, 1\), got \(2, 2\)"),
            )
        ),
    ],
)
def test_a_target_of_another_shape(target: Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        measure_gradients(nn.Linear(3, 1), torch.zeros(2, 3), target)


def test_whole_numbers_that_would_be_stretched() -> None:
    def squares(output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square().sum()

    with pytest.raises(ValueError, match=r"shape \(4, 3\), got \(1, 3\)"):
        measure_gradients(
            nn.Linear(2, 3),
            torch.ones(4, 2),
            torch.ones(1, 3, dtype=torch.long),
            loss_fn=squares,
        )


def test_a_target_that_would_not_be_stretched() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3\), got \(5, 4\)"):
        measure_gradients(
            nn.Linear(3, 3), torch.zeros(2, 3), torch.zeros(5, 4)
        )
    # A loss that takes it all the same is not asked.
    with pytest.raises(ValueError, match=r"shape \(2, 3\), got \(5, 4\)"):
        measure_gradients(
            nn.Linear(3, 3),
            torch.zeros(2, 3),
            torch.zeros(5, 4),
            loss_fn=lambda output, target: output.sum() + target.sum(),
        )


class Masked(nn.Linear):
    """A layer whose last output is never chosen."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Take its logit away."""
        return super().forward(input) + torch.tensor([0, 0, -math.inf])


def test_a_finite_loss_of_an_output_that_is_not() -> None:
    measured = measure_gradients(
        Masked(3, 3), X, torch.tensor([1]), loss_fn=nn.CrossEntropyLoss()
    )
    assert 0 < measured["weight"] < math.inf


def test_classes_of_pixels() -> None:
    image, classes = torch.randn(1, 2, 4, 4), torch.zeros(1, 4, 4).long()
    model, loss = nn.Conv2d(2, 3, 1), nn.CrossEntropyLoss()
    measured = measure_gradients(model, image, classes, loss_fn=loss)
    assert measured == measure_loss(model, lambda: loss(model(image), classes))


def test_warnings_of_the_loss_are_passed_on() -> None:
    def warned(output: Tensor, target: Tensor) -> Tensor:
        warnings.warn("mine", stacklevel=1)
        return (output - target).sum()

    with pytest.warns(UserWarning, match="mine"):
        measure_gradients(listing(), X, torch.ones(1, 1), loss_fn=warned)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (
            torch.tensor([[1.0, math.nan, 0.0]]),
            r"finite output, got 2 of 2 numbers",
        ),
        (
            torch.tensor([[1.0, math.inf, 0.0]]),
            r"finite output, got 2 of 2 numbers",
        ),
        (torch.full((1, 3), 1e30), r"finite loss, got 1 of 1 numbers"),
    ],
)
def test_not_finite(x: Tensor, words: str) -> None:
    model = linear([[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]])
    for target in (None, torch.zeros(1, 2)):
        with pytest.raises(ValueError, match=words):
            measure_gradients(model, x, target)


@pytest.mark.parametrize(
    ("loss_fn", "error", "words"),
    [
        (
            nn.MSELoss(reduction="none"),
            ValueError,
            r"scalar loss, got shape \(1, 1\)",
        ),
        (constant, ValueError, r"depends on the weights, got a constant"),
        (
            lambda y, t: 1.0,
            TypeError,
            r"expected loss to be a tensor, got float",
        ),
    ],
)
def test_wrong_losses(
    loss_fn: Callable[..., Tensor], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        measure_gradients(listing(), X, loss_fn=loss_fn)


class OnlyBias(nn.Linear):
    """A layer that leaves its weight out."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Return the bias."""
        return self.bias.expand(len(input), -1)


def test_a_loss_that_depends_on_no_weight() -> None:
    with pytest.raises(ValueError, match="expected gradients, got none"):
        measure_gradients(OnlyBias(3, 1), X)


@pytest.mark.parametrize(
    ("model", "x", "target", "words"),
    [
        (listing(), [[1.0, 0.0, -1.0]], None, "x to be a tensor, got list"),
        (listing(), X, 0.0, "target to be a tensor, got float"),
        (Pair(3, 1), X, None, "output to be a tensor, got tuple"),
        (torch.relu, X, None, r"torch\.nn\.Module, got builtin_function"),
    ],
)
def test_wrong_types(model: Any, x: Any, target: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        measure_gradients(model, x, target)


@pytest.mark.parametrize(
    "measure", [lambda m: measure_gradients(m, X), gradient_means]
)
def test_models_without_trainable_weights(measure: Callable[..., Any]) -> None:
    frozen = nn.Linear(3, 1).requires_grad_(False)
    with pytest.raises(
        ValueError, match=r"trainable weights .*\[weight, bias\]"
    ):
        measure(frozen)
    with pytest.raises(
        ValueError, match=r"trainable weights .*got parameters \[\]"
    ):
        measure(nn.ReLU())
    with pytest.raises(
        ValueError, match="uninitialized weight, bias: run the model"
    ):
        measure(nn.LazyLinear(1))


def test_gradient_means_before_backward() -> None:
    model = listing()
    with pytest.raises(
        ValueError, match=r"got none: .*backward\(\) has to come before"
    ):
        gradient_means(model)
    model(X).sum().backward()
    model.zero_grad()
    with pytest.raises(ValueError, match="got none"):
        gradient_means(model)


def test_gradient_means_shows_that_backward_adds() -> None:
    model = listing()
    model(X).sum().backward()
    once = gradient_means(model)
    model(X).sum().backward()
    twice = {name: 2 * mean for name, mean in once.items()}
    assert gradient_means(model) == pytest.approx(twice)


def test_a_bias_is_a_bias_by_its_own_name_alone() -> None:
    inner = nn.Linear(1, 1)
    model = nn.Sequential(nn.ModuleDict({"bias_net": inner}))
    inner(torch.ones(1, 1)).sum().backward()
    assert list(gradient_means(model)) == ["0.bias_net.weight"]


def test_all_that_get_no_gradient_are_named() -> None:
    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(3)))
    model[0](torch.ones(1, 1)).sum().backward()
    words = r"^no gradient reached 1\.weight, 2\.weight: reported as nan$"
    with pytest.warns(UserWarning, match=words):
        gradient_means(model)


def test_warnings_point_at_who_asked() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    model[0](torch.ones(1, 1)).sum().backward()
    with pytest.warns(UserWarning, match="no gradient reached") as caught:
        gradient_means(model)
    assert caught[0].filename == __file__
    zero = linear([[0.0, 0.0, 0.0]])
    with pytest.warns(UserWarning, match="exactly 0") as caught:
        measure_gradients(zero, X)
    assert caught[0].filename == __file__


def test_other_devices_add_up_at_once() -> None:
    """On a GPU many small pieces would cost more than they save."""

    def calls(numbers: int, dtype: torch.dtype) -> int:
        made: list[Any] = []

        class Calls(TorchDispatchMode):  # type: ignore[no-untyped-call]
            def __torch_dispatch__(
                self, func: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                made.append(func)
                return func(*args, **(kwargs or {}))

        far = torch.empty(numbers, dtype=dtype, device="meta")
        with Calls():  # type: ignore[no-untyped-call]
            total = sum_of_sizes(far, far)
        assert total.dtype == torch.float64
        assert total.shape == ()
        return len(made)

    for dtype in (torch.float32, torch.bfloat16, torch.complex64):
        assert calls(2**24, dtype) == calls(2**10, dtype)
