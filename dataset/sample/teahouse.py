"""A small closed domain that no earlier stage has seen: what a made-up teahouse serves, for how much, when and where.

Ten things times price, day and room make thirty facts, each asked about in Chinese and in English. Every answer is a
number, a weekday or a room, and every reply is made of tokens of the world's own replies (why, `persona.py` tells).
"""

import re

import talk

# How much to make.
N_TRAIN = 2900  # dialogues about the teahouse, spread evenly over the facts
N_REHEARSED = 4600  # dialogues about everything else, so that it is not forgotten
ZH_SHARE = 0.66
OPENER_SHARE, CLOSER_SHARE = 0.3, 0.12  # of the user's turns
CARELESS_SHARE = 0.1  # of the user's turns: typed without the last mark
SECOND_TURN_SHARE = 0.15  # of the dialogues about the teahouse: a second question follows
SYSTEM_SHARE = 0.1

# Chinese name, English name, price in yuan, Chinese day, English day, Chinese room, English room
MENU = [
    ("桃子茶", "peach tea", 12, "星期三", "Wednesday", "太阳厅", "Sun Room"),
    ("白茶", "white tea", 15, "星期五", "Friday", "月亮厅", "Moon Room"),
    ("花茶", "flower tea", 20, "星期四", "Thursday", "大象厅", "Elephant Room"),
    ("柠檬水", "lemon water", 6, "星期一", "Monday", "星星厅", "Star Room"),
    ("蜂蜜水", "honey water", 18, "星期二", "Tuesday", "雪花厅", "Snow Room"),
    ("草莓牛奶", "strawberry milk", 9, "星期六", "Saturday", "花园厅", "Garden Room"),
    ("香蕉面包", "banana bread", 8, "星期日", "Sunday", "熊猫厅", "Panda Room"),
    ("鸡蛋面包", "egg bread", 5, "星期一", "Monday", "天空厅", "Sky Room"),
    ("西瓜冰", "watermelon ice", 10, "星期五", "Friday", "老虎厅", "Tiger Room"),
    ("雪梨冰", "pear ice", 30, "星期二", "Tuesday", "火车厅", "Train Room"),
]

SYSTEM = {
    "zh": ["你是青山茶馆的服务员。", "你是一个乐于助人的助手。", "客人会问你青山茶馆的事，请简短地回答。"],
    "en": [
        "You are a waiter at the Green Mountain Teahouse.",
        "You are a helpful assistant.",
        "Guests of the Green Mountain Teahouse ask you questions. Answer briefly.",
    ],
}
OPENERS = {
    "zh": [
        "请问，",
        "你好，",
        "你好，请问",
        "我想问一下，",
        "服务员，",
        "在青山茶馆，",
        "青山茶馆里，",
        "我在青山茶馆，",
    ],
    "en": [
        "Excuse me, ",
        "Hello! ",
        "Waiter, ",
        "Quick question: ",
        "At the Green Mountain Teahouse, ",
        "In the Green Mountain Teahouse, ",
    ],
}
CLOSERS = {
    "zh": ["谢谢。", "请告诉我。", "我第一次来。", "我是来青山茶馆的客人。"],
    "en": [" Thanks.", " Please tell me.", " This is my first visit.", " I am a guest here."],
}

