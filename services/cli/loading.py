"""What is loaded into a new town, by the services' own ways in: divisions, the demo, accounts."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from services.cli import environments, settings
from services.cli.demo import TOWN, DemoAccount
from services.cli.environments import Deployment
from services.cli.failures import Failure
from services.cli.synth import ledger
from services.cli.synth.housing import read_villages
from services.cli.synth.sites import site
from services.cli.synth.town import RESIDENTS as RESIDENTS
from services.cli.synth.town import DemoResident, town
from services.common import database
from services.common.access import GRANTS, Role
from services.common.database import Sessions, WriteSession
from services.common.settings import DatabaseSettings
from services.gateway.errors import AccountNameTaken, ClientIdTaken
from services.gateway.service import accounts
from services.gateway.settings import Settings as GatewaySettings
from services.residents_api.domain.coordinates import Point, from_wgs84
from services.residents_api.domain.sealing import NUMBER
from services.residents_api.models import Compound, Division, IdentityDocument, LedgerImport
from services.residents_api.schemas.compounds import CompoundUpdate
from services.residents_api.schemas.imports import ImportState
from services.residents_api.service import areas, compounds, imports
from services.residents_api.service.ledger.engine import Engine
from services.residents_api.service.ledger.failures import sentence
from services.residents_api.service.ledger.job_row import Progress
from services.residents_api.service.sealing import sealer
from services.residents_api.settings import Settings as RegisterSettings

# The command stands in for whoever keeps the ledger of the village, and reaches as far: with a wider
# area, the ledger of one village would overwrite what another village's worker keeps.
IMPORTER = "command"
# Villages imported at once: [measured] 24.7 s one by one, 14.8 s by two, no less by three.
_AT_A_TIME = 2


def register_settings(deployment: Deployment) -> RegisterSettings:
    variables = environments.variables("residents_api", deployment)
    return settings.read(RegisterSettings, variables)


def gateway_settings(deployment: Deployment) -> GatewaySettings:
    return settings.read(GatewaySettings, environments.variables("gateway", deployment))


@asynccontextmanager
async def sessions(of: DatabaseSettings) -> AsyncGenerator[Sessions]:
    engine = database.engine(of, application="shequ")
    try:
        yield database.sessions(engine)
    finally:
        await engine.dispose()


async def check_village(of: RegisterSettings, code: str) -> None:
    """Raises Failure unless there is such a village or community."""
    async with sessions(of.database) as opened, opened.read() as session:
        found = await session.get(Division, code)
    if found is None or found.level != "village" or found.valid_to is not None:
        raise Failure(f"There is no village or community with the code {code}.")


async def load_divisions(deployment: Deployment, path: Path) -> None:
    async with (
        sessions(register_settings(deployment).database) as opened,
        opened.write() as session,
    ):
        await areas.load_divisions(session, path)


async def load_town(
    deployment: Deployment, *, day: date, report: Callable[[int, int], None]
) -> UUID:
    """Import the demo town as it is on `day`; the id of the resident who has an account.

    `report` is told the rows read and the rows merged so far. The same day's town imported again
    changes nothing, so what was interrupted is simply done again. Raises Failure.
    """
    folder = deployment.folders / "town"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        counts, somebody = await asyncio.to_thread(_write_ledgers, folder, day)
        async with imports.own_engine(register_settings(deployment)) as engine:
            villages = [
                Village(folder / f"{code}.csv", code, rows) for code, rows in counts.items()
            ]

            def tell() -> None:
                report(sum(v.read for v in villages), sum(v.merged for v in villages))

            await import_all(engine, villages, tell)
            await _describe_compounds(engine)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return await _find(deployment, somebody)


async def _describe_compounds(engine: Engine) -> None:
    """What a ledger does not say of a compound: where it is, and how it is looked after."""
    async with engine.sessions.write() as session:
        rows = await session.scalars(
            sa.select(Compound)
            .where(Compound.village_code.startswith(TOWN), Compound.longitude.is_(None))
            .order_by(Compound.id)
            .with_for_update()
        )
        for row in rows:
            of = site(row.village_code, row.name)
            # Read off a map of the country, as a worker would do.
            point = from_wgs84(Point(of.longitude, of.latitude), "gcj02")
            said = CompoundUpdate.model_validate(
                {
                    "coordinates": {
                        "longitude": round(point.longitude, 6),
                        "latitude": round(point.latitude, 6),
                        "coordinate_system": "gcj02",
                    },
                    "address": of.address,
                    "risk_level": of.risk_level,
                    "property_company": of.property_company or None,
                    "committee": of.committee,
                }
            )
            await compounds.update(session, engine.sealer, row, said, version=row.version)
    await engine.publisher.publish_if_reachable()


@dataclass(slots=True)
class Village:
    """One village's ledger, and how far its import is."""

    path: Path
    code: str
    rows: int
    read: int = 0
    merged: int = 0

    def at(self, progress: Progress) -> None:
        if progress.rows_total is None:
            self.read = progress.rows_done
        else:
            self.read, self.merged = self.rows, progress.rows_done


