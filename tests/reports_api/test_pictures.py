"""Photos are decoded and encoded anew: pixels survive, and nothing else does."""

import io
import struct
import zlib

import pytest
from PIL import Image

from services.reports_api.domain.pictures import Picture, cleaned
from services.reports_api.errors import PhotoRefused
from tests.reports_api.photographs import (
    TRACES,
    encoded,
    jpeg,
    markers,
    talkative_jpeg,
    two_halves,
)

LIMIT = 8192 * 6144


def clean(sent: bytes, *, max_pixels: int = LIMIT) -> Picture:
    return cleaned(sent, max_pixels=max_pixels)


def refusal(sent: bytes, *, max_pixels: int = LIMIT) -> str:
    with pytest.raises(PhotoRefused) as refused:
        cleaned(sent, max_pixels=max_pixels)
    return refused.value.code


def opened(picture: Picture) -> Image.Image:
    image = Image.open(io.BytesIO(picture.jpeg))
    image.load()
    assert (image.format, image.mode) == ("JPEG", "RGB")
    assert image.size == (picture.width, picture.height)
    return image


def color(image: Image.Image, x: float, y: float) -> str:
    """The colour at a place, given as parts of width and height."""
    at = (int(x * (image.width - 1)), int(y * (image.height - 1)))
    pixel = image.getpixel(at)
    assert isinstance(pixel, tuple)
    names = {"red": (255, 0, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
    return min(
        names, key=lambda name: sum(abs(a - b) for a, b in zip(names[name], pixel, strict=True))
    )


def test_nothing_but_the_pixels_survives() -> None:
    sent = talkative_jpeg()
    for trace in TRACES:
        assert trace in sent, "the test has to send what it looks for"
    picture = clean(sent)
    for trace in TRACES:
        assert trace not in picture.jpeg
    # Tables and one frame; of application segments only JFIF's, no comment, one picture.
    assert set(markers(sent)) >= {0xE1, 0xE2, 0xFE}
    assert set(markers(picture.jpeg)) == {0xE0, 0xDB, 0xC0, 0xC4, 0xDA}
    assert picture.jpeg.count(b"\xff\xd8\xff") == 1
    assert picture.jpeg.index(b"\xff\xd9") == len(picture.jpeg) - 2
    image = opened(picture)
    assert dict(image.getexif()) == {}
    assert not {"exif", "xmp", "icc_profile", "comment"} & set(image.info)


def test_a_png_and_a_webp_are_stripped_too() -> None:
    exif = Image.Exif()
    exif[0x010F] = "MAKER-OF-PHONE"
    for format in ("PNG", "WEBP"):
        sent = encoded(two_halves(), format, exif=exif) + b"AFTER-THE-END"
        assert b"MAKER-OF-PHONE" in sent
        picture = clean(sent)
        assert b"MAKER-OF-PHONE" not in picture.jpeg
        assert b"AFTER-THE-END" not in picture.jpeg
        assert color(opened(picture), 0, 0) == "red"


@pytest.mark.parametrize(
    ("orientation", "size", "corners"),
    [
        # Colours at the top left and the bottom right, once the picture is upright.
        (1, (64, 32), ("red", "blue")),
        (2, (64, 32), ("blue", "red")),
        (3, (64, 32), ("blue", "red")),
        (4, (64, 32), ("red", "blue")),
        (5, (32, 64), ("red", "blue")),
        (6, (32, 64), ("red", "blue")),
        (7, (32, 64), ("blue", "red")),
        (8, (32, 64), ("blue", "red")),
        (99, (64, 32), ("red", "blue")),
    ],
)
def test_pictures_stand_upright(
    orientation: int, size: tuple[int, int], corners: tuple[str, str]
) -> None:
    picture = clean(talkative_jpeg(orientation))
    image = opened(picture)
    assert image.size == size
    assert (color(image, 0, 0), color(image, 1, 1)) == corners


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_metadata_does_not_spoil_the_picture() -> None:
    sent = jpeg()
    broken = b"Exif\x00\x00II*\x00\xff\xff\xff\xff"
    segment = b"\xff\xe1" + struct.pack(">H", len(broken) + 2) + broken
    assert color(opened(clean(sent[:2] + segment + sent[2:])), 0, 0) == "red"


@pytest.mark.parametrize(
    ("format", "mode"),
    [
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("PNG", "1"),
        ("PNG", "L"),
        ("PNG", "LA"),
        ("PNG", "P"),
        ("PNG", "RGBA"),
        ("WEBP", "RGB"),
        ("WEBP", "RGBA"),
    ],
)
def test_every_mode_becomes_a_jpeg(format: str, mode: str) -> None:
    image = opened(clean(encoded(two_halves(mode), format)))
    if mode not in {"1", "L", "LA"}:
        assert (color(image, 0, 0), color(image, 1, 1)) == ("red", "blue")


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    assert color(opened(clean(encoded(clear, "PNG"))), 0.5, 0.5) == "white"
    palette = two_halves("P")
    by_palette = encoded(palette, "PNG", transparency=palette.getpixel((0, 0)))
    image = opened(clean(by_palette))
    assert (color(image, 0, 0), color(image, 1, 1)) == ("white", "blue")


def test_sixteen_bits_of_grey_keep_their_brightness() -> None:
    grey = Image.new("I;16", (16, 16), 0x8000)
    pixel = opened(clean(encoded(grey, "PNG"))).getpixel((8, 8))
    assert isinstance(pixel, tuple)
    assert all(abs(int(part) - 0x80) <= 2 for part in pixel)


def test_large_pictures_are_scaled_down_and_small_ones_are_not() -> None:
    picture = clean(encoded(two_halves(size=(8000, 100)), "PNG"))
    assert (picture.width, picture.height) == (4096, 51)
    assert (color(opened(picture), 0, 0), color(opened(picture), 1, 1)) == ("red", "blue")
    assert (clean(jpeg((4096, 8))).width, clean(jpeg((3, 2))).width) == (4096, 3)


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (16, 16), "blue"), Image.new("RGB", (16, 16), "white")]
    for format in ("WEBP", "PNG", "MPO"):
        sent = encoded(
            Image.new("RGB", (16, 16), "red"), format, save_all=True, append_images=frames
        )
        assert color(opened(clean(sent)), 0.5, 0.5) == "red", format


