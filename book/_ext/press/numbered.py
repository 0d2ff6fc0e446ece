"""References by number, looked up in pages that are loaded once.

Sphinx loads a whole page from disk for each `{numref}` to it, which was a
sixth of the time that it spent on this book.
"""

from functools import cache
from typing import Any

from docutils import nodes
from sphinx.domains.std import StandardDomain
from sphinx.environment import BuildEnvironment


@cache
def loaded(env: BuildEnvironment, page: str) -> nodes.document:
    """Return a page that is only looked at."""
    return env.get_doctree(page)


class Looking:
    """An environment whose pages are loaded once."""

    def __init__(self, env: BuildEnvironment) -> None:
        self.env = env

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def get_doctree(self, page: str) -> nodes.document:
        """Return a page, the same each time."""
        return loaded(self.env, page)


class Numbered(StandardDomain):
    """Sphinx's own domain, but for what it loads."""

    def _resolve_numref_xref(self, env: Any, *rest: Any) -> Any:
        return super()._resolve_numref_xref(Looking(env), *rest)  # type: ignore[arg-type]
