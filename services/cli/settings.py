"""A service's own settings, for what the command does in its name."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic_settings import BaseSettings, EnvSettingsSource

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def read(settings: type[SettingsT], variables: Mapping[str, str]) -> SettingsT:
    """Settings from these variables, as the service reads them from its environment."""
    source = EnvSettingsSource(settings)
    source.env_vars = {name.lower(): value for name, value in variables.items()}
    return settings.model_validate(source())
