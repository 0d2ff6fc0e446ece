"""Logs hold what was put in, on disk too, and say what stands out."""

import json
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shortcuts.logs import GradientLog, Jump, shortened

INF, NAN = math.inf, math.nan


def log_of(*rows: Mapping[str, float], every: int = 10) -> GradientLog:
    """Return a log of one lens, a row for every tenth step."""
    log = GradientLog()
    for i, row in enumerate(rows):
        log.add(every * i, dW=row)
    return log


def curve(*values: float, name: str = "a") -> GradientLog:
    return log_of(*({name: value} for value in values))


def held(log: GradientLog) -> tuple[list[int], list[tuple[str, str]]]:
    """Return all that a log holds, with a nan that is equal to another."""
    keys = [f"{lens}/{n}" for lens in log.lenses for n in log.names(lens)]
    return log.steps, [(key, str(log.values(key))) for key in keys]


# What is stored


def test_readings_keep_their_keys_and_lenses_are_put_before_names() -> None:
    log = GradientLog()
    row = log.add(
        3, {"h/b.0": 1.0}, {"delta/b.0": 2}, dW={"b.0": 0.5}, step={"x/y": 4}
    )
    expected = {"h/b.0": 1.0, "delta/b.0": 2.0, "dW/b.0": 0.5, "step/x/y": 4}
    assert list(row.items()) == list(expected.items())
    assert {type(value) for value in row.values()} == {float}
    assert log.steps == [3]
    assert log.lenses == ["h", "delta", "dW", "step"]
    assert log.names("step") == ["x/y"]
    assert [log.values(key) for key in row] == [[1.0], [2.0], [0.5], [4.0]]


def test_names_that_come_late_or_go() -> None:
    log = log_of({"b": 1.0, "a": 2.0}, {}, {"a": 3.0, "z": 4.0, "c": 5.0})
    assert log.steps == [0, 10, 20]
    assert log.names("dW") == ["b", "a", "z", "c"]
    assert log.values("dW/b") == [1.0, None, None]
    assert log.values("dW/a") == [2.0, None, 3.0]
    assert log.values("dW/c") == [None, None, 5.0]


def test_one_lens_that_begins_like_another() -> None:
    log = GradientLog()
    log.add(0, dW={"a": 1.0}, d={"b": 2.0})
    assert (log.names("d"), log.names("dW")) == (["b"], ["a"])


def test_what_is_handed_out_is_a_copy() -> None:
    log = curve(1.0)
    log.steps.append(7)
    log.values("dW/a").append(7.0)
    log.add(10, dW={"a": 2.0})["dW/a"] = 9.0
    assert held(log) == ([0, 10], [("dW/a", "[1.0, 2.0]")])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, 2.0),
        (torch.tensor(0.5), 0.5),
        (torch.tensor(3), 3.0),
        (torch.tensor(0.5, dtype=torch.bfloat16), 0.5),
        (torch.nn.Parameter(torch.tensor(-INF)), -INF),
        (np.float32(0.5), 0.5),
        (np.array(2), 2.0),
        (Fraction(1, 4), 0.25),
        (Decimal("0.1"), 0.1),
    ],
)
def test_numbers_of_all_kinds(value: Any, expected: float) -> None:
    row = GradientLog().add(0, dW={"a": value})
    assert row == {"dW/a": expected}
    assert type(row["dW/a"]) is float


@pytest.mark.parametrize(
    "value",
    [
        *("1", b"1", True, None, [1.0], 1j, 10**400, torch.ones(1)),
        *(torch.tensor(True), torch.tensor(1j), np.ones((1, 1)), np.True_),
        torch.ones((), device="meta"),
    ],
    ids=repr,
)
def test_what_is_no_number(value: Any) -> None:
    words = "^" + re.escape(
        f"expected 'dW/a' to be a real number, got {value!r}"
    )
    with pytest.raises(TypeError, match=f"{words}$"):
        GradientLog().add(0, dW={"a": value})


