"""Build the book: `make html`, `make html pdf epub`.

Every cell runs once, now; all that is asked for is written from this one
reading. A build has a folder of its own until everything is there, so what is
called html is whole, whoever else builds and however this build ends. A stamp
beside it says of what it was made, and the tests look at that very site.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from tempfile import TemporaryDirectory

from sphinx.cmd.build import build_main

from press import versions
from press.project import NAME, ROOT

BUILD = ROOT / os.environ.get("BUILD", "_build")
STAMP = BUILD / "stamp.json"
BUILDERS = {"html": "html", "pdf": "paper", "epub": "epub"}


def arguments(
    builder: str, project: Path, output: Path, *options: str
) -> list[str]:
    """Return the arguments of Sphinx; all that it writes is in `output`."""
    words = ["-c", project, "-T", "-W", "-j", "auto", "-b", builder]
    words += ["-d", output / "doctrees", *options, project / "book"]
    return [*map(str, words), str(output / builder)]


def put(new: Path, place: Path) -> None:
    """Put a folder or a file in its place."""
    try:
        shutil.rmtree(place, ignore_errors=True)
        new.rename(place)
    except OSError:  # another build was quicker, with the same
        shutil.rmtree(place, ignore_errors=True)
        new.rename(place)


def is_fresh() -> bool:
    """Say whether the site is one of these sources, as it was written."""
    if not STAMP.exists():
        return False
    site = versions.digest((BUILD / "html").rglob("*"), BUILD)
    stamp = {"sources": versions.stamp(), "site": site}
    return bool(json.loads(STAMP.read_text(encoding="utf-8")) == stamp)


def build(kinds: list[str]) -> None:
    """Write site, PDF and EPUB as asked for, all of it or nothing.

    Raises:
        SystemExit: if an example fails, or anything else is wrong.
    """
    files = {
        kind: BUILD / f"{NAME}.{kind}" for kind in kinds if kind != "html"
    }
    BUILD.mkdir(parents=True, exist_ok=True)
    for path in files.values():
        path.unlink(missing_ok=True)
    if "html" in kinds:
        STAMP.unlink(missing_ok=True)
        shutil.rmtree(BUILD / "html", ignore_errors=True)
    sources = versions.stamp()
    with (
        TemporaryDirectory(prefix="building.", dir=BUILD) as name,
        TemporaryDirectory(prefix="book.") as temporary,
    ):
        new = Path(name)
        os.environ["TMPDIR"] = tempfile.tempdir = temporary  # Sphinx's logs
        editions = f"editions={','.join(files)}"
        for kind in kinds:
            options = ["-D", editions] if kind == "html" and files else []
            if build_main(arguments(BUILDERS[kind], ROOT, new, *options)):
                reason = new / "failure.txt"
                if reason.exists():
                    print(reason.read_text(encoding="utf-8"), file=sys.stderr)
                sys.exit("No book: page, cell and reason stand above.")
        for kind, path in files.items():
            made = new / BUILDERS[kind] / path.name
            if "html" in kinds:
                shutil.copy(made, new / "html" / "downloads")
            put(made, path)
        if "html" in kinds:
            site = versions.digest((new / "html").rglob("*"), new)
            for part in ("doctrees", "jupyter_execute", "html"):
                put(new / part, BUILD / part)
            if sources == versions.stamp():  # nobody wrote while it was read
                stamp = json.dumps({"sources": sources, "site": site})
                STAMP.write_text(stamp, encoding="utf-8")
    made_of = [BUILD / "html" / "index.html"] if "html" in kinds else []
    print("Every example ran. Open", *made_of, *files.values())


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit("No book: interrupted."))
    build([kind for kind in BUILDERS if kind in sys.argv[1:]])
