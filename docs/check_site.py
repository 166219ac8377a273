"""Check the pages of a built site: ``python docs/check_site.py build/site``.

Each link inside the site leads to a page and a place in it that exist, and nothing that a page
needs in order to be read (style, scripts, pictures, fonts) comes from outside.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links, needed files and places of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.needed, self.places = set(), set(), {""}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Keep what a tag refers to, and its name."""
        values = dict(attrs)
        self.places |= {values[key] for key in ("id", "name") if values.get(key)}
        if tag == "a" and values.get("href"):
            self.links.add(values["href"])
        if tag == "link" and values.get("rel") not in ("canonical", "search"):
            self.needed.add(values["href"])
        if values.get("src"):
            self.needed.add(values["src"])


def faults(site):
    """Return what is wrong with the pages of a site, one sentence each."""
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in site.rglob("*.html")
        if path.relative_to(site).parts[0] != "_static"
    }
    found = [] if pages else [f"{site} has no pages"]
    for path, page in pages.items():
        for address in sorted(page.links | page.needed):
            parts = urlsplit(address)
            if parts.scheme in ("http", "https") or parts.netloc:
                if address in page.needed:
                    found.append(f"{path}: {address} comes from outside the site")
            elif not parts.scheme:
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                if target.is_dir():
                    target /= "index.html"
                if not target.exists():
                    found.append(f"{path}: {address} does not exist")
                elif target in pages and unquote(parts.fragment) not in pages[target].places:
                    found.append(f"{path}: {address} leads to no place of that page")
    return found


if __name__ == "__main__":
    wrong = faults(Path(sys.argv[1]).resolve())
    print(*wrong, sep="\n")
    sys.exit(bool(wrong))
