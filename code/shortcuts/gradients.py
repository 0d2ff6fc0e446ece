"""Measure the gradients of a network: one number for each of its weights.

The number is the mean of the absolute gradient, ``mean |dL/dW|``, as listing
4.5 prints it, in units of the loss per unit of weight; in this book neither
has a dimension. A parameter counts as a weight if its name holds "weight", as
in the listing, and does not end in a bias: ``layers.0.0.weight`` counts,
``layers.0.0.bias`` does not.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from shortcuts._checks import check_finite, check_tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def measure_gradients(
    model: nn.Module,
    x: Shaped[Tensor, "..."],
    target: Shaped[Tensor, "..."] | None = None,
    *,
    loss_fn: Loss = nn.MSELoss(),
) -> dict[str, float]:
    """Return ``mean |dL/dW|`` of each weight, from one pass there and back.

    The model runs in the mode it is in and is left as it was: ``.grad``, mode,
    buffers and torch's random state are afterwards what they were, so a second
    call returns the same. (Only a forward pass that writes to its own weights,
    as that of ``nn.Embedding(max_norm=...)``, leaves that behind.) Inside
    ``torch.no_grad()`` it measures all the same.

    Args:
        model: a module that maps one tensor to one tensor.
        x: its input, of whatever shape it takes. Where it comes from does not
            matter: no gradient flows into its history.
        target: what the loss compares the output with, of the output's shape,
            and zeros if not given. ``nn.CrossEntropyLoss`` and ``nn.NLLLoss``
            take class indices, and check their shape themselves.
        loss_fn: takes output and target, returns a scalar. One that needs
            more, or a target of another shape, can be a function around them.

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

    Example:
        >>> import torch
        >>> from shortcuts import DeepNeuralNetwork, measure_gradients
        >>> _ = torch.manual_seed(123)
        >>> model = DeepNeuralNetwork([3, 3, 1], use_shortcut=True)
        >>> means = measure_gradients(model, torch.tensor([[1.0, 0.0, -1.0]]))
        >>> {name: round(mean, 4) for name, mean in means.items()}
        {'layers.0.0.weight': 0.0059, 'layers.1.0.weight': 0.0354}

    Source: ``print_gradients`` of listing 4.5, Raschka (2024).
    """
    weights = _trainable_weights(model)
    check_tensor("x", x)
    if target is not None:
        check_tensor("target", target)
    with (
        _kept_random_state(model),
        _kept_buffers(model),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        output = model(x.detach().clone())
        check_tensor("output", output)
        check_finite("output", output)
        if target is None:
            target = torch.zeros_like(output)
        elif not isinstance(loss_fn, nn.CrossEntropyLoss | nn.NLLLoss):
            _check_shape(target, output)
        loss = loss_fn(output, target.detach().clone())
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
    """Print ``mean |dL/dW|`` of each weight, in the words of listing 4.5.

    Takes and raises what :func:`measure_gradients` does.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from shortcuts import print_gradients
        >>> x, target = torch.tensor([1.0, 0.5]), torch.tensor([100.0])
        >>> print_gradients(nn.Linear(2, 1), x, target, loss_fn=nn.L1Loss())
        weight has gradient mean of 0.75
    """
    means = measure_gradients(model, x, target, loss_fn=loss_fn)
    for name, mean in means.items():
        print(f"{name} has gradient mean of {mean}")


def gradient_means(model: nn.Module) -> dict[str, float]:
    """Return ``mean |dL/dW|`` of each weight, from what is in ``.grad``.

    For a training step of your own: call it after ``loss.backward()`` and
    before the gradients are cleared.

    Returns:
        Parameter name to mean absolute gradient, in the order of the model,
        frozen parameters left out. A trainable weight that got no gradient is
        reported as ``nan``, with a warning.

    Raises:
        ValueError: if the model has no trainable weights, or none has a
            gradient.

    Example:
        >>> import torch
        >>> from shortcuts import gradient_means
        >>> model = torch.nn.Linear(2, 1)
        >>> model(torch.tensor([1.0, 0.5])).backward()
        >>> gradient_means(model)
        {'weight': 0.75}
    """
    weights = _trainable_weights(model)
    return _mean_sizes({name: w.grad for name, w in weights.items()})


@contextmanager
def _kept_random_state(model: nn.Module) -> Iterator[None]:
    """Put torch's random state back, on the CPU and on the model's devices."""
    devices = {tensor.device for tensor in model.parameters()}
    others = [device for device in devices if device.type != "cpu"]
    kind = others[0].type if others else None
    with torch.random.fork_rng(others, device_type=kind):
        yield


@contextmanager
def _kept_buffers(model: nn.Module) -> Iterator[None]:
    """Let both passes write to copies of the buffers (running means)."""
    kept = [
        (module, name, buffer)
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    copies = {buffer: buffer.clone() for _, _, buffer in kept}
    try:
        for module, name, buffer in kept:
            setattr(module, name, copies[buffer])
        yield
    finally:
        for module, name, buffer in kept:
            setattr(module, name, buffer)


def _trainable_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"expected a torch.nn.Module, got {type(model).__name__}"
        )
    # Of tied parameters, all names count: one of them may say "weight".
    parameters = dict(model.named_parameters(remove_duplicate=False))
    lazy = [name for name, p in parameters.items() if nn.parameter.is_lazy(p)]
    if lazy:
        raise ValueError(
            "expected every parameter to have its shape, got uninitialized "
            f"{', '.join(lazy)}: run the model once before"
        )
    weights: dict[str, nn.Parameter] = {}
    for name, parameter in parameters.items():
        is_weight = "weight" in name and "bias" not in name.rpartition(".")[2]
        is_new = all(parameter is not other for other in weights.values())
        if is_weight and is_new and parameter.requires_grad:
            weights[name] = parameter
    if not weights:
        raise ValueError(
            "expected a model with trainable weights ('weight' in the name "
            f"and requires_grad=True), got parameters {list(parameters)}"
        )
    return weights


def _mean_sizes(grads: dict[str, Tensor | None]) -> dict[str, float]:
    missing = [name for name, grad in grads.items() if grad is None]
    if len(missing) == len(grads):
        raise ValueError(
            "expected gradients, got none: the loss has to depend on the "
            "weights, and backward() has to come before gradient_means()"
        )
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


def _check_shape(target: Tensor, output: Tensor) -> None:
    # torch would repeat the numbers until the shapes agree, and only warn.
    if target.shape != output.shape:
        raise ValueError(
            f"expected a target of the output's shape {tuple(output.shape)}, "
            f"got {tuple(target.shape)}"
        )


def _check_loss(loss: Tensor) -> None:
    check_tensor("loss", loss)
    if loss.shape != ():
        raise ValueError(
            f"expected a scalar loss, got shape {tuple(loss.shape)}"
        )
    check_finite("loss", loss)
    if not loss.requires_grad:
        raise ValueError(
            "expected a loss that depends on the weights, got a constant"
        )
