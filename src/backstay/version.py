"""The version of Backstay and the day it was released, in one place."""

__version__ = "0.1.0"
RELEASE_DATE = "2026-11-21"
