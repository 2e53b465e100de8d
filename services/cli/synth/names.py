"""Invented names: surnames by how common they are, given names by sex and cohort."""

import re
from bisect import bisect
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

# Per ten thousand, roughly as in Sichuan; what is missing to the whole is spread over all.
_SURNAMES = (
    "李850 王730 张690 刘560 陈530 杨430 黄270 周270 罗230 何210 唐180 吴170 徐150 曾140 胡140 "
    "谢140 邓140 赵140 蒋130 高120 廖120 马120 朱110 肖110 郭100 林100 彭100 冯95 郑95 钟95 "
    "田90 余90 龙85 袁85 叶80 宋80 魏80 苏75 曹75 范70 潘70 蔡70 姚65 汪65 任65 江60 文60 付60 "
    "孙60 严55 雷55 梁55 杜55 许55 代50 韩50 向50 程50 夏50 谭45 邹45 石45 熊45 易45 吕40 官40 "
    "董40 卢40 丁40 贾40 尹40 贺35 白35 游35 薛35 秦35 史30 顾30 毛30 万30 段30 龚30 温30 庄25 "
    "黎25 侯25 邱25 孟25 康25 舒25 牟25 古20 巫20 衡20 陶20 阳20 倪20 孔20 蓝15 简15 方15 "
    "欧阳6 司马2 上官2"
)


class _Cohort(NamedTuple):
    born_before: int
    single: float  # share of given names of one character
    alone: str
    first: str
    second: str


_MEN = (
    _Cohort(1965, 0.16, "华明清富林云全根福兴良安忠成贵祥刚", "国德光明建志文世正永天兴成大家少仁义洪治泽绍朝代开", "华明清富贵祥林云全才根福兴良安忠成发荣生友元金银奎"),
    _Cohort(1985, 0.40, "勇军强伟刚杰涛斌波辉平兵峰超鹏林健宏洪彬", "建志小永晓海文国红德光玉世正大金明仕启中长学", "军华平明林勇强东波辉兵刚全贵君友洪成春云清松文"),
    _Cohort(2003, 0.34, "杰鑫浩鹏飞磊超俊涛凯宇洋帅阳旭锋亮豪龙健", "俊志文嘉家思明天小宇子晓泽星海建伟光世健永成", "杰豪鹏飞宇涛凯鑫洋阳林波超辉龙强轩航峰伟松睿毅"),
    _Cohort(9999, 0.12, "睿宸轩浩宇泽航铭博骏皓曦", "子梓浩宇俊嘉雨思一奕泽文博沐梦承景明天铭昊辰", "轩宇泽涵睿豪航博辰希熙阳皓宸恒诚瑞言哲凡霖逸"),
)  # fmt: skip
_WOMEN = (
    _Cohort(1965, 0.14, "英芳珍兰琼华蓉清群香莲碧芬玉", "秀玉桂淑素世德光永兴碧琼泽成先友洪代绍远其文", "英芳珍兰琼华蓉清容香莲碧群芬珠贞修云如蕙凤明秀"),
    _Cohort(1985, 0.40, "红丽燕敏萍霞英玲艳芳梅琴蓉娟琼洁莉静勤", "晓小红海秀春玉建雪丽艳文淑世永光素成冬志桂", "红丽燕敏萍霞英玲艳芳梅琴蓉娟琼兰君平辉容清群莉"),
    _Cohort(2003, 0.34, "婷静丹雪倩颖玲敏莎洁娜欣悦慧瑶琳璐露", "雨思佳晓小梦雪文婷嘉欣子静玉春美海诗紫丽", "婷静倩怡琪颖雪瑶欣悦萍琳玲蓉雯洁慧月莹君洋娟"),
    _Cohort(9999, 0.10, "玥涵妍悦萱瑶欣彤朵诺", "梓雨子欣诗思语一可佳若梦芷艺沐心书紫依嘉婉", "涵萱怡妍彤玥欣悦瑶琪晴桐菲宁然溪颖妤蕊柠月"),
)  # fmt: skip

_SURNAME = re.findall(r"[^\d ]+", _SURNAMES)
_CUMULATIVE = list(accumulate(map(int, re.findall(r"\d+", _SURNAMES))))


def surname(draw: Callable[[], float]) -> str:
    return _SURNAME[bisect(_CUMULATIVE, draw() * _CUMULATIVE[-1])]


def given_name(draw: Callable[[], float], *, born: int, male: bool) -> str:
    """One or two characters as parents chose them in the year of birth."""
    cohort = next(cohort for cohort in (_MEN if male else _WOMEN) if born < cohort.born_before)
    chance = draw()
    if chance < cohort.single:
        return cohort.alone[int(chance / cohort.single * len(cohort.alone))]
    return (
        cohort.first[int(draw() * len(cohort.first))]
        + cohort.second[int(draw() * len(cohort.second))]
    )
