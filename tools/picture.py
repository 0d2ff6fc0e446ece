"""Draw the picture of the README anew: `make picture`."""

from bs4 import BeautifulSoup

from build import BUILD
from press.project import ROOT

PICTURE = ROOT / ".github" / "figure-4-12.svg"
BACKGROUND = '<rect width="100%" height="100%" fill="white"/>'


def main() -> None:
    """Copy the first drawing of the landing page, on a white ground."""
    html = BUILD / "html"
    text = (html / "index.html").read_text(encoding="utf-8")
    image = BeautifulSoup(text, "html.parser").select_one("figure img")
    assert image
    drawing = (html / str(image["src"])).read_text(encoding="utf-8")
    drawn = drawing.replace(" <metadata>", f" {BACKGROUND} <metadata>", 1)
    PICTURE.write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
