"""The embedded server, beyond what every other test does with it."""

from pathlib import Path

import pytest

from services.cli import database
from services.cli.failures import Failure
from services.cli.postgres import EmbeddedPostgres

FAST = {"fsync": "off", "shared_buffers": "16MB"}


async def test_what_was_interrupted_or_left_behind_is_no_hindrance(tmp_path: Path) -> None:
    # Half of an initialisation, as a killed one leaves it.
    (tmp_path / "server.new").mkdir()
    (tmp_path / "server.new" / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres.at(tmp_path / "server", password="first", settings=FAST)
    server.start()
    assert not (tmp_path / "server.new").exists()
    # A server that nobody watches gives way to one that is watched.
    unwatched = (tmp_path / "server" / "postmaster.pid").read_text().splitlines()[0]
    process = server.run()
    try:
        assert str(process.pid) != unwatched
        connection = await database.connect(server.url(database="postgres"))
        assert await connection.fetchval("SHOW password_encryption") == "scram-sha-256"
        await connection.close()
    finally:
        server.stop()
        assert process.wait(10) == 0
    assert not server.running


async def test_a_long_path_has_its_socket_elsewhere_and_always_there(tmp_path: Path) -> None:
    server = EmbeddedPostgres.at(tmp_path / ("long" * 30), password="first", settings=FAST)
    sockets = set[Path]()
    for _ in range(2):
        process = server.run()
        sockets.add(server.socket_directory())
        connection = await database.connect(server.url(database="postgres"))
        await connection.close()
        server.stop()
        assert process.wait(10) == 0
    (socket,) = sockets
    assert not socket.exists()


def test_a_place_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "thesis.odt").write_text("not ours")
    server = EmbeddedPostgres.at(tmp_path / "server", password="first", settings=FAST)
    with pytest.raises(Failure, match="cannot hold a database"):
        server.run()
    assert (tmp_path / "server" / "thesis.odt").read_text() == "not ours"
