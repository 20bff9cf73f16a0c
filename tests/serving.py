"""A real server process, and a tiny network that has memorised a few conversations: shared by tests of the server."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import torch

from dataset.chat import render
from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
from model.weights import save_weights

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 120
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "clock",
            "description": "几点了",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
CALL = {"id": "1", "type": "function", "function": {"name": "clock", "arguments": '{"city": "北京"}'}}
LONG = " ".join(str(i) for i in range(1, 40))


def user(text: str) -> dict:
    return {"role": "user", "content": text}


def assistant(text: str | None, **more) -> dict:
    return {"role": "assistant", "content": text, **more}


ASKED = user("北京几点了？")
LEARNED = [  # (messages, tools)
    ([user("你好"), assistant("你好！很高兴见到你。😀")], ()),
    ([user("一加一"), assistant("<think>\n一加一是二\n</think>\n<answer>\n2\n</answer>")], ()),
    ([user("二加二"), assistant("4", reasoning_content="二加二是四")], ()),
    ([user("二加二"), assistant("四", reasoning_content="")], ()),
    ([user("数数"), assistant(LONG)], ()),
    ([ASKED, assistant(None, tool_calls=[CALL]), {"role": "tool", "content": "12:00"}, assistant("十二点。")], TOOLS),
]


def offer(tools: list[dict]) -> list[dict]:
    return [{"role": "system", "content": "", "tools": tools}] if tools else []


def teach(tokenizer, out_dir: Path, more: tuple = ()) -> Path:
    """Overfit a network of 64 x 2 to LEARNED and `more`; some seconds. Returns the folder of its full_sft_64.pth."""
    torch.manual_seed(0)
    config = MiniMindConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=1024,
    )  # fmt: skip
    model = MiniMindForCausalLM(config)
    rows = [render(tokenizer, offer(tools) + messages) for messages, tools in (*LEARNED, *more)]
    think = tokenizer.convert_tokens_to_ids("<think>")
    for (messages, _), (ids, weights) in zip((*LEARNED, *more), rows, strict=False):
        if messages[-1].get("reasoning_content") == "":
            weights[ids.index(think) + 2] = 0  # an open thought is never empty; the prompt says which it is
    batches = [
        (torch.tensor([ids]), torch.tensor([[i if weight else -100 for i, weight in zip(ids, weights, strict=True)]]))
        for ids, weights in rows
    ]
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0), [9.0]
    for _ in range(400):
        losses = [model(input_ids=ids, labels=labels).loss for ids, labels in batches]
        optimizer.zero_grad()
        sum(losses).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if max(losses) < 0.02:
            break
    assert max(losses) < 0.02, f"the conversations are not learned: {losses}"
    save_weights(model.eval(), out_dir / "full_sft_64.pth", tokenizer, stage="full_sft")
    return out_dir


class Server:
    """`python scripts/serve_openai_api.py flags` on a free port."""

    def __init__(self, out_dir: Path, *flags, key: str | None = None, root: Path = ROOT):
        env = {k: v for k, v in os.environ.items() if k != "MINIMIND_API_KEY"}
        env |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | ({"MINIMIND_API_KEY": key} if key else {})
        script = root / "scripts" / "serve_openai_api.py"
        command = [sys.executable, script, "--port", "0", "--out_dir", out_dir, *flags]
        self.log = (out_dir / f"server_{time.monotonic_ns()}.log").open("w+")
        self.process = subprocess.Popen(
            [str(part) for part in command], env=env, cwd=out_dir, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        self.title = self.process.stdout.readline()
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+?:(\d+)", line)
        assert found, self.output()
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        return Path(self.log.name).read_text()

    def memory_mib(self) -> float:
        """Memory of its own, files that are mapped not counted."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024

    def health(self) -> dict:
        with urllib.request.urlopen(f"{self.url}/health", timeout=PATIENCE_SECONDS) as response:
            return json.load(response)

    def wait_until_idle(self) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while self.health()["busy"]:
            assert time.monotonic() < end, "places are still taken"
            time.sleep(0.02)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_SECONDS)
        self.log.close()
        self.process.stdout.close()
        return code
