"""Kernels are asked for twice at most, and know nothing of each other."""

import atexit
import json
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.asynchronous.client import AsyncKernelClient

from helpers import RunCell


@pytest.mark.parametrize(
    ("message", "silent", "asked", "said"),
    [
        ("Kernel didn't respond in 60 seconds", 1, 2, "it ran\n"),
        ("Kernel died before replying to kernel_info", 1, 2, "it ran\n"),
        ("Kernel didn't respond in 60 seconds", 2, 2, None),
        ("no such kernel", 1, 1, None),
    ],
)
def test_a_kernel_that_does_not_come_up_is_replaced_once(
    run_cell: RunCell,
    monkeypatch: pytest.MonkeyPatch,
    message: str,
    silent: int,
    asked: int,
    said: str | None,
) -> None:
    wait, waits = AsyncKernelClient.wait_for_ready, []

    async def wait_for_ready(self: Any, timeout: Any = None) -> None:
        waits.append(self)
        await wait(self, timeout)
        if len(waits) <= silent:
            raise RuntimeError(message)

    monkeypatch.setattr(AsyncKernelClient, "wait_for_ready", wait_for_ready)
    monkeypatch.setattr(atexit, "register", lambda *_: None)  # for the silent
    if said:
        assert run_cell("print('it ' + 'ran')") == said
    else:
        with pytest.raises(RuntimeError, match=message):
            run_cell("print('it ' + 'ran')")
    assert len(waits) == asked


def test_a_kernel_knows_nothing_of_the_one_before(run_cell: RunCell) -> None:
    code = "import os, torch; print(os.getppid(), hasattr(torch, 'x'))"
    said = run_cell(f"{code}; torch.x = 1")
    assert said.endswith("False\n")
    assert run_cell(code) == said


def test_what_the_user_calls_python_is_not_taken(
    run_cell: RunCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    of_jupyter = {"provisioner_name": "local-provisioner"}
    words = {
        "argv": ["false"],
        "display_name": "Python 3",
        "language": "python",
        "metadata": {"kernel_provisioner": of_jupyter},
    }
    spec.write_text(json.dumps(words), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert run_cell("print('it ' + 'ran')") == "it ran\n"
