"""Print the oldest versions that pyproject.toml declares: `make oldest`.

What is declared is what is tried: pip is given these lines. They are of use
with the oldest Python alone, so another is refused.
"""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lower_bound(ranges: SpecifierSet, what: str) -> str:
    """Return the version behind the one ``>=`` of a range.

    Raises:
        ValueError: if there is not exactly one.
    """
    bounds = [own.version for own in ranges if own.operator == ">="]
    if len(bounds) != 1:
        raise ValueError(
            f"expected one lower bound (>=) of {what} in pyproject.toml, "
            f"got {str(ranges)!r}"
        )
    return bounds[0]


def oldest(project: dict[str, Any]) -> list[str]:
    """Return a pin for each dependency of a project, optional ones too."""
    optional = project.get("optional-dependencies", {}).values()
    needed = [
        *project["dependencies"],
        *(line for own in optional for line in own),
    ]
    found = []
    for line in needed:
        package = Requirement(line)
        version = lower_bound(package.specifier, package.name)
        found.append(f"{package.name}=={version}")
    return found


def version_of(python: str) -> str:
    """Return a Python's version, such as 3.11, or what is wrong with it."""
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        run = subprocess.run([python, "-c", ask], capture_output=True)
    except OSError:
        return "no such program"
    return run.stdout.decode().strip()


def main(python: str) -> None:
    """Print the pins, or end with a line that says why not."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    ranges = SpecifierSet(project["requires-python"])
    wanted = lower_bound(ranges, "requires-python")
    if (found := version_of(python)) != wanted:
        sys.exit(
            f"The oldest versions want Python {wanted}; {python} is: {found}. "
            f"Name another: make PYTHON=python{wanted} oldest"
        )
    print(*oldest(project), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1])
