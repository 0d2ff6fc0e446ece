"""Keep the numbers of every training step, by name: layers over time.

A number has a key that reads ``lens/name``: the lens says what is measured,
such as ``dW`` for the mean gradient of a weight, and the name says where, such
as ``blocks.0.weight``. A lens has one unit; keys without a slash are refused,
so that every number has a lens.

Only the standard library is needed: the numbers may come from anywhere.
"""

import csv
import io
import json
import math
import os
import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeGuard

from shortcuts._checks import checked_whole

Series = Sequence[float | None]  # a number for each step, None where absent


# What reading raises of a file that holds no log
_STRANGE = AttributeError, LookupError, TypeError, ValueError, csv.Error


class Alike(NamedTuple):
    """The first over the last of names that differ in one number alone.

    ``pattern`` has a star for that number, ``first`` and ``last`` are its
    smallest and its largest value. ``ratios`` has one for each step of the
    log: None where one of both is absent or not finite, or the last is zero.

    Example:
        >>> from shortcuts.logs import Alike
        >>> print(Alike("blocks.*.weight", 0, 11, [0.9, None, 0.00123]))
        blocks.*.weight, 0 over 11: 0.9, then 0.00123
    """

    pattern: str
    first: int
    last: int
    ratios: list[float | None]

    def __str__(self) -> str:
        """Say the ratio at the first step and at the last."""
        names = f"{self.pattern}, {self.first} over {self.last}"
        then = f"{_written(self.ratios[0])}, then {_written(self.ratios[-1])}"
        return f"{names}: {then}"


class NotFinite(NamedTuple):
    """The first step at which a value is nan or infinite.

    ``names`` are all that are so at this step, and ``value`` is that of the
    first of them; ``at_last`` counts those that are so at the last step.

    Example:
        >>> from shortcuts.logs import NotFinite
        >>> print(NotFinite(30, ["blocks.1"], float("nan"), at_last=12))
        nan at step 30 in blocks.1 (1 name then, 12 at the last step)
    """

    step: int
    names: list[str]
    value: float
    at_last: int

    def __str__(self) -> str:
        """Say where it begins, and how far it reaches."""
        where = f"{self.value} at step {self.step} in {self.names[0]}"
        then = f"{_counted(len(self.names), 'name')} then"
        return f"{where} ({then}, {self.at_last} at the last step)"


class Jump(NamedTuple):
    """A value as a multiple of what the same name had just before.

    ``factor`` is the value over the median of its up to ten finite values
    before, so it is below 1 where the value falls.

    Example:
        >>> from shortcuts.logs import Jump
        >>> print(Jump("blocks.1", 30, 12.5))
        12.5 times its recent median, blocks.1 at step 30
    """

    name: str
    step: int
    factor: float

    def __str__(self) -> str:
        """Say how large it is, then where."""
        times = f"{_written(self.factor)} times its recent median"
        return f"{times}, {self.name} at step {self.step}"


class Facts(NamedTuple):
    """Facts about one lens of a log; see :meth:`GradientLog.facts`.

    Example:
        >>> from shortcuts.logs import Facts
        >>> print(Facts("dW", [0, 10], 12, [], {"a": 0, "b": 10}, None, None))
        dW: 12 names, 2 steps from 0 to 10
        first over last: no names alike
        exactly 0: 2 names (a since step 0, b since step 10)
        nan or inf: none
        largest jump: none
    """

    lens: str
    steps: list[int]
    names: int
    alike: list[Alike]
    zeros: dict[str, int]
    not_finite: NotFinite | None
    jump: Jump | None

    def __str__(self) -> str:
        """Write a line or more for each fact."""
        names, steps = _counted(self.names, "name"), len(self.steps)
        first, last = self.steps[0], self.steps[-1]
        alike = [f"first over last, at step {first}, then at step {last}:"]
        alike += [f"  {group}" for group in self.alike]
        if not self.alike:
            alike = ["first over last: no names alike"]
        since = [f"{name} since step {s}" for name, s in self.zeros.items()]
        if len(since) > 4:
            since[3:] = [f"{len(since) - 3} more"]
        zeros = f"{_counted(len(self.zeros), 'name')} ({', '.join(since)})"
        span = f"{_counted(steps, 'step')} from {first} to {last}"
        return "\n".join(
            [
                f"{self.lens}: {names}, {span}",
                *alike,
                f"exactly 0: {zeros if since else 'none'}",
                f"nan or inf: {self.not_finite or 'none'}",
                f"largest jump: {self.jump or 'none'}",
            ]
        )


