"""Our figures beside those of lm_eval's own class and command line, on a Hugging Face folder, offline."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from model.weights import save_weights
from scripts.evaluating.question_files import read_multiple_choice

pytest.importorskip("lm_eval")
pytestmark = pytest.mark.compat
ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["法国的首都是巴黎。", "The capital of Kenya is Nairobi, and so on. " * 8, "\n\n<|im_end|>? 3 + 4 = 7\n"]


@pytest.fixture(scope="module")
def model(make_model, tokenizer):
    return make_model(vocab_size=len(tokenizer), max_position_embeddings=1024)


@pytest.fixture(scope="module")
def llama_folder(model, tokenizer, tmp_path_factory) -> Path:
    """The dense network as what it is too, a Llama, in a folder of the usual form."""
    folder, c = tmp_path_factory.mktemp("llama"), model.config
    config = LlamaConfig(
        vocab_size=c.vocab_size, hidden_size=c.hidden_size, num_hidden_layers=c.num_hidden_layers,
        intermediate_size=model.model.layers[0].mlp.gate_proj.out_features, rms_norm_eps=c.rms_norm_eps,
        num_attention_heads=c.num_attention_heads, num_key_value_heads=c.num_key_value_heads,
        max_position_embeddings=c.max_position_embeddings, rope_theta=c.rope_theta, tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    llama = LlamaForCausalLM(config)
    llama.load_state_dict(model.state_dict())
    llama.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def benchmarks(tmp_path_factory) -> Path:
    """Local copies in the published forms, with made-up rows: OpenBookQA as the hub's repository, C-Eval as its csv
    files."""
    folder = tmp_path_factory.mktemp("benchmarks")
    words = ["银行", "河流", "音乐", "数学", "苹果", "star", "paper", "glass"]
    openbook = folder / "allenai" / "openbookqa"
    (openbook / "main").mkdir(parents=True)
    splits = [{"split": split, "path": f"main/{split}.jsonl"} for split in ("train", "validation", "test")]
    configs = [{"config_name": "main", "data_files": splits}]
    (openbook / "README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n", "utf-8")
    rows = [
        {"id": f"7-{i}", "question_stem": f"What goes with {words[i % 8]} {i}",
         "choices": {"text": [words[(i * k + k) % 8] for k in (1, 2, 3, 5)], "label": ["A", "B", "C", "D"]},
         "answerKey": "ABCD"[i % 4]}
        for i in range(24)
    ]  # fmt: skip
    for split in ("train", "validation", "test"):
        (openbook / "main" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    exam = folder / "ceval" / "ceval-exam"
    for split, n in (("dev", 5), ("val", 24), ("test", 3)):
        lines = ["id,question,A,B,C,D,answer,explanation"]
        for i in range(n):
            options = ",".join(words[(i + k) % 8] for k in range(4))
            answer = "" if split == "test" else "ABCD"[i % 4]
            lines.append(f'{i},"第 {i} 题：“{words[i % 8]}”，是什么？",{options},{answer},')
        path = exam / split / f"computer_network_{split}.csv"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(lines) + "\n", "utf-8")
    files = [{"split": split, "path": f"{split}/computer_network_{split}.csv"} for split in ("dev", "val", "test")]
    configs = [{"config_name": "computer_network", "data_files": files}]
    (exam / "README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n", "utf-8")
    return folder


def test_likelihoods_and_texts_equal_those_of_lm_evals_own_class(model, tokenizer, llama_folder):
    """One-token options, longer ones, an empty context, a prompt longer than the context; whole texts through one
    window and through several; greedy answers with and without a stop string."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    from scripts.evaluating.lm_eval_model import MiniMindLM

    theirs = HFLM(str(llama_folder), device="cpu", dtype="float32", max_length=64, batch_size=3)
    ours = MiniMindLM(model, tokenizer, max_length=64, batch_size=3)

    def requests(kind: str, *arguments) -> list[Instance]:
        return [Instance(kind, {}, args, 0) for args in arguments]

    question = "<|im_start|>user\n哪个更大？<|im_end|>\n<|im_start|>assistant\n"
    pairs = [(question, " A"), (question, " B"), (question, "后者更大。"), ("", TEXTS[0]), ("1 + 1 =", " 2")]
    pairs = requests("loglikelihood", *pairs, (TEXTS[1] * 2, "long ago"))
    expected, found = theirs.loglikelihood(pairs), ours.loglikelihood(pairs)
    assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]
    assert [logprob for logprob, _ in found] == pytest.approx([logprob for logprob, _ in expected], rel=1e-5)
    assert ours.n_shortened == 1

    # A string that looks like a control token is text for us; their class takes it for the token itself.
    texts = requests("loglikelihood_rolling", *[(text,) for text in TEXTS[:2]])
    assert len(tokenizer(TEXTS[1]).input_ids) > 64 > len(tokenizer(TEXTS[0]).input_ids)
    assert ours.loglikelihood_rolling(texts) == pytest.approx(theirs.loglikelihood_rolling(texts), rel=1e-5)

    greedy = {"until": ["\n\n"], "do_sample": False, "max_gen_toks": 12}
    contexts = requests("generate_until", (question, greedy), ("The capital", greedy), (TEXTS[1] * 2, greedy))
    answers = ours.generate_until(contexts)
    assert answers == theirs.generate_until(contexts) and all(answers)
    stop = answers[0][2:4]
    contexts = requests("generate_until", (question, greedy | {"until": [stop]}))
    assert ours.generate_until(contexts) == theirs.generate_until(contexts) == [answers[0].split(stop)[0]]


