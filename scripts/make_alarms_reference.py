"""Write ``docs/reference/alarms.md`` from the rules; ``--check`` only tells whether it is up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from backstay.alarms import RULES, Rule
from backstay.profiles import setting_facts
from reference_page import write_or_check

HEAD = """# Alarms

What Backstay holds to be wrong. `backstay alarms` lists it, says what to do, and ends with the exit code 1 while an
alarm is open. Alarms are computed anew from the catalogue each minute while `backstay serve` or `backstay worker` runs,
at the end of each backup, and by `backstay alarms` itself; storages, disks and archives are looked at every 15 minutes,
or at once with `--look`.

* **open**: it counts. For each kind and each profile, storage or disk there is one at most, however often its cause
  comes up.
* **acknowledged**: `backstay alarms acknowledge ID` says that a person knows. It does not count, and stays until its
  cause is gone; where it becomes worse (another folder is empty, say) it is open again.
* **closed**: its cause is gone. It closes by itself, or with the profile it is about, and is kept: `backstay alarms
  --all`.

Moments are in UTC. A profile's thresholds are settings of the profile: `backstay profile edit ID --set NAME=VALUE`.
"""


def main() -> int:
    """Write the page, or say whether it is up to date; gives the exit code."""
    return write_or_check("alarms.md", HEAD + "".join(f"{line}\n" for rule in RULES for line in section(rule)))


def section(rule: Rule) -> Iterator[str]:
    """Give the lines of a kind: when it opens and closes, and the settings it heeds."""
    yield f"\n## {rule.kind}\n\nOpens: {rule.opens}\n\nCloses: {rule.closes}"
    facts = [fact for fact in setting_facts() if fact.name in rule.settings]
    if facts:
        yield "\n| Setting | Key | Default | Meaning |\n|---|---|---|---|"
    for fact in facts:
        yield f"| `{fact.name}` | `{fact.key}` | {f'`{fact.default}`' if fact.default else '-'} | {fact.description} |"


if __name__ == "__main__":
    sys.exit(main())
