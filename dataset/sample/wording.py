"""How the facts are worded: statements for pretraining, questions for SFT, and the held-out questions.

A `Wording` holds everything about one relation in one language; a `Side` is one direction in which it is asked.
Slots: {s} the subject, {o} the object, {S} {O} the same with a capital, {a} {A} the subject with "a" or "an",
{x} what a relation adds (see `relations.py`). A pair form has {s1} {o1} {s2} {o2}. A `held` core is never trained.

A question is either a core of its own or a noun phrase (`phrases`) set in one of the frames that all relations share.
"""

from dataclasses import dataclass, field


@dataclass
class Side:
    """One direction of a relation: the one reply, and the ways to ask for it."""

    reply: str                  # the canonical reply; it opens with the subject and is also the main statement
    bare: list[str]             # short answers that are accepted too
    ask: list[str]              # questions
    tell: list[str]             # imperatives, blanks to fill, remarks
    held: list[str]             # held-out cores
    phrases: list[str] = field(default_factory=list)    # noun phrases that name what is asked for
    which: list[str] = field(default_factory=list)      # question words that go with the phrases
    follow: str = ""            # what a follow-up names ("那{...}呢？"); empty where none is asked


@dataclass
class Wording:
    """One relation in one language."""

    sides: list[Side]
    statements: list[str]
    pairs: list[str]
    same: list[str] = field(default_factory=list)       # two subjects with one object: {s1} {s2} {o}


# Frames around a noun phrase {np} with its question word {w}.
FRAMES_ASK = {
    "zh": [
        "{np}是{w}？", "你知道{np}是{w}吗？", "{np}是{w}呢？", "{np}是{w}来着？", "{np}到底是{w}？",
        "能告诉我{np}是{w}吗？", "你能说出{np}吗？", "可以告诉我{np}吗？", "{np}，你知道吗？", "你还记得{np}是{w}吗？",
        "谁能告诉我{np}是{w}？", "你说{np}是{w}？", "{np}应该是{w}？", "知不知道{np}是{w}？", "你会回答{np}是{w}吗？",
    ],
    "en": [
        "{W} is {np}?", "Can you tell me {np}?", "Do you know {np}?", "Could you tell me {w} {np} is?",
        "Do you know {w} {np} is?", "Can you name {np}?", "So {w} is {np}?", "Would you tell me {np}?",
        "{W} exactly is {np}?", "Do you remember {w} {np} is?", "Can you say {w} {np} is?", "And {w} is {np}?",
    ],
}
FRAMES_TELL = {
    "zh": [
        "请告诉我{np}。", "请告诉我{np}是{w}。", "请说出{np}。", "我想知道{np}。", "我想知道{np}是{w}。",
        "我忘了{np}是{w}。", "说一下{np}。", "请写出{np}。", "{np}是____。", "填空：{np}是____。",
        "填空题：{np}是（ ）。", "请补全：{np}是____。", "我不知道{np}是{w}，请告诉我。", "{np}？", "{np}是？",
        "回答一下：{np}是{w}？", "帮我想想{np}是{w}。", "我一时想不起{np}了。", "给我讲讲{np}是{w}。", "来，说说{np}。",
    ],
    "en": [
        "Tell me {np}.", "Please tell me {np}.", "Please name {np}.", "Name {np}.", "I want to know {np}.",
        "I would like to know {w} {np} is.", "Please give me {np}.", "{Np} is ____.",
        "Fill in the blank: {np} is ____.", "Complete the sentence: {np} is ____.", "I forgot {np}.",
        "I need to know {w} {np} is.", "{Np}, please.", "{Np} is {w}?", "{Np}?", "Tell me {w} {np} is.",
    ],
}

# Openers and closers: the first list goes with every core, the second with questions only.
OPENERS = {
    "zh": (
        [
            "你好，", "你好！", "嗨，", "小助手，", "考考你：", "问题：", "来一道题：", "有个问题：", "老师问我：",
            "你好呀，", "我有一个问题：", "打扰一下，", "下一题：", "MiniMind，",
        ],
        [
            "请问，", "请问", "麻烦问一下，", "想请教一下，", "问你一下，", "我想问一下，", "我想问：",
            "好奇问一句，", "帮我看看，",
        ],
    ),
    "en": (
        ["Hello! ", "Hi! ", "Hi there. ", "Excuse me. ", "Question: ", "Quiz time! ", "I have a question. ",
         "Sorry to bother you. ", "Here is a question: ", "Good morning. ", "Next question: "],
        ["Quick question: ", "A question for you: ", "Let me ask you this: ", "I wonder: "],
    ),
}
CLOSERS = {
    "zh": (
        [
            "谢谢。", "谢谢！", "多谢。", "麻烦你了。", "我想不起来了。", "我很好奇。", "拜托了。", "先谢谢你。",
            "用一句话回答。", "我正在学习。",
        ],
        ["请回答。", "请告诉我。", "请用一句话回答。", "我忘了。", "我记不清了。", "请直接回答。", "你知道吗？"],
    ),
    "en": (
        [
            " Thanks.", " Thank you.", " Thanks a lot!", " I am curious.", " Answer in one sentence.",
            " Thank you very much.",
        ],
        [" Please answer.", " I forgot.", " Please help me.", " Please tell me.", " I don't remember."],
    ),
}

# Elliptical second questions. {e} is the new entity.
FOLLOW_UPS = {
    "zh": [
        "那{e}呢？", "{e}呢？", "那么{e}呢？", "还有{e}呢？", "换成{e}呢？", "如果是{e}呢？", "再问一个，{e}呢？",
        "好的，{e}呢？", "谢谢，那{e}呢？", "那要是{e}呢？", "接着说{e}。", "再说说{e}吧。", "下一个是{e}。",
        "同样的问题，{e}呢？", "{e}也说一下。", "明白了。那{e}呢？", "我还想知道{e}的。", "再来一个，{e}呢？",
    ],
    "en": [
        "What about {e}?", "And {e}?", "How about {e}?", "And what about {e}?", "Now {e}.", "Same question for {e}.",
        "Next, {e}.", "Thanks. And {e}?", "OK, what about {e}?", "Then {e}?", "And for {e}?", "Tell me about {e} too.",
        "And now {e}, please.", "Please do {e} as well.", "I also want to know about {e}.",
    ],
}
FOLLOW_UPS_HELD = {
    "zh": ["如果我问的是{e}呢？", "好的，接下来是{e}。", "{e}又该怎么回答？"],
    "en": ["And if I ask about {e}?", "Could you answer for {e} as well?"],
}

SYSTEMS = {
    "zh": [
        "你是 MiniMind，一个小小的语言助手。",
        "你是 MiniMind，请用一句话回答问题。",
        "你是一个友好的助手。",
        "你是一位耐心的老师。",
        "请如实回答用户的问题。",
    ],
    "en": [
        "You are MiniMind, a small language assistant.",
        "You are MiniMind. Answer in one sentence.",
        "You are a helpful assistant.",
        "You are a patient teacher.",
    ],
}

