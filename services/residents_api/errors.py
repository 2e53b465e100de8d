"""How the register says no.

Problem
├── DivisionNotFound   404  division.not_found
├── DivisionEnded      409  division.ended
├── DivisionBusy       409  division.busy
├── SuccessionNotFound 404  division_succession.not_found
├── CompoundNotFound   404  compound.not_found
├── CompoundNameTaken  409  compound.name_taken
├── CompoundNotEmpty   409  compound.not_empty
├── GridNotFound       404  grid.not_found
├── GridTaken          409  grid.code_taken
├── GridEnded          409  grid.ended
├── GridNotEmpty       409  grid.not_empty
├── BuildingNotFound   404  building.not_found
├── BuildingTaken      409  building.number_taken
├── BuildingNotEmpty   409  building.not_empty
├── BuildingDemolished 409  building.demolished
├── BuildingInhabited  409  building.inhabited
├── UnitNotFound       404  building_unit.not_found
├── UnitTaken          409  building_unit.number_taken
├── DwellingNotEmpty   409  dwelling.not_empty
├── AddressTaken       409  dwelling.address_taken
├── CodeListNotFound   404  code_list.not_found
├── ResidentNotFound   404  resident.not_found
├── ResidentMerged     410  resident.merged
├── DuplicateNotFound  404  duplicate.not_found
├── DuplicateDecided   409  duplicate.merged
├── MergeNotFound      404  merge.not_found
├── MergeNotUndoable   409  merge.not_undoable
├── MergeWaits         409  merge.change_pending
├── SurvivorGone       409  merge.survivor_gone
├── DwellingNotFound   404  dwelling.not_found
├── OccupancyNotFound  404  occupancy.not_found
├── ImportNotFound     404  import.not_found
├── ImportFinished     409  import.finished
├── ImportUnfinished   409  import.unfinished
├── OutcomeUnavailable 409  import.outcome_unavailable
├── ExportNotFound     404  export.not_found
├── ExportNotYours     403  export.not_yours
├── ApproverIsRequester 403  export.approver_is_requester
├── ExportNotWaiting   409  export.not_waiting
├── ExportUnavailable  409  export.unavailable
├── ExportUnderWay     409  export.under_way
├── LedgerUnderWay     409  import.under_way
├── NumberTaken        409  resident.id_number_taken
├── AlreadyLivesThere  409  occupancy.exists
├── DocumentNotFound   404  identity_document.not_found
├── DocumentHeld       409  identity_document.kind_held
├── GuardianNotFound   404  guardian.not_found
├── GuardianTaken      409  guardian.exists
├── GuardiansFull      409  guardian.too_many
├── NotAMinor          409  guardian.not_a_minor
├── ResidentNotActive  409  resident.not_active
├── ResidentNotGone    409  resident.not_gone
├── FieldNeedsReview   403  resident.needs_review
├── OccupancyDecided   409  occupancy.not_pending
├── HouseholdWithoutHead 409 household.without_head
├── TwoHeads           409  household.two_heads
├── ChangeNotFound     404  change_request.not_found
├── ChangeDecided      409  change_request.not_pending
├── ChangeConflict     409  change_request.conflict
├── ChangePending      409  change_request.waits_already
├── ChangeOfOwn        403  change_request.own
└── AlreadyEnded       409  occupancy.already_ended
"""

from collections.abc import Mapping

from services.common.problems import Problem, Text, Unavailable


class DivisionNotFound(Problem):
    status = 404
    code = "division.not_found"
    title = Text("没有这个区划", "No such division")


class DivisionEnded(Problem):
    status = 409
    code = "division.ended"
    title = Text("该区划已撤并", "This division has been succeeded by others")


class DivisionBusy(Problem):
    status = 409
    code = "division.busy"
    title = Text("该区划有导入正在进行", "A ledger of this division is being imported")


class SuccessionNotFound(Problem):
    status = 404
    code = "division_succession.not_found"
    title = Text("没有这次区划调整", "No such succession")


class CompoundNotFound(Problem):
    status = 404
    code = "compound.not_found"
    title = Text("没有这个小区", "No such compound")


class CompoundNameTaken(Problem):
    status = 409
    code = "compound.name_taken"
    title = Text("该村（社区）已有同名小区", "This village has a compound of that name")


class CompoundNotEmpty(Problem):
    status = 409
    code = "compound.not_empty"
    title = Text(
        "小区内还有楼栋、住房或居民", "The compound still has buildings, dwellings or people"
    )


