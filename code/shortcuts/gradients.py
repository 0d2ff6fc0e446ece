"""Measure the gradients of a network: one number for each of its weights.

The number is the mean of the absolute gradient, ``mean |dL/dW|``, as listing
4.5 prints it, in units of the loss per unit of weight; in this book neither
has a dimension. :mod:`shortcuts.weights` says what counts as a weight.
"""

import math
import sys
import warnings
from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from shortcuts._checks import (
    check_finite,
    check_tensor,
    checked_scale,
    listed,
)
from shortcuts._sizes import is_sharded, mean_sizes
from shortcuts._state import kept_state
from shortcuts.weights import trainable_weights

Loss = Callable[[Tensor, Tensor], Tensor]

# Of torch's own losses, those to which zeros are a target like any other.
DISTANCES = {
    nn.MSELoss,
    nn.L1Loss,
    nn.SmoothL1Loss,
    nn.HuberLoss,
    nn.functional.mse_loss,
    nn.functional.l1_loss,
    nn.functional.smooth_l1_loss,
    nn.functional.huber_loss,
}


def measure_loss(
    model: nn.Module, loss: Callable[[], Float[Tensor, ""]]
) -> dict[str, float]:
    """Return ``mean |dL/dW|`` of each weight, for a loss of your own.

    The model runs in the mode it is in and is left as it was: ``.grad``, mode,
    buffers, plain attributes and the random states of torch, NumPy and Python
    are afterwards what they were, so a second call returns the same. (What a
    forward pass changes in place, in a list or in a weight, as
    ``nn.Embedding(max_norm=...)`` does, stays changed.) Inside
    ``torch.no_grad()`` it measures all the same.

    Args:
        model: whose weights are measured.
        loss: runs the model and returns the scalar loss, in whatever way:
            ``lambda: model(**batch).loss``.

    Returns:
        Parameter name to mean absolute gradient, in the order of the model,
        frozen parameters left out. A weight that the loss does not depend on
        is reported as ``nan``, with a warning, and one whose gradient is not
        finite as ``nan`` or ``inf``, with another.

    Raises:
        TypeError: if ``model`` is no module, ``loss`` cannot be called, or
            what it returns is no tensor.
        ValueError: if the model has no trainable weights or is spread over
            processes, or the loss is not a finite scalar or depends on no
            weight.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from shortcuts import measure_loss
        >>> model, x = nn.Bilinear(1, 1, 1, bias=False), torch.tensor([3.0])
        >>> measure_loss(model, lambda: model(x, 2 * x).sum())
        {'weight': 18.0}
    """
    if not callable(loss) or isinstance(loss, type):
        raise TypeError(
            "expected loss to be a function that runs the model and returns "
            f"the loss, such as lambda: model(x).sum(), got {loss!r}"
        )
    weights = _weights_of_one_process(model)
    with torch.inference_mode(False), torch.enable_grad(), kept_state(model):
        value = loss()
        _check_loss(value)
        # Unlike loss.backward(), this adds nothing to .grad.
        found = torch.autograd.grad(
            value, list(weights.values()), allow_unused=True
        )
        # Layers that compute their input anew, instead of keeping it, run a
        # backward() within, and what that finds is in .grad.
        grads = [
            _added(grad, weight.grad)
            for grad, weight in zip(found, weights.values(), strict=True)
        ]
    return _named_means(weights, grads)


