"""Methods that a subclass has to write raise NotImplementedError, and no others do."""

import importlib
import inspect
import pkgutil

import netlayers
from tests.golden import check_text


def abstract_methods():
    for found in pkgutil.walk_packages(netlayers.__path__, "netlayers."):
        if "compiled" in found.name or found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        for cls in vars(module).values():
            if inspect.isclass(cls) and cls.__module__ == module.__name__:
                for name, method in vars(cls).items():
                    function = inspect.unwrap(getattr(method, "fget", None) or method)
                    code = getattr(function, "__code__", None)
                    if code is not None and "NotImplementedError" in code.co_names:
                        arguments = [None] * code.co_argcount
                        yield f"{module.__name__}.{cls.__qualname__}.{name}: " + raised_by(
                            lambda f=function, its=arguments: f(*its)
                        )


def raised_by(call):
    try:
        return f"returns {call()!r}"
    except Exception as error:
        return type(error).__name__


def test_abstract_methods():
    check_text(__file__, "abstract.txt", "\n".join(sorted(abstract_methods())))
