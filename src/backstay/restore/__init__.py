"""Giving a site back: files, databases, its configuration."""

from backstay.restore.layout import ArchivedDatabase, Layout, read_layout
from backstay.restore.site import MAIN_DUMP, RestoreProgress, RestoreReport, restore_site

__all__ = ["MAIN_DUMP", "ArchivedDatabase", "Layout", "RestoreProgress", "RestoreReport", "read_layout", "restore_site"]
