"""Wrap blocks of output that hold a long sentence, such as an error; tables stay as they are."""

from docutils import nodes

WIDE = 105  # characters


def is_sentence(line):
    """Return whether a line is long, and not a row of a table: these have several spaces."""
    return len(line) > WIDE and ": " in line and "  " not in line


def mark(app, tree):
    """Give blocks of output with such a line a class, for which the style sheet wraps lines."""
    for block in tree.findall(nodes.literal_block):
        output = block.get("language") in (None, "none", "default")
        if output and any(map(is_sentence, block.astext().splitlines())):
            block["classes"].append("long-message")


def setup(app):
    """Mark blocks in this way."""
    app.connect("doctree-read", mark)
    return {"parallel_read_safe": True}
