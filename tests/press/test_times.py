"""Pages are ordered so that all readers of pages work about as long."""

from types import SimpleNamespace
from typing import Any

import pytest
from sphinx.util.parallel import make_chunks

from press import times

WEIGHTS = {"a": 5, "b": 40, "c": 5, "d": 30, "e": 20}


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_runs_are_balanced(monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    monkeypatch.setattr(times, "shares", lambda: WEIGHTS)
    pages = [*"abcdefghi"]
    app: Any = SimpleNamespace(parallel=jobs)
    times.balance(app, app, pages)
    assert sorted(pages) == [*"abcdefghi"]
    runs = make_chunks(pages, jobs)
    loads = [sum(WEIGHTS.get(page, 1) for page in run) for run in runs]
    # None but the first run of each job holds a page of weight.
    assert max(loads[:jobs]) - min(loads[:jobs]) <= {1: 0, 2: 4, 3: 12}[jobs]
    assert loads[jobs:] == [len(run) for run in runs[jobs:]]


def test_the_shares_are_those_of_the_file() -> None:
    assert sum(times.shares().values()) == pytest.approx(1000, abs=8)
