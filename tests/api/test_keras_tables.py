"""``docs/keras_names.md`` says of every name of Keras what netlayers has.

    NETLAYERS_REWRITE=1 python -m pytest tests/api/test_keras_tables.py

writes the page anew.
"""

import difflib
import os

import pytest

import netlayers as nl
from tests.api import keras_tables
from tests.api.keras_facts import read
from tests.api.keras_notes import ARGUMENTS


def test_the_page_is_that_of_the_code():
    text = keras_tables.page()
    if os.environ.get("NETLAYERS_REWRITE"):
        keras_tables.PAGE.write_text(text, encoding="utf-8")
    kept = keras_tables.PAGE.read_text(encoding="utf-8")
    changes = difflib.unified_diff(kept.splitlines(), text.splitlines(), "page", "code", "", "", 0)
    assert kept == text, "\n".join(changes)


@pytest.mark.parametrize("section", [s for s, names in read().items() if names])
def test_what_is_missing_has_a_note_and_nothing_else_has(section):
    missing = keras_tables.compare(section, read()[section])[2]
    assert sorted(keras_tables.notes_of(section)) == sorted(missing)


def test_arguments_that_are_missing_have_a_note_and_no_others():
    noted = [name for names in ARGUMENTS for name in names.split()]
    assert sorted(noted) == sorted(keras_tables.lacking_arguments())


class Layer(nl.layers.Layer):
    def __init__(self, units, size=(2, 2), *, rate=0.1, **kwargs):
        super().__init__(**kwargs)


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("(units, size=2, **kwargs)", ""),
        ("(units, size=(2, 2), *, rate=0.1, name=None)", ""),
        ("(units, size=3)", "`size`: default `(2, 2)`, in Keras `3`"),
        ("(units=1)", "`units`: default none, in Keras `1`"),
        ("(units, size=2, rate=0.1)", "by name only: `rate`"),
        (
            "(size=(2, 2), units=1)",
            "`units`: default none, in Keras `1`; from `size` on in another "
            "order: pass them by name",
        ),
        ("(units, size=2, lora=None, unroll=False)", "no `lora`"),
        ("(units, trainable=1)", "`trainable`: default `True`, in Keras `1`"),
    ],
)
def test_what_differs(signature, text):
    assert keras_tables.difference(signature, Layer) == text


def test_the_first_argument_of_a_function_has_another_name():
    text = "`layer` is called `obj`"
    assert keras_tables.difference("(layer)", nl.layers.serialize) == text
