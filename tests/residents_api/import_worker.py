"""An import worker as a process of its own, to be killed."""

import asyncio

from services.residents_api.service import imports
from services.residents_api.settings import Settings


async def main() -> None:
    async with imports.own_engine(Settings.model_validate({})) as engine:
        await imports.work(engine)


if __name__ == "__main__":
    asyncio.run(main())
