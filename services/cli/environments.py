"""The environment of each service: its own settings, and nothing of anybody else's."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.cli.credentials import CALLS, Credentials

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the parts of a town are, as its own processes see them.

    `databases` and `addresses` are URLs by service; each service has a folder of its own name
    in `folders`.
    """

    credentials: Credentials = field(repr=False)
    databases: Mapping[str, str] = field(repr=False)
    addresses: Mapping[str, str]
    issuer: str
    folders: Path
    log_level: str = "info"


def prefix(service: str) -> str:
    """`RESIDENTS_` for residents_api."""
    return f"{service.removesuffix('_api').upper()}_"


def clean() -> dict[str, str]:
    """What every process may know of the environment it is started in."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def passed_on(service: str) -> dict[str, str]:
    """What the operator sets for one service: `RESIDENTS_IMPORT_PROCESSES=2 shequ up`."""
    return {name: value for name, value in os.environ.items() if name.startswith(prefix(service))}


def variables(service: str, deployment: Deployment) -> dict[str, str]:
    """The settings of one service as environment variables."""
    tokens = deployment.credentials.service_tokens
    accepted = {
        caller: hashlib.sha256(tokens[caller][service].encode()).hexdigest()
        for caller, callees in CALLS.items()
        if service in callees
    }
    values = {
        "DATABASE__URL": deployment.databases[service],
        "SECURITY__ISSUER": deployment.issuer,
        "SECURITY__JWKS_URL": f"{deployment.addresses['gateway']}/.well-known/jwks.json",
        "SECURITY__SERVICE_TOKENS": json.dumps(accepted),
        "SERVER__LOG_LEVEL": deployment.log_level,
    }
    neighbours = {
        callee: {"url": deployment.addresses[callee], "token": tokens[service][callee]}
        for callee in CALLS.get(service, ())
    }
    if service == "gateway":
        values["UPSTREAMS"] = json.dumps(neighbours)
    else:
        for callee, neighbour in neighbours.items():
            values[f"{prefix(callee)}_URL"] = neighbour["url"]
            values[f"{prefix(callee)}_TOKEN"] = neighbour["token"]
    values |= _own(service, deployment)
    return {f"{prefix(service)}{name}": value for name, value in values.items()}


def _own(service: str, deployment: Deployment) -> dict[str, str]:
    """What only one service has."""
    credentials, folder = deployment.credentials, deployment.folders / service
    match service:
        case "residents_api":
            return {
                "ENCRYPTION_KEYS": json.dumps(dict(credentials.encryption_keys)),
                "KEY_FILE": str(folder / "keys.json"),
                "INDEX_KEY": credentials.index_key,
                "LEDGER_DIRECTORY": str(folder / "ledgers"),
                "AUDIT_HEAD_DIRECTORY": str(folder / "audit"),
            }
        case "tagging_api":
            return {
                "SEALING_KEY": credentials.sealing_key,
                "OUTBOX_DIRECTORY": str(folder / "outbox"),
            }
        case "reports_api":
            return {"PHOTO_STORE": (folder / "photos").as_uri()}
        case "gateway":
            return {"SIGNING_KEY": json.dumps(dict(credentials.signing_key))}
        case _:
            return {}
