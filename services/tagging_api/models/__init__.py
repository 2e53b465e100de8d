"""The tables of labels and targeting.

Every large table has `resident_id` (or its own id) first in its primary key, so the same schema
distributes by those columns.
"""

from services.tagging_api.models.audiences import Audience, AudienceArea, AudienceMember
from services.tagging_api.models.base import Base, metadata
from services.tagging_api.models.campaigns import Campaign, CampaignArea, Delivery, Parcel
from services.tagging_api.models.inbox import Account, Message, OptOut, Topic
from services.tagging_api.models.index import AreaName
from services.tagging_api.models.residents import (
    Compound,
    LedgerLabel,
    Resident,
    ResidentPlace,
    Village,
)
from services.tagging_api.models.sites import SitePlan
from services.tagging_api.models.surveys import Survey, SurveyArea, Visit
from services.tagging_api.models.tags import (
    Tag,
    TagAssignment,
    TagCategory,
    TagKeeper,
    TagMembershipEvent,
)
from services.tagging_api.models.webhooks import WebhookEndpoint, WebhookEndpointArea

__all__ = [
    "Account",
    "AreaName",
    "Audience",
    "AudienceArea",
    "AudienceMember",
    "Base",
    "Campaign",
    "CampaignArea",
    "Compound",
    "Delivery",
    "LedgerLabel",
    "Message",
    "OptOut",
    "Parcel",
    "Resident",
    "ResidentPlace",
    "SitePlan",
    "Survey",
    "SurveyArea",
    "Tag",
    "TagAssignment",
    "TagCategory",
    "TagKeeper",
    "TagMembershipEvent",
    "Topic",
    "Village",
    "Visit",
    "WebhookEndpoint",
    "WebhookEndpointArea",
    "metadata",
]
