"""The demonstration itself: the way of a site through Backstay and back, a stage at a time."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

from backstay.archives import open_archive
from backstay.cli.output import bar, shown
from backstay.client import Client
from backstay.databases import test_connection
from backstay.demo.compare import Comparison, compare_trees, walk
from backstay.demo.live_database import in_use, make_database
from backstay.demo.sample_site import make_sample_site
from backstay.demo.server_process import environment_of_its_own, running_server
from backstay.demo.stages import Stages, counted
from backstay.errors import BackstayError, DatabaseError, NotFoundError, VerificationError
from backstay.jobs.installation import open_installation
from backstay.jobs.launch import stop
from backstay.platforms import find_site

MOST_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything of one run lies, in a folder of its own.

    Attributes:
        base: the folder.
        home: the server's BACKSTAY_HOME.
        sample: the sample site, where one is made.
        downloads: what the client fetched.
        restored: what came out of it.
        log: what the server printed.
    """

    base: Path
    home: Path
    sample: Path
    downloads: Path
    restored: Path
    log: Path


def run_demo(site: Path | None, *, keep: bool, console: Console) -> int:
    """Show the main job and say how it went.

    Args:
        site: the folder of a site, only read; None makes a sample site.
        keep: whether to leave everything that was made where it is.
        console: where the table goes.

    Returns:
        The exit code: 0 only if what was restored is identical.

    Raises:
        BackstayError: a stage failed; the table of the stages so far was printed.
    """
    if site is not None and not site.is_dir():
        raise NotFoundError(f"There is no folder {shown(str(site))}: name the folder of a site.")
    stages = Stages()
    with _places(console, keep=keep) as places:
        try:
            comparison = _all_stages(site, places, stages, console)
        finally:
            console.print(stages.table())
    _print_differences(comparison, console)
    if comparison.others:
        console.print(f"{counted(comparison.others, 'special file')} passed over: archives hold none.")
    return 0 if stages.passed and comparison.identical else VerificationError.exit_code


def _all_stages(site: Path | None, places: Places, stages: Stages, console: Console) -> Comparison:
    secret = secrets.token_urlsafe(32)
    environment = environment_of_its_own(places.home, secret)
    with ExitStack() as stack:
        root = site.resolve() if site is not None else _make_sample(places, stages, stack)
        with stages.stage("Start the server") as stage:
            profile = _make_profile(root, environment, console)
            stack.callback(_stop_backups, places.home)
            url = stack.enter_context(running_server(environment, places.log))
            client = stack.enter_context(Client(url, secret, version=2))
            version = client.get_version()
            stage.what = f"API level {version.api}, port {url.rpartition(':')[2]}"
        record = _back_up(client, profile, stages, console)
        archive = _download(client, record, places.downloads, stages)
        _verify(archive, stages)
        _restore(archive, places.restored, environment, stages, console)
        return _compare(root, places.restored, stages)


def _make_sample(places: Places, stages: Stages, stack: ExitStack) -> Path:
    with stages.stage("Make a sample site") as stage:
        make_sample_site(places.sample)
        database = places.sample / "data" / "live.sqlite"
        database.parent.mkdir()
        make_database(database)
        stack.enter_context(in_use(database))
        files = [path for path, kind in walk(places.sample) if kind == stat.S_IFREG]
        stage.what = f"{counted(len(files), 'file')}, a database in use"
        stage.size = sum((places.sample / path).stat().st_size for path in files)
    return places.sample


def _make_profile(root: Path, environment: dict[str, str], console: Console) -> int:
    """Make the profile of a site, with nothing left out that a platform's defaults would leave out."""
    arguments = ["profile", "create", "--name", "Demonstration", "--root", os.fspath(root), "--json"]
    arguments += ["--set", "platform_filters=0"]
    try:
        for found in find_site(root).databases:
            test_connection(found.address)
    except DatabaseError as error:
        console.print(f"Warning: the site's database is left out. {shown(str(error))}", markup=False)
        arguments += ["--database", "none"]
    return int(json.loads(_backstay(arguments, environment))["id"])


def _back_up(client: Client, profile: int, stages: Stages, console: Console) -> int:
    """Take the backup through the API and give the number of its record."""
    record, warnings = 0, list[str]()
    with stages.stage("Back up over the API") as stage, _progress(console, "Back up") as show:
        for reply in client.backup(profile, "Taken by the demonstration"):
            record = reply.backup_id
            warnings += reply.warnings
            show(reply.progress, reply.step)
        info = client.get_backup_info(record)
        stage.what = f"{counted(len(info.filenames), 'part')}{_warned(warnings)}"
        stage.size = info.total_size
    _print_warnings(warnings, console)
    return record


