"""Settings of the gateway: environment variables that start with `GATEWAY_`."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.settings import (
    DatabaseSettings,
    NeighbourSettings,
    SecuritySettings,
    ServerSettings,
)


class SignInSettings(BaseModel):
    """How long tokens live, and how many wrong passwords are let through.

    After so many failures within the window, a name or an address is refused until the oldest of
    them has left the window. `threads` is how many passwords are checked at once: each takes a core
    for some 40 ms. `waiting` is how many sign-ins may queue for them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    access_token_seconds: int = Field(default=15 * 60, ge=1)
    refresh_token_days: int = Field(default=14, ge=1)
    failures_per_account: int = Field(default=10, ge=1)
    failures_per_peer: int = Field(default=300, ge=1)
    window_seconds: int = Field(default=5 * 60, ge=1)
    threads: int = Field(default=2, ge=1)
    waiting: int = Field(default=64, ge=1)


class ProxySettings(BaseModel):
    """The data path. `idle_seconds`: how long an upstream may say nothing; event streams must beat
    more often. `keep_alive_seconds` must stay below the services' own (5 s with uvicorn), or a
    request meets a connection that is just being closed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_body_bytes: int = 80 * 1024 * 1024
    connect_seconds: float = 2
    idle_seconds: float = 120
    keep_alive_seconds: float = 3
    refresh_seconds: float = Field(default=30, description="How often routes are learned anew.")


class Settings(BaseSettings):
    """`signing_key` is a private JWK (JSON; OKP, Ed25519, with a `kid`). `retired_keys` are public
    JWKs whose tokens are still good. `upstreams` maps a service's name to where it is and to the
    token that the gateway presents there.

    The client's address and scheme are the server's word: tell uvicorn which proxies to trust
    (`forwarded_allow_ips`), or that there are none (`proxy_headers=False`).
    """

    model_config = SettingsConfigDict(
        env_prefix="GATEWAY_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    database: DatabaseSettings
    security: SecuritySettings
    server: ServerSettings = ServerSettings()
    signing_key: SecretStr
    retired_keys: list[dict[str, str]] = []
    upstreams: dict[str, NeighbourSettings]
    sign_in: SignInSettings = SignInSettings()
    proxy: ProxySettings = ProxySettings()
    cors_origins: list[str] = Field(
        default=[], description="Web origins that browsers may call from; none by default."
    )
