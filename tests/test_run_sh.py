"""run.sh: what a newcomer's first minute relies on, with real venvs, real pip and real signals, but toy packages.

The five large packages are stood in for by empty wheels of the same names, so a whole set-up takes seconds and needs no
network. A proxy on a closed port stands for the missing network; a Python that is too old or stripped is the real one
with its version or a module hidden, because a machine with only that cannot be had here.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
PACKAGES = {"torch": "2.13.0", "transformers": "1.0", "tokenizers": "1.0", "matplotlib": "1.0"}
BASE_PYTHON = Path(sys.base_prefix) / "bin" / "python3"
STAGES = ("pretrain", "full_sft", "lora", "dpo", "distillation", "distill_reason", "grpo")
REPORTS = ("quickstart_report", "direct_answers", "lifecycle_report", "plot_training")
DOORS = ("serve_openai_api", "web_demo", "download_data", "convert_model")
SCRIPTS = (
    *(f"trainer/train_{stage}.py" for stage in STAGES), "eval_model.py", "dataset/sample/make_sample.py",
    *(f"scripts/{name}.py" for name in (*REPORTS, *DOORS)),
)  # fmt: skip
TOOLS = [
    *("awk", "bash", "cat", "cut", "df", "dirname", "du", "env", "flock", "grep", "mkdir", "readlink", "rm"),
    *("sed", "sleep", "tail", "timeout", "uname"),
]
ECHO = "import os, sys\nprint(os.path.basename(sys.argv[0]), *sys.argv[1:], 'in', os.getcwd(), flush=True)\n"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for name, version in PACKAGES.items():
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", "")
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    return folder


def clone(folder: Path) -> Path:
    """A repository with the real run.sh, toy requirements and scripts that print how they were called."""
    folder.mkdir(parents=True)
    shutil.copy(REPO / "run.sh", folder)
    (folder / "requirements.txt").write_text("".join(f"{n}>=0.1  # toy\n" for n in PACKAGES))
    (folder / "requirements.lock").write_text("".join(f"{n}=={v}\n" for n, v in PACKAGES.items()))
    (folder / "requirements-dev.txt").write_text("-r requirements.txt\n")
    for script in SCRIPTS:
        (folder / script).parent.mkdir(exist_ok=True, parents=True)
        (folder / script).write_text(ECHO)
    return folder


def bin_folder(folder: Path, **programs: str) -> Path:
    """A folder for PATH with the everyday tools that run.sh uses, no Python, and `programs` (name -> script)."""
    folder.mkdir()
    for tool in TOOLS:
        if path := shutil.which(tool):
            (folder / tool).symlink_to(path)
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def python_with(lines: str) -> str:
    """The real Python, after it has run `lines`."""
    return f"#!/bin/sh\nexec {BASE_PYTHON} -c 'import sys; code = sys.argv[1]; {lines}; exec(code)' \"$2\"\n"


def environment(path: Path | None = None, wheels: Path | None = None) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("PIP_") and not k.lower().endswith("_proxy")}
    closed = "http://127.0.0.1:9"
    env |= {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1", "https_proxy": closed, "http_proxy": closed}
    env["PATH"] = str(path) if path else f"{BASE_PYTHON.parent}{os.pathsep}{env['PATH']}"
    if wheels:
        env |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    return env


def run(script: Path, *words: str, cwd=None, **env) -> subprocess.CompletedProcess:
    command = [shutil.which("bash"), str(script), *words]
    return subprocess.run(
        command, cwd=cwd, env=environment(**env), capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def ready(tmp_path_factory, wheels) -> Path:
    """A clone after its first set-up, in a folder with a space in its name; set up from a folder with a module that is
    called as one of Python's own."""
    repo, elsewhere = clone(tmp_path_factory.mktemp("ready") / "my clone"), tmp_path_factory.mktemp("elsewhere")
    for name in ("types", "random"):
        (elsewhere / f"{name}.py").write_text("raise SystemExit(1)")
    done = run(repo / "run.sh", "setup", cwd=elsewhere, wheels=wheels)
    assert done.returncode == 0, done.stderr
    return repo


