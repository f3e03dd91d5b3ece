"""Write ``docs/reference/command-line.md`` from the commands; ``--check`` only tells whether it is up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

from backstay.cli import app
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


def page() -> Iterator[str]:
    """Give the lines of the page after its head: a list of the commands, then a section for each."""
    found = list(commands(typer.main.get_command(app), "backstay"))
    for name, command in found:
        yield f"* [`{name}`](#{name.replace(' ', '-')}) – {summary(command)}"
    for name, command in found:
        yield f"\n## {name}\n"
        yield from section(name, command)


# What Typer gives are objects of click's, which it carries along under a name of its own: hence Any.
def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Give every command below one, with its whole name, in the order they were added."""
    if not hasattr(command, "commands"):
        yield name, command
        return
    for child_name, child in command.commands.items():
        if not child.hidden:
            yield from commands(child, f"{name} {child_name}")


def summary(command: Any) -> str:
    """Give the first sentence of a command's help."""
    return " ".join((command.help or "").partition("\n\n")[0].split())


def section(name: str, command: Any) -> Iterator[str]:
    """Give the lines of one command's section: help, usage, examples, arguments and options."""
    told, examples = told_and_examples(command.help or "")
    yield told
    context = command.make_context(name, [], resilient_parsing=True)
    yield f"\n```\n{name} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    parameters = [parameter for parameter in command.get_params(context) if is_worth_a_row(parameter)]
    if parameters:
        yield "| | | Default |\n|---|---|---|"
        yield from (row(parameter, context) for parameter in parameters)
        yield ""
    if examples:
        yield "For example:\n\n```\n" + "\n".join(examples) + "\n```"


def told_and_examples(text: str) -> tuple[str, list[str]]:
    """Take a command's help apart: what it says, and the lines of its examples."""
    for word in ("\nExamples:", "\nExample:"):
        told, separator, rest = text.partition(word)
        if separator:
            return told.strip(), [line.strip() for line in rest.splitlines() if line.strip()]
    return text.strip(), []


def is_worth_a_row(parameter: Any) -> bool:
    """Tell what is the same for every command: ``--help``."""
    return "--help" not in parameter.opts and not getattr(parameter, "hidden", False)


def row(parameter: Any, context: Any) -> str:
    """Give one parameter's row."""
    metavar = parameter.make_metavar(context)
    if parameter.param_type_name == "argument":
        names = f"`{metavar.strip('[]').removesuffix('...')}`"
    else:
        value = "" if getattr(parameter, "is_flag", False) else f" {metavar}"
        names = ", ".join(f"`{name}{value}`" for name in [*parameter.opts, *parameter.secondary_opts])
    help_text = " ".join((getattr(parameter, "help", None) or "").split())
    variables = parameter.envvar if isinstance(parameter.envvar, list) else [parameter.envvar] * bool(parameter.envvar)
    if variables:
        help_text += " Also by " + " or ".join(f"`{variable}`" for variable in variables) + "."
    return f"| {escaped(names)} | {escaped(help_text)} | {escaped(default(parameter))} |"


def default(parameter: Any) -> str:
    """Give a parameter's default the way the help shows it."""
    shown = getattr(parameter, "show_default", None)
    if isinstance(shown, str):
        return shown
    value = parameter.default
    if parameter.required:
        return "required"
    if getattr(parameter, "is_flag", False) or value is None or callable(value) or value in ("", [], ()):
        return ""
    return f"`{getattr(value, 'value', value)}`"


def escaped(text: str) -> str:
    """Give text that a cell of a Markdown table takes."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
