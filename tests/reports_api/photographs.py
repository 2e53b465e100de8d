"""Pictures for tests, made here: no photo of a real place or person."""

import io
from typing import Any

from PIL import Image, ImageCms

# What must not survive; each stands somewhere else in the file.
TRACES = (
    b"MAKER-OF-PHONE",
    b"2026:11:20 08:15:00",
    b"GPS-AREA-SECRET",
    b"COMMENT-SECRET",
    b"XMP-SECRET",
    b"AFTER-THE-END",
    b"PK\x03\x04",
)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def two_halves(mode: str = "RGB", size: tuple[int, int] = (64, 32)) -> Image.Image:
    """Red on the left, blue on the right: what is up and what is left can be told."""
    image = Image.new("RGB", size, "red")
    image.paste("blue", (size[0] // 2, 0, *size))
    return image.convert(mode)


def jpeg(size: tuple[int, int] = (64, 32)) -> bytes:
    return encoded(two_halves(size=size), "JPEG")


def talkative_jpeg(orientation: int = 1) -> bytes:
    """A JPEG as a phone writes it, which says who, when and where, with a file behind its end."""
    exif = Image.Exif()
    exif[0x010F] = "MAKER-OF-PHONE"
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0x9003] = "2026:11:20 08:15:00"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", (30.0, 59.0, 24.0)
    gps[3], gps[4] = "E", (103.0, 56.0, 27.6)
    gps[28] = b"GPS-AREA-SECRET"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    sent = encoded(
        two_halves(),
        "JPEG",
        exif=exif,
        comment=b"COMMENT-SECRET",
        xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/">XMP-SECRET</x:xmpmeta>',
        icc_profile=profile,
    )
    return sent + b"PK\x03\x04AFTER-THE-END"


def markers(jpeg: bytes) -> list[int]:
    """The segments of a JPEG up to its pixels: 0xE0 is JFIF, 0xE1 Exif and XMP, 0xE2 a profile,
    0xFE a comment.
    """
    assert jpeg[:2] == b"\xff\xd8"
    found: list[int] = []
    at = 2
    while not found or found[-1] != 0xDA:
        assert jpeg[at] == 0xFF
        found.append(jpeg[at + 1])
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return found
