"""How labels and targeting say no.

Problem
├── TagNotFound               404  tag.not_found             tag in the path
├── TagCodeTaken              409  tag.code_taken            constraint tag_pkey
├── TagUnknown                422  tag.unknown               tag in a body
├── TagArchived               422  tag.archived              nobody gets it any more
├── TagRuleUnfit              422  tag.rule_unfit            what no rule of a tag may contain
├── TagRuleCycle              422  tag.rule_cycle            a rule that stands on its own tag
├── TagSensitivityTooLow      422  tag.sensitivity_too_low   lower than what its rule asks for
├── TagCategoryNotFound       404  tag_category.not_found
├── TagCategoryCodeTaken      409  tag_category.code_taken   constraint tag_category_pkey
├── TagCategoryUnknown        422  tag_category.unknown      parent in a body
├── TagCategoryCycle          422  tag_category.cycle        within itself
├── TagUnclassified           422  tag.unclassified          in a rule, before an officer classified it
├── RuleTooLarge              422  rule.too_large           with the saved audiences in it
├── RuleTooDeep               422  rule.too_deep            with the saved audiences in it
├── AudienceNotFound          404  audience.not_found       audience in the path
├── AudienceUnknown           422  audience.unknown         audience in a rule
├── AudienceCycle             422  audience.cycle           an audience that contains itself
├── AudienceFrozen            409  audience.frozen          its rule can be changed no more
├── AudienceInUse             409  audience.in_use          by another, a campaign, a survey
├── ResidentUnknown           422  resident.unknown         resident in a body, or elsewhere
├── CampaignNotFound          404  campaign.not_found
├── CampaignAlreadySent       409  campaign.already_sent
├── CampaignNotDraft          409  campaign.not_draft        only a draft can be changed
├── CampaignStateConflict     409  campaign.state_conflict   a step that does not lead on from here
├── CampaignNotYours          403  campaign.second_person    its creator cannot approve it
├── CampaignRuleUnreadable    409  campaign.rule_unreadable  stored by an older version
├── ChannelUnavailable        422  campaign.channel_unavailable
├── TopicReserved             422  topic.reserved            for emergencies and for reports
├── TopicMandatory            422  topic.mandatory           nobody can opt out of it
├── WebhookEndpointNotFound   404  webhook_endpoint.not_found
├── WebhookEndpointUnknown    422  webhook_endpoint.unknown  in a campaign
├── WebhookUrlRefused         422  webhook_endpoint.url_refused
├── WebhookEndpointInUse      409  webhook_endpoint.in_use
├── SensitiveRule             422  campaign.sensitive_rule   when the campaign is written
│   └── SensitiveRuleNow      409  campaign.sensitive_rule   when it is sent
├── SurveyNotFound            404  survey.not_found
├── SurveyDrawn               409  survey.drawn              only a draft can be changed or drawn
├── SurveyNotDrawn            409  survey.not_drawn
├── SurveyClosed              409  survey.closed
├── SurveyAudienceEmpty       409  survey.audience_empty
├── VisitNotFound             404  visit.not_found           or somebody else's
├── VisitTaken                409  visit.taken
├── SitePlanNotFound          404  site_plan.not_found
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


class TagArchived(Problem):
    status = 422
    code = "tag.archived"
    title = Text("标签已归档，不能再使用", "The tag is archived: nobody gets it any more")


class TagRuleUnfit(Problem):
    status = 422
    code = "tag.rule_unfit"
    title = Text(
        "标签规则不能含有抽样或已保存的人群",
        "The rule of a tag may contain neither a sample nor a saved audience",
    )


class TagRuleCycle(Problem):
    status = 422
    code = "tag.rule_cycle"
    title = Text("标签规则不能依赖标签自身", "The rule stands on the tag that it defines")


class TagSensitivityTooLow(Problem):
    status = 422
    code = "tag.sensitivity_too_low"
    title = Text(
        "标签的敏感级别不能低于其规则所用标签的级别",
        "A tag is at least as sensitive as the tags that its rule asks for",
    )


class TagCategoryNotFound(Problem):
    status = 404
    code = "tag_category.not_found"
    title = Text("没有这个标签分类", "No such category of tags")


class TagCategoryCodeTaken(Problem):
    status = 409
    code = "tag_category.code_taken"
    title = Text("分类代码已被使用", "A category with this code exists")


class TagCategoryUnknown(Problem):
    status = 422
    code = "tag_category.unknown"
    title = Text("标签分类不存在", "There is no such category of tags")


class TagCategoryCycle(Problem):
    status = 422
    code = "tag_category.cycle"
    title = Text("分类不能属于其自身的下级", "A category cannot lie within itself")


class TagUnclassified(Problem):
    status = 422
    code = "tag.unclassified"
    title = Text("标签尚未分类，不能用于规则", "The tag is not classified yet: no rule may use it")


class RuleTooLarge(Problem):
    status = 422
    code = "rule.too_large"
    title = Text(
        "规则连同所引用的人群最多200个节点",
        "A rule may have 200 nodes at most, those of its audiences included",
    )


class RuleTooDeep(Problem):
    status = 422
    code = "rule.too_deep"
    title = Text(
        "规则连同所引用的人群最多16层",
        "A rule may be 16 deep at most, its audiences included",
    )


class AudienceNotFound(Problem):
    status = 404
    code = "audience.not_found"
    title = Text("没有这个人群", "No such audience")


class AudienceUnknown(Problem):
    status = 422
    code = "audience.unknown"
    title = Text("人群不存在", "There is no such audience")


class AudienceCycle(Problem):
    status = 422
    code = "audience.cycle"
    title = Text("人群不能包含自身", "An audience cannot contain itself")


class AudienceFrozen(Problem):
    status = 409
    code = "audience.frozen"
    title = Text("已固定的人群不能修改规则", "The rule of a frozen audience cannot be changed")


class AudienceInUse(Problem):
    status = 409
    code = "audience.in_use"
    title = Text(
        "其他人群、通知或调查正在使用它",
        "Another audience, a campaign or a survey is built upon this one",
    )


class ResidentUnknown(Problem):
    status = 422
    code = "resident.unknown"
    title = Text("居民不存在", "There is no such resident")


class CampaignNotFound(Problem):
    status = 404
    code = "campaign.not_found"
    title = Text("没有这次通知", "No such campaign")


class CampaignAlreadySent(Problem):
    status = 409
    code = "campaign.already_sent"
    title = Text("该通知已经发送", "This campaign has been sent")


class CampaignNotDraft(Problem):
    status = 409
    code = "campaign.not_draft"
    title = Text("只有草稿可以修改", "Only a draft can be changed")


class CampaignStateConflict(Problem):
    status = 409
    code = "campaign.state_conflict"
    title = Text("通知当前的状态不允许此操作", "This cannot be done to a campaign in its state")


class CampaignNotYours(Problem):
    status = 403
    code = "campaign.second_person"
    title = Text(
        "须由创建人以外的另一人审批", "A second person decides: nobody approves their own campaign"
    )


class CampaignRuleUnreadable(Problem):
    status = 409
    code = "campaign.rule_unreadable"
    title = Text(
        "该通知的规则由旧版本保存，已无法识别，请重新设置",
        "An older version stored its rule in a way that is not understood any more; set it anew",
    )


class ChannelUnavailable(Problem):
    status = 422
    code = "campaign.channel_unavailable"
    title = Text("该渠道尚未配置", "Nobody has set this channel up here")


class TopicReserved(Problem):
    status = 422
    code = "topic.reserved"
    title = Text("该主题为保留主题", "This topic is reserved")


class TopicMandatory(Problem):
    status = 422
    code = "topic.mandatory"
    title = Text("该主题不能退订", "Nobody can opt out of this topic")


class WebhookEndpointNotFound(Problem):
    status = 404
    code = "webhook_endpoint.not_found"
    title = Text("没有这个接收端", "No such webhook endpoint")


class WebhookEndpointUnknown(Problem):
    status = 422
    code = "webhook_endpoint.unknown"
    title = Text("接收端不存在或已停用", "There is no such webhook endpoint, or no longer")


class WebhookUrlRefused(Problem):
    status = 422
    code = "webhook_endpoint.url_refused"
    title = Text("不允许发送到该地址", "Nothing is sent to such an address")


class WebhookEndpointInUse(Problem):
    status = 409
    code = "webhook_endpoint.in_use"
    title = Text("仍有通知在使用该接收端", "Campaigns that are under way still use it")


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


class SurveyNotFound(Problem):
    status = 404
    code = "survey.not_found"
    title = Text("没有这项调查", "No such survey")


class SurveyDrawn(Problem):
    status = 409
    code = "survey.drawn"
    title = Text("调查已抽样，不能再修改", "The sample is drawn: the survey is no draft any more")


class SurveyNotDrawn(Problem):
    status = 409
    code = "survey.not_drawn"
    title = Text("调查尚未抽样", "No sample has been drawn yet")


class SurveyClosed(Problem):
    status = 409
    code = "survey.closed"
    title = Text("调查已结束", "The survey is closed")


class SurveyAudienceEmpty(Problem):
    status = 409
    code = "survey.audience_empty"
    title = Text("没有符合条件的居民可供抽样", "There is nobody to draw from")


class VisitNotFound(Problem):
    status = 404
    code = "visit.not_found"
    title = Text("没有这次走访", "No such visit")


class VisitTaken(Problem):
    status = 409
    code = "visit.taken"
    title = Text("该走访已由他人负责", "Somebody else goes there")


class SitePlanNotFound(Problem):
    status = 404
    code = "site_plan.not_found"
    title = Text("没有这个选址方案", "No such site plan")


# What a route may refuse that takes a rule and keeps it.
RULE_REFUSALS: tuple[type[Problem], ...] = (
    TagUnknown,
    TagUnclassified,
    AudienceUnknown,
    RuleTooLarge,
    RuleTooDeep,
)
