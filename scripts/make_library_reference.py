"""Write ``docs/reference/library.md`` from the public names; ``--check`` only checks that it is up to date."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from enum import Enum

import backstay
from reference_page import write_or_check

HEAD = """# The library

These are the public names of the package `backstay`; they stay from version to version, and what is not listed here may
change. How they are used is shown in [drive a backup from a script](../how-to/drive-from-a-script.md). Whatever a user
can meet is raised as a class of `backstay.errors`; [exit codes](exit-codes.md) lists them.

```python
import backstay
```
"""


def main() -> int:
    """Write the page, or say whether it is up to date; gives the exit code."""
    return write_or_check("library.md", "\n".join([HEAD, *page()]) + "\n")


def page() -> Iterator[str]:
    """Give the lines of the page: a section for each public name."""
    for name in backstay.__all__:
        thing = getattr(backstay, name)
        yield f"## `{name}`\n"
        if inspect.isclass(thing):
            yield from class_section(name, thing)
        elif callable(thing):
            yield f"```python\n{name}{signature(thing)}\n```\n\n{docstring(thing)}\n"
        else:
            yield f"The version, as text: `{thing}`.\n" if name == "__version__" else f"`{thing!r}`\n"


def class_section(name: str, thing: type) -> Iterator[str]:
    """Give the lines of a class's section: what it is, then its public methods."""
    yield f"```python\n{name}{signature(thing)}\n```\n\n{docstring(thing)}\n"
    maker = inspect.getattr_static(thing, "__init__")
    if inspect.isfunction(maker) and maker.__module__.startswith("backstay") and maker.__doc__:
        yield f"{docstring(maker)}\n"
    own = {key for kind in thing.__mro__ if kind.__module__.startswith("backstay") for key in vars(kind)}
    for method_name in sorted(own):
        if method_name.startswith("_"):
            continue
        method = getattr(thing, method_name)
        if isinstance(method, property):
            yield f"### `{name}.{method_name}`\n\n{docstring(method)}\n"
        elif inspect.isfunction(method):
            yield f"### `{name}.{method_name}`\n\n```python\n{method_name}{signature(method)}\n```\n"
            yield f"{docstring(method)}\n"


def signature(thing: Callable[..., object]) -> str:
    """Give a callable's parameters and result the way they are written, long ones a parameter a line."""
    found = inspect.signature(thing)
    parameters = [parameter for parameter in found.parameters.values() if parameter.name != "self"]
    pieces = [written(parameter) for parameter in parameters]
    keywords = [index for index, parameter in enumerate(parameters) if parameter.kind is parameter.KEYWORD_ONLY]
    if keywords:
        pieces.insert(keywords[0], "*")
    result = "" if found.return_annotation in {found.empty, "None"} else f" -> {result_of(thing, found)}"
    one_line = f"({', '.join(pieces)}){result}"
    return one_line if len(one_line) < 90 else "(\n    " + ",\n    ".join(pieces) + f",\n){result}"


def written(parameter: inspect.Parameter) -> str:
    """Give one parameter with its type and default."""
    text = parameter.name if parameter.annotation is parameter.empty else f"{parameter.name}: {parameter.annotation}"
    if parameter.default is parameter.empty:
        return text
    default = parameter.default
    return f"{text} = {f'{type(default).__name__}.{default.name}' if isinstance(default, Enum) else repr(default)}"


def result_of(thing: Callable[..., object], found: inspect.Signature) -> str:
    """Give the type of a result; methods made from the description of a call give that call's reply."""
    call = re.fullmatch(r"Call\[(.*)\]", str(found.return_annotation))
    return call[1] if call and hasattr(thing, "__wrapped__") else str(found.return_annotation)


def docstring(thing: object) -> str:
    """Give a docstring as Markdown: its sections as headings in bold, its code in single marks."""
    lines = []
    for line in (inspect.getdoc(thing) or "").replace("``", "`").splitlines():
        if line in ("Args:", "Returns:", "Raises:", "Yields:", "Attributes:"):
            lines += [f"**{line.removesuffix(':')}**", ""]
        elif line.startswith("        "):
            lines[-1] += f" {line.strip()}"
        elif line.startswith("    "):
            lines.append(f"* {line.strip()}")
        else:
            lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
