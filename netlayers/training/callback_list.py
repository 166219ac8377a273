"""The callbacks of a run, whose hooks are called together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netlayers.training.callback import Callback

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlayers.training.callback import RunPlan
    from netlayers.training.compilation import CompilableModel


# Ends of the names of hooks that get logs alone.
_WITHOUT_NUMBER = tuple(
    f"{kind}_{end}" for kind in ("train", "test", "predict") for end in ("begin", "end")
)


class CallbackList:
    """Calls the hooks of all callbacks, in their order.

    Only hooks that a callback defines are called; undefined batch hooks have no cost.

    Args:
        callbacks: objects with Keras's hooks, usually a :class:`Callback`.
        model: passed to the callbacks.
        params: passed to the callbacks.

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
        model: CompilableModel | None = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        self.callbacks = list(callbacks or ())
        self.model = model
        self.params = params = {} if params is None else params
        self.epoch: int | None = None
        self.batch: int | None = None
        self._hooks: dict[str, list[tuple[str, Callable[..., Any]]]] = {}
        for callback in self.callbacks:
            callback.set_params(params)
            callback.set_model(model)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Return a function that calls a hook of all callbacks."""
        if not name.startswith("on_") or not hasattr(Callback, name):
            raise AttributeError(f"CallbackList has no attribute {name!r}")

        def hook(*args: Any) -> None:
            logs_missing = len(args) == (0 if name.endswith(_WITHOUT_NUMBER) else 1)
            self.fire(name, *args, *([{}] if logs_missing else []))

        return hook

    def append(self, callback: Callback) -> None:
        """Add a callback at the end."""
        self.callbacks.append(callback)
        self._hooks.clear()

    def check(self, plan: RunPlan) -> None:
        """Call :meth:`Callback.check_run` of all callbacks.

        Raises:
            ConfigurationError: a callback can have no effect in this run.
        """
        for callback in self.callbacks:  # each sees what those before it add, and it itself
            adds = getattr(callback, "_adds", ())
            if plan.added is not None:
                foreign = _is_foreign(callback, "on_epoch_end")
                plan = replace(plan, added=None if foreign else (*plan.added, *adds))
            if plan.added_to_batches is not None and _overrides(callback, "on_train_batch_end"):
                foreign = _is_foreign(callback, "on_train_batch_end")
                names = None if foreign else (*plan.added_to_batches, *adds)
                plan = replace(plan, added_to_batches=names)
            if hasattr(callback, "check_run"):
                callback.check_run(plan)

    def has(self, hook: str) -> bool:
        """Whether a callback defines the hook."""
        return bool(self._defined(hook))

    def fire(self, hook: str, *args: Any) -> None:
        """Call a hook of every callback that defines it.

        An error of a callback is raised with a note that names the callback and the hook.
        """
        for callback, function in self._defined(hook):
            try:
                function(*args)
            except BaseException as error:
                where = "" if self.epoch is None else f" in epoch {self.epoch}"
                where += "" if self.batch is None else f", batch {self.batch}"
                error.add_note(f"Raised by the callback {callback}, hook {hook}{where}.")
                raise

    def fire_all(self, hook: str, *args: Any) -> None:
        """Call a hook of every callback, even if one of them raises; then raise the first error."""
        first: BaseException | None = None
        for callback, function in self._defined(hook):
            try:
                function(*args)
            except BaseException as error:
                error.add_note(f"Raised by the callback {callback}, hook {hook}.")
                first = first or error
        if first is not None:
            raise first

    def _defined(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        """Return class name and method of each callback that overrides the hook."""
        if hook not in self._hooks:
            names = [hook]
            if hook.startswith("on_train_batch_"):  # its short name, for a class without the long
                names.append(hook.replace("train_", ""))
            defined = self._hooks[hook] = []
            for c in self.callbacks:
                its = next((name for name in names if _overrides(c, name)), None)
                if its is not None:
                    defined.append((type(c).__name__, getattr(c, its)))
        return self._hooks[hook]


def _overrides(callback: Any, hook: str) -> bool:
    function = getattr(callback, hook, None)
    empty = getattr(Callback, hook)
    return function is not None and getattr(function, "__func__", function) is not empty


def _is_foreign(callback: Any, hook: str) -> bool:
    """Whether a callback has a hook from outside the package, which may do anything."""
    module = str(getattr(getattr(callback, hook, None), "__module__", ""))
    return _overrides(callback, hook) and not module.startswith("netlayers.")
