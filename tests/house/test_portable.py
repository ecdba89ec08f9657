"""What only POSIX systems have is called in the file layer and the user interface alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ONLY_POSIX = {
    *("fcntl", "grp", "pwd", "resource", "termios", "tty", "syslog", "posix"),
    *("os.fork", "os.getuid", "os.geteuid", "os.killpg", "os.setsid", "os.mkfifo", "os.posix_fallocate", "os.fchmod"),
    *("signal.pthread_sigmask", "signal.pthread_kill", "signal.SIGHUP", "signal.SIGKILL", "signal.SIGUSR1"),
}
WHERE = {"store", "ui"}


def called(path: Path) -> set[str]:
    """Modules that a file imports, and attributes of modules that it names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
    return found


@pytest.mark.parametrize("package", ["d2crealsr", "d2c"])
def test_only_the_file_layer_and_the_user_interface_call_what_only_posix_has(package: str) -> None:
    files = [path for path in (ROOT / package).rglob("*.py") if path.relative_to(ROOT / package).parts[0] not in WHERE]
    assert len(files) > 90
    assert {(str(path), name) for path in files for name in called(path) & ONLY_POSIX} == set()


def test_such_a_call_would_be_seen() -> None:
    found = set().union(*(called(path) for part in WHERE for path in (ROOT / "d2crealsr" / part).rglob("*.py")))
    assert {"resource", "signal.pthread_sigmask"} <= found