def test_what_is_no_picture_is_unreadable() -> None:
    whole = jpeg((640, 480))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
    for sent in (
        b"",
        b"\xff\xd8",
        b"words, not a picture",
        b"\x00" * 100_000,
        svg,
        b"%PDF-1.7\n",
        whole[: len(whole) // 2],
        b"\x89PNG\r\n\x1a\n" + b"\x00" * 100,
        b"RIFF\xff\xff\xff\xffWEBPVP8 " + b"\xff" * 100,
        # Formats that Pillow knows and nobody needs: each is one more decoder to attack.
        encoded(two_halves(), "GIF"),
        encoded(two_halves(), "TIFF"),
        encoded(two_halves(), "BMP"),
        encoded(two_halves(), "PDF"),
        # A polyglot whose picture is not at the start.
        b"<html><script>alert(1)</script>" + whole,
    ):
        assert refusal(sent) == "photo.unreadable", sent[:20]


def test_heic_and_avif_are_refused_by_name() -> None:
    assert refusal(b"\x00\x00\x00\x24ftypheic" + b"\x00" * 100) == "photo.format_unsupported"
    assert refusal(encoded(two_halves(), "AVIF")) == "photo.format_unsupported"


def test_a_polyglot_loses_its_other_half() -> None:
    picture = clean(jpeg() + b"<?php system($_GET[0]); ?><script>alert(1)</script>")
    assert b"php" not in picture.jpeg
    assert b"script" not in picture.jpeg


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that says it has so many pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\x00" * 1_000_000, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def test_a_bomb_does_not_go_off() -> None:
    # Just over our own limit; over Pillow's warning; over its limit.
    for side in (7500, 10_000, 60_000):
        assert refusal(bomb(side, side)) == "photo.too_large", side
    assert refusal(jpeg((101, 100)), max_pixels=10_000) == "photo.too_large"
    assert clean(jpeg((100, 100)), max_pixels=10_000).width == 100


def test_a_text_bomb_in_a_png_does_not_go_off() -> None:
    body = b"Comment\x00\x00" + zlib.compress(b"\x00" * 200_000_000, 9)
    chunk = (
        struct.pack(">I", len(body))
        + b"zTXt"
        + body
        + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    )
    sent = encoded(two_halves(), "PNG")
    assert refusal(sent[:33] + chunk + sent[33:]) == "photo.unreadable"


def test_a_jpeg_of_a_thousand_scans_is_not_decoded() -> None:
    noise = Image.effect_noise((64, 64), 80).convert("RGB")
    sent = encoded(noise, "JPEG", progressive=True)
    starts = [at for at in range(len(sent)) if sent[at : at + 2] == b"\xff\xda"]
    scans = [sent[a:b] for a, b in zip(starts, [*starts[1:], len(sent) - 2], strict=True)]
    shortest = min(scans, key=len)
    after = starts[scans.index(shortest)] + len(shortest)
    many = sent[:after] + shortest * 1000 + sent[after:]
    # Pillow would decode it, pass after pass.
    Image.open(io.BytesIO(many)).load()
    assert refusal(many) == "photo.unreadable"
    assert clean(sent).width == 64
    # A phone's film behind the picture, and what stands in its metadata, are no scans of it.
    assert clean(sent + b"\xff\xda" * 1000).width == 64
    comment = encoded(noise, "JPEG", comment=b"\xff\xda" * 1000)
    assert clean(comment).width == 64
    # TEM has no length: what seems to be one must not hide the scans behind it.
    hidden = many[:after] + b"\xff\x01\xff\xfe" + many[after:]
    assert refusal(hidden) == "photo.unreadable"
