"""A small real service, put together from the common parts alone: a board of notes.

It stands in the register's schema, whose outbox, feed head and keys the migration has made.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, File, Form, Query, UploadFile
from pydantic import Field, SecretStr
from starlette.responses import Response

from services.common import application, database, outbox
from services.common.access import Permission
from services.common.clock import Clock, SystemClock
from services.common.database import ReadSession, Sessions, WriteSession
from services.common.errors import refuses
from services.common.identifiers import new_id
from services.common.outbox import Event
from services.common.pagination import PageInQuery, cut, keyset
from services.common.preconditions import IfMatch, check_version, etag
from services.common.problems import PreconditionFailed, Problem, Text
from services.common.routing import Reading, UnitOfWorkRoute, Writing, late_transaction, secret
from services.common.schemas import AreaCode, Line, Page, Schema
from services.common.security import Caller, requires
from services.common.settings import DatabaseSettings, SecuritySettings, ServerSettings
from tests.conftest import Database
from tests.houses import App, Identity, opened

NAME = "board"
NOTE_CHANGED = "cn.shequ.tests.note.changed"
BOARD_CLEANED = "cn.shequ.tests.board.cleaned"
MAX_BODY_BYTES = 20_000

_METADATA = sa.MetaData()
NOTE = sa.Table(
    "note",
    _METADATA,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False, server_default="0"),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    # Looked at by PostgreSQL only when the transaction commits.
    sa.Column("answers", sa.Uuid),
    sa.UniqueConstraint("text", name="note_text_key"),
    sa.CheckConstraint("rank >= 0", name="note_rank_check"),
    sa.ForeignKeyConstraint(
        ["answers"], ["note.id"], name="note_answers_fkey", deferrable=True, initially="DEFERRED"
    ),
)


class NoteTextTaken(Problem):
    status = 409
    code = "note.text_taken"
    title = Text("已有相同的便条", "There is such a note already")


class NoteNotFound(Problem):
    status = 404
    code = "note.not_found"
    title = Text("没有这张便条", "No such note")


class NoteCreate(Schema):
    text: Line
    rank: Annotated[int, Field(ge=-1, le=2**31 - 1)] = 0
    answers: UUID | None = None
    area: AreaCode | None = None


class NoteRead(Schema):
    id: UUID
    text: str
    rank: int
    version: int


class NotePage(Page):
    items: list[NoteRead]


class Anything(Schema):
    """What a careless endpoint would take: nothing is bounded."""

    number: int | None = None
    fraction: float | None = None
    text: str | None = None
    tree: Any = None


class Nothing(Schema):
    pass


router = APIRouter(prefix="/v1", tags=["notes"], route_class=UnitOfWorkRoute)

MayRead = Annotated[Caller, requires(Permission.REPORTS_READ)]
MayWrite = Annotated[Caller, requires(Permission.REPORTS_HANDLE)]


@router.get("/notes")
async def list_notes(session: Reading, caller: MayRead, page: PageInQuery) -> NotePage:
    statement = keyset(
        sa.select(NOTE), NOTE.c.rank, NOTE.c.id, after=page.after(tuple[int, UUID]), size=page.size
    )
    rows = (await session.execute(statement)).all()
    shown, token = cut(rows, page, keys=lambda row: (row.rank, row.id))
    return NotePage(
        items=[NoteRead.model_validate(row) for row in shown],
        next_page_token=token,
    )


@router.post("/notes", status_code=201, responses=refuses(NoteTextTaken))
async def create_note(
    note: NoteCreate, session: Writing, caller: MayWrite, response: Response, *, loud: bool = False
) -> NoteRead:
    text = note.text.upper() if loud else note.text
    made = await add_note(session, text, rank=note.rank, answers=note.answers)
    response.headers["Location"] = f"/v1/notes/{made.id}"
    response.headers["ETag"] = etag(made.version)
    return NoteRead.model_validate(made)


@router.get("/notes/{note_id}", responses=refuses(NoteNotFound))
async def get_note(note_id: UUID, session: Reading, caller: MayRead) -> NoteRead:
    return NoteRead.model_validate(await _note(session, note_id))


@router.patch("/notes/{note_id}", responses=refuses(NoteNotFound, PreconditionFailed))
async def rank_note(
    note_id: UUID, note: Anything, session: Writing, caller: MayWrite, version: IfMatch
) -> NoteRead:
    found = await _note(session, note_id, lock=True)
    check_version(found.version, version)
    return NoteRead.model_validate(await touch(session, note_id, rank=note.number or 0))


@router.post("/notes/{note_id}/reveal", responses=refuses(NoteNotFound))
@secret
async def reveal_note(note_id: UUID, session: Writing, caller: MayWrite) -> NoteRead:
    return NoteRead.model_validate(await touch(session, note_id))


@router.post("/notes/{note_id}/refuse", responses=refuses(NoteNotFound))
async def refuse_note(note_id: UUID, session: Writing, caller: MayWrite) -> Nothing:
    """Change the note, tell of it, and refuse."""
    await touch(session, note_id)
    raise NoteNotFound()


@router.post("/photographs", status_code=201)
@late_transaction
async def create_photograph(
    session: Writing,
    caller: MayWrite,
    text: Annotated[str | None, Form()] = None,
    photo: Annotated[UploadFile | None, File()] = None,
) -> NoteRead:
    content = await photo.read() if photo is not None else b""
    return NoteRead.model_validate(await add_note(session, text, rank=len(content)))


@router.post("/anything")
async def take_anything(anything: Anything, session: Reading, caller: MayWrite) -> Nothing:
    """Hand every value to PostgreSQL as it came."""
    await session.execute(
        sa.select(
            sa.cast(anything.number, sa.Integer),
            sa.cast(anything.fraction, sa.Double),
            sa.cast(anything.text, sa.Text),
        )
    )
    return Nothing()


@router.post("/sleep/{seconds}")
async def sleep(seconds: float, session: Reading, caller: MayWrite) -> Nothing:
    await session.execute(sa.select(sa.func.pg_sleep(seconds)))
    return Nothing()


class Terms(Schema):
    words: list[str] = Field(default=[])
    sort: Annotated[str, Field(alias="order-by")] = "rank"


@router.get("/index")
async def index_notes(caller: MayRead, terms: Annotated[Terms, Query()]) -> Nothing:
    return Nothing()


@router.get("/search")
async def search_notes(
    caller: MayRead,
    area: Annotated[AreaCode | None, Query()] = None,
    limit: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> Nothing:
    caller.narrowed(area)
    return Nothing()


async def _note(session: ReadSession, note_id: UUID, *, lock: bool = False) -> Any:
    statement = sa.select(NOTE).where(NOTE.c.id == note_id)
    row = (await session.execute(statement.with_for_update() if lock else statement)).one_or_none()
    if row is None:
        raise NoteNotFound()
    return row


async def add_note(
    session: WriteSession, text: str | None = None, *, rank: int = 0, answers: UUID | None = None
) -> Any:
    """Write a note and the event that tells of it."""
    note_id = new_id()
    made = await session.execute(
        sa.insert(NOTE)
        .values(id=note_id, text=text or str(note_id), rank=rank, answers=answers)
        .returning(NOTE)
    )
    row = made.one()
    await outbox.emit(session, changed(row))
    return row


async def touch(session: WriteSession, note_id: UUID, *, rank: int | None = None) -> Any:
    """A new version of a note, and the event that tells of it."""
    values = {"version": NOTE.c.version + 1} | ({"rank": rank} if rank is not None else {})
    made = await session.execute(
        sa.update(NOTE).where(NOTE.c.id == note_id).values(values).returning(NOTE)
    )
    row = made.one()
    await outbox.emit(session, changed(row))
    return row


async def remove(session: WriteSession, note_id: UUID) -> None:
    """Take a note away, and tell nobody."""
    await session.execute(sa.delete(NOTE).where(NOTE.c.id == note_id))


def state(row: Any) -> dict[str, Any]:
    return {"id": str(row.id), "version": row.version, "rank": row.rank}


def changed(*rows: Any) -> Event:
    return Event(
        NOTE_CHANGED, {"notes": [state(row) for row in rows]}, subject=f"notes/{rows[0].id}"
    )


async def states(sessions: Sessions) -> dict[str, dict[str, Any]]:
    """All notes by id, as the events state them."""
    async with sessions.read() as session:
        rows = (await session.execute(sa.select(NOTE))).all()
    return {str(row.id): state(row) for row in rows}


class Snapshots:
    """Pages of the board's state; remembers which were asked for."""

    def __init__(self, page_size: int = 1000) -> None:
        self.page_size = page_size
        self.asked: list[str | None] = []

    async def __call__(
        self, session: ReadSession, after: str | None
    ) -> tuple[Sequence[Event], str | None]:
        self.asked.append(after)
        statement = sa.select(NOTE).order_by(NOTE.c.id).limit(self.page_size)
        if after is not None:
            statement = statement.where(NOTE.c.id > UUID(after))
        rows = (await session.execute(statement)).all()
        events = [changed(*rows)] if rows else []
        return events, str(rows[-1].id) if len(rows) == self.page_size else None


