"""Taking a backup: domains, progress, checkpoints, retention."""

from backstay.engine.contents import Survey, survey, trees
from backstay.engine.delivery import complete_unsent
from backstay.engine.files import BackupFile, backup_files, main_file
from backstay.engine.log import log_header, open_log
from backstay.engine.parts import WORK, discard
from backstay.engine.plan import Plan, address_of, make_plan
from backstay.engine.progress import Progress, percent
from backstay.engine.retention import apply_retention, local_rules, outdated, remove_files
from backstay.engine.run import BackupRun
from backstay.engine.sending import withdraw_copies

__all__ = [
    "WORK",
    "BackupFile",
    "BackupRun",
    "Plan",
    "Progress",
    "Survey",
    "address_of",
    "apply_retention",
    "backup_files",
    "complete_unsent",
    "discard",
    "local_rules",
    "log_header",
    "main_file",
    "make_plan",
    "open_log",
    "outdated",
    "percent",
    "remove_files",
    "survey",
    "trees",
    "withdraw_copies",
]
