"""The life cycle: every stage as `./run.sh all` chains them, on a tiny network, and the report that is made of it."""

import itertools
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from preloaded import run_preloaded

from dataset.heldout import half_of, paired_difference, wilson_interval
from scripts.compare_seeds import RECIPES
from scripts.direct_answers import direct_line
from scripts.lifecycle_report import HEADER, cells_of, ends_with_wish
from scripts.reports.comparing import loss, paired_scores, share

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "dataset" / "sample"
N_LINES = {"pretrain": 300, "sft": 200, "lora_identity": 60, "lora_teahouse": 60, "dpo": 40, "reason": 40, "rl": 20}
HELD_OUT = {  # file -> categories, of each of which four questions of the test half are asked
    "heldout": ("capital", "advice", "identity", "unknown"), "heldout_lora_identity": ("identity",),
    "heldout_lora_teahouse": ("teahouse_price",), "heldout_reason": ("reason_2", "reason_3", "reason_4"),
}  # fmt: skip
STEPS = ("--max_steps", 3, "--max_seq_len", 96, "--batch_size", 4, "--log_interval", 1, "--epochs", 9)
SIZE = ("--hidden_size", 32, "--num_hidden_layers", 2, "--num_attention_heads", 4)
STUDENT = ("--hidden_size", 16, "--num_hidden_layers", 1, "--num_attention_heads", 2, "--from_weight", "none")
ROLLOUTS = ("--max_seq_len", 256, "--max_new_tokens", 12, "--group_size", 2, "--temperature_lr_scale", 9)
# what run.sh calls, in its order: script, data, flags, the weight that is written
CHAIN = {
    "pretrain": ("pretrain", "pretrain", SIZE, "pretrain_32"),
    "SFT": ("full_sft", "sft", ("--from_weight", "pretrain"), "full_sft_32"),
    "LoRA identity": ("lora", "lora_identity", ("--lora_name", "identity"), "lora/identity_32"),
    "LoRA teahouse": ("lora", "lora_teahouse", ("--lora_name", "teahouse"), "lora/teahouse_32"),
    "DPO": ("dpo", "dpo", (), "rlhf_32"),
    "student with teacher": ("distillation", "sft", STUDENT, "full_dist_16"),
    "student alone": ("full_sft", "sft", (*STUDENT, "--save_weight", "student_alone"), "student_alone_16"),
    "reasoning": ("distill_reason", "reason", ("--from_weight", "rlhf"), "reason_32"),
    "direct answers": ("full_sft", "direct", ("--from_weight", "rlhf", "--save_weight", "direct"), "direct_32"),
    "GRPO": ("grpo", "rl", ("--from_weight", "full_sft", "--thinking", 1, *ROLLOUTS), "grpo_32"),
}


def call(script: str, *flags, code: int = 0) -> str:
    """What a script printed; a user's mistake is one sentence."""
    done = run_preloaded(ROOT / script, *flags)
    assert done.returncode == code, (done.stdout + done.stderr)[-3000:]
    return done.stdout if code == 0 else done.stderr


