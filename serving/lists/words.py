"""What staff may say to a person on a list, in Chinese: about the item to push, and what that person did with it."""

from typing import Any

from training.languages import BETWEEN

ABOUT = "您好！关于「{item}」（您{did}），如果您用着满意，欢迎分享给身边可能需要的朋友；要资料我随时发您，不方便也没关系。"
WITHOUT = "您好！感谢您一直以来的支持。最近用下来感觉怎么样？有什么需要或建议，随时告诉我；不方便也没关系。"


def suggested(row: dict[str, Any]) -> str:
    """For a row of a list; of the item's reason only what the person did, not what is known of people around."""
    item, because = row.get("next_item"), row.get("next_item_because_zh")
    if not item:
        return WITHOUT
    did = (because or "").split(BETWEEN["zh"])[0] or "可能会喜欢"
    return ABOUT.format(item=item, did=did)
