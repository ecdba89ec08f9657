"""No command talks to a network: nothing is fetched, nothing is reported, by this process or its workers."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GUARD = """
import os, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.sendto"):
        where = arguments[1]
        if not isinstance(where, tuple):
            return  # a socket of this machine's own, named by a path
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        where = arguments[0]
    else:
        return
    with open(os.environ["GUARD_LOG"], "a") as log:
        log.write(f"{event} {where}\\n")
    raise OSError(f"network: {event} {where}")

sys.addaudithook(refuse)
"""

COMMANDS = """
import shlex, sys

def run(main, line):
    try:
        main(shlex.split(line))
        code = 0
    except SystemExit as left:
        code = left.code or 0
    tiny = (0, 3, 4) if line.startswith("audit") else (0, 4)  # crops with findings (4), or too small for audit (3)
    if code not in tiny:
        sys.exit(f"{line}: exit code {code}")
    print("ran", line)

if __name__ == "__main__":
    from d2crealsr.command.cli import main
    run(main, "simulate --out raw --size mini --scenes 2")
    loose = "--crop 40x40 --max-residual-p50 9 --max-residual-p95 99 --max-sigma 9"
    run(main, f"align raw --out pairs --jobs 2 {loose}")
    run(main, "split pairs --test 1")
    for line in ("validate pairs --truth raw/truth.csv", "audit pairs", "summary pairs", "verify pairs"):
        run(main, line)
    if sys.argv[1] == "report":
        run(main, "report pairs")
    if sys.argv[2] == "d2c":
        from d2c.cli import cli
        tiny = "--features 6 --groups 1 --blocks 1 --reduction 3 --convergence-features 4"
        steps = "--batch 1 --patch 16 --steps 2 --steps-convergence 2 --validation 0"
        run(cli, f"train --data pairs --out run {tiny} {steps}")
        run(cli, "eval run --data pairs")
        run(cli, "upscale pairs/lr/001.png --checkpoint run --out up")
"""


def isolated(command: list[str]) -> list[str]:
    """The command in a network namespace of its own where the system lets us: not even a loopback answers there."""
    prefix = ["unshare", "--net"]
    allowed = (
        shutil.which("unshare") and not subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode
    )
    return [*prefix, *command] if allowed else command


def guarded(code: str, arguments: list[str], folder: Path) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run a program under the guard, which every Python process below it loads; also what the guard saw."""
    (folder / "guard").mkdir()
    (folder / "guard" / "sitecustomize.py").write_text(GUARD)
    (folder / "program.py").write_text(code)
    log = folder / "guard.log"
    log.touch()
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join([str(folder / "guard"), root, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        isolated([sys.executable, str(folder / "program.py"), *arguments]),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "GUARD_LOG": str(log)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done, log.read_text()


@pytest.mark.slow
def test_no_command_uses_a_network(tmp_path: Path) -> None:
    parts = [
        name if importlib.util.find_spec(needs) else "" for name, needs in (("report", "jinja2"), ("d2c", "torch"))
    ]
    done, seen = guarded(COMMANDS, parts, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert seen == ""
    assert done.stdout.count("ran ") == 7 + bool(parts[0]) + 3 * bool(parts[1])


def test_the_guard_sees_workers_too(tmp_path: Path) -> None:
    """A check of the check: a connection that a worker process tries is refused and recorded."""
    code = """
import joblib

def call(number):
    import socket
    try:
        socket.create_connection(("127.0.0.1", 9), timeout=1)
    except OSError:
        pass

if __name__ == "__main__":
    joblib.Parallel(n_jobs=2)(joblib.delayed(call)(number) for number in range(2))
"""
    done, seen = guarded(code, [], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "127.0.0.1" in seen
