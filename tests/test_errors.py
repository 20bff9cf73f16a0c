"""A user's mistakes, made with the real commands: each ends before the first step, with one sentence and its exit code.

Code 2 means that the flags make no sense by themselves, 1 that what they name cannot be used. Nothing half-written is
left, and what was there stays as it was.
"""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from preloaded import run_preloaded
from transformers import AutoTokenizer

from model.weights import load_weights, save_weights

ROOT = Path(__file__).resolve().parents[1]
PRETRAIN, SFT, EVAL = "trainer/train_pretrain.py", "trainer/train_full_sft.py", "eval_model.py"
CLIENT, SERVE, PAGE = (f"scripts/{name}.py" for name in ("chat_openai_api", "serve_openai_api", "web_demo"))
LORA, DPO = "trainer/train_lora.py", "trainer/train_dpo.py"
DISTILL, REASON = "trainer/train_distillation.py", "trainer/train_distill_reason.py"
USER, ANSWER = ({"role": role, "content": text} for role, text in (("user", "问"), ("assistant", "答")))
ZERO = ["--optimizer", "adamw", "--deepspeed", str(ROOT / "trainer" / "ds_config.json")]
SIZE = ["--hidden_size", "32", "--num_hidden_layers", "1"]
SHORT = ["--from_weight", "{dir}/short.pth", "--max_seq_len", "65"]
FAST = ["--max_seq_len", "32", "--batch_size", "2", "--max_steps", "2"]

LINES = {
    "good": [{"text": f"第{i}句话。"} for i in range(40)],
    "good_sft": [{"conversations": [USER, ANSWER]}] * 40,
    "empty": [],
    "no_key": [{"text": "a"}, {"txt": "b"}],
    "wrong_type": [{"text": "a"}, {"text": ["b"]}],
    "empty_text": [{"text": "a"}, {"text": ""}],
    "no_answer": [{"conversations": [USER]}],
    "unknown_role": [{"conversations": [USER, ANSWER | {"role": "gpt"}]}],
    "good_dpo": [{"chosen": [USER, ANSWER], "rejected": [USER, ANSWER | {"content": "不"}]}] * 40,
    "no_rejected": [{"chosen": [USER, ANSWER]}],
    "no_rejected_answer": [{"chosen": [USER, ANSWER], "rejected": [USER]}],
    "equal_pair": [{"chosen": [USER, ANSWER], "rejected": [USER, ANSWER]}],
    "good_reason": [
        {"conversations": [USER, ANSWER | {"content": "<think>\n想\n</think>\n<answer>\n答\n</answer>"}]}
    ] * 40,
    "question": [{"category": "a", "messages": [USER], "answers": ["答"]}],
    "question_no_key": [{"category": "a", "messages": [USER]}],
    "question_one_text": [{"category": "a", "messages": [USER], "answers": "答案"}],
    "question_half": [{"category": "a", "messages": [USER | {"content": "\ud83d"}], "answers": ["答"]}],
    "question_long": [
        {"category": "a", "messages": [USER | {"content": text}], "answers": ["答"]} for text in ("问", "很长" * 20000)
    ],
    "question_wrong_type": [{"category": "a", "messages": [USER], "answers": [3]}],
}
FILES = {f"{name}.jsonl": "".join(json.dumps(line) + "\n" for line in lines) for name, lines in LINES.items()}
FILES |= {"ds_batch.json": '{"zero_optimization": {"stage": 1}, "train_micro_batch_size_per_gpu": 3}'}
FILES |= {"ds_lr.json": '{"zero_optimization": {"stage": 3}, "optimizer": {"params": {"lr": 1}}}'}
FILES |= {"ds_no_stage.json": '{"train_batch_size": "auto"}'}
FILES |= {"blank.jsonl": "\n\n", "broken.jsonl": '{"text": "a"}\n\n{"text": "b"\n{"text": "c"}\n'}

