"""The reference of the site has every public name, once, on a page that the lists lead to."""

import importlib
import re
import sys
from pathlib import Path

import pytest

from tests.api import signatures

pytest.importorskip("sklearn", reason="the reference describes the estimators too")
EXTENSIONS = Path(__file__).parents[2] / "docs" / "_ext"


@pytest.fixture(scope="module")
def pages():
    sys.path.insert(0, str(EXTENSIONS))
    module = importlib.import_module("reference")
    sys.path.pop(0)
    reference = module.Reference()
    return reference, module.pages_of(reference)


def test_every_public_name_has_a_place(pages):
    reference, texts = pages
    described = re.findall(r"^\.\. (?:auto|py:)\w+:: ([\w.]+)", "\n".join(texts.values()), re.M)
    assert len(set(described)) == len(described)
    missing = []
    for module in signatures.modules():
        for name in signatures.names(module):
            value, full = getattr(module, name), f"{module.__name__}.{name}"
            if isinstance(value, type(re)):
                missing += [full] * (value.__name__ not in described)
            elif reference.names.get(full) not in described:
                missing.append(full)
    assert missing == []


def test_every_page_is_in_one_list(pages):
    _, texts = pages
    listed = []
    for name, text in texts.items():
        for entries in re.findall(r"toctree::\n   :hidden:\n\n((?:   .*\n)+)", text):
            for entry in entries.split():
                folder = name.rsplit("/", 1)[0]
                listed.append(entry[1:] if entry.startswith("/") else f"{folder}/{entry}")
    assert sorted([*listed, "reference/index"]) == sorted(texts)


def test_every_class_has_a_family(pages):
    _, texts = pages
    assert [name for name, text in texts.items() if re.search(r"^Others$", text, re.M)] == []
