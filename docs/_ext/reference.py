"""Pages of the reference, written to docs/reference before each build.

Each public module has a page that lists its names, and each class or function a page of its own. A
function that is another form of a class, such as ``hinge`` of ``Hinge``, is on the page of the
class. Nothing is listed here but the order and the families: the names are those of ``__all__``.
"""

import functools
import importlib
import inspect
import re
import types
from pathlib import Path

import netlayers
from netlayers.activations import ActivationFunction

WORDS = re.compile(r"[\w.]+")
# The modules in the order of the index. A name of several has its page in the first of HOMES.
MODULES = WORDS.findall("""
    layers activations models losses metrics optimizers optimizers.schedules callbacks initializers
    regularizers constraints diagnostics trace gradient_check testing utils datasets
    random distribution saving estimators errors config backend""")
HOMES = ["saving", *MODULES, ""]
# The modules whose lists are divided, by the files of the classes.
FAMILIES = {
    "layers": {
        "Base classes": "core.layer arrays.spec wrapper recurrent_cell",
        "Core": "input dense activation lambda_layer get_item",
        "Convolution": "convolution transposed_convolution depthwise separable",
        "Pooling": "pooling global_pooling adaptive_pooling",
        "Recurrent": "simple_rnn lstm gru rnn stacked_cells bidirectional time_distributed"
        " conv_lstm masking",
        "Normalization": "batch_normalization layer_normalization group_normalization"
        " spectral_normalization normalization",
        "Dropout, noise, penalties": "dropout spatial_dropout activity",
        "Reshaping": "reshaping zero_padding cropping up_sampling",
        "Merging": "merge_layers merge_functions dot",
        "Containers": "residual parallel",
        "Categories and texts": "embedding category_encoding discretization hashing lookup"
        " text_vectorization",
        "Images": "resizing random_flip random_crop random_affine random_values mixing",
        "Activations": "rectifiers sigmoids softmaxes softpluses gated clipped shrinkage prelu",
        "Configuration": "layers",
    },
    "losses": {
        "Base classes": "base elementwise function functions",
        "Regression": "regression uncertainty probabilistic similarity",
        "Classification": "binary crossentropy focal generalized margins circle",
        "Segmentation and sequences": "overlap ctc",
        "Several outputs": "split by_output",
        "Configuration": "losses",
    },
    "metrics": {
        "Base classes": "base function functions from_loss.LossMetric",
        "Accuracy": "accuracy",
        "True and false positives": "confusion fscore at_limit ranking",
        "Regression": "regression correlation",
        "Segmentation": "iou",
        "Losses as metrics": "from_loss losses.functions",
        "Configuration": "metrics",
    },
    "utils": {
        "Arrays and batches": "arrays one_hot sequences packed data.packing",
        "Images and texts": "images image_folders text_folders",
        "Large files": "shards tables",
        "Features": "models.feature_space",
        "Sampling and decoding": "sampling ctc",
        "Seeds, progress, plots": "seeds progress plots",
        "Saving": "saving.custom_objects",
    },
}
# Methods that a class defines for its base class: they are its mathematics.
OWN = WORDS.findall("""
    forward backward forward_samples backward_samples update apply fill add_gradient update_state
    result __call__""")

CALLED = types.FunctionType, staticmethod, classmethod
MEMBERS = *CALLED, property, functools.cached_property


def public(module):
    """Return the names of a module with what they name, first the classes, without modules."""
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", 0) == module.__name__]
    names = getattr(module, "__all__", [n for n in own if not n.startswith("_")])
    found = [(name, getattr(module, name)) for name in sorted(names, key=str.lower)]
    found.sort(key=lambda its: not inspect.isclass(its[1]))
    return {name: v for name, v in found if not isinstance(v, types.ModuleType)}


class Page:
    """What one page describes: objects by the names that they have in a module."""

    def __init__(self, place, title):
        self.place, self.title = place, title
        self.objects = {}  # full name: object

    @property
    def path(self):
        """Return the name of the document."""
        return f"reference/{self.place}/{self.title}"


