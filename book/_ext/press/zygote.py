"""A Python that has imported torch and Matplotlib, and forks kernels.

Importing torch and Matplotlib takes longer than most pages do. `kernels`
starts this program, which reads a line of JSON for each page and answers with
the number of a process that has run nothing yet. When all who ask are gone,
however that came about, their kernels are ended.
"""

import gc
import json
import os
import signal
import sys
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import jaxtyping  # noqa: F401
import matplotlib.style  # noqa: F401
import numpy  # noqa: F401  (cells have torch warn where it is missing)
import torch._dynamo  # noqa: F401  (an optimizer's first step imports it)
from ipykernel.ipkernel import IPythonKernel  # noqa: F401
from ipykernel.kernelapp import IPKernelApp
from matplotlib.figure import Figure
from traitlets.config import Config

sys.path.insert(0, str(Path(__file__).parent))
import recorder
import surroundings

del sys.path[0]


def become_a_kernel(page: dict[str, str]) -> None:
    """Run the cells that come through a connection file."""
    os.chdir(page["folder"])
    sys.path.insert(0, page["code"])
    os.environ["PYTHONPATH"] = page["code"]  # of what a cell starts
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    settings: Any = Config()
    settings.BaseIPythonApplication.ipython_dir = page["settings"]
    settings.IPKernelApp.parent_handle = os.getppid()  # it ends with that
    app = IPKernelApp.instance(config=settings)
    app.initialize(["-f", page["connection"]])
    recorder.record(app.shell, Path(page["claims"]))
    app.start()


def warm_up() -> None:
    """Draw once, so that no kernel has to build the parser of formulas."""
    figure = Figure()
    figure.add_subplot(yscale="log")
    for kind in ("svg", "png"):
        figure.savefig(BytesIO(), format=kind)


def main() -> None:
    """Fork for each line, and end the kernels when there are no more."""
    surroundings.use_matplotlibs_own()
    warm_up()
    gc.freeze()  # so that collections do not copy what forks share
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended kernels are gone
    kernels = []
    for line in sys.stdin:
        kernel = os.fork()
        if kernel == 0:
            os.setsid()
            become_a_kernel(json.loads(line))
            os._exit(0)
        kernels.append(kernel)
        print(kernel, flush=True)
    for kernel in kernels:
        with suppress(ProcessLookupError):  # most have ended by themselves
            os.killpg(kernel, signal.SIGKILL)


if __name__ == "__main__":
    main()