async def import_all(engine: Engine, villages: Sequence[Village], tell: Callable[[], None]) -> None:
    """Import several at a time: while one is merged, others are read and checked."""
    waiting = iter(villages)

    async def work() -> None:
        for village in waiting:

            def progress(at: Progress, village: Village = village) -> None:
                village.at(at)
                tell()

            await run_import(engine, village.path, village_code=village.code, progress=progress)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_A_TIME):
                group.create_task(work())
    except* Failure as failed:
        raise failed.exceptions[0] from None


def _write_ledgers(folder: Path, day: date) -> tuple[dict[str, int], DemoResident]:
    made = town(today=day, villages=read_villages(areas.DIVISIONS, within=TOWN))
    for village_code, rows in made.ledgers.items():
        ledger.write_csv(folder / f"{village_code}.csv", rows)
    return {code: len(rows) for code, rows in made.ledgers.items()}, made.demo_resident


async def run_import(
    engine: Engine,
    path: Path,
    *,
    village_code: str,
    progress: Callable[[Progress], None],
    dry_run: bool = False,
) -> LedgerImport:
    """Import one file. Raises Failure if it cannot be read or the import fails."""
    try:
        job = await imports.run_file(
            engine,
            path,
            village_code=village_code,
            importer=IMPORTER,
            importer_areas=[village_code],
            dry_run=dry_run,
            progress=progress,
        )
    except OSError as refused:
        raise Failure(f"{path} cannot be read: {refused.strerror}.") from None
    if job.state != ImportState.SUCCEEDED:
        why = sentence(job.failure)
        raise Failure(
            f"The import of {path.name} {job.state} ({job.failure}): {why.en}"
            if why
            else f"The import of {path.name} {job.state}."
        )
    return job


async def _find(deployment: Deployment, somebody: DemoResident) -> UUID:
    of = register_settings(deployment)
    index = sealer(of).blind_index(NUMBER, somebody.id_number)
    async with sessions(of.database) as opened, opened.read() as session:
        found = await session.scalar(
            sa.select(IdentityDocument.resident_id).where(IdentityDocument.blind_index == index)
        )
    if found is None:
        raise Failure("The demo town was loaded, but its resident with an account is missing.")
    return found


async def create_accounts(
    deployment: Deployment, wanted: Sequence[DemoAccount], *, resident_id: UUID | None = None
) -> None:
    """Make demo accounts, each unless there is one of its name."""
    passwords = deployment.credentials.accounts
    async with sessions(gateway_settings(deployment).database) as opened:
        for account in wanted:
            with suppress(AccountNameTaken, ClientIdTaken):
                async with opened.write() as session:
                    await _create(session, account, passwords[account.name], resident_id)


async def _create(
    session: WriteSession, account: DemoAccount, password: str, resident_id: UUID | None
) -> None:
    if account.role is Role.CLIENT:
        await accounts.create_client(
            session,
            client_id=account.name,
            secret=password,
            name=account.name,
            scopes=sorted(GRANTS[Role.CLIENT]),
            areas=[account.area],
        )
        return
    await accounts.create_account(
        session,
        name=account.name,
        password=password,
        roles=[account.role],
        areas=[account.area],
        resident_id=resident_id if account.role is Role.RESIDENT else None,
    )
