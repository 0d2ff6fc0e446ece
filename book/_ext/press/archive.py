"""The archive to take along: all chapters, the package and the pins.

It holds the notebooks and scripts, the package as a wheel, and the versions
that the book was built with. The same sources make the same bytes.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from press.project import EPOCH, NAME, PACKAGE, ROOT, pins

README = """\
# Shortcut Connections, Measured: notebooks, scripts and package

    pip install -r requirements.txt

installs the package `shortcuts` from the wheel beside this file, and what the
book was built with. (`pip install shortcuts` would bring another package of
this name.) Each chapter is there twice: in `notebooks/`, with what it printed
when the book was built, to be opened with Jupyter or an editor that knows
notebooks; and in `scripts/`, to be run with Python or, cell by cell, in an
editor.

Text and figures: CC BY 4.0. Code: MIT.
"""


def wheel_name(release: str) -> str:
    """Return the file name of the package's wheel."""
    return f"shortcuts_measured-{release}-py3-none-any.whl"


def write_wheel(folder: Path) -> None:
    """Build the package's wheel, shut off from the caller's settings."""
    with tempfile.TemporaryDirectory() as copy:
        package = Path(copy) / "code" / "shortcuts"
        package.mkdir(parents=True)
        for file in sorted(PACKAGE.glob("*.py")):
            (package / file.name).write_bytes(file.read_bytes())
        for name in ("pyproject.toml", "LICENSE"):
            (Path(copy) / name).write_bytes((ROOT / name).read_bytes())
        for path in Path(copy).rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        build = "from setuptools.build_meta import build_wheel"
        subprocess.run(
            [sys.executable, "-c", f"{build}; build_wheel({str(folder)!r})"],
            cwd=copy,
            env={
                "HOME": copy,  # where no .pydistutils.cfg is
                "PATH": os.environ["PATH"],
                "SOURCE_DATE_EPOCH": "315532800",
            },
            umask=0o022,
            check=True,
            capture_output=True,
        )


def requirements(release: str) -> str:
    """Return the requirements of notebooks: the subject's pins, a kernel."""
    named = [
        f"{pin.name}=={pin.version}"
        for pin in pins()
        if pin.section == "The subject" or pin.name == "ipykernel"
    ]
    return "\n".join([*named, f"./{wheel_name(release)}", ""])


def write(folder: Path, release: str, chapters: dict[str, bytes]) -> None:
    """Write wheel and archive to a folder."""
    write_wheel(folder)
    wheel = wheel_name(release)
    files = chapters | {
        "README.md": README.encode(),
        "requirements.txt": requirements(release).encode(),
        wheel: (folder / wheel).read_bytes(),
    }
    with ZipFile(folder / f"{NAME}.zip", "w") as archive:
        for name, data in sorted(files.items()):
            entry = ZipInfo(f"{NAME}/{name}", EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, ZIP_DEFLATED)