def sentence(done: subprocess.CompletedProcess) -> str:
    """The one `run.sh: ...` line of a run that failed."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("run.sh: ")]
    assert done.returncode == 1 and len(lines) == 1, done
    return lines[0]


@pytest.mark.parametrize("word", ["trian", "--hidden_size", "pretrain.py"])
def test_unknown_word_prints_the_list_and_exits_2(word):
    done = run(REPO / "run.sh", word)
    assert done.returncode == 2 and done.stdout == ""
    assert f"no such word: {word}" in done.stderr
    listed = {line.split()[0] for line in done.stderr.splitlines() if line.startswith("  ")}
    words = "all setup data pretrain sft eval chat serve web convert test test-compat help"
    assert set(words.split()) <= listed
    help_ = run(REPO / "run.sh", "help")
    assert help_.returncode == 0 and help_.stdout in done.stderr
    assert subprocess.run(["sh", str(REPO / "run.sh"), "help"], capture_output=True, text=True).stdout == help_.stdout


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        ({}, "no Python that runs is on PATH"),
        ({"python3": "#!/bin/sh\nexit 127\n"}, "no Python that runs is on PATH"),
        ({"python3": python_with("sys.version_info = (3, 9, 18)")}, "Python 3.9.18 at "),
        ({"python3": python_with('sys.modules["ensurepip"] = None')}, "apt install python3-venv"),
        ({"python3": python_with('sys.modules["venv"] = None')}, "apt install python3-venv"),
    ],
    ids=["none", "broken-shim", "too-old", "no-ensurepip", "no-venv"],
)
def test_no_usable_python_is_one_sentence(tmp_path, programs, expected):
    repo = clone(tmp_path / "repo")
    done = run(repo / "run.sh", "setup", path=bin_folder(tmp_path / "bin", **programs))
    assert expected in sentence(done)
    assert "and run again" in done.stderr and "Traceback" not in done.stderr


def test_a_file_in_the_place_of_the_environment_is_one_sentence(tmp_path):
    repo = clone(tmp_path / "repo")
    (repo / ".venv").write_text("")
    assert f"{repo}/.venv is not a folder" in sentence(run(repo / "run.sh", "setup"))


def test_set_up_from_nothing_through_failure_to_ready(tmp_path, wheels):
    repo = clone(tmp_path / "repo")
    # An old Python and a shim that fails come first on PATH: the usable one behind them is found.
    first = bin_folder(
        tmp_path / "bin",
        **{"python3.13": "#!/bin/sh\nexit 127\n", "python3": python_with("sys.version_info = (3, 9, 18)")},
    )
    (first / "python3.12").symlink_to(BASE_PYTHON)
    offline = run(repo / "run.sh", "setup", path=first)
    assert "no package index answered" in sentence(offline) and str(repo / ".venv/setup.log") in offline.stderr
    assert not list(repo.glob(".venv/*.stamp"))

    # Two at once, called through a symlink from another folder: the second waits, and both end ready.
    (tmp_path / "link.sh").symlink_to(repo / "run.sh")
    command = [shutil.which("bash"), str(tmp_path / "link.sh"), "setup"]
    both = [
        subprocess.Popen(command, cwd="/", env=environment(first, wheels), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert sum("[setup 3/4]" in text for text in errors) == (1 if shutil.which("flock") else 2)


def test_second_set_up_starts_nothing_and_needs_nothing(ready, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in ready.joinpath(".venv").rglob("*") if p.suffix != ".pyc"}
    no_python = bin_folder(tmp_path / "bin")
    started = time.monotonic()
    done = run(ready / "run.sh", "setup", path=no_python)
    assert time.monotonic() - started < 2  # 0.02 s on an idle machine
    assert done.returncode == 0 and done.stderr == "", done
    assert before == {p: p.stat().st_mtime_ns for p in ready.joinpath(".venv").rglob("*") if p.suffix != ".pyc"}


def test_changed_requirements_are_installed(ready, wheels):
    with (ready / "requirements.txt").open("a") as file:
        file.write("# one more line\n")
    again = run(ready / "run.sh", "setup", wheels=wheels)
    assert again.returncode == 0 and "[setup 3/4]" in again.stderr
    assert run(ready / "run.sh", "setup", wheels=wheels).stderr == ""


def test_set_up_cut_off_inside_a_package_is_repaired(ready, wheels):
    """Killed while pip unpacked: the package's metadata is there, its module and INSTALLER are not, nor is a stamp."""
    site = next(ready.glob(".venv/lib/python3.*/site-packages"))
    (site / "tokenizers.py").unlink()
    (site / "tokenizers-1.0.dist-info" / "INSTALLER").unlink()
    for stamp in ready.glob(".venv/*.stamp"):
        stamp.unlink()
    done = run(ready / "run.sh", "setup", wheels=wheels)
    assert done.returncode == 0, done.stderr
    assert (site / "tokenizers.py").exists() and (site / "tokenizers-1.0.dist-info" / "INSTALLER").exists()


