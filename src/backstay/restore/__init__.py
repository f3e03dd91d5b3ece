"""Giving a site back: files, databases, its configuration."""

from backstay.restore.arriving import Arrival
from backstay.restore.background import Reporter
from backstay.restore.configuration import Move, Rewritten, rewrite_configuration
from backstay.restore.databases import present_tables, scratch_database
from backstay.restore.drill import ArchiveElsewhere, DrillReport, drill
from backstay.restore.journal import Journal, is_held, open_journals, read_lines, reopen_journal
from backstay.restore.layout import ArchivedDatabase, Layout, open_part, read_layout
from backstay.restore.moving import SiteMove, extract_configuration, find_move
from backstay.restore.plan import MAIN_DUMP, RemoteArchive, RestorePlan, RestoreProgress, RestoreReport
from backstay.restore.preparation import Fetch
from backstay.restore.replacement import Place
from backstay.restore.run import RestoreRun, begin

__all__ = [
    "MAIN_DUMP",
    "ArchiveElsewhere",
    "ArchivedDatabase",
    "Arrival",
    "DrillReport",
    "Fetch",
    "Journal",
    "Layout",
    "Move",
    "Place",
    "RemoteArchive",
    "Reporter",
    "RestorePlan",
    "RestoreProgress",
    "RestoreReport",
    "RestoreRun",
    "Rewritten",
    "SiteMove",
    "begin",
    "drill",
    "extract_configuration",
    "find_move",
    "is_held",
    "open_journals",
    "open_part",
    "present_tables",
    "read_layout",
    "read_lines",
    "reopen_journal",
    "rewrite_configuration",
    "scratch_database",
]
