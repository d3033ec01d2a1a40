"""What columns of ours are called elsewhere: the words that guesses about a stranger's headers start from.

A word is written once, lower case, blanks and underscores optional (``normalise`` removes them). A trailing ``?`` marks a
word that other tables use too: it counts once the table is known; ``??`` marks one that is always asked about. To teach
`koc init` a word, add it here; of two headers that fit, the one whose word stands first is taken.
"""

import re
import unicodedata
from collections.abc import Iterator

_USER = (
    "user_id uid user user_no customer customer_id customer_no client client_id member_no buyer buyer_id buyer_name "
    "member_id? member? account? account_id? openid? unionid? external_userid? id?? "
    "用户 用户id 用户编号 会员id 会员号 会员编号 会员卡号 会员名 买家 买家id 买家会员名 买家账号 买家昵称? "
    "客户 客户id 客户编号 客户号 顾客 顾客id 会员? 编号??"
)
_ITEM = (
    "item_id item product product_id stock_code sku sku_id sku_code goods goods_id venue "
    "venue_id poi poi_id asin album book movie "
    "商品id 商品编号 商品编码 商品 货号 sku编码 规格编码 产品id 产品编号 宝贝id"
)
_CHANNEL = (
    "channel source_channel 渠道 来源 来源渠道 渠道来源 join_scene scene source? utm_source 添加渠道 入口 下单渠道 订单来源"
)
_ANY_TIME = "time? date? datetime? timestamp? ts? created_at? create_time? 时间? 日期? 创建时间? dt? day?"
_RECORDED = "recorded_at record_time loaded_at ingested_at etl_time synced_at 入库时间 同步时间"
_SHARE = "share_id share_no 分享id 分享编号 分享单号"
_GROUP_BUY = "group_buy_id group_id?? groupon_id tuan_id team_id 团id 团号 拼团id 拼团编号 开团编号 团编号"
_COMMUNITY = (
    "community_id community group_chat_id chat_id club_id room_id 社群 社群id 群id 群名 群聊名称 社区id group_id?? 群??"
)

