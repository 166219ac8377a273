"""Ctrl-C in ``fit``: one sentence in place of a traceback."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from netlayers._notebook import in_notebook
from netlayers._printable import printable
from netlayers.training.callback import Callback

if TYPE_CHECKING:
    from types import TracebackType

_previous_hook: Any = None  # sys.excepthook as it was before an interruption


def explain_interruption(error: BaseException, run: Any) -> None:
    """Give the KeyboardInterrupt of a run a sentence, which is shown instead of its traceback.

    With ``NETLAYERS_DEBUG=1`` the traceback is shown too. Other exceptions are left as they are.

    Args:
        error: what ended the run.
        run: a :class:`netlayers.training.trainer.Run`.
    """
    global _previous_hook
    if not isinstance(error, KeyboardInterrupt):
        return
    text = printable(interruption(run))
    error.args = (text,)
    if os.environ.get("NETLAYERS_DEBUG"):
        return
    error._netlayers_sentence = text  # type: ignore[attr-defined]
    error._render_traceback_ = lambda: [text]  # type: ignore[attr-defined]  # IPython calls it
    if sys.excepthook is not _show:
        _previous_hook, sys.excepthook = sys.excepthook, _show


def _show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Print the sentence of an interruption; leave everything else to the hook before."""
    text = getattr(error, "_netlayers_sentence", None)
    if text is None:
        _previous_hook(kind, error, traceback)
    else:
        print(text, file=sys.stderr, flush=True)


def interruption(run: Any) -> str:
    """Return where a run was interrupted, what is saved, and how to go on, in one sentence."""
    epochs = f"epoch {run.epoch + 1} of {run.epochs.stop}"
    steps = run.data.steps
    if run.epoch >= run.epochs.stop:
        where = f"after epoch {run.epoch} of {run.epochs.stop}"
    elif run.batch is None:
        where = f"before {epochs}"
    elif run.logs is not None:
        where = f"in {epochs} after all its batches"
    elif run.batch:
        where = f"in {epochs} after batch {run.batch}" + (f" of {steps}" if steps else "")
    else:
        where = f"in {epochs} before its first batch"
    saved = [text for c in run.hooks.callbacks if isinstance(c, Callback) for text in c._saved()]
    lives = in_notebook() or hasattr(sys, "ps1")  # the model is still there
    if not saved and lives:
        saved = ["nothing was saved"]
    elif not saved:
        advice = "with the callback BackupAndRestore the same script would continue here"
        saved = [f"nothing was saved: {advice}"]
    if lives:
        again = f"fit(..., initial_epoch={run.epoch})" if run.epoch else "fit(...)"
        saved.append(f"{again} trains on from the weights as they are")
    return f"fit was interrupted {where}; {'; '.join(saved)}."
