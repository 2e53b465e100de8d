"""What can be wrong with a rule, in its shape and in its operands, with the way to the fault."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import partial
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from services.common.problems import Text
from services.common.schemas import fault
from services.tagging_api.domain import rules
from services.tagging_api.domain.codes import CODES
from services.tagging_api.domain.rules import FieldName, Operator

Location = tuple[str | int, ...]
Fault = tuple[Location, PydanticCustomError]

KINDS = ("all", "any", "not", "tag", "area", "field", "audience", "sample")
RELATIVE = "days_from_today"


def shape_faults(rule: Any) -> Iterator[Fault]:
    """Whatever could make a validator recurse or guess. A stack of our own: input may be deep."""
    waiting: list[tuple[Any, Location, int]] = [(rule, (), 1)]
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
        kinds = [kind for kind in KINDS if kind in found]
        if len(kinds) != 1:
            yield at, _NO_RULE
            continue
        inner = [
            (child, (*at, *below), depth + 1) for child, below in _inner(kinds[0], found[kinds[0]])
        ]
        waiting.extend(reversed(inner))


def _inner(kind: str, found: Any) -> Iterator[tuple[Any, Location]]:
    """The rules within a rule, and where."""
    match kind, found:
        case "not", _:
            yield found, (kind,)
        case "sample", {"rule": drawn_from}:
            yield drawn_from, (kind, "rule")
        case (("all" | "any"), list()):
            # Whatever is more than may be is not even looked at.
            children = cast("list[Any]", found)[: rules.MAX_NODES]
            yield from ((child, (kind, index)) for index, child in enumerate(children))
        case _:
            return


def operand_faults(name: FieldName, op: Operator, value: Any) -> Iterator[Fault]:
    """What keeps a field from being compared so."""
    if op not in rules.operators(name):
        yield ("op",), _EQUALS_ONLY if name is FieldName.LIVES_ALONE else _WRONG_OPERATOR
    elif op is Operator.IN:
        yield from _list_faults(name, value)
    elif op is Operator.BETWEEN:
        yield from _range_faults(value, partial(_scalar_fault, name))
    elif (found := _scalar_fault(name, value)) is not None:
        yield ("value",), found


def days_faults(op: Operator, value: Any) -> Iterator[Fault]:
    """What keeps a number of days from being compared so."""
    if op is Operator.BETWEEN:
        yield from _range_faults(value, _days_fault)
    elif (found := _days_fault(value)) is not None:
        yield ("value",), found


def _list_faults(name: FieldName, value: Any) -> Iterator[Fault]:
    values = cast("list[Any]", value) if isinstance(value, list) else []
    if not 1 <= len(values) <= rules.MAX_VALUES:
        yield ("value",), _NO_LIST
        return
    for index, each in enumerate(values):
        if (found := _scalar_fault(name, each)) is not None:
            yield ("value", index), found


def _range_faults(
    value: Any, scalar_fault: Callable[[Any], PydanticCustomError | None]
) -> Iterator[Fault]:
    values = cast("list[Any]", value) if isinstance(value, list) else []
    if len(values) != 2:
        yield ("value",), _NO_RANGE
        return
    faults = [(index, scalar_fault(each)) for index, each in enumerate(values)]
    told = [(index, found) for index, found in faults if found is not None]
    for index, found in told:
        yield ("value", index), found
    if not told and _upside_down(*values):
        yield ("value",), _UPSIDE_DOWN


def _upside_down(low: Any, high: Any) -> bool:
    if isinstance(low, dict) and isinstance(high, dict):
        relative = cast("list[dict[str, int]]", [low, high])
        return relative[0][RELATIVE] > relative[1][RELATIVE]
    if isinstance(low, dict) or isinstance(high, dict):
        return False  # a day that moves and one that does not: it depends on the day
    # Dates as ISO text compare as dates do.
    return low > high


def _scalar_fault(name: FieldName, value: Any) -> PydanticCustomError | None:
    match name:
        case FieldName.AGE:
            return None if _whole(value, 0, rules.MAX_AGE) else _NO_AGE
        case FieldName.HOUSEHOLD_SIZE:
            return None if _whole(value, 1, rules.MAX_HOUSEHOLD) else _NO_HOUSEHOLD
        case FieldName.LIVES_ALONE:
            return None if isinstance(value, bool) else _NO_BOOLEAN
        case FieldName.BIRTH_DATE | FieldName.LEASE_END_DATE:
            return None if _is_date(value) or _is_relative(value) else _NO_DATE
        case _:
            return None if isinstance(value, str) and value in CODES[name] else _NO_CODE


def _days_fault(value: Any) -> PydanticCustomError | None:
    return None if _whole(value, 0, rules.MAX_DAYS) else _NO_DAYS


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_relative(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    found = cast("dict[str, Any]", value)
    return list(found) == [RELATIVE] and _whole(found[RELATIVE], -rules.MAX_DAYS, rules.MAX_DAYS)


def _is_date(value: Any) -> bool:
    try:
        # Only the extended form: fromisoformat also takes 20260301 and 2026-W09-7.
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def invalid(faults: Iterable[Fault]) -> ValidationError:
    """The faults as what a validator raises."""
    return ValidationError.from_exception_data(
        "Rule",
        [InitErrorDetails(type=error, loc=at, input=None) for at, error in faults],
        hide_input=True,
    )


def as_sent(refused: ValidationError) -> ValidationError:
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


def _without_tags(location: Location) -> Location:
    kept: list[str | int] = []
    at_rule = True
    for part in location:
        if at_rule:
            at_rule = False
            continue
        kept.append(part)
        listed = isinstance(part, int) and kept[-2:-1] in (["all"], ["any"])
        at_rule = listed or part == "not" or kept[-2:] == ["sample", "rule"]
    return tuple(kept)


_TOO_LARGE = fault("rule.too_large", Text("规则最多200个节点", "A rule may have 200 nodes at most"))
_TOO_DEEP = fault("rule.too_deep", Text("规则最多16层", "A rule may be 16 deep at most"))
_NO_RULE = fault(
    "rule.malformed",
    Text(
        "应为含有 all、any、not、tag、area、field、audience、sample 之一的对象",
        "An object with exactly one of all, any, not, tag, area, field, audience and sample",
    ),
)
_WRONG_OPERATOR = fault(
    "rule.wrong_operator",
    Text("该字段只能用 eq、ne、in", "This field takes eq, ne and in only"),
)
_EQUALS_ONLY = fault("rule.wrong_operator", Text("该字段只能用 eq", "This field takes eq only"))
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
_NO_HOUSEHOLD = fault(
    "rule.value_not_household_size",
    Text("家庭人数应为1至99的整数", "A household's size is a whole number, 1 to 99"),
)
_NO_BOOLEAN = fault("rule.value_not_boolean", Text("应为 true 或 false", "true or false is needed"))
_NO_DATE = fault(
    "rule.value_not_date",
    Text(
        '应为日期（YYYY-MM-DD）或 {"days_from_today": n}',
        'A date is needed, YYYY-MM-DD, or {"days_from_today": n}',
    ),
)
_NO_DAYS = fault(
    "rule.value_not_days",
    Text("天数应为0至55000的整数", "Days are a whole number, 0 to 55,000"),
)
_NO_CODE = fault(
    "rule.value_unknown", Text("该字段没有这个代码", "The field's code list has no such code")
)
NO_SIZE = fault(
    "rule.sample_size",
    Text("n 与 percent 必须且只能给出一个", "Exactly one of n and percent is needed"),
)
NO_PERCENT = fault(
    "rule.value_not_percent",
    Text(
        "百分比应为0.01至100，最多两位小数",
        "A percentage is 0.01 to 100, with two decimals at most",
    ),
)
