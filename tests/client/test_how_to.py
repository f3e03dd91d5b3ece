"""The programs on the page about scripts run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from client.real_server import RealServer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "drive-from-a-script.md"


def programs(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("program", programs("python"), ids=["blocking", "async", "endpoint"])
def test_a_program_of_the_page_runs(real: RealServer, tmp_path: Path, program: str) -> None:
    text = program.replace("https://example.com", real.url).replace("profile=1", f"profile={real.profile}")
    script = f"import os\nsecret = os.environ['SECRET']\n{text}"
    environment = os.environ | {"SECRET": real.secret}
    for _ in range(2):  # the second time finds what the first one kept
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout
    if "client.download" in program:
        assert list((tmp_path / "backups").glob("*.jpa"))


def test_the_shell_program_of_the_page_takes_a_backup(real: RealServer, tmp_path: Path) -> None:
    for tool in ("jq", "curl"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    (program,) = (text for text in programs("sh") if "jq" in text)
    done = subprocess.run(
        ["sh", "-c", program.replace("profile=1", f"profile={real.profile}")],
        cwd=tmp_path,
        env=os.environ | {"SECRET": real.secret, "SITE": real.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"HasRun": false' in done.stdout
