"""How the register says no.

Problem
├── DivisionNotFound   404  division.not_found
├── CodeListNotFound   404  code_list.not_found
├── ResidentNotFound   404  resident.not_found
├── DwellingNotFound   404  dwelling.not_found
├── OccupancyNotFound  404  occupancy.not_found
├── ImportNotFound     404  import.not_found
├── ImportFinished     409  import.finished
├── NumberTaken        409  resident.id_number_taken
├── AlreadyLivesThere  409  occupancy.exists
└── AlreadyEnded       409  occupancy.already_ended
"""

from collections.abc import Mapping

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


class ImportFinished(Problem):
    status = 409
    code = "import.finished"
    title = Text("导入已结束", "The import has ended already")


class NumberTaken(Problem):
    status = 409
    code = "resident.id_number_taken"
    title = Text("该身份证号已登记", "Somebody is registered with this identity number")


class AlreadyLivesThere(Problem):
    status = 409
    code = "occupancy.exists"
    title = Text("该居民已登记在此住房", "This resident is registered in this dwelling already")


class AlreadyEnded(Problem):
    status = 409
    code = "occupancy.already_ended"
    title = Text("该居住记录已结束", "This occupancy has ended already")


REFUSALS: Mapping[str, type[Problem]] = {
    "identity_document_pkey": NumberTaken,
    "occupancy_current_key": AlreadyLivesThere,
}
