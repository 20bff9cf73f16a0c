"""Benchmark, loss curves and the quick start's report, as users run them: real processes on tiny networks and files."""

import json
import re
import shlex
import subprocess
import warnings
from pathlib import Path

import pytest
from matplotlib import image
from matplotlib.font_manager import fontManager
from preloaded import run_preloaded

from dataset.heldout import read_chats, read_heldout
from scripts.measuring.measured import write_section
from scripts.quickstart_report import what_next
from scripts.reports.comparing import read_metadata
from scripts.reports.plots import CHINESE_FONTS, draw_losses, read_curves, shown
from scripts.reports.shell import command, typed
from scripts.reports.tables import cells, format_table

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "dataset" / "sample"


def run(script: str, *flags, cwd=ROOT, code: int = 0) -> subprocess.CompletedProcess:
    done = run_preloaded(ROOT / script, *flags, cwd=cwd)
    assert done.returncode == code, (done.stdout + done.stderr)[-3000:]
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done


def first_lines(name: str, n: int, folder: Path) -> Path:
    lines = (SAMPLE / name).read_text(encoding="utf-8").splitlines(keepends=True)[:n]
    (folder / name).write_text("".join(lines), encoding="utf-8")
    return folder / name


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    amounts = {"pretrain": 300, "sft": 200, "heldout": 24, "heldout_chats": 12, "heldout_reason": 8}
    return {name: first_lines(f"{name}.jsonl", n, folder) for name, n in amounts.items()}


@pytest.fixture(scope="module")
def out_dir(files, tmp_path_factory) -> Path:
    """A quick start in small: a few steps of pretraining, a few of SFT on top, 32 x 2."""
    folder = tmp_path_factory.mktemp("out")
    common = ("--out_dir", folder, "--max_seq_len", 64, "--max_steps", 6, "--log_interval", 1, "--batch_size", 4)
    sizes = ("--hidden_size", 32, "--num_hidden_layers", 2)
    run("trainer/train_pretrain.py", *common, *sizes, "--data_path", files["pretrain"])
    run("trainer/train_full_sft.py", *common, "--data_path", files["sft"])
    return folder


# ---------------------------------------------------------------- tables


def test_columns_line_up_where_chinese_stands_in_them():
    table = format_table(["question", "answer"], [["法国的首都", "巴黎"], ["the capital of France", "Paris"]])
    lines = table.splitlines()
    assert len({cells(line) for line in lines}) == 1
    assert lines[2].startswith("法国的首都" + " " * 11) and lines[2].endswith("    巴黎".rjust(4))


# ---------------------------------------------------------------- plot_training


