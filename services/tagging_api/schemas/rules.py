"""The rule language: `all`, `any`, `not`, `tag`, `area`, `field`.

Size and shape are checked without recursion before anything else looks at a rule, and every fault
is told with a pointer into the rule as it was sent.
"""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, cast

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
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from services.common.areas import Area
from services.common.problems import Text
from services.common.schemas import AreaCode, Schema, fault
from services.tagging_api.domain import rules
from services.tagging_api.domain.codes import CODES
from services.tagging_api.domain.rules import FieldName, Operator
from services.tagging_api.schemas.tags import TagNamed

_Location = tuple[str | int, ...]
_Fault = tuple[_Location, PydanticCustomError]

_SCALAR = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
_VALUE = WithJsonSchema(
    {
        "anyOf": [
            *_SCALAR["anyOf"],
            {"type": "array", "items": _SCALAR, "minItems": 1, "maxItems": rules.MAX_VALUES},
        ],
        "description": (
            "Ages are whole numbers of years, birth dates `YYYY-MM-DD`, everything else codes of"
            " its code list. `between` takes [low, high], both included; `in` a list."
        ),
    }
)


class _Node(Schema):
    # What is sent and what is answered is one type to clients; recursion hides that from Pydantic.
    model_config = ConfigDict(json_schema_mode_override="validation")


class AllRule(_Node):
    """Everybody for whom all of the rules hold."""

    all: list["Rule"] = Field(min_length=1)


class AnyRule(_Node):
    """Everybody for whom at least one of the rules holds."""

    any: list["Rule"] = Field(min_length=1)


class NotRule(_Node):
    """Everybody for whom the rule does not hold, those whose values are unknown included."""

    not_: "Rule" = Field(alias="not")


class TagRule(_Node):
    """Everybody who bears the tag."""

    tag: TagNamed


class AreaRule(_Node):
    """Everybody with a current occupancy in the area, as far as that lies within the caller's."""

    area: AreaCode


class FieldRule(_Node):
    """Everybody whose value is known and compares so.

    `age` and `birth_date` take every operator, all others `eq`, `ne` and `in`. `tenure` asks
    whether any current occupancy in the caller's areas compares so.
    """

    field: FieldName
    op: Operator
    value: Annotated[Any, _VALUE] = Field(examples=[[25, 35]])

    @model_validator(mode="after")
    def _comparable(self) -> "FieldRule":
        faults = list(_operand_faults(self.field, self.op, self.value))
        if faults:
            raise _invalid(faults)
        return self


def _kind(rule: Any) -> str | None:
    if isinstance(rule, dict):
        found = cast("dict[str, Any]", rule)
        return next((kind for kind in _KINDS if kind in found), None)
    return next((kind for kind, model in _KINDS.items() if isinstance(rule, model)), None)


_KINDS: dict[str, type[Schema]] = {
    "all": AllRule,
    "any": AnyRule,
    "not": NotRule,
    "tag": TagRule,
    "area": AreaRule,
    "field": FieldRule,
}


class Rule(
    RootModel[
        Annotated[
            Annotated[AllRule, Tag("all")]
            | Annotated[AnyRule, Tag("any")]
            | Annotated[NotRule, Tag("not")]
            | Annotated[TagRule, Tag("tag")]
            | Annotated[AreaRule, Tag("area")]
            | Annotated[FieldRule, Tag("field")],
            Discriminator(_kind),
        ]
    ]
):
    """One of `all`, `any`, `not`, `tag`, `area` and `field`; at most 16 deep and 200 in number."""

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
    faults = list(_shape_faults(value))
    if faults:
        raise _invalid(faults)
    try:
        return validate(value)
    except ValidationError as refused:
        raise _as_sent(refused) from None


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
        case TagRule(tag=code):
            return rules.HasTag(code)
        case AreaRule(area=area):
            return rules.InArea(Area.parse(area))
        case FieldRule(field=field, op=op, value=value):
            values = cast("list[Any]", value) if isinstance(value, list) else [value]
            if field is FieldName.BIRTH_DATE:
                values = [date.fromisoformat(text) for text in values]
            return rules.Compare(field, op, tuple(values))


def _shape_faults(rule: Any) -> Iterator[_Fault]:
    """Whatever could make a validator recurse or guess. A stack of our own: input may be deep."""
    waiting: list[tuple[Any, _Location, int]] = [(rule, (), 1)]
    nodes = 0
    while waiting:
        node, at, depth = waiting.pop()
        nodes += 1
        if nodes > rules.MAX_NODES:
            yield (), _TOO_LARGE
            return
        if depth > rules.MAX_DEPTH:
            yield at, _TOO_DEEP
            continue
        found = cast("dict[str, Any]", node) if isinstance(node, dict) else {}
        kinds = [kind for kind in _KINDS if kind in found]
        if len(kinds) != 1:
            yield at, _NO_RULE
            continue
        kind, inner = kinds[0], found[kinds[0]]
        if kind == "not":
            waiting.append((inner, (*at, kind), depth + 1))
        elif kind in {"all", "any"} and isinstance(inner, list):
            children = cast("list[Any]", inner)
            # Whatever is more than may be is not even looked at.
            listed = [
                (child, (*at, kind, index), depth + 1)
                for index, child in enumerate(children[: rules.MAX_NODES])
            ]
            waiting.extend(reversed(listed))


