"""Flags at, below and beyond their edges, and how a program ends: in one sentence, whatever its user did."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from preloaded import run_preloaded

from model.memory import lack_of_memory
from trainer.command_line import compared_flags, flag, parse_options, run
from trainer.options import TrainOptions

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class StageOptions(TrainOptions):
    """As the stages have it: a default of its own for a flag that all share, and flags of its own."""

    batch_size: int = flag(4, "another default")
    alpha: float = flag(0.5, "a share", least=0, most=1)
    sizes: list[int] = flag([1], "some", least=1)


def parse(*flags: str) -> StageOptions:
    return parse_options(StageOptions, "", list(flags))


@pytest.mark.parametrize(
    "words",
    [
        "--epochs 0", "--epochs -1", "--batch_size 0", "--batch_size 99999999999999999999", "--max_steps -1",
        "--max_steps 9223372036854775808", "--accumulation_steps 0", "--max_seq_len 1", "--max_seq_len 32769",
        "--learning_rate 0", "--learning_rate nan", "--learning_rate inf", "--learning_rate 1e38", "--grad_clip nan",
        "--grad_clip inf", "--weight_decay -1", "--weight_decay nan", "--warmup_steps -2", "--dropout 1",
        "--dropout nan", "--dropout -0.1", "--embedding_lr_scale inf", "--num_workers -1", "--num_workers 100000",
        "--seed -1", "--hidden_size 0", "--hidden_size 1000000000000", "--num_hidden_layers 0", "--alpha 1.01",
        "--alpha nan", "--sizes 1 0", "--save_weight ..", "--save_weight ../up", "--save_weight /tmp/x",
        "--save_weight a\\b", "--save_weight .",
    ],
)  # fmt: skip
def test_beyond_its_edge_a_flag_is_one_sentence(words, capsys):
    name, *values = words.split()
    with pytest.raises(SystemExit) as ended:
        parse(f"{name}={values[0]}") if len(values) == 1 else parse(name, *values)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and line.startswith(f"error: {name} ") and ": it must be " in line


def test_a_preset_is_a_published_network_that_flags_change():
    options = parse_options(TrainOptions, "", ["--preset", "minimind3", "--num_hidden_layers", "2"])
    assert options.sizes() == {
        "hidden_size": 768, "num_hidden_layers": 2, "num_attention_heads": None, "num_key_value_heads": 4,
        "head_dim": None, "intermediate_size": 2432, "qk_norm": True, "rms_norm_eps": 1e-6, "use_moe": None,
        "n_routed_experts": None, "num_experts_per_tok": None, "n_shared_experts": None, "aux_loss_alpha": None,
        "seq_aux": None,
    }  # fmt: skip
    assert set(parse_options(TrainOptions, "", []).sizes().values()) == {None}


@pytest.mark.parametrize("said", ["WORLD_SIZE=", "WORLD_SIZE=two", "LOCAL_WORLD_SIZE=x", "RANK=0.5"])
def test_a_launchers_variable_that_is_no_number_is_one_sentence(said, monkeypatch, capsys):
    monkeypatch.setenv(*said.split("="))
    with pytest.raises(SystemExit) as ended:
        run(lambda: None)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and line.startswith(f"error: {said.split('=')[0]}=")


def test_at_its_edge_a_flag_is_taken():
    edges = "--epochs 99999999999 --batch_size 2147483648 --max_steps 9223372036854775807 --max_seq_len 32768"
    edges += " --dropout 0 --learning_rate 1e-300 --grad_clip 0 --weight_decay 0 --warmup_steps -1 --seed 4294967295"
    options = parse(*edges.split(), "--save_weight", "名字 v1.2", "--sizes", "1", "2", "--alpha", "1")
    assert options.batch_size == 2**31 and options.sizes == [1, 2] and options.save_weight == "名字 v1.2"


def test_a_resumed_run_shares_every_flag_that_is_not_free_where_it_is_defined():
    compared = compared_flags(parse("--alpha", "0.25"))
    assert compared["alpha"] == 0.25 and {"learning_rate", "max_seq_len", "sizes", "seed"} <= compared.keys()
    assert not {"out_dir", "epochs", "max_steps", "from_weight", "batch_size"} & compared.keys()  # it inherits


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\udcff", "长" * 90], ids=["NUL", "line end", "no UTF-8", "long"])
def test_what_cannot_be_the_name_of_a_file_is_refused(name, capsys):
    with pytest.raises(SystemExit):
        parse("--save_weight", name)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --save_weight ") and "a name for a file" in line or "a plain name" in line


@pytest.mark.parametrize("name", ["out_dir", "data_path", "from_weight", "tokenizer", "save_weight"])
def test_a_flag_that_is_there_and_empty_is_refused(name, capsys):
    with pytest.raises(SystemExit):
        parse(f"--{name}", "")
    assert capsys.readouterr().err.startswith(f"error: --{name} is empty")


def test_too_little_memory_is_told_from_other_errors():
    """As Python, NumPy and torch say it."""
    for need in (lambda: bytearray(2**62), lambda: np.empty(2**58), lambda: torch.empty(2**58)):
        with pytest.raises((MemoryError, RuntimeError)) as caught:
            need()
        assert lack_of_memory(caught.value)
    assert lack_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."))
    assert lack_of_memory(ValueError("a.jsonl:3: the text is empty")) is None


def within(megabytes: int) -> list[str]:
    """Lines that leave the process so much more memory than it has."""
    held = "int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()"
    limit = f"resource.setrlimit(resource.RLIMIT_AS, ({held} + {megabytes << 20},) * 2)"
    return ["import resource, torch, transformers", limit]


def run_with(lines: list[str], folder: Path, script: str, *flags) -> subprocess.CompletedProcess:
    """A script of the repository, after `lines` of Python."""
    first = folder / "first.py"
    lines = [*lines, "import runpy, sys", f"sys.argv[0] = {str(ROOT / script)!r}"]
    first.write_text("\n".join([*lines, "runpy.run_path(sys.argv[0], run_name='__main__')"]))
    return run_preloaded(first, *flags)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is counted on from Linux's /proc")
@pytest.mark.parametrize("limit", ["of the network", "of a step"])
def test_a_memory_limit_is_one_sentence_that_says_what_to_lower(limit, tmp_path):
    data = tmp_path / "text.jsonl"
    data.write_text("".join(json.dumps({"text": f"{i} " + "一二三四五六七八九十" * 50}) + "\n" for i in range(300)))
    flags = ["--data_path", data, "--num_hidden_layers", 1, "--out_dir", tmp_path / "out", "--max_seq_len", 512]
    flags += ["--hidden_size", 8192 if limit == "of the network" else 64, "--batch_size", 512]
    done = run_with(within(150), tmp_path, "trainer/train_pretrain.py", *flags)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr[-2000:]
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "too little memory" in line and "--batch_size" in line


def test_a_deleted_folder_and_closed_streams(tmp_path):
    """The folder is named; without standard input and error it works."""
    script, flags = str(ROOT / "scripts" / "plot_training.py"), ["--output", str(tmp_path / "a.png")]
    metrics = tmp_path / "a.jsonl"
    metrics.write_text('{"step": 1, "tokens": 5, "seconds": 1.0, "loss": 2.0}\n')
    gone = tmp_path / "gone"
    command = f'mkdir "{gone}"; cd "{gone}"; rmdir "{gone}"; "$@"'
    done = subprocess.run(["bash", "-c", command, "-", sys.executable, script, *flags], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("error: the working directory has been deleted"), done.stderr
    command = ["bash", "-c", '"$@" <&- 2>&-', "-", sys.executable, script, str(metrics), *flags]
    assert subprocess.run(command).returncode == 0 and (tmp_path / "a.png").is_file()


def test_a_reader_that_is_gone_does_not_stop_a_message(tmp_path):
    """Standard error into a pipe that nobody reads any more: the exit code is that of the mistake."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, ROOT / "scripts/plot_training.py", "--x", "miles"], stderr=writer)
    os.close(writer)
    assert done.returncode == 2


@pytest.mark.parametrize(("number", "ignored"), [(signal.SIGHUP, 0), (signal.SIGHUP, 1), (signal.SIGTERM, 0)])
def test_a_command_ends_by_a_signal_unless_it_is_ignored(number, ignored):
    lines = ["import os, signal, sys", f"sys.path.insert(0, {str(ROOT)!r})", "from trainer.command_line import run"]
    lines += [f"signal.signal({int(number)}, signal.SIG_IGN)"] if ignored else []
    lines += [f"def main():\n    os.kill(os.getpid(), {int(number)})\n    print('went on')", "run(main)"]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.returncode == (0 if ignored else 128 + number) and ("went on" in done.stdout) == ignored
