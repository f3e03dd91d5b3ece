"""Every setting once, filters, import and export of profiles."""

from backstay.profiles.filters import SITE_DATABASE, SITE_ROOT, ExtraDatabase, ExtraDirectory, Filters, virtual_folder
from backstay.profiles.settings import (
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
