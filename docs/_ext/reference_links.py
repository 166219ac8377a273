"""What the reference adds to autodoc: sections in one line, links to code, and links to names."""

import importlib
import inspect
import re

from docutils import nodes
from sphinx import addnodes
from sphinx.ext import viewcode
from sphinx.pycode import ModuleAnalyzer
from sphinx.transforms.post_transforms import SphinxPostTransform

ONE_LINE = re.compile(
    r"^(Shapes|Args|Source|Attributes|Raises|(?:Shapes|Args) and errors): (.+(?:\n.+)*)",
    re.MULTILINE,
)
# Literals, examples and starred arguments, in which stars and bars are no markup.
AS_IT_IS = re.compile(r"(``.*?``|^ *>>> .*?(?:\n *\n|\Z)|\*\*\w+|\*args)", re.DOTALL | re.MULTILINE)


def prepare(app, what, name, obj, options, lines):
    """Set what stands behind ``Shapes:`` in the same line as a section; escape stars and bars."""
    parts = AS_IT_IS.split("\n".join(lines))
    parts[::2] = [re.sub(r"(?<!\\)([*|])", r"\\\1", part) for part in parts[::2]]
    text = ONE_LINE.sub(
        lambda found: f":{found[1]}: " + found[2].replace("\n", "\n    "), "".join(parts)
    )
    lines[:] = text.split("\n")


def link_inherited_code(app, doctree):
    """Link a method that a class inherits to its code, which viewcode looks for in the class.

    The page of the code links back to the place that this adds to the description.
    """
    modules = app.env._viewcode_modules
    docname = app.env.current_document.docname
    for node in doctree.findall(addnodes.desc_signature):
        if not node.get("module"):
            continue
        full = node["fullname"]
        value = importlib.import_module(node["module"])
        for name in full.split("."):
            value = getattr(value, name, None)
        value = inspect.unwrap(getattr(value, "fget", None) or value)
        place, name = getattr(value, "__module__", None), getattr(value, "__qualname__", full)
        if not (place or "").startswith("netlayers"):
            continue
        analyzer = ModuleAnalyzer.for_module(place)
        analyzer.find_tags()
        if name not in analyzer.tags:
            continue
        entry = modules.setdefault(place, (analyzer.code, analyzer.tags, {}, node["module"]))
        if (back := f"{entry[3]}.{name}") not in node["ids"]:
            node["ids"].append(back)
        if name != full:
            entry[2][name] = docname
            page = f"{viewcode.OUTPUT_DIRNAME}/{place.replace('.', '/')}"
            node += viewcode.viewcode_anchor(reftarget=page, refid=name, refdoc=docname)


def full_name(reference, text, module="netlayers"):
    """Return the name under which the site describes what a text names, or None.

    ``nl.layers.Dense``, ``layers.Dense``, ``Dense`` where no other module has one, ``Dense.build``,
    ``model.fit`` and calls of these are names; short names of functions are not, as arguments and
    variables have them too.
    """
    text = re.sub(r"\(.*\)$", "", text, flags=re.DOTALL)
    text = re.sub(r"^(nl|netlayers)\.", "", text.lstrip("."))
    text = re.sub(r"^model\.(?=[a-z])", "models.Model.", text)
    if not re.fullmatch(r"\w+(\.\w+)*", text):
        return None
    for name in (text, f"{module}.{text}", f"netlayers.{text}"):
        head, _, member = name.rpartition(".")
        if name in reference.names:
            return reference.names[name]
        if head in reference.names:
            return f"{reference.names[head]}.{member}"
    head, _, member = text.partition(".")
    if not head[0].isupper():
        return None
    found = {full for name, full in reference.names.items() if name.rpartition(".")[2] == head}
    return None if len(found) != 1 else ".".join(filter(None, [*found, member]))


def resolve(app, env, node, contnode):
    """Resolve a short or another name of a public object, in any docstring."""
    if node.get("refdomain") != "py":
        return None
    full = full_name(app.reference, node["reftarget"], node.get("py:module") or "netlayers")
    domain = env.get_domain("py")
    if full not in domain.objects:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", full, node, contnode)


class Links(SphinxPostTransform):
    """Let public names in literals lead to their pages."""

    default_priority = 5  # before references are resolved
    formats = ("html",)

    def run(self, **kwargs):
        """Link the literals of a page."""
        objects = self.env.get_domain("py").objects
        here = self.env.current_document.docname
        for node in list(self.document.findall(nodes.literal)):
            inside, parent = False, node.parent
            while parent is not None:
                inside = inside or isinstance(parent, (nodes.reference, addnodes.pending_xref))
                parent = parent.parent
            full = None if inside else full_name(self.app.reference, node.astext())
            place = objects.get(full)
            if place is None or place.docname == here:
                continue
            target = self.app.builder.get_relative_uri(here, place.docname)
            link = nodes.reference("", "", internal=True, refuri=f"{target}#{place.node_id}")
            node.replace_self(link)
            link += node


def setup(app):
    """Read docstrings and links in this way; ``reference`` knows the names."""
    app.connect("autodoc-process-docstring", prepare, priority=400)
    app.connect("doctree-read", link_inherited_code, priority=600)
    app.connect("missing-reference", resolve)
    app.add_post_transform(Links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
