"""Photos on their way in: checked, decoded, encoded anew and stored, before any transaction.

Storing is slow and may fail half-way, so what is about to be stored is written down first
(`photo_upload`), and the transaction that files the report strikes it out. What a request that
failed in between leaves behind is deleted a day later. Deleting only what was written down is
deliberate: an object without a row is not proof of anything, for the database may have been
restored, or the bucket be shared.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from fastapi import UploadFile

from services.common.clock import Clock
from services.common.database import UNREACHABLE, Sessions
from services.common.problems import FieldError, RequestInvalid, Text, Unavailable
from services.reports_api.domain import pictures
from services.reports_api.domain.pictures import Picture
from services.reports_api.errors import PhotoRefused, photo_too_large
from services.reports_api.models import Photo, PhotoUpload
from services.reports_api.repository import reports as repository
from services.reports_api.repository.photos import PhotoStore
from services.reports_api.service.decoding import Decoder
from services.reports_api.settings import Settings

log = structlog.get_logger(__name__)

LEFT_BEHIND_AFTER: Final = timedelta(days=1)
_SWEEP_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class PhotoIntake:
    """Takes photos in. `slots` bounds how many are held in memory at a time."""

    store: PhotoStore
    decoder: Decoder
    sessions: Sessions
    clock: Clock
    settings: Settings
    slots: asyncio.Semaphore

    async def take(self, report_id: UUID, sent: Sequence[UploadFile]) -> list[Photo]:
        """Store the photos of a report that is about to be filed. Raises RequestInvalid."""
        if not sent:
            return []
        taken = await self._cleaned(sent)
        photos = [
            Photo(
                report_id=report_id,
                n=n,
                object_key=f"reports/{report_id}/{n}.jpg",
                media_type=pictures.MEDIA_TYPE,
                width=picture.width,
                height=picture.height,
                bytes=len(picture.jpeg),
            )
            for n, picture in enumerate(taken, start=1)
        ]
        async with self.sessions.write() as session:
            keys = [photo.object_key for photo in photos]
            now = self.clock.now()
            session.add(PhotoUpload(report_id=report_id, object_keys=keys, created_at=now))
        for photo, picture in zip(photos, taken, strict=True):
            await self.store.put(photo.object_key, picture.jpeg)
        return photos

    async def _cleaned(self, sent: Sequence[UploadFile]) -> list[Picture]:
        most = self.settings.max_photos
        if len(sent) > most:
            detail = Text(f"最多 {most} 张照片", f"At most {most} photos")
            raise RequestInvalid.at("/photos", "photo.too_many", detail)
        for index, file in enumerate(sent):
            if (file.size or 0) > self.settings.max_photo_bytes:
                raise _at(index, photo_too_large())
        return [await self._picture(index, file) for index, file in enumerate(sent)]

    async def _picture(self, index: int, file: UploadFile) -> Picture:
        async with self.slots:
            content = await file.read()
            try:
                return await self.decoder.cleaned(content)
            except PhotoRefused as refused:
                raise _at(index, refused) from None

    async def sweep(self) -> None:
        """For ever: delete what failed requests left in the store."""
        while True:
            try:
                while await self.sweep_once():
                    pass
            except (*UNREACHABLE, Unavailable) as failed:
                log.warning("photo_uploads.sweep_failed", error=type(failed).__name__)
            await asyncio.sleep(_SWEEP_SECONDS)

    async def sweep_once(self) -> int:
        """Delete some objects left behind, then forget them; how many uploads that were.

        Two processes at it at once do no harm: deleting twice is deleting.
        """
        async with self.sessions.read() as session:
            uploads = await repository.uploads_before(session, self.clock.now() - LEFT_BEHIND_AFTER)
        for upload in uploads:
            for key in upload.object_keys:
                await self.store.delete(key)
            async with self.sessions.write() as session:
                await repository.forget_upload(session, upload.report_id)
        return len(uploads)


def _at(index: int, refused: PhotoRefused) -> RequestInvalid:
    return RequestInvalid(errors=(FieldError(f"/photos/{index}", refused.code, refused.detail),))
