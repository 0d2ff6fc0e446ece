"""Leave a model, and all that draws at random, as they were."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def kept_state(model: nn.Module) -> Iterator[None]:
    """Put back modes, gradients, buffers and random states after a pass.

    These are the buffers (a pass writes to copies of them), whether they were
    there before or not, what the modules hold as plain attributes, ``.grad``,
    which is None within, and the random states of torch, NumPy and Python.
    What is changed in place in a list, a dictionary or a weight stays changed.
    """
    with (
        _kept_random_states(model),
        _kept_attributes(model),
        _kept_gradients(model),
    ):
        yield


@contextmanager
def _kept_gradients(model: nn.Module) -> Iterator[None]:
    kept = [(parameter, parameter.grad) for parameter in model.parameters()]
    try:
        for parameter, _ in kept:
            parameter.grad = None
        yield
    finally:
        for parameter, grad in kept:
            parameter.grad = grad


@contextmanager
def _kept_random_states(model: nn.Module) -> Iterator[None]:
    tensors = [*model.parameters(), *model.buffers()]
    others = list({t.device for t in tensors if t.device.type != "cpu"})
    kind = others[0].type if others else "cuda"
    python, numpy = random.getstate(), sys.modules.get("numpy.random")
    legacy = numpy.get_state() if numpy else None
    try:
        with torch.random.fork_rng(others, device_type=kind):
            yield
    finally:
        random.setstate(python)
        if numpy:
            numpy.set_state(legacy)


@contextmanager
def _kept_attributes(model: nn.Module) -> Iterator[None]:
    modules = list(model.modules())
    kept = [
        (vars(module).copy(), module._buffers.copy()) for module in modules
    ]
    copies: dict[Tensor, Tensor] = {}  # a shared buffer has one copy
    try:
        for module in modules:
            for name, buffer in module._buffers.items():
                if buffer is None:
                    continue
                if buffer not in copies:
                    copies[buffer] = buffer.clone()
                module._buffers[name] = copies[buffer]
        yield
    finally:
        for module, (attributes, buffers) in zip(modules, kept, strict=True):
            vars(module).clear()
            vars(module).update(attributes)
            module._buffers.clear()
            module._buffers.update(buffers)
