"""Finding people: by name, pinyin, initials, identity number and phone."""

from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.common.pagination import token_for
from tests.houses import App
from tests.queries import QueryLog
from tests.residents_api.ledgers import person, succeeded
from tests.residents_api.people import (
    NEXT_VILLAGE,
    TOWN,
    VILLAGE,
    changed,
    fault,
    found,
    number,
    refusal,
    registered,
)

pytestmark = pytest.mark.usefixtures("divisions")


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def _ids(client: httpx.AsyncClient, **terms: Any) -> set[str]:
    return {item["id"] for item in await found(client, **terms)}


async def test_by_name_pinyin_and_initials(worker: httpx.AsyncClient) -> None:
    names = (
        "张三",
        "张三丰",
        "章三",
        "李张三",
        "欧阳娜娜",
        "吕布",
        "单雄信",
        "买买提·艾力",
        "Anna Müller",
    )
    who = {name: (await registered(worker, name))["id"] for name in names}
    for terms, expected in (
        ({"name": "张三"}, ("张三", "张三丰")),
        ({"name": " 张 三 "}, ("张三", "张三丰")),
        ({"name": "张"}, ("张三", "张三丰")),
        ({"name": "三"}, ()),
        ({"name": "李四"}, ()),
        ({"name": "买买提•艾力"}, ("买买提·艾力",)),
        ({"name": "买买提"}, ("买买提·艾力",)),
        ({"name": "Anna"}, ("Anna Müller",)),
        ({"pinyin": "zhangsan"}, ("张三", "张三丰", "章三")),
        ({"pinyin": "Zhang San"}, ("张三", "张三丰", "章三")),
        ({"pinyin": "ZHANG'SAN"}, ("张三", "张三丰", "章三")),
        ({"pinyin": "zhangsanfeng"}, ("张三丰",)),
        ({"pinyin": "zs"}, ("张三", "张三丰", "章三")),
        ({"pinyin": "ZSF"}, ("张三丰",)),
        ({"pinyin": "oynn"}, ("欧阳娜娜",)),
        ({"pinyin": "ouyangnana"}, ("欧阳娜娜",)),
        ({"pinyin": "lvbu"}, ("吕布",)),
        ({"pinyin": "lübu"}, ("吕布",)),
        ({"pinyin": "LÜ BU"}, ("吕布",)),
        ({"pinyin": "lu\u0308bu"}, ("吕布",)),
        ({"pinyin": "ｌｖｂｕ"}, ("吕布",)),
        ({"pinyin": "shanxiongxin"}, ("单雄信",)),
        ({"pinyin": "danxiongxin"}, ()),
        ({"pinyin": "annamuller"}, ("Anna Müller",)),
        ({"pinyin": "maimaiti"}, ("买买提·艾力",)),
        ({"name": "张", "pinyin": "zsf"}, ("张三丰",)),
        ({"name": "章", "pinyin": "zsf"}, ()),
    ):
        assert await _ids(worker, **terms) == {who[name] for name in expected}, terms


async def test_by_number_and_phone(worker: httpx.AsyncClient) -> None:
    own = number("1990-05-01", 2)
    who = (await registered(worker, "张三", id_number=own, phones=["13800000000"]))["id"]
    house = (await registered(worker, "李四", phones=["13800000000", "028-83701234"]))["id"]
    for terms, expected in (
        ({"id_number": own}, {who}),
        ({"id_number": f" {own[:6]} {own[6:14]} {own[14:]}"}, {who}),
        ({"id_number": own[:6] + own[8:17]}, {who}),
        ({"id_number": number("1990-05-01", 4)}, set[str]()),
        ({"phone": "13800000000"}, {who, house}),
        ({"phone": "+86 138-0000-0000"}, {who, house}),
        ({"phone": "(028) 8370 1234"}, {house}),
        ({"phone": "13800000001"}, set[str]()),
        ({"phone": "13800000000", "name": "李"}, {house}),
        ({"phone": "13800000000", "id_number": own}, {who}),
        ({"phone": "13800000000", "id_number": own, "pinyin": "ls"}, set[str]()),
    ):
        assert await _ids(worker, **terms) == expected, terms
    answer = await worker.post("/v1/residents/search", json={"phone": "13800000000"})
    assert "13800000000" not in answer.text
    assert "cache-control" not in answer.headers or "public" not in answer.headers["cache-control"]


