"""What each module of the press listens to, and gives to pages.

Importing all of them takes longer than most tests do, so whoever wants only
one of them, `versions` for instance, does not import this.
"""

import os
import shutil
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from press import (
    argument,
    cards,
    claims,
    downloads,
    exercises,
    facts,
    failure,
    folds,
    formulas,
    icons,
    kernels,
    laboratory,
    margins,
    neighbours,
    numbered,
    references,
    room,
    rules,
    surroundings,
    times,
    versions,
    whole_listing,
)
from press.epub import EBook
from press.pdf import Paper
from press.project import PACKAGE

DIRECTIVES: dict[str, Any] = {
    "exercise": exercises.Exercise,
    "exercise-list": exercises.ExerciseList,
    "hint": folds.Hint,
    "whole-listing": whole_listing.WholeListing,
    "laboratory": laboratory.Laboratory,
    "preset": laboratory.Preset,
    "claim-table": claims.ClaimTable,
    "build-facts": facts.BuildFacts,
    "build-times": times.BuildTimes,
}
PLACES = (
    *(exercises.exercise, exercises.exercise_list),
    *(claims.claim_table, times.build_times),
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything of the book's own."""
    versions.check()
    os.environ.pop("SOURCE_DATE_EPOCH", None)  # it would date the copyright
    surroundings.use_matplotlibs_own()
    # A page that only imports the package is read again when that changes,
    # and what Python has compiled of it at another time is not run.
    app.add_config_value("fingerprint", versions.fingerprint(), "env", (str,))
    shutil.rmtree(PACKAGE / "__pycache__", ignore_errors=True)

    # Reading: the cells run here. What forks kernels takes seconds to start.
    kernels.zygote()
    app.add_source_parser(failure.BookParser, override=True)
    app.connect("builder-inited", failure.prepare)
    app.connect("builder-inited", kernels.prepare)
    app.connect("env-before-read-docs", times.balance)
    app.connect("source-read", kernels.name_claims)
    app.connect("doctree-read", whole_listing.fill)
    app.connect("autodoc-process-docstring", references.drop_aliases)
    app.connect("env-updated", rules.check_pages)

    # Writing
    app.add_domain(numbered.Numbered, override=True)
    app.add_config_value("editions", "", "html", (str,))
    app.connect("doctree-resolved", exercises.fill)
    app.connect("doctree-resolved", claims.fold_checks)
    app.connect("doctree-resolved", folds.fold_drawings)
    app.connect("doctree-resolved", margins.fill)
    app.connect("doctree-resolved", claims.fill)
    app.connect("doctree-resolved", times.fill)
    app.connect("doctree-resolved", downloads.unlink)
    # 400: before the descriptions; 900: after the theme's own buttons.
    app.connect("html-page-context", cards.prepare, priority=400)
    app.connect("html-page-context", argument.add_map, priority=400)
    app.connect("html-page-context", neighbours.lead_on, priority=400)
    app.connect("html-page-context", laboratory.load)
    app.connect("html-page-context", room.keep)
    app.connect("html-page-context", downloads.add_buttons, priority=900)

    # The end; 900: icons are trimmed when all pages are there.
    app.connect("build-finished", downloads.write)
    app.connect("build-finished", room.embed)
    app.connect("build-finished", icons.trim, priority=900)
    app.connect("build-finished", failure.end_readers)

    # Words of the pages' language, and how each is written
    for name, directive in DIRECTIVES.items():
        app.add_directive(name, directive, override=True)
    app.add_role("take", downloads.Take())
    for place in PLACES:
        app.add_node(place)
    written: list[tuple[Any, Any, Any]] = [
        (HideCodeCellNode, folds.visit_fold, folds.depart_fold),
        (laboratory.preset, laboratory.visit_preset, None),
        (
            nodes.citation,
            references.visit_citation,
            HTML5Translator.depart_citation,
        ),
    ]
    for node, visit, depart in written:
        app.add_node(node, override=True, html=(visit, depart))
    app.add_html_math_renderer(
        "mathml",
        (formulas.visit_math, None),
        (formulas.visit_math_block, None),
    )

    # Builders
    app.add_builder(EBook, override=True)
    app.add_builder(Paper)
    app.setup_extension("sphinx_markdown_builder")
    app.config.markdown_flavor = "github"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