def measure_gradients(
    model: nn.Module,
    x: Shaped[Tensor, "..."],
    target: Shaped[Tensor, "..."] | None = None,
    *,
    loss_fn: Loss = nn.MSELoss(),
) -> dict[str, float]:
    """Return ``mean |dL/dW|`` of each weight, from one pass there and back.

    For a model with one input and one output; :func:`measure_loss` takes any
    other, promises the same and returns the same.

    Args:
        model: a module that maps one tensor to one tensor.
        x: its input, of whatever shape it takes. Where it comes from does not
            matter: no gradient flows into its history.
        target: what the loss compares the output with, of the output's shape
            unless it holds class indices. Zeros if not given, where they make
            sense: to ``nn.CrossEntropyLoss`` they would be no target.
        loss_fn: takes output and target, returns a scalar.

    Returns:
        As :func:`measure_loss`. It warns, too, if no target is given and the
        loss cannot tell anything: if all gradients are exactly 0, or if a
        LayerNorm has just made the output one of mean square 1, whose
        gradient measures no more than its epsilon.

    Raises:
        TypeError: if ``x``, ``target``, the output or the loss is not a
            tensor, or ``loss_fn`` cannot be called.
        ValueError: as :func:`measure_loss`, and if ``x`` is empty, or
            ``target`` is missing or of another shape than the output.

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
    _weights_of_one_process(model)
    check_tensor("x", x)
    if not x.numel():
        raise ValueError(
            f"expected x to hold a sample at least, got shape {tuple(x.shape)}"
        )
    if target is not None:
        check_tensor("target", target)
    _check_loss_fn(loss_fn, target)
    of_norm = False

    def loss() -> Tensor:
        nonlocal of_norm
        output = model(x.detach().clone())
        check_tensor("output", output)
        if target is None:
            of_norm = _is_of_norm(output.detach(), model)
            return _finite(loss_fn(output, torch.zeros_like(output)), output)
        _check_shape(target, output)
        with warnings.catch_warnings():
            # torch repeats classes, too, until shapes agree, and only warns.
            warnings.filterwarnings("error", ".*target size.*different")
            try:
                value = loss_fn(output, target.detach().clone())
            except UserWarning:
                raise _another_shape(target, output) from None
        return _finite(value, output)

    means = measure_loss(model, loss)
    if target is None and of_norm:
        warnings.warn(
            "the output's mean square is 1, as a LayerNorm leaves it, "
            "whatever the weights are: without a target, the gradients "
            "measure no more than its epsilon",
            stacklevel=2,
        )
    elif target is None and not any(means.values()):
        warnings.warn(
            "without a target, every gradient is exactly 0: give one",
            stacklevel=2,
        )
    return means


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


def gradient_means(
    model: nn.Module, *, scale: float = 1.0
) -> dict[str, float]:
    """Return ``mean |dL/dW|`` of each weight, from its ``.grad``.

    For a training step of your own: call it after ``loss.backward()``, before
    gradients are clipped and cleared. It changes nothing, and copies no
    gradient. Where parameters are sharded over processes (FSDP2, tensor
    parallel), the means are those of the whole gradient: **all processes have
    to call it**, and all get the same.

    Args:
        model: whose weights are looked at.
        scale: divides. A ``GradScaler``'s ``get_scale()`` before
            ``unscale_()``; the number of microbatches, if their losses were
            added up and not divided.

    Returns:
        Parameter name to mean absolute gradient, in the order of the model,
        frozen parameters left out. A trainable weight that got no gradient is
        reported as ``nan``, with a warning, and one whose gradient is not
        finite as ``nan`` or ``inf``, with another.

    Raises:
        TypeError: if ``model`` is no module or ``scale`` no number.
        ValueError: if the model has no trainable weights, none has a gradient,
            ``scale`` is not above 0, or FSDP1 has its parameters.

    Example:
        >>> import torch
        >>> from shortcuts import gradient_means
        >>> model = torch.nn.Linear(2, 1)
        >>> model(torch.tensor([1.0, 0.5])).backward()
        >>> gradient_means(model)
        {'weight': 0.75}
    """
    scale = checked_scale(scale)
    _check_fsdp1(model)
    weights = trainable_weights(model)
    return _named_means(weights, (w.grad for w in weights.values()), scale)


def _weights_of_one_process(model: nn.Module) -> dict[str, Tensor]:
    _check_fsdp1(model)
    weights = trainable_weights(model)
    if isinstance(model, nn.parallel.DistributedDataParallel):
        raise ValueError(
            "expected a model of this process's own, got one in "
            "DistributedDataParallel: measure model.module, or use "
            "gradient_means() in a training step"
        )
    if any(is_sharded(weight) for weight in weights.values()):
        raise ValueError(
            "expected a model of this process's own, got sharded parameters: "
            "use gradient_means() in a training step"
        )
    return weights


def _check_fsdp1(model: nn.Module) -> None:
    library = sys.modules.get("torch.distributed.fsdp")
    if library is None or not isinstance(model, nn.Module):
        return
    for module in model.modules():
        if (
            isinstance(module, library.FullyShardedDataParallel)
            and module.training_state.name != "SUMMON_FULL_PARAMS"
        ):
            raise ValueError(
                "expected whole parameters, got a FullyShardedDataParallel "
                "(FSDP1), which keeps pieces: measure inside "
                "FullyShardedDataParallel.summon_full_params(model, "
                "with_grads=True) after use_orig_params=True, or shard with "
                "fully_shard (FSDP2)"
            )


def _named_means(
    weights: dict[str, Tensor],
    grads: Iterable[Tensor | None],
    scale: float = 1.0,
) -> dict[str, float]:
    found = dict(zip(weights, grads, strict=True))
    missing = [name for name, grad in found.items() if grad is None]
    if len(missing) == len(found):
        raise ValueError(
            "expected gradients, got none: the loss has to depend on the "
            "weights, and backward() has to come before gradient_means()"
        )
    sizes = mean_sizes(list(weights.values()), list(found.values()))
    means = {
        name: size / scale for name, size in zip(weights, sizes, strict=True)
    }
    strange = [
        name
        for name, mean in means.items()
        if found[name] is not None
        and weights[name].numel()
        and not math.isfinite(mean)
    ]
    for names, fault in (
        (missing, "no gradient reached {}: reported as nan"),
        (strange, "the gradient is not finite in {}"),
    ):
        if names:
            warnings.warn(fault.format(listed(names)), stacklevel=3)
    return means


def _added(grad: Tensor | None, other: Tensor | None) -> Tensor | None:
    if grad is None or other is None:
        return other if grad is None else grad
    return grad + other


def _check_loss_fn(loss_fn: Loss, target: Tensor | None) -> None:
    if isinstance(loss_fn, type) or not callable(loss_fn):
        raise TypeError(
            "expected loss_fn to take an output and a target, such as "
            f"nn.MSELoss(), got {loss_fn!r}"
        )
    module = isinstance(loss_fn, nn.Module)
    kind: object = type(loss_fn) if module else loss_fn
    home = getattr(kind, "__module__", None) or ""
    if target is None and home.startswith("torch") and kind not in DISTANCES:
        name = getattr(kind, "__name__", repr(kind))
        raise ValueError(
            f"expected a target, got none: to {name} zeros are no target"
        )


def _check_shape(target: Tensor, output: Tensor) -> None:
    if target.shape == output.shape:
        return
    # Classes have the output's shape without its second dimension, or, of one
    # sample, without its only one. Other whole numbers may have any shape to
    # which torch would not stretch the output or them.
    classes = {output.shape[:1] + output.shape[2:], output.shape[1:]}
    if target.is_floating_point() or target.is_complex():
        raise _another_shape(target, output)
    if target.shape not in classes and _stretches(target, output):
        raise _another_shape(target, output)


def _stretches(target: Tensor, output: Tensor) -> bool:
    """Say whether torch would repeat one of both until the shapes agree."""
    sizes = zip(reversed(target.shape), reversed(output.shape), strict=False)
    return all(a == b or 1 in (a, b) for a, b in sizes)


def _another_shape(target: Tensor, output: Tensor) -> ValueError:
    return ValueError(
        f"expected a target of the output's shape {tuple(output.shape)}, "
        f"got {tuple(target.shape)}"
    )


def _is_of_norm(output: Tensor, model: nn.Module) -> bool:
    """Say whether a norm may have made each sample's mean square 1."""
    norms = ("norm" in type(m).__name__.lower() for m in model.modules())
    if not any(norms) or output.shape[-1:] in ((), (1,)):
        return False
    squares = output.abs().float().square().mean(-1)
    return bool((squares - 1).abs().max() < 1e-3)


def _finite(loss: Tensor, output: Tensor) -> Tensor:
    """Return the loss, or say that it is the output that is not finite."""
    if isinstance(loss, Tensor) and not bool(loss.isfinite().all()):
        check_finite("output", output)
    return loss


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