def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines(keepends=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """The first lines of the sample; of the general questions some of every kind that the report tells apart."""
    folder = tmp_path_factory.mktemp("data")
    for name, n in N_LINES.items():
        (folder / f"{name}.jsonl").write_text("".join(lines(SAMPLE / f"{name}.jsonl")[:n]), "utf-8")
    (folder / "heldout_dpo.jsonl").write_text("".join(lines(SAMPLE / "heldout_dpo.jsonl")[:12]), "utf-8")
    for name, kinds in HELD_OUT.items():
        questions = [q for q in lines(SAMPLE / f"{name}.jsonl") if half_of(json.loads(q)) == "test"]
        chosen = [[q for q in questions if json.loads(q)["category"] == kind][:4] for kind in kinds]
        (folder / f"{name}.jsonl").write_text("".join(sum(chosen, [])), "utf-8")
    call("scripts/direct_answers.py", "--data_path", folder / "reason.jsonl", "--output", folder / "direct.jsonl")
    return folder


def train(stage: str, data: Path, out_dir: Path, *flags) -> str:
    script, name, own, _ = CHAIN[stage]
    places = ("--data_path", data / f"{name}.jsonl", "--out_dir", out_dir)
    if stage == "DPO":
        places += ("--val_path", data / "heldout_dpo.jsonl")
    return call(f"trainer/train_{script}.py", *places, *STEPS, *own, "--skip_finished", 1, *flags)


def report(data: Path, out_dir: Path, code: int = 0) -> str:
    return call("scripts/lifecycle_report.py", "--out_dir", out_dir, "--sample", data, code=code)


@pytest.fixture(scope="module")
def life(data, tmp_path_factory) -> tuple[Path, str]:
    """(a folder in which the whole life cycle ran three steps a stage, what the report printed)."""
    out_dir = tmp_path_factory.mktemp("life")
    for stage in CHAIN:
        assert ": kept " not in train(stage, data, out_dir)
    return out_dir, report(data, out_dir)


def info(out_dir: Path, stage: str) -> dict:
    return json.loads((out_dir / f"{CHAIN[stage][-1]}.json").read_text("utf-8"))


# ---------------------------------------------------------------- the report of a real run


def test_the_page_shows_the_figures_of_the_json_for_every_stage(life):
    out_dir, printed = life
    made = json.loads((out_dir / "report.json").read_text("utf-8"))
    page = (out_dir / "report.md").read_text("utf-8")
    table = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in page.splitlines() if line[:1] == "|"]
    assert table[0] == list(HEADER)
    assert {row["stage"] for row in made["rows"]} == {
        "pretrain", "SFT", "LoRA identity", "LoRA teahouse", "DPO", "distillation", "reasoning", "GRPO"
    }  # fmt: skip
    for row, shown in zip(made["rows"], table[2:], strict=True):
        cells = cells_of(row)
        assert shown == [cell.strip() for cell in cells][: len(shown)] and not any(cells[len(shown) :])
        assert any(line.startswith(row["stage"]) and row["what"] in line for line in printed.splitlines())
    assert "(report.png)" in page and (out_dir / "report.png").stat().st_size > 10_000
    for wanted in ("--lora_name identity", "--model_mode 3", "show_rollouts.py", str(out_dir / "report.md")):
        assert wanted in printed


def test_every_figure_comes_from_the_run(life, data):
    out_dir, _ = life
    made = json.loads((out_dir / "report.json").read_text("utf-8"))
    rows = {}
    for row in made["rows"]:
        rows.setdefault(row["stage"], []).append(row)
    for stage, run in made["runs"].items():
        assert {k: run[k] for k in ("step", "tokens", "seconds")}.items() <= info(out_dir, stage).items()
        assert run["step"] == 3
    for figures in made["rows"] + [row["cost"] for row in made["rows"] if row["cost"]]:
        assert figures["difference"] == pytest.approx(figures["after"] - figures["before"])
        if figures["interval"]:
            low, high = figures["interval"]
            assert low - 1e-9 <= figures["difference"] <= high + 1e-9

    first = json.loads((out_dir / "metrics" / "pretrain_32.jsonl").read_text().splitlines()[0])
    pretrain = rows["pretrain"][0]
    assert pretrain["before"] == first["val_bits_per_byte"]
    assert pretrain["after"] == info(out_dir, "pretrain")["validation"]["val_bits_per_byte"] != pretrain["before"]
    losses = rows["distillation"][1]
    assert losses["before"] == info(out_dir, "student alone")["validation"]["val_loss"]
    assert losses["after"] == info(out_dir, "student with teacher")["validation"]["val_cross_entropy"]

    questions = [json.loads(line) for line in lines(data / "heldout.jsonl")]
    n_identity = sum(q["category"] == "identity" for q in questions)
    assert rows["LoRA identity"][0]["cost"]["n"] == len(questions) - n_identity < len(questions)
    assert rows["LoRA teahouse"][0]["cost"]["n"] == rows["SFT"][0]["n"] == len(questions)
    assert rows["DPO"][0]["n"] <= sum("preferred" in q for q in questions) > 0  # of the replies that give advice
    assert rows["SFT"][1]["n"] == 4
    assert [row["n"] for row in rows["reasoning"]] == [12, 4, 4, 4, 4, 12]
    assert rows["LoRA identity"][0]["n"] == 4


def test_a_finished_stage_is_kept_only_if_it_would_come_out_the_same(life, data, tmp_path):
    out_dir = tmp_path / "out"
    shutil.copytree(life[0], out_dir)
    weight = out_dir / "full_sft_32.pth"
    before = weight.read_bytes()
    assert ": kept " in train("SFT", data, out_dir) and ": kept " in train("LoRA identity", data, out_dir)
    assert weight.read_bytes() == before
    assert ": kept " not in train("SFT", data, out_dir, "--learning_rate", "1e-3")  # another flag
    assert weight.read_bytes() != before
    assert ": kept " not in train("LoRA identity", data, out_dir)  # another start
    assert ": kept " not in train("SFT", data, out_dir)  # and back
    one, other = (torch.load(path, weights_only=True) for path in (weight, life[0] / weight.name))
    assert all(torch.equal(one[key], other[key]) for key in other)
    # What grew out of one weight is not compared with another.
    assert f"{out_dir / 'lora/identity_32.pth'}: it did not grow out of" in report(data, out_dir, code=1)


