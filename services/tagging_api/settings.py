"""Settings of labels and targeting: environment variables that start with `TAGGING_`."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.settings import (
    DatabaseSettings,
    NeighbourSettings,
    SecuritySettings,
    ServerSettings,
)


class Settings(BaseSettings):
    """`residents` and `reports` are the neighbours whose feeds are followed."""

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
    campaign_batch_size: int = Field(
        default=2000, ge=1, le=10_000, description="Messages written in one transaction."
    )
