"""List, run and report the checks of a family of classes."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netlayers.errors import NetlayersError

if TYPE_CHECKING:
    from collections.abc import Callable


class ContractError(NetlayersError, AssertionError):
    """A class violates the contract of its family.

    Args:
        message: what is wrong.
        check: see below.
        subject: see below.

    Attributes:
        check: name of the check that failed.
        subject: the class with the constructor arguments and the input of the example.
    """

    def __init__(self, message: str, check: str = "", subject: str = "") -> None:
        super().__init__(message)
        self.check, self.subject = check, subject

    def __reduce__(self) -> tuple[Any, ...]:
        return ContractError, (str(self), self.check, self.subject)


class Mismatch(Exception):
    """The finding of a check: expected, actual, and a hint."""

    def __init__(self, expected: str, got: str, hint: str) -> None:
        super().__init__(expected, got, hint)
        self.expected, self.got, self.hint = expected, got, hint


@dataclass(frozen=True)
class Example:
    """A class with constructor arguments, and a description of the data to try it on.

    Attributes:
        cls: the class.
        arguments: keyword arguments of the constructor.
        data: shape of the input of a layer; kinds of the targets and of the predictions of a loss
            or a metric; empty for other families.
    """

    cls: Any
    arguments: dict[str, Any]
    data: tuple[Any, ...] = ()

    def make(self, **more: Any) -> Any:
        """Return a new object."""
        return self.cls(**{**copy.deepcopy(self.arguments), **more})

    def without(self, argument: str) -> Example:
        """Return the example with the default of an argument."""
        rest = {name: value for name, value in self.arguments.items() if name != argument}
        return Example(self.cls, rest, self.data)

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={_short(value)}" for name, value in self.arguments.items())
        data = (
            ""
            if not self.data
            else " on " + ", ".join(getattr(one, "__name__", str(one)) for one in self.data)
        )
        return f"{self.cls.__name__}({shown}){data}"


@dataclass(frozen=True)
class Check:
    """A check of a family.

    Attributes:
        name: what messages call it.
        function: takes an :class:`Example`, or all examples of the class; raises where the promise
            is broken.
        whole: whether it takes all examples of the class at once.
        strict: whether only ``strict=True`` runs it.
        when: whether it concerns an example; ``None`` for all.
    """

    name: str
    function: Callable[[Any], None]
    whole: bool = False
    strict: bool = False
    when: Callable[[Example], bool] | None = None

    @property
    def promise(self) -> str:
        """What the check looks for, from the docstring of its function."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0].removeprefix("Check that ")


_CHECKS: dict[str, list[Check]] = {}


def check(
    *kinds: str,
    whole: bool = False,
    strict: bool = False,
    when: Callable[[Example], bool] | None = None,
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Decorate a function: make it a check of these families, under its own name."""

    def decorate(function: Callable[[Any], None]) -> Callable[[Any], None]:
        for kind in kinds:
            made = Check(function.__name__, function, whole, strict, when)
            _CHECKS.setdefault(kind, []).append(made)
        return function

    return decorate


@dataclass(frozen=True)
class Case:
    """A check with the example, or the examples, that it runs on; call it to run it.

    Attributes:
        check: the check.
        examples: objects of the class, and their inputs.

    Raises:
        ContractError: the class breaks the promise.
    """

    check: Check
    examples: tuple[Example, ...]

    def __str__(self) -> str:
        name = self.examples[0].cls.__name__
        return f"{self.check.name}-{name if self.check.whole else self.examples[0]}"

    def __call__(self) -> None:
        """Run the check; see the class."""
        subject = self.examples[0].cls.__name__ if self.check.whole else str(self.examples[0])
        try:
            self.check.function(list(self.examples) if self.check.whole else self.examples[0])
        except Mismatch as found:
            text = (
                f"{subject} fails the check {self.check.name!r}.\n"
                f"  expected: {found.expected}\n  got: {found.got}\n  to do: {found.hint}"
            )
            raise ContractError(text, self.check.name, subject) from None
        except Exception as error:
            promise = self.check.promise
            text = (
                f"{subject} fails the check {self.check.name!r}.\n"
                f"  expected: {promise}\n  got: {type(error).__name__}: {error}\n"
                "  to do: see the error above this one for the place where it was raised"
            )
            raise ContractError(text, self.check.name, subject) from error


@dataclass
class ContractReport:
    """The results of the checks of a class; prints as a list of failures.

    Attributes:
        name: of the class.
        count: checks that were run.
        failures: a :class:`ContractError` for each that failed.
    """

    name: str
    count: int = 0
    failures: list[ContractError] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    def __str__(self) -> str:
        found = f"{len(self.failures)} of {self.count} failed" if self.failures else "passed"
        return "\n".join([*map(str, self.failures), f"{self.name}: {self.count} checks, {found}"])


def cases_of(kind: str, examples: list[Example], strict: bool) -> list[Case]:
    """Return the checks of a family with the examples that each runs on."""
    found = []
    for one in _CHECKS[kind]:
        if one.strict and not strict:
            continue
        fitting = tuple(e for e in examples if one.when is None or one.when(e))
        if one.whole and fitting:
            found.append(Case(one, fitting))
        elif not one.whole:
            found += [Case(one, (example,)) for example in fitting]
    return found


def run(cases: list[Case], name: str, collect: bool) -> ContractReport:
    """Run the cases; raise the first failure, or collect them all."""
    report = ContractReport(name)
    for case in cases:
        report.count += 1
        try:
            case()
        except ContractError as failure:
            if not collect:
                raise
            report.failures.append(failure)
    return report


def _short(value: Any) -> str:
    if isinstance(value, dict) and "class_name" in value:
        return str(value["class_name"])
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_short, value))}]"
    return repr(value)