def settings_of(url: str, **values: Any) -> DatabaseSettings:
    return DatabaseSettings(url=SecretStr(url), **{"pool_size": 4, **values})


async def furnish(url: str) -> None:
    """Make the board's own table."""
    engine = database.engine(settings_of(url), application="tests")
    async with engine.begin() as connection:
        await connection.run_sync(_METADATA.create_all)
    await engine.dispose()


def create_app(
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]],
    *,
    routers: Sequence[APIRouter] = (router,),
    **values: Any,
) -> FastAPI:
    return application.build_app(
        name=NAME,
        title="Board",
        server=ServerSettings(max_body_bytes=MAX_BODY_BYTES),
        routers=routers,
        lifespan=lifespan,
        refusals={"note_text_key": NoteTextTaken},
        **values,
    )


@asynccontextmanager
async def open_board(
    db: Database,
    identity: Identity,
    clock: Clock,
    *,
    snapshots: Snapshots | None,
    security: SecuritySettings | None = None,
    transports: application.Transports | None = None,
    routers: Sequence[APIRouter] = (router,),
    **settings: Any,
) -> AsyncGenerator[App]:
    """The board's app, open on a database that `furnish` has been through."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[Mapping[str, Any]]:
        async with application.opened(
            NAME,
            settings=settings_of(db.urls["residents_api"], **settings),
            security=security or identity.security,
            clock=clock,
            snapshot=snapshots,
            transports=transports or {"gateway": identity.transport},
        ) as house:
            yield house.state

    async with opened(create_app(lifespan, routers=routers), identity) as app:
        yield app


def write_once(url: str, rank: int) -> None:
    """The life of a writer process: it commits a note, and is killed before that is numbered."""

    async def write() -> None:
        engine = database.engine(settings_of(url), application="writer")
        sessions = database.sessions(engine)
        async with sessions.write() as session:
            await add_note(session, rank=rank)
        await outbox.Publisher(sessions, service=NAME, clock=SystemClock()).publish()

    asyncio.run(write())
