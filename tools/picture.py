"""Draw the pictures of the README anew: `make picture`."""

from bs4 import BeautifulSoup

from build import BUILD
from press.project import ROOT

FOLDER = ROOT / ".github"
PICTURES = {"figure-4-12.svg": "index", "log.svg": "your-model"}
BACKGROUND = '<rect width="100%" height="100%" fill="white"/>'


def main() -> None:
    """Copy the first drawings of two pages, on a white ground."""
    html = BUILD / "html"
    for name, page in PICTURES.items():
        text = (html / f"{page}.html").read_text(encoding="utf-8")
        image = BeautifulSoup(text, "html.parser").select_one("figure img")
        assert image
        drawing = (html / str(image["src"])).read_text(encoding="utf-8")
        drawn = drawing.replace(" <metadata>", f" {BACKGROUND} <metadata>", 1)
        (FOLDER / name).write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