def test_an_unfinished_or_damaged_stage_is_not_kept(life, data, tmp_path):
    out_dir = tmp_path / "out"
    shutil.copytree(life[0], out_dir)
    beside = out_dir / "reason_32.json"
    described = json.loads(beside.read_text("utf-8"))
    beside.write_text(json.dumps(described | {"step": 2}), "utf-8")
    assert f"{out_dir / 'reason_32.pth'}: its run did not end" in report(data, out_dir, code=1)
    assert ": kept " not in train("reasoning", data, out_dir)
    (out_dir / "rlhf_32.pth").write_bytes(b"cut off")
    assert ": kept " not in train("DPO", data, out_dir)
    (out_dir / "direct_32.pth").unlink()
    assert "there is no direct_32.pth" in report(data, out_dir, code=1)


def test_the_student_alone_is_the_student_whose_teacher_counts_nothing(life, data):
    out_dir, _ = life
    train("student with teacher", data, out_dir, "--alpha", "1", "--save_weight", "alpha_one")
    one, other = (torch.load(out_dir / f"{name}_16.pth", weights_only=True) for name in ("alpha_one", "student_alone"))
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_recipes_are_compared(life, data):
    """Of one seed both see the same data, and each question counts once, by its mean over the seeds."""
    out_dir, _ = life
    small = "--hidden_size 16 --num_hidden_layers 1 --num_attention_heads 2 --max_steps 2 --max_seq_len 96 "
    small += f"--data_path {data}/sft.jsonl --val_path {data}/sft.jsonl"
    flags = ("--data_dir", data, "--held_out", data, "--out_dir", out_dir, "--seeds", 2, f"--flags={small}")
    call("scripts/compare_seeds.py", "--what", "distillation", *flags)
    folder = out_dir / "compare_distillation"
    made = json.loads((folder / "comparison.json").read_text("utf-8"))
    n = len([q for q in lines(data / "heldout.jsonl") if half_of(json.loads(q)) == "test"])
    assert [(row["recipe"], row["n"]) for row in made if row["figure"] == "general"] == [("alone", n), ("taught", n)]
    for row in made:
        assert row["after"] == pytest.approx(sum(row["seeds"]) / 2)
    for seed in range(2):
        alone, taught = (json.loads((folder / f"{n}_seed{seed}_16.json").read_text()) for n in ("alone", "taught"))
        assert alone["step"] == taught["step"] == 2 and alone["tokens"] == taught["tokens"]


# ---------------------------------------------------------------- its parts


def test_paired_figures():
    before, after = [0, 0, 1, 1, 0], [1, 1, 1, 0, 0]
    figures = paired_scores(before, after)
    assert (figures["before"], figures["after"], figures["n"], figures["difference"]) == (40, 60, 5, pytest.approx(20))
    assert figures["interval"] == list(paired_difference(before, after)[1])
    with pytest.raises(ValueError, match="no held-out question"):
        paired_scores([], [])


def test_the_interval_of_a_difference_stays_within_what_is_possible():
    """And holds the difference; of few questions it is no single point, whatever came out."""
    for a, b, c, d in itertools.product((0, 1, 7, 60), repeat=4):
        before, after = [1] * (a + b) + [0] * (c + d), [1] * a + [0] * b + [1] * c + [0] * d
        if before:
            difference, (low, high) = paired_difference(before, after)
            assert -100 <= low <= difference + 1e-9 and difference - 1e-9 <= high <= 100
            assert paired_difference(after, before)[1] == pytest.approx((-high, -low))
    difference, (low, high) = paired_difference([0] * 65, [1] * 64 + [0])
    assert low < 95 < difference < high == pytest.approx(100 * wilson_interval(64, 65)[1])
    low, high = paired_difference([0] * 50, [1] * 50)[1]
    assert 85 < low < high == 100
    assert paired_difference([0, 1] * 50, [0, 1] * 50)[1] == pytest.approx((0, 0))
    # many questions, half of them changed: the normal approximation holds
    low, high = paired_difference([0, 0, 1, 1] * 500, [0, 1, 0, 1] * 500)[1]
    assert (low, high) == pytest.approx((-3.1, 3.1), abs=0.05)


