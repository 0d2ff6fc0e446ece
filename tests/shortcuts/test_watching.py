"""A watched training against retained gradients, and against one unwatched."""

import gc
import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from shortcuts.watching import Update, Watch, updates

try:
    from torch.distributed.tensor import DTensor, Shard
except ImportError:  # before torch 2.5
    from torch.distributed._tensor import (  # type: ignore[attr-defined]
        DTensor,
        Shard,
    )

X = torch.linspace(-1, 1, 24).reshape(6, 4)


class Block(nn.Module):
    """A shortcut around a layer and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(8, 8), nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        """Add."""
        y: Tensor = x + self.dropout(self.linear(x).tanh())
        return y


def plain(block: nn.Module, x: Tensor) -> Any:
    return block(x)


def reentrant(block: nn.Module, x: Tensor) -> Any:
    return checkpoint(block, x, use_reentrant=True)


def recomputed(block: nn.Module, x: Tensor) -> Any:
    return checkpoint(block, x, use_reentrant=False)


class Model(nn.Module):
    """Three blocks, run in one way or another."""

    def __init__(self, call: Callable[[nn.Module, Tensor], Any] = plain):
        super().__init__()
        torch.manual_seed(0)
        self.enter, self.leave = nn.Linear(4, 8), nn.Linear(8, 1)
        self.layers = nn.ModuleList(Block() for _ in range(3))
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        """Run one block after another."""
        h = self.enter(x)
        for layer in self.layers:
            h = self.call(layer, h)
        y: Tensor = self.leave(h)
        return y


def loss(model: Callable[[Tensor], Tensor], x: Tensor = X) -> Any:
    torch.manual_seed(1)  # for the dropout
    return model(x).square().mean()


def watched(model: Any, *, scale: float = 1.0) -> dict[str, float]:
    with Watch(model) as watch:
        loss(model).backward()
        return watch.read(scale)


def linears(*factors: float) -> nn.Sequential:
    """Multiply a number by one factor after another."""
    model: Any = nn.Sequential(*(nn.Linear(1, 1, bias=False) for _ in factors))
    for layer, factor in zip(model, factors, strict=True):
        nn.init.constant_(layer.weight, factor)
    made: nn.Sequential = model
    return made


class Returns(nn.Module):
    """A block that returns what it is told to."""

    def __init__(self, change: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: Tensor) -> object:
        """Change it."""
        return self.change(x)


# What is measured


def test_on_paper() -> None:
    # h is 2, -4, and then 6, -12. The loss adds those two up, so dL/dh is 3,
    # and then 1.
    model = linears(2.0, 3.0)
    with Watch(model) as watch:
        model(torch.tensor([[1.0], [-2.0]])).sum().backward()
        assert watch.read() == {"h/0": 3, "h/1": 9, "delta/0": 3, "delta/1": 1}


@pytest.mark.parametrize("in_place", [False, True])
def test_retained_gradients(in_place: bool) -> None:
    states: list[Any] = []

    def keep(block: nn.Module, x: Tensor) -> Any:
        states.append(block(x))
        states[-1].retain_grad()
        return states[-1] * 2 + 1

    def change(block: nn.Module, x: Tensor) -> Any:
        return block(x).mul_(2).add_(1)

    loss(Model(keep)).backward()
    expected = {f"h/layers.{i}": h for i, h in enumerate(states)}
    expected |= {f"delta/layers.{i}": h.grad for i, h in enumerate(states)}
    found = watched(Model(change if in_place else keep))
    assert list(found) == list(expected)
    for name, value in expected.items():
        mean = value.double().abs().mean().item()
        assert found[name] == pytest.approx(mean, rel=1e-6), name


@pytest.mark.parametrize("call", [reentrant, recomputed])
def test_what_is_computed_again_counts_once(call: Any) -> None:
    def means(*calls: Any) -> dict[str, float]:
        model = Model()
        with Watch(model) as watch:
            for model.call, x in zip(calls, (X, 5 * X), strict=True):
                loss(model, x).backward()
            return watch.read()

    # Of two passes, one that counts twice would move the mean.
    with set_checkpoint_early_stop(False):  # so that hooks run again
        assert means(call, plain) == means(plain, plain)


def test_passes_are_weighted_by_their_activations() -> None:
    # Of 1, 1 and 4 the mean is 2, and dL/dh is 1, 1 and 10.
    model = linears(1.0, 1.0)
    with Watch(model, ["0"]) as watch:
        model(torch.ones(2, 1)).sum().backward()
        model(torch.full((1, 1), 4.0)).sum().mul(10).backward()
        assert watch.read(scale=2) == {"h/0": 2, "delta/0": 2}
        model(torch.ones(2, 1)).sum().backward()
        assert watch.read() == {"h/0": 1, "delta/0": 1}  # begun anew


def test_a_block_that_runs_twice() -> None:
    model = linears(1.0, 2.0)
    with Watch(model, ["1"]) as watch:
        model[1](model(torch.ones(1, 1))).sum().backward()
        assert watch.read() == {"h/1": (2 + 4) / 2, "delta/1": (2 + 1) / 2}


def test_half_precision_is_averaged_in_full() -> None:
    def jump(x: Tensor) -> Any:
        return torch.cat([x[:1] * 1.5, x[1:]])

    block = Returns(jump)
    x = torch.ones(300, dtype=torch.bfloat16, requires_grad=True)
    with Watch(nn.Sequential(block), [block]) as watch:
        jump(block(x)).sum().backward()
        # In bfloat16 both would be 1.
        expected = pytest.approx(1 + 0.5 / 300, rel=1e-6)
        assert watch.read() == {"h/0": expected, "delta/0": expected}


def test_complex_numbers() -> None:
    block = Returns(lambda x: x * (3 + 4j))
    x = torch.ones(2, requires_grad=True)
    with Watch(nn.Sequential(block), [block]) as watch:
        block(x).abs().sum().backward()
        found = watch.read()
    assert found == {"h/0": pytest.approx(5), "delta/0": pytest.approx(1)}


def test_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = watched(Model())
    assert found == pytest.approx(watched(Model()), rel=0.02)
    assert found != watched(Model())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(mode: Callable[[], Any]) -> None:
    model = linears(2.0, 3.0)
    with Watch(model) as watch:
        with mode():
            model(torch.ones(1, 1))
            assert watch.read() == {"h/0": 2, "h/1": 6}
            model(torch.ones(1, 1))
        model(torch.full((1, 1), 2.0)).sum().backward()
        assert watch.read() == {"h/0": 3, "h/1": 9, "delta/0": 3, "delta/1": 1}


def test_the_local_part_of_what_is_shared_out() -> None:
    torch.distributed.init_process_group(
        "fake", store=FakeStore(), rank=0, world_size=2
    )
    try:
        mesh = init_device_mesh("cpu", (2,))
        block = Returns(
            lambda x: DTensor.from_local(x, mesh, [Shard(0)], run_check=False)
        )
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        with Watch(nn.Sequential(block), [block]) as watch:
            (block(x) * 3).to_local().sum().backward()
            assert watch.read() == {"h/0": 1.5, "delta/0": 3}
    finally:
        torch.distributed.destroy_process_group()


# The compiler looks at the gradients of what goes into its graphs.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is")
@pytest.mark.parametrize(
    ("call", "backend"),
    [(plain, "eager"), (plain, "aot_eager"), (recomputed, "eager")],
)
def test_compiled(call: Any, backend: str) -> None:
    torch.compiler.reset()
    compiled: Any = torch.compile(Model(call), backend=backend)
    expected = watched(Model())
    with Watch(compiled) as watch:
        loss(compiled).backward()
        assert watch.read() == pytest.approx(expected, rel=1e-5)
        with torch._dynamo.config.patch(error_on_recompile=True):
            for _ in range(3):
                loss(compiled).backward()
        assert watch.read() == pytest.approx(expected, rel=1e-5)
    loss(compiled).backward()  # calls what has been closed
    with pytest.raises(ValueError, match="expected a forward pass"):
        watch.read()


def test_opened_after_the_compiler() -> None:
    torch.compiler.reset()
    model: Any = torch.compile(Model(), backend="eager")
    loss(model).backward()
    with Watch(model) as watch:
        loss(model).backward()
        with pytest.raises(ValueError, match="open it before the first step"):
            watch.read()


# What is left alone


@pytest.mark.parametrize("call", [plain, reentrant, recomputed])
def test_no_bit_of_a_training_changes(call: Any) -> None:
    def trained(watch: Callable[[nn.Module], Any]) -> dict[str, Tensor]:
        model = Model(call)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        torch.manual_seed(2)
        with watch(model) as open_watch:
            for _ in range(5):
                optimizer.zero_grad()
                loss(model).backward()
                with updates(model) if open_watch else nullcontext():
                    optimizer.step()
                if open_watch:
                    open_watch.read()
        return model.state_dict()

    expected = trained(lambda _: nullcontext())
    for name, value in trained(Watch).items():
        assert torch.equal(value, expected[name]), name


def test_no_hook_stays() -> None:
    model = Model()

    def count() -> int:
        return sum(len(layer._forward_hooks) for layer in model.layers)

    watch = Watch(model)

    def stumble() -> None:
        with watch:
            assert count() == 3
            model(torch.ones(2, 5))

    with pytest.raises(RuntimeError, match="shapes"):
        stumble()
    assert not count()
    with watch:
        value = loss(model)
    assert not count()
    value.backward()
    with pytest.warns(UserWarning, match="no gradient reached layers.0, "):
        watch.read()  # nor did the tensors count


def test_no_activation_is_kept() -> None:
    def kept() -> int:
        gc.collect()
        found = [o for o in gc.get_objects() if issubclass(type(o), Tensor)]
        tensors = [t for t in found if not nn.parameter.is_lazy(t)]
        there = [t for t in tensors if not nn.parameter.is_lazy(t)]
        return sum(t.untyped_storage().nbytes() > 999_000 for t in there)

    model, before = linears(2.0, 3.0), kept()
    with Watch(model) as watch:
        model(torch.ones(250_000, 1)).sum().backward()
        assert kept() == before
        watch.read()


def test_one_transfer_a_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []  # how many numbers, each time
    for name in "tolist", "item", "__float__", "__bool__", "numpy":
        of_torch = getattr(Tensor, name)

        def ask(x: Tensor, of_torch: Any = of_torch) -> Any:
            asked.append(x.numel())
            return of_torch(x)

        monkeypatch.setattr(Tensor, name, ask)
    model = Model()
    with Watch(model) as watch:
        loss(model).backward()
        assert asked == []
        watch.read()
        assert asked == [6]


# What is reported


def test_a_block_that_no_gradient_reached() -> None:
    model = linears(2.0, 3.0, 4.0)
    words = "^no gradient reached 0: reported as nan$"
    with Watch(model) as watch:
        h = model[0](torch.ones(1, 1)).detach()
        model[2](model[1](h)).sum().backward()
        with pytest.warns(UserWarning, match=words) as said:
            found = watch.read()
    assert math.isnan(found.pop("delta/0"))
    assert found == {"h/0": 2, "h/1": 6, "h/2": 24, "delta/1": 4, "delta/2": 1}
    assert said[0].filename == __file__


def test_a_block_that_did_not_run() -> None:
    model = linears(2.0, 3.0)
    with Watch(model) as watch, torch.no_grad():
        model[0](torch.ones(1, 1))
        with pytest.warns(UserWarning, match="no forward pass reached 1: "):
            found = watch.read()
    assert math.isnan(found.pop("h/1"))
    assert found == {"h/0": 2}


def test_a_view_that_is_changed_in_place_has_no_gradient_to_see() -> None:
    model = nn.Sequential(linears(1.0), Returns(lambda x: x.view(-1)))
    with Watch(model, ["1"]) as watch:
        model(torch.ones(2, 1)).add_(1).sum().backward()
        with pytest.warns(UserWarning, match="no gradient reached 1"):
            assert math.isnan(watch.read()["delta/1"])


@pytest.mark.parametrize("strange", [math.nan, math.inf])
def test_what_is_not_finite_stays_where_it_is(strange: float) -> None:
    blocks = [Returns(lambda x: x * strange), Returns(torch.nan_to_num)]
    model = nn.Sequential(linears(2.0), *blocks, linears(1.0))
    with Watch(model, model) as watch:
        model(torch.ones(1, 1)).clamp(-1, 1).sum().backward()
        found = watch.read()
    finite = {name for name, mean in found.items() if math.isfinite(mean)}
    assert set(found) - finite == {"h/1", "delta/0"}


def test_nothing_ran() -> None:
    model = linears(2.0, 3.0)
    with Watch(model) as watch:
        model(torch.ones(1, 1)).sum().backward()
        with pytest.raises(ValueError, match="scale to be above 0, got 0"):
            watch.read(scale=0)
        watch.read()
        with pytest.raises(
            ValueError,
            match="^expected a forward pass since the last reading, got none "
            "that a block has shown: either the model has not run, or "
            r"torch\.compile had compiled it before this Watch was opened, "
            "which it then ignores: open it before the first step$",
        ):
            watch.read()


def test_opened_twice() -> None:
    with (
        Watch(linears(2.0, 3.0)) as watch,
        pytest.raises(
            ValueError,
            match=r"^expected a closed Watch, got one that is open$",
        ),
        watch,
    ):
        pass


def test_a_block_without_a_tensor() -> None:
    model = nn.Sequential(Returns(lambda x: "text"))
    with (
        Watch(model, ["0"]),
        pytest.raises(
            TypeError, match=r"block 0 to return a tensor .*, got str$"
        ),
    ):
        model(X)


# What a step changes


def step(model: nn.Module, lr: float = 0.25) -> dict[str, Update]:
    with updates(model) as changes:
        assert not changes
        torch.optim.SGD(model.parameters(), lr=lr).step()
    return changes


def test_updates_on_paper() -> None:
    model = nn.ModuleDict(
        {name: nn.Linear(2, 1) for name in ("moved", "still", "zero", "none")}
    )
    values = {"moved": [3.0, -1.0], "still": [1.0, 1.0]}
    for name, layer in model.items():
        layer.weight.data = torch.tensor([values.get(name, [0.0, 0.0])])
        layer.weight.grad = torch.tensor([[4.0, -8.0]])
    model["still"].weight.grad = None
    model["none"].weight.grad = None
    assert step(model) == {
        "moved.weight": Update(size=1.5, share=0.75),
        "still.weight": Update(size=0, share=0),
        "zero.weight": Update(size=1.5, share=math.inf),
        "none.weight": Update(size=0, share=0),
    }


def test_updates_that_are_not_finite() -> None:
    model = linears(2.0, 0.0)
    for layer in model:
        layer.weight.grad = torch.full((1, 1), math.nan)
    numbers = [number for change in step(model).values() for number in change]
    assert len(numbers) == 4
    assert all(map(math.isnan, numbers))


def test_updates_of_frozen_weights_and_after_an_exception() -> None:
    model = linears(2.0, 3.0)
    model[0].requires_grad_(False)
    assert list(step(model)) == ["1.weight"]
    with pytest.raises(KeyError), updates(model) as changes:
        raise KeyError
    assert not changes