def assert_is_a_picture(path: Path, height: int, width: int) -> None:
    pixels = image.imread(path)
    assert pixels.shape[:2] == (height, width)
    ink = (pixels[..., :3] < 0.9).any(axis=-1)
    assert 0.005 < ink.mean() < 0.5
    colored = pixels[..., :3].max(axis=-1) - pixels[..., :3].min(axis=-1) > 0.3
    for half in (colored[:, : width // 2], colored[:, width // 2 :]):  # a curve in each panel
        assert half.sum() > 300


def test_two_stages_are_drawn_side_by_side(out_dir, tmp_path):
    metrics = out_dir / "metrics"
    output = tmp_path / "new" / "loss.png"
    run("scripts/plot_training.py", metrics / "pretrain_32.jsonl", metrics / "full_sft_32.jsonl", "--output", output)
    assert_is_a_picture(output, 600, 1680)


def test_all_metrics_are_drawn_from_any_folder_and_runs_can_share_a_panel(out_dir, tmp_path):
    flags = ("--metrics_dir", out_dir / "metrics", "--overlay", 1, "--x", "seconds", "--output", "loss.png")
    run("scripts/plot_training.py", *flags, cwd=tmp_path)
    assert_is_a_picture(tmp_path / "loss.png", 600, 1092)


def record(tokens, loss, key: str = "loss") -> str:
    return json.dumps({"step": 1, "tokens": tokens, "seconds": 1, key: loss}) + "\n"


def texts_of(picture: Path) -> list[str]:
    """What stands in an .svg, whose letters are outlines: matplotlib puts each text beside them as a comment."""
    return [part.split(" -->")[0] for part in picture.read_text("utf-8").split("<!-- ")[1:]]


NAMES = ("a$b$", "lr$x_1^{", "_hidden", "run 5%", "{a_b", "tab\ttab", "x$^$y", "a$\\foo$", "line\nline", "x" * 200)


@pytest.mark.parametrize("overlay", [False, True])
def test_a_run_is_called_in_the_picture_as_its_file_is(tmp_path, overlay):
    paths = [tmp_path / f"{name}.jsonl" for name in NAMES]
    for path in paths:
        path.write_text(record(1, 3.0) + record(2, 2.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        there = texts_of(draw_losses(paths, tmp_path / "loss.svg", overlay=overlay))
    assert set(map(shown, NAMES)) <= set(there)
    assert shown("tab\ttab") == "tab tab" and len(shown("x" * 200)) == 40


def test_chinese_is_drawn_where_a_font_has_it_and_a_note_says_where_none_has(tmp_path, capsys):
    rare = "\U0010fffd"  # of no language: no font of a machine has it
    path = tmp_path / f"预训{rare}.jsonl"
    path.write_text(record(1, 3.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_losses([path], tmp_path / "loss.png", titles=[f"预训{rare}"])
    has_chinese = any(entry.name in CHINESE_FONTS for entry in fontManager.ttflist)
    assert f"no font here has {'' if has_chinese else '预训'}{rare}: boxes" in capsys.readouterr().err


def test_without_files_the_adapters_are_drawn_too(tmp_path):
    (tmp_path / "lora").mkdir()
    for name in ("full_sft_32", "lora/identity_32", "lora/my_own_512_moe"):
        (tmp_path / f"{name}.jsonl").write_text(record(1, 3.0))
    run("scripts/plot_training.py", "--metrics_dir", tmp_path, "--output", tmp_path / "loss.svg")
    assert {"full_sft_32", "lora/identity_32", "lora/my_own_512_moe"} <= set(texts_of(tmp_path / "loss.svg"))


def test_a_run_with_rewards_shows_them_in_place_of_its_loss(tmp_path):
    lines = record(0, 0.5, "val_reward") + record(1, 0.25, "reward").replace("}", ', "loss": 7.0}')
    (tmp_path / "grpo_32.jsonl").write_text(lines)
    curves = read_curves(tmp_path / "grpo_32.jsonl")
    assert (curves.train, curves.validation) == ([(1, 0.25)], [(0, 0.5)])
    assert "reward" in texts_of(draw_losses([tmp_path / "grpo_32.jsonl"], tmp_path / "loss.svg"))


def test_any_figures_can_be_drawn_and_one_that_is_not_there_is_named(tmp_path):
    both = record(1, 0.25, "reward_right").replace("}", ', "length": 9.0, "loss": 7.0}')
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(both)
    files, out = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"], tmp_path / "both.svg"
    run("scripts/plot_training.py", *files, "--y", "reward_right,length", "--overlay", 1, "--output", out)
    assert {f"{file}: {y}" for file in "ab" for y in ("reward_right", "length")} <= set(texts_of(out))
    with pytest.raises(ValueError, match=r"a\.jsonl: there is no entropy in it"):
        draw_losses(files, out, ys=["entropy"])


NAN = float("nan")
DRAWN = {
    "a killed run": record(1, 3.0) + '{"step": 2, "tok', "one point": record(5, 3.0), "one text": record("5", "3.5"),
    "gaps": record(1, 3.0) + record(2, NAN) + record(3, float("inf")) + record(3, NAN, "val_loss"),
    "before training": record(0, 3.0, "val_loss"), "no tokens": record(0, 3.0) + record(0, 2.0),
    "large": record(1e30, 1e36), "negative": record(1, -3.0), "zero": record(1, 0), "back": record(9, 3) + record(1, 2),
    "past a double": record(1, 3.0) + record(2, 1e300) + record(3, 1e-300),
}  # fmt: skip
REFUSED = {
    "nan": record(1, NAN), "huge": record(1e300, 3.0), "before the start": record(-5, 3.0), "null": record(None, 3.0),
    "long": record(10**400, 3.0), "digits": '{"tokens": 1' + "0" * 5000 + '}\n', "deep": "[" * 100000 + "\n",
    "no number": record("x", 3.0), "blank": "\n\n", "list": "[1, 2]\n", "nowhere": record(NAN, 3.0), "bytes": "\0\n",
}  # fmt: skip


@pytest.mark.parametrize("content", DRAWN.values(), ids=DRAWN)
def test_odd_metrics_are_drawn_without_a_warning(content, tmp_path):
    (tmp_path / "odd.jsonl").write_text(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert draw_losses([tmp_path / "odd.jsonl"], tmp_path / "loss.png").stat().st_size > 1000


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_metrics_that_say_nothing_are_refused(content, tmp_path):
    (tmp_path / "odd.jsonl").write_text(content)
    with pytest.raises(ValueError, match="odd.jsonl") as refused:
        draw_losses([tmp_path / "odd.jsonl"], tmp_path / "loss.png")
    assert "\n" not in str(refused.value)


def test_the_picture_is_where_its_path_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run.jsonl").write_text(record(1, 3.0))
    Path("dir").mkdir()
    Path("link.png").symlink_to("dir/target.png")
    places = {"x": "x.png", "dir": "dir/loss.png", "new/": "new/loss.png", "a/b/y.svg": "a/b/y.svg", "P.PDF": "P.PDF",
              ".png": ".png.png", "link.png": "dir/target.png"}  # fmt: skip
    for output, expected in places.items():
        assert draw_losses(["run.jsonl"], output).samefile(expected) and Path(expected).is_file(), output
    assert Path("link.png").is_symlink()
    Path("here.png").write_bytes(b"older")
    for output in ("x.xyz", "/proc/x.png", "run.jsonl/x.png", "/dev/full/x.png", "y" * 250 + ".png"):
        with pytest.raises((ValueError, OSError), match=output.removesuffix("/x.png")) as refused:
            draw_losses(["run.jsonl"], output)
        assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="61 runs are too many"):
        draw_losses(["run.jsonl"] * 61, "here.png")
    assert Path("here.png").read_bytes() == b"older" and not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no such file"),
        ("", "there is no loss in it"),
        ('{"text": "the wrong kind of file"}\n', "there is no loss in it"),
        ('{"loss": 1.0}\n', "bad.jsonl:1: this is no record"),
        ("5\n", "bad.jsonl:1: this is no record"),
    ],
)
def test_a_broken_metrics_file_ends_with_one_sentence_and_no_picture(content, said, tmp_path):
    path = tmp_path / "bad.jsonl"
    if content is not None:
        path.write_text(content)
    done = run("scripts/plot_training.py", path, "--output", tmp_path / "loss.png", code=1)
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "loss.png").exists()


# ---------------------------------------------------------------- show_rollouts


def test_rollouts_become_a_page_best_first(tmp_path):
    replies = [{"text": text, "finished": True, "reward": len(text)} for text in ("<b>", "二加二等于四", "<b>")]
    step = {"step": 5, "messages": [{"role": "user", "content": "2 < 3?"}], "answers": ["是"], "replies": replies}
    (tmp_path / "grpo.jsonl").write_text(json.dumps(step), "utf-8")
    done = run("scripts/show_rollouts.py", tmp_path / "grpo.jsonl")
    page = (tmp_path / "grpo.html").read_text("utf-8")
    assert done.stdout == f"{tmp_path / 'grpo.html'}\n" and "2 &lt; 3?" in page and "<b>" not in page
    assert page.index("#2f8a57><small>1 × ") < page.index("二加二等于四</p>") < page.index("#c8502d><small>2 × ")
    for bad in ("{}", '{"replies": 5}', "[]"):
        (tmp_path / "grpo.jsonl").write_text(bad)
        done = run("scripts/show_rollouts.py", tmp_path / "grpo.jsonl", code=1)
        assert "grpo.jsonl" in done.stderr and len(done.stderr.splitlines()) == 1


# ---------------------------------------------------------------- benchmark


def figures(done: subprocess.CompletedProcess) -> dict[str, dict]:
    """The JSON lines of a benchmark; what follows them is the table, with a row for each."""
    lines = done.stdout.splitlines()
    records = {r["figure"]: r for r in map(json.loads, (line for line in lines if line.startswith("{")))}
    table = lines[len(records) :]
    for figure in records:
        assert any(line.startswith(figure) for line in table)
    return records


SMALL = ("--hidden_size", 32, "--num_hidden_layers", 1, "--batch_size", 2, "--max_seq_len", 64, "--repeats", 2)


def test_a_training_step_against_transformers():
    found = figures(run("scripts/benchmark.py", *SMALL, "--use_moe", 1, "--gradient_checkpointing", 1))
    name = "32×1 MoE, float32, gradient_checkpointing"
    step, memory = found[f"training step, {name}, s"], found[f"peak memory less imports, {name}, MiB"]
    assert list(step) == ["figure", "ours", "reference", "ratio", "floor", "share of floor"]
    assert all(value > 0 for figure in (step, memory) for key, value in figure.items() if key != "figure")


def test_generation_against_transformers():
    found = figures(run("scripts/benchmark.py", "--decode", *SMALL, "--new_tokens", 64, "--streams", 3))
    assert list(found) == [f"{part}, 3 × prompt of 32, 32×1, float32, tokens/s" for part in ("prefill", "decode")]
    assert all(min(figure["ours"], figure["reference"], figure["ratio"]) > 0 for figure in found.values())


def test_longer_contexts_are_measured_and_drawn(out_dir, files, tmp_path):
    before = {path: path.read_bytes() for path in out_dir.glob("pretrain_*")}
    done = run(
        "scripts/benchmark_context.py", "--out_dir", out_dir, "--data_path", files["pretrain"], "--max_seq_len", 128,
        "--factor", 2, "--steps", 2, "--tuning_steps", 3, "--rows", 4, "--output", tmp_path / "context.png",
    )  # fmt: skip
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("|")]
    names = ("as trained", "YaRN", "YaRN, tuned")
    assert [row[0] for row in rows[2:5]] == [f"bits per byte, {name}" for name in names]
    assert [row[0] for row in rows[5:]] == [f"facts found, {name}" for name in names]
    assert rows[0][-2:] == ["to 128", "to 256"]
    bits = [tuple(map(float, row[1:])) for row in rows[2:5]]
    assert len(set(bits)) > 1 and all(0 < bit < 20 for row in bits for bit in row)
    assert image.imread(tmp_path / "context.png").shape[0] > 300
    assert {path: path.read_bytes() for path in out_dir.glob("pretrain_*")} == before
    flags = ("--out_dir", out_dir, "--data_path", files["pretrain"])
    assert "length 64: pass one from 128" in run("scripts/benchmark_context.py", *flags, code=2).stderr


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (("--hidden_size", "33", "--repeats", "1"), 1, "hidden_size 33 does not divide"),
        (("--repeats", "0"), 2, "--repeats 0: it must be at least 1"),
        (("--repeat", "3"), 2, "did you mean --repeats?"),
    ],
)
def test_wrong_use_of_the_benchmark(flags, code, said):
    done = run("scripts/benchmark.py", *flags, code=code)
    assert said in done.stderr and not done.stdout