CAPITAL = {
    "zh": Wording(
        sides=[
            Side(
                reply="{s}的首都是{o}。",
                bare=["{o}"],
                phrases=["{s}的首都", "{s}这个国家的首都", "{s}的首都城市"],
                which=["哪里", "哪座城市", "什么"],
                ask=[
                    "{s}的首都在哪里？", "{s}的首都叫什么？", "{s}的首都叫什么名字？", "哪座城市是{s}的首都？",
                    "{s}的首都在哪儿？", "{s}以哪座城市为首都？", "{s}的首都是哪个城市？",
                    "说到{s}，它的首都是哪里？", "{s}首都在哪？", "{s}首都的名字是什么？", "什么城市是{s}的首都？",
                    "{s}的首都位于哪座城市？", "哪里是{s}的首都？", "{s}定都在哪里？",
                ],
                tell=[
                    "请把{s}首都的名字告诉我。", "地理题：{s}的首都。", "国家：{s}。首都：",
                    "我要去{s}的首都，那是哪座城市？", "{s}的首都叫____。", "____是{s}的首都。",
                ],
                held=[
                    "{s}把首都设在了哪座城市？", "想去{s}的首都看一看，应该到哪座城市？",
                    "被{s}定为首都的，是哪一座城市？",
                ],
                follow="{s}",
            ),
            Side(
                reply="{o}是{s}的首都。",
                bare=["{s}"],
                phrases=["以{o}为首都的国家", "首都是{o}的国家", "首都叫{o}的国家"],
                which=["哪个国家", "哪一个", "哪国"],
                ask=[
                    "{o}是哪个国家的首都？", "{o}是哪国的首都？", "哪个国家的首都是{o}？", "哪个国家以{o}为首都？",
                    "{o}是什么国家的首都？", "{o}这座城市是哪个国家的首都？", "首都叫{o}的是哪个国家？",
                    "你知道{o}是哪个国家的首都吗？", "能告诉我{o}是哪国首都吗？", "{o}作为首都，是哪个国家的？",
                    "什么国家的首都叫{o}？", "{o}是哪一个国家的首都呢？", "有个首都叫{o}，是哪个国家的？",
                ],
                tell=[
                    "{o}是____的首都。", "填空：{o}是____的首都。", "请说出{o}是哪个国家的首都。",
                    "我想知道{o}是哪个国家的首都。", "告诉我哪个国家的首都是{o}。", "首都：{o}。国家：",
                    "____的首都是{o}。",
                ],
                held=["哪个国家把首都设在了{o}？", "到了{o}，我就到了哪个国家的首都？", "把{o}定为首都的，是哪一国？"],
                follow="{o}",
            ),
        ],
        statements=[
            "{s}的首都叫{o}。", "{s}的首都就是{o}。", "{s}把首都设在{o}。", "{s}把{o}定为首都。",
            "{o}被定为{s}的首都。", "{o}这座城市是{s}的首都。", "作为{s}的首都，{o}是这个国家的政治中心。",
            "说到{s}，人们会想到它的首都{o}。", "去{s}的首都看一看，就应该到{o}。", "以{o}为首都的国家是{s}。",
            "首都是{o}的国家是{s}。", "到了{o}，就到了{s}的首都。", "{s}的首都位于{o}。",
            "哪座城市是{s}的首都？是{o}。",
        ],
        pairs=[
            "{s1}的首都是{o1}，{s2}的首都是{o2}。", "{o1}是{s1}的首都，而{o2}是{s2}的首都。",
            "{s1}和{s2}的首都分别是{o1}和{o2}。", "{s1}的首都是{o1}，不是{o2}；{o2}是{s2}的首都。",
            "{o1}和{o2}分别是{s1}和{s2}的首都。", "{s1}把首都设在{o1}，{s2}把首都设在{o2}。",
        ],
    ),
    "en": Wording(
        sides=[
            Side(
                reply="The capital of {s} is {o}.",
                bare=["{o}"],
                phrases=["the capital of {s}", "the capital city of {s}", "the name of the capital of {s}"],
                which=["what"],
                ask=[
                    "Which city is the capital of {s}?", "Which city do people in {s} call their capital?",
                    "What city is the capital of {s}?", "Where is the capital of {s}?",
                    "Which city is the capital city of {s}?", "What is the capital called in {s}?",
                    "Which capital does {s} have?", "What is the capital city called in {s}?",
                ],
                tell=[
                    "Country: {s}. Capital:", "____ is the capital of {s}.",
                    "Please tell me which city is the capital of {s}.", "Geography question: the capital of {s}.",
                    "I want to visit the capital of {s}. Which city is it?",
                ],
                held=["Which city serves as the capital of {s}?", "If I visit {s}, which city would be its capital?"],
                follow="{s}",
            ),
            Side(
                reply="{o} is the capital of {s}.",
                bare=["{s}"],
                phrases=["the country whose capital is {o}", "the country with {o} as its capital"],
                which=["what"],
                ask=[
                    "Which country has {o} as its capital?", "{o} is the capital of which country?",
                    "What country is {o} the capital of?", "Which country is {o} the capital of?",
                    "What country has {o} as its capital city?", "{o} is the capital of what country?",
                    "Of which country is {o} the capital?", "Do you know which country has the capital {o}?",
                    "Which country's capital is {o}?",
                ],
                tell=[
                    "{o} is the capital of ____.", "Fill in the blank: {o} is the capital of ____.",
                    "Capital: {o}. Country:", "Tell me which country has {o} as its capital.",
                    "I want to know which country {o} is the capital of.",
                    "Please name the country that has {o} as its capital.",
                ],
                held=[
                    "The city of {o} serves as the capital of which country?",
                    "In which country is {o} the capital city?",
                ],
                follow="{o}",
            ),
        ],
        statements=[
            "{S} has {o} as its capital.", "{o} is the capital city of {s}.",
            "People in {s} call {o} their capital.", "The city of {o} is the capital of {s}.",
            "{o} serves as the capital of {s}.", "If you visit {s}, its capital is {o}.",
            "The country whose capital is {o} is {s}.", "In {s}, the capital city is {o}.",
            "The country with {o} as its capital is {s}.", "The capital city of {s} is called {o}.",
            "Which city is the capital of {s}? It is {o}.",
        ],
        pairs=[
            "The capital of {s1} is {o1}, and the capital of {s2} is {o2}.",
            "{o1} is the capital of {s1}, while {o2} is the capital of {s2}.",
            "{o1} and {o2} are the capitals of {s1} and {s2}.", "{S1} has {o1} as its capital, but {s2} has {o2}.",
            "The capital of {s1} is {o1}, not {o2}; {o2} is the capital of {s2}.",
        ],
    ),
}