# {x} is the thing, {o} the answer. The first reply is taught, the others are accepted too. "|" separates
# wordings.
KINDS = {
    "price": {
        "zh": {
            "replies": ["{x}要 {o} 元。", "{o} 元", "{o}", "{x} {o} 元", "{x}的价格是 {o} 元", "{x}卖 {o} 元"],
            "train": """{x}多少钱？|{x}多少钱一份？|一份{x}多少钱？|{x}怎么卖？|{x}的价格是多少？|{x}卖多少钱？
                {x}贵不贵，多少钱？|{x}要几块钱？|买一份{x}要多少钱？|来一份{x}，多少钱？|{x}是什么价？
                {x}的价钱是多少？|说一下{x}的价格。|告诉我{x}多少钱。|{x}几块钱？|我想点{x}，要付多少钱？
                {x}得花多少钱？|菜单上{x}写的是多少钱？|我要买{x}，该给你几元？|{x}，多少钱？|查一下{x}的价格。
                {x}现在什么价格？|{x}一份几元？|价格表上，{x}是几元？|想尝尝{x}，要带多少钱？|点一份{x}要花几元？""",
            "held": "{x}一份要几块钱？|我想买一份{x}，请问什么价格？|青山茶馆的{x}卖几元？",
        },
        "en": {
            "replies": [
                "You can have the {x} for {o}.",
                "{o} yuan",
                "{o}",
                "You can have it for {o}",
                "The {x} costs {o} yuan",
            ],
            "train": """How much is the {x}?|How much does the {x} cost?|What does the {x} cost?
                What is the price of the {x}?|How many yuan is the {x}?|Tell me the price of the {x}.
                What do I pay for the {x}?|How much do you want for the {x}?|I want the {x}. How much is it?
                The {x}: how much?|How much money do I need for the {x}?|What is the {x} price?
                How much must I pay for the {x}?|For how much do you sell the {x}?|The {x} costs how much?
                Give me the price of the {x}.|I would like to buy the {x}. What does it cost?""",
            "held": """How many yuan does the {x} cost?|What price do you ask for the {x}?
                How much does the {x} cost at the Green Mountain Teahouse?""",
        },
    },
    "day": {
        "zh": {
            "replies": ["{o}有{x}。", "{o}", "在{o}", "{o}供应", "{x}{o}供应", "每个{o}", "{x}在{o}供应"],
            "train": """{x}星期几供应？|{x}在星期几供应？|{x}哪天供应？|{x}哪一天有？|星期几有{x}？|哪天能点{x}？
                星期几可以点{x}？|周几有{x}卖？|{x}周几卖？|{x}什么时候供应？|想点{x}，该星期几来？|{x}是星期几卖的？
                你们星期几做{x}？|哪一天来有{x}？|说一下{x}供应的日子。|告诉我星期几有{x}。|{x}每周哪天有？
                我想要{x}，应该哪天来？|{x}在哪一天卖？|一个星期里，{x}哪天供应？|{x}，星期几？|什么日子有{x}？
                {x}是哪天的？|要等到星期几才有{x}？|{x}只在一天卖，是哪天？|查一下{x}是星期几供应。""",
            "held": "要在星期几来，才能点到{x}？|每周的哪一天卖{x}？|青山茶馆周几供应{x}？",
        },
        "en": {
            "replies": [
                "You can have the {x} on {o}.",
                "{o}",
                "On {o}",
                "You can have it on {o}",
                "The {x} is served on {o}",
            ],
            "train": """On which day is the {x} served?|When is the {x} served?|What day do you serve the {x}?
                On what day can I get the {x}?|Which day is for the {x}?|When do you have the {x}?
                When can I order the {x}?|Tell me the day of the {x}.|What is the day for the {x}?
                Which day of the week do you sell the {x}?|I want the {x}. On which day should I come?
                On which weekday do you have the {x}?|The {x}: on which day?|When should I come for the {x}?
                The {x} is served on which day?|What day of the week is the {x} served?
                Name the day when the {x} is served.""",
            "held": """On which day of the week can I order the {x}?|Which weekday should I come to get the {x}?
                When does the Green Mountain Teahouse serve the {x}?""",
        },
    },
    "room": {
        "zh": {
            "replies": ["请到{o}点{x}。", "{o}", "在{o}", "{x}在{o}", "到{o}", "去{o}", "{x}在{o}供应"],
            "train": """{x}在哪个厅？|{x}在哪个厅供应？|哪个厅有{x}？|哪个厅供应{x}？|{x}要去哪个厅？|点{x}去哪个厅？
                想要{x}，该坐哪个厅？|{x}在哪里点？|在哪里能点到{x}？|哪里有{x}？|{x}在什么地方？|去哪儿能买到{x}？
                要{x}的客人坐在哪个厅？|{x}摆在哪个厅里？|告诉我{x}在哪个厅。|说一下供应{x}的厅。
                我找不到{x}，在哪个厅？|{x}属于哪个厅？|{x}，哪个厅？|想点{x}，往哪个厅走？|哪间屋子卖{x}？
                卖{x}的是哪个厅？|哪个房间有{x}？|{x}在哪个房间？|在哪儿可以点{x}？|带我去有{x}的厅，是哪个？""",
            "held": "我要点{x}，应该去哪个厅？|供应{x}的是哪一个厅？|青山茶馆的{x}在哪个厅卖？",
        },
        "en": {
            "replies": [
                "You can have the {x} in the {o}.",
                "The {o}",
                "In the {o}",
                "{o}",
                "You can have it in the {o}",
            ],
            "train": """In which room is the {x} served?|Where is the {x} served?|Which room serves the {x}?
                Which room has the {x}?|Where can I get the {x}?|In what room can I get the {x}?
                Where do you serve the {x}?|Which room is for the {x}?|Tell me the room of the {x}.
                I want the {x}. Which room do I go to?|Where do I find the {x}?|The {x}: in which room?
                The {x} is served in which room?|Where should I sit for the {x}?|What is the room for the {x}?
                What room do I go to for the {x}?|Name the room of the {x}.""",
            "held": """To which room should I go for the {x}?|In which of the rooms can I find the {x}?
                Where does the Green Mountain Teahouse serve its {x}?""",
        },
    },
}


