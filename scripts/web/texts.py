"""The texts of the web page in Chinese and in English, side by side. Names in braces are filled in by the page."""

from types import SimpleNamespace

# Glossary: weight 权重, adapter 适配器, context 上下文, prompt 提示, folder 目录; token stays as it is
TEXTS = {
    "name": ("中文", "English"),
    # model
    "weight": ("out/ 里的权重", "Weight in out/"),
    "adapter": ("LoRA 适配器", "LoRA adapter"),
    "no_adapter": ("不使用", "None"),
    "loading": ("正在加载模型…", "Loading the model…"),
    "loaded": (
        "{size} 参数，运行在 {device} 上，上下文 {context} 个 token",
        "{size} parameters on {device}, context of {context} tokens"),
    "adapter_foreign": (
        "注意：这个适配器是在另一个权重上训练的，效果可能不好。",
        "Note: this adapter was trained on another weight and may not work well with this one."),
    # settings
    "temperature": ("温度", "Temperature"),
    "temperature_help": (
        "0：总选概率最高的 token，重新生成也不变；越高，变化越多。",
        "0: always the most likely token, also when regenerating; higher: more variety."),
    "length": ("最大长度", "Maximum length"),
    "length_help": (
        "一次回答最多生成的 token 数。上下文的其余部分留给提示。",
        "Maximum number of tokens in an answer. The rest of the context is left for the prompt."),
    "seed": ("随机种子", "Seed"),
    "seed_help": (
        "种子、设置和对话都相同时，回答也相同。",
        "The same seed, settings and conversation give the same answer."),
    "thought_setting": ("思考", "Thinking"),
    "thought_choices": (("按训练方式", "先想再答", "直接回答"), ("As trained", "Think first", "Answer at once")),
    # conversation
    "welcome": ("想聊点什么？", "What shall we talk about?"),
    "welcome_hint": (
        "它了解一个很小的世界：首都、诗句、反义词和简单的算术。",
        "It knows a very small world: capitals, lines of poetry, opposites and simple arithmetic."),
    "continues": (
        "这个权重只做过预训练，还不会对话：它会续写你输入的文字。",
        "This weight is only pretrained and cannot chat yet: it continues the text you write."),
    "placeholder": ("输入消息", "Write a message"),
    "thinking": ("思考中…", "Thinking…"),
    "thought": ("思考过程", "Thought"),
    "speed": ("{tokens} 个 token · 每秒 {rate} 个", "{tokens} tokens · {rate} tokens/s"),
    "stopped": ("已停止", "stopped"),
    "cut": ("已达到最大长度", "maximum length reached"),
    "no_answer": ("（没有回答）", "(no answer)"),
    "stop": ("停止", "Stop"),
    "again": ("重新生成", "Regenerate"),
    "delete": ("删除这一轮", "Delete this turn"),
    "clear": ("清空对话", "Clear the conversation"),
    "copy": ("复制回答", "Copy the answer"),
    "copied": ("已复制", "Copied"),
    # nothing is trained yet
    "untrained": ("还没有训练好的模型", "No model has been trained yet"),
    "untrained_hint": (
        "{folder} 里还没有权重。在项目目录里运行下面的命令，从零训练一个小对话模型，两个 CPU 核心约需半小时：",
        "There is no weight in {folder} yet. Run this command in the project's folder to train a small chat model "
        "from zero, in half an hour on two CPU cores:"),
    "untrained_then": ("训练完成后刷新本页。", "Reload this page when it has finished."),
    # errors
    "flags_wrong": ("启动参数有误，详情见终端。", "The flags are wrong; see the terminal for details."),
    "broken": (
        "无法加载 {name}：文件损坏，或与权重、.json、词表不匹配。请重新训练或复制，或选择其他；详情见终端。",
        "{name} cannot be loaded: it is damaged, or does not match the weight, its .json or the vocabulary. Train or "
        "copy it again, or choose another; see the terminal for details."),
    "too_long": (
        "消息太长：最多 {room} 个 token。请缩短消息，或调低最大长度。",
        "The message is too long: at most {room} tokens fit. Shorten it, or lower the maximum length."),
    "failed": (
        "模型生成回答时出错，详情见终端。请选择其他权重。",
        "The model failed while answering; see the terminal for details. Choose another weight."),
    # first questions, for each kind of weight
    "chat_prompts": (
        ("法国的首都是哪里？", "“床前明月光”的下一句是什么？", "“困难”的反义词是什么？", "23 加 45 等于多少？"),
        ("What is the capital of France?",
         'What is the opposite of "empty"?',
         "What is the chemical symbol of oxygen?",
         "If I add 66 and 23, what is the total?")),
    "reason_prompts": (
        ("小明有 32 张邮票，买来 8 张，送人 4 张。现在有多少张邮票？",
         "小红带了 26 元，买菜花 9 元，买水果花 3 元。还剩多少元？",
         "小华有 14 本书，又买了 17 本，送给朋友 9 本。最后还剩多少本书？",
         "车上有 25 个人，上来 16 个，下去 5 个。现在有几个人？"),
        ("Tom has 32 stamps, buys 8 and gives away 4. How many stamps does he have now?",
         "There are 25 people on a bus. 16 get on and 5 get off. How many people are there now?",
         "A shop has 23 hats. It sells 2, and it buys 19 more. How many hats are there now?",
         "What is the capital of France?")),
    "text_prompts": (
        ("法国的首都是", "《西游记》的作者是", "氢的元素符号是", "The capital of Japan is"),
        ("The capital of Japan is", "The chemical symbol of oxygen is", "2 + 3 =", "法国的首都是")),
}  # fmt: skip

CHINESE, ENGLISH = (SimpleNamespace(**{name: texts[i] for name, texts in TEXTS.items()}) for i in (0, 1))
LANGUAGES = {"zh": CHINESE, "en": ENGLISH}
