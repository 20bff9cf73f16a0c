"""What README.md and the pages beside the code promise: commands that run, links that resolve, figures that agree.

Every ```bash block is typed, line by line, in a small copy of the repository with tiny data, weights and sizes.
"""

import contextlib
import functools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import Hub
from preloaded import PATIENCE_SECONDS, Preloaded, Ranks, run_preloaded

from model.model_lora import apply_lora, save_lora
from model.weights import save_weights

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("dataset/sample", "dataset", "trainer", "model", "scripts", "out")
FOLDER_READMES = [ROOT / folder / "README.md" for folder in FOLDERS]
TOP, CHINESE, MEASURED = ROOT / "README.md", ROOT / "README_zh.md", ROOT / "MEASURED.md"
PAGES = [TOP, CHINESE, MEASURED, ROOT / "CHANGELOG.md", *FOLDER_READMES]

SIZES = "--hidden_size 16 --num_hidden_layers 1 --num_attention_heads 2 --num_key_value_heads 1"
STEPS = "--max_steps 2 --batch_size 2 --max_seq_len 64 --log_interval 1"
TINY = {  # script: flags behind those of the README, which the last one of a name wins
    "trainer/train_pretrain.py": f"{SIZES} {STEPS}",
    "trainer/train_distillation.py": f"{SIZES} {STEPS} --max_seq_len 512 --max_new_tokens 16",
    **{f"trainer/train_{stage}.py": f"{STEPS} --max_seq_len 512 --max_new_tokens 8" for stage in ("grpo", "ppo")},
    **{f"trainer/train_{stage}.py": STEPS for stage in ("full_sft", "lora", "dpo", "distill_reason")},
    "scripts/train_tokenizer.py": "--vocab_size 300",
    "scripts/serve_openai_api.py": "--port 0",
    "scripts/chat_openai_api.py": "--base_url {url}/v1",
}
AS_THEY_ARE = {"eval_model.py", "scripts/plot_training.py", "scripts/convert_model.py", "scripts/download_data.py",
               "scripts/show_rollouts.py"}  # fmt: skip
NOT_RUN = {  # start of a command: why it is not run here; that its flags exist is checked all the same
    r"\./run\.sh( all)?$": "takes minutes; tests/test_run_sh.py runs its phases",
    r"\./run\.sh test": "is this suite",
    r"source |\S*pip install": "prepares a shell or installs a package",
    r"\./run\.sh web": "needs a browser; tests/test_web_demo.py",
    r"lm_eval run ": "needs lm_eval; tests/compat/test_lm_eval.py",
    r"deepspeed |\S+=\S+ .*torchrun .*--nnodes": "needs DeepSpeed or two machines; tests/compat",
    r".* --compile 1": "compiles for a minute",
    r"python scripts/benchmark(_context)?\.py": "measures for minutes; tests/test_scripts.py runs it",
    r".* --use_wandb 1": "starts another program; tests/test_monitor.py",
    r"python tests/compat/": "needs llama.cpp; tests/compat/test_llama_cpp.py",
    r"python dataset/sample/make_sample\.py": "writes the whole sample; tests/test_sample.py",
    r"python scripts/compare_seeds\.py": "trains many networks; tests/test_lifecycle.py",
}
TEXTS = {"my": "sft", "my_validation": "sft", "a": "pretrain", "c": "pretrain"}  # file: the sample's that it copies


# ---------------------------------------------------------------- reading the pages


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def lines_of(block: str) -> list[str]:
    """Commands, without their comments."""
    joined = block.replace("\\\n", " ")
    return [shlex.join(words) for line in joined.splitlines() if (words := shlex.split(line, comments=True))]


