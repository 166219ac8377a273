"""Callbacks whose hooks a loop of the user calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.callbacks.progress import ProgressBar
from netlayers.training import callback

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlayers.training.compilation import CompilableModel

# Ends of the names of hooks that get logs alone.
_WITHOUT_NUMBER = tuple(
    f"{kind}_{end}" for kind in ("train", "test", "predict") for end in ("begin", "end")
)


class CallbackList(callback.CallbackList):
    """Calls the hooks of all callbacks, in their order.

    Args:
        callbacks: objects with Keras's hooks, usually a :class:`Callback`.
        add_history: also call those of a :class:`History`.
        add_progbar: also call those of a :class:`ProgressBar`.
        model: passed to the callbacks.
        params: ``epochs=3, steps=10, ...``, passed to the callbacks.

    In a loop of your own, call its hooks: ``hooks.on_train_begin()``, ``hooks.on_epoch_end(epoch,
    logs)``, ...

    Example:
        >>> import netlayers as nl
        >>> log = nl.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
        >>> hooks = nl.callbacks.CallbackList([log])
        >>> hooks.on_epoch_end(0, {"loss": 1.5})
        0 {'loss': 1.5}
    """

    def __init__(
        self,
        callbacks: Sequence[Any] | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: CompilableModel | None = None,
        **params: Any,
    ) -> None:
        more = [ProgressBar()] * add_progbar + [callback.History()] * add_history
        super().__init__([*(callbacks or ()), *more], model, params)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Return a function that calls a hook of all callbacks."""
        if not name.startswith("on_") or not hasattr(callback.Callback, name):
            raise AttributeError(f"CallbackList has no attribute {name!r}")

        def hook(*args: Any) -> None:
            logs_missing = len(args) == (0 if name.endswith(_WITHOUT_NUMBER) else 1)
            self.fire(name, *args, *([{}] if logs_missing else []))

        return hook

    def append(self, added: callback.Callback) -> None:
        """Add a callback at the end.

        Args:
            added: the callback.
        """
        self.callbacks.append(added)
        self._hooks.clear()