class Reference:
    """All public names: on which pages they are, and by which full names."""

    def __init__(self):
        self.pages, self.homes, self.modules = {}, {}, {}
        for place in HOMES:
            module = importlib.import_module(f"netlayers.{place}".rstrip("."))
            self.modules[place] = module
            for name, value in public(module).items():
                self._add(place or "netlayers", module, name, value)
        for name in netlayers.datasets.__all__:
            module = importlib.import_module(f"netlayers.datasets.{name}")
            self.modules[f"datasets.{name}"] = module
            for its, value in public(module).items():
                self._add(f"datasets.{name}", module, its, value)
        # Full names that lead to a page, with the name that it describes; and the other way round.
        self.names, self.aliases = {}, {}
        for place, module in self.modules.items():
            for name, value in public(module).items():
                full = f"netlayers.{place}.{name}".replace("..", ".")
                described = self.names[full] = self.homes[id(value)][1]
                if full != described:
                    self.aliases.setdefault(described, []).append(full)

    def _add(self, place, module, name, value):
        if id(value) in self.homes:
            return
        full = f"{module.__name__}.{name}"
        if isinstance(value, ActivationFunction):
            page = self.homes[id(value._layer)][0]
        else:
            key = place, name.replace("_", "").lower()
            own = getattr(value, "__name__", name)
            page = self.pages.setdefault(key, Page(place, own if hasattr(module, own) else name))
            full = f"{module.__name__}.{page.title}" if not page.objects else full
        page.objects[full] = value
        self.homes[id(value)] = page, full

    def list_of(self, place):
        """Return the pages of a module in families: ``{heading: [pages]}``."""
        families = FAMILIES.get(place, {})
        files = {its: head for head, all_its in families.items() for its in all_its.split()}
        found = {head: [] for head in families}
        for value in public(self.modules[place]).values():
            page = self.homes[id(value)][0]
            first = next(iter(page.objects.values()))
            file = getattr(first if page.place == place else value, "__module__", "")
            tail = file.removeprefix("netlayers.").removeprefix(f"{place}.")
            short = tail.removeprefix("activations.")
            keys = f"{short}.{page.title}", short, tail
            head = next((files[key] for key in keys if key in files), "Others" if files else "")
            its = found.setdefault(head, [])
            if page not in its:
                its.append(page)
        return {head: its for head, its in found.items() if its}


