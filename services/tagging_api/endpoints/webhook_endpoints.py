"""`/v1/webhook-endpoints`: other platforms that are told of campaigns."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from services.common.access import Permission
from services.common.errors import refuses
from services.common.pagination import PageInQuery, cut
from services.common.problems import AreaForbidden
from services.common.routing import Reading, UnitOfWorkRoute, Writing, secret
from services.common.security import Caller, requires
from services.tagging_api.dependencies import (
    CurrentClock,
    CurrentSettings,
    WebhookEndpointInPath,
)
from services.tagging_api.errors import (
    WebhookEndpointInUse,
    WebhookEndpointNotFound,
    WebhookUrlRefused,
)
from services.tagging_api.repository import webhooks as repository
from services.tagging_api.schemas.webhooks import (
    WebhookEndpointCreate,
    WebhookEndpointCreated,
    WebhookEndpointPage,
    WebhookEndpointRead,
)
from services.tagging_api.service import webhooks as service

router = APIRouter(prefix="/v1", tags=["webhook endpoints"], route_class=UnitOfWorkRoute)

WebhookWriter = Annotated[Caller, requires(Permission.WEBHOOKS_WRITE)]


@router.post(
    "/webhook-endpoints", status_code=201, responses=refuses(AreaForbidden, WebhookUrlRefused)
)
@secret
async def create_webhook_endpoint(
    caller: WebhookWriter,
    session: Writing,
    asked: WebhookEndpointCreate,
    clock: CurrentClock,
    settings: CurrentSettings,
    response: Response,
) -> WebhookEndpointCreated:
    """Register where webhooks go. The secret that signs them is made here and shown this once.

    A webhook names residents by id, up to some hundred at once, and holds no text: whoever gets it
    reads the campaign through this API. It may come twice, with the same `webhook-id`.
    """
    endpoint, plain = await service.register(
        session,
        asked,
        caller=caller,
        clock=clock,
        sealing_key=settings.sealing_key_bytes,
        hosts=settings.webhook_hosts,
    )
    response.headers["Location"] = f"/v1/webhook-endpoints/{endpoint.id}"
    shown = WebhookEndpointRead.model_validate(endpoint)
    return WebhookEndpointCreated(**shown.model_dump(), secret=plain)


@router.get("/webhook-endpoints")
async def list_webhook_endpoints(
    caller: WebhookWriter, session: Reading, page: PageInQuery
) -> WebhookEndpointPage:
    """Webhook endpoints of your areas, newest first."""
    rows = await repository.page(session, within=caller.areas, page=page)
    items, token = cut(rows, page, keys=lambda row: (row.id,))
    return WebhookEndpointPage.model_validate({"items": items, "next_page_token": token})


@router.get("/webhook-endpoints/{endpoint_id}", responses=refuses(WebhookEndpointNotFound))
async def read_webhook_endpoint(
    _: WebhookWriter, endpoint: WebhookEndpointInPath
) -> WebhookEndpointRead:
    """One webhook endpoint, without its secret."""
    return WebhookEndpointRead.model_validate(endpoint)


@router.delete(
    "/webhook-endpoints/{endpoint_id}",
    status_code=204,
    responses=refuses(WebhookEndpointNotFound, WebhookEndpointInUse),
)
async def delete_webhook_endpoint(
    _: WebhookWriter, session: Writing, endpoint: WebhookEndpointInPath
) -> None:
    """Forget a webhook endpoint that no campaign under way uses."""
    await service.remove(session, endpoint)
