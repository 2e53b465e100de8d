"""The tables of labels and targeting.

Every large table has `resident_id` (or its own id) first in its primary key, so the same schema
distributes by those columns.
"""

from services.tagging_api.models.base import Base, metadata
from services.tagging_api.models.campaigns import Campaign, CampaignArea, Delivery, Message
from services.tagging_api.models.residents import Compound, LedgerLabel, Resident, ResidentPlace
from services.tagging_api.models.tags import Tag, TagAssignment

__all__ = [
    "Base",
    "Campaign",
    "CampaignArea",
    "Compound",
    "Delivery",
    "LedgerLabel",
    "Message",
    "Resident",
    "ResidentPlace",
    "Tag",
    "TagAssignment",
    "metadata",
]