WORDS: dict[str, dict[str, str]] = {
    "orders": {
        "order_id": "order_id order_no order order_number order_sn invoice_no transaction_id 订单编号 订单号 "
        "订单id 主订单编号 交易号 "
        "单号?",
        "user_id": _USER,
        "item_id": _ITEM,
        "quantity": "quantity qty n_items num_items item_count units 数量 购买数量 商品数量 件数 宝贝总数量",
        "amount": "amount? paid_amount order_amount payment total total_price total_amount price_paid sales "
        "revenue gmv value? "
        "实付金额 实付 实付款 订单金额 支付金额 买家实际支付金额 成交金额 付款金额 总金额 金额? price??",
        "discount": "discount discount_amount coupon_amount promotion 优惠金额 优惠 折扣 折扣金额 优惠券金额 满减金额",
        "refund_amount": "refund_amount refund refunded 退款金额 退款 退款额 退货金额 实退金额",
        "refunded_at": "refunded_at refund_time refund_date 退款时间 退款日期 退款成功时间 退货时间",
        "referrer_id": "referrer_id referrer referrer_user referred_by recommender 推荐人 推荐人id 推荐会员 "
        "推荐客户 介绍人 分享人? "
        "分销员 推广员 inviter_id? 邀请人?",
        "channel": _CHANNEL,
        "ordered_at": "ordered_at order_time order_date paid_at pay_time payment_time purchased_at "
        "purchase_date purchase_time purchase_timestamp "
        "bought_at invoice_date transaction_date 付款时间 支付时间 下单时间 订单付款时间 "
        "订单创建时间 成交时间 交易时间 购买时间 购买日期 下单日期 "
        "订单日期 " + _ANY_TIME,
        "recorded_at": _RECORDED,
    },
    "share_responses": {
        "share_id": _SHARE,
        "sharer_id": "sharer_id sharer share_user share_user_id inviter_id? inviter? from_user? 分享人 分享者 "
        "分享人id 发起人? 邀请人?",
        "responder_id": "responder_id responder voter voter_id clicker clicker_id helper helper_id visitor "
        "visitor_id opener "
        "clicked_by 被分享人 点击人 助力人 助力好友 访客 访问人 参与人? 被邀请人? invitee_id? to_user?",
        "item_id": _ITEM,
        "action": "action? response event? event_type? 动作 行为? 行为类型?",
        "channel": _CHANNEL,
        "responded_at": "responded_at clicked_at click_time voted_at vote_time helped_at help_time opened_link_at "
        "点击时间 助力时间 "
        "响应时间 访问时间 参与时间? " + _ANY_TIME,
        "recorded_at": _RECORDED,
    },
    "ties": {
        "user_id": "follower follower_id truster truster_id fan fan_id follower_user 粉丝 粉丝id 关注者 "
        "关注人 下级 下级id from_user? from_id? source_user? " + _USER,
        "influencer_id": "followee followee_id followed followed_id trusted trusted_id trustee trustee_id "
        "influencer influencer_id "
        "friend friend_id friend_user_id contact_id to_user? to_id? target_user? 被关注者 "
        "被关注人 关注对象 好友 好友id 上级 上级id 博主",
        "kind": "kind? relation relation_type tie_type 关系 关系类型 type? 类型?",
        "since": "since followed_at friends_since connected_at follow_time 关注时间 成为好友时间 建立时间 " + _ANY_TIME,
        "recorded_at": _RECORDED,
    },
    "items": {
        "item_id": _ITEM,
        "spu_id": "spu_id spu spu_code parent_asin spu编码 款号 parent_item_id",
        "category": "category category_name cate cate_id category_id cat department 类目 类目名称 商品类目 "
        "品类 分类 商品分类 一级类目 "
        "cate_level1_id category_path 类目路径",
        "price": "list_price unit_price item_price 单价 售价 标价 吊牌价 原价 商品单价 商品价格 价格 price??",
        "margin": "margin gross_margin profit 毛利 毛利额 利润",
    },
    "memberships": {
        "community_id": _COMMUNITY,
        "user_id": "invitee invitee_id invited_user 被邀请人 被邀请人id 新客户 成员 成员id 群成员 " + _USER,
        "role": "role member_role 角色 群角色 身份",
        "inviter_id": "inviter_id inviter invited_by invitor invitor_id inviter_user 邀请人 邀请人id 邀请者 "
        "拉新人 入群邀请人 邀请客户",
        "joined_at": "joined_at join_time join_date added_at add_time invited_at 添加时间 加入时间 入群时间 "
        "进群时间 添加日期 加好友时间 "
        "邀请时间 " + _ANY_TIME,
        "left_at": "left_at leave_time quit_at deleted_at 离开时间 退群时间 流失时间 删除时间",
        "recorded_at": _RECORDED,
    },
    "users": {
        "user_id": _USER,
        "registered_at": "registered_at register_time registration_date signup_at sign_up_date signup_date "
        "注册时间 注册日期 入会时间 "
        "开卡时间 joined_at? join_date? 添加时间? " + _ANY_TIME,
        "channel": _CHANNEL,
        "recorded_at": _RECORDED,
    },
    "attributes": {
        "user_id": _USER,
        "name": "attribute attribute_name field key? 属性 属性名 字段",
        "value": "attribute_value new_value value? 属性值 新值 值?",
        "valid_from": "valid_from effective_from changed_at updated_at change_time 生效时间 变更时间 更新时间?",
        "recorded_at": _RECORDED,
    },
    "identities": {
        "user_id": _USER,
        "kind": "identity_kind id_type identity_type 标识类型 账号类型",
        "value": "identity identity_value id_value 标识 标识值",
        "valid_from": "valid_from bound_at 绑定时间",
        "recorded_at": _RECORDED,
    },
    "shares": {
        "share_id": _SHARE,
        "sharer_id": "sharer_id sharer share_user share_user_id 分享人 分享者 分享人id " + _USER,
        "target": "target share_target share_type 分享内容 分享类型 分享对象",
        "item_id": _ITEM,
        "channel": _CHANNEL,
        "parent_share_id": "parent_share_id parent_id? 上级分享 上级分享id 父分享id",
        "shared_at": "shared_at share_time share_date 分享时间 转发时间",
        "recorded_at": _RECORDED,
    },
    "group_buys": {
        "group_buy_id": _GROUP_BUY,
        "initiator_id": "initiator_id initiator leader_id opener_id 团长 团长id 发起人 开团人",
        "item_id": _ITEM,
        "size": "size group_size 成团人数 团人数 拼团人数",
        "deadline": "deadline expires_at expire_time end_time 截止时间 过期时间 结束时间",
        "succeeded": "succeeded success is_success 是否成团 成团 拼团状态?",
        "closed_at": "closed_at success_time completed_at 成团时间 完成时间",
        "opened_at": "opened_at open_time start_time 开团时间 发起时间",
        "recorded_at": _RECORDED,
    },
    "group_buy_members": {
        "group_buy_id": _GROUP_BUY,
        "user_id": "participant participant_id 参团人 参团人id 团员 " + _USER,
        "joined_at": "joined_at join_time 参团时间 参与时间 加入时间? " + _ANY_TIME,
        "recorded_at": _RECORDED,
    },
    "communities": {
        "community_id": _COMMUNITY,
        "kind": "community_kind community_type group_type 社群类型 群类型",
        "origin": "origin community_origin 成立方式 建群方式",
        "space": "space 空间 线上线下",
        "created_at": "created_at? create_time? 建群时间 成立时间",
        "recorded_at": _RECORDED,
    },
    "engagements": {
        "user_id": _USER + " author author_id reviewer reviewer_id 作者 评论人",
        "kind": "engagement engagement_type behavior_type behaviour_type event_type? action? 行为 "
        "行为类型 互动类型 类型? type?",
        "item_id": _ITEM,
        "community_id": _COMMUNITY,
        "happened_at": "happened_at event_time checked_in_at checkin_time check_in_at visited_at rated_at "
        "rating_time reviewed_at "
        "review_time posted_at post_time liked_at commented_at 签到时间 打卡时间 评价时间 "
        "评论时间 发布时间 互动时间 到店时间 评分时间 发生时间 " + _ANY_TIME,
        "recorded_at": _RECORDED,
    },
    "rewards": {
        "user_id": _USER,
        "kind": "reward_kind reward_type 奖励类型 奖励方式",
        "amount": "reward commission points_granted reward_amount 佣金 佣金金额 奖励 奖励金额 返佣金额 "
        "发放积分 amount? 金额?",
        "source": "reward_source reason? 奖励来源 奖励原因",
        "granted_at": "granted_at grant_time reward_time issued_at 发放时间 奖励时间 结算时间 到账时间",
        "recorded_at": _RECORDED,
    },
    "outreach": {
        "campaign_id": "campaign_id campaign 活动id 活动编号 触达活动 活动名称 任务id",
        "user_id": _USER,
        "arm": "arm test_group experiment_arm 实验组 分组 组别",
        "channel": _CHANNEL + " 触达渠道",
        "incentive": "incentive offer 激励 权益",
        "cost": "cost 成本 触达成本",
        "staff": "staff operator 员工 负责人 执行人",
        "outcome": "outcome result 结果 反馈 触达结果",
        "outcome_at": "outcome_at result_time 结果时间 反馈时间",
        "contacted_at": "contacted_at contact_time sent_at send_time 触达时间 联系时间 发送时间",
        "recorded_at": _RECORDED,
    },
}