def test_a_section_of_measured_takes_the_place_of_its_earlier_self(tmp_path, monkeypatch):
    path = tmp_path / "MEASURED.md"
    monkeypatch.setattr("sys.argv", [str(ROOT / "scripts" / "benchmark.py"), "--device", "a b", "--write"])
    write_section("Generation beside llama.cpp", "| old |", path)
    write_section("Speed and memory", "| speed |", path)
    once = path.read_text("utf-8")
    assert once.index("## Generation beside llama.cpp") < once.index("## Speed and memory")
    assert "python scripts/benchmark.py --device 'a b' --write" in once and ", torch 2" in once
    write_section("Generation beside llama.cpp", "| new |", path)
    assert path.read_text("utf-8") == once.replace("| old |", "| new |")


# ---------------------------------------------------------------- quickstart_report


def test_printed_commands_hold_together_in_any_folder(tmp_path, monkeypatch):
    out_dir = tmp_path / "my 'out' $HOME"
    lines = [line for line in what_next(out_dir).splitlines() if "--out_dir" in line]
    assert len(lines) == 4
    for line in lines:
        words = shlex.split(line)
        assert words[words.index("--out_dir") + 1] == str(out_dir)
    monkeypatch.chdir(tmp_path)
    started = shlex.split(f"{command('run.sh', 'help')} {typed('-x')}")
    assert started == [str(ROOT / "run.sh"), "help", str(tmp_path / "-x")]
    monkeypatch.chdir(ROOT)
    assert command("run.sh", "chat") == "./run.sh chat" and typed("out/a b") == "'out/a b'"
    assert typed(ROOT / "-x") == str(ROOT / "-x")  # no flag