A: dict[str, Any] = {"dW/a": 1.0}


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda log: log.add(10), ValueError, "a step after 10, got 10"),
        (lambda log: log.add(9, A), ValueError, "a step after 10, got 9"),
        (
            lambda log: log.add(-1, A),
            ValueError,
            "step to be at least 0, got -1",
        ),
        (
            lambda log: log.add(11.0, A),
            TypeError,
            "step to be a whole number, got 11.0",
        ),
        (
            lambda log: log.add(11, A, dW={"b": 2.0, "a": 1.0}),
            ValueError,
            "each key once, got 'dW/a' twice",
        ),
        (
            lambda log: log.add(11, A, {"loss": 1.0}),
            ValueError,
            "a key that reads lens/name, such as 'dW/blocks.0', got 'loss'",
        ),
        (
            lambda log: log.add(11, A, loss=0.5),
            TypeError,
            "a mapping of names to numbers, got loss/float",
        ),
        (
            lambda log: log.add(11, A, h={3: 0.5}),
            TypeError,
            "names to be strings, got h/3",
        ),
        (
            lambda log: log.add(11, A, h={"a": 1.0, "b": "two"}),
            TypeError,
            "'h/b' to be a real number, got 'two'",
        ),
        (
            lambda log: log.values("dW/c"),
            ValueError,
            "a key of the lenses ['dW', 'h'], got 'dW/c'",
        ),
        (
            lambda log: log.names("d"),
            ValueError,
            "one of the lenses ['dW', 'h'], got 'd'",
        ),
        (
            lambda log: log.table(),
            ValueError,
            "one of the lenses ['dW', 'h'], got None",
        ),
        (
            lambda log: log.facts("x"),
            ValueError,
            "one of the lenses ['dW', 'h'], got 'x'",
        ),
        (
            lambda log: log.table("h", width=39),
            ValueError,
            "width to be at least 40, got 39",
        ),
        (
            lambda log: log.save("run.txt"),
            ValueError,
            "a name that ends in .csv or .json, got 'run.txt'",
        ),
        (
            lambda log: log.load("some/run"),
            ValueError,
            "a name that ends in .csv or .json, got 'run'",
        ),
    ],
)
def test_what_is_refused_leaves_nothing_behind(
    call: Callable[[GradientLog], object], error: type[Exception], said: str
) -> None:
    log = GradientLog()
    log.add(10, dW={"a": 1.0}, h={"a": 2.0})
    before = held(log)
    with pytest.raises(error) as caught:
        call(log)
    assert str(caught.value) == f"expected {said}"
    assert held(log) == before


def test_an_empty_log() -> None:
    log = GradientLog()
    assert (log.steps, log.lenses) == ([], [])
    for look in (log.table, log.facts, lambda: log.names("dW")):
        with pytest.raises(ValueError, match=r"one of the lenses \[\], got"):
            look()


# What is printed


def test_a_table_of_few_steps() -> None:
    log = log_of({"a": 1234.5, "b.weight": 0.0}, {"b.weight": -1.236e-5})
    log.add(1000, dW={"a": NAN, "b.weight": INF})
    assert log.table("dW").splitlines() == [
        "dW               0         10  1000",
        "a         1.23e+03          -   nan",
        "b.weight         0  -1.24e-05   inf",
    ]