class GridNotFound(Problem):
    status = 404
    code = "grid.not_found"
    title = Text("没有这个网格", "No such grid")


class GridTaken(Problem):
    status = 409
    code = "grid.code_taken"
    title = Text("该网格编号已被使用", "There is a grid with this code")


class GridEnded(Problem):
    status = 409
    code = "grid.ended"
    title = Text("该网格已撤销", "This grid was closed")


class GridNotEmpty(Problem):
    status = 409
    code = "grid.not_empty"
    title = Text("网格内还有楼栋、住房或居民", "The grid still has buildings, dwellings or people")


class BuildingNotFound(Problem):
    status = 404
    code = "building.not_found"
    title = Text("没有这栋楼", "No such building")


class BuildingTaken(Problem):
    status = 409
    code = "building.number_taken"
    title = Text("该楼栋号已登记", "A building with this number is registered")


class BuildingNotEmpty(Problem):
    status = 409
    code = "building.not_empty"
    title = Text("楼栋内还有住房", "The building still has dwellings")


class BuildingDemolished(Problem):
    status = 409
    code = "building.demolished"
    title = Text("该楼栋已拆除", "This building was demolished")


class BuildingInhabited(Problem):
    status = 409
    code = "building.inhabited"
    title = Text("楼栋内还有人居住", "Somebody still lives in the building")


class UnitNotFound(Problem):
    status = 404
    code = "building_unit.not_found"
    title = Text("没有这个单元", "No such unit")


class UnitTaken(Problem):
    status = 409
    code = "building_unit.number_taken"
    title = Text("该单元号已登记", "A unit with this number is registered")


class DwellingNotEmpty(Problem):
    status = 409
    code = "dwelling.not_empty"
    title = Text("该住房有居住记录", "The dwelling has occupancies")


class AddressTaken(Problem):
    status = 409
    code = "dwelling.address_taken"
    title = Text("该地址已登记", "A dwelling is registered at this address")


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


class ImportUnfinished(Problem):
    status = 409
    code = "import.unfinished"
    title = Text("导入尚未结束", "The import has not ended yet")


class OutcomeUnavailable(Problem):
    status = 409
    code = "import.outcome_unavailable"
    title = Text(
        "原文件已不保留，或无法读取，请用逐行结果查看",
        "The ledger is not kept any more, or cannot be read: ask for the rows instead",
    )


class ExportNotFound(Problem):
    status = 404
    code = "export.not_found"
    title = Text("没有这次导出", "No such export")


class ExportNotYours(Problem):
    status = 403
    code = "export.not_yours"
    title = Text("只有申请导出的人可以下载", "Only whoever asked for the export may have its file")


class ApproverIsRequester(Problem):
    status = 403
    code = "export.approver_is_requester"
    title = Text("导出须由另一人审批", "Somebody else has to approve the export")


class ExportNotWaiting(Problem):
    status = 409
    code = "export.not_waiting"
    title = Text("这次导出不在等待审批", "The export does not wait for approval")


class ExportUnavailable(Problem):
    status = 409
    code = "export.unavailable"
    title = Text("文件尚未生成，或已过期删除", "The file is not made yet, or is not kept any more")


class ExportUnderWay(Problem):
    status = 409
    code = "export.under_way"
    title = Text(
        "台账正在导出，请稍后再试", "A ledger is being exported; try again when it has ended"
    )


class LedgerUnderWay(Problem):
    status = 409
    code = "import.under_way"
    title = Text(
        "相关村（社区）的台账正在导入，请稍后再试",
        "A ledger that may speak of this person is being imported; try again when it has ended",
    )


class AlreadyEnded(Problem):
    status = 409
    code = "occupancy.already_ended"
    title = Text("该居住记录已结束", "This occupancy has ended already")


class DocumentNotFound(Problem):
    status = 404
    code = "identity_document.not_found"
    title = Text("没有这份证件", "No such identity document")


class DocumentHeld(Problem):
    status = 409
    code = "identity_document.kind_held"
    title = Text(
        "该居民已登记一份同类证件",
        "This resident has a document of this kind; say first that it was replaced",
    )


class GuardianNotFound(Problem):
    status = 404
    code = "guardian.not_found"
    title = Text("没有这位监护人", "No such guardian")


class GuardianTaken(Problem):
    status = 409
    code = "guardian.exists"
    title = Text("该监护人已登记", "This guardian is registered already")


