"""Where to put a service: places chosen among compounds."""

from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, field_validator, model_validator

from services.common.problems import Text
from services.common.schemas import AreaCode, Instant, Line, Page, Schema, fault
from services.tagging_api.domain.site_plans import MAX_PLACES, Ended
from services.tagging_api.schemas.rules import BoundedRule, Rule
from services.tagging_api.schemas.tags import Sensitivity


class RiskLevel(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


Weight = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
CompoundIds = Annotated[list[UUID], Field(max_length=MAX_PLACES)]


class SiteWeights(Schema):
    """How much each kind of demand counts, beside the others.

    Each is a compound's share of all compounds' sum: of households, of people, of members of the
    audience, of risk (low 1, medium 2, high 3).
    """

    model_config = ConfigDict(json_schema_mode_override="validation")

    households: Weight = 0
    population: Weight = 0
    audience: Weight = Field(default=0, description="Needs a `rule`.")
    risk_level: Weight = 0


class SitePlanCreate(Schema):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "流动菜摊选址",
                    "area": "510182104",
                    "places": 5,
                    "max_distance_metres": 500,
                    "at_most_one_within_metres": 1000,
                    "weights": {"households": 1, "audience": 2},
                    "rule": {"field": "age", "op": "gte", "value": 60},
                    "excluded": ["0199f3c1-5d77-7a01-b2c4-1e9a7d3f6c58"],
                },
            ]
        }
    )

    name: Line = Field(max_length=100, examples=["流动菜摊选址"])
    area: AreaCode = Field(description="A division or a compound: its compounds are chosen from.")
    places: int = Field(ge=1, le=MAX_PLACES, examples=[5])
    max_distance_metres: int = Field(
        ge=10, le=5000, description="How far people walk, as the crow flies.", examples=[500]
    )
    at_most_one_within_metres: int | None = Field(
        default=None, ge=1, le=50_000, description="Places lie further apart.", examples=[1000]
    )
    weights: SiteWeights
    rule: BoundedRule | None = None
    required: CompoundIds = Field(default_factory=list[UUID], description="Chosen in any case.")
    excluded: Annotated[list[UUID], Field(max_length=5000)] = Field(
        default_factory=list[UUID],
        description="Never chosen. People there still count.",
    )

    @field_validator("weights")
    @classmethod
    def _something_counts(cls, weights: SiteWeights) -> SiteWeights:
        if not any(value for _, value in weights):
            raise _NO_WEIGHT
        return weights

    @model_validator(mode="after")
    def _a_rule_if_it_counts(self) -> Self:
        if (self.rule is None) is (self.weights.audience > 0):
            raise _RULE_AND_WEIGHT
        return self


class Demand(Schema):
    """`audience` is null without a rule. Fewer than 5 members of a sensitive audience in a
    compound count as none.
    """

    households: int
    population: int
    audience: int | None


class ReachedCompound(Schema):
    compound_id: UUID
    name: str | None
    distance_metres: int


class SiteChoice(Schema):
    """A place and why: what it newly covers, and what share of all demand that is."""

    compound_id: UUID
    name: str | None
    longitude: float
    latitude: float
    required: bool
    gain: float = Field(description="Share of all demand.", examples=[0.214])
    gain_by_weight: "SiteGains"
    newly_covered: Demand
    covers: list[ReachedCompound] = Field(
        description="Compounds that no place before it covers, the nearest first."
    )


class SiteGains(Schema):
    """The parts of a gain. They add up to it."""

    households: float
    population: float
    audience: float
    risk_level: float


class SiteBound(Schema):
    """How good the plan is at least.

    Greedy choice covers at least `guarantee` of what the best choice would: 1 - 1/e, and 1/6 where
    places must lie apart. For this plan, no choice covers more than `upper_bound` of all demand, so
    it covers `achieved_share` of the best or more.
    """

    guarantee: float = Field(examples=[0.6321])
    upper_bound: float = Field(examples=[0.81])
    achieved_share: float = Field(examples=[0.97])


class UncoveredCompound(Schema):
    compound_id: UUID
    name: str | None
    weight: float = Field(description="Share of all demand.")


class Uncovered(Schema):
    """What is out of reach of all places; the heaviest 200 `compounds`, of `compound_count`."""

    share: float
    demand: Demand
    compound_count: int
    compounds: list[UncoveredCompound]


class UnplacedCompound(Schema):
    compound_id: UUID
    name: str | None


class SitePlanFound(Schema):
    """What a plan says. `unplaced` lack coordinates: they are neither chosen nor counted."""

    choices: list[SiteChoice]
    ended: Ended
    covered_share: float
    bound: SiteBound
    total: Demand
    uncovered: Uncovered
    unplaced: list[UnplacedCompound]


class SitePlanAsked(Schema):
    model_config = ConfigDict(json_schema_mode_override="validation")

    places: int
    max_distance_metres: int
    at_most_one_within_metres: int | None
    weights: SiteWeights
    rule: Rule | None
    required: list[UUID]
    excluded: list[UUID]


class SitePlanSummary(Schema):
    id: UUID
    name: str
    area: AreaCode
    sensitivity: Sensitivity
    created_at: Instant


class SitePlanPage(Page):
    items: list[SitePlanSummary]


class SitePlanRead(SitePlanSummary):
    asked: SitePlanAsked
    found: SitePlanFound


_NO_WEIGHT = fault("site_plan.no_weight", Text("至少一项权重应大于0", "One weight must be above 0"))
_RULE_AND_WEIGHT = fault(
    "site_plan.rule_and_weight",
    Text("rule 与 weights.audience 必须同时给出", "rule and weights.audience come together"),
)
