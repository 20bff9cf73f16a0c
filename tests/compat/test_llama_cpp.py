"""Our GGUF files in llama.cpp itself: the same tokens, log-probabilities and greedy continuations as ours."""

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

pytest.importorskip("xllamacpp")

from llama_cpp import LlamaCpp, differing_lines, largest_difference, log_probs, texts_of  # noqa: E402

from dataset.chat import opening, render  # noqa: E402
from dataset.chat_template import CHAT_TEMPLATES  # noqa: E402
from model.formats.gguf_file import write_gguf  # noqa: E402

pytestmark = pytest.mark.compat
ROOT = Path(__file__).resolve().parents[2]
NETWORKS = {
    "dense": {}, "untied": {"tie_word_embeddings": False, "rope_theta": 1e4},
    "qk_norm": {"qk_norm": True, "head_dim": 24, "rms_norm_eps": 1e-6},
    "qk_norm moe": {"qk_norm": True, "use_moe": True, "n_shared_experts": 0, "num_experts_per_tok": 1},
    "yarn": {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}},
    "qk_norm, linear": {"qk_norm": True, "rope_scaling": {"rope_type": "linear", "factor": 3.0}},
    "moe": {"use_moe": True}, "moe of two shared": {"use_moe": True, "n_shared_experts": 2, "num_experts_per_tok": 3},
}  # fmt: skip


@pytest.fixture(scope="module")
def network(make_model, tokenizer):
    def make(**config):
        return make_model(**{"vocab_size": len(tokenizer), "hidden_size": 64, "max_position_embeddings": 512} | config)

    return make


@pytest.fixture(scope="module")
def llama(network, tokenizer, tmp_path_factory) -> LlamaCpp:
    path = tmp_path_factory.mktemp("gguf") / "w.gguf"
    write_gguf(network(), tokenizer, path, "f32")
    return LlamaCpp(path)


@pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS)
def test_llama_cpp_goes_on_as_we_do(network, tokenizer, tmp_path, config):
    """Ten greedy continuations of 25 tokens, and at each of the 250 positions the ten likeliest tokens."""
    model = network(**config)
    write_gguf(model, tokenizer, tmp_path / "w.gguf", "f32")
    llama = LlamaCpp(tmp_path / "w.gguf")
    prompts = torch.randint(16, 6400, (10, 9), generator=torch.Generator().manual_seed(2)).tolist()
    for ids in prompts:
        for _ in range(25):
            best, ours = llama.next_token(ids, 10), log_probs(model, ids)[-1:]
            assert next(iter(best)) == int(ours.argmax())
            assert largest_difference(ours, [best]) < 1e-3
            ids = [*ids, int(ours.argmax())]


def test_it_tokenises_as_we_do(llama, tokenizer):
    texts = texts_of(ROOT / "dataset" / "sample" / "sft.jsonl")[:1500]
    odd = ["", " ", "\n\n \n", "a\r\nb\t\tc  d ", "it's We'LL ٣٤ ½ ²", "１２３ Ⅷ", "é e\u0301 😀👍🏽 \u200b"]
    odd += ["<think>\n一\n</think>\n<answer>", "<|im_start|>user\n<tool_call>{}</tool_call><|im_end|>"]
    assert not differing_lines(llama, tokenizer, texts + odd)


@pytest.mark.parametrize("template", CHAT_TEMPLATES)
def test_it_renders_a_chat_as_we_do(network, tmp_path, template):
    """By the Jinja template in the file, with tools, and with a thought or without, which it opens by default."""
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "model")
    tokenizer.chat_template = CHAT_TEMPLATES[template]
    write_gguf(network(), tokenizer, tmp_path / "w.gguf", "f32")
    llama = LlamaCpp(tmp_path / "w.gguf")
    function = {"name": "weather", "description": "of a <place> & 明天", "parameters": {"type": "object"}}
    tools = [{"type": "function", "function": function}]  # without a description it would write an empty one
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"place": "北京"}'}}
    messages = [
        {"role": "system", "content": "你是小智。"}, {"role": "user", "content": "天气？\n1+1?"},
        {"role": "assistant", "content": "我看看。", "tool_calls": [call]},
        {"role": "tool", "content": "21", "tool_call_id": "1"}, {"role": "tool", "content": "22", "tool_call_id": "1"},
        {"role": "assistant", "content": "21 度"}, {"role": "user", "content": "谢谢"},
    ]  # fmt: skip
    offering = [messages[0] | {"tools": tools}, *messages[1:]]
    for given, ours in (({}, messages), ({"tools": tools}, offering)):
        for thinking in (True, False):
            kwargs = {} if thinking else {"chat_template_kwargs": {"enable_thinking": False}}
            theirs = llama.post("/apply-template", messages=messages, **given, **kwargs)["prompt"]
            begin = opening(tokenizer, "full_sft", thinking) if template == "qwen3" else ""
            assert llama.tokenize(theirs) == render(tokenizer, ours, add_generation_prompt=True, opening=begin)[0]
