"""Running the program rclone: its answers are read bounded, and its failures become one sentence each."""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from backstay.errors import (
    AuthenticationError,
    BackstayError,
    ConfigurationError,
    ConnectionFailedError,
    DiskFullError,
    NotFoundError,
    StorageError,
)
from backstay.storage.rclone_remote import Remote

_LONGEST_LINE = 1 << 16
_KEPT_MESSAGES = 20
_PIPE = 1 << 20

# Patterns of what rclone and the servers behind it say, in the order in which they are looked for.
_KINDS: tuple[tuple[str, type[BackstayError], str], ...] = (
    (r"knownhosts: key mismatch|host key (?:has changed|mismatch)", StorageError, "mismatch"),
    (r"knownhosts: key is unknown|no hostkey|host key .*unknown", StorageError, "unknown host"),
    (r"didn't find section in config", ConfigurationError, "knows no such remote: see 'rclone listremotes'"),
    (r"decrypt configuration|config(?:uration)? .*password", AuthenticationError, "has another config password"),
    (r"ssh: this private key is passphrase protected|decryption password incorrect", AuthenticationError, "key"),
    (r"failed to parse private key|no key found|cannot decode", AuthenticationError, "has no readable private key"),
    (
        (
            r"unable to authenticate|\b401\b|unauthorized|login incorrect|\b530\b|invalid_grant|token.*expired|"
            r"authentication failed"
        ),
        AuthenticationError,
        "refuses the credentials: check user, password or key",
    ),
    (r"no space left|\b507\b|insufficient storage|quota|\b552\b|disk full", DiskFullError, "is full: free space there"),
    (r"read-only file ?system", StorageError, "is read-only: make it writable"),
    (
        r"permission denied|\b403\b|forbidden|not authorized|access denied",
        StorageError,
        "does not allow that: check the permissions of the user there",
    ),
    (r"x509|tls: |certificate", StorageError, "has a certificate that is not trusted: check the host's name"),
    (
        (
            r"connection (?:refused|reset|lost)|no such host|lookup .* on|timeout|timed out|broken pipe|unreachable|"
            r"\beof\b|\b50[0234]\b|\b429\b|too many requests|couldn't connect|use of closed"
        ),
        ConnectionFailedError,
        "can't be reached or broke off: try again later",
    ),
    (
        r"object not found|directory not found|not found|doesn't exist|no such file|\b404\b|\b550\b",
        NotFoundError,
        "is not there",
    ),
)


def find_rclone() -> str:
    """Return the path of the program.

    Raises:
        ConfigurationError: there is none.
    """
    found = shutil.which("rclone") or shutil.which("rclone", path=str(Path(sys.executable).parent))
    if found is None:
        raise ConfigurationError(
            "This destination needs the program rclone: install it (https://rclone.org/install/), "
            "or 'pip install backstay[rclone]'."
        )
    return found


