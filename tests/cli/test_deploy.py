"""deploy/ describes the same processes as `shequ up` runs. Docker itself is not here to ask."""

import importlib
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.cli import supervisor
from services.cli.commands.secrets import env_files, hostname
from services.cli.credentials import Credentials
from services.cli.database import SERVICES
from tests.cli.towns import shequ

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def test_the_same_four_processes(compose: dict[str, Any]) -> None:
    names = {hostname(name) for name in SERVICES}
    assert set(compose["services"]) == names | {"postgres", "migrate"}
    for name in SERVICES:
        (module,) = compose["services"][hostname(name)]["command"]
        path, _, factory = module.partition(":")
        assert callable(getattr(importlib.import_module(path), factory))
        after = compose["services"][hostname(name)]["depends_on"]["migrate"]
        assert after == {"condition": "service_completed_successfully"}


def test_only_the_gateway_can_be_reached(compose: dict[str, Any]) -> None:
    published = {name for name, service in compose["services"].items() if "ports" in service}
    assert published == {"gateway"}


def test_each_has_its_own_file_of_secrets(compose: dict[str, Any]) -> None:
    files = env_files(Credentials.parse({}), issuer="http://localhost:8000")
    named = {name: service["env_file"] for name, service in compose["services"].items()}
    assert named.pop("migrate") == "env/command.env"
    assert named == {name: f"env/{name}.env" for name in files if name != "command"}


def test_migrations_run_the_command(compose: dict[str, Any]) -> None:
    migrate = compose["services"]["migrate"]
    assert [*migrate["entrypoint"], *migrate["command"]] == ["shequ", "migrate"]
    assert migrate["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    volumes = compose["services"]["residents-api"]["volumes"]
    # Ledgers that the command imports are kept where the service looks for them.
    assert migrate["volumes"] == volumes == ["residents:/data/residents_api"]


def test_the_image_runs_uvicorn_as_the_supervisor_does(dockerfile: str) -> None:
    found = re.search(r"^ENTRYPOINT (\[.*?\])$", dockerfile, re.MULTILINE | re.DOTALL)
    assert found is not None
    entrypoint = json.loads(found[1].replace("\\\n", ""))
    logging = "/srv/shequ/services/cli/uvicorn_logging.json"
    flags = [
        logging if flag.endswith("uvicorn_logging.json") else flag
        for flag in (*supervisor.UVICORN, *supervisor.KEEP_ALIVE)
    ]
    assert entrypoint == ["python", "-P", *flags, "--host", "0.0.0.0", "--port", "8000"]  # noqa: S104


def test_the_image_is_made_from_what_is_there(dockerfile: str) -> None:
    assert "USER shequ" in dockerfile
    assert "--require-hashes -r requirements.txt" in dockerfile
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        for source in line.split():
            assert (DEPLOY.parent / source).exists(), source
            assert f"!{source}" in ignored


def test_secrets_are_written_once_and_privately(tmp_path: Path) -> None:
    target = tmp_path / "env"
    for _ in range(2):
        assert shequ("secrets", "--env-dir", target).returncode == 0
    made = {path.name: path.read_text() for path in target.iterdir()}
    assert shequ("secrets", "--env-dir", target, "--issuer", "https://a.example").returncode == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    for path in target.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    changed = {path.name for path in target.iterdir() if path.read_text() != made[path.name]}
    assert changed == {f"{hostname(name)}.env" for name in SERVICES}
    for line in (target / "gateway.env").read_text().splitlines():
        assert re.fullmatch(r"GATEWAY_[A-Z_]+='[^']*'", line)
