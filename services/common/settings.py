"""Settings that every service has. Secrets have no defaults; a service that lacks one does not start."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class DatabaseSettings(_Frozen):
    """`url` is a libpq URL: `postgresql://role:password@host:5432/shequ` (or `?host=/socket/dir`)."""

    url: SecretStr
    pool_size: int = Field(default=10, ge=1)
    statement_timeout_seconds: int = Field(default=30, ge=1)


class SecuritySettings(_Frozen):
    """Whom a service believes.

    `service_tokens` maps the name of a neighbour to the SHA-256 (hex) of the token it presents on
    `/internal/*` and `/metrics`; the tokens themselves are known only to whoever presents them.
    """

    issuer: str
    audience: str = "shequ"
    jwks_url: str
    service_tokens: dict[str, str] = {}


class NeighbourSettings(_Frozen):
    """A service that this one calls: its base URL, and the token this one presents there."""

    url: str
    token: SecretStr


class ServerSettings(_Frozen):
    log_level: str = "info"
    max_body_bytes: int = 1024 * 1024
