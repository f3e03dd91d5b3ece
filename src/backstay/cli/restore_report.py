"""The report of what a restore did, or would do."""

from __future__ import annotations

from backstay.cli.output import console, counted, print_json, say, shown, size, warn
from backstay.jobs.restore_preview import Preview
from backstay.jobs.restore_report import configuration_json, report_json
from backstay.restore import MAIN_DUMP, RestoreReport, Rewritten

_LISTED = 10


def report_result(report: RestoreReport, warnings: list[str], seconds: float, *, json_output: bool) -> None:
    """Print what came of a restore."""
    if json_output:
        print_json({**report_json(report), "seconds": round(seconds, 3), "warnings": [shown(one) for one in warnings]})
        return
    for warning in warnings:
        warn(warning)
    if report.files or not report.databases:
        _line(f"Restored {counted(report.files, 'entry', 'entries')}, {size(report.bytes)}, to {report.target}.")
    for name, summary in report.databases.items():
        _line(f"Restored {counted(len(summary.tables), 'table')} with {_rows(summary.rows)} from {name}.")
    _print_configuration(report.configuration, "now has its new")
    _print_replaced(report)
    for name in report.not_restored:
        option = "--database URL" if name == MAIN_DUMP else f"--database {name}=URL"
        say(f"The archive also holds the database dump {name}, which was not loaded: give {option} to load it.")
    if report.window is not None:
        _line(f"The old and the new site changed places within {report.window:.3f} s.")
    if report.name:
        _line(
            f"What was replaced is kept until {report.kept_until[:16].replace('T', ' ')} UTC: "
            f"'backstay restore --undo {report.name}' brings it back, --confirm removes it."
        )
    console.print(f"{seconds:.1f} s")


def _print_replaced(report: RestoreReport) -> None:
    for old, new in report.addresses:
        _line(f"The address {old} was replaced by {new} wherever it was found.")
    for path, count in list(report.replaced_in_files.items())[:_LISTED]:
        _line(f"Texts replaced in {path}" + (f": {_rows(count)}" if count > 1 else ""))
    if len(report.replaced_in_files) > _LISTED:
        _line(f"… and in {len(report.replaced_in_files) - _LISTED} other files: --json lists them all.")
    for name, columns in report.replaced_in_databases.items():
        for column, count in columns.items():
            _line(f"Texts replaced in {name}, {column}: {_rows(count)}")


def report_preview(found: Preview, *, json_output: bool) -> None:
    """Print what a restore would change."""
    plan = found.plan
    if json_output:
        print_json(
            {
                "target": shown(plan.target),
                "occupied": found.occupied,
                "files": found.files,
                "bytes": found.bytes,
                "databases": {
                    name: {"database": address.redacted(), "replaces": found.in_the_way.get(name)}
                    for name in plan.databases
                    if (address := plan.database(name))
                },
                "not_restored": list(found.not_restored),
                "difference": found.difference.to_json() if found.difference else None,
                "space": [{"folder": one.folder, "needed": one.needed, "free": one.free} for one in found.space],
                "configuration": configuration_json(found.configuration),
                "replacements": [list(pair) for pair in found.move.texts],
                "addresses": [[str(move.old), move.new] for move in found.move.addresses],
            }
        )
        return
    if plan.files:
        what = "some of " if plan.only else ""
        total = f"{counted(found.files, 'entry', 'entries')}, {size(found.bytes)}"
        _line(f"Would write {what}{total}, to {plan.target}.")
        if found.occupied and plan.strategy == "whole" and not plan.only:
            _line(f"{plan.target} holds something: it would be set aside as a whole, and kept {plan.keep_days:g} days.")
        elif found.occupied:
            _line("Files of the same names would be set aside; others stay as they are.")
    _print_difference(found)
    for name, tables in found.in_the_way.items():
        if (address := plan.database(name)) is None:
            continue
        if tables is None:
            _line(f"Would load {name} into {address.redacted()}, which holds tables; the dump does not list its own.")
        elif tables:
            listed = ", ".join(tables[:_LISTED]) + (" …" if len(tables) > _LISTED else "")
            _line(f"Would load {name} into {address.redacted()}, in place of what is there: {listed}")
        else:
            _line(f"Would load {name} into {address.redacted()}; nothing there is replaced.")
    _print_configuration(found.configuration, "would get its new")
    _print_move(found)
    for name in found.not_restored:
        _line(f"Would not load the database dump {name}: no database is given for it.")
    for space in found.space:
        if space.needed > space.free:
            _line(f"It needs {size(space.needed)} beside {space.folder}, where {size(space.free)} are free.")
    kept = " What a restore replaces is kept, and --undo brings it back." if found.replaces else ""
    console.print(f"Nothing was changed.{kept}")


def _print_difference(found: Preview) -> None:
    if found.difference is None or not found.plan.files or not found.occupied:
        return
    groups = (
        ("are not there and would come", found.difference.added),
        ("are there in another size or of another time", found.difference.replaced),
        ("are there in this size and of this time", found.difference.same),
        ("are not in the backup and would be set aside", found.difference.removed),
        ("are not in the backup and would stay", found.difference.left),
    )
    for what, group in groups:
        if group.count:
            some = ", ".join(group.examples[:3]) + (" …" if group.count > 3 else "")
            _line(f"{counted(group.count, 'file')} ({size(group.bytes)}) {what}: {some}")
    if not found.difference.is_whole:
        _line("There are more: the folder and the archive were not looked at to their ends.")


def _print_move(found: Preview) -> None:
    for move in found.move.addresses:
        _line(f"Would replace the address {move.old} by {move.new} in the text columns and text files.")
    if found.plan.address and not found.move.addresses:
        _line("Neither the site nor its backup names the old address: give it with --old-address.")
    for address in found.move.untouched:
        _line(f"The site gives {address} as its own address, which would stay: give it with --old-address too.")
    for old, new in found.move.texts:
        _line(f"Would replace {old} by {new} in the text columns and text files.")
    if found.move.replacer():
        _line("How often is not counted: only the restore itself reads all of them.")


def _print_configuration(rewritten: tuple[Rewritten, ...], verb: str) -> None:
    for item in rewritten:
        _line(f"{item.path} {verb} {', '.join(item.names)}.")


def _rows(count: int) -> str:
    return counted(count, "row")


def _line(text: str) -> None:
    console.print(shown(text), markup=False)
