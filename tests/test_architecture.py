"""What every service promises by its shape. Rooms and imports: pyproject.toml, import-linter."""

import ast
import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from joserfc.jwk import OKPKey
from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings

from services.cli import database
from services.cli.postgres import EmbeddedPostgres
from services.common.access import Permission
from services.common.problems import Problem
from services.common.routing import UnitOfWorkRoute
from services.common.settings import DatabaseSettings, NeighbourSettings
from services.gateway.main import create_app as create_gateway
from services.gateway.settings import Settings as GatewaySettings
from services.reports_api.main import create_app as create_reports
from services.reports_api.settings import Settings as ReportsSettings
from services.residents_api.main import create_app as create_register
from services.residents_api.settings import Settings as RegisterSettings
from services.tagging_api.main import create_app as create_tagging
from services.tagging_api.settings import Settings as TaggingSettings
from tests.houses import Identity

ROOT = Path(__file__).parents[1]
SETTINGS: dict[str, type[BaseSettings]] = {
    "residents_api": RegisterSettings,
    "tagging_api": TaggingSettings,
    "reports_api": ReportsSettings,
    "gateway": GatewaySettings,
}
# Whoever adds to these decides that nobody is asked who they are.
PUBLIC = {
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),  # asks for a service token itself, as all of /internal does
    ("GET", "/internal/feed"),
    ("GET", "/internal/snapshot"),
    ("GET", "/internal/openapi.json"),
}
PUBLIC_AT_THE_GATEWAY = {
    ("POST", "/oauth/token"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/docs/start.js"),
    ("GET", "/docs/{name}"),
    # For everyone who has signed in, whatever their role.
    ("GET", "/v1/me"),
    ("POST", "/v1/sign-out"),
}


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FastAPI]:
    """Every service, built and not opened: there is no database, and nothing is asked."""
    nowhere = DatabaseSettings(url=SecretStr("postgresql://nobody@127.0.0.1:1/none"))
    neighbour = NeighbourSettings(url="http://127.0.0.1:1", token=SecretStr("t"))
    directory = tmp_path_factory.mktemp("architecture")
    common: dict[str, Any] = {"database": nowhere, "security": Identity().security}
    key = OKPKey.generate_key("Ed25519", {"kid": "gateway-1"}).as_dict(private=True)
    return {
        "residents_api": create_register(
            RegisterSettings(
                **common,
                encryption_keys={1: SecretStr("11" * 32)},
                index_key=SecretStr("22" * 32),
                ledger_directory=directory / "ledgers",
            )
        ),
        "tagging_api": create_tagging(
            TaggingSettings(
                **common,
                residents=neighbour,
                reports=neighbour,
                gateway=neighbour,
                sealing_key=SecretStr("33" * 32),
            )
        ),
        "reports_api": create_reports(
            ReportsSettings(**common, residents=neighbour, photo_store=f"file://{directory}/photos")
        ),
        "gateway": create_gateway(
            GatewaySettings(**common, signing_key=SecretStr(json.dumps(key)), upstreams={})
        ),
    }


def routes(app: FastAPI) -> Iterator[tuple[str, str, Any]]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        for method in sorted(getattr(route, "methods", None) or {"MOUNT"}):
            yield method, str(context.path_format or context.path), route


