"""Say which parameters of a model are its weights.

A trainable parameter is a weight if its name holds "weight", as in listing
4.5, or if it has at least two dimensions, and if it is no bias:
``layers.0.0.weight`` counts, ``experts.gate_up_proj`` counts,
``layers.0.0.bias`` does not. A parametrised one goes by the name of what it
makes, and one that stands in several places counts once.
"""

import re

from torch import Tensor, nn

from shortcuts._checks import check_module, listed


def trainable_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the trainable weights of a model by name, in its order.

    Raises:
        TypeError: if ``model`` is no module.
        ValueError: if it has no trainable weights, or some without a shape.

    Example:
        >>> from torch import nn
        >>> from shortcuts.weights import trainable_weights
        >>> list(trainable_weights(nn.LSTM(2, 3)))
        ['weight_ih_l0', 'weight_hh_l0']
    """
    weights, left_out = _sorted_out(model)
    if not weights:
        raise ValueError(
            "expected a model with trainable weights (requires_grad=True, and "
            "'weight' in the name or two dimensions), got parameters "
            f"[{listed(left_out)}]"
        )
    return weights


def left_out(model: nn.Module) -> dict[str, str]:
    """Return the parameters that are not measured, each with the reason.

    Raises:
        TypeError: if ``model`` is no module.
        ValueError: if some parameters have no shape yet.

    Example:
        >>> from torch import nn
        >>> from shortcuts.weights import left_out
        >>> left_out(nn.Linear(3, 3))
        {'bias': 'a bias'}
    """
    return _sorted_out(model)[1]


def _sorted_out(
    model: nn.Module,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    check_module(model)
    # Of tied parameters, one name may say "weight": that one counts.
    parameters = dict(model.named_parameters(remove_duplicate=False))
    lazy = [name for name, p in parameters.items() if nn.parameter.is_lazy(p)]
    if lazy:
        raise ValueError(
            "expected every parameter to have its shape, got uninitialized "
            f"{listed(lazy)}: run the model once before"
        )
    reasons = {name: _no_weight(name, p) for name, p in parameters.items()}
    names: dict[int, str] = {}  # of each weight, by identity
    for word in "weight", "":
        for name, parameter in parameters.items():
            if word in name and not reasons[name]:
                first = names.setdefault(id(parameter), name)
                if first != name:
                    reasons[name] = f"the same as {first}"
    weights: dict[str, Tensor] = {
        name: p for name, p in parameters.items() if not reasons[name]
    }
    return weights, {name: why for name, why in reasons.items() if why}


def _no_weight(name: str, parameter: nn.Parameter) -> str:
    """Return why this is no trainable weight, or nothing."""
    # "net.parametrizations.bias.original0" is one of those that make net.bias.
    own = re.sub(r"parametrizations\.(\w+)\.original\d*$", r"\1", name)
    if "bias" in own.rpartition(".")[2]:
        return "a bias"
    if "weight" not in own and parameter.dim() < 2:
        return "a vector without 'weight' in its name"
    return "" if parameter.requires_grad else "frozen"
