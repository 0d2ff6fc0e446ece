"""The settings of the book. They read no network and no clock.

A green build has to mean that every example ran just now, against the package
that lies beside this file, so nothing here caches, skips or forgives. What
makes pages of the chapters is the extension `press`, in book/_ext.
"""

import os
import sys
from importlib.metadata import version as installed
from pathlib import Path

ROOT = Path(__file__).parent
sys.path[:0] = [str(ROOT / "code"), str(ROOT / "book" / "_ext")]
sys.dont_write_bytecode = True

# The book
project = "Shortcut Connections, Measured"
author = "The authors of Shortcut Connections, Measured"
copyright = "2026, the authors; text CC BY 4.0, code MIT"  # noqa: A001
version = release = "1.0.0"
language = "en"
source_suffix = {".md": "myst-nb"}
exclude_patterns = ["_*"]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
    "sphinxext.opengraph",
    "press",  # the book's own, in book/_ext
]
nitpicky = True
nitpick_ignore_regex = [
    # These have no inventory here that needs no network.
    ("py:.*", r"(collections|contextlib|numbers|pathlib)\..*"),
    ("py:.*", r"(jaxtyping|matplotlib)\..*"),
]
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
add_function_parentheses = False
python_maximum_signature_line_length = 60
intersphinx_mapping = {
    "torch": (
        f"https://docs.pytorch.org/docs/{installed('torch').rpartition('.')[0]}/",
        "torch.inv",
    )
}
numfig = True
bibtex_bibfiles = ["book/references.bib"]
bibtex_reference_style = "author_year"
myst_enable_extensions = ["deflist", "dollarmath"]

# Running the examples: always, in an empty folder, and any slip ends the build
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 60
nb_output_stderr = "error"
nb_ipywidgets_js: dict[str, object] = {}
nb_render_markdown_format = "gfm"  # a cell can show a table
nb_mime_priority_overrides = [
    ("epub", "image/svg+xml", None),  # not every e-reader draws SVG
    ("paper", "image/svg+xml", 1),
    ("paper", "text/markdown", 2),
    ("paper", "text/plain", 3),
]
nb_code_prompt_show = "Solution"  # what MyST-NB folds, but for drawings
nb_code_prompt_hide = "Solution"

# The pages
html_theme = "sphinx_book_theme"
html_title = project
templates_path = ["book/_templates"]
html_static_path = [
    "book/_static",
    "book/_ext/press/laboratory/laboratory.css",
]
html_sidebars = {"**": ["home.html", "find.html", "sbt-sidebar-nav.html"]}
html_css_files = ["book.css"]
html_favicon = "book/_static/favicon.svg"
html_math_renderer = "mathml"
html_context = {"default_mode": "light"}  # without scripts; with them, auto

# Where the book stands, if anyone knows: with an address pages name it, a
# sitemap lists them, and notebooks install the package from there.
html_baseurl = ogp_site_url = os.environ.get("BOOK_URL", "")
ogp_social_cards = {
    "font": "DejaVu Sans",
    "line_color": "#0072b2",
    "site_url": html_baseurl,
}
ogp_enable_meta_description = True
if html_baseurl:
    extensions.append("sphinx_sitemap")
    sitemap_url_scheme = "{link}"
    sitemap_excludes = ["genindex.html", "search.html"]
html_theme_options = {"navbar_persistent": [], "show_toc_level": 2}
html_show_sourcelink = False
html_domain_indices = False  # the index has them
copybutton_selector = "div.cell_input pre, .whole-listing pre"
copybutton_exclude = ".linenos, .gp, .go"

# Paper and e-readers
epub_basename = "shortcut-connections-measured"
epub_uid = epub_identifier = f"{epub_basename}-{version}"
epub_description = (
    "Why deep networks need shortcut connections: an executed book"
)
epub_contributor = epub_publisher = author
epub_cover = ("_static/cover.png", "epub-cover.html")
epub_css_files = ["book.css", "ereader.css"]
epub_tocdepth = 2
epub_tocscope = "includehidden"
epub_tocdup = False
epub_show_urls = "no"