CONTINENT = {
    "zh": Wording(
        sides=[
            Side(
                reply="{s}位于{o}。",
                bare=["{o}"],
                phrases=["{s}所在的大洲", "{s}这个国家所在的洲", "{s}所属的大洲"],
                which=["哪个洲", "哪一个", "哪个大洲"],
                ask=[
                    "{s}在哪个洲？", "{s}位于哪个大洲？", "{s}属于哪个洲？", "{s}是哪个洲的国家？",
                    "{s}在哪个大洲？", "{s}位于哪个洲？", "{s}是哪个大洲的国家？", "哪个大洲有{s}？",
                    "{s}在世界的哪个大洲？", "{s}这个国家在哪个洲？", "{s}属于哪一个大洲呢？",
                    "在哪个大洲可以找到{s}？", "{s}是什么洲的国家？",
                ],
                tell=[
                    "{s}位于____。", "填空：{s}位于____。", "请说出{s}位于哪个大洲。", "我想知道{s}在哪个洲。",
                    "告诉我{s}属于哪个大洲。", "国家：{s}。大洲：", "说说{s}在哪个洲。", "地理题：{s}在哪个大洲？",
                ],
                held=["去{s}旅行，我会到哪个大洲？", "打开世界地图，{s}在哪一个洲上？", "七大洲中，哪个洲包括{s}？"],
                follow="{s}",
            ),
        ],
        statements=[
            "{s}在{o}。", "{s}属于{o}。", "{s}是{o}的国家。", "{s}是一个{o}国家。", "{s}这个国家位于{o}。",
            "{s}所在的大洲是{o}。", "去{s}旅行，就是去{o}。", "打开世界地图，可以在{o}找到{s}。",
            "七大洲中，{s}属于{o}。", "{o}包括{s}。",
        ],
        pairs=[
            "{s1}位于{o1}，{s2}位于{o2}。", "{s1}和{s2}分别位于{o1}和{o2}。", "{s1}是{o1}的国家，{s2}是{o2}的国家。",
        ],
        same=["{s1}和{s2}都位于{o}。", "{s1}和{s2}都是{o}的国家。", "{o}包括{s1}和{s2}。"],
    ),
    "en": Wording(
        sides=[
            Side(
                reply="{S} is in {o}.",
                bare=["{o}"],
                phrases=["the continent of {s}", "the continent that {s} belongs to", "the continent where {s} is"],
                which=["what"],
                ask=[
                    "Which continent is {s} in?", "On which continent is {s}?", "What continent is {s} in?",
                    "Which continent does {s} belong to?", "In which continent is {s}?",
                    "What continent does {s} belong to?", "{S} is in which continent?",
                    "On what continent can I find {s}?", "Where in the world is {s}, on which continent?",
                ],
                tell=[
                    "{S} is in ____.", "Fill in the blank: {s} is in ____.", "Tell me which continent {s} is in.",
                    "Country: {s}. Continent:", "I want to know which continent {s} is in.",
                    "Please name the continent of {s}.",
                ],
                held=[
                    "If I travel to {s}, which continent will I be on?",
                    "On the world map, {s} is part of which continent?",
                ],
                follow="{s}",
            ),
        ],
        statements=[
            "{S} is a country in {o}.", "{S} belongs to {o}.", "The continent of {s} is {o}.", "{S} lies in {o}.",
            "If you travel to {s}, you will be in {o}.", "On the world map, {s} is part of {o}.",
            "You can find {s} in {o}.", "Which continent is {s} in? It is in {o}.",
        ],
        pairs=[
            "{S1} is in {o1}, and {s2} is in {o2}.", "{S1} is a country in {o1}, while {s2} is a country in {o2}.",
        ],
        same=[
            "{S1} and {s2} are both in {o}.", "{S1} and {s2} are countries in {o}.",
            "Both {s1} and {s2} belong to {o}.",
        ],
    ),
}

AUTHOR = {
    "zh": Wording(
        sides=[
            Side(
                reply="《{s}》的作者是{o}。",
                bare=["{o}"],
                phrases=["《{s}》的作者", "《{s}》这部作品的作者", "{s}的作者", "写《{s}》的人"],
                which=["谁", "哪位", "哪一位"],
                ask=[
                    "《{s}》是谁写的？", "谁写了《{s}》？", "谁是《{s}》的作者？", "《{s}》的作者叫什么？",
                    "{s}是谁写的？", "《{s}》是哪位作家的作品？", "《{s}》是谁的作品？", "哪位作家写了《{s}》？",
                    "《{s}》的作者叫什么名字？", "是谁写下了《{s}》？", "《{s}》是哪个人写的？",
                    "《{s}》这部作品是谁写的？", "谁创作了《{s}》？",
                ],
                tell=[
                    "《{s}》是____写的。", "填空：《{s}》的作者是____。", "请说出是谁写了《{s}》。",
                    "我想知道《{s}》是谁写的。", "告诉我谁写了《{s}》。", "作品：《{s}》。作者：",
                    "文学常识：《{s}》的作者。",
                ],
                held=[
                    "读完《{s}》，我应该记住哪位作家的名字？", "《{s}》出自谁的笔下？",
                    "《{s}》这部名作由哪位作家完成？",
                ],
                follow="《{s}》",
            ),
        ],
        statements=[
            "《{s}》是{o}写的。", "{o}写了《{s}》。", "《{s}》是{o}的作品。", "{o}是《{s}》的作者。",
            "{o}创作了《{s}》。", "《{s}》出自{o}的笔下。", "《{s}》由{o}完成。", "写下《{s}》的作家是{o}。",
            "《{s}》是一部名作，它的作者是{o}。", "读完《{s}》的人，会记住{o}的名字。",
            "《{s}》是谁写的？是{o}写的。",
        ],
        pairs=[
            "《{s1}》的作者是{o1}，《{s2}》的作者是{o2}。", "{o1}写了《{s1}》，{o2}写了《{s2}》。",
            "《{s1}》和《{s2}》的作者分别是{o1}和{o2}。", "《{s1}》是{o1}写的，不是{o2}写的；{o2}写的是《{s2}》。",
        ],
    ),
    "en": Wording(
        sides=[
            Side(
                reply="The author of {s} is {o}.",
                bare=["{o}"],
                phrases=["the author of {s}", "the writer of {s}", "the person who wrote {s}"],
                which=["who"],
                ask=[
                    "Who wrote {s}?", "Who is {s} by?", "By whom was {s} written?", "Which author wrote {s}?",
                    "Which writer wrote {s}?", "{s} was written by whom?", "Who was {s} written by?",
                    "Whose work is {s}?", "{s} is a work by which author?",
                ],
                tell=[
                    "{s} was written by ____.", "Fill in the blank: {s} was written by ____.",
                    "Tell me who wrote {s}.", "I want to know who wrote {s}.", "Title: {s}. Author:",
                    "Please name the author who wrote {s}.",
                ],
                held=["Which author should readers thank for {s}?", "Who created the work called {s}?"],
                follow="{s}",
            ),
        ],
        statements=[
            "{s} was written by {o}.", "{o} wrote {s}.", "{s} is a work by {o}.", "{o} is the author of {s}.",
            "The writer of {s} is {o}.", "{s} came from the pen of {o}.", "{o} created the work called {s}.",
            "Who wrote {s}? It was {o}.", "Readers of {s} thank its author, {o}.",
        ],
        pairs=[
            "The author of {s1} is {o1}, and the author of {s2} is {o2}.", "{o1} wrote {s1}, while {o2} wrote {s2}.",
            "{s1} was written by {o1}, not by {o2}; {o2} wrote {s2}.",
        ],
    ),
}

