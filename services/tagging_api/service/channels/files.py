"""The driver for development: what providers would be given, as JSON lines in a file a channel.

A line names the resident by id. Numbers and device tokens are the register's and the app's: a real
provider is given the ids, and asks those who keep them.
"""

import asyncio
import json
import os
from pathlib import Path

from services.tagging_api.service.channels.base import Load, NotTaken


class FileDriver:
    """Appends a parcel as one write: other processes' lines come before or after it, not within."""

    # A file does not look back.
    knows_repetition = False
    needs_text = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def carry(self, load: Load) -> None:
        lines = [
            json.dumps(
                {
                    "parcel_id": str(load.id),
                    "campaign_id": str(load.campaign_id),
                    "channel": load.channel.value,
                    **(
                        {"area": load.area}
                        if letter.resident_id is None
                        else {"resident_id": str(letter.resident_id)}
                    ),
                    "title": letter.title,
                    "body": letter.body,
                    "emergency": load.emergency,
                    "at": load.at.isoformat(),
                },
                ensure_ascii=False,
            )
            for letter in load.letters
        ]
        content = "".join(f"{line}\n" for line in lines).encode()
        path = self._directory / f"{load.channel.value}.jsonl"
        await asyncio.to_thread(_append, path, content)


def _append(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    except OSError as refused:
        raise NotTaken(f"file.{type(refused).__name__}") from None
    try:
        # Less than all: the disk is full, and the exception leaves it in doubt.
        if os.write(descriptor, content) != len(content):
            raise OSError("written in part")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