def _download(client: Client, record: int, folder: Path, stages: Stages) -> Path:
    """Fetch all parts; gives the main one, which is the last."""
    with stages.stage("Download") as stage, bar("Download", transfer=True) as progress:
        files = client.download(record, folder, on_progress=lambda now: progress.update("", now.done, now.total))
        stage.size = sum(file.stat().st_size for file in files)
        stage.what = counted(len(files), "file")
    return files[-1]


def _verify(archive: Path, stages: Stages) -> None:
    with stages.stage("Verify") as stage, open_archive(archive) as reader:
        report = reader.verify()
        stage.what = f"{report.entries} entries"
        stage.size = report.bytes
        if not report.ok:
            raise VerificationError(f"{archive.name} is damaged: {report.problems[0].message}")


def _restore(archive: Path, target: Path, environment: dict[str, str], stages: Stages, console: Console) -> None:
    with stages.stage("Restore") as stage:
        arguments = [
            "restore",
            os.fspath(archive),
            "--to",
            os.fspath(target),
            "--yes",
            "--keep-configuration",
            "--json",
        ]
        report = json.loads(_backstay(arguments, environment))
        stage.what = f"{report['files']} entries{_warned(report['warnings'])}"
        stage.size = report["bytes"]
    _print_warnings(report["warnings"], console)
    for name in report["not_restored"]:
        console.print(
            f"{name} was backed up and verified; there is no empty database here to load it into.", markup=False
        )


def _compare(root: Path, restored: Path, stages: Stages) -> Comparison:
    with stages.stage("Compare") as stage:
        comparison = compare_trees(root, restored)
        stage.what = ", ".join(
            counted(number, noun)
            for number, noun in (
                (comparison.files, "file"),
                (comparison.directories, "folder"),
                (comparison.links, "link"),
                (comparison.rows, "row"),
            )
        )
        stage.size = comparison.bytes
        stage.passed = comparison.identical
        stage.verdict = "identical" if comparison.identical else counted(len(comparison.differences), "difference")
    return comparison


def _warned(warnings: list[str]) -> str:
    return f", {counted(len(warnings), 'warning')}" if warnings else ""


def _print_warnings(warnings: list[str], console: Console) -> None:
    for warning in warnings[:MOST_SHOWN]:
        console.print(f"Warning: {shown(warning)}", markup=False)
    if len(warnings) > MOST_SHOWN:
        console.print(f"… and {len(warnings) - MOST_SHOWN} more warnings")


def _print_differences(comparison: Comparison, console: Console) -> None:
    for difference in comparison.differences[:MOST_SHOWN]:
        console.print(str(difference), markup=False, style="red")
    if len(comparison.differences) > MOST_SHOWN:
        console.print(f"… and {len(comparison.differences) - MOST_SHOWN} more differences", style="red")


def _backstay(arguments: list[str], environment: dict[str, str]) -> str:
    """Run a command of Backstay's as a person would, and give what it prints.

    Raises:
        BackstayError: it failed; the message is its own sentence.
    """
    command = [sys.executable, "-m", "backstay", *arguments]
    result = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True
    )
    if result.returncode != 0:
        raise BackstayError(f"backstay {arguments[0]} failed: {result.stderr.strip() or result.returncode}")
    return result.stdout


def _stop_backups(home: Path) -> None:
    """Stop every backup that still runs: its process would outlive the demonstration."""
    with open_installation(home) as installation:
        for backup in installation.catalogue.backups.newest(status="run"):
            stop(installation, backup.id)


@contextmanager
def _progress(console: Console, title: str) -> Iterator[Callable[[int, str], None]]:
    """Show a bar of percent, and what is being worked on."""
    columns = (SpinnerColumn(), TextColumn(title), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[step]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=100, step="")
        yield lambda percent, step: progress.update(task, completed=percent, step=shown(step)[:60])


@contextmanager
def _places(console: Console, *, keep: bool) -> Iterator[Places]:
    """Make the folder of one run, and remove it at the end unless it is to be kept."""
    base = Path(tempfile.mkdtemp(prefix="backstay-demo-"))
    try:
        yield Places(
            base,
            home=base / "home",
            sample=base / "site",
            downloads=base / "downloads",
            restored=base / "restored",
            log=base / "server.log",
        )
    finally:
        if keep:
            console.print(f"Kept in {base}", markup=False)
        else:
            _remove(base)


def _remove(folder: Path) -> None:
    """Remove a tree, also where directories in it may not be written to."""

    def open_up(function: Callable[..., Any], path: str, _error: object) -> None:
        Path(path).parent.chmod(stat.S_IRWXU)
        Path(path).chmod(stat.S_IRWXU)
        function(path)

    shutil.rmtree(folder, onerror=open_up)  # Python 3.11 does not know onexc yet
