"""The rule language: `all`, `any`, `not`, `tag`, `area`, `field`, `audience`, `sample`.

Size and shape are checked without recursion before anything else looks at a rule, and every fault
is told with a pointer into the rule as it was sent.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, cast
from uuid import UUID

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    Tag,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    field_validator,
    model_validator,
)

from services.common.areas import Area
from services.common.schemas import AreaCode, Schema
from services.tagging_api.domain import rules
from services.tagging_api.domain.rules import DATES, FieldName, Operator
from services.tagging_api.schemas.rule_faults import (
    NO_PERCENT,
    NO_SIZE,
    RELATIVE,
    as_sent,
    days_faults,
    invalid,
    operand_faults,
    shape_faults,
)
from services.tagging_api.schemas.tags import AssignmentSource, TagNamed

_RELATIVE_DAY = {
    "type": "object",
    "properties": {
        RELATIVE: {"type": "integer", "minimum": -rules.MAX_DAYS, "maximum": rules.MAX_DAYS}
    },
    "required": [RELATIVE],
    "additionalProperties": False,
}
_SCALARS: list[dict[str, Any]] = [
    {"type": "integer"},
    {"type": "string"},
    {"type": "boolean"},
    _RELATIVE_DAY,
]
_VALUE = WithJsonSchema(
    {
        "anyOf": [
            *_SCALARS,
            {
                "type": "array",
                "items": {"anyOf": _SCALARS},
                "minItems": 1,
                "maxItems": rules.MAX_VALUES,
            },
        ],
        "description": (
            "Ages and household sizes are whole numbers; dates are `YYYY-MM-DD`, or"
            ' `{"days_from_today": n}` for a day that moves; `lives_alone` is true or false;'
            " everything else codes of its code list. `between` takes [low, high], both included;"
            " `in` a list."
        ),
    }
)
_NUMBER_OF_DAYS = {"type": "integer", "minimum": 0, "maximum": rules.MAX_DAYS}
_DAYS = WithJsonSchema(
    {
        "anyOf": [
            _NUMBER_OF_DAYS,
            {"type": "array", "items": _NUMBER_OF_DAYS, "minItems": 2, "maxItems": 2},
        ],
        "description": "Whole days, 0 for today. `between` takes [low, high], both included.",
    }
)


class DaysOperator(StrEnum):
    EQ = "eq"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    BETWEEN = "between"


class _Node(Schema):
    # What is sent and what is answered is one type to clients; recursion hides that from Pydantic.
    model_config = ConfigDict(json_schema_mode_override="validation")


def _unsaid(value: Any) -> bool:
    """What was not said is neither stored nor shown as said."""
    return value is None


class AllRule(_Node):
    """Everybody for whom all of the rules hold."""

    all: list["Rule"] = Field(min_length=1)


class AnyRule(_Node):
    """Everybody for whom at least one of the rules holds."""

    any: list["Rule"] = Field(min_length=1)


class NotRule(_Node):
    """Everybody for whom the rule does not hold, those whose values are unknown included."""

    not_: "Rule" = Field(alias="not")


class AssignedDays(_Node):
    """How many calendar days ago the tag was given."""

    op: DaysOperator
    value: Annotated[Any, _DAYS] = Field(examples=[30])

    @model_validator(mode="after")
    def _comparable(self) -> "AssignedDays":
        faults = list(days_faults(Operator(self.op), self.value))
        if faults:
            raise invalid(faults)
        return self


class TagRule(_Node):
    """Everybody who bears the tag today, if asked by whom and since when it was given."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"tag": "volunteer"},
                {
                    "tag": "elderly_allowance",
                    "source": "ledger",
                    "assigned_days": {"op": "lte", "value": 30},
                },
            ]
        }
    )

    tag: TagNamed
    source: AssignmentSource | None = Field(default=None, exclude_if=_unsaid)
    assigned_days: AssignedDays | None = Field(default=None, exclude_if=_unsaid)


class AreaRule(_Node):
    """Everybody with a current occupancy in the area, as far as that lies within the caller's."""

    area: AreaCode


