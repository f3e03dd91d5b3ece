"""Write ``docs/reference/settings.md`` from the settings' models; ``--check`` only checks that it is up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from pydantic import BaseModel, SecretStr

from backstay.jobs.configuration import Configuration
from backstay.profiles import setting_facts
from reference_page import write_or_check

HEAD = """# Settings

## Of a profile

What is backed up, and how. They are set by `backstay profile create` and `edit` with `--set NAME=VALUE`, or by a client
of the API under their dotted key. An empty value goes back to the default.

| Name | Key in the API | Default | Meaning |
|---|---|---|---|
"""

NOT_HONOURED = """
### [HOST]

In names and descriptions it is the host of the site's address: `WP_HOME` or `WP_SITEURL`, else WordPress's options
`home` and `siteurl`; Joomla's `$live_site`; `APP_URL`, `WP_HOME` or `SITE_URL` of a `.env` file. A site that names none
has `unknown_host`: give its profile another template, `site-shop.example.com-[DATE]-[TIME_TZ]-[RANDOM]`.

### Keys of the reference engine that are not listed

They are kept with the profile, given back when it is exported, and have no effect; `backstay profile import` names
them.

A name like `brs` in `akeeba.advanced.embedded_installer`, as a profile of the reference engine holds it, is a warning
and no error while the folder `installers` has no such package. Whatever the key says, `none` included, the dumps lie in
`installation/sql/` with `databases.json` beside them.
"""

INSTALLATION = """
## Of an installation

They are read from `backstay.toml` in `BACKSTAY_HOME`, a table for each group, and from variables named
`BACKSTAY_GROUP__NAME`, which count more: `BACKSTAY_SERVER__PORT=9000`.
"""


def main() -> int:
    """Write the page, or say whether it is up to date; gives the exit code."""
    return write_or_check(
        "settings.md",
        HEAD + "".join(f"{line}\n" for line in [*profile_rows(), NOT_HONOURED.rstrip(), *installation_lines()]),
    )


def profile_rows() -> Iterator[str]:
    """Give a row for each setting of a profile."""
    for fact in setting_facts():
        yield f"| `{fact.name}` | `{fact.key}` | {code(fact.default)} | {cell(fact.description)} |"


def installation_lines() -> Iterator[str]:
    """Give a section with a table for each group of an installation's settings."""
    yield INSTALLATION
    for group, field in Configuration.model_fields.items():
        model = field.annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise TypeError(f"the group {group} is no model")
        yield f"### [{group}]\n\n{field.description}\n\n| Name | Default | Meaning |\n|---|---|---|"
        for name, setting in model.model_fields.items():
            default = setting.get_default(call_default_factory=True)
            shown = "" if isinstance(default, SecretStr) else default
            shown = str(shown).lower() if isinstance(shown, bool) else str(shown)
            yield f"| `{name}` | {code(shown)} | {cell(setting.description or '')} |"
        yield ""


def code(text: str) -> str:
    """Give a value as code, or nothing where it is empty."""
    return f"`{cell(text)}`" if text else ""


def cell(text: str) -> str:
    """Give text that a cell of a Markdown table takes."""
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    sys.exit(main())