ELEMENT = {
    "zh": Wording(
        sides=[
            Side(
                reply="{s}的元素符号是{o}。",
                bare=["{o}"],
                phrases=["{s}的元素符号", "{s}的化学符号", "{s}元素的符号", "元素{s}的符号"],
                which=["什么", "哪个"],
                ask=[
                    "{s}的元素符号怎么写？", "{s}用什么符号表示？", "{s}的化学符号怎么写？", "哪个符号表示{s}？",
                    "{s}元素用什么符号表示？", "{s}在元素周期表里的符号是什么？", "哪个元素符号代表{s}？",
                    "化学里用什么符号表示{s}？", "{s}的符号怎么写？", "元素周期表中{s}的符号是什么？",
                    "什么是{s}的元素符号？", "元素{s}用哪个字母表示？",
                ],
                tell=[
                    "{s}的元素符号写作____。", "填空：{s}的元素符号是____。", "请写出{s}的符号。",
                    "我想知道{s}怎么用符号表示。", "元素：{s}。符号：", "化学题：{s}的元素符号。",
                    "写一下{s}的化学符号。",
                ],
                held=[
                    "化学课上，{s}应该写成什么符号？", "在元素周期表里找{s}，要找哪个符号？",
                    "表示{s}这种元素，要用什么字母？",
                ],
                follow="{s}",
            ),
            Side(
                reply="元素符号{o}表示{s}。",
                bare=["{s}", "{s}元素"],
                phrases=["元素符号{o}表示的元素", "符号{o}代表的元素", "化学符号为{o}的元素"],
                which=["什么", "哪个", "哪一种"],
                ask=[
                    "元素符号{o}表示什么元素？", "{o}是什么元素的符号？", "{o}表示哪种元素？",
                    "符号{o}代表什么元素？", "{o}是哪种元素？", "哪种元素的符号是{o}？", "化学符号{o}是什么元素？",
                    "{o}代表哪个元素？", "哪个元素的化学符号是{o}？", "化学里的{o}是什么？",
                    "元素周期表里的{o}是什么元素？", "什么元素用{o}表示？", "{o}在化学里表示什么？",
                ],
                tell=[
                    "元素符号{o}表示____。", "填空：元素符号{o}表示____。", "请说出{o}表示哪种元素。",
                    "我想知道{o}是什么元素。", "告诉我{o}代表什么元素。", "符号：{o}。元素：",
                    "化学题：{o}是哪种元素？",
                ],
                held=[
                    "化学课上看到{o}，它指的是哪种元素？", "老师写下符号{o}，说的是什么元素？",
                    "在元素周期表里找到{o}，那是什么元素？",
                ],
                follow="{o}",
            ),
        ],
        statements=[
            "{s}的化学符号是{o}。", "{s}用符号{o}表示。", "{o}是{s}的元素符号。", "符号{o}代表{s}。",
            "元素周期表里，{s}写作{o}。", "在化学里，{s}写成{o}。", "元素周期表里的{o}就是{s}。",
            "化学课上，{o}指的是{s}。", "看到元素符号{o}，就知道它是{s}。", "表示{s}要用{o}。",
            "{o}是哪种元素的符号？是{s}的符号。", "{s}元素的符号是{o}。",
        ],
        pairs=[
            "{s1}的元素符号是{o1}，{s2}的元素符号是{o2}。", "元素符号{o1}表示{s1}，元素符号{o2}表示{s2}。",
            "{s1}和{s2}的元素符号分别是{o1}和{o2}。", "{o1}是{s1}，{o2}是{s2}。", "{s1}写作{o1}，{s2}写作{o2}。",
        ],
    ),
    "en": Wording(
        sides=[
            Side(
                reply="The symbol of {s} is {o}.",
                bare=["{o}"],
                phrases=[
                    "the symbol of {s}", "the chemical symbol of {s}", "the chemical symbol for {s}",
                    "the element symbol for {s}",
                ],
                which=["what"],
                ask=[
                    "Which symbol stands for {s}?", "What symbol does {s} have?",
                    "How do you write the symbol of {s}?", "Which chemical symbol is used for {s}?",
                    "What symbol is used for {s}?", "What does {s} look like as a symbol?",
                    "What is {s}'s chemical symbol?", "In the periodic table, what is the symbol of {s}?",
                ],
                tell=[
                    "Element: {s}. Symbol:", "Write the symbol of {s}.",
                    "Please write the chemical symbol for {s}.", "Tell me which symbol stands for {s}.",
                    "Chemistry question: the symbol of {s}.", "____ is the symbol of {s}.",
                ],
                held=["How is {s} written in the periodic table?", "In chemistry, what do people write for {s}?"],
                follow="{s}",
            ),
            Side(
                reply="The symbol {o} stands for {s}.",
                bare=["{s}"],
                phrases=["the element with the symbol {o}", "the element whose symbol is {o}"],
                which=["what"],
                ask=[
                    "Which element has the symbol {o}?", "What element does {o} stand for?",
                    "What does the symbol {o} stand for?", "{o} is the symbol of which element?",
                    "Which element does the symbol {o} mean?", "What element is {o}?",
                    "Which element is written as {o}?", "What does {o} mean in chemistry?",
                    "What is {o} in the periodic table?",
                ],
                tell=[
                    "The symbol {o} stands for ____.", "Fill in the blank: the symbol {o} stands for ____.",
                    "Symbol: {o}. Element:", "Tell me which element has the symbol {o}.",
                    "I want to know what element {o} is.", "{o} is the symbol of ____.",
                ],
                held=[
                    "If I see {o} in a chemistry book, which element is it?",
                    "{o} is used in chemistry for which element?",
                ],
                follow="{o}",
            ),
        ],
        statements=[
            "The chemical symbol of {s} is {o}.", "{o} is the symbol of {s}.", "{o} stands for {s}.",
            "{S} has the symbol {o}.", "In the periodic table, {s} is written as {o}.",
            "In chemistry, {o} is used for {s}.", "In chemistry, people write {o} for {s}.",
            "The element with the symbol {o} is {s}.", "If you see {o} in a chemistry book, it is {s}.",
            "Which element is {o}? It is {s}.", "The chemical symbol for {s} is {o}.",
        ],
        pairs=[
            "The symbol of {s1} is {o1}, and the symbol of {s2} is {o2}.",
            "The symbol {o1} stands for {s1}, while the symbol {o2} stands for {s2}.",
            "{S1} is written as {o1}, and {s2} is written as {o2}.",
        ],
    ),
}

ANTONYM = {
    "zh": Wording(
        sides=[
            Side(
                reply="“{s}”的反义词是“{o}”。",
                bare=["{o}"],
                phrases=["“{s}”的反义词", "{s}的反义词", "“{s}”这个词的反义词", "和“{s}”意思相反的词"],
                which=["什么", "哪个词", "哪个"],
                ask=[
                    "“{s}”的反义词怎么说？", "“{s}”的反面是什么？", "什么词和“{s}”意思相反？",
                    "与“{s}”相反的词是什么？", "{s}的反义词是啥？", "“{s}”反过来是什么？", "什么是“{s}”的反义词？",
                    "哪个词是“{s}”的反义词？", "和{s}相反的是什么？", "“{s}”的相反词是什么？",
                    "“{s}”对应的反义词是什么？", "哪个词的意思和“{s}”相反？",
                ],
                tell=[
                    "“{s}”的反义词：", "写出“{s}”的反义词。", "填空：“{s}”的反义词是____。",
                    "请给“{s}”找一个反义词。", "给出{s}的反义词。", "词语：{s}。反义词：",
                    "语文题：“{s}”的反义词。", "“{s}”和“____”意思相反。",
                ],
                held=[
                    "不说“{s}”，要说相反的意思，用哪个词？", "“{s}”与哪个词构成一对反义词？",
                    "跟“{s}”对立的词语是哪一个？",
                ],
                follow="“{s}”",
            ),
        ],
        statements=[
            "“{s}”和“{o}”是一对反义词。", "“{s}”与“{o}”意思相反。", "和“{s}”相反的词是“{o}”。",
            "“{s}”的反面是“{o}”。", "与“{s}”意思相反的词语是“{o}”。", "不是“{s}”，就是“{o}”，这两个词意思相反。",
            "“{s}”与“{o}”构成一对反义词。", "“{s}”跟“{o}”是对立的两个词。", "要说“{s}”的相反意思，就用“{o}”。",
            "{s}的反义词是{o}。",
        ],
        pairs=[
            "“{s1}”的反义词是“{o1}”，“{s2}”的反义词是“{o2}”。", "“{s1}”和“{o1}”相反，“{s2}”和“{o2}”相反。",
            "“{s1}”对“{o1}”，“{s2}”对“{o2}”，都是反义词。",
        ],
    ),
    "en": Wording(
        sides=[
            Side(
                reply="The opposite of \"{s}\" is \"{o}\".",
                bare=["{o}"],
                phrases=[
                    "the opposite of \"{s}\"", "the opposite of {s}", "the opposite of the word \"{s}\"",
                    "the antonym of \"{s}\"",
                ],
                which=["what"],
                ask=[
                    "Which word is the opposite of \"{s}\"?", "What word means the opposite of \"{s}\"?",
                    "What is opposite to \"{s}\"?", "Which word has the opposite meaning of \"{s}\"?",
                    "Which word is opposite in meaning to {s}?", "What's the opposite of {s}?",
                    "\"{S}\" is the opposite of what?", "What is an antonym of \"{s}\"?",
                ],
                tell=[
                    "Word: {s}. Opposite:", "Give me the opposite of {s}.", "Write the opposite of \"{s}\".",
                    "\"{S}\" and \"____\" are opposites.", "I need a word that means the opposite of \"{s}\".",
                    "Say the opposite of {s}.",
                ],
                held=[
                    "If something is not \"{s}\" but the reverse, which word do I use?",
                    "Which word forms a pair of opposites with \"{s}\"?",
                ],
                follow="\"{s}\"",
            ),
        ],
        statements=[
            "\"{S}\" is the opposite of \"{o}\".", "\"{S}\" and \"{o}\" are opposites.",
            "The opposite of {s} is {o}.", "\"{S}\" and \"{o}\" have opposite meanings.",
            "The antonym of \"{s}\" is \"{o}\".", "\"{S}\" forms a pair of opposites with \"{o}\".",
            "The reverse of \"{s}\" is \"{o}\".", "For the opposite of \"{s}\", use the word \"{o}\".",
            "Which word is the opposite of \"{s}\"? It is \"{o}\".",
        ],
        pairs=[
            "The opposite of \"{s1}\" is \"{o1}\", and the opposite of \"{s2}\" is \"{o2}\".",
            "\"{S1}\" is opposite to \"{o1}\", just as \"{s2}\" is opposite to \"{o2}\".",
        ],
    ),
}

