"""deploy/ describes the same processes as `shequ up` runs. Docker itself is not here to ask."""

import importlib
import json
import re
import stat
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from fastapi.routing import APIRoute
from pydantic import BaseModel

from services.cli import main, supervisor
from services.cli.commands.secrets import env_files, hostname
from services.cli.credentials import Credentials
from services.cli.database import SERVICES
from services.cli.environments import prefix
from services.cli.premises import SECRETS_VARIABLE
from services.common import application
from tests.cli.test_environments import SETTINGS
from tests.cli.towns import shequ

DATABASE_VARIABLE = "SHEQU_DATABASE_URL"
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


def test_every_variable_is_a_setting_of_its_own_service(
    compose: dict[str, Any], dockerfile: str
) -> None:
    files = env_files(Credentials.parse({}), issuer="http://localhost:8000")
    of_the_image = set(re.findall(r"\b([A-Z_]+)=", _instruction(dockerfile, "ENV")))
    assert of_the_image == {"PATH", "PYTHONUNBUFFERED", "SHEQU_DATA_DIR"}
    given: dict[str, set[str]] = {
        name: set(_environment(service, files)) for name, service in compose["services"].items()
    }
    assert given.pop("postgres") == {"POSTGRES_PASSWORD", "POSTGRES_DB"}
    assert given.pop("migrate") == {DATABASE_VARIABLE, SECRETS_VARIABLE}
    assert set(given) == {hostname(service) for service in SERVICES}
    for service in SERVICES:
        names = given[hostname(service)]
        assert all(name.startswith(prefix(service)) for name in names)
        for name in names:
            path = name.removeprefix(prefix(service)).lower().split("__")
            assert _is_setting(SETTINGS[service], path), name


def _environment(service: dict[str, Any], files: dict[str, dict[str, str]]) -> dict[str, str]:
    """What a container is given: its file, and what compose.yaml itself says."""
    return files[Path(service["env_file"]).stem] | dict(service.get("environment", {}))


def _is_setting(model: Any, path: list[str]) -> bool:
    """Whether a model has such a field; into a mapping or a list, nobody looks."""
    field = model.model_fields.get(path[0])
    if field is None or len(path) == 1:
        return field is not None
    inner = field.annotation
    return isinstance(inner, type) and issubclass(inner, BaseModel) and _is_setting(inner, path[1:])


def _instruction(dockerfile: str, name: str) -> str:
    """The last instruction of a name, its continued lines included."""
    found = re.findall(rf"^{name} ((?:.*\\\n)*.*)$", dockerfile, re.MULTILINE)
    return str(found[-1])


def test_no_container_holds_a_secret_of_another(compose: dict[str, Any]) -> None:
    credentials = Credentials.parse({})
    files = env_files(credentials, issuer="http://localhost:8000")
    held = {
        name: " ".join(_environment(service, files).values())
        for name, service in compose["services"].items()
        if name != "migrate"  # which sets everything up, and ends
    }
    owners = {
        credentials.superuser: "postgres",
        credentials.index_key: "residents-api",
        credentials.encryption_keys["1"]: "residents-api",
        credentials.sealing_key: "tagging-api",
        credentials.signing_key["d"]: "gateway",
        **{credentials.roles[service]: hostname(service) for service in SERVICES},
    }
    for secret, owner in owners.items():
        assert {name for name, values in held.items() if secret in values} == {owner}
    # And no file of another's is mounted: volumes are named ones, each of one service.
    mounted = {
        name: [mount.partition(":")[0] for mount in service.get("volumes", ())]
        for name, service in compose["services"].items()
    }
    assert {name: mounts for name, mounts in mounted.items() if mounts} == {
        "postgres": ["postgres"],
        "migrate": ["residents"],
        "residents-api": ["residents"],
        "tagging-api": ["tagging"],
        "reports-api": ["reports"],
    }
    assert set(compose["volumes"]) == {"postgres", "residents", "tagging", "reports"}


def test_what_is_written_is_on_a_volume_that_its_user_owns(
    compose: dict[str, Any], dockerfile: str
) -> None:
    files = env_files(Credentials.parse({}), issuer="http://localhost:8000")
    folders = {
        "residents-api": files["residents-api"]["RESIDENTS_LEDGER_DIRECTORY"],
        "tagging-api": files["tagging-api"]["TAGGING_OUTBOX_DIRECTORY"],
        "reports-api": unquote(urlsplit(files["reports-api"]["REPORTS_PHOTO_STORE"]).path),
    }
    made = re.search(r"install -d -o shequ .*\\\n(.*)$", dockerfile, re.MULTILINE)
    assert made is not None
    for name, service in compose["services"].items():
        if name == "postgres":
            continue
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - of the container
        mounts = [mount.partition(":")[2] for mount in service.get("volumes", ())]
        assert set(mounts) <= set(made[1].split())
        if name in folders:
            assert Path(folders[name]).is_relative_to(mounts[0])


def test_commands_that_the_file_tells_of_are_commands(compose: dict[str, Any]) -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    told = re.findall(r"^# .*(?:bin/shequ|--rm migrate) (\w.*?)(?:   .*)?$", text, re.MULTILINE)
    assert len(told) == 2
    told.append(" ".join(compose["services"]["migrate"]["command"]))
    for line in told:
        # `--help` behind valid words is shown; behind an unknown one it is refused.
        assert shequ(*(word for word in line.split() if word != "NAME"), "--help").returncode == 0
    assert {line.split()[0] for line in told} <= set(main.COMMANDS)


def test_health_is_asked_where_the_service_listens(
    compose: dict[str, Any], dockerfile: str
) -> None:
    asked = [*compose["services"]["gateway"]["healthcheck"]["test"], dockerfile]
    urls = re.findall(r"urlopen\('([^']+)'", " ".join(asked))
    assert urls == ["http://127.0.0.1:8000/readyz", "http://127.0.0.1:8000/livez"]
    # The first database server, which only initialises, listens on a socket alone.
    assert "--host=127.0.0.1" in compose["services"]["postgres"]["healthcheck"]["test"]
    paths = {route.path for route in application.health.routes if isinstance(route, APIRoute)}
    assert {"/readyz", "/livez"} <= paths


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
