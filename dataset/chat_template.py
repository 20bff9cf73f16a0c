"""The two chat formats that are known here, each also as a Jinja template for others, in a .jinja file beside this one.

    minimind   an answer is its text, after <think>…</think> where the message has a thought; what a tool returns is a
               turn of the role "tool"
    qwen3      the format of Qwen3 and MiniMind-3: every answer begins with a thought, which may be empty; what tools
               return is a user turn, each result between <tool_response> tags

A tokenizer's `chat_template` says which one its weights speak. Both offer functions in the words of Qwen's template.
"""

from pathlib import Path

TOOLS_HEAD = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n"
)
TOOLS_TAIL = (
    "</tools>\n\nFor each function call, return a json object with function name and arguments within "
    '<tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n'
    "</tool_call>"
)
NO_THOUGHT = "<think>\n\n</think>\n\n"


def read_template(name: str) -> str:
    """The template in a .jinja file, whose lines and indentation are for its readers, with the texts above in it."""
    lines = Path(__file__).with_name(f"{name}.jinja").read_text("utf-8").splitlines()
    template = "".join(map(str.strip, lines))
    for text, value in (("TOOLS_HEAD", TOOLS_HEAD), ("TOOLS_TAIL", TOOLS_TAIL), ("NO_THOUGHT", NO_THOUGHT)):
        template = template.replace(text, "'" + value.replace("\n", "\\n") + "'")
    return template


CHAT_TEMPLATES = {name: read_template(name) for name in ("minimind", "qwen3")}
CHAT_TEMPLATE = CHAT_TEMPLATES["minimind"]


def template_name(tokenizer) -> str:
    """Which of CHAT_TEMPLATES a tokenizer's own template is; "minimind" for one that is neither."""
    template = tokenizer.chat_template or ""
    is_qwen3 = "<tool_response>" in template and ("enable_thinking" in template or "open_thinking" in template)
    return "qwen3" if is_qwen3 else "minimind"
