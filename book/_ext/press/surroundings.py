"""Shut out the caller's settings: variables, Matplotlib's files, fonts.

It imports nothing of the book and little else, since the kernels use it, too.
"""

import os
from pathlib import Path

# What a process needs to know of the machine. ATEN_CPU_CAPABILITY stands for
# another processor; all else could switch off assertions or warnings, put
# another module in the place of one, or change how figures look.
KEPT = (
    *("PATH", "HOME", "USER", "TMPDIR", "LD_LIBRARY_PATH"),
    *("ATEN_CPU_CAPABILITY", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"),
)


def clean() -> dict[str, str]:
    """Return an environment in which a kernel can start."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {
        "LC_ALL": "C.UTF-8",
        # Tensors are tiny, and more threads cost time.
        "OMP_NUM_THREADS": "1",
        "MATPLOTLIBRC": os.devnull,
    }


def use_matplotlibs_own() -> None:
    """Take Matplotlib's defaults and the fonts that it ships, no others."""
    os.environ["MATPLOTLIBRC"] = os.devnull
    import matplotlib
    from matplotlib.font_manager import fontManager

    matplotlib.rcdefaults()
    own = Path(matplotlib.get_data_path())
    fontManager.ttflist = [
        font for font in fontManager.ttflist if own in Path(font.fname).parents
    ]