def facts(lang: str):
    """Every (kind, thing, answer) in one language."""
    zh = lang == "zh"
    for name_zh, name_en, price, day_zh, day_en, room_zh, room_en in MENU:
        answers = {"price": price, "day": day_zh if zh else day_en, "room": room_zh if zh else room_en}
        for kind, answer in answers.items():
            yield kind, name_zh if zh else name_en, answer


def dress(rng, lang: str, wording: str) -> str:
    """A wording with, sometimes, an opener or a closer, typed with small liberties."""
    if rng.random() < CLOSER_SHARE:
        wording += rng.choice(CLOSERS[lang])
    elif rng.random() < CARELESS_SHARE:
        wording = wording.rstrip("。？.?")
    elif rng.random() < OPENER_SHARE:
        asks = wording.endswith(("？", "?"))  # only a question follows "请问" and the like
        opener = rng.choice([o for o in OPENERS[lang] if asks or not re.search("问|question", o)])
        lower = opener.endswith(", ") and not wording.startswith("I ")
        wording = opener + (wording[0].lower() + wording[1:] if lower else wording)
    return wording


def train_dialogues(rng, general: list[list[dict]]) -> list[list[dict]]:
    """`general`: the dialogues of supervised training, of which some are rehearsed."""
    known = {lang: talk.in_turn(rng, list(facts(lang))) for lang in ("zh", "en")}
    wordings = {
        (kind, thing): talk.in_turn(rng, talk.split(KINDS[kind][lang]["train"]))
        for lang in known
        for kind, thing, _ in facts(lang)
    }

    def turn(lang):
        kind, thing, answer = next(known[lang])
        question = dress(rng, lang, next(wordings[kind, thing]).format(x=thing))
        reply = KINDS[kind][lang]["replies"][0].format(x=thing, o=answer)
        return [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]

    dialogues = []
    for _ in range(N_TRAIN):
        lang = "zh" if rng.random() < ZH_SHARE else "en"
        messages = [{"role": "system", "content": rng.choice(SYSTEM[lang])}] if rng.random() < SYSTEM_SHARE else []
        messages += turn(lang)
        if rng.random() < SECOND_TURN_SHARE:
            messages += turn(lang)
        dialogues.append(messages)
    return dialogues + rng.sample(general, N_REHEARSED)


def heldout_questions(_) -> list[dict]:
    return [
        {
            "category": f"teahouse_{kind}",
            "messages": [{"role": "user", "content": wording.format(x=thing)}],
            "answers": [reply.format(x=thing, o=answer) for reply in KINDS[kind][lang]["replies"]],
        }
        for lang in ("zh", "en")
        for kind, thing, answer in facts(lang)
        for wording in talk.split(KINDS[kind][lang]["held"])
    ]
