"""Take the mean absolute value of many tensors, sharded ones included.

Nothing is copied but pieces, and each device sends its numbers to the host
once. A tensor that is sharded over processes (a DTensor) is summed where it
lies, and one small collective for each dimension of the mesh that shards
anything adds the sums up: all processes have to ask, and all get the same.
"""

import math
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

PIECE = 2**18  # numbers: a piece stays in the processor's cache


def mean_sizes(
    like: Sequence[Tensor], values: Sequence[Tensor | None]
) -> list[float]:
    """Return ``mean |v|`` of each value, ``nan`` for None and for no numbers.

    Args:
        like: tensors that the values are laid out like, which says where a
            missing one would lie.
        values: of the same shapes, on the same devices and meshes.
    """
    places: dict[Any, list[int]] = {}
    for index, tensor in enumerate[Any](like):
        mesh = tensor.device_mesh if is_sharded(tensor) else tensor.device
        places.setdefault(mesh, []).append(index)
    means = [math.nan] * len(like)
    for place, indices in places.items():
        pairs = [(like[index], values[index]) for index in indices]
        if isinstance(place, torch.device):
            sums = torch.stack([sum_of_sizes(t, v) for t, v in pairs])
        else:
            sums = _sums_over(place, pairs)
        for index, total in zip(indices, sums.tolist(), strict=True):
            if like[index].numel():
                means[index] = total / like[index].numel()
    return means


def is_sharded(tensor: Tensor) -> bool:
    """Say whether a tensor is a DTensor, without importing their module."""
    library = _library()
    return library is not None and isinstance(tensor, library.DTensor)


def _library() -> Any:
    modules = "torch.distributed.tensor", "torch.distributed._tensor"
    loaded = (sys.modules.get(name) for name in modules)
    # In torch 2.4 the first is there, and has no DTensor.
    return next((m for m in loaded if hasattr(m, "DTensor")), None)


def _sums_over(mesh: Any, pairs: list[tuple[Any, Any]]) -> Tensor:
    """Return the sums of |v| of DTensors of one mesh, over all processes."""
    # Strided shards say no to is_shard(): what is not replicated is sharded.
    dims = [
        dim
        for dim in range(mesh.ndim)
        if any(not like.placements[dim].is_replicate() for like, _ in pairs)
    ]
    sums = []
    for like, value in pairs:
        own = like if value is None else _reduced(value)
        copies = math.prod(
            mesh.size(dim)
            for dim in dims
            if own.placements[dim].is_replicate()
        )
        local = None if value is None else own.to_local()
        sums.append(sum_of_sizes(own.to_local(), local) / copies)
    total = torch.stack(sums)
    for dim in dims:
        torch.distributed.all_reduce(total, group=mesh.get_group(dim))
    return total


def _reduced(value: Any) -> Any:
    """Return a DTensor with its partial sums added up."""
    if not any(placement.is_partial() for placement in value.placements):
        return value
    placements = [
        _library().Replicate() if placement.is_partial() else placement
        for placement in value.placements
    ]
    return value.redistribute(placements=placements)


def sum_of_sizes(like: Tensor, value: Tensor | None) -> Tensor:
    """Return the sum of ``|v|``, a double where the device has doubles."""
    wide = torch.float32 if like.device.type == "mps" else torch.float64
    if value is None:
        return torch.full((), math.nan, dtype=wide, device=like.device)
    value = _numbers(value.detach())
    # Half precision is added up in float32: the sum keeps its digits.
    digits = torch.promote_types(value.dtype, torch.float32)
    if value.device.type != "cpu":  # adds up in a tree, and makes no copy
        norm: Tensor = torch.linalg.vector_norm(value, 1, dtype=digits)
        return norm.to(wide)
    pieces = _pieces(value)
    sizes = pieces[0].abs()  # whose memory all pieces use: more would be slow
    parts = [
        torch.abs(piece, out=sizes[: len(piece)]).sum(dtype=digits.to_real())
        for piece in pieces
    ]
    return torch.stack(parts).to(wide).sum()


def _numbers(value: Tensor) -> Tensor:
    """Return the numbers of a tensor, of a sparse one those stored."""
    if value.layout == torch.sparse_coo:
        return value.coalesce().values()
    found: Tensor = value
    if value.layout != torch.strided:
        found = value.values()
    return found


def _pieces(value: Tensor) -> Sequence[Tensor]:
    """Cut a tensor into pieces in the order in which its numbers lie."""
    order = sorted(range(value.dim()), key=value.stride, reverse=True)
    flat: Tensor = value.permute(order).reshape(-1)
    return torch.split(flat, PIECE)
