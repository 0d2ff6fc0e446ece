"""The recipes log each step's gradients as they were before clipping.

Each is compared with a loop of this file's own, which takes the same steps
and reads ``.grad`` in float64. Losses are so steep that clipping takes all but
a small part of each gradient: what is read too late is far off.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import accelerate
import lightning
import pytest
import recipes
import torch
import transformers
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.utils.data import DataLoader

from shortcuts import gradient_means
from shortcuts.logs import GradientLog

STEPS, PARTS = 4, 3
RATE = 0.01


class Model(nn.Module):
    """A small network, its loss if the target is given, as Trainer asks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Linear(6, 8), nn.LayerNorm(8)
        self.last = nn.Linear(8, 2)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Any:
        """Return the output, or, with labels, the loss too."""
        y = self.last(self.norm(self.first(x)).relu())
        if labels is None:
            return y
        return {"loss": recipes.loss_fn(y, labels), "logits": y}


def batches(count: int = STEPS) -> list[tuple[Tensor, Tensor]]:
    """Return batches of targets that are far away."""
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(5, 6, generator=generator),
            100 + 50 * torch.randn(5, 2, generator=generator),
        )
        for _ in range(count)
    ]


def in_parts() -> list[list[tuple[Tensor, Tensor]]]:
    """Return the microbatches of each step."""
    flat = batches(STEPS * PARTS)
    return [flat[i : i + PARTS] for i in range(0, len(flat), PARTS)]


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=RATE)


def expected(
    steps: list[list[tuple[Tensor, Tensor]]],
) -> tuple[list[dict[str, float]], nn.Module]:
    """Return the means of each step, clipping after that, and the model."""
    model, found = Model(), []
    for parts in steps:
        model.zero_grad()
        loss = torch.stack(
            [(model(x) - target).square().mean() for x, target in parts]
        ).mean()
        loss.backward()
        weights = {
            name: p.grad
            for name, p in model.named_parameters()
            if name.endswith("weight")
        }
        found.append(
            {n: g.double().abs().mean().item() for n, g in weights.items()}
        )
        grads = [p.grad for p in model.parameters()]
        norm = torch.stack([g.square().sum() for g in grads]).sum().sqrt()
        assert norm > 20  # so that clipping would be seen
        with torch.no_grad():
            for p in model.parameters():
                p -= RATE * p.grad / norm
    return found, model


def whole() -> list[list[tuple[Tensor, Tensor]]]:
    return [[batch] for batch in batches()]


def assert_logged(
    log: GradientLog,
    model: nn.Module,
    steps: list[list[tuple[Tensor, Tensor]]],
    *,
    rel: float = 1e-4,
    prefix: str = "",
    numbers: list[int] | None = None,
) -> None:
    """Compare what was logged, and where training has led."""
    means, reference = expected(steps)
    assert log.steps == (numbers or list(range(len(steps))))
    assert log.names("dW") == [prefix + name for name in means[0]]
    for name in means[0]:
        own = log.values(f"dW/{prefix}{name}")
        assert own == pytest.approx([row[name] for row in means], rel=rel)
    for own, other in zip(
        model.parameters(), reference.parameters(), strict=True
    ):
        torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-4)


# Loops of one's own


def test_plain() -> None:
    model, log = Model(), GradientLog()
    recipes.train(model, batches(), sgd(model), log)
    assert_logged(log, model, whole())


def test_microbatches() -> None:
    model, log = Model(), GradientLog()
    # The step is the sum of the parts' gradients, clipped to so many.
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE / PARTS)
    recipes.train_in_parts(model, in_parts(), optimizer, log)
    assert_logged(log, model, in_parts())


def scaler() -> torch.amp.GradScaler:
    """Begin with a factor under which half precision has room for these."""
    return torch.amp.GradScaler("cpu", init_scale=64.0)


def test_scaler(monkeypatch: pytest.MonkeyPatch) -> None:
    model, log, own = Model(), GradientLog(), scaler()
    monkeypatch.setattr(torch.amp, "GradScaler", lambda device: own)
    recipes.train_mixed(model, batches(), sgd(model), log, device="cpu")
    assert_logged(log, model, whole(), rel=1e-2)  # half precision


# Lightning


