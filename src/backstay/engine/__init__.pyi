# The public names of this package; each module is loaded when a name of it is first used.

from .archive_target import ArchiveTarget, discard_archive
from .contents import Survey, survey, trees
from .delivery import complete_unsent, document_of
from .files import BackupFile, backup_files, is_here, main_file, snapshot_path
from .log import log_header, open_log
from .parts import WORK, remove_parts
from .plan import Plan, address_of, make_plan
from .progress import Progress, percent
from .remote_plan import folder_of_archives, make_remote_plan
from .retention import apply_retention, local_rules, outdated, remove_files
from .run import BackupRun
from .sending import Sent, refresh_remote_filename, remove_copy, send_copy, send_part, withdraw_copies
from .snapshots import folder_of, let_go_of_snapshot, place_of, repository_by_name, repository_opener
from .target import discard

__all__ = [
    "WORK",
    "ArchiveTarget",
    "BackupFile",
    "BackupRun",
    "Plan",
    "Progress",
    "Sent",
    "Survey",
    "address_of",
    "apply_retention",
    "backup_files",
    "complete_unsent",
    "discard",
    "discard_archive",
    "document_of",
    "folder_of",
    "folder_of_archives",
    "is_here",
    "let_go_of_snapshot",
    "local_rules",
    "log_header",
    "main_file",
    "make_plan",
    "make_remote_plan",
    "open_log",
    "outdated",
    "percent",
    "place_of",
    "refresh_remote_filename",
    "remove_copy",
    "remove_files",
    "remove_parts",
    "repository_by_name",
    "repository_opener",
    "send_copy",
    "send_part",
    "snapshot_path",
    "survey",
    "trees",
    "withdraw_copies",
]