async def test_only_within_the_areas(register: App, worker: httpx.AsyncClient) -> None:
    town = register.as_role(Role.TOWN_OFFICER, TOWN)
    own = number()
    await succeeded(town, person("张三", own, phones="13800000000"), village=NEXT_VILLAGE)
    kept = (await registered(worker, "张四", phones=["13800000000"]))["id"]
    everyone = await _ids(town, name="张")
    assert len(everyone) == 2
    for terms in ({"name": "张"}, {"pinyin": "z"}, {"phone": "13800000000"}):
        assert await _ids(worker, **terms) == {kept}
        assert await _ids(town, **terms) == everyone
        assert await _ids(town, **terms, area=VILLAGE) == {kept}
        assert await _ids(town, **terms, area=NEXT_VILLAGE) == everyone - {kept}
        assert await _ids(town, **terms, area=f"{VILLAGE}001") == set()
    assert await _ids(worker, id_number=own) == set()
    outside = await worker.post("/v1/residents/search", json={"name": "张", "area": NEXT_VILLAGE})
    assert refusal(outside) == (403, "area.forbidden")


async def test_what_cannot_be_looked_for(worker: httpx.AsyncClient) -> None:
    await registered(worker, id_number=number(), phones=["13800000000"])
    for terms, pointer in (
        ({}, ""),
        ({"area": VILLAGE}, ""),
        ({"name": None, "pinyin": None}, ""),
        ({"name": ""}, "/name"),
        ({"name": "  "}, "/name"),
        ({"name": "·"}, "/name"),
        ({"name": "张\u0000"}, "/name"),
        ({"name": "张" * 61}, "/name"),
        ({"name": 5}, "/name"),
        ({"name": ["张"]}, "/name"),
        ({"pinyin": ""}, "/pinyin"),
        ({"pinyin": " ' "}, "/pinyin"),
        ({"pinyin": "张三"}, "/pinyin"),
        ({"pinyin": "a%"}, "/pinyin"),
        ({"pinyin": "z\u0000"}, "/pinyin"),
        ({"pinyin": "z" * 61}, "/pinyin"),
        ({"id_number": "519900"}, "/id_number"),
        ({"id_number": ""}, "/id_number"),
        ({"id_number": number()[:-1] + "*"}, "/id_number"),
        ({"id_number": "\u0000" * 18}, "/id_number"),
        ({"phone": ""}, "/phone"),
        ({"phone": "138"}, "/phone"),
        ({"phone": "13800000000/13900000000"}, "/phone"),
        ({"phone": 13800000000}, "/phone"),
        ({"name": "张", "area": "5"}, "/area"),
        ({"name": "张", "area": 51}, "/area"),
        ({"name": "张", "page_size": 0}, "/page_size"),
        ({"name": "张", "page_size": 2**31}, "/page_size"),
        ({"name": "张", "page_size": "all"}, "/page_size"),
        ({"name": "张", "page_token": "x"}, "/page_token"),
        ({"name": "张", "page_token": "é"}, "/page_token"),
        ({"name": "张", "page_token": "A" * 1001}, "/page_token"),
        ({"name": "张", "surname": "张"}, "/surname"),
    ):
        answer = await worker.post("/v1/residents/search", json=terms)
        assert fault(answer)[0] == pointer, terms
    # A wildcard of SQL is no wildcard here.
    for name in ("%", "_三", "张%", "\\", "张\ud7ff", "张\U0010ffff", "\ue000"):
        assert await found(worker, name=name) == [], name


