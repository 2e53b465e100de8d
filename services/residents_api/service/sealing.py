"""The register's sealer, from its settings."""

from services.residents_api.domain.sealing import Sealer
from services.residents_api.settings import Settings


def sealer(settings: Settings) -> Sealer:
    return Sealer(
        keys={
            key_id: bytes.fromhex(key.get_secret_value())
            for key_id, key in settings.encryption_keys.items()
        },
        index_key=bytes.fromhex(settings.index_key.get_secret_value()),
    )
