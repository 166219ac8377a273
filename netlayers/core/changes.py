"""A mark of the last change of a layer, for what is prepared as long as nothing changes."""

from __future__ import annotations

# One object, another one after each change of an attribute of a layer or model, which includes that
# its weights move, and of a method that is observed. Values written into arrays are none.
LAST_CHANGE = [object()]