def first_sentence(value):
    """Return the first paragraph of a docstring, up to its first full stop."""
    text = inspect.getdoc(value) or ""
    text = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[^.][.])\s(?=[A-Z`])", text)[0]


def title(text, sign="="):
    """Return a heading."""
    return f"{text}\n{sign * len(text)}\n\n"


def role(full, text):
    """Return a link to a described object."""
    return f":py:obj:`{text} <{full}>`"


def table(reference, place, pages):
    """Return a list of pages with what their names are, as a table."""
    lines = [".. list-table::", "   :class: names", "   :widths: 30 70", ""]
    own = public(reference.modules[place])
    for page in pages:
        there = [n for n, v in own.items() if reference.homes[id(v)][0] is page]
        value = own[there[0]] if place == "activations" else next(iter(page.objects.values()))
        # Classes before functions, the name of the page first.
        there.sort(key=lambda name: (name != page.title, not name[0].isupper(), name))
        links = ", ".join(role(reference.homes[id(own[name])][1], name) for name in there)
        lines += [f"   * - {links}", f"     - {first_sentence(value)}"]
    return "\n".join(lines) + "\n\n"


def members(cls, public_classes):
    """Return the members that the page of a class shows, and its nearest public base."""
    bases = [c for c in cls.__mro__[1:] if c in public_classes]
    known = {name for base in bases for name in dir(base)}
    shown = []
    for name in dir(cls):
        owner = next(c for c in cls.__mro__ if name in vars(c))
        if not owner.__module__.startswith("netlayers") or owner in bases:
            continue
        if name in known and name not in OWN:
            continue
        if name.startswith("_") and name != "__call__":
            continue
        if isinstance(vars(owner)[name], MEMBERS):
            shown.append(name)
    shown.sort(key=lambda name: (OWN.index(name) if name in OWN else len(OWN), name))
    return shown, bases[0] if bases else None


def activation_signature(function):
    """Return the arguments of an activation as a function, as text."""
    given = inspect.signature(function._layer).parameters
    found = ["x"]
    for name in function._order:
        default = function._defaults.get(name, given[name].default)
        found.append(name if default is inspect.Parameter.empty else f"{name}={default!r}")
    return f"({', '.join(found)})"


def described(reference, full, value, public_classes):
    """Return the directive that describes an object."""
    others = ", ".join(f"``{name}``" for name in sorted(reference.aliases.get(full, [])))
    also = f"   Also {others}.\n\n" if others else ""
    if isinstance(value, ActivationFunction):
        layer = role(reference.homes[id(value._layer)][1], value._layer.__name__)
        return (
            f".. py:function:: {full}{activation_signature(value)}\n\n{also}"
            f"   {layer} as a function: returns a new array, float64 for float64, else float32.\n\n"
        )
    if not callable(value):
        return f".. autodata:: {full}\n\n{also}"
    if not inspect.isclass(value):
        return f".. autofunction:: {full}\n\n{also}"
    shown, base = members(value, public_classes)
    text = f".. autoclass:: {full}\n"
    text += f"\n{also}"
    for name in shown:
        owner = next(c for c in value.__mro__ if name in vars(c))
        its = vars(owner)[name]
        what = "method" if isinstance(its, CALLED) else "property"
        text += f"   .. auto{what}:: {full}.{name}\n\n"
    if base is not None:
        home = reference.homes[id(base)][1]
        text += f"Base class: {role(home, base.__name__)}, whose methods it has too.\n\n"
    return text


def module_page(reference, place):
    """Return the page of a module."""
    module = reference.modules[place]
    name = module.__name__
    text = title(name) + f".. py:module:: {name}\n\n{inspect.getdoc(module) or ''}\n\n"
    pages = []
    for head, its in reference.list_of(place).items():
        text += title(head, "-") if head else ""
        text += table(reference, place, its)
        pages += its
    if place == "datasets":
        pages = [page for page in reference.pages.values() if page.place.startswith("datasets.")]
        for page in pages:
            text += f"- :py:obj:`netlayers.{page.place}.{page.title}`\n"
        text += "\n"
    home = place or "netlayers"
    own = [f"/{page.path}" for page in pages if page.place == home or place == "datasets"]
    entries = "".join(f"   {page}\n" for page in own)
    return text + (f".. toctree::\n   :hidden:\n\n{entries}" if own else "")


def index(reference):
    """Return the first page."""
    text = title("Reference") + (
        "Every public name, with its formula, its arguments, its source and an example. The code\n"
        "of each ``forward`` and ``backward`` is one click away: *[source]*.\n\n"
    )
    order = ["", *MODULES]
    lines = [".. list-table::", "   :class: names", "   :widths: 30 70", ""]
    for place in order:
        module = reference.modules[place]
        sentence = first_sentence(module)
        lines += [f"   * - :py:mod:`{module.__name__}`", f"     - {sentence}"]
    entries = "".join(f"   {place or 'netlayers'}\n" for place in order)
    return text + "\n".join(lines) + f"\n\n.. toctree::\n   :hidden:\n\n{entries}"


def pages_of(reference):
    """Return the text of each page by its document name."""
    found = {"reference/index": index(reference)}
    for place in ["", *MODULES]:
        found[f"reference/{place or 'netlayers'}"] = module_page(reference, place)
    classes = {value for page in reference.pages.values() for value in page.objects.values()}
    classes = {value for value in classes if inspect.isclass(value)}
    for page in reference.pages.values():
        head = page.title if not page.place.startswith("datasets.") else page.place.split(".")[1]
        text = title(head)
        if page.title == "load_data":
            text += f".. py:module:: netlayers.{page.place}\n\n"
        for full, value in page.objects.items():
            text += described(reference, full, value, classes)
        found[page.path] = text
    return found


def write(app):
    """Write the pages that have changed, and delete those that nothing describes any more."""
    app.reference = Reference()
    folder = Path(app.srcdir) / "reference"
    texts = pages_of(app.reference)
    for old in folder.rglob("*.rst"):
        if old.relative_to(app.srcdir).with_suffix("").as_posix() not in texts:
            old.unlink()
    for name, text in texts.items():
        path = Path(app.srcdir) / f"{name}.rst"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app):
    """Write the pages."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