ATTRIBUTES: dict[str, str] = {
    "region": "region area city province district 地区 地域 区域 城市 省份 所在地 所在地区 所在城市 省市",
    "tier": "tier level member_level vip_level grade 等级 会员等级 客户等级 级别",
    "tags": "tag tags label labels 标签 客户标签 企业标签",
    "staff_owner": "staff staff_owner owner added_by follow_user 添加人 员工 所属员工 跟进人 服务人员 导购 "
    "所属导购 负责人 添加员工",
    "points": "points points_balance 积分 积分余额 可用积分",
    "consent": "consent opt_in marketing_consent 营销授权 同意营销 授权",
}

IDENTITIES: dict[str, str] = {
    "unionid": "unionid 微信unionid",
    "openid": "openid 微信openid",
    "external_userid": "external_userid external_user_id 外部联系人id",
    "member_no": "member_no member_id 会员号 会员编号 会员卡号",
}

PRIVATE: dict[str, str] = {
    "a person's name": "full_name first_name last_name real_name receiver receiver_name name? 姓名 真实姓名 "
    "收货人 收货人姓名 收件人 联系人 备注名",
    "a phone number": "phone phone_number mobile mobile_no tel telephone 手机 手机号 手机号码 电话 联系电话 "
    "收货人手机 联系手机 买家手机",
    "an address": "address shipping_address street zip zip_code postcode 地址 收货地址 详细地址 邮编",
    "an e-mail address": "email e_mail mail 邮箱 电子邮箱",
    "a nickname": "nickname nick screen_name 昵称 客户昵称 微信昵称 备注 客户备注",
    "an identity document": "id_card passport ssn 身份证 身份证号 证件号",
    "a birthday": "birthday birth_date date_of_birth 生日 出生日期",
    "a gender": "gender sex 性别",
    "a private account": "wechat wechat_id 微信号 微信 bank_card 银行卡号",
}

