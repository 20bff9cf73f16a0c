"""The two chat formats that are known here, and each as a Jinja template for transformers, llama.cpp and vLLM.

    minimind   an answer is its text, after <think>…</think> where the message has a thought; what a tool returns is a
               turn of the role "tool"
    qwen3      the format of Qwen3 and MiniMind-3: every answer begins with a thought, which may be empty; what tools
               return is a user turn, each result between <tool_response> tags

A tokenizer's `chat_template` says which one its weights speak. Both offer functions in the words of Qwen's template.
"""

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


def quoted(text: str) -> str:
    return "'" + text.replace("\n", "\\n") + "'"


_TOOLS = (
    "{% set described = messages and messages[0]['role'] == 'system' %}"
    "{% if tools %}"
    "{{ '<|im_start|>system\\n' + (messages[0]['content'] + '\\n\\n' if described else '') }}"
    f"{{{{ {quoted(TOOLS_HEAD)} }}}}"
    "{% for tool in tools %}{{ (tool | tojson) + '\\n' }}{% endfor %}"
    f"{{{{ {quoted(TOOLS_TAIL)} + '<|im_end|>\\n' }}}}"
    "{% endif %}"
    "{% set turns = messages[1:] if tools and described else messages %}"
    "{% for message in turns %}"
    "{% set content = message['content'] or '' %}"
)
_RESULTS = (
    "{% if message['role'] == 'tool' %}"
    "{% if loop.first or turns[loop.index0 - 1]['role'] != 'tool' %}{{ '<|im_start|>user' }}{% endif %}"
    "{{ '\\n<tool_response>\\n' + content + '\\n</tool_response>' }}"
    "{% if loop.last or turns[loop.index0 + 1]['role'] != 'tool' %}{{ '<|im_end|>\\n' }}{% endif %}"
    "{% else %}"
)
_HEAD = "{{ '<|im_start|>' + message['role'] + '\\n' }}"
_THOUGHT = (
    "{% if message['role'] == 'assistant' and message['reasoning_content'] is string %}"
    "{{ '<think>\\n' + message['reasoning_content'].strip('\\n') + '\\n</think>\\n\\n' }}"
    "{% set content = content.lstrip('\\n') %}"
)
_WRITTEN_THOUGHT = (  # in the content
    "{% elif message['role'] == 'assistant' %}"
    "{% if '</think>' in content %}"
    "{% set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1] %}"
    "{% set content = content.split('</think>')[-1] %}"
    "{% else %}{% set thought = '' %}{% endif %}"
    "{{ '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' }}"
    "{% set content = content.lstrip('\\n') %}"
)
_CONTENT = (
    "{% endif %}"
    "{{ content }}"
    "{% for call in message['tool_calls'] or [] %}"
    "{% if not loop.first or content %}{{ '\\n' }}{% endif %}"
    "{% set call = call['function'] or call %}"
    "{{ '<tool_call>\\n{\"name\": ' + (call['name'] | tojson) + ', \"arguments\": ' }}"
    "{% set arguments = call['arguments'] %}"
    "{{ (arguments if arguments is string else (arguments | tojson)) + '}\\n</tool_call>' }}"
    "{% endfor %}"
    "{{ '<|im_end|>\\n' }}"
)
_PROMPT = "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
_SWITCH = (
    "{% if enable_thinking is defined %}{% set thinks = enable_thinking %}"
    "{% elif open_thinking is defined %}{% set thinks = open_thinking %}"
    "{% else %}{% set thinks = false %}{% endif %}"
    f"{{{{ '<think>\\n' if thinks else {quoted(NO_THOUGHT)} }}}}"
)
CHAT_TEMPLATES = {
    "minimind": _TOOLS + _HEAD + _THOUGHT + _CONTENT + _PROMPT + "{% endif %}",
    "qwen3": _TOOLS + _RESULTS + _HEAD + _THOUGHT + _WRITTEN_THOUGHT + _CONTENT + "{% endif %}" + _PROMPT + _SWITCH
    + "{% endif %}",
}  # fmt: skip
CHAT_TEMPLATE = CHAT_TEMPLATES["minimind"]


def template_name(tokenizer) -> str:
    """Which of CHAT_TEMPLATES a tokenizer's own template is; "minimind" for one that is neither."""
    template = tokenizer.chat_template or ""
    is_qwen3 = "<tool_response>" in template and ("enable_thinking" in template or "open_thinking" in template)
    return "qwen3" if is_qwen3 else "minimind"