def test_bits_per_byte_is_the_cross_entropy_of_every_byte(model, tokenizer):
    """By hand: -log2 of each token's probability, the first one's after BOS, over the bytes of UTF-8."""
    from lm_eval.api.instance import Instance

    from scripts.evaluating.lm_eval_model import MiniMindLM

    text = TEXTS[2]
    ids = tokenizer(text, split_special_tokens=True).input_ids
    with torch.no_grad():
        logprobs = model(torch.tensor([[tokenizer.bos_token_id, *ids]])).logits.double().log_softmax(-1)[0]
    nats = -sum(logprobs[i, token].item() for i, token in enumerate(ids))
    lm = MiniMindLM(model, tokenizer, max_length=512, batch_size=1)
    [logprob] = lm.loglikelihood_rolling([Instance("loglikelihood_rolling", {}, (text,), 0)])
    assert -logprob == pytest.approx(nats, rel=1e-6) and nats / math.log(2) / len(text.encode()) > 1


def likeliest_letter(model, tokenizer, row: dict) -> str:
    """In the prompt of C-Eval's own code: question, options, and the word for answer."""
    options = "".join(f"{letter}. {c}\n" for letter, c in zip(row["letters"], row["choices"], strict=True))
    prompt = tokenizer(f"{row['question']}\n{options}答案：").input_ids
    with torch.no_grad():
        logits = model(torch.tensor([prompt])).logits[0, -1]
    return max(row["letters"], key=lambda letter: logits[tokenizer(f" {letter}").input_ids].item())


def test_both_command_lines_give_the_same_table(model, tokenizer, llama_folder, benchmarks, tmp_path):
    """Our task, another of ours, OpenBookQA and C-Eval with worked examples: lm_eval's own command on the folder, ours
    on the weight. C-Eval's file, given as one's own, scores what its letters' probabilities, taken by hand, say."""
    save_weights(model, tmp_path / "full_sft_48.pth", tokenizer, stage="full_sft")
    exam = tmp_path / "exam.csv"
    shutil.copy(benchmarks / "ceval" / "ceval-exam" / "val" / "computer_network_val.csv", exam)
    (tmp_path / "notes.txt").write_text(TEXTS[1], "utf-8")
    tasks = ["minimind_world", "minimind_world_choice", "openbookqa", "ceval-valid_computer_network"]
    env = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}

    def run(*command, cwd) -> subprocess.CompletedProcess:
        done = subprocess.run([sys.executable, *map(str, command)], env=env, cwd=cwd, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done

    mine = run(ROOT / "scripts" / "eval_benchmark.py", "--out_dir", tmp_path, "--limit", 24, "--questions", exam,
               "--text", tmp_path / "notes.txt", "--tasks", *tasks, cwd=benchmarks)  # fmt: skip
    run("-m", "lm_eval", "run", "--model", "hf", "--device", "cpu", "--batch_size", 8, "--limit", 24, "--model_args",
        f"pretrained={llama_folder},dtype=float32,max_length=512", "--include_path", ROOT / "dataset" / "lm_eval",
        "--output_path", tmp_path / "theirs", "--tasks", *tasks, cwd=benchmarks)  # fmt: skip

    [written] = (tmp_path / "theirs").rglob("results_*.json")
    theirs = json.loads(written.read_text("utf-8"))["results"]
    records = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text("utf-8").splitlines()]
    ours = {(r["task"], r["metric"]): r for r in records}
    expected = {(task, key.split(",")[0]): value for task in tasks for key, value in theirs[task].items()
                if key.endswith(",none") and "_stderr" not in key}  # fmt: skip
    assert len(expected) == 7 and expected == {key: ours[key]["value"] for key in expected}
    for (task, metric), record in ours.items():
        if task in tasks:
            assert record["stderr"] == theirs[task][f"{metric}_stderr,none"] and record["n"] == 24
            assert f"{record['value']:.4f} ± {record['stderr']:.4f}" in mine.stdout
    assert ours["openbookqa", "acc"]["chance"] == 0.25 and ours["minimind_world", "exact_match"]["chance"] is None
    rows = read_multiple_choice(exam)
    right = [likeliest_letter(model, tokenizer, row) == row["letters"][row["gold"]] for row in rows]
    assert ours["exam.csv", "acc"]["value"] == sum(right) / 24 and 0 < sum(right) < 24
    assert ours["notes.txt", "bits_per_byte"]["value"] > 1

    shutil.rmtree(benchmarks / "allenai")
    gone = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "eval_benchmark.py"), "--out_dir", str(tmp_path), "--tasks",
         "openbookqa"], env=env, cwd=benchmarks, capture_output=True, text=True,
    )  # fmt: skip
    assert gone.returncode == 1 and "Traceback" not in gone.stderr, gone.stderr
    assert "--local-dir allenai/openbookqa" in gone.stderr.splitlines()[-1]
