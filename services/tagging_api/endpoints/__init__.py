"""HTTP in, schema out."""

from services.tagging_api.endpoints import assignments, audiences, campaigns, messages, tags

routers = (
    tags.router,
    assignments.router,
    audiences.router,
    campaigns.router,
    messages.router,
)
