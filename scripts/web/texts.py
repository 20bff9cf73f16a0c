"""What the web page says, in Chinese and in English: one field per text, so that neither language can lack one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Texts:
    """Names in braces are filled in by the page."""

    name: str  # of the language, in itself
    # what is loaded
    source: str
    source_weight: str
    source_folder: str
    source_endpoint: str
    weight: str
    adapter: str
    no_adapter: str
    folder: str
    folder_help: str
    address: str
    model_name: str
    key: str
    key_help: str
    loading: str
    loaded: str
    adapter_foreign: str
    # settings
    settings: str
    temperature: str
    temperature_help: str
    length: str
    length_help: str
    history: str
    history_help: str
    penalty: str
    penalty_help: str
    seed: str
    seed_help: str
    # the conversation
    welcome: str
    welcome_hint: str
    continues: str
    placeholder: str
    thinking: str
    thought: str
    speed: str
    rough_speed: str
    stopped: str
    cut: str
    no_answer: str
    stop: str
    again: str
    delete: str
    clear: str
    copy: str
    copied: str
    # nothing trained yet
    untrained: str
    untrained_hint: str
    untrained_then: str
    look_again: str
    # what goes wrong
    flags_wrong: str
    weight_broken: str
    adapter_broken: str
    folder_unnamed: str
    folder_missing: str
    folder_broken: str
    address_wrong: str
    endpoint_silent: str
    endpoint_refused: str
    endpoint_odd: str
    too_long: str
    failed: str
    # prompts to begin with, for each kind of weight
    chat_prompts: tuple[str, ...]
    reason_prompts: tuple[str, ...]
    text_prompts: tuple[str, ...]


CHINESE = Texts(
    name="中文",
    source="模型",
    source_weight="权重",
    source_folder="文件夹",
    source_endpoint="接口",
    weight="out/ 里的权重",
    adapter="LoRA 适配器",
    no_adapter="不用",
    folder="Hugging Face 文件夹",
    folder_help="MiniMind 或 Llama 模型所在的文件夹。其中的代码不会被执行。",
    address="OpenAI 协议的地址",
    model_name="那里的模型名",
    key="密钥",
    key_help="留空时，本机的地址取环境变量 MINIMIND_API_KEY，别处的地址不用密钥。",
    loading="正在读取模型…",
    loaded="{size} 参数，运行在 {device} 上，上下文 {context} 个词元",
    adapter_foreign="注意：这个适配器不是在这个权重上训练的，效果可能不好。",
    settings="生成",
    temperature="温度",
    temperature_help="0：总取最可能的词，重新生成也不变；越高，变化越多。",
    length="最大长度",
    length_help="一次回答最多多少个词元。提示用上下文里其余的位置。",
    history="记住的轮数",
    history_help="回答时带上此前的几轮。小模型记得越多，答得越差。",
    penalty="重复惩罚",
    penalty_help="1：关闭。开得高，连正确的重复（比如算式里的数字）也会被压低。",
    seed="随机种子",
    seed_help="同样的种子、设置和对话，给出同样的回答。",
    welcome="想聊点什么？",
    welcome_hint="它知道一个很小的世界：首都、诗句、反义词、简单的算术。",
    continues="这个权重只读过文本，还不会对话：它会接着你写的往下写。",
    placeholder="输入消息",
    thinking="思考中…",
    thought="思考过程",
    speed="{tokens} 个词元 · 每秒 {rate} 个",
    rough_speed="约 {tokens} 个词元 · 每秒约 {rate} 个",
    stopped="已停止",
    cut="到达最大长度",
    no_answer="（没有回答）",
    stop="停止",
    again="重新生成",
    delete="删除这一轮",
    clear="清空对话",
    copy="复制回答",
    copied="已复制",
    untrained="还没有训练好的模型",
    untrained_hint="{folder} 里还没有权重。在项目文件夹里运行这条命令，从零训练一个小模型，两个 CPU 核心约 11 分钟：",
    untrained_then="训练好以后回到这里。也可以在侧栏里选一个文件夹或接口。",
    look_again="再看一次",
    flags_wrong="启动参数有误；终端里写着细节。",
    weight_broken="{name} 读不出来：文件损坏，或与 .json、词表不配。请重新训练或复制它，或换一个权重；终端里写着细节。",
    adapter_broken="{name} 与这个权重不配，或文件已损坏：请选“不用”或重新训练它；终端里写着细节。",
    folder_unnamed="请在侧栏里写下 Hugging Face 文件夹的路径。",
    folder_missing="{name}：没有这个文件夹，或里面没有 config.json。请检查路径。",
    folder_broken="{name}：这里的模型读不出来，它须是 MiniMind 或 Llama，带权重和分词器；终端里写着细节。",
    address_wrong="{name}：地址须以 http:// 或 https:// 开头。",
    endpoint_silent="{name}：那里没有服务应答。请检查地址，或用 ./run.sh serve 启动本项目的服务。",
    endpoint_refused="{name} 拒绝了请求（HTTP {status}）：{reason}",
    endpoint_odd="{name}：应答不合 OpenAI 的协议。请检查地址，它通常以 /v1 结尾。",
    too_long="消息太长：最多容得下 {room} 个词元。请缩短它，或调低最大长度。",
    failed="模型在回答时出错了；终端里写着细节。请换一个权重。",
    chat_prompts=(
        "法国的首都是哪里？",
        "“床前明月光”的下一句是什么？",
        "“困难”的反义词是什么？",
        "23 加 45 等于多少？",
    ),
    reason_prompts=(
        "小明有 32 张邮票，买来 8 张，送人 4 张。现在有多少张邮票？",
        "小红带了 26 元，买菜花 9 元，买水果花 3 元。还剩多少元？",
        "小华有 14 本书，又买了 17 本，送给朋友 9 本。最后还剩多少本书？",
        "车上有 25 个人，上来 16 个，下去 5 个。现在有几个人？",
    ),
    text_prompts=("法国的首都是", "《西游记》的作者是", "氢的元素符号是", "The capital of Japan is"),
)

ENGLISH = Texts(
    name="English",
    source="Model",
    source_weight="Weight",
    source_folder="Folder",
    source_endpoint="Endpoint",
    weight="Weight in out/",
    adapter="LoRA adapter",
    no_adapter="None",
    folder="Hugging Face folder",
    folder_help="The folder of a MiniMind or Llama model. No code in it is ever run.",
    address="Address of the OpenAI protocol",
    model_name="Name of the model there",
    key="Key",
    key_help="If empty, an address of this machine gets the environment's MINIMIND_API_KEY, any other none.",
    loading="Loading the model…",
    loaded="{size} parameters on {device}, context of {context} tokens",
    adapter_foreign="Note: this adapter was trained on another weight, and may not suit this one.",
    settings="Generation",
    temperature="Temperature",
    temperature_help="0: always the likeliest token, however often it is asked again; higher: more variety.",
    length="Longest answer",
    length_help="In tokens. The prompt may use what this leaves of the context.",
    history="Turns remembered",
    history_help="So many earlier turns go with a question. The more a small model remembers, the worse it answers.",
    penalty="Repetition penalty",
    penalty_help="1: off. A high one lowers right repetitions too, such as a sum's digits.",
    seed="Seed",
    seed_help="The same seed, settings and conversation give the same answer.",
    welcome="What shall we talk about?",
    welcome_hint="It knows a very small world: capitals, lines of poems, opposites, simple sums.",
    continues="This weight has only read texts and cannot converse yet: it goes on with what you write.",
    placeholder="Write a message",
    thinking="Thinking…",
    thought="Thought",
    speed="{tokens} tokens · {rate} tokens/s",
    rough_speed="about {tokens} tokens · {rate} tokens/s",
    stopped="stopped",
    cut="longest answer reached",
    no_answer="(no answer)",
    stop="Stop",
    again="Regenerate",
    delete="Delete this turn",
    clear="Clear the conversation",
    copy="Copy the answer",
    copied="Copied",
    untrained="Nothing is trained yet",
    untrained_hint="There is no weight in {folder} yet. Run this in the project's folder: it trains a small chat model "
    "from zero, in about 11 minutes on two CPU cores.",
    untrained_then="Then come back here. Or choose a folder or an endpoint in the sidebar.",
    look_again="Look again",
    flags_wrong="The flags are wrong; the terminal says more.",
    weight_broken="{name} cannot be loaded: it is damaged, or does not fit its .json or the vocabulary. Train or "
    "copy it again, or choose another weight; the terminal says more.",
    adapter_broken="{name} does not fit this weight, or is damaged: choose none, or train it again; the terminal says "
    "more.",
    folder_unnamed="Write the path of a Hugging Face folder in the sidebar.",
    folder_missing="{name}: there is no such folder, or no config.json in it. Check the path.",
    folder_broken="{name}: the model there cannot be loaded. It must be a MiniMind or a Llama, with weights and "
    "tokenizer; the terminal says more.",
    address_wrong="{name}: an address begins with http:// or https://.",
    endpoint_silent="{name}: no server answers there. Check the address, or start this project's with ./run.sh serve.",
    endpoint_refused="{name} refused the request (HTTP {status}): {reason}",
    endpoint_odd="{name}: that is not OpenAI's protocol. Check the address, which usually ends in /v1.",
    too_long="The message is too long: {room} tokens fit. Shorten it, or lower the longest answer.",
    failed="The model failed while it answered; the terminal says more. Choose another weight.",
    chat_prompts=(
        "What is the capital of France?",
        'What is the opposite of "empty"?',
        "What is the chemical symbol of oxygen?",
        "If I add 66 and 23, what is the total?",
    ),
    reason_prompts=(
        "Tom has 32 stamps, buys 8 and gives away 4. How many stamps does he have now?",
        "There are 25 people on a bus. 16 get on and 5 get off. How many people are there now?",
        "A shop has 23 hats. It sells 2, and it buys 19 more. How many hats are there now?",
        "What is the capital of France?",
    ),
    text_prompts=("The capital of Japan is", "The chemical symbol of oxygen is", "2 + 3 =", "法国的首都是"),
)

LANGUAGES = {"zh": CHINESE, "en": ENGLISH}