@pytest.mark.parametrize(
    ("count", "steps"),
    [
        (1, [0]),
        (8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (9, [0, 1, 2, 3, 5, 6, 7, 8]),  # round(i * 8 / 7)
        (701, [0, 100, 200, 300, 400, 500, 600, 700]),
    ],
)
def test_a_table_shows_the_first_the_last_and_some_between(
    count: int, steps: list[int]
) -> None:
    log = log_of(*({"a": float(i)} for i in range(count)), every=1)
    head, row = log.table().splitlines()
    assert head.split() == ["dW", *map(str, steps)]
    assert row.split() == ["a", *map(str, steps)]


def test_a_table_of_long_names_fits_its_width() -> None:
    start = "model.transformer.layers"
    names = [f"{start}.{i}.attention.weight" for i in range(12)]
    names += [f"{start}.0.{'very_' * 9}long.weight"]
    log = log_of(*(dict.fromkeys(names, 1.234e-100) for _ in range(50)))
    for width, columns in ((80, 4), (40, 2), (120, 6)):
        lines = log.table(width=width).splitlines()
        assert {len(line) for line in lines} <= set(range(width + 1))
        assert len(lines[0].split()) == 1 + columns
        assert lines[0].split()[1 :: columns - 1] == ["0", "490"]
        assert lines[4].split()[:2] == ["3.attention", "1.23e-100"]
    assert lines[0].startswith(f"dW/{start}.*.weight ")
    own = f"0.{'very_' * 9}long"
    assert lines[-1].startswith(f"{own[:24]}…{own[-23:]} ")


def test_a_table_is_as_wide_as_it_may_be() -> None:
    log = log_of(*({"twelve chars": 1.01 + i / 100} for i in range(8)))
    for width in range(40, 64):  # a column takes 2 + 4
        (head, row) = log.table(width=width).splitlines()
        assert len(head) == len(row) == 12 + (width - 12) // 6 * 6


def test_one_lens_of_several() -> None:
    log = GradientLog()
    for step, factor in (0, 1.0), (10, 0.5):
        log.add(
            step,
            h={"first": 3.0, "last": 3.0, "more": 3.0},
            dW={"blocks.0": 2 * factor, "blocks.1": 2.0},
        )
    assert log.table("dW").splitlines() == [
        "dW        0  10",
        "blocks.0  2   1",
        "blocks.1  2   2",
    ]
    assert str(log.facts("dW")).splitlines() == [
        "dW: 2 names, 2 steps from 0 to 10",
        "first over last, at step 0, then at step 10:",
        "  blocks.*, 0 over 1: 1, then 0.5",
        "exactly 0: none",
        "nan or inf: none",
        "largest jump: 0.5 times its recent median, blocks.0 at step 10",
    ]


def test_a_table_is_eighty_wide_if_nothing_is_said() -> None:
    at_80, at_81 = [], []
    for length in range(1, 33):
        log, name = GradientLog(), "n" * length
        for step in range(8):
            log.add(1000 * step, dW={name: 1e-9 / 3})
        assert log.table() == log.table(width=80)
        assert name in log.table()  # whole, up to two fifths
        assert "*" not in log.table()
        at_80.append(log.table(width=80))
        at_81.append(log.table(width=81))
    assert at_80 != at_81


def test_what_names_have_in_common() -> None:
    # Of the shorter name something is left, though it ends as the longer does.
    found = shortened(["a.x.c", "a.y.x.c"], 8)
    assert found == ("a.*.c", ["x", "y.x"])
    assert shortened(["a.0.w", "a.1.w"], 9) == ("a.*.w", ["0", "1"])
    assert shortened(["a.b", "a"], 9) == ("*", ["a.b", "a"])
    assert shortened(["w.w", "w.w.w"], 9) == ("w.*", ["w", "w.w"])
    assert shortened(["a.x.w", "a.y.z.w"], 9) == ("a.*.w", ["x", "y.z"])
    assert shortened(["a.0.w"], 9) == ("*", ["a.0.w"])
    assert shortened(["0123456789", "0"], 5) == ("*", ["01…89", "0"])
    assert shortened(["0123456789", "0"], 2) == ("*", ["0…", "0"])


# What stands out


def test_the_first_over_the_last_of_names_alike() -> None:
    log = log_of(
        {"b.0.w": 1.0, "b.9.w": 4.0, "b.10.w": 2.0, "head.w": 5.0},
        {"b.0.w": 0.0, "b.10.w": 2.0},
        {"b.0.w": 1.0, "b.10.w": 0.0},
        {"b.0.w": 0.0, "b.10.w": 0.0},
        {"b.0.w": NAN, "b.10.w": 1.0},
        {"b.0.w": 1.0, "b.10.w": INF},
        {"b.10.w": 3.0},
        {"b.0.w": 1.0, "b.10.w": 8.0},
    )
    (alike,) = log.facts().alike
    assert alike[:3] == ("b.*.w", 0, 10)
    ratios = [0.5, 0.0, None, None, None, None, None, 0.125]
    assert alike.ratios == ratios
    assert str(alike) == "b.*.w, 0 over 10: 0.5, then 0.125"


def test_a_name_is_alike_with_the_most_others() -> None:
    names = ["b.0.fc.0", "b.0.fc.1", "b.1.fc.0", "b.1.fc.1", "b.2.fc.0"]
    names += ["c.0.c.0", "c.0.c.1", "c.1.c.0", "c.1.c.1", "one.5"]
    names += ["d.0.x.0", "d.1.x.0", "d.0.x.1", "d.0.x.2"]
    values = {name: float(i + 1) for i, name in enumerate(names)}
    found = {
        group.pattern: (group.first, group.last, *group.ratios)
        for group in log_of(values).facts().alike
    }
    assert found == {
        "b.*.fc.0": (0, 2, 1 / 5),  # three, not the two of b.0.fc.*
        "b.*.fc.1": (0, 1, 2 / 4),  # two either way: the leftmost number
        "c.*.c.0": (0, 1, 6 / 8),
        "c.*.c.1": (0, 1, 7 / 9),
        "d.0.x.*": (0, 2, 11 / 14),  # three, so d.1.x.0 is like no other
    }


def test_what_is_exactly_zero_and_since_when() -> None:
    log = log_of(
        {"always": 0.0, "late": 1.0, "back": 0.0, "gone": 2.0, "minus": NAN},
        {"always": 0.0, "late": 0.0, "back": 0.0, "gone": 0.0, "minus": -0.0},
        {"always": 0.0, "late": 1.0, "back": 1e-300},
        {"always": 0.0, "late": 0.0, "back": 2.0},
        {"always": 0.0, "late": 0.0, "back": 2.0, "new": 0.0},
    )
    zeros = {"always": 0, "late": 30, "gone": 10, "minus": 10, "new": 40}
    assert log.facts().zeros == zeros


def test_the_first_that_is_not_finite_and_how_far_it_reaches() -> None:
    log = log_of(
        dict.fromkeys("abcd", 1.0),
        {"a": 1.0, "b": -INF, "c": NAN, "d": 1.0},
        {"a": NAN, "b": 1.0, "c": 1.0, "d": 1.0},
        {"a": NAN, "b": INF, "d": NAN},
    )
    found = log.facts().not_finite
    assert found == (10, ["b", "c"], -INF, 3)
    assert (
        str(found) == "-inf at step 10 in b (2 names then, 3 at the last step)"
    )
    assert curve(1.0, 2.0).facts().not_finite is None
    facts = curve(NAN, NAN).facts()
    assert str(facts.not_finite) == (
        "nan at step 0 in a (1 name then, 1 at the last step)"
    )
    assert (facts.zeros, facts.alike, facts.jump) == ({}, [], None)


@pytest.mark.parametrize(
    ("values", "jump"),
    [
        ([2.0, 6.0, 4.0], (10, 3.0)),
        ([2.0, 6.0, 0.5], (20, 0.125)),  # an eighth of 4 is more than 3 times
        ([1.0, 100.0, 1.0, 1.0, 8.0], (10, 100.0)),
        ([100.0] * 3 + [1.0] * 10 + [8.0], (30, 0.01)),
        ([8.0] + [1.0, 9.0] * 5 + [30.0], (10, 0.125)),  # the 30 are 6 of 5
        ([9.0] * 6 + [3.0] * 10 + [0.5], (160, 1 / 6)),  # ten 3, no 9 before
        ([1.0, NAN, INF, 5.0], (30, 5.0)),
        ([0.0, 5.0, 10.0], (20, 4.0)),  # over 2.5; 5 over 0 is nothing
        ([1.0, 0.0, 1.0], (20, 2.0)),  # over 0.5; 0 over 1 is no factor
        ([-1.0, 2.0, -8.0], None),  # -8 over 0.5
        ([-1.0, -3.0], (10, 3.0)),
        ([3.0, 3.0], (10, 1.0)),
        ([3.0], None),
        ([0.0, 0.0, 1.0], None),
        ([1e308, 1e308, 1e308], (10, 1.0)),  # whose sum overflows
    ],
)
def test_the_largest_jump(
    values: list[float], jump: tuple[int, float] | None
) -> None:
    found = curve(*values).facts().jump
    if jump is None:
        assert found is None
    else:
        assert found is not None
        assert found[:2] == ("a", jump[0])
        assert found.factor == pytest.approx(jump[1])


def test_a_jump_is_from_the_median_of_ten() -> None:
    log = GradientLog()
    for step in range(30):
        log.add(step, dW={"a": 1.1**step})
    jump = log.facts().jump
    assert jump is not None
    assert jump.factor == pytest.approx(2 / (1.1**-5 + 1.1**-6))


def test_a_jump_that_no_float_holds() -> None:
    log = GradientLog()
    for step, value in enumerate([1e-300, 1e300]):
        log.add(step, dW={"a": value})
    assert log.facts().jump is None


def test_the_largest_jump_of_all_names() -> None:
    log = log_of({"a": 1.0, "b": 1.0}, {"b": 0.1}, {"a": 9.0, "b": 1.0})
    assert log.facts().jump == Jump("b", 10, 0.1)


def test_facts_in_words() -> None:
    names = [f"blocks.{i}.weight" for i in range(6)]
    log = log_of(dict.fromkeys(names, 2.0), dict.fromkeys(names, 1.0))
    log.add(20, dW=dict.fromkeys(names[:5], 0.0) | {names[5]: NAN})
    assert str(log.facts()).splitlines() == [
        "dW: 6 names, 3 steps from 0 to 20",
        "first over last, at step 0, then at step 20:",
        "  blocks.*.weight, 0 over 5: 1, then -",
        "exactly 0: 5 names (blocks.0.weight since step 20, blocks.1.weight "
        "since step 20, blocks.2.weight since step 20, 2 more)",
        "nan or inf: nan at step 20 in blocks.5.weight (1 name then, 1 at the "
        "last step)",
        "largest jump: 0.5 times its recent median, blocks.0.weight at step "
        "10",
    ]
    assert str(curve(0.0).facts()).splitlines() == [
        "dW: 1 name, 1 step from 0 to 0",
        "first over last: no names alike",
        "exactly 0: 1 name (a since step 0)",
        "nan or inf: none",
        "largest jump: none",
    ]
    four = log_of(dict.fromkeys("abcd", 0.0)).facts()
    since = "a since step 0, b since step 0, c since step 0, d since step 0"
    assert f"exactly 0: 4 names ({since})" in str(four).splitlines()


# What is kept


def test_the_files(tmp_path: Path) -> None:
    log = log_of({"a": 0.1, "b,c": NAN}, {"a": 1e-300})
    log.add(10**20, dW={"b,c": -INF}, h={"a": INF})
    log.save(tmp_path / "run.csv")
    assert (tmp_path / "run.csv").read_bytes() == (
        b'step,dW/a,"dW/b,c",h/a\n0,0.1,nan,\n10,1e-300,,\n'
        b"100000000000000000000,,-inf,inf\n"
    )
    log.save(str(tmp_path / "run.json"))
    text = (tmp_path / "run.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail) == {
        "steps": [0, 10, 10**20],
        "values": {
            "dW/a": [0.1, 1e-300, None],
            "dW/b,c": [None, None, None],
            "h/a": [None, None, None],
        },
        "not_finite": {
            "dW/b,c": {"0": "nan", "100000000000000000000": "-inf"},
            "h/a": {"100000000000000000000": "inf"},
        },
    }
    assert len(list(tmp_path.iterdir())) == 2


@given(
    rows=st.lists(
        st.dictionaries(
            st.sampled_from(["a", 'b,"c"', "d\r\n"]) | st.text(max_size=5),
            st.floats(),
            max_size=5,
        ),
        max_size=5,
    ),
    gaps=st.lists(st.integers(1, 10**20), min_size=5, max_size=5),
    lenses=st.lists(st.text(max_size=3), min_size=1, max_size=2, unique=True),
    kind=st.sampled_from(["csv", "json"]),
)
def test_there_and_back(
    rows: list[dict[str, float]], gaps: list[int], lenses: list[str], kind: str
) -> None:
    log, step = GradientLog(), 0
    for row, gap in zip(rows, gaps, strict=False):
        keyed = {f"{lens}/{n}": v for lens in lenses for n, v in row.items()}
        log.add(step, keyed)
        step += gap
    with TemporaryDirectory() as folder:
        path = Path(folder, f"run.{kind}")
        log.save(path)
        assert held(GradientLog.load(path)) == held(log)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_saving_leaves_the_old_file_or_the_new_one(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"run.{kind}"
    curve(1.0).save(path)
    curve(1.0, 2.0).save(path)
    kept = path.read_bytes()
    assert GradientLog.load(path).steps == [0, 10]
    with pytest.raises(UnicodeEncodeError):
        log_of({"\ud800": 1.0}).save(tmp_path / "run.csv")

    def half(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="no space left"):
        curve(3.0).save(path)
    assert path.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "not enough values"),
        ("a.csv", b"\n", "IndexError"),
        ("a.csv", b"time,dW/a\n0,1\n", "a first column 'time', not 'step'"),
        ("a.csv", b"step,dW/a\n0,one\n", "float: 'one'"),
        ("a.csv", b"step,dW/a\n0.5,1\n", "'0.5'"),
        ("a.csv", b"step,dW/a\n0,1,2\n", "longer"),
        ("a.csv", b"step,a\n0,1\n", "reads lens/name"),
        ("a.csv", b"step,dW/a\n1,1\n1,2\n", "after 1, got 1"),
        ("a.csv", b"step,dW/\xff\n", "UnicodeDecodeError"),
        ("a.csv", b"step," + b"x" * 200_000, "field larger than"),
        ("a.json", b"{", "JSONDecodeError"),
        ("a.json", b"[]", "TypeError"),
        ("a.json", b'{"steps": []}', "KeyError"),
        (
            "a.json",
            b'{"steps": [0], "values": {"dW/a": []}, "not_finite": {}}',
            "IndexError",
        ),
        (
            "a.json",
            b'{"steps": [0], "values": [1], "not_finite": {}}',
            "AttributeError",
        ),
    ],
)
def test_files_that_hold_no_log(
    name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    start = f"^expected a log in {re.escape(name)}, got "
    with pytest.raises(ValueError, match=start + f".*{re.escape(words)}"):
        GradientLog.load(tmp_path / name)