def operations(apps: dict[str, FastAPI]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    for name, app in apps.items():
        for path, methods in app.openapi()["paths"].items():
            for method, operation in methods.items():
                yield name, method.upper(), path, operation


def test_imports_go_in_one_direction() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("name", SETTINGS)
def test_every_route_names_its_permission_or_is_known_to_be_public(
    apps: dict[str, FastAPI], name: str
) -> None:
    open_to_all = set()
    for method, path, route in routes(apps[name]):
        permission = route.permission if isinstance(route, UnitOfWorkRoute) else None
        if permission is None:
            open_to_all.add((method, path))
        else:
            assert isinstance(permission, Permission)
            assert path.startswith("/v1/"), path
    assert open_to_all == PUBLIC | (PUBLIC_AT_THE_GATEWAY if name == "gateway" else set())


def test_every_permission_opens_something(apps: dict[str, FastAPI]) -> None:
    named = {
        route.permission
        for app in apps.values()
        for _, _, route in routes(app)
        if isinstance(route, UnitOfWorkRoute)
    }
    # Asked for by some input only: a tag of highest sensitivity, an emergency.
    assert set(Permission) - named <= {
        Permission.TAGS_HIGHEST,
        Permission.CAMPAIGNS_EMERGENCY,
        Permission.ACCESSES_READ,
    }


def test_an_operation_id_is_used_once(apps: dict[str, FastAPI]) -> None:
    ids = [operation["operationId"] for _, _, _, operation in operations(apps)]
    assert len(ids) > 30
    assert sorted(ids) == sorted(set(ids))
    for each in ids:
        assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", each), each


def test_a_path_belongs_to_one_service(apps: dict[str, FastAPI]) -> None:
    owners: dict[str, str] = {}
    for name, _, path, _ in operations(apps):
        shape = re.sub(r"\{[^}]+\}", "{}", path)
        assert owners.setdefault(shape, name) == name, path
        for segment in path.split("/")[1:]:
            assert re.fullmatch(r"\.?[a-z0-9]+(-[a-z0-9]+)*(\.json)?|\{[a-z_]+\}", segment), path


def test_a_post_that_writes_takes_an_idempotency_key(apps: dict[str, FastAPI]) -> None:
    writing = {
        (name, path)
        for name, app in apps.items()
        for method, path, route in routes(app)
        # An answer that shows plain values is stored nowhere, so it cannot be given again.
        if method == "POST" and isinstance(route, UnitOfWorkRoute) and route.writes
        if not hasattr(route.endpoint, "__shequ_secret__")
    }
    assert len(writing) > 5
    documented = {
        (name, path)
        for name, method, path, operation in operations(apps)
        if method == "POST"
        and any(p["name"] == "Idempotency-Key" for p in operation.get("parameters", ()))
    }
    assert documented == writing


def test_every_answer_has_a_declared_shape(apps: dict[str, FastAPI]) -> None:
    for _, method, path, operation in operations(apps):
        assert operation.get("summary") or operation.get("description"), path
        assert operation["tags"], path
        for status, response in operation["responses"].items():
            for kind, content in response.get("content", {}).items():
                if kind.endswith("json"):
                    assert content.get("schema"), (method, path, status)
            if int(status) >= 400 and path != "/oauth/token":
                assert list(response["content"]) == ["application/problem+json"], (path, status)


def test_codes_on_the_wire_are_lower_snake(apps: dict[str, FastAPI]) -> None:
    for name, app in apps.items():
        for schema, shape in app.openapi()["components"]["schemas"].items():
            for value in shape.get("enum", ()):
                assert re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)*", str(value)), (name, schema)


def _below(kind: type[Problem]) -> Iterator[type[Problem]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _below(sub)


def test_a_code_says_one_thing_and_stands_in_the_tree(apps: dict[str, FastAPI]) -> None:
    ours = [kind for kind in _below(Problem) if kind.__module__.startswith("services.")]
    assert len(ours) > 20
    meanings: dict[str, type[Problem]] = {}
    for kind in ours:
        assert issubclass(kind, meanings.setdefault(kind.code, kind)), kind.code
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*", kind.code)
        assert 400 <= kind.status < 600
        assert kind.title.zh != kind.title.en
        # An exception's words end up in logs; a refusal has none but its code.
        assert str(kind()) == kind.code
        module = sys.modules[kind.__module__]
        if kind.__module__.endswith((".errors", ".problems")):
            assert kind.code in str(module.__doc__), kind


def modules(*, but: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / "services").rglob("*.py")):
        if but not in path.parts:
            yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def test_only_settings_read_the_environment() -> None:
    for path, tree in modules(but="cli"):
        for node in ast.walk(tree):
            read = isinstance(node, ast.Attribute) and node.attr in {
                "environ",
                "environb",
                "getenv",
            }
            named = isinstance(node, ast.ImportFrom) and node.module == "os"
            assert not read, f"{path}:{node.lineno}"
            assert not named, f"{path}:{node.lineno}"


