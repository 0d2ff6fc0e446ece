"""The kernels that run the cells: how one starts, is asked twice, and ends.

Each page has a kernel of its own, forked from a Python that has imported what
cells need (see `zygote`), so a page begins in a fresh process and without the
seconds that imports take. What the caller has set does not reach it.
"""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import jupyter_cache.executors.utils
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from nbclient import NotebookClient
from sphinx.application import Sphinx

from press import surroundings
from press.project import CODE

# About one kernel in a thousand does not come up; then no cell has run yet.
NO_KERNEL = re.compile("Kernel (didn't respond|died before replying)")


ASK = multiprocessing.Lock()  # so that readers get their own answers


@cache
def zygote() -> "subprocess.Popen[str]":
    """Start the program that forks kernels, once for all readers of pages."""
    return subprocess.Popen(
        [sys.executable, "-I", "-B", Path(__file__).with_name("zygote.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=surroundings.clean(),
        cwd=tempfile.gettempdir(),  # where no matplotlibrc is looked for
        text=True,
        start_new_session=True,  # it sees by itself that nobody asks any more
    )


class Fork:
    """A kernel's process, asked and signalled as a Popen is."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        """Return None while it runs; its own exit status is not known."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 1
        return None

    def wait(self) -> int:
        """Return the status of an ended kernel, the only one that is asked."""
        return 1

    def send_signal(self, number: int) -> None:
        """Send a signal to it and to all that it has started."""
        os.killpg(self.pid, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Forked(LocalProvisioner):
    """Forks a kernel, where Jupyter's own provisioner starts a Python."""

    claims: Path  # where the page that is being read has its claims written

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork it, and return how it is spoken to."""
        manager: Any = self.parent
        page = {
            "connection": manager.connection_file,
            "folder": kwargs["cwd"],
            "claims": str(self.claims),
            "settings": str(self.claims.parent),
            "code": str(CODE),
        }
        source = zygote()
        assert source.stdin
        assert source.stdout
        with ASK:
            source.stdin.write(json.dumps(page) + "\n")
            source.stdin.flush()
            fork: Any = Fork(int(source.stdout.readline()))
        self.process, self.pid = fork, fork.pid
        return self.connection_info


class Manager(AsyncKernelManager):
    """Asks for a forked kernel, whatever a user calls python3."""

    transport_encryption = "auto"  # of words that others could read
    kernel_spec = KernelSpec(
        language="python",
        metadata={
            "kernel_provisioner": {"provisioner_name": "forked"},
            "supported_encryption": "curve",
        },
    )


class Client(NotebookClient):
    """Runs a notebook: asks twice for a kernel, and keeps streams whole."""

    async def async_start_new_kernel_client(self) -> Any:
        """Start a kernel, and another if the first does not come up."""
        try:
            return await super().async_start_new_kernel_client()
        except RuntimeError as error:
            if not NO_KERNEL.match(str(error)):
                raise
        self.create_kernel_manager()
        await self.async_start_new_kernel()
        return await super().async_start_new_kernel_client()


def execute(notebook: Any, cwd: str, **options: Any) -> None:
    """Run a notebook, as nbclient's function of this name does."""
    resources = {"metadata": {"path": cwd}}
    Client(
        notebook,
        resources=resources,
        coalesce_streams=True,
        kernel_manager_class=Manager,
        **options,
    ).execute()


def claims_of(app: Sphinx, page: str) -> Path:
    """Return the file of a page's claims, which its kernel writes."""
    return Path(app.doctreedir) / "claims" / f"{page}.json"


def name_claims(app: Sphinx, page: str, _: list[str]) -> None:
    """Say where the kernel that comes next has to write its claims."""
    Forked.claims = claims_of(app, page)


def prepare(app: Sphinx) -> None:
    """Have MyST-NB run its notebooks here, in forked kernels.

    It takes no client of ours, so the one function that it calls is replaced.
    """
    claims_of(app, "any").parent.mkdir(parents=True, exist_ok=True)
    jupyter_cache.executors.utils.executenb = execute
    factory = KernelProvisionerFactory.instance()
    factory.provisioners["forked"] = EntryPoint(
        "forked", f"{__name__}:Forked", factory.GROUP_NAME
    )