def test_a_share_against_a_known_one():
    figures = share(0.5, 0.9, 100)
    low, high = wilson_interval(90, 100)
    assert figures["difference"] == pytest.approx(40)
    assert figures["interval"] == pytest.approx([100 * low - 50, 100 * high - 50])


def test_cells():
    row = {"stage": "DPO", "what": "w", **paired_scores([0, 0, 1, 0], [1, 0, 1, 0]), "cost": None, "tokens": 12345}
    assert cells_of(row)[:4] == ["DPO", "w", "25.0 %", "50.0 %"] and cells_of(row)[5:] == ["", "", "12,345", ""]
    assert cells_of(row)[4].startswith("+25.0 (-")
    row = {"stage": "pretrain", "what": "w", **loss(8.0, 2.25), "cost": paired_scores([1, 1], [1, 0]), "seconds": 7.25}
    assert cells_of(row)[2:6] == ["8.000", "2.250", "-5.750", "100.0 % → 50.0 %"]


def test_direct_answers():
    user = {"role": "user", "content": "<think>"}
    said = {"role": "assistant", "content": "<think>\n1 + 1 = 2\n</think>\n<answer>\n有 2 个。\n</answer>"}
    direct = {"role": "assistant", "content": "有 2 个。"}
    assert json.loads(direct_line({"conversations": [user, said]})) == {"conversations": [user, direct]}
    with pytest.raises(ValueError, match="must look like"):
        direct_line({"conversations": [user, direct]})


def test_a_line_without_a_thought_is_named(tmp_path):
    path = tmp_path / "reason.jsonl"
    good = lines(SAMPLE / "reason.jsonl")[0]
    path.write_text(good + '{"conversations": [{"role": "assistant", "content": "4"}]}\n', "utf-8")
    said = call("scripts/direct_answers.py", "--data_path", path, "--output", tmp_path / "direct.jsonl", code=1)
    assert f"{path}:2: an answer must look like" in said and not (tmp_path / "direct.jsonl").exists()
    path.write_text(good, "utf-8")
    said = call("scripts/direct_answers.py", "--data_path", path, "--output", path, code=2)
    assert "the reasoning file itself" in said and path.read_text("utf-8") == good


def test_the_comparison_trains_the_students_of_run_sh():
    """Who changes the student in run.sh changes the comparison's defaults too."""
    text = (ROOT / "run.sh").read_text("utf-8")
    settings = text[text.index("\nSAMPLE=") : text.index("\nLIFE_MINUTES=")]
    arrays = "; ".join(
        f'printf "%s\\n" {name} "${{{name}[@]}}" ""' for name in ("LIFE_STUDENT", "LIFE_TAUGHT", "LIFE_ALONE")
    )
    command = ["bash", "-c", f"ROOT=$1; {settings}\n{arrays}", "bash", str(ROOT)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    flags = {}
    for block in printed.strip().split("\n\n"):
        name, *words = block.split("\n")
        flags[name] = {flag.removeprefix("--"): value for flag, value in zip(words[::2], words[1::2], strict=True)}
    assert flags["LIFE_ALONE"]["learning_rate"] == flags["LIFE_TAUGHT"]["learning_rate"]
    both = flags["LIFE_STUDENT"] | flags["LIFE_TAUGHT"]
    places = ("teacher_weight", "data_path", "val_path")
    (command,) = RECIPES["distillation"]["taught"]
    words = command.split()[1:]
    trained = {flag.removeprefix("--"): value for flag, value in zip(words[::2], words[1::2], strict=True)}
    for name in both.keys() - {*places, "temperature"}:
        assert float(trained[name]) == float(both[name]) if name != "from_weight" else trained[name] == "none", name


def test_the_manner_is_that_of_all_advice_given_fitting_or_not():
    questions = [
        {"answers": ["多喝水。", "多喝水。早日康复！"], "preferred": ["多喝水。早日康复！"]},
        {"answers": ["Sleep.", "Sleep. Rest well!"], "preferred": ["Sleep. Rest well!"]},
        {"answers": ["北京。"]},
    ]
    assert ends_with_wish(questions, ["多喝水。早日康复！", "Sleep.", "多喝水。"]) == [1, 0]
    assert ends_with_wish(questions, ["Sleep. 早日康复！", "多喝水。多喝水。", "北京。"]) == [1, 0]
    assert ends_with_wish(questions, ["我不知道。", "北京。", "北京。"]) == []
