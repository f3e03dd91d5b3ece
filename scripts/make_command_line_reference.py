"""Write ``docs/reference/command-line.md`` from the commands; ``--check`` only checks that it is up to date."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from typer.models import ArgumentInfo, OptionInfo

from backstay.cli import application
from reference_page import write_or_check

HEAD = """# The command line

Every command, with what it takes. `backstay COMMAND --help` says the same. What a command's exit code means is in
[exit codes](exit-codes.md).

Commands that list or show take `--json` and then print one JSON document on standard output and nothing else there.
Progress, warnings and errors go to standard error: a bar where that is a terminal, plain lines elsewhere.

Secrets are best given by the environment, since other users of the machine can see command lines.
"""


def main() -> int:
    """Write the page, or say whether it is up to date; gives the exit code."""
    return write_or_check("command-line.md", "\n".join([HEAD, *page()]))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument or option, as the page shows it.

    Attributes:
        is_argument: whether it is given by its place.
        names: what the user writes, with the word for the value.
        meaning: the help, and the variables that do the same.
        default: the words for it; empty where there is none to speak of.
        required: whether the command does not work without it.
    """

    is_argument: bool
    names: tuple[str, ...]
    meaning: str
    default: str
    required: bool


def page() -> Iterator[str]:
    """Give the lines of the page after its head: a list of the commands, then a section for each."""
    found = list(commands(application(), "backstay"))
    for name, function in found:
        yield f"* [`{name}`](#{name.replace(' ', '-')}) – {summary(function)}"
    for name, function in found:
        yield f"\n## {name}\n"
        yield from section(name, function)


def commands(group: typer.Typer, name: str) -> Iterator[tuple[str, Callable[..., object]]]:
    """Give every command of a group with its whole name, in the order they were added; groups that are commands too."""
    for command in group.registered_commands:
        if command.callback is not None and not command.hidden:
            yield f"{name} {command.name or command.callback.__name__.replace('_', '-')}", command.callback
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            alone = inner.typer_instance.registered_callback
            if alone is not None and alone.invoke_without_command and alone.callback is not None:
                yield f"{name} {inner.name}", alone.callback
            yield from commands(inner.typer_instance, f"{name} {inner.name}")


def summary(function: Callable[..., object]) -> str:
    """Give the first sentence of a command's help."""
    return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())


def section(name: str, function: Callable[..., object]) -> Iterator[str]:
    """Give the lines of one command's section: help, usage, arguments and options, examples."""
    text, examples = text_and_examples(inspect.getdoc(function) or "")
    found = [parameter for parameter in parameters(function) if parameter.names]
    arguments = [entry.names[0] if entry.required else f"[{entry.names[0]}]" for entry in found if entry.is_argument]
    options = [entry.names[0] for entry in found if not entry.is_argument and entry.required]
    rest = ["[OPTIONS]"] if any(not entry.is_argument and not entry.required for entry in found) else []
    yield f"{text}\n\n```\n{' '.join([name, *arguments, *options, *rest])}\n```\n"
    if found:
        yield "| | | Default |\n|---|---|---|"
        yield from (row(parameter) for parameter in found)
        yield ""
    if examples:
        yield "For example:\n\n```\n" + "\n".join(examples) + "\n```"


def text_and_examples(text: str) -> tuple[str, list[str]]:
    """Split a command's help: its text, and the lines of its examples."""
    for word in ("\nExamples:", "\nExample:"):
        before, separator, rest = text.partition(word)
        if separator:
            return before.strip(), [line.strip() for line in rest.splitlines() if line.strip()]
    return text.strip(), []


def parameters(function: Callable[..., object]) -> Iterator[Parameter]:
    """Give the parameters of a command, read from the function that is the command."""
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        kind = parameter.annotation
        if get_origin(kind) is Annotated:
            kind, info = get_args(kind)[0], get_args(kind)[1]
            if isinstance(info, ArgumentInfo | OptionInfo) and not info.hidden:
                yield described(parameter, kind, info)


def described(parameter: inspect.Parameter, kind: Any, info: ArgumentInfo | OptionInfo) -> Parameter:
    """Give what the page says of one parameter."""
    required = parameter.default is parameter.empty
    variables = [info.envvar] if isinstance(info.envvar, str) else list(info.envvar or [])
    also = f" Also by {' or '.join(f'`{variable}`' for variable in variables)}." if variables else ""
    is_argument = isinstance(info, ArgumentInfo)
    word = info.metavar or word_for(parameter.name, kind, is_argument=is_argument)
    # Within Annotated, Typer takes the first positional for a name, although it is called default.
    given = [name for name in (info.default, *(info.param_decls or ())) if isinstance(name, str)]
    names = sorted(given or [f"--{parameter.name.replace('_', '-')}"], key=len, reverse=True)
    return Parameter(
        is_argument=is_argument,
        names=(word,) if is_argument else tuple(f"{name} {word}".strip() for name in names),
        meaning=" ".join((info.help or "").split()) + also,
        default="required" if required else default_in_words(parameter.default, info.show_default),
        required=required,
    )


def word_for(name: str, kind: Any, *, is_argument: bool) -> str:
    """Give the word that stands for a value: empty for what is only switched on."""
    if get_origin(kind) in {types.UnionType, Union}:
        kind = next(choice for choice in get_args(kind) if choice is not types.NoneType)
    if get_origin(kind) is list:
        kind = get_args(kind)[0]
    if is_argument:
        return name.upper()
    if get_origin(kind) is Literal:
        return "|".join(str(choice) for choice in get_args(kind))
    return {bool: "", int: "NUMBER", float: "NUMBER", Path: "PATH"}.get(kind, "TEXT")


def default_in_words(default: object, shown: object) -> str:
    """Give a default as the page shows it."""
    if isinstance(shown, str):
        return shown
    if default in (None, False, "", (), []) or shown is False or callable(default):
        return ""
    return f"`{getattr(default, 'value', default)}`"


def row(parameter: Parameter) -> str:
    """Give one parameter's row of the table."""
    names = ", ".join(f"`{name}`" for name in parameter.names)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (names, parameter.meaning, parameter.default)) + " |"


if __name__ == "__main__":
    sys.exit(main())
