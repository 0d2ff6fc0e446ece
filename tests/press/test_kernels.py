"""Kernels are asked for twice at most, and know nothing of each other."""

import atexit
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jupyter_cache.executors.utils as executors
import nbformat
import pytest
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory

from press import kernels

Run = Callable[[str], str]
PYTHON = {"name": "python3", "display_name": "Python 3"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a cell as one of the book, and returns its output."""
    factory = KernelProvisionerFactory.instance()
    for owner, name in (
        (executors, "executenb"),
        (KernelManager.transport_encryption, "default_value"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(factory, "provisioners", {**factory.provisioners})
    app: Any = SimpleNamespace(doctreedir=str(tmp_path))
    kernels.prepare(app)
    kernels.name_claims(app, "page", [])

    def run(code: str) -> str:
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(code)],
            metadata={"kernelspec": PYTHON},
        )
        executors.executenb(notebook, cwd=str(tmp_path))
        return "".join(o.get("text", "") for o in notebook.cells[0].outputs)

    return run


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
    run: Run,
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
        assert run("print('it ' + 'ran')") == said
    else:
        with pytest.raises(RuntimeError, match=message):
            run("print('it ' + 'ran')")
    assert len(waits) == asked


def test_a_kernel_knows_nothing_of_the_one_before(run: Run) -> None:
    code = "import os, torch; print(os.getppid(), hasattr(torch, 'x'))"
    said = run(f"{code}; torch.x = 1")
    assert said.endswith("False\n")
    assert run(code) == said


def test_what_the_user_calls_python_is_not_taken(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    assert run("print('it ' + 'ran')") == "it ran\n"