@functools.cache
def words_of_run_sh() -> dict[str, list[str]]:
    """Word -> script and flags, as `./run.sh help` lists them."""
    told = subprocess.run([ROOT / "run.sh", "help"], capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^  (\w+) +((?:\w+/)?\w+\.py[^:\n]*):", told, re.MULTILINE)
    return {word: shlex.split(script) for word, script in listed}


def parse(line: str) -> tuple[dict[str, str], int, list[str]]:
    """The variables before a command, its number of ranks, and [script, flags…]; [] when it is none of this house."""
    words, env, ranks = shlex.split(line), {}, 1
    while re.match(r"\w+=", words[0]):
        name, _, env[name] = words.pop(0).partition("=")
    if words[0] == "./run.sh":
        return env, 1, [*words_of_run_sh().get((words[1:] or [""])[0], []), *words[2:]]
    if words[0] == "torchrun":
        ranks = int(words[words.index("--nproc_per_node") + 1])
    scripts = [i for i, word in enumerate(words) if word.endswith(".py")]
    return env, ranks, words[scripts[0] :] if scripts else []


def reason_not_to_run(line: str) -> str | None:
    return next((reason for start, reason in NOT_RUN.items() if re.match(start, line)), None)


BLOCKS = [
    pytest.param(block, id=f"{relative(page)}-{number}")
    for page in (TOP, MEASURED, *FOLDER_READMES)
    for number, block in enumerate(blocks(page, "bash"), 1)
    if not all(map(reason_not_to_run, lines_of(block)))
]


# ---------------------------------------------------------------- a small house to type them in


@pytest.fixture(scope="module")
def template(tmp_path_factory, make_model, tokenizer) -> Path:
    """The repository with the first lines of its sample and with weights of every name that the pages use."""
    house = tmp_path_factory.mktemp("template") / "minimind"
    for folder in ("model", "dataset", "trainer", "scripts"):
        ignored = shutil.ignore_patterns("*.jsonl", "__pycache__", ".cache")
        shutil.copytree(ROOT / folder, house / folder, ignore=ignored)
    shutil.copy(ROOT / "eval_model.py", house)
    for path in (ROOT / "dataset" / "sample").glob("*.jsonl"):
        n = 4 if path.name.startswith("heldout") else 40
        with path.open(encoding="utf-8") as file:
            (house / "dataset" / "sample" / path.name).write_text("".join(next(file, "") for _ in range(n)), "utf-8")
    out, sample = house / "out", house / "dataset" / "sample"
    (out / "lora").mkdir(parents=True)
    network = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1)
    network["max_position_embeddings"] = 1024
    names = {"pretrain_512": "pretrain", "full_sft_192": "full_sft", "full_sft_512": "full_sft", "rlhf_512": "rlhf"}
    for name, stage in (names | {"full_dist_256": "full_dist", "reason_512": "reason"}).items():
        info = {"stage": stage, "recipe": {"max_seq_len": 128}}
        save_weights(make_model(vocab_size=len(tokenizer), **network), out / f"{name}.pth", tokenizer, **info)
    adapted = make_model(vocab_size=len(tokenizer), **network)
    apply_lora(adapted)
    save_lora(adapted, out / "lora" / "identity_192.pth", tokenizer)
    record = json.dumps({"step": 1, "tokens": 64, "seconds": 1.0, "loss": 3.0}) + "\n"
    (out / "metrics").mkdir()
    for name in ("pretrain_512", "pretrain_768"):
        (out / "metrics" / f"{name}.jsonl").write_text(record)
    for name, source in TEXTS.items():
        shutil.copy(sample / f"{source}.jsonl", house / f"{name}.jsonl")
    return house


@pytest.fixture
def house(template, tmp_path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "minimind"))


def check(line: str, done: subprocess.CompletedProcess) -> None:
    assert done.returncode == 0 and "Traceback" not in done.stderr, f"{line}\n{(done.stdout + done.stderr)[-3000:]}"


@contextlib.contextmanager
def serving(house: Path, flags: list[str], env: dict[str, str]) -> Iterator[str]:
    """The address of a running server, which Ctrl-C ends."""
    server = Preloaded(house / "scripts" / "serve_openai_api.py", *flags, cwd=house, env=env)
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := re.search(r"http://\S+?:(\d+)", server.printed("out"))):
        assert server.process.is_alive() and time.monotonic() < end, server.printed("err")
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{found[1]}"
    finally:
        server.send_signal(signal.SIGINT)
        assert server.join(PATIENCE_SECONDS).returncode in (0, 130)


def download(house: Path, flags: list[str]) -> subprocess.CompletedProcess:
    """From a hub on this machine."""
    names = ("pretrain_t2t_mini", "sft_t2t_mini", "dpo")
    with Hub({f"{name}.jsonl": b"{}\n" for name in names}) as hub:
        env = os.environ | {"HF_ENDPOINT": hub.url, "MODELSCOPE_ENDPOINT": hub.url, "no_proxy": "*"}
        command = [sys.executable, house / "scripts" / "download_data.py", *flags, "--force", "1"]
        return subprocess.run(command, cwd=house, env=env, capture_output=True, text=True)


def type_in(house: Path, block: str) -> None:
    """A block of commands, from top to bottom; servers stay up to its end."""
    with contextlib.ExitStack() as servers:
        url = None
        for line in lines_of(block):
            env, ranks, words = parse(line)
            if reason_not_to_run(line):
                continue
            assert words and words[0] in {*TINY, *AS_THEY_ARE}, f"{line}: neither run here nor in NOT_RUN"
            script, flags = words[0], words[1:] + shlex.split(TINY.get(words[0], "").format(url=url))
            if script == "scripts/serve_openai_api.py":
                address = servers.enter_context(serving(house, flags, env))
                url = url or address
            elif script == "scripts/download_data.py":
                check(line, download(house, flags))
            elif ranks > 1:
                for done in Ranks(ranks, house / script, *flags, env=env).finish():
                    check(line, done)
            else:
                if "--from_resume" in flags:  # there must be something to continue
                    check(line, run_preloaded(house / script, *flags, "--from_resume", 0, cwd=house, env=env))
                check(line, run_preloaded(house / script, *flags, cwd=house, env=env))


