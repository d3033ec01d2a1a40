"""The example's two input files: an order export (CSV, GB18030) and a WeCom customer roster (xlsx), with invented people.

Sharing really moves people here: a few customers invite many, and their friends buy what they bought days before, with
their name as referrer. Run `python docs/example/make.py` to write both files again; the seed fixes every cell.
"""

import csv
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from openpyxl import Workbook

FOLDER = Path(__file__).parent
START = datetime(2024, 1, 1)
DAYS = 300
CUSTOMERS = 720
PRODUCTS = {
    "面部护理": ("保湿面霜", "玻尿酸精华", "氨基酸洁面", "补水面膜", "防晒乳"),
    "彩妆": ("哑光口红", "气垫粉底", "眼影盘", "睫毛膏", "腮红膏"),
    "身体护理": ("沐浴油", "身体乳", "护手霜", "磨砂膏"),
    "洗护发": ("蓬松洗发水", "修护发膜", "护发精油"),
    "母婴": ("婴儿面霜", "婴儿湿巾", "孕妇洁面"),
}
REGIONS = ("浙江 杭州", "浙江 宁波", "江苏 苏州", "上海", "广东 广州", "四川 成都")
STAFF = ("导购小叶", "导购小何", "导购小秦", "导购小杜")
CHANNELS = ("扫描二维码", "名片分享", "群聊", "搜索手机号", "视频号")
NICKNAMES = ("青柠", "小满", "云朵", "南瓜", "阿树", "木棉", "星河", "拾光", "橙子", "知夏", "半夏", "听雨")

ORDER_HEADERS = (
    *("订单编号", "买家会员名", "手机号", "商品ID", "商品标题", "类目", "数量"),
    *("实付金额", "优惠金额", "付款时间", "退款金额", "退款时间", "推荐人"),
)


def main() -> None:
    """Write ``orders.csv`` and ``customers.xlsx`` beside this script."""
    draw = np.random.default_rng(20240305)
    joined, inviter = _join(draw)
    influence = np.where(
        draw.random(CUSTOMERS) < 0.06, draw.uniform(0.35, 0.6, CUSTOMERS), draw.uniform(0.0, 0.1, CUSTOMERS)
    )
    _write_roster(draw, joined, inviter)
    _write_orders(draw, _orders(draw, joined, inviter, influence))


