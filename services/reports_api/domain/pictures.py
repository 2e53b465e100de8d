"""Photos as they are kept: pixels, and nothing else of the file that was sent.

A phone's photo says where and when it was taken, by which phone, and often carries a second
picture, a film or a depth map behind its end. So the pixels are decoded, turned upright, put onto
a new canvas and encoded again; colour profiles are dropped with the rest.
"""

import io
import re
from dataclasses import dataclass, field
from typing import Final

from PIL import ExifTags, Image

from services.reports_api.errors import (
    PhotoRefused,
    photo_format_unsupported,
    photo_too_large,
    photo_unreadable,
)

MEDIA_TYPE: Final = "image/jpeg"
MAX_SIDE: Final = 4096
_QUALITY = 85
_FORMATS = ("JPEG", "PNG", "WEBP")

# A progressive JPEG may hold thousands of scans, each of them one more pass over all its pixels:
# minutes of work in a small file. Cameras write a dozen at most.
_MAX_SCANS = 100
_START_OF_SCAN = b"\xff\xda"
_END_OF_IMAGE = b"\xff\xd9"
# All that a length follows, and the end: not stuffed bytes, restarts and TEM.
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A clean JPEG; width and height in pixels."""

    width: int
    height: int
    jpeg: bytes = field(repr=False)


def cleaned(sent: bytes, *, max_pixels: int) -> Picture:
    """Decode a JPEG, PNG or WebP (the first frame of an animation) and encode its pixels anew.

    Slow: up to two seconds and some hundred megabytes for the largest picture. Raises PhotoRefused.
    """
    if sent[4:8] == b"ftyp":
        raise photo_format_unsupported()
    try:
        with Image.open(io.BytesIO(sent), formats=_FORMATS) as image:
            # Only the header is read so far: a bomb is refused before it goes off.
            if image.width * image.height > max_pixels:
                raise photo_too_large()
            if image.format in {"JPEG", "MPO"} and _scans(sent) > _MAX_SCANS:
                raise photo_unreadable()
            return _encoded(_pixels(image))
    except PhotoRefused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise photo_too_large() from None
    except Exception:  # noqa: BLE001 - a decoder that meets a broken or hostile file may raise anything
        raise photo_unreadable() from None


def _scans(jpeg: bytes) -> int:
    """How many scans the picture has, up to one too many.

    Only of the picture itself: the preview inside its metadata and the film behind its end, which
    phones add, do not count.
    """
    found, at = 0, 2
    while found <= _MAX_SCANS and (marker := _MARKER.search(jpeg, at)):
        if marker[0] == _END_OF_IMAGE:
            break
        found += marker[0] == _START_OF_SCAN
        at = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2], "big")
    return found


def _pixels(image: Image.Image) -> Image.Image:
    """The pixels alone: upright, small enough, opaque, on a canvas without any metadata."""
    upright = _UPRIGHT.get(_orientation(image))
    # A JPEG can be decoded at a fraction of its size; other formats take no notice.
    image.draft(None, (MAX_SIDE, MAX_SIDE))
    if image.mode == "I;16":
        # 16 bits of grey, low byte first; Pillow's own conversion clips them to white.
        image = Image.frombytes("L", image.size, image.tobytes()[1::2])
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if (factor := max(image.size) // MAX_SIDE) > 1:
        # Averaging whole blocks first: resampling would begin by copying the full size.
        image = image.reduce(factor)
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(image, mask=image if image.mode == "RGBA" else None)
    return canvas if upright is None else canvas.transpose(upright)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - whatever is wrong with the metadata, it is dropped in any case
        return 1


def _encoded(canvas: Image.Image) -> Picture:
    encoded = io.BytesIO()
    canvas.save(encoded, "JPEG", quality=_QUALITY)
    return Picture(canvas.width, canvas.height, encoded.getvalue())
