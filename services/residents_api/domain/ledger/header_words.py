"""What ledgers call their columns."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Field = Literal[
    "name",
    "id_number",
    "birth_date",
    "sex",
    "ethnicity",
    "phones",
    "education",
    "marital_status",
    "political_status",
    "occupation",
    "employer",
    "registered_address",
    "population_type",
    "relation_to_head",
    "tenure",
    "start_date",
    "labels",
    "note",
    "village",
    "grid",
    "compound",
    "group",
    "building",
    "unit",
    "room",
    "address",
]

# Highest first: what is above a level contains it.
DWELLING_LEVELS: tuple[Field, ...] = ("compound", "group", "building", "unit", "room")

# Several columns may say these, and all of them count.
REPEATABLE: frozenset[Field] = frozenset({"phones", "labels"})

_WORDS: Mapping[Field, str] = {
    "name": (
        "姓名 人员姓名 居民姓名 住户姓名 成员姓名 家庭成员姓名 家庭成员 居住人 居住人姓名 居住人员 居住人员姓名 "
        "实际居住人 实际居住人姓名 人口姓名 公民姓名 本人姓名 名字 中文姓名"
    ),
    "id_number": (
        "身份证号码 身份证号 身份证 公民身份号码 公民身份证号码 公民身份证号 证件号码 证件号 居民身份证号码 居民身份证号 "
        "居民身份证 居民身份号码 身份号码 身份证件号码 身份证件号 身份证编号 有效证件号码 有效证件号 身份证码 本人身份证号码 "
        "公民身份证 身份证明号码"
    ),
    "birth_date": "出生日期 出生年月 出生年月日 生日 出生时间 出生 出生日 出生年份",
    "sex": "性别",
    "ethnicity": "民族 族别 民族成份 民族成分",
    "phones": (
        "联系电话 手机号 手机号码 电话 手机 联系方式 电话号码 联系手机 本人电话 联系号码 移动电话 手机电话 固定电话 座机 "
        "备用电话 电话手机 本人联系电话 联系电话号码 居民电话 家庭电话 本人联系方式 其他电话 其他联系方式 备用联系电话"
    ),
    "education": "文化程度 学历 受教育程度 教育程度 最高学历 文化水平 学历层次",
    "marital_status": "婚姻状况 婚否 婚姻 婚姻状态 婚姻情况 婚况 婚姻关系",
    "political_status": "政治面貌 政治面目 党派 政治身份 政治状况",
    "occupation": "职业 从业状况 职业类别 从事职业 工作 从业情况 就业状况 就业情况 工作情况 职业名称",
    "employer": "工作单位 服务处所 单位 就业单位 单位名称 工作单位名称 工作单位及职务 工作单位/服务处所 就业单位名称 工作单位或学校 "
    "服务单位 从业单位 工作单位或就读学校 工作学习单位 单位或学校",
    "registered_address": (
        "户籍地址 户籍地 户籍所在地 户口所在地 户籍详址 户籍地详址 户口地址 户籍所在地址 户籍地详细地址 户籍详细地址 "
        "身份证地址 身份证住址 户籍住址 户口所在地址 户籍所在地详址 户籍地址详址 户口登记地"
    ),
    "population_type": "人口类型 人员类别 人口性质 人员类型 人口类别 人员性质 人户类型 居民类型 居民类别 实有人口类型 人口属性 人口分类 "
    "实有人口类别 人员属性 人员分类",
    "relation_to_head": (
        "与户主关系 与房主关系 家庭关系 与户主的关系 与房主的关系 关系 户主关系 与业主关系 与本户关系 与产权人关系 "
        "家庭成员关系 称谓 成员关系 与户主/房主关系 与户主之关系 同户主关系 与屋主关系 与户主(房主)关系 与家主关系 "
        "与户主房主关系 房主关系 与承租人关系"
    ),
    "tenure": "居住类型 房屋性质 住房性质 居住性质 居住方式 住房类型 房屋使用情况 居住情况 房屋来源 产权性质 住所类型 "
    "居住状况 住房情况 住房来源 房屋类型 房屋居住性质 居住形式 房屋用途性质 居住类别",
    "start_date": "入住时间 迁入日期 入住日期 迁入时间 入住年月 来居日期 来居时间 居住开始日期 开始居住日期 开始居住时间 "
    "入住开始日期 起居日期 居住起始日期 居住起始时间 起租日期 起租时间 入住 搬入时间 搬入日期 来本地时间 现住地居住起始日期",
    "labels": "标签 人员标签 居民标签 特殊标签 重点标签 人群标签 人员标记 标签名称 特殊人群 重点人群 特殊人群标签 个人标签 "
    "人口标签 人群类型 特殊人群类型",
    "note": "备注 备注说明 其他说明 备注信息 其他备注",
    "village": (
        "村(社区) 村社区 村/社区 社区(村) 社区/村 社区 村 社区名称 所属社区 所属村社区 所属村(社区) 村社区名称 村名 行政村 居委会 "
        "村委会 村居 所在社区 所在村 所在村社区 村(社区)名称 村(居)委会 村(居) 所属村 所属村居"
    ),
    "grid": "网格 所属网格 网格编号 网格名称 网格号 所在网格 网格编码 微网格",
    "compound": (
        "小区 小区名称 小区名 所在小区 所属小区 院落 院落名称 楼盘 楼盘名称 居住小区 小区院落 小区(院落) 小区/院落 小区(院落)名称 "
        "住宅小区 小区院落名称 居民小区 小区或院落 院落小区 院落(小区) 院落/小区 居住小区名称 小区楼盘"
    ),
    "group": "组 村民小组 小组 组别 社 所在组 居民小组 村组 组名 村民组 所属组 组号 小组名称 所在小组 组社 组(社) 社(组) 所属小组 队",
    "building": "楼栋 幢 栋 楼号 栋号 楼栋号 幢号 楼幢 楼幢号 座 楼 楼座 楼宇 楼栋名称 栋数 楼栋编号 栋楼 栋(幢) 幢(栋) 座号 栋座 "
    "楼栋(幢) 楼栋数 楼房号 号楼 栋幢 楼栋幢",
    "unit": "单元 单元号 单元名称 单元数 单元门 单元编号",
    "room": "房号 室 门牌号 房间号 室号 门牌 房屋号 房屋号码 门号 住房号 房室号 门牌号码 号 房间 户室号 房 室(房)号 房(室)号 户号室",
    "address": (
        "住址 房屋地址 现住址 居住地址 现居住地址 家庭住址 详细地址 地址 住房地址 现住地址 居住地 现居住地 家庭地址 房屋坐落 "
        "现居住地详址 居住地详址 居住详细地址 现居地址 居住地址详址 实际居住地址 实际居住地 现住地 现居住详细地址 常住地址 "
        "常住地 房屋详细地址 家庭详细地址 居住详址 现住地详址 现居地 住所 现详细住址 现居住址 居住住址 具体地址 具体住址 "
        "楼栋房号 楼栋单元房号 栋单元室 楼栋门牌 楼室号 楼栋单元室 栋单元房号 楼栋单元 幢单元室 栋室号 栋号房号 幢室号 "
        "房屋信息 房屋编号 楼号房号 楼门号"
    ),
}

# Only where no better column exists: the head's name beside "姓名" is not this row's person.
_LAST_RESORTS: Mapping[Field, str] = {
    "name": "户主姓名 户主 房主姓名 业主姓名 房主 业主 户主(房主)姓名 住户 租客姓名 承租人姓名 承租人",
}


def _by_word(words: Mapping[Field, str]) -> Mapping[str, Field]:
    found: dict[str, Field] = {}
    for field, texts in words.items():
        # The register's own field names are understood too.
        for text in (field.replace("_", ""), *texts.split()):
            found.setdefault(text, field)
    return MappingProxyType(found)


FIELD_OF_WORD: Mapping[str, Field] = _by_word(_WORDS)
FIELD_OF_LAST_RESORT: Mapping[str, Field] = MappingProxyType(
    {text: field for field, texts in _LAST_RESORTS.items() for text in texts.split()}
)
