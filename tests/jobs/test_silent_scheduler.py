"""A dask scheduler that accepts and says nothing, and one of another protocol, end in one line."""

from __future__ import annotations

import socket

import pytest

from d2crealsr.errors import MachineError
from d2crealsr.jobs import workers

pytest.importorskip("distributed")


def test_a_scheduler_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_PATIENCE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(MachineError, match=f"scheduler {address}: no answer"):
            list(workers.run_tasks(abs, [1], backend="dask", scheduler=address))


@pytest.mark.parametrize("address", ["tls://127.0.0.1:9", "nonsense://x", "tcp://127.0.0.1:notaport", ""])
def test_an_address_that_cannot_be_used(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_PATIENCE_SECONDS", 2.0)
    with pytest.raises(MachineError, match=r"no answer \(.*start it, or correct --scheduler"):
        list(workers.run_tasks(abs, [1], backend="dask", scheduler=address))