def _join(draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Day of joining and inviter (-1: none) of every customer; who invites much goes on inviting."""
    joined = np.sort(draw.gamma(1.3, 60, CUSTOMERS) % (DAYS - 10))
    appeal = draw.pareto(1.6, CUSTOMERS) + 0.05
    inviter = np.full(CUSTOMERS, -1)
    for person in range(20, CUSTOMERS):
        if draw.random() < 0.65:
            inviter[person] = draw.choice(person, p=appeal[:person] / appeal[:person].sum())
    return joined, inviter


def _orders(
    draw: np.random.Generator, joined: np.ndarray, inviter: np.ndarray, influence: np.ndarray
) -> list[tuple[float, int, int, int]]:
    """(day, customer, product, referrer or -1): own purchases in the order of time, each followed by those of friends."""
    products = sum(len(titles) for titles in PRODUCTS.values())
    taste = draw.dirichlet(np.full(products, 0.3), CUSTOMERS)
    rate = draw.gamma(0.9, 0.020, CUSTOMERS)
    leaves = joined + draw.exponential(260, CUSTOMERS)
    friends: list[set[int]] = [set() for _ in range(CUSTOMERS)]
    for person, other in enumerate(inviter):
        if other >= 0:
            friends[other].add(person)
    reach = np.array([len(one) for one in friends])
    influence = np.where(reach >= np.sort(reach)[-60], np.maximum(influence, draw.uniform(0.4, 0.75, CUSTOMERS)), influence)
    waiting: list[tuple[float, int, int, int]] = []
    for person in range(CUSTOMERS):
        end = min(leaves[person], DAYS)
        count = 1 + draw.poisson(rate[person] * max(0.0, end - joined[person]))
        days = joined[person] + np.sort(draw.random(count)) * max(0.5, end - joined[person])
        bought = draw.choice(products, count, p=taste[person])
        waiting.extend((float(day), person, int(product), -1) for day, product in zip(days, bought, strict=True))
    done = []
    while waiting:
        first = min(range(len(waiting)), key=lambda place: waiting[place][0])
        day, person, product, referrer = waiting.pop(first)
        if day >= DAYS:
            continue
        done.append((day, person, product, referrer))
        moved = [friend for friend in sorted(friends[person]) if joined[friend] <= day < leaves[friend]]
        moved = [friend for friend in moved if draw.random() < influence[person]]
        waiting.extend((day + float(draw.gamma(2, 3)), friend, product, person) for friend in moved)
    return done


def _member(person: int) -> str:
    return f"HY{100_237 + 7 * person}"


def _when(day: float) -> datetime:
    hour = 8 + 15 * (day % 1)
    return START + timedelta(days=int(day), hours=hour)


def _write_roster(draw: np.random.Generator, joined: np.ndarray, inviter: np.ndarray) -> None:
    book = Workbook()
    book.properties.created = book.properties.modified = START
    sheet = book.active
    sheet.title = "客户列表"
    sheet.append(["客户ID", "external_userid", "客户昵称", "添加人(员工)", "添加时间", "邀请人", "来源", "地区", "标签"])
    for person in range(CUSTOMERS):
        invited = inviter[person] >= 0
        sheet.append(
            [
                _member(person),
                "wm" + "".join(draw.choice(list("abcdefghjkmnpqrstuvwxyzABCDEFGHJK23456789"), 14)),
                f"{draw.choice(NICKNAMES)}{draw.integers(10, 99)}",
                str(draw.choice(STAFF)),
                _when(joined[person]).replace(second=0, microsecond=0),
                _member(inviter[person]) if invited else None,
                "名片分享" if invited else str(draw.choice(CHANNELS)),
                str(draw.choice(REGIONS, p=[0.35, 0.1, 0.15, 0.15, 0.15, 0.1])),
                str(draw.choice(["老客", "活动参与", "宝妈", "敏感肌"])) if draw.random() < 0.6 else None,
            ]
        )
    book.save(FOLDER / "customers.xlsx")


def _write_orders(draw: np.random.Generator, orders: list[tuple[float, int, int, int]]) -> None:
    catalogue = [(category, title) for category, titles in PRODUCTS.items() for title in titles]
    prices = draw.integers(39, 460, len(catalogue)) + 0.9
    phones = draw.integers(1000, 9999, (CUSTOMERS, 2))
    with (FOLDER / "orders.csv").open("w", encoding="gb18030", newline="") as file:
        write = csv.writer(file).writerow
        write(ORDER_HEADERS)
        for number, (day, person, product, referrer) in enumerate(orders):
            category, title = catalogue[product]
            quantity = 1 + int(draw.random() < 0.15) * int(draw.integers(1, 4))
            full = prices[product] * quantity
            discount = round(full * 0.1, 2) if referrer >= 0 or draw.random() < 0.2 else 0.0
            paid, at = full - discount, _when(day)
            back = draw.random() < 0.03
            refunded = at + timedelta(days=float(draw.uniform(1, 9)))
            back = back and refunded < START + timedelta(days=DAYS)
            write(
                [
                    f"2024{int(day):03d}{8_800_000_000 + 37 * number}",
                    _member(person),
                    f"1{30 + int(phones[person, 0]) % 70}****{phones[person, 1]}",
                    f"SP{3001 + product}",
                    title,
                    category,
                    quantity,
                    f"¥{paid:,.2f}",
                    f"¥{discount:,.2f}" if discount else "",
                    f"{at.year}/{at.month}/{at.day} {at.hour}:{at.minute:02d}",
                    f"¥{paid:,.2f}" if back else "",
                    f"{refunded.year}/{refunded.month}/{refunded.day} {refunded.hour}:{refunded.minute:02d}" if back else "",
                    _member(referrer) if referrer >= 0 else "",
                ]
            )


if __name__ == "__main__":
    main()
