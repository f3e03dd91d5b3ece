# The public names of this package; each module is loaded when a name of it is first used.

from .filters import SITE_DATABASE, SITE_ROOT, ExtraDatabase, ExtraDirectory, Filters, virtual_folder
from .settings import (
    ArchiveFormat,
    BackupType,
    CompressionProfile,
    SettingFact,
    Settings,
    VerificationLevel,
    as_stored,
    setting_facts,
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
    "virtual_folder",
]