class Rclone:
    """Runs rclone for one remote."""

    def __init__(self, remote: Remote, *, url: str, unknown_host: str = "") -> None:
        """Find the program.

        Args:
            remote: what it works on.
            url: how the destination is called in messages.
            unknown_host: what to say where the server's key is not known.
        """
        self._program = find_rclone()
        self._remote = remote
        self._url = url
        # Sentences that are more than the name of the place and what is wrong there.
        self._special = {
            "unknown host": unknown_host[:1].upper() + unknown_host[1:],
            "mismatch": (
                f"The server of {url} shows another key than the one that is known, and nothing was sent: ask its "
                "provider whether the key was changed before you trust the new one."
            ),
            "key": f"The private key for {url} needs its password: give private_key_password.",
        }

    def run(self, *arguments: str, name: str = "", on_bytes: Callable[[int], None] | None = None) -> None:
        """Run a command whose output does not matter.

        Args:
            arguments: of rclone.
            name: of the file, for messages.
            on_bytes: called with the number of bytes that have been moved; what it raises ends the command.
        """
        with self._started(arguments, subprocess.DEVNULL) as process:
            messages = _read_log(cast("IO[bytes]", process.stderr), on_bytes)
            code = process.wait()
        self._check(code, messages, name)

    @contextlib.contextmanager
    def reading(self, *arguments: str, name: str = "") -> Iterator[IO[bytes]]:
        """Run a command and give its output to be read; leaving early ends it, reading to the end checks it."""
        messages: list[str] = []
        with self._started(arguments, subprocess.PIPE) as process:
            stdout, stderr = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stderr)
            if sys.platform == "linux":
                # The usual 64 KiB make the two processes wait for one another all the time.
                with contextlib.suppress(OSError):
                    fcntl.fcntl(stdout, fcntl.F_SETPIPE_SZ, _PIPE)
            # Read beside the output: a program whose messages nobody reads stops at a full pipe.
            listener = threading.Thread(target=lambda: messages.extend(_read_log(stderr)), daemon=True)
            listener.start()
            try:
                yield stdout
                ended = not stdout.read(1)
                if not ended:
                    process.kill()
                code = process.wait()
            finally:
                process.kill()
                listener.join()
        if ended:
            self._check(code, messages, name)

    def output(self, *arguments: str, most: int, name: str = "") -> bytes:
        """Return the output of a command.

        Raises:
            StorageError: it is longer than ``most`` bytes, which no honest answer is.
        """
        with self.reading(*arguments, name=name) as stream:
            answer = stream.read(most + 1)
        if len(answer) > most:
            raise StorageError(f"{self._url} sends more than was asked for: check the server.")
        return answer

    @contextlib.contextmanager
    def _started(self, arguments: tuple[str, ...], output: int) -> Iterator[subprocess.Popen[bytes]]:
        """Start rclone, and end it with the block.

        Where this process dies, rclone ends by itself at the next line that it writes to a pipe nobody reads.
        """
        try:
            process = subprocess.Popen(
                [self._program, *arguments],
                env=dict(self._remote.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise ConfigurationError(
                f"{self._program} can't be started ({error.strerror}): install it anew."
            ) from error
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

    def _check(self, code: int, messages: list[str], name: str) -> None:
        if code != 0:
            raise self._error(code, messages, name)

    def _error(self, code: int, messages: list[str], name: str) -> BackstayError:
        what = f"{name} in {self._url}" if name else self._url
        text = " ".join(messages)
        for pattern, kind, sentence in _KINDS:
            if not re.search(pattern, text, re.IGNORECASE):
                continue
            place = what if kind in {StorageError, NotFoundError} else self._url
            return kind(self._special.get(sentence) or f"{place} {sentence}.")
        if code in {3, 4}:  # rclone.org/docs, "Exit code"
            return NotFoundError(f"{what} is not there.")
        kind = ConnectionFailedError if code == 5 else StorageError
        said = self._without_secrets(messages[-1]) if messages else f"it ended with {code}"
        return kind(f"{what} can't be used: rclone says {said!r}.")

    def _without_secrets(self, message: str) -> str:
        for secret in self._remote.secrets:
            message = message.replace(secret, "…")
        message = re.sub(r"(://)[^/@\s]*@", r"\1…@", message)
        message = re.sub(r"\?\S+", "?…", message)
        return re.sub(r"[\x00-\x1f\x7f]+", " ", message)[:300].strip()


def _read_log(stream: IO[bytes], on_bytes: Callable[[int], None] | None = None) -> list[str]:
    """Read rclone's log to its end: JSON lines, some of which hold the state of a transfer."""
    messages: deque[str] = deque(maxlen=_KEPT_MESSAGES)
    while line := stream.readline(_LONGEST_LINE):
        try:
            entry = json.loads(line)
            message, stats = str(entry["msg"]), entry.get("stats")
        except (ValueError, KeyError, TypeError, AttributeError):
            messages.append(line.decode(errors="replace").strip())
            continue
        if not isinstance(stats, dict):
            messages.append(message)
        elif on_bytes is not None and isinstance(stats.get("bytes"), int):
            on_bytes(stats["bytes"])
    return list(messages)
