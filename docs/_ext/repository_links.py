"""Pages of the repository outside docs/, and links to its files.

On a code host ``../examples/xor.py`` leads to the file. In the site, an example leads to its page
in the gallery, a Markdown file such as CONTRIBUTING.md to the page of docs/project that includes
it, and any other file to a copy of it.
"""

import re
from os.path import relpath
from pathlib import Path

ROOT = Path(__file__).parents[2]
INCLUDE = re.compile(r"^```\{include\} (\S+)\n```", re.MULTILINE)
LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")


def included(page):
    """Return the file of the repository that a page of docs/ includes, or None."""
    found = INCLUDE.search(page.read_text(encoding="utf-8"))
    return (page.parent / found[1]).resolve() if found else None


def read(app, name, content):
    """Insert the file that a page includes, and make links lead to pages of the site."""
    page = Path(app.env.doc2path(name))
    if page.suffix != ".md":
        return
    file = included(page) or page
    content[0] = file.read_text(encoding="utf-8")
    docs = Path(app.srcdir)
    pages = {included(path): path for path in docs.glob("project/*.md")}

    def linked(match):
        target = (file.parent / match[2]).resolve()
        example = docs / "gallery" / relpath(target.with_suffix(".md"), ROOT / "examples")
        if target in pages:
            target = pages[target]
        elif target.suffix == ".py" and example.exists():
            target = example
        elif target.is_dir():
            target = docs / "examples.md"
        return f"{match[1]}{relpath(target, page.parent)}{match[3]}"

    content[0] = LINK.sub(linked, content[0])


def setup(app):
    """Read pages in this way."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
