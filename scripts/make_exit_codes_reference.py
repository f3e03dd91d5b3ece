"""Write ``docs/reference/exit-codes.md`` from the tree of errors; ``--check`` only checks that it is up to date."""

from __future__ import annotations

import sys

from backstay.errors import BackstayError
from reference_page import write_or_check

HEAD = """# Exit codes

Every command of `backstay` exits with 0 when it did what was asked. When it did not, it prints one sentence and exits
with the code of the error's class, so that a script can distinguish a wrong secret from a full disk. The codes are
stable from version to version; a signal ends a command with 128 plus its number, as for any program (130 for Ctrl-C).

| Code | Class in `backstay.errors` | What happened |
|---:|---|---|
| 0 | | All went well. |
"""


def main() -> int:
    """Write the page, or say whether it is up to date; gives the exit code."""
    return write_or_check("exit-codes.md", HEAD + "".join(f"{row}\n" for row in rows()))


def rows() -> list[str]:
    """Give a row of the table for each class of error, in the order of the codes."""
    errors = sorted(tree(BackstayError), key=lambda error: (error.exit_code, error.__name__))
    return [f"| {error.exit_code} | `{error.__name__}` | {first_paragraph(error)} |" for error in errors]


def tree(error: type[BackstayError]) -> list[type[BackstayError]]:
    """Give a class and all below it."""
    return [error, *(found for child in error.__subclasses__() for found in tree(child))]


def first_paragraph(error: type[BackstayError]) -> str:
    """Give what a class says of itself, in one line."""
    return " ".join((error.__doc__ or "").partition("\n\n")[0].split())


if __name__ == "__main__":
    sys.exit(main())
