"""When something is due: cron expressions on the clocks of a place. Nothing is stored here."""

from backstay.schedules.expressions import NAMES
from backstay.schedules.spread import spread_of
from backstay.schedules.timing import Timing, due_times, latest_due, next_due, read_timing
from backstay.schedules.zones import find_zone, machine_time_zone, zone_names

__all__ = [
    "NAMES",
    "Timing",
    "due_times",
    "find_zone",
    "latest_due",
    "machine_time_zone",
    "next_due",
    "read_timing",
    "spread_of",
    "zone_names",
]
