"""Tables of measured values, as docutils builds them."""

from collections.abc import Iterable, Sequence
from typing import Any

from docutils import nodes

Field = str | Any  # or a node, or some of them


def entry(field: Field) -> nodes.entry:
    """Return a field of a table; a mere text counts as measured."""
    if isinstance(field, str):
        field = nodes.inline("", field, classes=["pasted-text"])
    content = [field] if isinstance(field, nodes.Node) else field
    return nodes.entry("", nodes.paragraph("", "", *content))


def table(head: Sequence[str], rows: Iterable[Sequence[Field]]) -> nodes.table:
    """Return a table with these headings and rows."""
    body = [nodes.row("", *map(entry, row)) for row in rows]
    return table_of_rows(head, body)


def table_of_rows(
    head: Sequence[str], rows: Iterable[nodes.row]
) -> nodes.table:
    """Return a table with these headings, and with rows that are built."""
    group = nodes.tgroup("", cols=len(head))
    group += [nodes.colspec(colwidth=1) for _ in head]
    group += nodes.thead("", nodes.row("", *map(entry, head)))
    group += nodes.tbody("", *rows)
    return nodes.table("", group)
