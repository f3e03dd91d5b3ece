# The public names of this package; each module is loaded when a name of it is first used.

from .facts import SettingFact, as_stored, setting_facts, setting_groups
from .filters import SITE_DATABASE, SITE_ROOT, ExtraDatabase, ExtraDirectory, Filters, virtual_folder
from .settings import (
    ArchiveFormat,
    BackupType,
    CompressionProfile,
    Settings,
    VerificationLevel,
    setting_problems,
)

__all__ = [
    "SITE_DATABASE",
    "SITE_ROOT",
    "ArchiveFormat",
    "BackupType",
    "CompressionProfile",
    "ExtraDatabase",
    "ExtraDirectory",
    "Filters",
    "SettingFact",
    "Settings",
    "VerificationLevel",
    "as_stored",
    "setting_facts",
    "setting_groups",
    "setting_problems",
    "virtual_folder",
]
