"""The commands of README.md and scripts/README.md for lm_eval, typed as they stand there, offline."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from serving import assistant, teach

from dataset.heldout import read_heldout
from model.weights import load_weights

pytest.importorskip("lm_eval")
pytestmark = pytest.mark.compat
ROOT = Path(__file__).resolve().parents[2]
HELD_OUT = ROOT / "dataset" / "sample" / "heldout.jsonl"
N_QUESTIONS = 12  # the network learns every second of them


@pytest.fixture(scope="module")
def home(tokenizer, tmp_path_factory) -> Path:
    """A folder in which the commands find what they name: the scripts, the tasks, and a weight."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("scripts", "dataset"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "out").mkdir()
    questions = read_heldout(HELD_OUT, "test")[:N_QUESTIONS:2]
    teach(tokenizer, folder / "out", tuple(([*q["messages"], assistant(q["answers"][0])], ()) for q in questions))
    for suffix in (".pth", ".json"):
        (folder / "out" / f"full_sft_64{suffix}").rename(folder / "out" / f"full_sft_192{suffix}")
    return folder


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(home: Path, line: str, *more) -> subprocess.CompletedProcess:
    program, *flags = shlex.split(line)
    command = [sys.executable, *{"python": [], "lm_eval": ["-m", "lm_eval"]}[program], *flags, *map(str, more)]
    env = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home / "home"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def lm_eval(home: Path, line: str, *more) -> dict:
    """What lm_eval writes: the figures of each task, and its samples."""
    run(home, line, "--output_path", home / "results", *more)
    newest = max((home / "results").rglob("results_*.json"))  # the time is in its name
    return json.loads(newest.read_text("utf-8"))["results"]


def test_whole_replies_are_scored_as_by_eval_model(home):
    commands = "".join(blocks("scripts/README.md", "bash")).replace("\\\n", " ").splitlines()
    (convert,) = (command for command in commands if command.startswith("python") and "MiniMind-Llama" in command)
    (score,) = (command for command in commands if "--tasks minimind_world" in command)
    run(home, convert)
    found = lm_eval(home, score, "--limit", N_QUESTIONS)
    questions = home / "questions.jsonl"
    asked = read_heldout(HELD_OUT, "test")[:N_QUESTIONS]
    questions.write_text("\n".join(json.dumps(question) for question in asked), "utf-8")
    table = home / "score.json"
    run(home, f"python {ROOT / 'eval_model.py'} --score --weight out/full_sft_192.pth", "--score_data", questions,
        "--score_json", table)  # fmt: skip
    expected = json.loads(table.read_text("utf-8"))["score"]
    assert 100 * found["minimind_world"]["exact_match,none"] == pytest.approx(expected) and 50 <= expected < 100


def test_a_file_of_your_own_is_scored_by_its_letters(home, tokenizer):
    """As the probabilities of the letters say, taken by hand after C-Eval's prompt."""
    (task,) = blocks("scripts/README.md", "yaml")
    commands = "".join(blocks("scripts/README.md", "bash")).replace("\\\n", " ").splitlines()
    (line,) = (command.partition("#")[0] for command in commands if "--tasks exam" in command)
    words = ["银行", "河流", "音乐", "数学", "苹果", "star", "paper", "glass"]
    rows = [[f"第 {i} 题：“{words[i % 8]}”，是什么？", *(words[(i + k) % 8] for k in range(4))] for i in range(24)]
    lines = [",".join([str(i), *row, "ABCD"[i % 4]]) for i, row in enumerate(rows)]
    (home / "exam").mkdir()
    (home / "exam" / "exam.yaml").write_text(task, "utf-8")
    (home / "exam" / "exam.csv").write_text("\n".join(["id,question,A,B,C,D,answer", *lines]) + "\n", "utf-8")
    if not (home / "MiniMind-Llama").is_dir():
        run(home, "python scripts/convert_model.py --weight out/full_sft_192.pth --to llama --output MiniMind-Llama")
    found = lm_eval(home, line)["exam"]

    model, _ = load_weights(home / "out" / "full_sft_192.pth", tokenizer)
    letters, right = {letter: tokenizer(f" {letter}").input_ids for letter in "ABCD"}, 0
    for i, (question, *options) in enumerate(rows):
        listed = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True))
        with torch.no_grad():
            ids = torch.tensor([tokenizer(f"{question}\n{listed}\n答案：").input_ids])
            logits = model.float()(ids).logits[0, -1]
        right += max(letters, key=lambda letter: logits[letters[letter]].item()) == "ABCD"[i % 4]
    assert found["acc,none"] == pytest.approx(right / 24)
