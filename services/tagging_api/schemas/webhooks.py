"""Where webhooks go."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from services.common.schemas import Instant, Line, Page, Schema

WebhookUrl = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2000),
    Field(
        description="http or https, to a public address. Where it redirects to is not followed.",
        examples=["https://hooks.example.com/shequ"],
    ),
]


class WebhookEndpointCreate(Schema):
    name: Line = Field(max_length=100, examples=["市民云"])
    url: WebhookUrl


class WebhookEndpointRead(Schema):
    id: UUID
    name: str
    url: str
    created_by: str
    created_at: Instant
    disabled_at: Instant | None = Field(description="When it answered 410, that it is gone.")


class WebhookEndpointCreated(WebhookEndpointRead):
    secret: str = Field(
        description="By which webhooks are signed, as Standard Webhooks has it. Shown this once.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )


class WebhookEndpointPage(Page):
    items: list[WebhookEndpointRead]