@pytest.mark.parametrize(
    ("word", "call"),
    [
        ("pretrain", "train_pretrain.py"),
        ("sft", "train_full_sft.py"),
        ("lora", "train_lora.py"),
        ("dpo", "train_dpo.py"),
        ("distill", "train_distillation.py"),
        ("reason", "train_distill_reason.py"),
        ("eval", "eval_model.py --score --half test"),
        ("chat", "eval_model.py --model_mode 1"),
        ("serve", "serve_openai_api.py"),
        ("data", "download_data.py"),
        ("convert", "convert_model.py"),
        ("web", "web_demo.py"),
    ],
)
def test_doors_pass_flags_on_and_stay_in_the_users_folder(ready, tmp_path, word, call):
    done = run(ready / "run.sh", word, "--data_path", "a b.jsonl", cwd=tmp_path)
    assert done.stdout == f"{call} --data_path a b.jsonl in {tmp_path}\n" and done.returncode == 0


def test_quick_start_runs_its_phases_in_order(ready):
    done = run(ready / "run.sh")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "minutes" in lines[0]
    shown = [line.split()[0] for line in lines[1:] if line]
    phases = ["[1/3]", "train_pretrain.py", "[2/3]", "train_full_sft.py", "[3/3]", "quickstart_report.py"]
    assert shown == phases
    assert sum(line.endswith(f"--skip_finished 1 in {os.getcwd()}") for line in lines) == 2  # a second one goes on


def test_all_runs_every_stage_once_each_on_what_it_grows_out_of(ready):
    done = run(ready / "run.sh", "all")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line]
    assert "minutes" in lines[0] and lines[-1].startswith("life cycle: done in ")
    titles = [line for line in lines[1:-1] if line[0] == "["]
    assert [title.split()[0] for title in titles] == [f"[{i}/11]" for i in range(1, 12)]
    calls = [line for line in lines[1:-1] if line[0] != "[" and not line.startswith("data: ")]
    expected = [  # script, then some of what it must be told
        ("train_pretrain.py", ""),
        ("train_full_sft.py", "--from_weight {out}/pretrain_192.pth"),
        ("train_lora.py", "/world/lora_identity.jsonl --lora_name identity --from_weight {out}/full_sft_192.pth"),
        ("train_lora.py", "--lora_name teahouse --from_weight {out}/full_sft_192.pth"),
        ("train_dpo.py", "--from_weight {out}/full_sft_192.pth"),
        ("train_distillation.py", "--teacher_weight {out}/full_sft_192.pth"),
        ("train_full_sft.py", "--save_weight student_alone"),
        ("train_distill_reason.py", "--data_path {out}/world/reason.jsonl --from_weight {out}/rlhf_192.pth"),
        ("direct_answers.py", "--output {out}/direct.jsonl"),
        ("train_full_sft.py", "--data_path {out}/direct.jsonl --save_weight direct --from_weight {out}/rlhf_192.pth"),
        ("train_grpo.py", "--data_path {out}/world/rl.jsonl --from_weight {out}/full_sft_192.pth --thinking 1"),
        ("lifecycle_report.py", "--hidden_size 192 --student_size 112"),
    ]
    for line, (script, told) in zip(calls, expected, strict=True):
        assert line.startswith(script) and told.format(out=ready / "out") in line
        assert ("--skip_finished 1" in line) == script.startswith("train_")


