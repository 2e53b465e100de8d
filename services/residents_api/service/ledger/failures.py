"""Why an import failed, in sentences. None of them says what stands in the file."""

from collections.abc import Mapping
from types import MappingProxyType

from services.common.problems import Text
from services.residents_api.domain.ledger import UnreadableCode

_UNREADABLE: dict[UnreadableCode, Text] = {
    "ledger.format": Text(
        "文件不是 XLSX、XLS 或 CSV 台账，请另存为其中一种格式后重新上传。",
        "The file is no ledger in XLSX, XLS or CSV: save it as one of these and upload it again.",
    ),
    "ledger.damaged": Text(
        "文件已损坏或不完整（可能没有传完），请用表格软件打开确认、另存后重新上传。",
        "The file is damaged or cut off, perhaps copied halfway: open it in a spreadsheet program, "
        "save it anew and upload it again.",
    ),
    "ledger.encrypted": Text(
        "文件设有密码，请去掉密码后重新上传。",
        "The file is protected with a password: remove it and upload the file again.",
    ),
    "ledger.too_large": Text(
        "文件展开后超出台账的大小限制（行、列、单元格或字节过多），请删除多余的空行、空列，或拆分后上传。",
        "Unpacked, the file is larger than a ledger may be (rows, columns, cells or bytes): delete "
        "empty rows and columns, or split it.",
    ),
    "ledger.empty": Text("文件中没有任何内容。", "Nothing stands in the file."),
    "ledger.no_header": Text(
        "没有找到表头：前 30 行中须有一行写明各列名称，其中有姓名，并至少另有一列（如身份证号码、房号）。",
        "There is no header: one of the first 30 rows must name the columns, 姓名 and at least one "
        "more among them, such as 身份证号码 or 房号.",
    ),
    "ledger.duplicate_columns": Text(
        "表头中姓名和身份证号码（或出生日期）出现了不止一组，一行写了两个人；请改为一人一行后重新上传，未导入任何内容。",
        "The header has more than one group of 姓名 and 身份证号码 (or 出生日期), so a row holds two "
        "persons: give each a row of their own and upload the file again. Nothing was imported.",
    ),
}

_FAILURES: Mapping[str, Text] = MappingProxyType(
    {
        **_UNREADABLE,
        "ledger.file_lost": Text(
            "上传的文件已不存在或被改动，请重新上传。",
            "The uploaded file is gone or was altered: upload it again.",
        ),
    }
)
_UNFORESEEN = Text(
    "导入时发生内部错误，已合并的内容保留；请重试，仍失败请联系管理员。",
    "An internal error ended the import; what was merged stays. Try again, and tell whoever runs "
    "the platform if it fails again.",
)


def sentence(failure: str | None) -> Text | None:
    """What a failure's code means; None without one."""
    return None if failure is None else _FAILURES.get(failure, _UNFORESEEN)
