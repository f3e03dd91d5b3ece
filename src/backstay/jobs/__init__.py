"""What a person or a call asks for: take a backup, resume it, restore it."""

from backstay.engine import BackupFile
from backstay.jobs.backup import StepState, acknowledge, start_backup, step_backup, survey_backup
from backstay.jobs.configuration import Configuration
from backstay.jobs.drill import drill_after_backup, drill_backup
from backstay.jobs.installation import Installation, api_secret, open_installation, set_secret
from backstay.jobs.launch import resume_dead, stop
from backstay.jobs.migrate import backup_remotely
from backstay.jobs.profiles import (
    create_profile,
    delete_profile,
    edit_profile,
    export_profile,
    import_profile,
    profile_of_site,
)
from backstay.jobs.records import (
    ListedBackup,
    backup_files,
    delete_backup,
    delete_backup_files,
    freeze_backup,
    get_backup,
    list_backups,
    read_log,
)
from backstay.jobs.restore import (
    PendingRestore,
    RestoreSource,
    begin_restore,
    brought_here,
    confirm_overdue,
    confirm_restore,
    pending_restores,
    run_restore,
    source_of_backup,
    source_of_server,
    take_up_restore,
    undo_restore,
)

__all__ = [
    "BackupFile",
    "Configuration",
    "Installation",
    "ListedBackup",
    "PendingRestore",
    "RestoreSource",
    "StepState",
    "acknowledge",
    "api_secret",
    "backup_files",
    "backup_remotely",
    "begin_restore",
    "brought_here",
    "confirm_overdue",
    "confirm_restore",
    "create_profile",
    "delete_backup",
    "delete_backup_files",
    "delete_profile",
    "drill_after_backup",
    "drill_backup",
    "edit_profile",
    "export_profile",
    "freeze_backup",
    "get_backup",
    "import_profile",
    "list_backups",
    "open_installation",
    "pending_restores",
    "profile_of_site",
    "read_log",
    "resume_dead",
    "run_restore",
    "set_secret",
    "source_of_backup",
    "source_of_server",
    "start_backup",
    "step_backup",
    "stop",
    "survey_backup",
    "take_up_restore",
    "undo_restore",
]