class GradientLog:
    """The numbers of each training step, to print, keep, and draw.

    Example:
        >>> from shortcuts.logs import GradientLog
        >>> log = GradientLog()
        >>> log.add(0, dW={"blocks.0": 0.5, "blocks.1": 2.0})
        {'dW/blocks.0': 0.5, 'dW/blocks.1': 2.0}
        >>> _ = log.add(10, dW={"blocks.0": 0.001, "blocks.1": 1.0})
        >>> print(log.table())
        dW          0     10
        blocks.0  0.5  0.001
        blocks.1    2      1
        >>> print(log.facts())
        dW: 2 names, 2 steps from 0 to 10
        first over last, at step 0, then at step 10:
          blocks.*, 0 over 1: 0.25, then 0.001
        exactly 0: none
        nan or inf: none
        largest jump: 0.002 times its recent median, blocks.0 at step 10
    """

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._columns: dict[str, list[float | None]] = {}

    def add(
        self,
        step: int,
        /,
        *readings: Mapping[str, Any],
        **lenses: Mapping[str, Any],
    ) -> dict[str, float]:
        """Store the numbers of one step, all of them or none.

        Args:
            step: a whole number above all steps before.
            readings: key to number, with keys that read ``lens/name``.
            lenses: name to number, by the lens.

        Returns:
            Key to number, which is what ``wandb.log`` takes, and, one by one,
            ``SummaryWriter.add_scalar`` of TensorBoard.

        Raises:
            TypeError: if the step is no whole number, a reading is no mapping,
                a key is no string, or a value is no real number; an array or
                tensor without dimensions is one.
            ValueError: if the step is negative or not above the last one, or a
                key has no slash or comes twice.

        Example:
            >>> from shortcuts.logs import GradientLog
            >>> log = GradientLog()
            >>> log.add(0, {"h/blocks.0": 2.0}, dW={"blocks.0": 0.25})
            {'h/blocks.0': 2.0, 'dW/blocks.0': 0.25}
        """
        step = checked_whole("step", step, low=0)
        if self._steps and step <= self._steps[-1]:
            raise ValueError(
                f"expected a step after {self._steps[-1]}, got {step}"
            )
        row: dict[str, float] = {}
        for key, value in _entries(readings, lenses):
            if key in row:
                raise ValueError(f"expected each key once, got {key!r} twice")
            row[key] = _number(key, value)
        for key in row:
            if key not in self._columns:
                self._columns[key] = [None] * len(self._steps)
        self._steps.append(step)
        for key, column in self._columns.items():
            column.append(row.get(key))
        return row

    @property
    def steps(self) -> list[int]:
        """The steps, in their order."""
        return list(self._steps)

    @property
    def lenses(self) -> list[str]:
        """The lenses, in the order in which they came."""
        return list(dict.fromkeys(key.split("/")[0] for key in self._columns))

    def names(self, lens: str) -> list[str]:
        """Return the names of a lens, in the order in which they came.

        Raises:
            ValueError: if the log does not have this lens.

        Example:
            >>> from shortcuts.logs import GradientLog
            >>> log = GradientLog()
            >>> _ = log.add(0, dW={"blocks.0": 0.5, "blocks.1": 2.0})
            >>> log.lenses, log.names("dW")
            (['dW'], ['blocks.0', 'blocks.1'])
        """
        start = f"{self._chosen(lens)}/"
        keys = [key for key in self._columns if key.startswith(start)]
        return [key.removeprefix(start) for key in keys]

    def values(self, key: str) -> list[float | None]:
        """Return a number for each step, None where it is absent.

        Raises:
            ValueError: if the log does not have this key.

        Example:
            >>> from shortcuts.logs import GradientLog
            >>> log = GradientLog()
            >>> _ = log.add(0, dW={"blocks.0": 0.5})
            >>> _ = log.add(1, dW={"blocks.0": 0.25, "blocks.1": 2.0})
            >>> log.values("dW/blocks.1")
            [None, 2.0]
        """
        if key not in self._columns:
            raise ValueError(
                f"expected a key of the lenses {self.lenses}, got {key!r}"
            )
        return list(self._columns[key])

    def table(self, lens: str | None = None, *, width: int = 80) -> str:
        """Return the numbers of a lens as text, names against steps.

        Numbers have three significant digits; a dash is no number. Up to eight
        steps are shown, the first and the last among them. Where names are
        long, what all have in common stands once, in the corner.

        Args:
            lens: which to show; it may be left out if there is only one.
            width: characters of a line, at least 40.

        Raises:
            ValueError: if the log does not have this lens, or has several and
                none is given, or the width is below 40.

        Example:
            >>> from shortcuts.logs import GradientLog
            >>> log = GradientLog()
            >>> _ = log.add(0, h={"blocks.0": 1.0})
            >>> _ = log.add(1, h={"blocks.0": 2 / 3, "blocks.1": 4e-9})
            >>> print(log.table())
            h         0      1
            blocks.0  1  0.667
            blocks.1  -  4e-09
        """
        width = checked_whole("width", width, low=40)
        columns = self._lens_columns(lens)
        corner, room = self._chosen(lens), 2 * width // 5
        names = list(columns)
        if max(map(len, names)) > room:
            common, names = shortened(names, room)
            corner = shortened([f"{corner}/{common}"], room)[1][0]
        for most in range(8, 1, -1):
            places = _evenly(len(self._steps), most)
            lines = [[corner, *(str(self._steps[i]) for i in places)]]
            for name, column in zip(names, columns.values(), strict=True):
                lines.append([name, *(_written(column[i]) for i in places)])
            sizes = [
                max(map(len, cells)) for cells in zip(*lines, strict=True)
            ]
            if sum(sizes) + 2 * len(places) <= width:
                break
        return "\n".join(
            "  ".join(
                [
                    line[0].ljust(sizes[0]),
                    *map(str.rjust, line[1:], sizes[1:]),
                ]
            )
            for line in lines
        )

    def facts(self, lens: str | None = None) -> Facts:
        """Return facts about a lens, by no limit but the numbers' own.

        - ``alike``: the first over the last of names that differ in one number
          alone. A name counts with the most that are like it, among equals by
          its leftmost number.
        - ``zeros``: the names whose latest value is exactly zero, and the
          step since which it has been.
        - ``not_finite``: where the first nan or infinite value is, if any.
        - ``jump``: the value that is the largest multiple or the smallest part
          of the median of its name's up to ten finite values before, if any.
          What is zero, or has a median of zero, is no multiple of anything.

        Args:
            lens: which to look at; it may be left out if there is only one.

        Raises:
            ValueError: if the log does not have this lens, or has several and
                none is given.

        Example:
            >>> from shortcuts.logs import GradientLog
            >>> log = GradientLog()
            >>> _ = log.add(0, dW={"blocks.0": 0.0, "blocks.1": 2.0})
            >>> _ = log.add(5, dW={"blocks.0": 0.0, "blocks.1": float("nan")})
            >>> facts = log.facts("dW")
            >>> facts.zeros, facts.not_finite.step
            ({'blocks.0': 0}, 5)
        """
        columns = self._lens_columns(lens)
        return Facts(
            self._chosen(lens),
            self.steps,
            len(columns),
            list(_alike(columns)),
            dict(_zeros(self._steps, columns)),
            _not_finite(self._steps, columns),
            _largest_jump(self._steps, columns),
        )

    def save(self, path: str | Path) -> None:
        r"""Write all numbers to a file, as its name ends: .csv or .json.

        CSV has a column for the step and one for each key, which is empty
        where a number is absent. JSON has ``steps`` and, by key, ``values``;
        it knows no nan, so null stands both for them and for what is absent,
        and ``not_finite`` tells, by key and step, "nan", "inf" or "-inf". The
        file is written under another name first, so that none is ever half
        written.

        Raises:
            ValueError: if the name has another ending.
            OSError: if it cannot be written.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> from shortcuts.logs import GradientLog
            >>> log = GradientLog()
            >>> _ = log.add(0, dW={"blocks.0": 0.5})
            >>> with TemporaryDirectory() as folder:
            ...     file = Path(folder, "run.csv")
            ...     log.save(file)
            ...     file.read_text()
            'step,dW/blocks.0\n0,0.5\n'
        """
        path = _checked_path(path)
        write = self._as_csv if path.suffix == ".csv" else self._as_json
        written = write().encode()
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            part.write_bytes(written)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | Path) -> "GradientLog":
        """Read a file of :meth:`save`.

        Raises:
            ValueError: if the name ends in neither .csv nor .json, or the file
                does not hold a log.
            OSError: if it cannot be read.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> from shortcuts.logs import GradientLog
            >>> log = GradientLog()
            >>> _ = log.add(0, dW={"blocks.0": 0.5, "blocks.1": float("inf")})
            >>> with TemporaryDirectory() as folder:
            ...     log.save(Path(folder, "run.json"))
            ...     again = GradientLog.load(Path(folder, "run.json"))
            >>> again.values("dW/blocks.1")
            [inf]
        """
        path = _checked_path(path)
        read = _rows_of_csv if path.suffix == ".csv" else _rows_of_json
        content, log = path.read_bytes(), cls()
        try:
            for step, row in read(content.decode()):
                log.add(step, row)
        except _STRANGE as error:
            raise ValueError(
                f"expected a log in {path.name}, got {error!r}"
            ) from error
        return log

    def _chosen(self, lens: str | None) -> str:
        lenses = self.lenses
        if lens is None and len(lenses) == 1:
            return lenses[0]
        if lens is None or lens not in lenses:
            raise ValueError(
                f"expected one of the lenses {lenses}, got {lens!r}"
            )
        return lens

    def _lens_columns(self, lens: str | None) -> dict[str, Series]:
        lens = self._chosen(lens)
        return {
            name: self._columns[f"{lens}/{name}"] for name in self.names(lens)
        }

    def _as_csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["step", *self._columns])
        columns = self._steps, *self._columns.values()
        writer.writerows(zip(*columns, strict=True))
        return text.getvalue()

    def _as_json(self) -> str:
        values = {
            key: [v if _is_finite(v) else None for v in column]
            for key, column in self._columns.items()
        }
        strange: defaultdict[str, dict[int, str]] = defaultdict(dict)
        for key, column in self._columns.items():
            for step, value in zip(self._steps, column, strict=True):
                if _is_strange(value):
                    strange[key][step] = str(value)
        kept = {"steps": self._steps, "values": values, "not_finite": strange}
        return json.dumps(kept, allow_nan=False) + "\n"


