"""Speed can be taken away: without model/fast everything works, and gives the same numbers to rounding."""

import json
import re
import shutil
from pathlib import Path

import pytest
from openai import OpenAI
from preloaded import run_preloaded
from serving import Server
from test_stages import lines

ROOT = Path(__file__).resolve().parents[1]
SIZE = ["--hidden_size", 32, "--num_hidden_layers", 2, "--num_attention_heads", 4, "--max_seq_len", 64]
TRAINING = ["--max_steps", 6, "--batch_size", 8, "--log_interval", 1, "--seed", 7, "--learning_rate", 3e-3]
LOGPROBS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from model.generation import Generator
from model.sampling import Sampling
from trainer.loading import load_model

model, tokenizer, *_ = load_model(sys.argv[2], "", None, {}, "full_sft", device="cpu")
engine = Generator(model, tokenizer, max_batch=3, max_length=64)
prompts = [[1, 20, 30], [1, *range(40, 60)], [1, 9]]
done = engine.generate(prompts, Sampling(max_tokens=12, logprobs=3, stop_ids=()))
print(json.dumps([[token.logprob for token in request.logprobs] for request in done]))
"""


@pytest.fixture(scope="module")
def plain_tree(tmp_path_factory) -> Path:
    tree = tmp_path_factory.mktemp("plain") / "minimind"
    leave_out = shutil.ignore_patterns(".*", "out", "tests", "images", "*.jsonl", "fast", "__pycache__")
    shutil.copytree(ROOT, tree, ignore=leave_out)
    assert not (tree / "model" / "fast").exists()
    return tree


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    texts = [{"text": f"{i} 的后面是 {i + 1}，再后面是 {i + 2}。" * (1 + i % 3)} for i in range(60)]
    for name, records in (("pretrain", texts), ("sft", lines("sft"))):
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        (folder / f"{name}.jsonl").write_text(text, "utf-8")
    return folder


def run_in(tree: Path, script: str, *flags) -> str:
    done = run_preloaded(tree / script, *flags, cwd=tree)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def losses(out_dir: Path, name: str) -> list[float]:
    records = [json.loads(line) for line in (out_dir / "metrics" / f"{name}.jsonl").read_text("utf-8").splitlines()]
    return [value for record in records for key, value in record.items() if key in ("loss", "val_loss", "aux_loss")]


@pytest.mark.parametrize("moe", [0, 1])
def test_without_the_fast_forms_everything_works_and_gives_the_same_numbers(plain_tree, data, tmp_path, moe):
    kind, outs = "_moe" * moe, {}
    for tree in (ROOT, plain_tree):
        out_dir = outs[tree] = tmp_path / f"out{len(outs)}"
        places = ["--out_dir", out_dir, *TRAINING, "--device", "cpu", "--max_seq_len", 64]
        pretrain = ["--data_path", data / "pretrain.jsonl", *SIZE, "--use_moe", moe]
        run_in(tree, "trainer/train_pretrain.py", *places, *pretrain)
        run_in(tree, "trainer/train_full_sft.py", *places, "--data_path", data / "sft.jsonl")
    for stage in ("pretrain", "full_sft"):
        fast, plain = (losses(out, f"{stage}_32{kind}") for out in outs.values())
        # In a mixture a token near a border may go to another expert, by the rounding of its score.
        assert len(fast) >= 8 and plain == pytest.approx(fast, rel=1e-3 if moe else 1e-5, abs=1e-6)

    weight = outs[ROOT] / f"full_sft_32{kind}.pth"
    code = tmp_path / "logprobs.py"
    code.write_text(LOGPROBS)
    fast, plain = (json.loads(run_in(tree, code, tree, weight)) for tree in (ROOT, plain_tree))
    assert plain == [pytest.approx(row, abs=2e-5) for row in fast]
    said = [run_in(tree, "eval_model.py", "--weight", weight, "--prompt", "3 的后面是几？") for tree in outs]
    assert said[0] == said[1]

    folder, gguf = tmp_path / "folder", tmp_path / "a.gguf"
    for target, output in (("minimind", folder), ("gguf", gguf)):
        run_in(plain_tree, "scripts/convert_model.py", "--weight", weight, "--to", target, "--output", output)
        assert output.exists()
    server = Server(outs[ROOT], "--weight", weight, "--device", "cpu", root=plain_tree)
    try:
        client = OpenAI(base_url=f"{server.url}/v1", api_key="none")
        asked = [{"role": "user", "content": "3 的后面是几？"}]
        answer = client.chat.completions.create(model="minimind", messages=asked, temperature=0)
        assert answer.choices[0].message.content.strip() == re.sub(r"\[(thought|answer)\]", "", said[0]).strip()
    finally:
        assert server.stop() == 143
    refused = run_preloaded(plain_tree / "eval_model.py", "--weight", weight, "--dtype", "int8", "--prompt", "你好")
    assert refused.returncode == 1 and "int8 needs model/fast" in refused.stderr and "Traceback" not in refused.stderr