def test_hack_trains_twice_and_draws_what_it_trained(ready):
    done = run(ready / "run.sh", "hack")
    assert done.returncode == 0, done.stderr
    trained, again, drawn = (line for line in done.stdout.splitlines() if line.startswith(("train_grpo", "plot_")))
    for name, call in (("hack", trained), ("hack_kl", again)):
        assert f"--save_weight {name} " in call and f"{ready / 'out' / 'metrics' / name}_192.jsonl" in drawn


def test_all_stops_at_a_stage_that_fails_and_takes_no_flags(ready):
    script = ready / "trainer" / "train_lora.py"
    script.write_text("raise SystemExit(1)")
    try:
        done = run(ready / "run.sh", "all")
    finally:
        script.write_text(ECHO)
    assert "trainer/train_lora.py ended with exit code 1 (see above), so the life cycle stops here." in sentence(done)
    assert "[4/11]" not in done.stdout
    for word in ("all", "hack"):
        refused = run(ready / "run.sh", word, "--epochs", "2")
        assert refused.returncode == 2 and not refused.stdout and len(refused.stderr.splitlines()) == 1


def test_quick_start_stops_at_a_stage_that_fails(ready):
    script = ready / "trainer" / "train_full_sft.py"
    script.write_text("raise SystemExit(1)")
    try:
        done = run(ready / "run.sh")
    finally:
        script.write_text(ECHO)
    assert "trainer/train_full_sft.py ended with exit code 1" in sentence(done)
    assert "[3/3]" not in done.stdout


STOPPED = "run.sh: stopped. What was saved so far is kept; the same command continues where this stopped."


@pytest.mark.parametrize(
    ("word", "number", "stage_exit"),
    [
        *((word, signal.SIGINT, code) for word in ("", "all") for code in (0, 1, 130)),
        ("", signal.SIGTERM, 143), ("", signal.SIGHUP, 129), ("", signal.SIGHUP, 0),
    ],
)  # fmt: skip
def test_a_signal_ends_a_chain_of_stages_with_one_sentence(ready, word, number, stage_exit):
    """Ctrl-C, SIGTERM or a closed terminal: however a stage ends after it has saved its checkpoint, the next stage must
    not start."""
    script = ready / "trainer" / "train_pretrain.py"
    stop = f"signal.signal({int(number)}, lambda *_: sys.exit({stage_exit}))"
    said = "print('training', os.environ['MINIMIND_REST'], flush=True)"  # what else there is to do is told
    script.write_text(f"import os, signal, sys, time\n{stop}\n{said}\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [shutil.which("bash"), str(ready / "run.sh"), *word.split()],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # as in a terminal, also where the suite itself runs in the background with SIGINT ignored
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    try:
        while not process.stdout.readline().startswith("training "):
            assert process.poll() is None
        os.killpg(process.pid, number)  # what a terminal does
        out, err = process.communicate(timeout=20)
    finally:
        script.write_text(ECHO)
        process.kill()
    assert process.returncode == 128 + number and "[2/" not in out
    assert [line for line in err.splitlines() if line] == [STOPPED]
