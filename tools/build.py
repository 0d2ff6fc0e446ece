"""Build the book: `make html`, `make html pdf epub`.

Every cell runs once, now; all that is asked for is written from this one
reading, which stays in the folder `run`. Only what is whole leaves it, so what
is called html is whole, whoever else builds and however this build ends. A
stamp says of what it was made, and the tests look at that very site.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock
from sphinx.cmd.build import build_main

from press import versions
from press.project import NAME, ROOT

BUILD = ROOT / os.environ.get("BUILD", "_build")
RUN = BUILD / "run"  # pages name what they hold by its place: it stays there
STAMP = RUN / "stamp.json"
BUILDERS = {"html": "html", "pdf": "paper", "epub": "epub"}


def arguments(
    builder: str, project: Path, output: Path, *options: str
) -> list[str]:
    """Return the arguments of Sphinx; all that it writes is in `output`."""
    words = ["-c", project, "-T", "-W", "-j", "auto", "-b", builder]
    words += ["-d", output / "doctrees", *options, project / "book"]
    return [*map(str, words), str(output / builder)]


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
    places = [*files.values(), *([BUILD / "html"] if "html" in kinds else [])]
    for place in [RUN, *places]:
        place.unlink() if place.is_file() else shutil.rmtree(place, True)
    sources = versions.stamp()
    for kind in kinds:
        options = ["-D", f"editions={','.join(files)}"] if files else []
        if build_main(arguments(BUILDERS[kind], ROOT, RUN, *options)):
            reason = RUN / "failure.txt"
            if reason.exists():
                print(reason.read_text(encoding="utf-8"), file=sys.stderr)
            sys.exit("No book: page, cell and reason stand above.")
    for kind, path in files.items():
        made = RUN / BUILDERS[kind] / path.name
        for place in [path, *(RUN / "html").glob("downloads")]:
            shutil.copy(made, place)
    if "html" in kinds:
        (RUN / "html").rename(BUILD / "html")
        site = versions.digest((BUILD / "html").rglob("*"), BUILD)
        if sources == versions.stamp():  # nobody wrote while it was read
            stamp = json.dumps({"sources": sources, "site": site})
            STAMP.write_text(stamp, encoding="utf-8")
    print("Every example ran. Look at", *places)


def main() -> None:
    """Build what the arguments name; an interrupted build leaves nothing."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit("No book: interrupted."))
    BUILD.mkdir(parents=True, exist_ok=True)
    with (
        FileLock(BUILD / ".lock"),
        TemporaryDirectory(prefix="book.") as temporary,
    ):
        os.environ["TMPDIR"] = tempfile.tempdir = temporary  # Sphinx's logs
        try:
            build([kind for kind in BUILDERS if kind in sys.argv[1:]])
        except BaseException:
            shutil.rmtree(RUN, ignore_errors=True)
            raise


if __name__ == "__main__":
    main()
