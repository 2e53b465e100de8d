"""The rule language at the door: every fault is a 422 that points at it, and never a 500."""

import json
from typing import Any
from uuid import UUID

from services.common.access import Role
from services.residents_api.domain.code_lists import CODE_LISTS
from services.tagging_api.domain.codes import CODES
from services.tagging_api.domain.rules import ORDERED, FieldName
from tests.conftest import FixedClock
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import TOWN, person, place

AGE = {"field": "age", "op": "between", "value": [25, 35]}


def deep(depth: int) -> dict[str, Any]:
    """A rule of that depth."""
    rule: dict[str, Any] = {"area": TOWN}
    for _ in range(depth - 1):
        rule = {"not": rule}
    return rule


FAULTS: list[tuple[Any, str, str]] = [
    (None, "/rule", "rule.malformed"),
    ([], "/rule", "rule.malformed"),
    ("tag", "/rule", "rule.malformed"),
    ({}, "/rule", "rule.malformed"),
    ({"some": [AGE]}, "/rule", "rule.malformed"),
    ({"tag": "volunteer", "area": TOWN}, "/rule", "rule.malformed"),
    ({"all": [AGE, {"xor": []}]}, "/rule/all/1", "rule.malformed"),
    ({"not": [AGE]}, "/rule/not", "rule.malformed"),
    ({"all": []}, "/rule/all", "too_short"),
    ({"any": []}, "/rule/any", "too_short"),
    ({"all": {"tag": "volunteer"}}, "/rule/all", "list_type"),
    ({"all": [AGE], "note": "x"}, "/rule/note", "extra_forbidden"),
    ({"all": [{"not": {**AGE, "unit": "years"}}]}, "/rule/all/0/not/unit", "extra_forbidden"),
    ({"tag": ""}, "/rule/tag", "string_too_short"),
    ({"tag": 7}, "/rule/tag", "string_type"),
    ({"tag": "a\x00b"}, "/rule/tag", "text.control_character"),
    ({"tag": "no_such_tag"}, "/rule/tag", "tag.unknown"),
    ({"any": [AGE, {"not": {"tag": "没有"}}]}, "/rule/any/1/not/tag", "tag.unknown"),
    ({"area": "51018210"}, "/rule/area", "area.malformed"),
    ({"area": 510182}, "/rule/area", "area.malformed"),
    ({"area": "x" * 36}, "/rule/area", "area.malformed"),
    ({"area": "５１０１８２"}, "/rule/area", "area.malformed"),
    ({**AGE, "field": "name"}, "/rule/field", "enum"),
    ({**AGE, "op": "like"}, "/rule/op", "enum"),
    ({"field": "age", "op": "eq"}, "/rule/value", "missing"),
    ({**AGE, "value": 30}, "/rule/value", "rule.value_not_range"),
    ({**AGE, "value": [25]}, "/rule/value", "rule.value_not_range"),
    ({**AGE, "value": [25, 30, 35]}, "/rule/value", "rule.value_not_range"),
    ({**AGE, "value": [35, 25]}, "/rule/value", "rule.range_upside_down"),
    ({**AGE, "value": [25, 151]}, "/rule/value/1", "rule.value_not_age"),
    (
        {"all": [{"area": TOWN}, {**AGE, "value": [-1, 5]}]},
        "/rule/all/1/value/0",
        "rule.value_not_age",
    ),
    ({"field": "age", "op": "gt", "value": "30"}, "/rule/value", "rule.value_not_age"),
    ({"field": "age", "op": "gt", "value": 30.5}, "/rule/value", "rule.value_not_age"),
    ({"field": "age", "op": "gt", "value": True}, "/rule/value", "rule.value_not_age"),
    ({"field": "age", "op": "gt", "value": 10**30}, "/rule/value", "rule.value_not_age"),
    ({"field": "age", "op": "gt", "value": [30]}, "/rule/value", "rule.value_not_age"),
    ({"field": "age", "op": "in", "value": []}, "/rule/value", "rule.value_not_list"),
    ({"field": "age", "op": "in", "value": [1] * 101}, "/rule/value", "rule.value_not_list"),
    (
        {"field": "birth_date", "op": "lt", "value": "2023-02-29"},
        "/rule/value",
        "rule.value_not_date",
    ),
    (
        {"field": "birth_date", "op": "lt", "value": "20230228"},
        "/rule/value",
        "rule.value_not_date",
    ),
    ({"field": "birth_date", "op": "lt", "value": 2023}, "/rule/value", "rule.value_not_date"),
    ({"field": "sex", "op": "eq", "value": "woman"}, "/rule/value", "rule.value_unknown"),
    ({"field": "sex", "op": "eq", "value": ["female"]}, "/rule/value", "rule.value_unknown"),
    ({"field": "sex", "op": "eq", "value": None}, "/rule/value", "rule.value_unknown"),
    ({"field": "sex", "op": "in", "value": ["female", {}]}, "/rule/value/1", "rule.value_unknown"),
    ({"field": "sex", "op": "in", "value": "female"}, "/rule/value", "rule.value_not_list"),
    ({"field": "ethnicity", "op": "eq", "value": "57"}, "/rule/value", "rule.value_unknown"),
    ({"field": "sex", "op": "lt", "value": "male"}, "/rule/op", "rule.wrong_operator"),
    ({"field": "tenure", "op": "between", "value": ["a", "b"]}, "/rule/op", "rule.wrong_operator"),
    ({"field": "lives_alone", "op": "ne", "value": True}, "/rule/op", "rule.wrong_operator"),
    (
        {"field": "lives_alone", "op": "eq", "value": 1},
        "/rule/value",
        "rule.value_not_boolean",
    ),
    ({"field": "lives_alone", "op": "in", "value": [True]}, "/rule/op", "rule.wrong_operator"),
    (
        {"field": "household_size", "op": "in", "value": [1, 100]},
        "/rule/value/1",
        "rule.value_not_household_size",
    ),
    (
        {"field": "household_size", "op": "lt", "value": True},
        "/rule/value",
        "rule.value_not_household_size",
    ),
    (
        {"field": "lease_end_date", "op": "lt", "value": {"days_from_today": 55_001}},
        "/rule/value",
        "rule.value_not_date",
    ),
    (
        {"field": "lease_end_date", "op": "lt", "value": {"days_from_today": 1, "of": 2}},
        "/rule/value",
        "rule.value_not_date",
    ),
    (
        {"field": "birth_date", "op": "lt", "value": {"days_from_today": True}},
        "/rule/value",
        "rule.value_not_date",
    ),
    ({**AGE, "op": "gt", "value": {"days_from_today": 1}}, "/rule/value", "rule.value_not_age"),
    (
        {
            "field": "lease_end_date",
            "op": "between",
            "value": [{"days_from_today": 2}, {"days_from_today": 1}],
        },
        "/rule/value",
        "rule.range_upside_down",
    ),
    ({"tag": "volunteer", "source": "hearsay"}, "/rule/source", "enum"),
    ({"tag": "volunteer", "days": 3}, "/rule/days", "extra_forbidden"),
    (
        {"tag": "volunteer", "assigned_days": {"op": "in", "value": [3]}},
        "/rule/assigned_days/op",
        "enum",
    ),
    (
        {"tag": "volunteer", "assigned_days": {"op": "lt", "value": -1}},
        "/rule/assigned_days/value",
        "rule.value_not_days",
    ),
    (
        {"not": {"tag": "volunteer", "assigned_days": {"op": "between", "value": [3, 55_001]}}},
        "/rule/not/assigned_days/value/1",
        "rule.value_not_days",
    ),
    ({"audience": "everybody"}, "/rule/audience", "uuid_parsing"),
    ({"audience": str(UUID(int=1))}, "/rule/audience", "audience.unknown"),
    (
        {"all": [AGE, {"sample": {"rule": {"audience": str(UUID(int=1))}, "n": 1}}]},
        "/rule/all/1/sample/rule/audience",
        "audience.unknown",
    ),
    ({"sample": {"n": 3}}, "/rule/sample/rule", "missing"),
    ({"sample": {"rule": AGE}}, "/rule/sample", "rule.sample_size"),
    ({"sample": {"rule": AGE, "n": 1, "percent": 1}}, "/rule/sample", "rule.sample_size"),
    ({"sample": {"rule": AGE, "n": 0}}, "/rule/sample/n", "greater_than_equal"),
    ({"sample": {"rule": AGE, "n": 1_000_001}}, "/rule/sample/n", "less_than_equal"),
    ({"sample": {"rule": AGE, "n": 2.5}}, "/rule/sample/n", "int_type"),
    ({"sample": {"rule": AGE, "n": 1, "seed": 2**31}}, "/rule/sample/seed", "less_than_equal"),
    ({"sample": {"rule": AGE, "n": 1, "seed": -1}}, "/rule/sample/seed", "greater_than_equal"),
    *(
        (
            {"sample": {"rule": AGE, "percent": percent}},
            "/rule/sample/percent",
            "rule.value_not_percent",
        )
        for percent in (0, 0.005, 100.01, 5.555, -1)
    ),
    ({"sample": {"rule": AGE, "percent": "5"}}, "/rule/sample/percent", "float_type"),
    ({"sample": {"rule": {"all": []}, "n": 1}}, "/rule/sample/rule/all", "too_short"),
    (
        {"sample": {"rule": {"any": [{"sample": {"rule": deep(14), "n": 1}}]}, "n": 1}},
        "/rule/sample/rule/any/0/sample/rule" + "/not" * 13,
        "rule.too_deep",
    ),
    (deep(17), "/rule" + "/not" * 16, "rule.too_deep"),
    (deep(400), "/rule" + "/not" * 16, "rule.too_deep"),
    ({"all": [AGE] * 200}, "/rule", "rule.too_large"),
    ({"any": [{"all": [AGE] * 100}] * 2}, "/rule", "rule.too_large"),
]


