"""Settings of the register: environment variables that start with `RESIDENTS_`."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.settings import DatabaseSettings, SecuritySettings, ServerSettings


class Settings(BaseSettings):
    """`encryption_keys` maps a key id (1 to 255) to 32 bytes in hex; the highest id encrypts. Once
    there is a `key_file`, its keys are those that count: it changes while the service runs.

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
    key_file: Path | None = None
    index_key: SecretStr
    ledger_directory: Path = Field(description="Where uploaded ledgers are kept, encrypted.")
    audit_head_directory: Path | None = Field(
        default=None,
        description="Where the head of the audit's chain is kept outside of the database; beside the"
        " ledgers unless said.",
    )
    ledger_keep_days: int = 30
    max_ledger_bytes: int = 64 * 1024 * 1024
    export_approval_over: int = Field(
        default=1_000, ge=0, description="Exports of more residents need a second person."
    )
    import_processes: int = Field(default=3, ge=1, description="Worker processes of an import.")

    @property
    def audit_directory(self) -> Path:
        return self.audit_head_directory or self.ledger_directory.with_name("audit")