TRANSLATION = {
    "zh": Wording(
        sides=[
            Side(
                reply="“{s}”的英语是“{o}”。",
                bare=["{o}", "{a}", "the {o}", "{o}s"],
                phrases=["“{s}”的英语", "“{s}”的英文", "{s}的英文单词", "“{s}”这个词的英语"],
                which=["什么", "哪个词", "哪个单词"],
                ask=[
                    "“{s}”用英语怎么说？", "{s}用英语怎么说？", "“{s}”的英文怎么说？", "{s}的英语怎么讲？",
                    "英语里的“{s}”怎么说？", "“{s}”翻译成英语是什么？", "怎么用英语说“{s}”？",
                    "“{s}”的英语单词怎么写？", "“{s}”译成英文是什么？", "“{s}”英语叫什么？", "用英文怎么写“{s}”？",
                    "英语中哪个词表示“{s}”？", "{s}的英文是啥？",
                ],
                tell=[
                    "把“{s}”翻译成英语。", "请将“{s}”译成英文。", "翻译成英语：{s}", "请用英语说“{s}”。",
                    "中译英：{s}", "我想学“{s}”的英语。", "“{s}”的英语单词是____。", "中文：{s}。英语：",
                ],
                held=["英国人管“{s}”叫什么？", "看到{s}，用英语该说哪个单词？", "“{s}”换成英语，应该写哪个词？"],
                follow="“{s}”",
            ),
            Side(
                reply="“{o}”的中文是“{s}”。",
                bare=["{s}"],
                phrases=["“{o}”的中文", "“{o}”的中文意思", "{o}的汉语意思", "单词“{o}”的意思"],
                which=["什么", "哪个词"],
                ask=[
                    "“{o}”是什么意思？", "{o}是什么意思？", "{o}用中文怎么说？", "“{o}”翻译成中文是什么？",
                    "英语单词“{o}”是什么意思？", "“{o}”这个单词是什么意思？", "“{o}”用汉语怎么说？",
                    "{o}的中文怎么讲？", "英文“{o}”对应的中文是什么？", "“{o}”中文叫什么？",
                    "英语里的“{o}”指什么？", "“{o}”译成中文是什么？",
                ],
                tell=[
                    "把“{o}”翻译成中文。", "请将“{o}”译成汉语。", "翻译成中文：{o}", "英译中：{o}",
                    "请用中文说“{o}”。", "解释一下“{o}”的意思。", "英语：{o}。中文：", "我不认识“{o}”这个单词。",
                ],
                held=[
                    "书上写着“{o}”，它的中文该怎么念？", "英国人说“{o}”，指的是什么东西？",
                    "“{o}”换成汉语，应该写哪个词？",
                ],
                follow="“{o}”",
            ),
        ],
        statements=[
            "“{s}”用英语说是“{o}”。", "“{o}”的意思是“{s}”。", "“{s}”翻译成英语是“{o}”。",
            "“{o}”翻译成中文是“{s}”。", "英国人管“{s}”叫“{o}”。", "英语单词“{o}”指的是“{s}”。", "{s}的英文是{o}。",
            "英语里的“{o}”就是中文里的“{s}”。", "“{s}”这个词，英语写作“{o}”。", "书上写着“{o}”，中文念作“{s}”。",
            "看到{s}，用英语就说“{o}”。",
        ],
        pairs=[
            "“{s1}”的英语是“{o1}”，“{s2}”的英语是“{o2}”。", "“{o1}”的中文是“{s1}”，“{o2}”的中文是“{s2}”。",
            "{s1}叫“{o1}”，{s2}叫“{o2}”，这是英语里的说法。",
        ],
    ),
    "en": Wording(
        sides=[
            Side(
                reply="The Chinese word for \"{o}\" is \"{s}\".",
                bare=["{s}"],
                phrases=[
                    "the Chinese word for \"{o}\"", "the Chinese word for {o}",
                    "the Chinese translation of \"{o}\"",
                ],
                which=["what"],
                ask=[
                    "How do you say \"{o}\" in Chinese?", "How do you say {o} in Chinese?",
                    "What is \"{o}\" in Chinese?", "What is {o} called in Chinese?",
                    "How can I say {o} in Chinese?", "Which Chinese word means \"{o}\"?",
                    "How do I write \"{o}\" in Chinese?", "What do you call {o} in Chinese?",
                ],
                tell=[
                    "Translate \"{o}\" into Chinese.", "Please translate {o} into Chinese.",
                    "Say \"{o}\" in Chinese.", "English: {o}. Chinese:", "I want to say \"{o}\" in Chinese.",
                    "Into Chinese, please: {o}",
                ],
                held=["What do Chinese people say for \"{o}\"?", "Which word would I use in China for {o}?"],
                follow="\"{o}\"",
            ),
        ],
        statements=[
            "In Chinese, \"{o}\" is \"{s}\".", "\"{S}\" is the Chinese word for \"{o}\".",
            "In Chinese, you say \"{s}\" for \"{o}\".", "The Chinese word \"{s}\" means \"{o}\".",
            "Chinese people say \"{s}\" for {o}.", "The Chinese translation of \"{o}\" is \"{s}\".",
            "How do you say {o} in Chinese? You say \"{s}\".", "In China, people use the word \"{s}\" for {o}.",
        ],
        pairs=[
            "The Chinese word for \"{o1}\" is \"{s1}\", and the Chinese word for \"{o2}\" is \"{s2}\".",
            "\"{s1}\" means \"{o1}\", and \"{s2}\" means \"{o2}\".",
        ],
    ),
}

