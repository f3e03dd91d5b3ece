"""Alarms: rules over plain facts, and reading these from the catalogue."""

from backstay.alarms.facts import read_facts
from backstay.alarms.model import DiskFacts, Facts, ProfileFacts, StorageFacts, Thresholds
from backstay.alarms.rules import RULES, Rule, find_all

__all__ = [
    "RULES",
    "DiskFacts",
    "Facts",
    "ProfileFacts",
    "Rule",
    "StorageFacts",
    "Thresholds",
    "find_all",
    "read_facts",
]
