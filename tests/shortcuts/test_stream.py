"""Blocks that are found or given, and tensors wherever they lie."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shortcuts._stream import find_blocks, first_tensor


def linears(n: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(2, 2) for _ in range(n))


def model(**parts: nn.Module) -> Any:
    return nn.ModuleDict(parts)


def test_the_longest_list_of_alike_modules() -> None:
    unlike = nn.Sequential(*linears(4), nn.ReLU())
    whole = model(few=linears(2), h=linears(3), unlike=unlike, one=linears(1))
    assert list(find_blocks(whole)) == ["h.0", "h.1", "h.2"]
    assert find_blocks(whole)["h.1"] is whole["h"][1]
    assert list(find_blocks(nn.Sequential(*linears(2)))) == ["0", "1"]


def test_lists_of_lists() -> None:
    # The longest; two within the blocks of one; and that one within another.
    inner = [nn.Sequential(*linears(n)) for n in (4, 3)]
    found = find_blocks(nn.ModuleList(inner))
    assert list(found) == [f"0.{i}" for i in range(4)]
    inner = [nn.Sequential(*linears(3)) for _ in range(2)]
    assert list(find_blocks(nn.ModuleList(inner))) == ["0", "1"]
    outer = nn.ModuleList([nn.ModuleList(inner), linears(1)])
    assert list(find_blocks(outer)) == ["0", "1"]
    whole = model(encoder=nn.ModuleList(linears(2) for _ in range(2)))
    assert list(find_blocks(whole)) == ["encoder.0", "encoder.1"]


def test_equally_long_lists_within_the_blocks_of_another() -> None:
    layers = nn.ModuleList(model(heads=linears(4)) for _ in range(3))
    assert list(find_blocks(model(encoder=layers))) == [
        f"encoder.{i}" for i in range(3)
    ]
    with pytest.raises(
        ValueError, match=r" as in blocks=\[\*first_list, \*second_list\]$"
    ):
        find_blocks(model(encoder=layers, other=linears(4)))


def test_a_module_that_stands_twice_counts_once() -> None:
    again = nn.ModuleList([nn.Linear(2, 2)] * 4)
    assert list(find_blocks(model(again=again, h=linears(2)))) == [
        "h.0",
        "h.1",
    ]


def test_names_go_without_wrappers() -> None:
    inner = model(h=linears(2), module=nn.ModuleDict({"x": nn.ReLU()}))
    wrapped = model(_orig_mod=model(module=model(_fsdp_wrapped_module=inner)))
    assert list(find_blocks(wrapped)) == ["h.0", "h.1"]
    assert list(find_blocks(wrapped, ["h.1", "module._orig_mod.h.0"])) == [
        "h.1",
        "h.0",
    ]
    assert list(find_blocks(model(a=inner), ["a.module.x"])) == ["a.module.x"]


def test_blocks_that_are_given() -> None:
    whole = model(encoder=linears(2), decoder=linears(2))
    with pytest.raises(
        ValueError,
        match=r"^expected one longest list of blocks, got 2 blocks in each of "
        r"encoder, decoder: choose, as in blocks=model.get_submodule"
        r"\('encoder'\)",
    ):
        find_blocks(whole)
    names = ["decoder.0", "decoder.1"]
    assert list(find_blocks(whole, whole["decoder"])) == names
    assert list(find_blocks(whole, reversed(names))) == names[::-1]
    assert list(find_blocks(whole, [whole])) == ["ModuleDict"]


@pytest.mark.parametrize(
    ("blocks", "error", "words"),
    [
        (None, ValueError, "at least two modules of one class, got none"),
        (
            ["h"],
            ValueError,
            "got h, which is not in it; it has .*, one, one.0",
        ),
        ([nn.ReLU()], ValueError, "got ReLU, which is not in it"),
        (
            "one",
            TypeError,
            r"^expected blocks to be a list of names or modules, .*, got one$",
        ),
        (nn.ReLU(), TypeError, r"a list of names or modules, .*, got ReLU$"),
        ([], ValueError, r"^expected at least one block, got none$"),
        ([1], TypeError, "to be names or modules, got int"),
    ],
)
def test_blocks_that_are_none(
    blocks: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        find_blocks(model(one=linears(1)), blocks)


def test_what_is_no_model() -> None:
    wrong: Any = torch.relu
    with pytest.raises(TypeError, match=r"expected a torch\.nn\.Module"):
        find_blocks(wrong)


@dataclass
class Output:
    """What some libraries return."""

    loss: Tensor | None
    state: Tensor


def test_the_first_tensor() -> None:
    x, whole = torch.ones(2), torch.tensor([1, 2])
    values: list[object] = [
        x,
        (x, whole),
        [None, (whole, {"a": "b", "h": x})],
        Output(None, x),
        (torch.tensor([True]), x, x + 1),
    ]
    for value in values:
        assert first_tensor(value) is x
    wave = torch.ones(1, dtype=torch.complex64)
    assert first_tensor((whole, wave)) is wave
    values = [None, whole, "x", [], {}, Output]
    for value in values:
        assert first_tensor(value) is None


def test_no_list() -> None:
    words = (
        r"^expected a list \(ModuleList or Sequential\) of at least two "
        "modules of one class, got none: give the blocks$"
    )
    with pytest.raises(ValueError, match=words):
        find_blocks(nn.Linear(2, 2))