def shortened(names: Sequence[str], longest: int) -> tuple[str, list[str]]:
    """Return the parts that dotted names share, and the rest of each.

    What is left is cut in its middle where it is longer than ``longest``.

    Example:
        >>> from shortcuts.logs import shortened
        >>> shortened(["net.blocks.0.weight", "net.blocks.1.weight"], 8)
        ('net.blocks.*.weight', ['0', '1'])
        >>> shortened(["blocks.0.attention.query.weight"], 20)
        ('*', ['blocks.0.a…ry.weight'])
    """
    parts = [name.split(".") for name in names]
    least = min(map(len, parts)) - 1 if len(names) > 1 else 0
    head = tail = 0
    while head < least and len({own[head] for own in parts}) == 1:
        head += 1
    while head + tail < least and len({own[-1 - tail] for own in parts}) == 1:
        tail += 1
    ends = [len(own) - tail for own in parts]
    common = [*parts[0][:head], "*", *parts[0][ends[0] :]]
    own = [".".join(p[head:e]) for p, e in zip(parts, ends, strict=True)]
    front, back = longest - 1 - (longest - 1) // 2, (longest - 1) // 2
    return ".".join(common), [
        f"{text[:front]}…{text[len(text) - back :]}"
        if len(text) > longest
        else text
        for text in own
    ]


