"""How labels and targeting say no.

Problem
├── TagNotFound               404  tag.not_found             tag in the path
├── TagCodeTaken              409  tag.code_taken            constraint tag_pkey
├── TagUnknown                422  tag.unknown               tag in a body
├── TagUnclassified           422  tag.unclassified          in a rule, before an officer classified it
├── CampaignNotFound          404  campaign.not_found
├── CampaignAlreadySent       409  campaign.already_sent
├── SensitiveRule             422  campaign.sensitive_rule   when the campaign is written
│   └── SensitiveRuleNow      409  campaign.sensitive_rule   when it is sent
└── MessageNotFound           404  message.not_found
"""

from services.common.problems import Problem, Text


class TagNotFound(Problem):
    status = 404
    code = "tag.not_found"
    title = Text("没有这个标签", "No such tag")


class TagCodeTaken(Problem):
    status = 409
    code = "tag.code_taken"
    title = Text("标签代码已被使用", "A tag with this code exists")


class TagUnknown(Problem):
    status = 422
    code = "tag.unknown"
    title = Text("标签不存在", "There is no such tag")


class TagUnclassified(Problem):
    status = 422
    code = "tag.unclassified"
    title = Text("标签尚未分类，不能用于规则", "The tag is not classified yet: no rule may use it")


class CampaignNotFound(Problem):
    status = 404
    code = "campaign.not_found"
    title = Text("没有这次通知", "No such campaign")


class CampaignAlreadySent(Problem):
    status = 409
    code = "campaign.already_sent"
    title = Text("该通知已经发送", "This campaign has been sent")


class SensitiveRule(Problem):
    status = 422
    code = "campaign.sensitive_rule"
    title = Text(
        "规则含有最高敏感级别的标签，不能用于发送通知",
        "The rule contains a tag of the highest sensitivity: nothing may be sent by it",
    )


class SensitiveRuleNow(SensitiveRule):
    status = 409


class MessageNotFound(Problem):
    status = 404
    code = "message.not_found"
    title = Text("没有这条消息", "No such message")
