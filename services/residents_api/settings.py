"""Settings of the register: environment variables that start with `RESIDENTS_`."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.settings import DatabaseSettings, SecuritySettings, ServerSettings


class Settings(BaseSettings):
    """`encryption_keys` maps a key id (1 to 255) to 32 bytes in hex; the highest id encrypts.

    `index_key` is 32 bytes in hex: it keys the blind indexes.
    """

    model_config = SettingsConfigDict(
        env_prefix="RESIDENTS_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    database: DatabaseSettings
    security: SecuritySettings
    server: ServerSettings = ServerSettings()
    encryption_keys: dict[int, SecretStr] = Field(min_length=1)
    index_key: SecretStr
    ledger_directory: Path = Field(description="Where uploaded ledgers are kept, encrypted.")
    ledger_keep_days: int = 30
    max_ledger_bytes: int = 64 * 1024 * 1024
    import_processes: int = Field(default=3, ge=1, description="Worker processes of an import.")