def test_only_the_unit_of_work_commits() -> None:
    allowed = {Path("services/common/routing.py")}
    for path, tree in modules(but="cli"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr != "commit" or path in allowed, f"{path}:{node.lineno}"


_QUIETLY = """
import importlib, os, pkgutil, sys, threading
done = []
def hook(event, args):
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in {
        "socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.system",
        "os.fork", "os.mkdir", "os.remove", "sqlite3.connect",
    }:
        done.append((event, str(args)[:200]))
import services
import ctypes.util, platform, uuid  # the standard library asks for the machine's own things here
platform.uname()
sys.addaudithook(hook)
for module in pkgutil.walk_packages(services.__path__, "services."):
    importlib.import_module(module.name)
print(done, threading.active_count())
"""


def test_nothing_happens_on_import() -> None:
    found = subprocess.run(
        [sys.executable, "-B", "-c", _QUIETLY],
        cwd=ROOT,
        env={"PATH": "/nowhere", "HOME": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.stdout.strip(), found.returncode) == ("[] 1", 0), found.stdout + found.stderr


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    """A settings class and those inside of it."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for field in kind.model_fields.values():
            yield from _models(field.annotation)
    for argument in getattr(kind, "__args__", ()):
        yield from _models(argument)


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_keep_their_secrets(name: str) -> None:
    kind = SETTINGS[name]
    assert kind.model_config.get("env_prefix") == f"{name.removesuffix('_api').upper()}_"
    # Pydantic prints what it was given, and that is every key and password at once.
    assert kind.model_config.get("hide_input_in_errors")
    for model in _models(kind):
        assert model.model_config.get("frozen"), model
        assert model.model_config.get("extra") == "forbid", model
        for field, info in model.model_fields.items():
            if "SecretStr" in str(info.annotation):
                assert info.is_required(), f"{model.__name__}.{field} has a default"


@pytest.fixture(scope="module")
def fresh(postgres: EmbeddedPostgres) -> Iterator[dict[str, str]]:
    """A database of its own, migrated; the URL of each service's role."""
    admin_url = postgres.url(database="postgres")
    asyncio.run(database.create_database(admin_url, name="architecture"))
    passwords = dict.fromkeys(database.SERVICES, "for-tests")
    yield database.set_up(postgres.url(database="architecture"), passwords)
    asyncio.run(_dropped(admin_url))


async def _dropped(admin_url: str) -> None:
    connection = await database.connect(admin_url)
    await connection.execute("DROP DATABASE architecture WITH (FORCE)")
    await connection.close()


async def _relations(url: str) -> set[str]:
    connection = await database.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = current_user AND relkind IN ('r', 'v', 'm', 'S', 'p')"
            " UNION ALL SELECT typname FROM pg_type JOIN pg_namespace n ON n.oid = typnamespace"
            " WHERE nspname = current_user AND typtype = 'e'"
            " UNION ALL SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace"
            " WHERE nspname = current_user"
        )
        return {row[0] for row in rows}
    finally:
        await connection.close()


@pytest.mark.parametrize("name", SETTINGS)
def test_migrations_say_what_the_models_say(fresh: dict[str, str], name: str) -> None:
    config = Config(str(ROOT / "migrations" / "alembic.ini"), ini_section=name)
    config.attributes["url"] = fresh[name]
    before = asyncio.run(_relations(fresh[name]))
    assert len(before) > 1
    command.check(config)
    command.downgrade(config, "base")
    assert asyncio.run(_relations(fresh[name])) == {"alembic_version"}
    command.upgrade(config, "head")
    command.check(config)
    assert asyncio.run(_relations(fresh[name])) == before
    # A lineage has one end.
    assert len(database.heads(name)) == 1
