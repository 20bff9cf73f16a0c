"""How any command behaves where it is started oddly: streams that close or fail, bytes that are no text, no home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = f"""
import getpass, os, pwd, sys, tempfile
sys.path[0] = {str(ROOT)!r}
from trainer.command_line import run
from trainer.process import as_text
"""
CHAT = """
def main():
    print(as_text(sys.argv[1]))
    for line in sys.stdin:
        print(line, end="")
    for i in range(2000):
        print("\\u4f60\\u597d\\U0001f600", i)
run(main)
"""


def start(program: str, redirections: str = "", *arguments, env=(), cwd=ROOT) -> subprocess.CompletedProcess:
    """`python -c program arguments` by a shell, with these redirections."""
    command = f'"$0" -c "$PROGRAM" "$@" {redirections}'
    variables = {k: v for k, v in os.environ.items() if k not in ("LC_ALL", "PYTHONUTF8", "PYTHONIOENCODING")}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command, sys.executable, *arguments], capture_output=True, cwd=cwd,
        env=variables | {"PROGRAM": PROGRAM + program} | dict(env),
    )  # fmt: skip


@pytest.mark.parametrize("streams", ["</dev/null | head -1", "</dev/null 2>&1 | head -1", ">&-", "<&- >&-", "<&- 2>&-"])
def test_a_stream_that_nobody_reads_ends_nothing(streams):
    done = start(CHAT, streams, "one", env={"PYTHONUNBUFFERED": "1"} if "2>&1" in streams else {})
    assert done.returncode == 0 and done.stderr == b""
    assert done.stdout[:4] == (b"" if ">&-" in streams and "2>&-" not in streams else b"one\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("ending", ["", "run(lambda: print(1))", "run(lambda: (print(1), sys.exit(0)))"])
def test_a_full_disk_behind_the_output_is_one_sentence(ending):
    done = start(ending or CHAT, "</dev/null >/dev/full", "one")
    assert done.returncode == 1 and done.stderr.startswith(b"error: the output cannot be written (No space left")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("env", "heard", "said"),
    [
        ({"LC_ALL": "C.UTF-8"}, "caf\ufffd\n你好\n", "你好😀 0"),
        ({"LC_ALL": "C"}, "caf\ufffd\n你好\n", "你好😀 0"),
        ({"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, None, r"\u4f60\u597d\U0001f600 0"),
        ({"PYTHONIOENCODING": "gbk"}, None, r"你好\U0001f600 0"),
    ],
    ids=["UTF-8", "C", "ASCII", "GBK"],
)
def test_bytes_that_are_no_text_are_replaced_whatever_the_locale(env, heard, said):
    done = start(CHAT, r"< <(printf 'caf\xe9\n你好\n')", b"\xe9 " + "你".encode(), env=env)
    shown = done.stdout.decode("gbk" if "PYTHONIOENCODING" in env else "utf-8").splitlines()
    assert done.returncode == 0, done.stderr
    assert shown[3] == said and (heard is None or shown[:3] == ["\ufffd 你", *heard.splitlines()])


def test_whoever_has_neither_home_nor_name_gets_both():
    program = """
if not os.getuid():
    os.setuid(54321)  # who has no entry among the users
def main():
    tempfile.TemporaryFile(dir=os.path.expanduser("~")).close()
    print(getpass.getuser(), os.path.expanduser("~"))
run(main)
"""
    for home in ({"HOME": "/proc/nowhere"}, {}):
        command = ["env", *(f"-u{name}" for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME"))]
        command += [f"{name}={value}" for name, value in home.items()]
        done = subprocess.run([*command, sys.executable, "-c", PROGRAM + program], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        name, folder = done.stdout.split()
        assert name and (not home or not Path(folder).exists()), "what was made for the process is left behind"


def test_a_deleted_working_directory_is_one_sentence(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    done = start("os.rmdir(os.getcwd())\nrun(lambda: None)", cwd=gone)
    assert done.returncode == 1 and done.stderr.startswith(b"error: the working directory has been deleted")
