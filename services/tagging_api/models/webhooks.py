"""Where webhooks go."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from services.tagging_api.models.base import Base, OwnersArea


class WebhookEndpoint(Base):
    """A receiver. `secret` is sealed (`domain.seals`). `disabled_at`: it said that it is gone."""

    __tablename__ = "webhook_endpoint"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    url: Mapped[str]
    secret: Mapped[bytes]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]

    def __repr__(self) -> str:
        return f"WebhookEndpoint({self.id})"


class WebhookEndpointArea(OwnersArea, Base):
    __tablename__ = "webhook_endpoint_area"

    endpoint_id: Mapped[UUID] = mapped_column(primary_key=True)
