"""The Python side of a program: a module made of UDF source, or names that a caller gave.

A library knows of each of its names what can be said without calling it (`Item`), so that declarations can be checked
against it. The compiler's process gets only that: the module is executed in a process of its own (`describe.py`), and
for good in the process that runs the pipeline.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
import linecache
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

from millstream.udf.marks import Style, mark_of

LABEL = "udf_python"
"""What messages call the source of a pipeline's functions: the field of the pipeline object."""
MAX_TEXT = 1000

_numbers = itertools.count(1)


class SourceError(Exception):
    """UDF source that is no Python or cannot be executed; `snippet` shows where, or is None."""

    def __init__(self, message: str, snippet: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.snippet = snippet


@dataclass(frozen=True, slots=True)
class Item:
    """One name of a library. A callable takes `least` to `most` (None: any number of) positional arguments; `unusable`
    says why it cannot be called like that. `types`: the Arrow types that a value consists of, if it does."""

    is_callable: bool
    least: int = 0
    most: int | None = None
    line: int | None = None
    style: Style = "arrow"
    unusable: str | None = None
    types: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Library:
    """Names and what they are. `namespace` is empty where the code is not going to be called; `checked` is false where
    nothing is known about it yet. `label` is what messages call it, `filename` what its tracebacks do."""

    items: Mapping[str, Item] = field(default_factory=dict)
    namespace: Mapping[str, Any] = field(default_factory=dict)
    label: str = LABEL
    filename: str | None = None
    fingerprint: str = ""
    checked: bool = True


#: For programs without UDF source.
NO_LIBRARY = Library()


def unchecked(source: str) -> Library:
    """What stands for a module with this source while it has not been executed: all declarations suit it."""
    return Library(fingerprint=_fingerprint(source), checked=False)


def load_source(source: str, label: str = LABEL) -> Library:
    """The library of a module with this source, which is executed. Raises SourceError."""
    number = next(_numbers)
    filename = f"<{label}>" if number == 1 else f"<{label} {number}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    code = _compiled(source, label, filename)
    module = ModuleType(f"millstream_udf_{number}", "User-defined functions of a program.")
    module.__file__ = filename
    sys.modules[module.__name__] = module  # dataclasses and pickle look for the module of a class
    try:
        exec(code, module.__dict__)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is the author's to see
        del sys.modules[module.__name__]
        line = line_of(error, filename)
        place = label if line is None else f"{label}, line {line}"
        raise SourceError(f"{place}: {describe_error(error)}", _snippet(source, line)) from None
    namespace = {name: value for name, value in vars(module).items() if not name.startswith("__")}
    return Library(_items(namespace), namespace, label, filename, _fingerprint(source))


def library_of(namespace: Mapping[str, Any]) -> Library:
    """The library of functions that a caller has at hand, by name."""
    return Library(_items(namespace), dict(namespace), "the given functions", None, f"given {next(_numbers)}")


def described(items: Mapping[str, Mapping[str, Any]], source: str) -> Library:
    """The library that `describe.py` wrote about, without its code."""
    found = {
        name: Item(**{**item, "types": None if item["types"] is None else tuple(item["types"])})
        for name, item in items.items()
    }
    return Library(found, fingerprint=_fingerprint(source))


def description(library: Library) -> dict[str, dict[str, Any]]:
    """What `described` takes."""
    return {name: asdict(item) for name, item in library.items.items()}


def _fingerprint(source: str) -> str:
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()


# ---- errors of Python --------------------------------------------------------------------------------------------


def describe_error(error: BaseException) -> str:
    """`ValueError: text`, of bounded length."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ of the user's own exception
        text = "(its text cannot be shown)"
    text = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + " ..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def line_of(error: BaseException, filename: str | None) -> int | None:
    """The line of a source file in which an exception was raised, or that called what raised it."""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == filename]
    return lines[-1] if lines else None


def _compiled(source: str, label: str, filename: str) -> CodeType:
    try:
        return compile(source, filename, "exec", dont_inherit=True)
    except SyntaxError as error:
        place = label if error.lineno is None else f"{label}, line {error.lineno}"
        text = f"{place}: {type(error).__name__}: {error.msg}"
        raise SourceError(text, _snippet(source, error.lineno, error.offset)) from None
    except (ValueError, RecursionError, MemoryError) as error:  # null characters; absurd nesting
        raise SourceError(f"{label}: {describe_error(error)}") from None


def _snippet(source: str, line: int | None, column: int | None = None) -> str | None:
    """The line and the one before it, numbered, with a mark under the column or the whole text of the line."""
    lines = source.splitlines()
    if line is None or not 1 <= line <= len(lines):
        return None
    text = lines[line - 1]
    shown = [f"{number:5}|{lines[number - 1]}" for number in range(max(1, line - 1), line + 1)]
    start = len(text) - len(text.lstrip()) if column is None else min(max(column - 1, 0), len(text))
    width = max(1, len(text.strip())) if column is None else 1
    return "\n".join([*shown, " " * (6 + start) + "^" * width]) + "\n"


# ---- what is known about names -----------------------------------------------------------------------------------


def _items(namespace: Mapping[str, Any]) -> dict[str, Item]:
    return {name: _item(value) for name, value in namespace.items() if not isinstance(value, ModuleType)}


def _item(value: Any) -> Item:
    if not callable(value):
        return Item(False, types=_types(value))
    style = mark_of(value).style
    line = value.__code__.co_firstlineno if isinstance(value, FunctionType) else None
    try:
        parameters = list(inspect.signature(value).parameters.values())
    except (TypeError, ValueError):  # built-in functions that do not tell
        return Item(True, style=style)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    least = sum(p.default is p.empty for p in positional)
    most = None if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional)
    named = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    unusable = None
    if inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value) or inspect.isgeneratorfunction(value):
        unusable = "is a generator or a coroutine, not a plain function"
    elif named:
        unusable = f"needs the keyword argument '{named[0]}'; arguments are given by position"
    return Item(True, least, most, line, style, unusable)


def _types(value: Any) -> tuple[str, ...] | None:
    """The Arrow types in a value. pyarrow is loaded already if there are any."""
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is None:
        return None
    parts = value if isinstance(value, tuple | list) else (value,)
    return tuple(map(str, parts)) if parts and all(isinstance(part, pyarrow.DataType) for part in parts) else None


def function_of(library: Library, name: str) -> Callable[..., Any] | None:
    """The callable of that name; None in a library without code."""
    found = library.namespace.get(name)
    return found if callable(found) else None