# name: (script, flags that are wrong, exit code, what the sentence names).  {dir} holds FILES, {out} is a new folder,
# {weights} holds what a pretraining and an SFT run wrote.
USAGE_MISTAKES = {
    "an unknown flag": (PRETRAIN, ["--hiden_size", "64"], ["--hiden_size", "--hidden_size"]),
    "a stray word": (PRETRAIN, ["data.jsonl"], ["data.jsonl"]),
    "use_moe maybe": (PRETRAIN, ["--use_moe", "maybe"], ["--use_moe", "maybe"]),
    "a word for a number": (SFT, ["--learning_rate", "fast"], ["--learning_rate", "fast"]),
    "a flag without its value": (SFT, ["--epochs"], ["--epochs"]),
    "a batch of none": (PRETRAIN, ["--batch_size", "0"], ["--batch_size 0"]),
    "an unknown dtype": (PRETRAIN, ["--dtype", "int3"], ["--dtype", "int3"]),
    "an unknown device": (PRETRAIN, ["--device", "toaster"], ["--device toaster"]),
    "a folder without tokenizer": (PRETRAIN, ["--tokenizer", "{dir}"], ["--tokenizer", "{dir}"]),
    "heads that do not fit": (PRETRAIN, ["--hidden_size", "33"], ["hidden_size 33"]),
    "rows beyond the last position": (PRETRAIN, ["--max_seq_len", "40000"], ["--max_seq_len 40000"]),
    "LoRA of rank 0": (LORA, ["--lora_rank", "0"], ["--lora_rank 0"]),
    "LoRA on nothing": (LORA, ["--from_weight", "none"], ["--from_weight none"]),
    "a path for an adapter's name": (LORA, ["--lora_name", "a/b"], ["--lora_name"]),
    "beta 0": (DPO, ["--beta", "0"], ["--beta 0"]),
    "half of the labels wrong": (DPO, ["--label_smoothing", "0.5"], ["--label_smoothing 0.5"]),
    "alpha above 1": (DISTILL, ["--alpha", "1.5"], ["--alpha 1.5"]),
    "an unknown divergence": (DISTILL, ["--kl", "sideways"], ["--kl", "sideways"]),
    "eval: an unknown flag": (EVAL, ["--temprature", "1"], ["--temprature", "--temperature"]),
    "eval: use_moe maybe": (EVAL, ["--use_moe", "maybe"], ["--use_moe", "maybe"]),
    "eval: an unknown stage": (EVAL, ["--model_mode", "9"], ["--model_mode", "9"]),
    "eval: load 1 without a folder": (EVAL, ["--load", "1"], ["--load 1", "--weight"]),
    "eval: below zero": (EVAL, ["--temperature", "-1"], ["--temperature -1"]),
    "eval: beyond all numbers": (EVAL, ["--temperature", "inf"], ["--temperature inf", "finite"]),
    "eval: an empty name": (EVAL, ["--lora_name", ""], ["--lora_name is empty"]),
    "eval: a name of the hub": (EVAL, ["--load", "1", "--weight", "a/b"], ["--load 1 --weight a/b", "no such folder"]),
    "an empty folder": (PRETRAIN, ["--out_dir", ""], ["--out_dir is empty"]),
    "an empty name in a list": (LORA, ["--lora_targets", "q_proj", ""], ["--lora_targets is empty"]),
    "client: no address": (CLIENT, ["--base_url", "http://x:y/v1"], ["--base_url http://x:y/v1"]),
    "client: no key to send": (CLIENT, ["--api_key", "密钥"], ["--api_key", "ASCII"]),
    "server: a key of bytes": (SERVE, ["--api_key", "\udcff"], ["--api_key", "printed"]),
    "server: a blank key": (SERVE, ["--api_key", "  "], ["--api_key", "blank"]),
    "server: an origin with a path": (SERVE, ["--cors_origin", "https://a.example/"], ["--cors_origin https://a.ex"]),
    "server: a port beyond": (SERVE, ["--port", "70000"], ["--port 70000"]),
    "Muon under DeepSpeed": (PRETRAIN, [*ZERO, "--optimizer", "muon"], ["--optimizer muon", "--optimizer adamw"]),
    "float16 under DeepSpeed": (PRETRAIN, [*ZERO, "--dtype", "float16"], ["--dtype float16", "bfloat16"]),
}
if not torch.cuda.is_available():
    USAGE_MISTAKES["a GPU that is not there"] = (PRETRAIN, ["--device", "cuda"], ["--device cuda"])