@pytest.mark.parametrize("block", BLOCKS)
def test_commands_run(house, block):
    type_in(house, block)


def test_python_runs(house):
    with serving(house, ["--port", "0"], {}) as url:
        for page in (TOP, *FOLDER_READMES):
            for block in blocks(page, "python"):
                (house / "typed.py").write_text(block.replace("http://127.0.0.1:8998", url), "utf-8")
                check(block, run_preloaded(house / "typed.py", cwd=house))


def test_flags_exist_where_commands_are_not_run():
    left_out: dict[str, list[list[str]]] = {}
    for page in PAGES:
        for line in (line for block in blocks(page, "bash") for line in lines_of(block)):
            if reason := reason_not_to_run(line):
                left_out.setdefault(reason, []).append(parse(line)[2])
    assert left_out.keys() == set(NOT_RUN.values()) and len(NOT_RUN) <= 12
    used: dict[str, set[str]] = {}
    for script, *flags in (words for commands in left_out.values() for words in commands if words):
        assert (ROOT / script).is_file(), script
        used.setdefault(script, set()).update(flag for flag in flags if flag.startswith("--"))
    for script, flags in used.items():
        told = run_preloaded(ROOT / script, "--help").stdout if flags else ""
        assert flags <= set(re.findall(r"--\w+", told)), script


# ---------------------------------------------------------------- the pages themselves


def test_pages_are_short():
    lengths = {page: len(page.read_text("utf-8").splitlines()) for page in PAGES}
    assert lengths[TOP] <= 250 and lengths[CHINESE] <= 250
    assert sum(lengths[page] for page in FOLDER_READMES) <= 582


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_and_paths_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), target
        elif anchor:
            assert int(re.fullmatch(r"L(\d+)", anchor)[1]) <= len(path.read_text("utf-8").splitlines()), target
    for path in re.findall(r"`((?:model|dataset|trainer|scripts|tests|images)/[\w./]+)`", prose(page)):
        assert (ROOT / path).exists() or path.startswith("dataset/") and path.endswith("lora_NAME.jsonl"), path
    names = {path.name for folder in ("model", "dataset", "trainer", "scripts") for path in (ROOT / folder).rglob("*")}
    for name in re.findall(r"`(\w+\.py)`", prose(page)):
        assert name in names | {"eval_model.py"}, name


def test_both_languages_say_the_same():
    def skeleton(page: Path) -> dict[str, list]:
        text = prose(page)
        links = [re.sub(r"^#.*|README(_zh)?\.md$", "", link) for link in re.findall(r"\]\(([^)\s]+)\)", text)]
        return {
            "headings": re.findall(r"^#+", text, re.MULTILINE),
            "commands": [lines_of(block) for block in blocks(page, "bash")],
            "output": blocks(page, "text"),
            "links": sorted(links),
            "code": sorted(re.findall(r"`[^`]+`", text)),
            "figures": [numbers(row) for row in text.splitlines() if row.startswith("|")],
        }

    english, chinese = skeleton(TOP), skeleton(CHINESE)
    for part in english:
        assert english[part] == chinese[part], part


def numbers(text: str) -> list[str]:
    return re.findall(r"[+-]?\d[\d.,]*", text)


def test_the_stage_table_is_the_measured_one():
    def rows(page: Path) -> list[list[str]]:
        """Of the table that tells differences: its numbers, but for tokens and seconds."""
        found = [row.split("|")[3:8] for row in prose(page).splitlines() if re.match(r"\| [\w ]+ \| .*\| [+-]\d", row)]
        return [numbers(" ".join(row)) for row in found]

    shown, measured = rows(TOP), rows(MEASURED)
    assert len(shown) >= 10 and shown == [row for row in measured if row in shown]


def test_minutes_are_those_of_run_sh():
    told = dict(re.findall(r"^(QUICK|LIFE)_MINUTES=(\d+)", (ROOT / "run.sh").read_text("utf-8"), re.MULTILINE))
    first, life = TOP.read_text("utf-8").split("## What each stage does")
    assert f"about {told['QUICK']} minutes on 2 CPU cores" in first
    assert f"about {told['LIFE']} minutes on 2 CPU cores" in life


def test_every_command_is_named_with_the_others():
    named = set(re.findall(r"\w+\.py", (ROOT / "scripts" / "README.md").read_text("utf-8")))
    assert {path.name for path in (ROOT / "scripts").glob("*.py")} - {"__init__.py"} <= named