async def test_every_fault_is_pointed_at(town: Town) -> None:
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    for rule, pointer, code in FAULTS:
        answer = await officer.post("/v1/audiences/count", json={"rule": rule})
        assert answer.status_code == 422, (rule, answer.text)
        assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]


async def test_several_faults_are_told_at_once_and_in_both_languages(town: Town) -> None:
    rule = {"all": [{**AGE, "value": [200, 300]}, {"field": "sex", "op": "eq", "value": "x"}]}
    told: dict[str, list[str]] = {}
    for language in ("zh-CN", "en"):
        answer = await town.tagging.as_role(Role.CITY_OFFICER).post(
            "/v1/audiences/count",
            json={"rule": rule, "min_position": "?"},
            headers={"Accept-Language": language},
        )
        told[language] = [error["detail"] for error in answer.json()["errors"]]
    assert told["zh-CN"] == [
        "年龄应为0至150的整数",
        "年龄应为0至150的整数",
        "该字段没有这个代码",
        "不是有效的位置标记",
    ]
    assert told["en"][0] == "An age is a whole number, 0 to 150"


async def test_json_of_any_depth_is_refused(town: Town) -> None:
    for opened, closed in (('{"not":', "}"), ("[", "]")):
        for depth in (100, 900, 1_000, 50_000):
            inner = opened * depth + "1" + closed * depth
            for content in (f'{{"rule":{inner}}}', f'{{"rule":{opened * depth}'):
                answer = await town.tagging.as_role(Role.CITY_OFFICER).post(
                    "/v1/audiences/count",
                    content=content,
                    headers={"Content-Type": "application/json"},
                )
                assert answer.status_code in {400, 422}


