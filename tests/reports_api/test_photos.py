"""Photos through the door: taken in, kept private, given back, and swept when left behind."""

import asyncio
import multiprocessing
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import sqlalchemy as sa
from PIL import Image

from services.common.access import Role
from services.common.identifiers import new_id
from services.reports_api.models import PhotoUpload
from services.reports_api.settings import Settings
from tests.conftest import Database, FixedClock
from tests.houses import App
from tests.reports_api.conftest import form
from tests.reports_api.photographs import TRACES, encoded, jpeg, talkative_jpeg
from tests.reports_api.register import GRID, JINSHA, OTHER_VILLAGE, TOWN
from tests.scarcity import one_connection, warned


def photos(*contents: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [
        ("photos", (f"IMG_{n}.jpg", content, "image/jpeg")) for n, content in enumerate(contents)
    ]


async def posted(client: httpx.AsyncClient, *contents: bytes) -> dict[str, Any]:
    answer = await client.post("/v1/reports", data=form(area=JINSHA), files=photos(*contents))
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The directory that the photos are kept in."""
    return tmp_path / "photos of reports"


def files_in(kept: Path) -> list[Path]:
    return sorted(path for path in kept.rglob("*") if path.is_file())


def mode_of(kept: Path) -> int:
    return kept.stat().st_mode


def put_a_file_at(kept: Path) -> None:
    """Where the directory was: nothing can be stored any more."""
    kept.rmdir()
    kept.write_text("a file")


async def test_a_photo_comes_back_without_what_it_said(
    resident: httpx.AsyncClient, kept: Path
) -> None:
    report = await posted(resident, talkative_jpeg(6), jpeg((10, 20)))
    first, second = report["photos"]
    assert (first["n"], first["width"], first["height"]) == (1, 32, 64)
    assert (second["n"], second["width"], second["height"]) == (2, 10, 20)
    assert first["url"] == f"/v1/reports/{report['id']}/photos/1"
    assert first["media_type"] == "image/jpeg"

    answer = await resident.get(first["url"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["content-length"] == str(first["bytes"]) == str(len(answer.content))
    for trace in (*TRACES, b"IMG_0"):
        assert trace not in answer.content
    # Nor is there another copy: what is kept are the two pictures that were made.
    assert {path.read_bytes() for path in files_in(kept)} >= {answer.content}
    assert len(files_in(kept)) == 2
    assert mode_of(kept) & 0o077 == 0


async def test_a_photo_has_a_tag(resident: httpx.AsyncClient) -> None:
    url = (await posted(resident, jpeg()))["photos"][0]["url"]
    tag = (await resident.get(url)).headers["etag"]
    for known in (tag, f'"other", {tag}'):
        answer = await resident.get(url, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        assert answer.headers["cache-control"] == "private, no-cache"
    answer = await resident.get(url, headers={"If-None-Match": '"other"'})
    assert answer.status_code == 200


async def test_who_sees_a_photo(reports: App, resident: httpx.AsyncClient) -> None:
    report = await posted(resident, jpeg())
    url = report["photos"][0]["url"]
    for role, own, status in (
        (Role.COMMUNITY_WORKER, JINSHA, 200),
        (Role.TOWN_OFFICER, TOWN, 200),
        (Role.CLIENT, TOWN, 200),
        (Role.COMMUNITY_WORKER, OTHER_VILLAGE, 404),
        (Role.GRID_WORKER, GRID, 404),
        (Role.CLIENT, OTHER_VILLAGE, 404),
        (Role.RESIDENT, JINSHA, 404),
        (Role.AUDITOR, TOWN, 403),
        (Role.ADMIN, TOWN, 403),
    ):
        client = reports.as_role(role, own, sub="account:other")
        for known in ("", f'"{report["id"]}.1"'):
            headers = {"If-None-Match": known}
            answer = await client.get(url, headers=headers)
            expected = 304 if status == 200 and known else status
            assert answer.status_code == expected, (role, own)
            if status == 404:
                assert answer.json()["code"] == "photo.not_found"
    assert (await reports.client().get(url)).status_code == 401


async def test_a_photo_that_is_none(resident: httpx.AsyncClient, kept: Path) -> None:
    report = await posted(resident, jpeg())
    base = f"/v1/reports/{report['id']}/photos"
    for n, status in (("0", 422), ("2", 404), ("101", 422), ("9" * 30, 422), ("first", 422)):
        assert (await resident.get(f"{base}/{n}")).status_code == status, n
    nowhere = "/v1/reports/0197a000-0000-7000-8000-0000000000ff/photos/1"
    answer = await resident.get(nowhere)
    assert (answer.status_code, answer.json()["code"]) == (404, "photo.not_found")
    files_in(kept)[0].unlink()
    answer = await resident.get(f"{base}/1")
    assert (answer.status_code, answer.json()["code"]) == (404, "photo.not_found")


async def test_photos_that_are_refused(
    resident: httpx.AsyncClient, settings: Settings, kept: Path
) -> None:
    heic = b"\x00\x00\x00\x24ftypheic" + b"\x00" * 100
    too_large = jpeg() + b"\x00" * settings.max_photo_bytes
    many_pixels = encoded(Image.new("1", (10_000, 9_000)), "PNG")
    for contents, pointer, code in (
        ((b"words",), "/photos/0", "photo.unreadable"),
        ((b"",), "/photos/0", "photo.unreadable"),
        ((jpeg(), jpeg()[:300]), "/photos/1", "photo.unreadable"),
        ((jpeg(), heic), "/photos/1", "photo.format_unsupported"),
        ((jpeg(), jpeg(), too_large), "/photos/2", "photo.too_large"),
        ((many_pixels,), "/photos/0", "photo.too_large"),
        ((jpeg(),) * 10, "/photos", "photo.too_many"),
    ):
        answer = await resident.post("/v1/reports", data=form(), files=photos(*contents))
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "request.invalid"), code
        assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [(pointer, code)]
    english = {"Accept-Language": "en"}
    answer = await resident.post("/v1/reports", data=form(), files=photos(heic), headers=english)
    assert "HEIC" in answer.json()["errors"][0]["detail"]
    assert (await resident.get("/v1/reports")).json()["items"] == []
    assert files_in(kept) == []


async def test_nine_large_photos_are_taken(resident: httpx.AsyncClient) -> None:
    # 8 MB each: real bodies of this size come in through the same door.
    large = jpeg() + b"\x00" * (8 * 1024 * 1024)
    report = await posted(resident, *(large,) * 9)
    assert [photo["n"] for photo in report["photos"]] == list(range(1, 10))
    assert (await resident.get(report["photos"][8]["url"])).status_code == 200


async def test_no_more_than_the_limit_is_read(resident: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncGenerator[bytes]:
        nonlocal sent
        yield b'--x\r\ncontent-disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n'
        while sent < 400 * 1024 * 1024:
            sent += 1024 * 1024
            yield b"\x00" * 1024 * 1024

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = await resident.post("/v1/reports", content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
    assert sent <= 92 * 1024 * 1024


_IDLE_IN_TRANSACTION = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'reports_api' AND state = 'idle in transaction'"
)


async def test_no_transaction_is_open_while_photos_come_in(
    reports: App, resident: httpx.AsyncClient, settings: Settings, db: Database
) -> None:
    slots = reports.state["photos"].slots
    for _ in range(settings.photo_processes):
        await slots.acquire()
    request = resident.build_request("POST", "/v1/reports", data=form(), files=photos(jpeg()))
    whole = request.read()
    half_sent, looked_on, all_sent = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def body() -> AsyncGenerator[bytes]:
        yield whole[:500]
        half_sent.set()
        await looked_on.wait()
        yield whole[500:]
        all_sent.set()

    headers = {"content-type": request.headers["content-type"], "Idempotency-Key": "slow"}
    sending = asyncio.create_task(resident.post("/v1/reports", content=body(), headers=headers))
    connection = await asyncpg.connect(db.admin_url)
    await half_sent.wait()
    seen = [await connection.fetchval(_IDLE_IN_TRANSACTION) for _ in range(10)]
    looked_on.set()
    await all_sent.wait()
    # Now it waits for its turn to be decoded.
    seen += [await connection.fetchval(_IDLE_IN_TRANSACTION) for _ in range(50)]
    assert not sending.done()
    assert set(seen) == {0}
    for _ in range(settings.photo_processes):
        slots.release()
    assert (await sending).status_code == 201
    await connection.close()


async def test_what_a_failed_request_left_is_swept(
    reports: App, resident: httpx.AsyncClient, db: Database, clock: FixedClock, kept: Path
) -> None:
    filed = await posted(resident, jpeg())
    connection = await asyncpg.connect(db.admin_url)
    await connection.execute(
        "ALTER TABLE reports_api.report ADD CONSTRAINT fails CHECK (text <> 'fails')"
    )
    answer = await resident.post(
        "/v1/reports", data=form(text="fails"), files=photos(jpeg(), jpeg())
    )
    assert answer.status_code == 500
    assert len(files_in(kept)) == 3
    left = "SELECT cardinality(object_keys) FROM reports_api.photo_upload"
    assert await connection.fetchval(left) == 2

    intake = reports.state["photos"]
    clock.advance(timedelta(hours=23))
    assert await intake.sweep_once() == 0
    # One object is gone already: a sweep that was killed half-way is gone over again.
    clock.advance(timedelta(hours=2))
    next(path for path in files_in(kept) if filed["id"] not in str(path)).unlink()
    assert await intake.sweep_once() == 1
    assert await intake.sweep_once() == 0
    assert len(files_in(kept)) == 1
    assert await connection.fetchval(left) is None
    await connection.close()
    # Tokens lived for ten minutes: ask again with a new one.
    again = reports.as_role(Role.RESIDENT, JINSHA, sub="account:resident")
    assert (await again.get(filed["photos"][0]["url"])).status_code == 200


async def test_sweeping_outlives_a_database_that_has_no_connection_to_give(
    reports: App, settings: Settings, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.reports_api.service.photos._SWEEP_SECONDS", 0.01)
    left = PhotoUpload(report_id=new_id(), object_keys=[], created_at=clock.now())
    async with reports.state["sessions"].write() as session:
        session.add(left)
    clock.advance(timedelta(days=2))
    async with one_connection(settings.database) as sessions:
        intake = replace(reports.state["photos"], sessions=sessions)
        async with sessions.read() as taken:
            await taken.execute(sa.select(1))
            running = asyncio.create_task(intake.sweep())
            assert await warned(running, "photo_uploads.sweep_failed") == "TimeoutError"
        async with reports.state["sessions"].read() as session:
            while await session.scalar(sa.select(sa.func.count()).select_from(PhotoUpload)):
                assert not running.done(), running
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])


async def test_a_worker_that_died_is_replaced(resident: httpx.AsyncClient) -> None:
    await posted(resident, jpeg())
    workers = multiprocessing.active_children()
    assert workers, "photos are decoded in processes of their own"
    for worker in workers:
        worker.kill()
        worker.join()
    assert len((await posted(resident, jpeg(), jpeg()))["photos"]) == 2


async def test_a_store_out_of_reach_is_unavailable(
    reports: App, resident: httpx.AsyncClient, kept: Path
) -> None:
    put_a_file_at(kept)
    answer = await resident.post("/v1/reports", data=form(), files=photos(jpeg()))
    assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")
    async with reports.state["sessions"].read() as session:
        assert await session.scalar(sa.text("SELECT count(*) FROM report")) == 0
