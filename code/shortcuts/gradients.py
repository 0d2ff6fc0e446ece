"""Measure the gradients of a network: one number for each of its weights.

The number is the mean of the absolute gradient, mean |dL/dW|, as listing 4.5
prints it, in units of the loss per unit of weight; in this book neither has a
dimension. A parameter counts as a weight if its name says so, as in the
listing: ``layers.0.0.weight`` does, ``layers.0.0.bias`` does not.
"""

import math
import warnings
from collections.abc import Callable

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]


def measure_gradients(
    model: nn.Module,
    x: Shaped[Tensor, "..."],
    target: Shaped[Tensor, "..."] | None = None,
    *,
    loss_fn: Loss = nn.MSELoss(),
) -> dict[str, float]:
    """Return mean |dL/dW| of each weight, from one forward and one backward.

    The model runs in the mode it is in and is left as it was: ``.grad``, mode,
    buffers and torch's random state are afterwards what they were, so a second
    call returns the same. Inside ``torch.no_grad()`` it measures all the same.

    Args:
        model: a module that maps one tensor to one tensor.
        x: its input, of whatever shape it takes.
        target: what the loss compares the output with: of the output's shape,
            or whole numbers, one for each prediction, as
            ``nn.CrossEntropyLoss`` takes them. Zeros of the output's shape if
            not given.
        loss_fn: takes output and target, returns a scalar.

    Returns:
        Parameter name to mean absolute gradient, in the order of the model,
        frozen parameters left out. A weight that the loss does not depend on
        is reported as ``nan``, with a warning.

    Raises:
        TypeError: if ``x``, ``target``, the output or the loss is not a
            tensor.
        ValueError: if the model has no trainable weights, ``target`` has
            another shape than the output, the output or the loss is not
            finite, or the loss is not a scalar or depends on no weight.

    Source: ``print_gradients`` of listing 4.5, Raschka (2024).
    """
    weights = _trainable_weights(model)
    _check_tensor("x", x)
    devices = {w.device for w in weights.values() if w.device.type != "cpu"}
    with torch.random.fork_rng(devices), torch.enable_grad():
        # The forward pass writes to copies of the buffers (running means).
        buffers = {
            name: buffer.clone() for name, buffer in model.named_buffers()
        }
        output = torch.func.functional_call(model, buffers, (x,))
        _check_finite("output", output)
        if target is None:
            target = torch.zeros_like(output)
        _check_target(target, output)
        loss = loss_fn(output, target)
        _check_loss(loss)
        # Unlike loss.backward(), this adds nothing to .grad.
        grads = torch.autograd.grad(
            loss, list(weights.values()), allow_unused=True
        )
    return _mean_sizes(dict(zip(weights, grads, strict=True)))


def print_gradients(
    model: nn.Module,
    x: Shaped[Tensor, "..."],
    target: Shaped[Tensor, "..."] | None = None,
    *,
    loss_fn: Loss = nn.MSELoss(),
) -> None:
    """Print mean |dL/dW| of each weight, in the words of listing 4.5.

    Takes and raises what :func:`measure_gradients` does.
    """
    means = measure_gradients(model, x, target, loss_fn=loss_fn)
    for name, mean in means.items():
        print(f"{name} has gradient mean of {mean}")


def gradient_means(model: nn.Module) -> dict[str, float]:
    """Return mean |dL/dW| of each weight, from what is in ``.grad``.

    For a training step of your own: call it after ``loss.backward()`` and
    before the gradients are cleared.

    Returns:
        Parameter name to mean absolute gradient, in the order of the model,
        frozen parameters left out. A trainable weight that got no gradient is
        reported as ``nan``, with a warning.

    Raises:
        ValueError: if the model has no trainable weights, or none has a
            gradient.
    """
    weights = _trainable_weights(model)
    grads = {name: weight.grad for name, weight in weights.items()}
    if all(grad is None for grad in grads.values()):
        raise ValueError(
            "expected gradients in .grad, got none: call loss.backward() "
            "before, and clear the gradients after"
        )
    return _mean_sizes(grads)


def _trainable_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"expected a torch.nn.Module, got {type(model).__name__}"
        )
    parameters = dict(model.named_parameters())
    lazy = [name for name, p in parameters.items() if nn.parameter.is_lazy(p)]
    if lazy:
        raise ValueError(
            "expected every parameter to have its shape, got uninitialized "
            f"{', '.join(lazy)}: run the model once before"
        )
    weights = {
        name: parameter
        for name, parameter in parameters.items()
        if "weight" in name and "bias" not in name.rpartition(".")[2]
        if parameter.requires_grad
    }
    if not weights:
        raise ValueError(
            "expected a model with trainable weights ('weight' in the name "
            f"and requires_grad=True), got parameters {list(parameters)}"
        )
    return weights


def _mean_sizes(grads: dict[str, Tensor | None]) -> dict[str, float]:
    missing = [name for name, grad in grads.items() if grad is None]
    if missing:
        warnings.warn(
            f"no gradient reached {', '.join(missing)}: reported as nan",
            stacklevel=3,
        )
    return {
        name: math.nan if grad is None else _mean_size(grad)
        for name, grad in grads.items()
    }


def _mean_size(grad: Tensor) -> float:
    size = grad.to_dense().abs()
    # Half precision is averaged in float32: the mean keeps its digits.
    wide = torch.promote_types(size.dtype, torch.float32)
    return size.mean(dtype=wide).item()


def _check_tensor(name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"expected {name} to be a tensor, got {type(value).__name__}"
        )


def _check_finite(name: str, value: Tensor) -> None:
    _check_tensor(name, value)
    strange = value.numel() - int(value.isfinite().sum())
    if strange:
        raise ValueError(
            f"expected a finite {name}, got {strange} of {value.numel()} "
            "numbers that are infinite or nan"
        )


def _check_target(target: Tensor, output: Tensor) -> None:
    _check_tensor("target", target)
    accepted: set[tuple[int, ...]] = {output.shape}
    if not (target.is_floating_point() or target.is_complex()):
        # Class indices have no dimension for the classes, which is the
        # output's second (its only one where there is no batch).
        accepted.add(
            output.shape[:1] + output.shape[2:] if output.ndim > 1 else ()
        )
    if target.shape not in accepted:
        raise ValueError(
            f"expected a target of the output's shape {tuple(output.shape)}, "
            f"got {tuple(target.shape)}"
        )


def _check_loss(loss: Tensor) -> None:
    _check_tensor("loss", loss)
    if loss.shape != ():
        raise ValueError(
            f"expected a scalar loss, got shape {tuple(loss.shape)}"
        )
    _check_finite("loss", loss)
    if not loss.requires_grad:
        raise ValueError(
            "expected a loss that depends on the weights, got a constant"
        )
