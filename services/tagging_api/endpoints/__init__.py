"""HTTP in, schema out."""

from services.tagging_api.endpoints import (
    assignments,
    audiences,
    campaigns,
    deliveries,
    membership,
    messages,
    preferences,
    saved_audiences,
    site_plans,
    surveys,
    tag_categories,
    tag_memberships,
    tags,
    visits,
    webhook_endpoints,
)

routers = (
    tags.router,
    tag_categories.router,
    tag_memberships.router,
    assignments.router,
    audiences.router,
    saved_audiences.router,
    membership.router,
    campaigns.router,
    deliveries.router,
    webhook_endpoints.router,
    surveys.router,
    visits.router,
    site_plans.router,
    messages.router,
    preferences.router,
)
