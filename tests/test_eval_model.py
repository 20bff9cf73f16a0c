"""Talking to a weight at a terminal."""

import json
import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest
import torch
from preloaded import run_preloaded
from serving import teach, user

from dataset.chat import answer_in
from eval_model import EvalOptions, converse, show, talk
from model.model_lora import apply_lora, save_lora
from model.weights import load_weights, save_weights
from scripts.reports.comparing import replies_of
from trainer.answering import answer_all, sample_all

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 90


class Terminal:
    """`python eval_model.py flags` with a terminal of its own, as a user has it."""

    def __init__(self, *flags):
        self.pid, self.screen = pty.fork()
        if not self.pid:
            os.environ["OMP_NUM_THREADS"] = "1"
            os.chdir(ROOT)
            os.execv(sys.executable, [sys.executable, "eval_model.py", *map(str, flags)])

    def read_until(self, text: str) -> str:
        """What appears on the screen up to `text`, or up to the program's end."""
        shown, end = b"", time.monotonic() + PATIENCE_SECONDS
        while text.encode() not in shown and time.monotonic() < end:
            if select.select([self.screen], [], [], 1)[0]:
                try:
                    shown += os.read(self.screen, 4096)
                except OSError:  # Linux's way to say that the program has ended
                    break
        return shown.decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def exit_code(self) -> int:
        self.read_until("\0")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def out_dir(tmp_path, make_model, tokenizer) -> Path:
    save_weights(make_model(vocab_size=len(tokenizer)), tmp_path / "full_sft_48.pth", tokenizer, stage="full_sft")
    return tmp_path


@pytest.mark.parametrize(("count", "kept"), [(-1, "aAbBc"), (0, "c"), (2, "bBc"), (4, "aAbBc"), (9, "aAbBc")])
def test_a_chat_keeps_the_newest_messages_in_mind(count, kept, monkeypatch):
    seen = []

    def answer(messages: list[dict], turn: int) -> str:
        seen.append("".join(message["content"] for message in messages))
        return "ABC"[turn]

    monkeypatch.setattr("eval_model.typed_messages", lambda: iter("abc"))
    converse(answer, count)
    assert seen[-1] == kept


def test_a_typed_message_is_answered(out_dir):
    terminal = Terminal("--out_dir", out_dir, "--max_seq_len", 32)
    assert "full_sft_48.pth" in terminal.read_until("> ")
    terminal.type("你好\n")
    assert terminal.read_until("\n> ").rstrip().endswith(">")
    terminal.type("/exit\n")
    assert terminal.exit_code() == 0


def test_a_missing_weight_is_said_without_a_message(tmp_path):
    terminal = Terminal("--out_dir", tmp_path)
    shown = terminal.read_until("train that stage first")
    assert "error: " in shown and "full_sft" in shown and "Traceback" not in shown
    assert terminal.exit_code() == 1


def test_the_end_of_input_ends_it_at_once(out_dir):
    terminal = Terminal("--out_dir", out_dir)
    terminal.read_until("> ")
    terminal.type("\x04")
    assert terminal.exit_code() == 0