async def test_pages_come_to_an_end(worker: httpx.AsyncClient) -> None:
    rows = [person(f"张{n}", number(sequence=n), room=str(n)) for n in range(1, 24)]
    await succeeded(worker, *rows)
    for size in (1, 7, 23, 24, 200):
        seen: list[str] = []
        token: str | None = None
        while True:
            terms = {"name": "张", "page_size": size} | ({"page_token": token} if token else {})
            page = (await worker.post("/v1/residents/search", json=terms)).json()
            assert len(page["items"]) <= size
            seen += [item["id"] for item in page["items"]]
            if (token := page["next_page_token"]) is None:
                break
        assert len(seen) == len(set(seen)) == 23
    # A page token of another list is none of this one, and no way into other people's areas.
    listed = (await worker.get("/v1/residents", params={"page_size": 1})).json()["next_page_token"]
    answer = await worker.post("/v1/residents/search", json={"name": "张", "page_token": listed})
    assert fault(answer) == ("/page_token", "page_token.invalid")
    start = token_for("search", "0" * 32)
    answer = await worker.post(
        "/v1/residents/search", json={"name": "张", "page_size": 3, "page_token": start}
    )
    assert len(answer.json()["items"]) == 3


async def test_an_old_name_and_number_are_found_no_more(worker: httpx.AsyncClient) -> None:
    who = await registered(worker, "张三", id_number=number(), phones=["13800000000"])
    await changed(
        worker, who["id"], name="王五", id_number=number(sequence=3), phones=["13900000000"]
    )
    for terms in (
        {"name": "张"},
        {"pinyin": "zs"},
        {"id_number": number()},
        {"phone": "13800000000"},
    ):
        assert await found(worker, **terms) == []
    for terms in ({"name": "王五"}, {"pinyin": "ww"}, {"id_number": number(sequence=3)}):
        assert await _ids(worker, **terms) == {who["id"]}


async def test_a_search_is_as_many_queries_however_many_are_found(
    worker: httpx.AsyncClient,
) -> None:
    statements: dict[int, int] = {}
    for rows in (1, 60):
        people = [
            person(f"张{n}", number(sequence=n), room=str(n), phones="13800000000、13900000000")
            for n in range(1, rows + 1)
        ]
        await succeeded(worker, *people)
        with QueryLog() as queries:
            items = await found(worker, name="张", page_size=100)
        assert len(items) == rows
        statements[rows] = len(queries)
    assert statements == {1: 3, 60: 3}
    with QueryLog() as queries:
        assert len(await found(worker, phone="13800000000", page_size=100)) == 60
    assert len(queries) == 4  # and who looked
    with QueryLog() as queries:
        await worker.get(f"/v1/residents/{items[0]['id']}")
    assert len(queries) == 3
    with QueryLog() as queries:
        await worker.post(
            f"/v1/residents/{items[0]['id']}/reveal",
            json={"purpose": "核实", "fields": ["name", "id_number", "phones", "note"]},
        )
    assert len(queries) == 5  # and who writes


async def test_prefixes_are_ranges_of_an_index(
    worker: httpx.AsyncClient, sessions: Sessions
) -> None:
    rows = [person(f"张{n}", number(sequence=n % 900), room=str(n)) for n in range(1, 3)]
    await succeeded(worker, *rows)
    async with sessions.read() as session:
        await session.execute(sa.text("SET enable_seqscan = off"))
        for column in ("name", "name_pinyin", "name_initials"):
            plan = await session.execute(
                sa.text(f"EXPLAIN SELECT id FROM resident WHERE {column} ^@ :prefix"),  # noqa: S608
                {"prefix": "zhang"},
            )
            assert f"Index Cond: (({column} >= 'zhang'::text)" in "\n".join(plan.scalars())