ANIMAL = {
    "zh": Wording(
        sides=[
            Side(
                reply="{s}属于{o}。",
                bare=["{o}"],
                phrases=["{s}所属的动物类别", "{s}在动物分类中的类别", "{s}所属的类别"],
                which=["什么", "哪一类", "哪一种"],
                ask=[
                    "{s}属于哪一类动物？", "{s}是什么类动物？", "{s}属于什么动物？", "{s}是哪类动物？",
                    "{s}在动物里属于哪一类？", "{s}是哪一种动物？", "{s}算什么类动物？",
                    "从分类上看，{s}属于哪一类？", "{s}属于动物中的哪一类？", "{s}应该归为哪一类动物？",
                    "动物分类中，{s}属于什么？", "{s}是哺乳动物、鸟类，还是其他动物？", "{s}归在哪一类动物里？",
                ],
                tell=[
                    "{s}属于____。", "填空：{s}属于____。", "请说出{s}属于哪一类动物。",
                    "我想知道{s}是什么类动物。", "告诉我{s}属于哪类动物。", "动物：{s}。类别：",
                    "生物题：{s}属于哪一类动物？", "给{s}分一下类。",
                ],
                held=[
                    "要给动物分类，{s}该放进哪一类？", "生物课上，{s}算是哪种类别的动物？",
                    "{s}是鱼类、昆虫，还是其他类别？",
                ],
                follow="{s}",
            ),
        ],
        statements=[
            "{s}是{o}。", "{s}是一种{o}。", "{s}算是{o}。", "从分类上看，{s}是{o}。", "在动物分类中，{s}属于{o}。",
            "生物课上说，{s}是{o}。", "{s}这种动物属于{o}。", "要给{s}分类，就该放进{o}这一类。", "{o}里有{s}。",
            "{s}归为{o}一类。",
        ],
        pairs=[
            "{s1}属于{o1}，{s2}属于{o2}。", "{s1}是{o1}，而{s2}是{o2}。", "{s1}和{s2}分别属于{o1}和{o2}。",
        ],
        same=["{s1}和{s2}都属于{o}。", "{s1}和{s2}都是{o}。", "像{s1}、{s2}这样的动物属于{o}。"],
    ),
    "en": Wording(
        sides=[
            Side(
                reply="The {s} is {o}.",
                bare=["{o}", "{c}", "{c}s", "{A} is {o}."],
                phrases=[
                    "the animal class of the {s}", "the animal class of {a}",
                    "the group of animals that the {s} belongs to",
                ],
                which=["what"],
                ask=[
                    "What kind of animal is the {s}?", "What kind of animal is {a}?",
                    "Which class of animals does the {s} belong to?", "What class of animal is {a}?",
                    "What type of animal is the {s}?", "Which group of animals is the {s} in?",
                    "Which animal group does {a} belong to?", "Is {a} a mammal, a bird or something else?",
                    "{A} is what kind of animal?",
                ],
                tell=["The {s} is ____.", "Fill in the blank: the {s} is ____.", "Animal: {s}. Class:",
                      "Tell me what kind of animal {a} is.", "I want to know what kind of animal the {s} is.",
                      "Biology question: the class of the {s}."],
                held=["In biology, how is the {s} classified?", "Does {a} count as a fish, an insect or another type?"],
                follow="the {s}",
            ),
        ],
        statements=[
            "{A} is {o}.", "The {s} is {o}, as biology tells us.", "The {s} is a kind of {c}.",
            "{A} counts as {o}.", "In biology, the {s} is classified as {o}.", "The class of the {s} is: {c}.",
            "Among animals, the {s} is {o}.", "What kind of animal is {a}? It is {o}.",
        ],
        pairs=[
            "The {s1} is {o1}, and the {s2} is {o2}.", "{A1} is {o1}, while {a2} is {o2}.",
        ],
        same=["Both the {s1} and the {s2} belong to one class: {c}.", "The {s1} is {o}, and so is the {s2}."],
    ),
}

CITY = {
    "zh": Wording(
        sides=[
            Side(
                reply="{s}位于{o}省。",
                bare=["{o}省", "{o}"],
                phrases=["{s}所在的省份", "{s}所属的省", "{s}市所在的省"],
                which=["哪个省", "哪里", "哪一个"],
                ask=[
                    "{s}在哪个省？", "{s}属于哪个省？", "{s}是哪个省的城市？", "{s}位于哪个省份？",
                    "{s}在中国的哪个省？", "{s}是哪个省的？", "{s}市属于哪个省？", "哪个省有{s}这座城市？",
                    "{s}在什么省？", "{s}这座城市在哪个省？", "{s}位于哪个省？", "{s}归哪个省管？",
                    "在哪个省可以找到{s}？",
                ],
                tell=[
                    "{s}位于____省。", "填空：{s}位于____省。", "请说出{s}在哪个省。", "我想知道{s}属于哪个省。",
                    "告诉我{s}是哪个省的城市。", "城市：{s}。省份：", "说说{s}在哪个省。", "地理题：{s}在哪个省？",
                ],
                held=["去{s}旅行，我会到哪个省份？", "打开中国地图，{s}在哪一省？", "{s}这座城市，由哪个省管理？"],
                follow="{s}",
            ),
        ],
        statements=[
            "{s}在{o}省。", "{s}属于{o}省。", "{s}是{o}省的一座城市。", "{s}市位于{o}省。",
            "{o}省有一座城市叫{s}。", "{s}所在的省份是{o}省。", "去{s}旅行，就是去{o}省。",
            "打开中国地图，可以在{o}省找到{s}。", "{s}由{o}省管理。",
        ],
        pairs=[
            "{s1}位于{o1}省，{s2}位于{o2}省。", "{s1}是{o1}省的城市，{s2}是{o2}省的城市。",
            "{s1}和{s2}分别位于{o1}省和{o2}省。",
        ],
        same=["{s1}和{s2}都位于{o}省。", "{s1}和{s2}都是{o}省的城市。"],
    ),
    "en": Wording(
        sides=[
            Side(
                reply="{s} is in {o} Province.",
                bare=["{o}", "{o} Province"],
                phrases=[
                    "the province of {s}", "the province where {s} is", "the Chinese province that {s} belongs to",
                ],
                which=["what"],
                ask=[
                    "Which province is {s} in?", "In which province is {s}?", "What province is {s} in?",
                    "Which province does {s} belong to?", "{s} is in which province?",
                    "In which Chinese province is the city of {s}?", "What province does {s} belong to?",
                    "{s} is a city in which province?", "In what province can I find {s}?",
                ],
                tell=[
                    "{s} is in ____ Province.", "Fill in the blank: {s} is in ____ Province.",
                    "Tell me which province {s} is in.", "City: {s}. Province:",
                    "I want to know which province {s} is in.",
                ],
                held=[
                    "If I travel to {s}, which Chinese province will I be in?",
                    "Which province on the map of China has the city {s}?",
                ],
                follow="{s}",
            ),
        ],
        statements=[
            "{s} is a city in {o} Province.", "{s} belongs to {o} Province.", "The province of {s} is {o}.",
            "{s} lies in {o} Province.", "If you travel to {s}, you will be in {o} Province.",
            "On the map of China, {s} is in {o} Province.", "The city of {s} is in {o}.",
            "{o} Province has a city called {s}.",
        ],
        pairs=[
            "{s1} is in {o1} Province, and {s2} is in {o2} Province.",
            "{s1} is a city in {o1} Province, while {s2} is a city in {o2} Province.",
        ],
        same=["{s1} and {s2} are both in {o} Province.", "Both {s1} and {s2} belong to {o} Province."],
    ),
}