@pytest.mark.parametrize(
    ("stage", "flags", "spoken_to_as"),
    [
        ("pretrain", {}, "pretrain"),
        ("pretrain", {"model_mode": 3}, "pretrain"),
        ("pretrain", {"lora_name": "a"}, "lora"),
        ("reason", {}, "reason"),
        ("reason", {"lora_name": "a"}, "reason"),
        ("dpo", {"model_mode": 0}, "dpo"),
        ("converted", {}, "full_sft"),
        ("converted", {"model_mode": 3}, "reason"),
        (None, {"model_mode": 0}, "pretrain"),
    ],
)
def test_the_stage_that_a_weight_was_trained_in_decides_how_it_is_spoken_to(
    stage, flags, spoken_to_as, tmp_path, make_model, tokenizer
):
    """Without a .json, or where it says no stage, --model_mode does."""
    model, path = make_model(vocab_size=len(tokenizer)), tmp_path / "mine.pth"
    save_weights(model, path, tokenizer, stage=stage)
    if stage is None:
        path.with_suffix(".json").unlink()
        flags = flags | {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
        flags |= {"tokenizer": str(ROOT / "model")}
    apply_lora(model)
    save_lora(model, tmp_path / "lora" / "a_48.pth", tokenizer)
    options = EvalOptions(weight=str(path), out_dir=str(tmp_path), device="cpu", **flags)
    assert options.load_model().stage == spoken_to_as


@pytest.mark.parametrize(
    ("recipe", "flags", "context"),
    [
        ({"max_seq_len": 1024}, {}, 1024),
        ({"max_seq_len": 4096}, {}, 2048),  # the positions
        ({"max_seq_len": 256}, {}, 512),
        ({"max_seq_len": 1024}, {"max_seq_len": 64}, 64),
        ({"hash": "of an older version"}, {}, 512),
        (None, {}, 512),
    ],
)
def test_the_context_is_the_trained_length_unless_it_is_given(
    recipe, flags, context, tmp_path, make_model, tokenizer
):  # fmt: skip
    model = make_model(vocab_size=len(tokenizer), max_position_embeddings=2048)
    save_weights(model, tmp_path / "a.pth", tokenizer, stage="full_sft", recipe=recipe)
    options = EvalOptions(weight=str(tmp_path / "a.pth"), device="cpu", **flags)
    loaded = options.load_model()
    assert options.context(loaded.model, loaded.trained_length) == context


def test_a_shorter_context_and_a_cut_answer_are_said(out_dir):
    """The network's 128 positions are fewer than the context that was asked for, and it never ends its answer."""
    flags = ("--out_dir", out_dir, "--max_seq_len", 10**18, "--prompt", "你好")
    done = run_preloaded(ROOT / "eval_model.py", *flags)
    assert done.returncode == 0 and done.stdout.strip() and "note" not in done.stdout
    notes = done.stderr.splitlines()
    assert len(notes) == 2 and "128 tokens: the weight has no more" in notes[0] and "cut" in notes[1]


def test_a_weight_thinks_or_not_as_it_is_told(tmp_path, tokenizer, capsys):
    """--thinking begins the answer; what was said in a thought is shown apart, and is no part of the score."""
    out_dir = teach(tokenizer, tmp_path)
    shown = {1: "[thought]\n二加二是四\n[answer]\n\n4\n", 0: "四\n"}
    for thinking, expected in shown.items():
        options = EvalOptions(out_dir=str(out_dir), prompt="二加二", thinking=bool(thinking), device="cpu")
        talk(options)
        assert capsys.readouterr().out == expected
    questions = [[{"role": "user", "content": "二加二"}]]
    model, _ = load_weights(out_dir / "full_sft_64.pth", tokenizer)
    replies = {thinking: answer_all(model.eval(), tokenizer, questions, "full_sft", thinking=thinking)[0]
               for thinking in (True, False)}  # fmt: skip
    assert replies[True].startswith("<think>\n二加二是四") and replies[False].startswith("<think>\n\n</think>")
    assert [answer_in(reply, "full_sft") for reply in replies.values()] == ["4", "四"]
    reported = replies_of("SFT", out_dir / "full_sft_64.pth", {"sums": [{"messages": questions[0]}]}, device="cpu")
    assert reported["sums"][0] in ("4", "四")  # without its thought
    assert answer_in("<think>\n二加", "full_sft") == answer_in("四", "reason") == "" and answer_in("四", "dpo") == "四"


def test_sampled_answers_repeat_and_are_scored(out_dir, tokenizer, tmp_path):
    """Each by its question, its number and the seed alone; one of three is taken for right."""
    model, _ = load_weights(out_dir / "full_sft_48.pth", tokenizer)
    asked = [[user("你好")], [user("再见")]]
    first, second = sample_all(model.eval(), tokenizer, asked, "full_sft", 3, seed=42)
    assert sample_all(model, tokenizer, asked[1:], "full_sft", 3, seed=42) == [second]
    other = sample_all(model, tokenizer, asked[1:], "full_sft", 3, seed=1)[0]
    assert len({*first, *second, *other}) == 9
    right = (answer_in(first[1], "full_sft"), "x")
    questions = zip("ab", asked, right, strict=True)
    lines = [json.dumps({"category": c, "messages": m, "answers": [a]}) for c, m, a in questions]
    (tmp_path / "questions.jsonl").write_text("\n".join(lines))
    flags = ["--out_dir", out_dir, "--dtype", "float32", "--score", "--score_data", tmp_path / "questions.jsonl"]
    done = run_preloaded(ROOT / "eval_model.py", *flags, "--samples", 3, "--score_json", tmp_path / "score.json")
    assert done.returncode == 0, done.stderr
    table = json.loads((tmp_path / "score.json").read_text("utf-8"))["pass"]
    assert [row["score"] for row in table["all"].values()] == pytest.approx([100 / 6, 50])
    assert "samples: 3          pass@1                  pass@3\na                    33.3% (" in done.stdout


def test_a_thought_that_a_weight_leaves_empty_is_not_shown():
    """Whatever has come of it so far; one that says something is, from its first word on."""
    pieces = ["<think>", "\n\n", "</think>", "\n\n", "四"]
    assert [show("".join(pieces[:n]), "full_sft") for n in range(6)] == ["", "", "", "", "", "四"]
    assert show("<think>\n二", "full_sft") == "[thought]\n二"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"rope_scaling": "yarn", "rope_factor": 4.0}, "does not say how long its training samples were"),
        ({"rope_scaling": "yarn"}, "go together"),
        ({"rope_factor": 2.0}, "go together"),
        ({"rope_original": 64}, "--rope_original needs --rope_scaling"),
        ({"preset": "minimind3"}, "leave --hidden_size or --preset out"),
    ],
)
def test_what_contradicts_a_weight_or_lacks_its_length_is_one_sentence(out_dir, flags, said):
    with pytest.raises(ValueError, match=said):
        EvalOptions(out_dir=str(out_dir), weight=str(out_dir / "full_sft_48.pth"), device="cpu", **flags).load_model()


def test_a_stretched_weight_has_a_longer_context_and_remembers_it(tmp_path, make_model, tokenizer):
    model, path = make_model(vocab_size=len(tokenizer), max_position_embeddings=4096), tmp_path / "full_sft_48.pth"
    save_weights(model, path, tokenizer, stage="full_sft", recipe={"max_seq_len": 1024})
    flags = {"rope_scaling": "yarn", "rope_factor": 8.0}
    options = EvalOptions(weight=str(path), device="cpu", **flags)
    stretched = options.load_model()
    assert options.context(stretched.model, stretched.trained_length) == 8192  # more than it had positions
    assert stretched.model.config.rope_scaling["original_max_position_embeddings"] == 1024
    save_weights(stretched.model, path, tokenizer, stage="full_sft", recipe={"max_seq_len": 8192})
    again = EvalOptions(weight=str(path), device="cpu").load_model()
    assert again.model.config.rope_scaling == stretched.model.config.rope_scaling
    assert torch.equal(again.model.model.freqs_cos, stretched.model.model.freqs_cos)
