"""Each process is told all of its own settings, and nothing of anybody else's."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from services.cli import settings
from services.cli.commands.secrets import env_files, hostname
from services.cli.credentials import CALLS, Credentials
from services.cli.database import SERVICES
from services.cli.environments import Deployment, passed_on, prefix, variables
from services.common.security import token_hash
from services.gateway.settings import Settings as GatewaySettings
from services.reports_api.settings import Settings as ReportsSettings
from services.residents_api.settings import Settings as ResidentsSettings
from services.tagging_api.settings import Settings as TaggingSettings

SETTINGS: dict[str, type[BaseSettings]] = {
    "residents_api": ResidentsSettings,
    "tagging_api": TaggingSettings,
    "reports_api": ReportsSettings,
    "gateway": GatewaySettings,
}


@pytest.fixture(scope="module")
def credentials() -> Credentials:
    return Credentials.parse({})


@pytest.fixture
def deployment(credentials: Credentials, tmp_path: Path) -> Deployment:
    return Deployment(
        credentials=credentials,
        databases={
            name: f"postgresql://{name}:{credentials.roles[name]}@/shequ" for name in SERVICES
        },
        addresses={name: f"http://127.0.0.1:{8000 + n}" for n, name in enumerate(SERVICES)},
        issuer="http://127.0.0.1:8003",
        folders=tmp_path,
    )


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_with_what_it_is_given(service: str, deployment: Deployment) -> None:
    given = variables(service, deployment)
    assert all(name.startswith(prefix(service)) for name in given)
    read = settings.read(SETTINGS[service], given)
    assert read.model_dump()["security"]["issuer"] == "http://127.0.0.1:8003"
    # Nothing that is given goes unread.
    with pytest.raises(ValidationError):
        settings.read(SETTINGS[service], {**given, f"{prefix(service)}SECURITY__NONSENSE": "1"})


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_starts_with_its_file(service: str, credentials: Credentials) -> None:
    files = env_files(credentials, issuer="https://shequ.example")
    settings.read(SETTINGS[service], files[hostname(service)])


def test_every_call_is_accepted_where_it_goes(deployment: Deployment) -> None:
    tokens = deployment.credentials.service_tokens
    for caller, callees in CALLS.items():
        for callee in SERVICES:
            accepted = settings.read(SETTINGS[callee], variables(callee, deployment)).model_dump()[
                "security"
            ]["service_tokens"]
            if callee in callees:
                assert accepted[caller] == token_hash(tokens[caller][callee])
            else:
                assert caller not in accepted


def test_files_of_containers_share_no_secret(credentials: Credentials) -> None:
    files = env_files(credentials, issuer="https://shequ.example")
    owners = {
        credentials.superuser: {"postgres", "command"},
        credentials.index_key: {"residents-api", "command"},
        credentials.sealing_key: {"tagging-api", "command"},
        credentials.signing_key["d"]: {"gateway", "command"},
        **{credentials.roles[name]: {hostname(name), "command"} for name in SERVICES},
        **{
            token: {"command"} if caller == "operator" else {hostname(caller), "command"}
            for caller, tokens in credentials.service_tokens.items()
            for token in tokens.values()
        },
    }
    for secret, owner in owners.items():
        holders = {name for name, given in files.items() if secret in "\n".join(given.values())}
        assert holders == owner


def test_what_the_operator_sets_reaches_its_own_service_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RESIDENTS_IMPORT_PROCESSES", "2")
    assert passed_on("residents_api")["RESIDENTS_IMPORT_PROCESSES"] == "2"
    assert "RESIDENTS_IMPORT_PROCESSES" not in passed_on("gateway")