class FieldRule(_Node):
    """Everybody whose value is known and compares so.

    `age`, `birth_date`, `household_size` and `lease_end_date` take every operator, `lives_alone`
    only `eq`, all others `eq`, `ne` and `in`. `tenure`, `household_size`, `lives_alone` and
    `lease_end_date` ask whether any current occupancy in the caller's areas compares so.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"field": "age", "op": "between", "value": [25, 35]},
                {"field": "lives_alone", "op": "eq", "value": True},
                {
                    "field": "lease_end_date",
                    "op": "between",
                    "value": [{"days_from_today": 0}, {"days_from_today": 30}],
                },
            ]
        }
    )

    field: FieldName
    op: Operator
    value: Annotated[Any, _VALUE] = Field(examples=[[25, 35]])

    @model_validator(mode="after")
    def _comparable(self) -> "FieldRule":
        faults = list(operand_faults(self.field, self.op, self.value))
        if faults:
            raise invalid(faults)
        return self


class AudienceRule(_Node):
    """Everybody in a saved audience: today, or when it was frozen."""

    audience: UUID


class SampleOf(_Node):
    """Exactly one of `n` and `percent`. The same `seed` draws the same people."""

    rule: "Rule"
    n: int | None = Field(
        default=None,
        strict=True,
        ge=1,
        le=rules.MAX_SAMPLE,
        exclude_if=_unsaid,
        description="So many, or all.",
    )
    percent: float | None = Field(
        default=None,
        strict=True,
        exclude_if=_unsaid,
        json_schema_extra={"minimum": 0.01, "maximum": 100, "multipleOf": 0.01},
        description="Each with that chance.",
    )
    seed: int = Field(default=0, strict=True, ge=0, le=rules.MAX_SEED)

    @field_validator("percent")
    @classmethod
    def _in_basis_points(cls, percent: float | None) -> float | None:
        if percent is not None:
            # A float is near what was written: two decimals times a hundred are nearly whole.
            points = percent * 100
            if not (1 <= points <= rules.WHOLE and abs(points - round(points)) < 1e-6):
                raise NO_PERCENT
        return percent

    @model_validator(mode="after")
    def _one_size(self) -> "SampleOf":
        if (self.n is None) == (self.percent is None):
            raise NO_SIZE
        return self


class SampleRule(_Node):
    """Some of those whom a rule finds: drawn at random, and the same ones each time."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"sample": {"rule": {"tag": "volunteer"}, "n": 200, "seed": 7}}]
        }
    )

    sample: SampleOf


def _kind(rule: Any) -> str | None:
    if isinstance(rule, dict):
        found = cast("dict[str, Any]", rule)
        return next((kind for kind in _MODELS if kind in found), None)
    return next((kind for kind, model in _MODELS.items() if isinstance(rule, model)), None)


_MODELS: dict[str, type[Schema]] = {
    "all": AllRule,
    "any": AnyRule,
    "not": NotRule,
    "tag": TagRule,
    "area": AreaRule,
    "field": FieldRule,
    "audience": AudienceRule,
    "sample": SampleRule,
}


class Rule(
    RootModel[
        Annotated[
            Annotated[AllRule, Tag("all")]
            | Annotated[AnyRule, Tag("any")]
            | Annotated[NotRule, Tag("not")]
            | Annotated[TagRule, Tag("tag")]
            | Annotated[AreaRule, Tag("area")]
            | Annotated[FieldRule, Tag("field")]
            | Annotated[AudienceRule, Tag("audience")]
            | Annotated[SampleRule, Tag("sample")],
            Discriminator(_kind),
        ]
    ]
):
    """One of `all`, `any`, `not`, `tag`, `area`, `field`, `audience` and `sample`.

    At most 16 deep and 200 in number, those of saved audiences included.
    """

    model_config = ConfigDict(
        hide_input_in_errors=True,
        json_schema_mode_override="validation",
        json_schema_extra={
            "examples": [
                {
                    "all": [
                        {"area": "510182104"},
                        {"field": "sex", "op": "eq", "value": "female"},
                        {"field": "age", "op": "between", "value": [25, 35]},
                    ]
                }
            ]
        },
    )


def _bounded(value: Any, validate: ValidatorFunctionWrapHandler) -> Rule:
    faults = list(shape_faults(value))
    if faults:
        raise invalid(faults)
    try:
        return validate(value)
    except ValidationError as refused:
        raise as_sent(refused) from None


BoundedRule = Annotated[Rule, WrapValidator(_bounded)]


def parsed(rule: Rule) -> rules.Rule:
    """The meaning of a valid rule."""
    match rule.root:
        case AllRule(all=inner):
            return rules.AllOf(tuple(parsed(each) for each in inner))
        case AnyRule(any=inner):
            return rules.AnyOf(tuple(parsed(each) for each in inner))
        case NotRule(not_=inner):
            return rules.Not(parsed(inner))
        case TagRule(tag=code, source=source, assigned_days=days):
            return rules.HasTag(code, source.value if source else None, days and _days(days))
        case AreaRule(area=area):
            return rules.InArea(Area.parse(area))
        case FieldRule(field=name, op=op, value=value):
            values = _listed(value)
            return rules.Compare(name, op, tuple(map(_day, values) if name in DATES else values))
        case AudienceRule(audience=audience_id):
            return rules.InAudience(audience_id)
        case SampleRule(sample=sample):
            points = round(sample.percent * 100) if sample.percent is not None else None
            return rules.Sample(parsed(sample.rule), sample.n, points, sample.seed)


def _days(asked: AssignedDays) -> rules.Days:
    return rules.Days(Operator(asked.op), tuple(_listed(asked.value)))


def _day(value: Any) -> date | rules.RelativeDay:
    if isinstance(value, dict):
        return rules.RelativeDay(cast("dict[str, int]", value)[RELATIVE])
    return date.fromisoformat(value)


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]