DIRECTED = (
    "follower followee followed truster trusted trustee fan influencer "
    "粉丝 粉丝id 关注者 关注人 被关注者 被关注人 关注对象 上级 下级 上级id 下级id"
)
TIE_KINDS: dict[str, str] = {
    "friend": "friend friend_id friends friendship friendships 好友 好友关系 朋友",
    "follow": "follow follows follower followers followee following 关注 粉丝",
    "trust": "trust trusts truster trusted trustee 信任",
    "invite": "invite invites inviter invitations 邀请 上级 下级",
}
ACTIONS: dict[str, str] = {
    "click": "clicked_at click_time clicker clicks click 点击时间 点击人 访问时间",
    "help": "helped_at help_time helper 助力时间 助力人 助力好友",
    "join": "joined_at join_time",
    "register": "registered_at",
}
ENGAGEMENT_KINDS: dict[str, str] = {
    "check-in": "checked_in_at checkin_time check_in_at visited_at 签到时间 打卡时间 到店时间",
    "review": "rated_at rating_time reviewed_at review_time 评价时间 评论时间 评分时间",
    "post": "posted_at post_time 发布时间",
    "like": "liked_at",
}


def normalise(header: str) -> str:
    """Full width to half, lower case, without blanks, underscores, dashes and dots: ``"User_ID "`` -> ``"userid"``."""
    return re.sub(r"[\s_\-.#:：]+", "", unicodedata.normalize("NFKC", header).lower())


def readings(header: str) -> list[str]:
    """The header and its parts around brackets and slashes, normalised: ``添加人(员工)``, ``添加人``, ``员工``."""
    parts = [normalise(part) for part in re.split(r"[()/|\[\]【】、]", unicodedata.normalize("NFKC", header))]
    return list(dict.fromkeys([normalise(header), *(part for part in parts if part)]))


def words_of(text: str) -> Iterator[tuple[str, int]]:
    """(normalised word, number of question marks behind it) for each word of one entry of the tables above."""
    for word in text.split():
        bare = word.rstrip("?")
        yield normalise(bare), len(word) - len(bare)


def named_by(header: str, names: dict[str, str], *, ending: bool = False) -> str | None:
    """The first key of ``names`` that lists one reading of ``header`` as a deciding word.

    With ``ending``, a Chinese word also counts where a header ends in it: ``详细收货地址`` is an address.
    """
    spoken = readings(header)
    for key, text in names.items():
        for word, doubts in words_of(text):
            ends = ending and word[-1] > "\u2e80" and any(reading.endswith(word) for reading in spoken)
            if not doubts and (word in spoken or ends):
                return key
    return None
