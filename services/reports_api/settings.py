"""Settings of the reports: environment variables that start with `REPORTS_`."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.settings import (
    DatabaseSettings,
    NeighbourSettings,
    SecuritySettings,
    ServerSettings,
)


class Settings(BaseSettings):
    """`photo_store` is a URL: `file:///directory` (made if missing), `s3://bucket/prefix` (keys from
    the usual AWS variables) or `memory:///`.
    """

    model_config = SettingsConfigDict(
        env_prefix="REPORTS_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    database: DatabaseSettings
    security: SecuritySettings
    server: ServerSettings = ServerSettings()
    residents: NeighbourSettings
    photo_store: str
    max_photos: int = Field(default=9, ge=0, description="Photos of one report.")
    max_photo_bytes: int = Field(default=10 * 1024 * 1024, ge=1)
    # As many as a phone's camera of 50 million pixels gives.
    max_photo_pixels: int = Field(default=8192 * 6144, ge=1)
    photo_processes: int = Field(default=2, ge=1, description="Photos decoded at a time.")
