"""How the register says no.

Problem
├── DivisionNotFound   404  division.not_found
├── CodeListNotFound   404  code_list.not_found
├── ResidentNotFound   404  resident.not_found
├── DwellingNotFound   404  dwelling.not_found
├── OccupancyNotFound  404  occupancy.not_found
└── ImportNotFound     404  import.not_found
"""

from services.common.problems import Problem, Text


class CodeListNotFound(Problem):
    status = 404
    code = "code_list.not_found"
    title = Text("没有这个代码表", "No such code list")


class ResidentNotFound(Problem):
    status = 404
    code = "resident.not_found"
    title = Text("没有这位居民", "No such resident")


class DwellingNotFound(Problem):
    status = 404
    code = "dwelling.not_found"
    title = Text("没有这处住房", "No such dwelling")


class OccupancyNotFound(Problem):
    status = 404
    code = "occupancy.not_found"
    title = Text("没有这条居住记录", "No such occupancy")


class ImportNotFound(Problem):
    status = 404
    code = "import.not_found"
    title = Text("没有这次导入", "No such import")