async def test_numbers_and_texts_that_are_none_are_refused(town: Town) -> None:
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    for value in ("1e999", "NaN", "9" * 5000, '"\\ud800"'):
        for rule in (f'{{"field":"age","op":"eq","value":{value}}}', f'{{"tag":{value}}}'):
            answer = await officer.post(
                "/v1/audiences/count",
                content=f'{{"rule":{rule}}}',
                headers={"Content-Type": "application/json"},
            )
            assert answer.status_code in {400, 422}, rule


async def test_relative_days_move_with_the_calendar(town: Town, clock: FixedClock) -> None:
    home = {**place(), "lease_end_date": "2026-12-24"}
    await town.live_here(person(places=[home]), person())
    days = [{"days_from_today": n} for n in (0, 30)]
    ends_soon = {"field": "lease_end_date", "op": "between", "value": days}
    assert await town.count(ends_soon) == 0  # 31 days from 23 November
    # Midnight in Shanghai.
    clock.at = clock.at.replace(hour=16)
    assert await town.count(ends_soon) == 1
    assert await town.count({"field": "lease_end_date", "op": "ne", "value": "2026-12-25"}) == 1
    assert await town.count({"not": ends_soon}) == 1


async def test_the_smallest_and_the_largest_sample(town: Town) -> None:
    await town.live_here(*(person() for _ in range(30)))
    everybody = {"area": TOWN}
    for size, count in ((30, 30), (1_000_000, 30), (7, 7)):
        assert await town.count({"sample": {"rule": everybody, "n": size}}) == count
    assert await town.count({"sample": {"rule": everybody, "percent": 100}}) == 30
    assert await town.count({"sample": {"rule": everybody, "percent": 0.01}}) == 0
    # Half of them and half of them are half of them: it is the same half.
    half = {"sample": {"rule": everybody, "n": 15, "seed": 7}}
    assert await town.count({"all": [half, half]}) == 15
    assert await town.count({"any": [half, {"not": half}]}) == 30
    assert 15 < await town.count({"any": [half, {"sample": {**half["sample"], "seed": 8}}]}) < 30


async def test_the_largest_and_the_deepest_rule_are_taken(town: Town) -> None:
    assert await town.count(deep(16)) == 0
    assert await town.count({"any": [AGE] * 199}) == 0
    wide = {"any": [{"field": "age", "op": "in", "value": list(range(100))}] * 199}
    assert await town.count(wide) == 0


async def test_the_contract_names_the_rule_and_its_kinds(town: Town) -> None:
    answer = await town.tagging.as_service().get("/internal/openapi.json")
    schemas = answer.json()["components"]["schemas"]
    asked = schemas["AudienceCountRequest"]["properties"]["rule"]
    assert asked["$ref"] == "#/components/schemas/Rule"
    kinds = {each["$ref"].rpartition("/")[2] for each in schemas["Rule"]["oneOf"]}
    assert kinds == {
        "AllRule",
        "AnyRule",
        "NotRule",
        "TagRule",
        "AreaRule",
        "FieldRule",
        "AudienceRule",
        "SampleRule",
    }
    assert schemas["NotRule"]["required"] == ["not"]
    assert "int" in json.dumps(schemas["FieldRule"]["properties"]["value"])


def test_the_codes_are_those_of_the_register() -> None:
    theirs = {
        field: {entry.code for entry in CODE_LISTS[field.value].entries}
        for field in FieldName
        if field not in ORDERED | {FieldName.LIVES_ALONE}
    }
    assert theirs == {field: set(codes) for field, codes in CODES.items()}
