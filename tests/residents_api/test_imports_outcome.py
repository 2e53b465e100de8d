"""What an import says of each row: new, changed, unchanged or rejected, and what of it."""

from typing import Any

import httpx
import pytest

from services.common.access import Role
from tests.houses import App
from tests.residents_api.ledgers import all_items, everybody, imported, person, succeeded, text
from tests.residents_api.people import VILLAGE, changed, found, number, registered

pytestmark = pytest.mark.usefixtures("divisions")

PEOPLE = (
    person("张三", number(sequence=1), room="101", education="高中", employer="甲厂"),
    person("李四", number(sequence=2), room="102", tenure="自住"),
    person("王五", number(sequence=3), room="103"),
)
LATER = (
    person(
        "张三", number(sequence=1), room="101", education="本科", employer="乙厂",
        phones="13812345678",
    ),
    person("李四", number(sequence=2), room="102", tenure="租住"),
    person("王五", number(sequence=3), room="103"),
    person("赵六", number(sequence=4), room="104"),
    person("钱七", "51990019900101123X", room="105"),
)  # fmt: skip


@pytest.fixture
def worker(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.COMMUNITY_WORKER, VILLAGE)


async def rows(client: httpx.AsyncClient, job: dict[str, Any], **terms: Any) -> list[Any]:
    return [row async for row in all_items(client, f"/v1/imports/{job['id']}/rows", **terms)]


def told(found: list[Any]) -> list[tuple[int, str | None, dict[str, tuple[Any, Any]]]]:
    return [
        (r["row"], r["effect"], {c["field"]: (c["from"], c["to"]) for c in r["changes"]})
        for r in found
    ]


EXPECTED: list[tuple[int, str | None, dict[str, tuple[Any, Any]]]] = [
    (
        2,
        "changed",
        {
            "education": ("senior_secondary", "undergraduate"),
            "employer": ("***", "***"),
            "phones": (None, "***"),
        },
    ),
    (3, "changed", {"tenure": ("owner", "tenant")}),
    (4, "unchanged", {}),
    (5, "created", {}),
    (6, None, {}),
]


@pytest.mark.parametrize("dry_run", [True, False])
async def test_each_row_says_what_came_of_it(worker: httpx.AsyncClient, dry_run: bool) -> None:
    first = await succeeded(worker, *PEOPLE)
    assert [row[1] for row in told(await rows(worker, first))] == ["created"] * 3
    before = await everybody(worker)
    job = await imported(worker, text(*LATER), dry_run=dry_run)
    assert (job["state"], job["rows_rejected"]) == ("succeeded", 1)
    assert told(await rows(worker, job)) == EXPECTED
    assert (await everybody(worker) == before) is dry_run
    for effect in ("created", "changed", "unchanged"):
        some = told(await rows(worker, job, effect=effect))
        assert some == [row for row in EXPECTED if row[1] == effect]
    assert "乙厂" not in str(await rows(worker, job))


async def test_rows_said_before_and_people_elsewhere_are_unchanged(
    register: App, worker: httpx.AsyncClient
) -> None:
    await succeeded(worker, *PEOPLE)
    again = await succeeded(worker, *PEOPLE)
    assert {row[1] for row in told(await rows(worker, again))} == {"unchanged"}
    # Without what was said before, it comes to the same.
    officer = register.as_role(Role.TOWN_OFFICER, VILLAGE[:9])
    by_another = await succeeded(officer, *PEOPLE)
    assert {row[1] for row in told(await rows(officer, by_another))} == {"unchanged"}


async def test_a_number_and_a_dwelling_that_are_new_are_named(worker: httpx.AsyncClient) -> None:
    await succeeded(worker, person("张三", birth_date="1990-05-01", room="101"))
    job = await succeeded(
        worker,
        person("张三", number(), room="101", labels="党员"),
        person("张三", number(), room="102"),
    )
    assert [row[1:] for row in told(await rows(worker, job))] == [
        (
            "changed",
            {
                "id_number": (None, "***"),
                "sex": (None, "male"),
                "labels": (None, "***"),
                "dwelling": (None, "***"),
            },
        )
    ] * 2


async def test_what_somebody_edited_stays_and_counts_as_unchanged(
    worker: httpx.AsyncClient,
) -> None:
    await succeeded(worker, *PEOPLE)
    (known,) = await found(worker, name="张三")
    await changed(worker, known["id"], education="postgraduate")
    job = await imported(worker, text(*PEOPLE), dry_run=True)
    assert {row[1] for row in told(await rows(worker, job))} == {"unchanged"}


async def test_nothing_is_said_of_rows_that_were_not_merged(
    worker: httpx.AsyncClient, register: App
) -> None:
    await registered(worker, "张三", id_number=number(sequence=1))
    job = await imported(worker, b"nothing", dry_run=True)
    assert job["state"] == "failed"
    assert await rows(worker, job) == []
