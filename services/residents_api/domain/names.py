"""Names of persons: one written form, the pinyin they are found by, and their mask.

Most names are Han characters with a surname first; Uyghur, Kazakh, Tibetan and other names in
Han characters have parts joined by a middle dot, and names may be in Latin or any other script.
"""

import re
import unicodedata
from functools import lru_cache

from pypinyin import Style, lazy_pinyin

from services.residents_api.domain.cells import says_nothing

# Surnames read otherwise than the same character in other words, or than pypinyin's first
# reading of it (现代汉语词典; where it has two surnames for a character, the commoner).
_SURNAMES = (
    "单:shan 單:shan 仇:qiu 曾:zeng 解:xie 查:zha 盖:ge 蓋:ge 朴:piao 区:ou 區:ou 缪:miao 繆:miao "
    "乐:yue 樂:yue 翟:zhai 覃:qin 员:yun 員:yun 贠:yun 召:shao 折:she 种:chong 祭:zhai 秘:bi 繁:po "
    "隗:wei 郇:xun 佴:nai 能:nai 乜:nie 都:du 句:gou 阚:kan 闞:kan 薄:bo 卜:bu 洗:xian 黑:he 莘:shen "
    "么:yao 粘:nian 逢:pang 尉:wei 长:chang 強:qiang 藏:zang 角:jue 炅:gui"
)
_SURNAME_READINGS = {pair[0]: pair[2:] for pair in _SURNAMES.split()}

# Surnames of two characters; with a reading where the characters alone are read otherwise.
_COMPOUNDS = (
    "尉迟:yu-chi 尉遲:yu-chi 万俟:mo-qi 萬俟:mo-qi 澹台:tan-tai 澹臺:tan-tai 单于:chan-yu 單于:chan-yu "
    "长孙:zhang-sun 長孫:zhang-sun 子车:zi-ju 中行:zhong-hang 乐正:yue-zheng 樂正:yue-zheng "
    "鲜于:xian-yu 鮮于:xian-yu "
    "欧阳 歐陽 司马 司馬 上官 诸葛 諸葛 东方 東方 皇甫 慕容 令狐 夏侯 司徒 司空 公孙 公孫 宇文 轩辕 軒轅 "
    "端木 独孤 獨孤 南宫 南宮 西门 西門 东郭 東郭 百里 呼延 赫连 赫連 闻人 聞人 申屠 濮阳 濮陽 公冶 "
    "公羊 公西 太叔 仲孙 仲孫 钟离 鍾離 宰父 拓跋 拓拔 纳兰 納蘭 完颜 完顏 亓官 相里 漆雕 壤驷 夹谷 "
    "谷梁 段干 巫马 巫馬 左丘 梁丘 第五 耶律 贺兰 賀蘭 达奚 屈突 贺若"
)
_COMPOUND_READINGS = {
    pair[:2]: pair[3:].split("-") if len(pair) > 2 else [] for pair in _COMPOUNDS.split()
}

_PLAIN = re.compile(r"[\u4e00-\u9fff]{1,6}")
_DOTS = re.compile(r"\s*[·•・‧∙⋅●･᛫⸱﹒]\s*")
# A full stop between Han characters is a middle dot that somebody could not type.
_FULL_STOP = re.compile(r"(?<=[^\x00-\u02af])\s*[.。．]\s*(?=[^\x00-\u02af])")
_SPACES = re.compile(r"\s+")
_HAN = r"\u3007\u3400-\u4dbf\u4e00-\u9fff\ue000-\uf8ff\uf900-\ufaff\U00020000-\U0003ffff"
_SPACE_BESIDE_HAN = re.compile(rf"(?<=[{_HAN}]) | (?=[{_HAN}])")
_ALL_HAN = re.compile(rf"[{_HAN}]+")
# What stands in a column of names and is nobody's: totals, headings, formulas.
_NO_NAMES = frozenset(
    [
        "合计",
        "总计",
        "小计",
        "共计",
        "累计",
        "本页小计",
        "本页合计",
        "备注",
        "说明",
        "注",
        "序号",
        "编号",
        "姓名",
        "名字",
        "人员姓名",
        "户主",
        "户主姓名",
        "房主",
        "房主姓名",
        "业主",
        "业主姓名",
        "住户",
        "住户姓名",
        "本人",
        "家庭成员",
        "成员",
        "身份证",
        "身份证号",
        "身份证号码",
        "性别",
        "电话",
        "联系电话",
    ]
)
_FORMULA_STARTS = ("=", "@", "+", "#")
# Shows what follows from right to left: the name that somebody has read is not the one written.
_REVERSING = re.compile("[\u202b\u202e\u2067]")
_SEVERAL = re.compile(r"(?<=[\u3400-\u9fff])[/\\|、,，;；&+](?=[\u3400-\u9fff])")
_WORDS = re.compile(r"[\s·]+")