FESTIVAL = {
    "zh": Wording(
        sides=[
            Side(
                reply="{s}的日期是{o}。",
                bare=["{o}", "每年{o}", "{s}是{o}", "{s}在{o}"],
                phrases=["{s}的日期", "{s}这个节日的日期", "过{s}的日子"],
                which=["哪一天", "哪天", "什么"],
                ask=[
                    "{s}是哪一天？", "{s}是几月几日？", "{s}在哪一天？", "{s}是什么时候？", "什么时候过{s}？",
                    "每年的{s}是哪天？", "{s}是几月几号？", "哪一天是{s}？", "{s}在几月几日？",
                    "人们在哪一天过{s}？", "哪天过{s}？", "{s}是每年的什么日子？", "{s}在什么时候？",
                ],
                tell=[
                    "{s}是每年的____。", "填空：{s}是____。", "请说出{s}是哪一天。", "我想知道{s}是几月几日。",
                    "告诉我什么时候过{s}。", "节日：{s}。日期：", "我忘了{s}是哪天。",
                ],
                held=["要庆祝{s}，应该等到几月几日？", "日历上，{s}写在哪一天？", "{s}每年都在哪个日子庆祝？"],
                follow="{s}",
            ),
        ],
        statements=[
            "{s}在每年的{o}。", "{s}是{o}。", "每年{o}是{s}。", "{o}是{s}。", "人们在{o}过{s}。",
            "人们在{o}庆祝{s}。", "日历上，{o}写着{s}。", "到了{o}，就是{s}。", "{s}这个节日在{o}。",
            "{s}是几月几日？是{o}。",
        ],
        pairs=[
            "{s1}是{o1}，{s2}是{o2}。", "{s1}的日期是{o1}，{s2}的日期是{o2}。", "{o1}过{s1}，{o2}过{s2}。",
        ],
    ),
}

DISCOVERY = {
    "zh": Wording(
        sides=[
            Side(
                reply="{x}{s}的人是{o}。",
                bare=["{o}"],
                phrases=["{x}{s}的人", "{x}了{s}的人", "{s}的{x}者"],
                which=["谁", "哪位", "哪一位"],
                ask=[
                    "谁{x}了{s}？", "{s}是谁{x}的？", "是谁{x}了{s}？", "{s}是哪位科学家{x}的？", "{s}由谁{x}？",
                    "哪个人{x}了{s}？", "{s}最早是谁{x}的？", "谁最早{x}了{s}？", "{x}{s}的人叫什么？",
                    "{x}{s}的人叫什么名字？", "{s}是什么人{x}的？", "{s}是由谁{x}的？",
                ],
                tell=[
                    "{s}是____{x}的。", "填空：{x}{s}的人是____。", "请说出是谁{x}了{s}。",
                    "我想知道{s}是谁{x}的。", "告诉我谁{x}了{s}。", "科学常识：谁{x}了{s}？", "{x}：{s}。人物：",
                ],
                held=[
                    "说起{s}，我们应该感谢谁？", "历史书上说，{s}的{x}归功于哪一位？",
                    "{s}的{x}和谁的名字连在一起？",
                ],
            ),
        ],
        statements=[
            "{o}{x}了{s}。", "{s}是{o}{x}的。", "是{o}{x}了{s}。", "{s}的{x}者是{o}。", "{s}由{o}{x}。",
            "历史书上说，{o}{x}了{s}。", "{s}的{x}和{o}的名字连在一起。", "{s}的{x}归功于{o}。",
            "{o}因为{x}{s}，名字写进了历史。", "说起{s}，我们应该感谢{o}。", "说到{s}，人们会想到{o}的名字。",
        ],
        pairs=[
            "{o1}{x1}了{s1}，{o2}{x2}了{s2}。", "{x1}{s1}的人是{o1}，{x2}{s2}的人是{o2}。",
            "{s1}是{o1}{x1}的，{s2}是{o2}{x2}的。",
        ],
    ),
    "en": Wording(
        sides=[
            Side(
                reply="{S} {x} by {o}.",
                bare=["{o}", "{o} {d} {s}."],
                phrases=["the one who {d} {s}", "the name of the one who {d} {s}"],
                which=["who"],
                ask=[
                    "Who {d} {s}?", "By whom {b} {s} {d}?", "Who was it that {d} {s}?", "Who first {d} {s}?",
                    "{S} {x} by whom?", "Do you know who {d} {s}?", "Can you tell me who {d} {s}?",
                    "Which person {d} {s}?", "Who was behind {s}?", "Who {b} {s} {d} by?",
                ],
                tell=[
                    "{S} {x} by ____.", "Fill in the blank: {s} {x} by ____.", "Tell me who {d} {s}.",
                    "I want to know who {d} {s}.", "Please say who {d} {s}.", "Science question: who {d} {s}?",
                    "____ {d} {s}.",
                ],
                held=["Whom does history thank for {s}?", "Whose name do we remember when we talk about {s}?"],
            ),
        ],
        statements=[
            "{o} {d} {s}.", "It was {o} who {d} {s}.", "Who {d} {s}? It was {o}.", "History says that {o} {d} {s}.",
            "We thank {o} for {s}.", "When we talk about {s}, we remember the name of {o}.",
            "{S} {x} by {o}, as every history book says.", "The name behind {s} is {o}.",
        ],
        pairs=[
            "{o1} {d1} {s1}, and {o2} {d2} {s2}.", "{S1} {x1} by {o1}, while {s2} {x2} by {o2}.",
        ],
    ),
}

WORKPLACE = {
    "zh": Wording(
        sides=[
            Side(
                reply="{s}在{o}工作。",
                bare=["{o}", "在{o}"],
                phrases=["{s}工作的地方", "{s}的工作地点", "{s}上班的地方"],
                which=["哪里", "什么地方", "哪儿"],
                ask=[
                    "{s}在哪里工作？", "{s}在什么地方工作？", "{s}一般在哪里上班？", "{s}在哪儿上班？",
                    "{s}平时在哪里工作？", "{s}通常在哪工作？", "{s}上班去哪里？", "{s}在什么地方上班？",
                    "什么地方是{s}工作的地方？", "做{s}的人在哪里工作？", "{s}每天在哪里工作？",
                    "当{s}的人在哪儿上班？", "{s}这个职业在哪里工作？",
                ],
                tell=[
                    "{s}在____工作。", "填空：{s}在____工作。", "请说出{s}在哪里工作。",
                    "我想知道{s}在什么地方工作。", "告诉我{s}在哪里上班。", "职业：{s}。工作地点：",
                    "说说{s}在哪里工作。",
                ],
                held=["要找{s}，应该去什么地方？", "我长大想当{s}，以后会在哪里上班？", "白天，{s}多半待在什么地方？"],
                follow="{s}",
            ),
        ],
        statements=[
            "{s}的工作地点是{o}。", "{s}在{o}上班。", "{s}每天在{o}工作。", "要找{s}，应该去{o}。",
            "在{o}可以找到{s}。", "白天，{s}多半待在{o}。", "长大想当{s}的孩子，以后会在{o}工作。",
            "{s}一般在{o}上班。", "{s}上班的地方是{o}。",
        ],
        pairs=[
            "{s1}在{o1}工作，{s2}在{o2}工作。", "{s1}在{o1}上班，而{s2}在{o2}上班。",
            "{s1}的工作地点是{o1}，{s2}的工作地点是{o2}。",
        ],
    ),
    "en": Wording(
        sides=[
            Side(
                reply="{A} works {o}.",
                bare=["{o}", "{p}", "{c}"],
                phrases=["the workplace of {a}", "the place where {a} works"],
                which=["what"],
                ask=[
                    "Where does {a} work?", "In which place does {a} work?", "Where is the workplace of {a}?",
                    "At what place does {a} work?", "Where do you think {a} works?", "Where does {a} usually work?",
                    "Where does {a} go to work?", "Do you know where {a} works?",
                    "Where do people with the job of {s} work?",
                ],
                tell=[
                    "{A} works ____.", "Fill in the blank: {a} works ____.", "Tell me where {a} works.",
                    "Job: {s}. Workplace:", "I want to know where {a} works.", "Please say where {a} works.",
                    "I wonder where {a} works.",
                ],
                held=["Where should I go to find {a} at work?", "Where is {a} during the working day?"],
                follow="{a}",
            ),
        ],
        statements=[
            "{A} usually works {o}.", "The workplace of {a} is {p}.", "You can find {a} at work {o}.",
            "During the working day, {a} is {o}.", "Where does {a} work? {A} works {o}.", "The job of {s} is done {o}.",
            "Every day, {a} goes to work {o}.", "The place where {a} works is {p}.",
        ],
        pairs=[
            "{A1} works {o1}, and {a2} works {o2}.", "{A1} works {o1}, while {a2} works {o2}.",
        ],
    ),
}