def test_the_report_of_a_quick_start(out_dir, files):
    done = run("scripts/quickstart_report.py", "--out_dir", out_dir, "--score_data", files["heldout"],
               "--chat_data", files["heldout_chats"], "--problem_data", files["heldout_reason"])  # fmt: skip
    scores = json.loads((out_dir / "score.json").read_text(encoding="utf-8"))
    assert_is_a_picture(out_dir / "loss_curve.png", 600, 1680)

    n, n_chats = len(read_heldout(files["heldout"], "test")), len(read_chats(files["heldout_chats"], "test"))
    assert scores["n"] == len(scores["right"]) == n and 0 <= scores["score"] <= 100
    assert [row["turn"] for row in scores["chats"]] == list(range(1, 13)) and scores["chats"][0]["n"] == n_chats

    lines = done.stdout.splitlines()
    for category in scores["categories"]:
        assert any(line.startswith(f"{category} ") and line.count("%") == 2 for line in lines)
    assert any(line.startswith("all ") and f" {n} " in line for line in lines)
    for mode in (0, 1):
        assert any(re.fullmatch(rf"--thinking {mode}( +[\d.]+ % +[\d.]+){{2}}", line) for line in lines)
    answered = ("冰岛的首都是哪里？", f"{n_chats} chats", str(out_dir))
    for wanted in (*answered, "./run.sh chat", "eval_model.py", "./run.sh eval"):
        assert wanted in done.stdout


@pytest.mark.parametrize("content", ["[]", "null", "{", "{}", '{"config": {}, "step": 1, "tokens": 2}'])
def test_a_weight_that_was_not_trained_here_has_no_report(content, tmp_path):
    """As one that convert_model.py wrote: said before any question is asked."""
    (tmp_path / "w.json").write_text(content)
    with pytest.raises(ValueError, match="w.json: .*it does not say how the weight was trained"):
        read_metadata(tmp_path / "w.pth")


def test_the_report_names_the_stage_that_is_missing(tmp_path):
    done = run("scripts/quickstart_report.py", "--out_dir", tmp_path, code=1)
    assert "there is no full_sft_*.pth" in done.stderr and len(done.stderr.splitlines()) == 1
