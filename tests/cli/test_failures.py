"""What cannot go on says why in one sentence, and leaves nothing behind."""

import json
import shutil
import socket
from pathlib import Path

import pytest

from services.cli.directory import LAYOUT
from tests.cli.towns import sentence, shequ


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        refused = sentence(shequ("up", "--port", str(port), "--data-dir", tmp_path / "data"))
    assert refused == (
        f"Port {port} cannot be used (Address already in use): choose another with --port."
    )
    assert not (tmp_path / "data" / "postgres").exists()


def test_a_data_directory_of_another_layout(tmp_path: Path) -> None:
    (tmp_path / "layout.json").write_text(json.dumps({"layout": LAYOUT + 1}))
    refused = sentence(shequ("up", "--port", "0", "--data-dir", tmp_path))
    assert refused == (
        f"{tmp_path} was made by another version of shequ"
        f" (layout {LAYOUT + 1}; this one has {LAYOUT})."
    )


def test_a_database_of_another_version(tmp_path: Path) -> None:
    (tmp_path / "layout.json").write_text(json.dumps({"layout": LAYOUT}))
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("17\n")
    refused = sentence(shequ("up", "--port", "0", "--data-dir", tmp_path))
    assert refused == "The data directory holds a PostgreSQL 17 database; this is for 18."


def test_a_directory_with_other_files_in_it(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").write_text("not ours")
    refused = sentence(shequ("up", "--port", "0", "--data-dir", tmp_path))
    assert refused.startswith(f"{tmp_path} is not a data directory of shequ")
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.odt"]


def test_a_damaged_layout(tmp_path: Path) -> None:
    (tmp_path / "layout.json").write_text("[1")
    assert sentence(shequ("migrate", "--data-dir", tmp_path)).endswith("layout.json is damaged.")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "data"
    refused = sentence(shequ("up", "--port", "0", "--data-dir", place))
    assert refused == f"The data directory {place} cannot be written: Not a directory."


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:geheim@127.0.0.1:1/db", "127.0.0.1:1 cannot be reached"),
        ("postgresql://u:geheim@nowhere.invalid/db", "nowhere.invalid cannot be reached"),
        ("mysql://u:geheim@127.0.0.1/db", "The database is named by a URL like"),
        ("postgresql://u:geheim@127.0.0.1:port/db", "The database is named by a URL like"),
        ("geheim", "The database is named by a URL like"),
    ],
)
def test_a_database_out_of_reach(tmp_path: Path, url: str, said: str) -> None:
    refused = sentence(
        shequ("up", "--port", "0", "--data-dir", tmp_path / "data", "--database-url", url)
    )
    assert said in refused
    assert "geheim" not in refused


def test_lost_secrets(tmp_path: Path) -> None:
    assert shequ("migrate", "--data-dir", tmp_path / "data").returncode == 0
    shutil.rmtree(tmp_path / "data" / "secrets")
    refused = sentence(shequ("migrate", "--data-dir", tmp_path / "data"))
    assert refused.endswith("is missing; without it the data cannot be read.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["token", "city"], "No town runs on"),
        (["import", "missing.xlsx", "--village", "510182104006"], "There is no file missing.xlsx"),
        (["synth", "x.pdf", "--residents", "9", "--village", "510182104006"], "x.pdf ends neither"),
        (["synth", "x.csv", "--residents", "9", "--village", "510182"], "There is no village"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, arguments: list[str], said: str) -> None:
    environment = {"SHEQU_DATA_DIR": str(tmp_path / "data"), "PATH": "/usr/bin:/bin"}
    assert sentence(shequ(*arguments, env=environment)).startswith(said)