def _operand_faults(field: FieldName, op: Operator, value: Any) -> Iterator[_Fault]:
    if field not in rules.ORDERED and op not in rules.CODED_OPERATORS:
        yield ("op",), _WRONG_OPERATOR
        return
    if op not in {Operator.BETWEEN, Operator.IN}:
        if (found := _scalar_fault(field, value)) is not None:
            yield ("value",), found
        return
    values = cast("list[Any]", value) if isinstance(value, list) else []
    most = 2 if op is Operator.BETWEEN else rules.MAX_VALUES
    if not values or len(values) > most or (op is Operator.BETWEEN and len(values) != most):
        yield ("value",), _NO_RANGE if op is Operator.BETWEEN else _NO_LIST
        return
    faults = [(index, _scalar_fault(field, each)) for index, each in enumerate(values)]
    found_any = False
    for index, found in faults:
        if found is not None:
            found_any = True
            yield ("value", index), found
    # Dates as ISO text compare as dates do.
    if op is Operator.BETWEEN and not found_any and values[0] > values[1]:
        yield ("value",), _UPSIDE_DOWN


def _scalar_fault(field: FieldName, value: Any) -> PydanticCustomError | None:
    if field is FieldName.AGE:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return None if whole and 0 <= value <= rules.MAX_AGE else _NO_AGE
    if field is FieldName.BIRTH_DATE:
        return None if isinstance(value, str) and _is_date(value) else _NO_DATE
    return None if isinstance(value, str) and value in CODES[field] else _NO_CODE


def _is_date(text: str) -> bool:
    try:
        # Only the extended form: fromisoformat also takes 20260301 and 2026-W09-7.
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _invalid(faults: list[_Fault]) -> ValidationError:
    return ValidationError.from_exception_data(
        "Rule",
        [InitErrorDetails(type=error, loc=at, input=None) for at, error in faults],
        hide_input=True,
    )


def _as_sent(refused: ValidationError) -> ValidationError:
    """The same faults where the caller finds them: Pydantic puts a union's tag into the path."""
    details: list[InitErrorDetails] = []
    for error in refused.errors(include_url=False, include_input=False):
        kind = error["type"]
        context = error.get("ctx", {})
        details.append(
            InitErrorDetails(
                # A dot marks a code of ours.
                type=PydanticCustomError(kind, error["msg"], context) if "." in kind else kind,  # pyright: ignore[reportArgumentType] - asks for literals
                loc=_without_tags(error["loc"]),
                input=None,
                ctx=context,
            )
        )
    return ValidationError.from_exception_data("Rule", details, hide_input=True)


def _without_tags(location: _Location) -> _Location:
    kept: list[str | int] = []
    at_rule = True
    for part in location:
        if at_rule:
            at_rule = False
            continue
        kept.append(part)
        listed = isinstance(part, int) and kept[-2:-1] in (["all"], ["any"])
        at_rule = listed or part == "not"
    return tuple(kept)


_TOO_LARGE = fault("rule.too_large", Text("规则最多200个节点", "A rule may have 200 nodes at most"))
_TOO_DEEP = fault("rule.too_deep", Text("规则最多16层", "A rule may be 16 deep at most"))
_NO_RULE = fault(
    "rule.malformed",
    Text(
        "应为含有 all、any、not、tag、area、field 之一的对象",
        "An object with exactly one of all, any, not, tag, area and field",
    ),
)
_WRONG_OPERATOR = fault(
    "rule.wrong_operator",
    Text("该字段只能用 eq、ne、in", "This field takes eq, ne and in only"),
)
_NO_RANGE = fault(
    "rule.value_not_range", Text("应为 [下限, 上限]", "Two values are needed: [low, high]")
)
_NO_LIST = fault(
    "rule.value_not_list", Text("应为1至100个值的列表", "A list of 1 to 100 values is needed")
)
_UPSIDE_DOWN = fault(
    "rule.range_upside_down", Text("下限不能大于上限", "The lower bound is above the upper one")
)
_NO_AGE = fault(
    "rule.value_not_age", Text("年龄应为0至150的整数", "An age is a whole number, 0 to 150")
)
_NO_DATE = fault(
    "rule.value_not_date", Text("应为日期（YYYY-MM-DD）", "A date is needed: YYYY-MM-DD")
)
_NO_CODE = fault(
    "rule.value_unknown", Text("该字段没有这个代码", "The field's code list has no such code")
)