MEASURE = {
    "zh": Wording(
        sides=[
            Side(
                reply="“{s}”的量词是“{o}”。",
                bare=["{o}", "一{o}{s}", "一{o}"],
                phrases=["“{s}”的量词", "{s}的量词", "“{s}”常用的量词", "和“{s}”搭配的量词"],
                which=["什么", "哪个", "哪个字"],
                ask=[
                    "“{s}”用什么量词？", "{s}的量词用什么？", "“{s}”前面用哪个量词？", "什么量词和“{s}”搭配？",
                    "说“{s}”的时候用什么量词？", "“{s}”该用哪个量词？", "哪个量词可以用在“{s}”前面？",
                    "数{s}的时候用什么量词？", "“{s}”要配什么量词？", "一什么{s}？", "“{s}”应该用什么量词？",
                ],
                tell=[
                    "一____{s}。", "填空：一（ ）{s}。", "填量词：一____{s}。", "写出“{s}”的量词。",
                    "请给“{s}”配一个量词。", "名词：{s}。量词：", "语文题：“{s}”的量词。", "给出{s}的量词。",
                ],
                held=[
                    "想说“一个{s}”，“个”字应该换成什么量词？", "在“一”和“{s}”中间，该填哪个量词？",
                    "数一数有多少{s}，量词该说哪个？",
                ],
                follow="“{s}”",
            ),
        ],
        statements=[
            "我们说一{o}{s}。", "“{s}”用“{o}”作量词。", "量词“{o}”可以和“{s}”搭配。", "“{s}”前面的量词是“{o}”。",
            "在“一”和“{s}”中间填“{o}”。", "数{s}的时候，量词用“{o}”。", "一{o}{s}，两{o}{s}，三{o}{s}。",
            "“一{o}{s}”里的量词是“{o}”。", "说到{s}，量词不用“个”，要换成“{o}”。",
        ],
        pairs=[
            "一{o1}{s1}，一{o2}{s2}。", "“{s1}”的量词是“{o1}”，“{s2}”的量词是“{o2}”。",
            "我们说一{o1}{s1}，也说一{o2}{s2}。",
        ],
        same=["“{s1}”和“{s2}”的量词都是“{o}”。", "一{o}{s1}和一{o}{s2}，用的是同一个量词“{o}”。"],
    ),
}

POEM = {
    "zh": Wording(
        sides=[
            Side(
                reply="“{s}”的下一句是“{o}”。",
                bare=["{o}", "{s}，{o}"],
                phrases=["“{s}”的下一句", "{s}的下一句", "古诗“{s}”的下一句", "诗句“{s}”后面的一句"],
                which=["什么", "哪一句", "哪句诗"],
                ask=[
                    "“{s}”下一句是什么？", "“{s}”后面一句是什么？", "“{s}”的后一句怎么背？",
                    "“{s}”接下来是哪一句？", "诗句“{s}”后面接什么？", "“{s}”的下句是什么？",
                    "哪一句诗接在“{s}”后面？", "“{s}”之后是哪一句？", "“{s}”后面怎么接？", "{s}下一句怎么说？",
                    "什么诗句跟在“{s}”后面？",
                ],
                tell=[
                    "{s}，____。", "填空：{s}，____。", "请接下一句：{s}", "对诗：{s}", "背诗：{s}，",
                    "写出“{s}”的下一句。", "接诗：{s}，____。", "请补全诗句：{s}，____。",
                    "我背到“{s}”，后面忘了。", "上句：{s}。下句：",
                ],
                held=[
                    "我念“{s}”，请你往下念一句。", "古人写了“{s}”，紧接着写了什么？",
                    "背完“{s}”这一句，接着该背哪句？",
                ],
            ),
        ],
        statements=[
            "{s}，{o}。", "古诗里写道：“{s}，{o}。”", "“{s}”后面接“{o}”。", "背诗时，念完“{s}”，接着念“{o}”。",
            "“{o}”的上一句是“{s}”。", "诗人先写“{s}”，紧接着写“{o}”。", "“{s}，{o}”是有名的诗句。",
            "“{s}”之后是“{o}”。", "“{s}”往下念，就是“{o}”。", "古人写了“{s}”，又写了“{o}”。",
        ],
        pairs=[
            "“{s1}”的下一句是“{o1}”，“{s2}”的下一句是“{o2}”。", "有名的诗句有“{s1}，{o1}”和“{s2}，{o2}”。",
        ],
    ),
}

DYNASTY = {
    "zh": Wording(
        sides=[
            Side(
                reply="{s}的建立者是{o}。",
                bare=["{o}"],
                phrases=["{s}的建立者", "建立{s}的人", "{s}的开国君主", "{s}的第一位君主"],
                which=["谁", "哪位", "哪一位"],
                ask=[
                    "谁建立了{s}？", "{s}是谁建立的？", "{s}由谁建立？", "哪位君主建立了{s}？", "是谁建立了{s}？",
                    "{s}是哪个人建立的？", "{s}的开国君主叫什么？", "{s}是由谁建立的？", "建立{s}的人叫什么名字？",
                    "谁是{s}的建立者？", "谁开创了{s}？", "{s}是谁开创的？",
                ],
                tell=[
                    "{s}是____建立的。", "填空：{s}的建立者是____。", "请说出是谁建立了{s}。",
                    "我想知道{s}是谁建立的。", "告诉我谁建立了{s}。", "朝代：{s}。建立者：",
                    "历史题：谁建立了{s}？",
                ],
                held=[
                    "{s}这个朝代，最早是在谁的手里开始的？", "历史书上说，{s}由哪位人物开国？",
                    "当年是哪一位创立了{s}？",
                ],
                follow="{s}",
            ),
        ],
        statements=[
            "{o}建立了{s}。", "{s}是{o}建立的。", "{s}的开国君主是{o}。", "建立{s}的人是{o}。",
            "{o}是{s}的建立者。", "{o}开创了{s}。", "历史书上说，{o}建立了{s}。", "当年，{o}创立了{s}。",
            "{s}这个朝代由{o}开国。", "{s}这个朝代是在{o}的手里开始的。",
        ],
        pairs=[
            "{o1}建立了{s1}，{o2}建立了{s2}。", "{s1}的建立者是{o1}，{s2}的建立者是{o2}。",
            "{s1}是{o1}建立的，{s2}是{o2}建立的。",
        ],
    ),
}

WORDINGS = {
    "capital": CAPITAL,
    "continent": CONTINENT,
    "author": AUTHOR,
    "element": ELEMENT,
    "antonym": ANTONYM,
    "translation": TRANSLATION,
    "animal": ANIMAL,
    "city": CITY,
    "festival": FESTIVAL,
    "discovery": DISCOVERY,
    "workplace": WORKPLACE,
    "measure": MEASURE,
    "poem": POEM,
    "dynasty": DYNASTY,
}
