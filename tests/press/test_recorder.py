"""Noting what assertions compare changes nothing of what cells do."""

import ast
from typing import Any

import pytest

from press.recorder import Recorder


@pytest.mark.parametrize("name", ["x", "claims", "first", "cell"])
def test_noting_changes_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    for hidden, function in recorder.functions.items():
        monkeypatch.setattr(f"builtins.{hidden}", function, raising=False)
    code = f"""
calls = []
def once(value):
    calls.append(value)
    return value
{name} = 3
assert once(1) < once({name}) <= once(3) and once([1]) == [1]
assert not (once(5) < once(4) < once(None))
try:
    assert once(2) > {name}, "too small"
except AssertionError as error:
    said = str(error)
def assert_close(a, b, rtol): calls.append((a, b, rtol))
assert_close(once(1.0), {{"a": 1.5}}, rtol=2)
"""
    plain: dict[str, Any] = {}
    exec(code, plain)
    noted: dict[str, Any] = {}
    tree = ast.fix_missing_locations(recorder.visit(ast.parse(code)))
    exec(compile(tree, "", "exec"), noted)
    assert noted["calls"] == plain["calls"]
    assert noted["said"] == plain["said"] == "too small"
    assert noted.keys() == plain.keys()
    values = [claim["values"] for claim in recorder.claims]
    assert values[0]["once(1)"]["numbers"] == [1]
    assert values[0][f"once({name})"]["numbers"] == [3]
    assert values[1] == {
        "once(5)": {"numbers": [5]},
        "once(4)": {"numbers": [4]},
    }
    assert values[-1]["largest difference"]["numbers"] == [0.5]


def test_many_numbers_become_their_ends() -> None:
    recorder, claim = Recorder(), {"values": dict[str, Any]()}
    recorder.claims.append(claim)
    for number in (3.0, -1.0, float("nan"), 2.0, True, None):
        assert recorder.note(0, "x", number) is number
    assert claim["values"]["x"] == {"numbers": [3.0, -1.0, 2.0]}
    recorder.note(0, "x", [7.0, 5.0])
    recorder.note(0, "x", (4.0,))
    assert claim["values"]["x"] == {"numbers": [-1.0, 7.0], "many": True}
