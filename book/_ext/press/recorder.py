"""Note the values that the assertions of a kernel's cells compare.

When an assertion compares two values, both are noted, and after each cell what
has been noted is written to a file. The cells run as before: every expression
is still evaluated once, in its order, and no name is added to theirs.
"""

import ast
import builtins
import json
import math
from pathlib import Path
from typing import Any

FEW = 4  # numbers that are kept one by one; of more, the smallest and largest


class Recorder(ast.NodeTransformer):
    """Rewrites the assertions of cells so that they note their values."""

    def __init__(self) -> None:
        self.cell = 0  # which one is running, counted from 1
        self.claims: list[dict[str, Any]] = []  # of all cells so far
        self.first: dict[int, Any] = {}  # of two values that have to be close

    @property
    def functions(self) -> dict[str, Any]:
        """Return the functions that rewritten assertions call, by name."""
        return {
            "__noted__": self.note,
            "__first__": self.note_first,
            "__second__": self.note_second,
        }

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        """Note the operands of all comparisons in an assertion."""
        claim = self.new_claim(node.test)
        for part in [*ast.walk(node.test)]:
            if isinstance(part, ast.Compare):
                operands = [part.left, *part.comparators]
                part.left, *part.comparators = (
                    call("__noted__", claim, operand)
                    if any(isinstance(p, ast.Name) for p in ast.walk(operand))
                    else operand
                    for operand in operands
                )
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        """Note how far apart two values are that have to be close."""
        value = node.value
        if isinstance(value, ast.Call):
            name = ast.unparse(value.func).rpartition(".")[2]
            if name == "assert_close":
                claim = self.new_claim(value)
                value.args[0] = call("__first__", claim, value.args[0])
                value.args[1] = call("__second__", claim, value.args[1])
        return node

    def new_claim(self, node: ast.expr) -> int:
        """Begin a claim, and return its number."""
        words = ast.unparse(node)
        self.claims.append({"cell": self.cell, "claim": words, "values": {}})
        return len(self.claims) - 1

    def note(self, claim: int, what: str, value: Any) -> Any:
        """Note the numbers that an expression is, each time it is asked."""
        new = [number + 0.0 for number in flat(value) if math.isfinite(number)]
        if new:
            values = self.claims[claim]["values"]
            seen = values.setdefault(what, {"numbers": []})
            seen["numbers"] += new
            if len(seen["numbers"]) > FEW or "many" in seen:
                ends = min(seen["numbers"]), max(seen["numbers"])
                seen |= {"numbers": [*ends], "many": True}
        return value

    def note_first(self, claim: int, what: str, value: Any) -> Any:
        """Keep the first of two values that have to be close."""
        self.first[claim] = value
        return value

    def note_second(self, claim: int, what: str, value: Any) -> Any:
        """Note the largest difference of two values."""
        pairs = zip(flat(self.first.pop(claim)), flat(value), strict=True)
        largest = max((abs(a - b) for a, b in pairs), default=0.0)
        self.note(claim, "largest difference", largest)
        return value


def call(function: str, claim: int, node: ast.expr) -> ast.expr:
    """Return a call that notes the value of an expression and hands it on."""
    found = ast.Call(
        ast.Name(function, ast.Load()),
        [ast.Constant(claim), ast.Constant(ast.unparse(node)), node],
        [],
    )
    return ast.fix_missing_locations(ast.copy_location(found, node))


def flat(value: Any) -> list[float]:
    """Return the numbers that a value holds, in their order."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [number for part in value for number in flat(part)]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [float(value)] if is_number else []


def record(shell: Any, path: Path) -> None:
    """Let a kernel note, from its first cell on, and write to a file."""
    recorder = Recorder()

    def begin(_: object) -> None:
        recorder.cell += 1

    def write(_: object) -> None:
        path.write_text(json.dumps(recorder.claims), encoding="utf-8")

    vars(builtins).update(recorder.functions)
    shell.ast_transformers.append(recorder)
    shell.events.register("pre_run_cell", begin)
    shell.events.register("post_run_cell", write)
