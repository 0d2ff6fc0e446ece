"""Change the package in every small way mutmut knows: `make mutants`.

A copy of the project is given to mutmut, which changes one thing at a time and
runs the tests that reach it. A change that no test notices survives; each
survivor has to be explained in MUTANTS.md, and every row there has to explain
one.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOOLS = Path(__file__).parent
ROOT = TOOLS.parent
CONFIGURATION = """
[tool.mutmut]
source_paths = ["src/"]
also_copy = ["book/", "tools/"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-k", "not {skipped}"]
process_isolation = "forkserver"
timeout_multiplier = 6
"""
# These look at who called or at the source, start a Python of their own, or
# compile, and mutmut's own code cannot be compiled.
SKIPPED = [
    "warnings_point_at_who_asked",
    "a_block_that_no_gradient_reached",
    "imports_load_no_more",
    "the_name_in_a_refusal",
    "without_fused_multiply_add",
    "compiles_as_a_whole",
]


def explanations() -> list[tuple[str, str]]:
    """Return the rows of MUTANTS.md: function and change, as patterns."""
    text = (TOOLS / "MUTANTS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*) \| `(.*)` \| .* \|$", text, re.M)
    return [
        (where.replace(r"\|", "|"), change.replace(r"\|", "|"))
        for where, change in rows
    ]


def copy(folder: Path) -> None:
    """Put the project where mutmut finds its way: its sources in src."""
    shutil.copytree(ROOT / "code", folder / "src")
    for part in ("tests", "tools", "book"):
        shutil.copytree(ROOT / part, folder / part)
    modules = (ROOT / "code" / "shortcuts").glob("*.py")
    tests = [
        f"tests/shortcuts/test_{module.stem.strip('_')}.py"
        for module in sorted(modules)
    ]
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    before = 'pythonpath = ["code"'
    assert settings.count(before) == 1, f"pyproject.toml has no {before}"
    settings = settings.replace(before, 'pythonpath = ["src"')
    settings += CONFIGURATION.format(
        tests=[test for test in tests if (folder / test).exists()],
        skipped=" and not ".join(SKIPPED),
    )
    (folder / "pyproject.toml").write_text(settings, encoding="utf-8")


def mutmut(folder: Path, *words: str) -> str:
    """Run mutmut in the copy, and return its output."""
    run = subprocess.run(
        [sys.executable, "-m", "mutmut", *words],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return run.stdout


def change(folder: Path, name: str) -> str:
    """Return the change of a mutant, as `before => after`."""
    lines = mutmut(folder, "show", name).splitlines()
    before = [line[1:].strip() for line in lines if re.match(r"-(?!--)", line)]
    after = [
        line[1:].strip() for line in lines if re.match(r"\+(?!\+\+)", line)
    ]
    return f"{' '.join(before)} => {' '.join(after)}"


def main() -> None:
    """Run all mutants; print the share killed, and rows without a partner."""
    known = explanations()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy(folder)
        mutmut(folder, "run", "--max-children", str(os.cpu_count()))
        results = mutmut(folder, "results", "--all", "true")
        states = re.findall(r"^\s+shortcuts\.(\S+): (.*)$", results, re.M)
        survivors = [m for m, s in states if s not in ("killed", "timeout")]
        if not states:
            sys.exit("mutmut has run no mutant")
        print(
            f"{len(states) - len(survivors)} of {len(states)} mutants killed, "
            f"{len(survivors)} survived"
        )
        used = set[tuple[str, str]]()
        unexplained = 0
        for mutant in survivors:
            made = change(folder, f"shortcuts.{mutant}")
            rows = {
                (where, pattern)
                for where, pattern in known
                if re.search(where, mutant) and re.search(pattern, made)
            }
            used |= rows
            if not rows:
                unexplained += 1
                print(f"{mutant}: {made}")
    idle = [row for row in known if row not in used]
    for where, pattern in idle:
        print(f"no survivor matches the row {where} | {pattern}")
    if unexplained or idle:
        sys.exit(
            f"MUTANTS.md: {unexplained} survivors without a row, "
            f"{len(idle)} rows without a survivor"
        )


if __name__ == "__main__":
    main()
