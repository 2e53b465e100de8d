"""Settings of labels and targeting: environment variables that start with `TAGGING_`."""

from datetime import time
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.settings import (
    DatabaseSettings,
    NeighbourSettings,
    SecuritySettings,
    ServerSettings,
)

_KEY_BYTES = 32


class CampaignSettings(BaseModel):
    """Whom campaigns may disturb, and when.

    Above `approval_above` people a second person must agree. In quiet hours (the city's clock) the
    channels that ring wait; the inbox does not ring. Nobody gets more than so many campaigns in
    `cap_days`. A courier that says nothing for `lease_seconds` is given up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    approval_above: int = Field(default=10_000, ge=0)
    quiet_from: time = time(21)
    quiet_until: time = time(8)
    quiet_channels: frozenset[Literal["in_app", "webhook", "sms", "push", "broadcast"]] = frozenset(
        {"webhook", "sms", "push", "broadcast"}
    )
    cap_days: int = Field(default=7, ge=1, le=365)
    cap_all_topics: int = Field(default=20, ge=1)
    cap_one_topic: int = Field(default=10, ge=1)
    parcel_size: int = Field(default=200, ge=1, le=1000)
    couriers: int = Field(default=2, ge=1, le=64)
    attempts: int = Field(default=8, ge=1, le=1000)
    first_retry_seconds: float = Field(default=10, gt=0)
    longest_retry_seconds: float = Field(default=3600, gt=0)
    lease_seconds: float = Field(default=120, gt=0)


class Settings(BaseSettings):
    """`residents`, `reports` and `gateway` are the neighbours whose feeds are followed.

    `sealing_key`, 32 bytes as hex, seals the secrets of webhooks. `webhook_hosts` may be called
    though they are not public. Below `outbox_directory` the drivers for development write what SMS,
    push and loudspeakers are to say; without it there are no such channels.
    """

    model_config = SettingsConfigDict(
        env_prefix="TAGGING_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    database: DatabaseSettings
    security: SecuritySettings
    server: ServerSettings = ServerSettings()
    residents: NeighbourSettings
    reports: NeighbourSettings
    gateway: NeighbourSettings
    sealing_key: SecretStr
    webhook_hosts: frozenset[str] = frozenset()
    outbox_directory: Path | None = None
    campaigns: CampaignSettings = CampaignSettings()
    campaign_batch_size: int = Field(
        default=5000, ge=1, le=10_000, description="Messages written in one transaction."
    )

    @field_validator("sealing_key")
    @classmethod
    def _is_a_key(cls, key: SecretStr) -> SecretStr:
        if len(bytes.fromhex(key.get_secret_value())) != _KEY_BYTES:
            raise ValueError("32 bytes as hex")
        return key

    @property
    def sealing_key_bytes(self) -> bytes:
        return bytes.fromhex(self.sealing_key.get_secret_value())
