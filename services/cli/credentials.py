"""Every secret of a town, made once and kept by whoever starts it; each process gets its own."""

import base64
import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.cli.database import SERVICES
from services.cli.demo import ACCOUNTS
from services.cli.directory import read, write_private
from services.cli.failures import Failure
from services.common.access import Role

# Who calls whom on `/internal/*`. The operator, who is no service, reads `/metrics`.
OPERATOR = "operator"
CALLS: Mapping[str, tuple[str, ...]] = {
    "gateway": ("residents_api", "tagging_api", "reports_api"),
    "tagging_api": ("residents_api", "reports_api", "gateway"),
    "reports_api": ("residents_api",),
    OPERATOR: SERVICES,
}

# Without look-alikes: these are read off a screen and typed.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """`service_tokens` by caller, then callee. `accounts` has the passwords of demo accounts.

    `town` is the fingerprint from before the first key was retired; empty until then.
    """

    superuser: str
    roles: Mapping[str, str]
    signing_key: Mapping[str, str]
    service_tokens: Mapping[str, Mapping[str, str]]
    encryption_keys: Mapping[str, str]
    index_key: str
    sealing_key: str
    accounts: Mapping[str, str]
    town: str = ""

    @classmethod
    def parse(cls, kept: Mapping[str, Any]) -> "Credentials":
        """Kept secrets, and new ones for what did not exist when they were made."""
        try:
            return cls(
                superuser=kept.get("superuser") or _token(),
                roles=_each(SERVICES, kept.get("roles", {})),
                signing_key=kept.get("signing_key") or _signing_key(),
                service_tokens={
                    caller: _each(callees, kept.get("service_tokens", {}).get(caller, {}))
                    for caller, callees in CALLS.items()
                },
                encryption_keys=kept.get("encryption_keys") or {"1": secrets.token_hex(32)},
                index_key=kept.get("index_key") or secrets.token_hex(32),
                sealing_key=kept.get("sealing_key") or secrets.token_hex(32),
                accounts={
                    account.name: new_password(groups=5 if account.role is Role.CLIENT else 3)
                    for account in ACCOUNTS
                }
                | kept.get("accounts", {}),
                town=kept.get("town", ""),
            )
        except (TypeError, AttributeError):
            raise Failure("The secrets are damaged.") from None

    @classmethod
    def at(cls, path: Path) -> "Credentials":
        """The secrets in a file; made and written there if it does not exist."""
        kept = read(path) if path.exists() else {}
        credentials = cls.parse(kept)
        if (content := asdict(credentials)) != kept:
            try:
                write_private(path, content)
            except OSError as refused:
                raise Failure(f"{path} cannot be written: {refused.strerror}.") from None
        return credentials

    @property
    def fingerprint(self) -> str:
        """Tells whether a database was written with these keys, without telling the keys.

        The same for ever: a key that is retired does not change whose data it is.
        """
        if self.town:
            return self.town
        first = self.encryption_keys[min(self.encryption_keys, key=int)]
        return hashlib.sha256(f"{first}/{self.index_key}".encode()).hexdigest()[:16]


def new_password(*, groups: int = 3) -> str:
    """Groups of four letters; three of them are 59 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(groups))


def _token() -> str:
    return secrets.token_urlsafe(32)


def _each(names: Iterable[str], kept: Mapping[str, str]) -> dict[str, str]:
    return {name: kept.get(name) or _token() for name in names}


def _signing_key() -> dict[str, str]:
    """An Ed25519 key as a private JWK (RFC 8037); its id is its thumbprint (RFC 7638)."""
    private = Ed25519PrivateKey.generate()
    x = _base64url(private.public_key().public_bytes_raw())
    thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "use": "sig",
        "kid": _base64url(thumbprint),
        "x": x,
        "d": _base64url(private.private_bytes_raw()),
    }


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