class Module(lightning.LightningModule):
    """The model, as Lightning wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()

    def training_step(self, batch: Any, _: int) -> Tensor:
        """Return the loss."""
        x, target = batch
        loss: Tensor = recipes.loss_fn(self.model(x), target)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return sgd(self)


def lightning_trainer(
    *callbacks: lightning.Callback, **options: Any
) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
        callbacks=list(callbacks),
        **options,
    )


@pytest.mark.parametrize("parts", [1, PARTS])
def test_lightning(parts: int) -> None:
    module, log = Module(), GradientLog()
    steps = whole() if parts == 1 else in_parts()
    trainer = lightning_trainer(
        recipes.LogGradients(log), accumulate_grad_batches=parts
    )
    trainer.fit(module, loader([pair for step in steps for pair in step]))
    assert_logged(log, module.model, steps, prefix="model.")


def loader(pairs: list[tuple[Tensor, Tensor]]) -> DataLoader[Any]:
    return DataLoader(pairs, batch_size=None)


def test_lightning_with_a_scaler() -> None:
    plugin = MixedPrecision("16-mixed", "cpu", scaler=scaler())
    module, log = Module(), GradientLog()
    trainer = lightning_trainer(recipes.LogGradients(log), plugins=[plugin])
    trainer.fit(module, loader(batches()))
    assert_logged(log, module.model, whole(), rel=1e-2, prefix="model.")


# Transformers


def arguments(folder: Path, **options: Any) -> transformers.TrainingArguments:
    """Return settings under which Trainer takes the steps of the loop."""
    return transformers.TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        per_device_train_batch_size=5,
        num_train_epochs=1,
        optim="sgd",
        learning_rate=RATE,
        lr_scheduler_type="constant",
        max_grad_norm=1.0,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        train_sampling_strategy="sequential",
        **options,
    )


def samples(
    steps: list[list[tuple[Tensor, Tensor]]],
) -> list[dict[str, Tensor]]:
    return [
        {"x": x, "labels": labels}
        for step in steps
        for pair in step
        for x, labels in zip(*pair, strict=True)
    ]


@pytest.mark.parametrize("parts", [1, PARTS])
def test_transformers(parts: int, tmp_path: Path) -> None:
    model, log = Model(), GradientLog()
    steps = whole() if parts == 1 else in_parts()
    recipes.LoggingTrainer(
        model,
        arguments(tmp_path, gradient_accumulation_steps=parts),
        train_dataset=samples(steps),
        gradient_log=log,
    ).train()
    assert_logged(log, model, steps)


class Pre(transformers.TrainerCallback):
    """Reads what the callback before the step sees."""

    def __init__(self) -> None:
        self.seen: list[dict[str, float]] = []

    def on_pre_optimizer_step(self, *_: Any, model: nn.Module, **__: Any):
        """Keep the means."""
        self.seen.append(gradient_means(model))


def test_transformers_callback_comes_after_clipping(tmp_path: Path) -> None:
    callback = Pre()
    transformers.Trainer(
        Model(),
        arguments(tmp_path),
        train_dataset=samples(whole()),
        callbacks=[callback],
    ).train()
    for clipped, mean in zip(callback.seen, expected(whole())[0], strict=True):
        assert all(clipped[name] < mean[name] / 20 for name in mean), (
            "it sees whole gradients now: a callback will do for the recipe"
        )


def test_transformers_with_a_scaler(tmp_path: Path) -> None:
    # On a CPU Trainer makes no scaler, but uses the one that it is given.
    model, log = Model(), GradientLog()
    trainer = recipes.LoggingTrainer(
        model,
        arguments(tmp_path, max_steps=1),
        train_dataset=samples(whole()),
        gradient_log=log,
    )
    trainer.accelerator.scaler = scaler()
    trainer.train()
    assert log.steps == [0]
    for name, mean in expected(whole())[0][0].items():
        assert log.values(f"dW/{name}") == pytest.approx([mean], rel=1e-4)


# Accelerate


@pytest.fixture
def fresh_accelerate() -> Iterator[None]:
    """Make accelerate forget what it has set up for another test."""
    yield
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerate.state.GradientState._reset_state()


@pytest.mark.usefixtures("fresh_accelerate")
@pytest.mark.parametrize("parts", [1, PARTS])
def test_accelerate(parts: int) -> None:
    accelerator = accelerate.Accelerator(
        cpu=True, gradient_accumulation_steps=parts
    )
    model, log = Model(), GradientLog()
    steps = whole() if parts == 1 else in_parts()
    data = loader([pair for step in steps for pair in step])
    recipes.train_anywhere(accelerator, model, data, sgd(model), log)
    numbers = [parts * (i + 1) - 1 for i in range(STEPS)]
    assert_logged(log, model, steps, numbers=numbers)


@pytest.mark.usefixtures("fresh_accelerate")
def test_accelerate_with_a_scaler() -> None:
    accelerator = accelerate.Accelerator(cpu=True)
    accelerator.scaler = scaler()
    model, log = Model(), GradientLog()
    data = loader(batches(1))
    recipes.train_anywhere(accelerator, model, data, sgd(model), log)
    for name, mean in expected(whole())[0][0].items():
        assert log.values(f"dW/{name}") == pytest.approx([mean], rel=1e-4)


# The chapter


def test_each_recipe_is_short() -> None:
    text = Path(recipes.__file__).read_text(encoding="utf-8")
    kinds = ast.FunctionDef, ast.ClassDef
    found = [part for part in ast.parse(text).body if isinstance(part, kinds)]
    assert len(found) == 6
    for part in found:
        lines = ast.get_source_segment(text, part) or ""
        assert lines.count("\n") < 20, part.name
        assert "gradient_means(" in lines, part.name
