"""A cell that runs as those of the book do, without Sphinx."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jupyter_cache.executors.utils as executors
import nbformat
from jupyter_client.provisioning.factory import KernelProvisionerFactory

from helpers import RunCell
from press import kernels


@contextmanager
def cell_runner(folder: Path) -> Iterator[RunCell]:
    """Give a function that runs a cell, and undo its replacements."""
    factory = KernelProvisionerFactory.instance()
    before = executors.executenb
    app: Any = SimpleNamespace(doctreedir=str(folder))
    kernels.prepare(app)
    kernels.name_claims(app, "page", [])

    def run_cell(code: str) -> str:
        v4: Any = nbformat.v4
        notebook = v4.new_notebook(cells=[v4.new_code_cell(code)])
        executors.executenb(notebook, cwd=str(folder))
        return "".join(o.get("text", "") for o in notebook.cells[0].outputs)

    try:
        yield run_cell
    finally:
        if kernels.zygote.cache_info().currsize:
            with kernels.zygote():  # it ends when its stdin does
                kernels.zygote.cache_clear()
        executors.executenb = before
        del factory.provisioners["forked"]