class GuardiansFull(Problem):
    status = 409
    code = "guardian.too_many"
    title = Text("监护人最多五位", "Nobody has more than five guardians")


class NotAMinor(Problem):
    status = 409
    code = "guardian.not_a_minor"
    title = Text("只有未成年人才登记监护人", "Only minors have guardians")


class ResidentNotActive(Problem):
    status = 409
    code = "resident.not_active"
    title = Text(
        "该居民已迁出、死亡或并入他人",
        "This resident has died, moved out or become another's record",
    )


class ResidentNotGone(Problem):
    status = 409
    code = "resident.not_gone"
    title = Text(
        "该居民没有登记为迁出或死亡",
        "This resident is not registered as moved out or deceased",
    )


class FieldNeedsReview(Problem):
    status = 403
    code = "resident.needs_review"
    title = Text(
        "此项须提交变更申请，由社区审核",
        "This field is changed by a change request, which somebody reviews",
    )


class OccupancyDecided(Problem):
    status = 409
    code = "occupancy.not_pending"
    title = Text("该居住记录不在待审核状态", "This occupancy is not waiting for a review")


class HouseholdWithoutHead(Problem):
    status = 409
    code = "household.without_head"
    title = Text("该户没有户主", "The household has no head")


class TwoHeads(Problem):
    status = 409
    code = "household.two_heads"
    title = Text("一户只能有一位户主", "A household has one head")


class ChangeNotFound(Problem):
    status = 404
    code = "change_request.not_found"
    title = Text("没有这份变更申请", "No such change request")


class ChangeDecided(Problem):
    status = 409
    code = "change_request.not_pending"
    title = Text("该变更申请已处理", "This change request was decided")


class ChangeConflict(Problem):
    status = 409
    code = "change_request.conflict"
    title = Text("数据在查看之后已被他人修改", "Somebody changed this after it was read")


class ChangePending(Problem):
    status = 409
    code = "change_request.waits_already"
    title = Text(
        "此项已有待审核的变更申请",
        "You have asked for this already, and it waits for a review",
    )


class ChangeOfOwn(Problem):
    status = 403
    code = "change_request.own"
    title = Text(
        "不能审核自己的变更申请",
        "Nobody decides on what they asked for, or on what is about them",
    )


class ResidentMerged(ResidentNotFound):
    """Its member `survivor_id` says into whom."""

    status = 410
    code = "resident.merged"
    title = Text("该居民已并入另一份档案", "This resident was merged into another")


class DuplicateNotFound(Problem):
    status = 404
    code = "duplicate.not_found"
    title = Text("没有这组疑似重复", "No such pair")


class DuplicateDecided(Problem):
    status = 409
    code = "duplicate.merged"
    title = Text("这组疑似重复已合并", "This pair was merged already")


class MergeNotFound(Problem):
    status = 404
    code = "merge.not_found"
    title = Text("没有这次合并", "No such merge")


class MergeNotUndoable(Problem):
    status = 409
    code = "merge.not_undoable"
    title = Text(
        "这次合并已撤销，或合并后的档案又有变动",
        "It was undone already, or what is left was merged or erased since",
    )


class MergeWaits(Problem):
    status = 409
    code = "merge.change_pending"
    title = Text(
        "请先处理该居民待审核的变更申请", "Decide first on the changes that wait for a review"
    )


class SurvivorGone(Problem):
    status = 409
    code = "merge.survivor_gone"
    title = Text("不能并入已迁出或死亡的档案", "Nobody is merged into somebody who is gone")


REFUSALS: Mapping[str, type[Problem]] = {
    "compound_village_code_name_key": CompoundNameTaken,
    "grid_pkey": GridTaken,
    "building_village_code_compound_id_number_key": BuildingTaken,
    "building_unit_pkey": UnitTaken,
    "dwelling_address_pkey": AddressTaken,
    "identity_document_pkey": NumberTaken,
    "occupancy_current_key": AlreadyLivesThere,
    "guardian_resident_id_guardian_id_key": GuardianTaken,
    # Sealed with a key that was retired at that very moment: the next try has the new one.
    "identity_document_number_key_check": Unavailable,
    "phone_number_key_check": Unavailable,
    "compound_contact_phone_key_check": Unavailable,
    "guardian_contact_key_check": Unavailable,
    "change_request_wanted_key_check": Unavailable,
}