def _entries(
    readings: Sequence[Mapping[str, Any]], lenses: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a file, and raise where a name cannot be one."""
    for start, reading in [
        *(("", reading) for reading in readings),
        *((f"{lens}/", reading) for lens, reading in lenses.items()),
    ]:
        if not isinstance(reading, Mapping):
            raise TypeError(
                "expected a mapping of names to numbers, "
                f"got {start}{type(reading).__name__}"
            )
        for name, value in reading.items():
            if not isinstance(name, str):
                raise TypeError(
                    f"expected names to be strings, got {start}{name!r}"
                )
            if "/" not in start + name:
                raise ValueError(
                    "expected a key that reads lens/name, such as "
                    f"'dW/blocks.0', got {name!r}"
                )
            yield start + name, value


def _number(key: str, value: Any) -> float:
    """Return a number of whatever kind as a float."""
    try:
        # float() would take text, truth values and arrays of one number, too.
        plain = value.item() if hasattr(value, "item") else value
        if getattr(value, "shape", ()) == () and not isinstance(
            plain, bool | str | bytes | bytearray
        ):
            return float(plain)
    except (OverflowError, RuntimeError, TypeError, ValueError):
        pass
    raise TypeError(f"expected {key!r} to be a real number, got {value!r}")


def _is_finite(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _is_strange(value: float | None) -> TypeGuard[float]:
    return value is not None and not math.isfinite(value)


def _evenly(count: int, most: int) -> list[int]:
    """Return places from the first of ``count`` to the last."""
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def _written(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"


def _alike(columns: Mapping[str, Series]) -> Iterator[Alike]:
    patterns = {
        name: {
            f"{name[: number.start()]}*{name[number.end() :]}": int(number[0])
            for number in re.finditer(r"\d+", name)
        }
        for name in columns
    }
    sizes = Counter(pattern for own in patterns.values() for pattern in own)
    groups: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for name, own in patterns.items():
        if own:
            largest = max(own, key=lambda pattern: sizes[pattern])
            groups[largest][own[largest]] = name
    for pattern, group in groups.items():
        if len(group) > 1:
            first, last = min(group), max(group)
            pair = columns[group[first]], columns[group[last]]
            ratios = [_ratio(*values) for values in zip(*pair, strict=True)]
            yield Alike(pattern, first, last, ratios)


def _ratio(value: float | None, other: float | None) -> float | None:
    if not (_is_finite(value) and _is_finite(other)) or other == 0:
        return None
    return value / other


def _zeros(
    steps: Sequence[int], columns: Mapping[str, Series]
) -> Iterator[tuple[str, int]]:
    for name, column in columns.items():
        since: int | None = None
        for step, value in zip(steps, column, strict=True):
            if value == 0 and since is None:
                since = step
            elif value != 0 and value is not None:
                since = None
        if since is not None:
            yield name, since


def _not_finite(
    steps: Sequence[int], columns: Mapping[str, Series]
) -> NotFinite | None:
    found = [
        [name for name, column in columns.items() if _is_strange(column[i])]
        for i in range(len(steps))
    ]
    for i, names in enumerate(found):
        if names:
            value = columns[names[0]][i] or 0.0
            return NotFinite(steps[i], names, value, len(found[-1]))
    return None


def _largest_jump(
    steps: Sequence[int], columns: Mapping[str, Series]
) -> Jump | None:
    jumps = []
    for name, column in columns.items():
        before: deque[float] = deque(maxlen=10)
        for step, value in zip(steps, column, strict=True):
            if _is_finite(value):
                factor = _ratio(value, median(before) if before else None)
                if factor is not None and 0 < factor < math.inf:
                    jumps.append(Jump(name, step, factor))
                before.append(value)
    return max(jumps, key=lambda j: abs(math.log(j.factor)), default=None)


def _checked_path(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix not in (".csv", ".json"):
        raise ValueError(
            f"expected a name that ends in .csv or .json, got {path.name!r}"
        )
    return path


Rows = Iterator[tuple[int, dict[str, float]]]


def _rows_of_csv(text: str) -> Rows:
    head, *rows = csv.reader(io.StringIO(text))
    if head[0] != "step":
        raise ValueError(f"a first column {head[0]!r}, not 'step'")
    for step, *cells in rows:
        pairs = zip(head[1:], cells, strict=True)
        yield int(step), {key: float(cell) for key, cell in pairs if cell}


def _rows_of_json(text: str) -> Rows:
    kept = json.loads(text)
    values, strange = kept["values"], kept["not_finite"]
    for i, step in enumerate(kept["steps"]):
        row = {}
        for key, column in values.items():
            value = strange.get(key, {}).get(str(step), column[i])
            if value is not None:
                row[key] = float(value)
        yield step, row
