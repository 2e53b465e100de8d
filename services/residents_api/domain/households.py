"""A household: who lives in one dwelling and is related to its head (GB/T 4761)."""

HEAD = "head"
# Tenants, colleagues, who helps in the house: they live there and are no part of it.
NOT_RELATED = "non_relative"

WITHOUT_HEAD = "household.without_head"
TWO_HEADS = "household.two_heads"


def belongs(relation_to_head: str | None) -> bool:
    """Whoever is not said to be a stranger is one of the household."""
    return relation_to_head != NOT_RELATED