def normalise(text: str) -> str:
    """The one form of a name: NFKC, no space between Han characters, "·" as the only dot.

    Spaces between the words of a name in another script stay, one each. Invisible
    characters are dropped; private-use characters, which stand for rare Han characters
    in older systems, are kept.
    """
    if _PLAIN.fullmatch(text):
        return text
    text = unicodedata.normalize("NFKC", text)
    text = "".join(
        c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Cs")
    )
    text = _SPACES.sub(" ", text).strip()
    text = _DOTS.sub("·", text)
    text = _FULL_STOP.sub("·", text)
    return _SPACE_BESIDE_HAN.sub("", text).strip("· ")


def is_name(text: str) -> bool:
    """Whether a text, as it was written, can be the name of one person.

    Not: digits and marks alone, ways of writing "none", a heading or total (合计, 户主), a formula,
    two names (张三/李四), or text that shows itself backwards.
    """
    name = normalise(text)
    if not (name.isalpha() or any(map(str.isalpha, name))):
        return False
    if says_nothing(name) or name in _NO_NAMES or name.startswith(_FORMULA_STARTS):
        return False
    return _PLAIN.fullmatch(text) is not None or not (
        _REVERSING.search(text) or _SEVERAL.search(name)
    )


def pinyin(name: str) -> tuple[str, str]:
    """The name's pinyin and its initials, lower-case ASCII letters and digits only.

    >>> pinyin("张三"), pinyin("欧阳娜娜"), pinyin("吕布")
    (('zhangsan', 'zs'), ('ouyangnana', 'oynn'), ('lvbu', 'lb'))

    ü is v, as it is typed. Of a name in Latin letters the initials are those of its words;
    what has no reading (Arabic script, symbols) is left out.
    """
    if _ALL_HAN.fullmatch(name):
        syllables = _syllables(name)
    else:
        syllables = [part for word in _WORDS.split(name) for part in _word(word)]
    return "".join(syllables), "".join(syllable[0] for syllable in syllables)


def mask(name: str) -> str:
    """The name with all but the surname hidden: 张*, 欧阳**, a lone character as *.

    Names with a middle dot or in other scripts show their first character and "**"
    whatever their length: their length alone would often tell who it is.
    """
    if not name:
        return ""
    if len(name) == 1:
        return "*"
    if not _ALL_HAN.fullmatch(name):
        return name[0] + "**"
    shown = 2 if len(name) > 2 and name[:2] in _COMPOUND_READINGS else 1
    return name[:shown] + "*" * (len(name) - shown)


def _syllables(name: str) -> list[str]:
    syllables = list(map(_reading, name))
    if len(name) > 2 and name[:2] in _COMPOUND_READINGS:
        special = _COMPOUND_READINGS[name[:2]]
        syllables[: len(special)] = special
    elif name[0] in _SURNAME_READINGS:
        syllables[0] = _SURNAME_READINGS[name[0]]
    return [syllable for syllable in syllables if syllable]


def _word(word: str) -> list[str]:
    """The syllables of one word: each Han character, and each run of Latin letters, is one."""
    syllables: list[str] = []
    latin = ""
    for character in unicodedata.normalize("NFKD", word):
        if character.isascii():
            latin += character.lower() if character.isalnum() else ""
            continue
        if unicodedata.category(character) == "Mn":
            continue
        if latin:
            syllables.append(latin)
            latin = ""
        if reading := _reading(character):
            syllables.append(reading)
    if latin:
        syllables.append(latin)
    return syllables


# Per character, not per name: 870,000 names are written with some 6,000 characters.
@lru_cache(maxsize=1 << 15)
def _reading(character: str) -> str:
    reading = lazy_pinyin(character, style=Style.NORMAL)[0]
    return reading if reading.isascii() and reading.isalnum() else ""