OTHER_MISTAKES = {
    "no settings for DeepSpeed": (PRETRAIN, [*ZERO, "--deepspeed", "{dir}/none.json"], ["{dir}/none.json"]),
    "settings that are not JSON": (PRETRAIN, [*ZERO, "--deepspeed", "{dir}/blank.jsonl"], ["blank.jsonl", "JSON"]),
    "no ZeRO stage": (PRETRAIN, [*ZERO, "--deepspeed", "{dir}/ds_no_stage.json"], ["ds_no_stage.json", "stage"]),
    "a batch size told twice": (
        PRETRAIN,
        [*ZERO, "--deepspeed", "{dir}/ds_batch.json"],
        ["ds_batch.json", "train_micro_batch_size_per_gpu is 3", "--batch_size says 2"],
    ),
    "a learning rate told twice": (
        PRETRAIN,
        [*ZERO, "--deepspeed", "{dir}/ds_lr.json"],
        ["ds_lr.json", "optimizer", "--learning_rate"],
    ),
    "rows beyond the weight's positions": (SFT, SHORT, ["--max_seq_len 65", "short.pth", "64"]),
    "an adapter beyond the weight's positions": (LORA, SHORT, ["--max_seq_len 65", "short.pth", "64"]),
    "pairs beyond the weight's positions": (DPO, SHORT, ["--max_seq_len 65", "short.pth", "64"]),
    "a teacher of fewer positions": (
        DISTILL,
        ["--teacher_weight", "{dir}/short.pth", "--max_seq_len", "65"],
        ["--max_seq_len 65", "short.pth", "64"],
    ),
    "no such file": (PRETRAIN, ["--data_path", "{dir}/none.jsonl"], ["{dir}/none.jsonl", "no such file"]),
    "a folder as data": (PRETRAIN, ["--data_path", "{dir}"], ["{dir}: a folder"]),
    "an empty file": (PRETRAIN, ["--data_path", "{dir}/empty.jsonl"], ["{dir}/empty.jsonl", "empty"]),
    "blank lines alone": (PRETRAIN, ["--data_path", "{dir}/blank.jsonl"], ["{dir}/blank.jsonl"]),
    "broken JSON": (PRETRAIN, ["--data_path", "{dir}/broken.jsonl"], ["{dir}/broken.jsonl:3:", "JSON"]),
    "a missing key": (PRETRAIN, ["--data_path", "{dir}/no_key.jsonl"], ["no_key.jsonl:2:", '"text" is missing']),
    "a wrong type": (PRETRAIN, ["--data_path", "{dir}/wrong_type.jsonl"], ["wrong_type.jsonl:2:", "string"]),
    "an empty text": (PRETRAIN, ["--data_path", "{dir}/empty_text.jsonl"], ["empty_text.jsonl:2:", "empty"]),
    "no validation file": (PRETRAIN, ["--val_path", "{dir}/none.jsonl"], ["{dir}/none.jsonl", "no such file"]),
    "documents for conversations": (SFT, ["--data_path", "{dir}/good.jsonl"], ["good.jsonl:1:", '"conversations"']),
    "no answer": (SFT, ["--data_path", "{dir}/no_answer.jsonl"], ["no_answer.jsonl:1:", "no answer"]),
    "an unknown role": (SFT, ["--data_path", "{dir}/unknown_role.jsonl"], ["unknown_role.jsonl:1:", "gpt"]),
    "a file where out should be": (PRETRAIN, ["--out_dir", "{dir}/good.jsonl"], ["{dir}/good.jsonl", "a file"]),
    "a file above out": (PRETRAIN, ["--out_dir", "{dir}/good.jsonl/out"], ["{dir}/good.jsonl/out", "a file"]),
    "a read-only place": (PRETRAIN, ["--out_dir", "{readonly}/out"], ["{readonly}/out", "--out_dir"]),
    "wandb without a login": (PRETRAIN, ["--use_wandb", "1"], ["--use_wandb", "WANDB_MODE=offline"]),
    "nothing to start from": (SFT, ["--from_weight", "pretrain"], ["{out}", "no pretrain_"]),
    "nothing to resume": (PRETRAIN, ["--from_resume", "1"], ["{out}", "--from_resume"]),
    "a weight of another width": (SFT, ["--hidden_size", "64"], ["pretrain_32.pth", "hidden_size", "32", "64"]),
    "a weight of another depth": (SFT, ["--num_hidden_layers", "3"], ["pretrain_32.pth", "num_hidden_layers"]),
    "a weight of another kind": (SFT, ["--use_moe", "1"], ["pretrain_32.pth", "use_moe"]),
    "a weight of another vocabulary": (SFT, ["--tokenizer", "{other}"], ["another vocabulary", "--tokenizer"]),
    "half a weight": (SFT, ["--from_weight", "{dir}/half.pth"], ["{dir}/half.pth", "truncated"]),
    "an adapter for nothing": (LORA, ["--lora_targets", "queries"], ["'queries'", "q_proj"]),
    "no rejected": (DPO, ["--data_path", "{dir}/no_rejected.jsonl"], ["no_rejected.jsonl:1:", '"rejected" is missing']),
    "no rejected answer": (DPO, ["--data_path", "{dir}/no_rejected_answer.jsonl"], ["answer.jsonl:1:", "no answer"]),
    "equal answers": (DPO, ["--data_path", "{dir}/equal_pair.jsonl"], ["equal_pair.jsonl:1:", "equal"]),
    "a reference that is overwritten": (
        DPO,
        ["--save_weight", "full_sft", "--out_dir", "{weights}"],
        ["{weights}/full_sft_32.pth", "reference", "--save_weight"],
    ),
    "no tags": (REASON, ["--data_path", "{dir}/good_sft.jsonl"], ["good_sft.jsonl:1:", "<think>"]),
    "no teacher": (DISTILL, ["--teacher_weight", "big"], ["{out}", "no big_"]),
    "a teacher of another vocabulary": (DISTILL, ["--tokenizer", "{other}"], ["full_sft_32.pth", "vocabulary"]),
    "a teacher of unknown sizes": (DISTILL, ["--teacher_weight", "{dir}/bare.pth"], ["bare.pth", "bare.json"]),
    "eval: no weight yet": (EVAL, ["--out_dir", "{out}"], ["no full_sft_", "no weight at all"]),
    "eval: no such weight": (EVAL, ["--weight", "{dir}/none.pth"], ["{dir}/none.pth"]),
    "eval: half a weight": (EVAL, ["--weight", "{dir}/half.pth"], ["{dir}/half.pth", "truncated"]),
    "eval: a text as weight": (EVAL, ["--weight", "{dir}/good.jsonl"], ["{dir}/good.jsonl", "not a weight file"]),
    "eval: a training state": (EVAL, ["--weight", "{weights}/checkpoints/full_sft_32.pt"], ["training state"]),
    "eval: another width": (EVAL, ["--weight", "{weights}/full_sft_32.pth", "--hidden_size", "64"], ["hidden_size"]),
    "eval: sizes not given": (EVAL, ["--weight", "{dir}/bare.pth"], ["{dir}/bare.pth", "--hidden_size"]),
    "eval: another shape": (
        EVAL,
        ["--weight", "{dir}/bare.pth", "--hidden_size", "64", "--num_hidden_layers", "1"],
        ["{dir}/bare.pth", "shape"],
    ),
    "eval: another vocabulary": (EVAL, ["--tokenizer", "{other}"], ["full_sft_32.pth", "vocabulary", "--tokenizer"]),
    "eval: no adapter": (EVAL, ["--lora_name", "none"], ["none"]),
    "score: no questions": (EVAL, ["--score_data", "{dir}/none.jsonl"], ["{dir}/none.jsonl"]),
    "score: blank lines": (EVAL, ["--score_data", "{dir}/blank.jsonl"], ["{dir}/blank.jsonl"]),
    "score: broken": (EVAL, ["--score_data", "{dir}/broken.jsonl"], ["broken.jsonl:1:", "category"]),
    "score: no key": (EVAL, ["--score_data", "{dir}/question_no_key.jsonl"], ["no_key.jsonl:1:", "answers"]),
    "score: one text": (EVAL, ["--score_data", "{dir}/question_one_text.jsonl"], ["text.jsonl:1:", "list of texts"]),
    "score: half a character": (EVAL, ["--score_data", "{dir}/question_half.jsonl"], ["half.jsonl:1:", "half a char"]),
    "score: too long": (EVAL, ["--score_data", "{dir}/question_long.jsonl"], ["long.jsonl:2:", "tokens long"]),
    "page: no host": (PAGE, ["--host", "a..b"], ["--host a..b", "no such host"]),
    "server: no host": (SERVE, ["--host", "no such host", "--api_key", "k"], ["--host no such host"]),
    "server: no name": (SERVE, ["--host", "a..b", "--api_key", "k"], ["--host a..b", "no such host"]),
    "server: too many places": (
        SERVE,
        ["--port", "0", "--max_batch", "999999999999999999"],
        ["999,999,999,999,999,999 answers at once", "MiB", "--max_batch"],
    ),
    "score: wrong type": (EVAL, ["--score_data", "{dir}/question_wrong_type.jsonl"], ["type.jsonl:1:", "answers"]),
    "score: over a weight's description": (EVAL, ["--score_json", "{weights}/full_sft_32.json"], ["full_sft_32.json"]),
    "score: over a folder": (EVAL, ["--score_json", "{dir}"], ["--score_json {dir}"]),
    "score: over the questions": (
        EVAL,
        ["--score_data", "{dir}/question.jsonl", "--score_json", "{dir}/question.jsonl"],
        ["question.jsonl", "something else"],
    ),
    "score: nowhere to write": (EVAL, ["--score_json", "{dir}/good.jsonl/a.json"], ["{dir}/good.jsonl"]),
}  # fmt: skip

