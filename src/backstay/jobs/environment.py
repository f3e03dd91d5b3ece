"""What programs that Backstay starts are given of its own environment."""

from __future__ import annotations

import os

SECRET_VARIABLE = "BACKSTAY_SECRET"  # noqa: S105 - the name of a variable, not a secret


def child_environment() -> dict[str, str]:
    """Return this process's environment for one that it starts and that stands in another folder.

    Without the secret word of the API, which only a server needs. Relative folders of ``PATH`` are made absolute: they
    would name other programs there.
    """
    environment = {name: value for name, value in os.environ.items() if name != SECRET_VARIABLE}
    if "PATH" in environment:
        folders = environment["PATH"].split(os.pathsep)
        environment["PATH"] = os.pathsep.join(os.path.abspath(folder) for folder in folders)  # noqa: PTH100 - links stay
    return environment
