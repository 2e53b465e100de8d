"""How the reports say no.

Problem
├── ReportNotFound         404  report.not_found
├── PhotoNotFound          404  photo.not_found
└── ReportAlreadyResolved  409  report.already_resolved

Faults in the fields of a report are a RequestInvalid (422) with one of these codes:
area.unknown, area.missing, photo.too_many, photo.too_large, photo.format_unsupported,
photo.unreadable.
"""

from services.common.problems import Problem, Text


class ReportNotFound(Problem):
    status = 404
    code = "report.not_found"
    title = Text("没有这条上报", "No such report")


class PhotoNotFound(Problem):
    status = 404
    code = "photo.not_found"
    title = Text("没有这张照片", "No such photo")


class ReportAlreadyResolved(Problem):
    status = 409
    code = "report.already_resolved"
    title = Text("该上报已办结", "The report is resolved already")


class PhotoRefused(Exception):
    """A photo that cannot be taken, and why."""

    def __init__(self, code: str, detail: Text) -> None:
        # Both, for it travels from a worker process to the service.
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


def photo_unreadable() -> PhotoRefused:
    return PhotoRefused(
        "photo.unreadable", Text("不是可以读取的图片", "This is no picture that can be read")
    )


def photo_format_unsupported() -> PhotoRefused:
    return PhotoRefused(
        "photo.format_unsupported",
        Text(
            "不支持 HEIC、AVIF 和视频，请发送 JPEG、PNG 或 WebP",
            "HEIC, AVIF and videos are not taken; send JPEG, PNG or WebP",
        ),
    )


def photo_too_large() -> PhotoRefused:
    return PhotoRefused(
        "photo.too_large", Text("照片过大", "The photo has too many bytes or too many pixels")
    )
