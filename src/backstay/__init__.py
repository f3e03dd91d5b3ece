"""Backstay: a backup server for websites, and a client of any server of the Akeeba Backup JSON API."""

from backstay.version import __version__

__all__ = ["__version__"]
