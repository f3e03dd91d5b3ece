"""``backstay task``: long work that was begun from the page, or in the background."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from backstay.catalogue import Task
from backstay.cli import options
from backstay.cli.output import console, moment, print_json, shown, size, table
from backstay.errors import BackstayError
from backstay.jobs.tasks import TaskProgress, find_task, list_tasks, stop_task, task_progress

_HELP = """List, show and stop long work that goes on by itself: proofs, copies, restores.

Such work is begun from the page in a browser. It goes on when the browser is closed and when the server ends. Backups
are not among it: see 'backstay list'.
"""
app = typer.Typer(no_args_is_help=True, help=_HELP)

Number = Annotated[int, typer.Argument(metavar="ID", help="Number of the task, as 'backstay task list' shows it.")]
_STYLES = {"running": "cyan", "done": "green", "failed": "red", "stopped": "yellow"}
_STOP_SECONDS = 90.0


@app.command(name="list")
def list_command(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many of the newest to show.")] = 50,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """List tasks, newest first.

    Example:
        backstay task list
    """
    with options.opened(home) as installation:
        found = list_tasks(installation, 0, limit)
    if json_output:
        print_json([_json(task) for task in found])
        return
    if not found:
        console.print("There are no tasks.")
        return
    rows = table("ID", "Begun (UTC)", "State", "What", "By", right=["ID"])
    for task in found:
        state = Text(task.state, style=_STYLES[task.state])
        rows.add_row(str(task.id), moment(task.created), state, Text(shown(task.title)), Text(shown(task.started_by)))
    console.print(rows)


@app.command()
def show(number: Number, home: options.Home = None, json_output: options.Json = False) -> None:
    """Show how far a task is, or how it ended.

    Example:
        backstay task show 3
    """
    with options.opened(home) as installation:
        task = find_task(installation, number)
        progress = task_progress(installation, number) if task.state == "running" else None
    if json_output:
        print_json(_json(task, progress))
        return
    rows = table("", "")
    rows.show_header = False
    for name, value in (
        ("Task", str(task.id)),
        ("What", task.title),
        ("State", task.state),
        ("Begun (UTC)", moment(task.created)),
        ("By", task.started_by),
        ("Ended (UTC)", moment(task.ended)),
        ("Progress", _progress(progress)),
        ("Message", task.message),
    ):
        if value:
            rows.add_row(Text(name, style="bold"), Text(shown(value)))
    console.print(rows)


@app.command()
def stop(number: Number, home: options.Home = None, json_output: options.Json = False) -> None:
    """Stop a task at its next safe place. What was begun can be begun anew; a restore can be resumed.

    Example:
        backstay task stop 3
    """
    with options.opened(home) as installation:
        task = stop_task(installation, number, patience=_STOP_SECONDS)
    if json_output:
        print_json(_json(task))
    if task.state == "running":
        raise BackstayError(f"Task {number} was asked to stop, and has not ended yet: look again in a minute.")
    if not json_output:
        console.print(f"Task {number} has ended ({task.state}): {shown(task.message)}", markup=False)


def _progress(progress: TaskProgress | None) -> str:
    if progress is None:
        return ""
    total = f" of {size(progress.total)}" if progress.total else ""
    return f"{progress.stage} {progress.what} ({size(progress.done)}{total})"


def _json(task: Task, progress: TaskProgress | None = None) -> dict[str, Any]:
    return {
        "id": task.id,
        "kind": task.kind,
        "title": shown(task.title),
        "state": task.state,
        "started_by": shown(task.started_by),
        "profile": task.profile_id,
        "backup": task.backup_id,
        "created": moment(task.created),
        "started": moment(task.started),
        "ended": moment(task.ended),
        "message": shown(task.message),
        "result": dict(task.result),
        "progress": None
        if progress is None
        else {"stage": progress.stage, "what": shown(progress.what), "done": progress.done, "total": progress.total},
    }
