"""Formulas of docstrings and pages, such as ``y = x W + b``, as MathML.

In the source they are literals in plain text, so that ``help()`` and a code host show them well.
Those that are code, names, shapes or values stay as they are.
"""

import re

from docutils import nodes
from formula_parser import mathml
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform


class Formulas(SphinxPostTransform):
    """Replace the literals of a page that are formulas."""

    default_priority = 900
    formats = ("html",)

    def run(self, **kwargs):
        """Show a formula that ends the first paragraph on a class on a line of its own."""
        for content in list(self.document.findall(addnodes.desc_content)):
            first = content[0] if len(content) else None
            if content.parent["objtype"] == "class" and isinstance(first, nodes.paragraph):
                self._display(first)
        for node in list(self.document.findall(nodes.literal)):
            if found := mathml(node.astext()):
                node.replace_self(nodes.raw("", found, format="html"))

    @staticmethod
    def _display(paragraph):
        if not re.fullmatch(r".+: *", "".join(its.astext() for its in paragraph[:-2]), re.DOTALL):
            return
        formula, end = paragraph[-2:]
        found = mathml(formula.astext(), display=True)
        if found and end.astext() == "." and isinstance(formula, nodes.literal):
            del paragraph[-2:]
            paragraph.parent.insert(1, nodes.raw("", found, format="html"))


def setup(app):
    """Show formulas."""
    app.add_post_transform(Formulas)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