MISTAKES = {name: (*mistake, 2) for name, mistake in USAGE_MISTAKES.items()}
MISTAKES |= {name: (*mistake, 1) for name, mistake in OTHER_MISTAKES.items()}


@pytest.fixture(scope="module")
def places(tmp_path_factory, other_vocabulary) -> dict[str, Path]:
    """Data good and bad, and weights: the same commands without a mistake work."""
    folder, weights = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("weights")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    for script, data in ((PRETRAIN, "good.jsonl"), (SFT, "good_sft.jsonl")):
        done = run_preloaded(script, *SIZE, *FAST, "--data_path", folder / data, "--out_dir", weights)
        assert done.returncode == 0, done.stderr
    model, info = load_weights(weights / "full_sft_32.pth")
    model.config.max_position_embeddings = 64
    vocabulary = AutoTokenizer.from_pretrained(ROOT / "model")
    save_weights(model, folder / "short.pth", vocabulary, stage="full_sft", step=0)
    content = (weights / "full_sft_32.pth").read_bytes()
    (folder / "bare.pth").write_bytes(content)
    (folder / "half.pth").write_bytes(content[: len(content) // 2])
    shutil.copy(weights / "full_sft_32.json", folder / "half.json")
    readonly = tmp_path_factory.mktemp("readonly")
    readonly.chmod(0o555)
    if os.access(readonly, os.W_OK):  # root writes anywhere, but not there
        readonly = Path("/proc/minimind")
    return {"dir": folder, "weights": weights, "other": other_vocabulary, "readonly": readonly}


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def left_behind(out_dir: Path) -> list[str]:
    """Files in an output folder, but for locks and for a token cache that is whole."""
    paths = [str(path.relative_to(out_dir)) for path in out_dir.rglob("*") if path.is_file()]
    return [path for path in paths if not path.endswith(".lock") and (path[:6] != "cache/" or "incomplete" in path)]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake(name, places, tmp_path):
    script, wrong, named, code = MISTAKES[name]
    here = places | {"out": tmp_path / "out"}
    later = ["--out_dir", "{out}", "--from_weight", "{weights}/full_sft_32.pth"]
    right = {
        PRETRAIN: [*SIZE, *FAST, "--data_path", "{dir}/good.jsonl", "--out_dir", "{out}"],
        SFT: [*FAST, "--data_path", "{dir}/good_sft.jsonl", "--out_dir", "{out}"]
        + ["--from_weight", "{weights}/pretrain_32.pth"],
        LORA: [*FAST, "--data_path", "{dir}/good_sft.jsonl", *later],
        DPO: [*FAST, "--data_path", "{dir}/good_dpo.jsonl", *later],
        REASON: [*FAST, "--data_path", "{dir}/good_reason.jsonl", *later],
        DISTILL: [*SIZE, *FAST, "--data_path", "{dir}/good_sft.jsonl", "--out_dir", "{out}"]
        + ["--teacher_weight", "{weights}/full_sft_32.pth"],
        CLIENT: [],
        PAGE: [],
        SERVE: ["--out_dir", "{weights}"],
        EVAL: ["--out_dir", "{weights}"] + ["--score"] * name.startswith("score"),
    }
    before = snapshot(places["weights"])
    done = run_preloaded(ROOT / script, *(flag.format(**here) for flag in [*right[script], *wrong]))
    assert "Traceback" not in done.stderr, done.stderr
    lines = [line for line in re.split(r"[\r\n]+", done.stderr) if line and not line.startswith("Generating train")]
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    for words in named:
        assert words.format(**here) in lines[0]
    assert done.returncode == code
    assert left_behind(here["out"]) == []
    assert snapshot(places["weights"]) == before


def test_the_same_commands_work_without_a_mistake(places):
    """The weights that the mistakes were made with answer and are scored."""
    table = places["dir"] / "new" / "table.json"
    flags = ["--weight", places["dir"] / "bare.pth", *SIZE, "--tokenizer", ROOT / "model"]
    flags += ["--score_data", places["dir"] / "question.jsonl"]
    done = run_preloaded(EVAL, *flags, "--score", "--score_json", table)
    assert done.returncode == 0, done.stderr
    assert json.loads(table.read_text())["n"] == 1


@pytest.mark.parametrize(("package", "flags"), [("deepspeed", ZERO), ("wandb", ["--use_wandb", "1"])])
def test_a_missing_package_is_named(package, flags, tmp_path):
    script = tmp_path / "without_it.py"
    lines = ["import runpy, sys", f"sys.modules[{package!r}] = None", f"sys.argv[0] = {str(ROOT / PRETRAIN)!r}"]
    script.write_text("\n".join([*lines, "runpy.run_path(sys.argv[0], run_name='__main__')"]))
    done = run_preloaded(script, *SIZE, *FAST, *flags, "--out_dir", tmp_path / "out")
    assert done.returncode == 2 and "pip install" in done.stderr and "Traceback" not in done.stderr
