"""Find the blocks that a stream runs through, and the tensors in a value."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass

from torch import Tensor, nn

from shortcuts._checks import check_module, listed

# What torch puts around modules, as it stands in names. "module", of a
# DistributedDataParallel, is somebody's own name elsewhere than in front.
WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")


def find_blocks(
    model: nn.Module, blocks: Iterable[str | nn.Module] | None = None
) -> dict[str, nn.Module]:
    """Return blocks by their names in the model, without wrappers' names.

    Those that are asked for, as names or modules; else those of the longest
    list (ModuleList or Sequential) of at least two modules of one class. If
    several are as long, and all lie in one such list, it is that.

    Example:
        >>> from torch import nn
        >>> from shortcuts._stream import find_blocks
        >>> layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
        >>> list(find_blocks(nn.ModuleDict({"layers": layers})))
        ['layers.0', 'layers.1']
    """
    check_module(model)
    names = {
        module: _unwrapped(name) or type(module).__name__
        for name, module in model.named_modules()
    }
    if blocks is None:
        blocks = _longest_list(names)
    if isinstance(blocks, str) or not isinstance(blocks, Iterable):
        raise TypeError(
            "expected blocks to be a list of names or modules, such as "
            "model.get_submodule(name), got "
            f"{blocks if isinstance(blocks, str) else type(blocks).__name__}"
        )
    modules = {name: module for module, name in names.items()}
    found: dict[str, nn.Module] = {}
    for block in blocks:
        if isinstance(block, str):
            module = modules.get(_unwrapped(block))
        elif isinstance(block, nn.Module):
            module = block if block in names else None
        else:
            raise TypeError(
                "expected blocks to be names or modules, got "
                f"{type(block).__name__}"
            )
        if module is None:
            what = block if isinstance(block, str) else type(block).__name__
            raise ValueError(
                f"expected blocks of the model, got {what}, which is not in "
                f"it; it has {listed(modules)}"
            )
        found[names[module]] = module
    if not found:
        raise ValueError("expected at least one block, got none")
    return found


def tensors(value: object) -> Iterator[Tensor]:
    """Yield the tensors of real or complex numbers, first to last.

    They may lie in tuples, lists, mappings and dataclasses, however deep.
    """
    if isinstance(value, Tensor):
        if value.is_floating_point() or value.is_complex():
            yield value
        return
    parts: Iterable[object] = ()
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, tuple | list):
        parts = value
    elif is_dataclass(value) and not isinstance(value, type):
        parts = (getattr(value, field.name) for field in fields(value))
    for part in parts:
        yield from tensors(part)


def first_tensor(value: object) -> Tensor | None:
    """Return the first of those tensors, if there is one."""
    return next(tensors(value), None)


def _unwrapped(name: str) -> str:
    parts = [part for part in name.split(".") if part not in WRAPPERS]
    while parts[:1] == ["module"]:
        del parts[0]
    return ".".join(parts)


def _longest_list(names: dict[nn.Module, str]) -> list[nn.Module]:
    lists = {
        module: list(module.children())
        for module in names
        if isinstance(module, nn.ModuleList | nn.Sequential)
    }
    sizes = {
        module: len(children)
        for module, children in lists.items()
        if len(children) > 1 and len({type(child) for child in children}) == 1
    }
    if not sizes:
        raise ValueError(
            "expected a list (ModuleList or Sequential) of at least two "
            "modules of one class, got none: give the blocks"
        )
    most = max(sizes.values())
    longest = [module for module, size in sizes.items() if size == most]
    # Of several, the list in whose blocks they all lie; the outermost.
    around = [m for m in sizes if set(longest) <= set(m.modules())]
    if not around:
        found = [names[module] for module in longest]
        raise ValueError(
            f"expected one longest list of blocks, got {most} blocks in each "
            f"of {listed(found)}: choose, as in "
            f"blocks=model.get_submodule({found[0]!r}), or take several, as "
            "in blocks=[*first_list, *second_list]"
        )
    return lists[longest[0] if len(longest) == 1 else around[0]]
