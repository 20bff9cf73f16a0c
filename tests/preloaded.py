"""Run a script in a new process in which the large libraries are loaded already.

It is a process like any other, with its own exit code, standard streams and working folder; but it is forked from one
that has imported torch and the rest, so that a test of fifty commands does not spend minutes on fifty imports.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
LIBRARIES = ("torch", "datasets", "transformers.models.auto", "transformers.models.llama.modeling_llama")
CONTEXT.set_forkserver_preload([*LIBRARIES, "transformers.hf_argparser"])


def _main(script: str, flags: list[str], streams: Path) -> None:
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(streams / name, os.O_WRONLY | os.O_CREAT), number)
    sys.modules["torch"].set_num_threads(1)
    sys.argv = [script, *flags]
    sys.path.insert(0, os.path.dirname(script))
    runpy.run_path(script, run_name="__main__")


def run_preloaded(script: Path, *flags) -> subprocess.CompletedProcess:
    """`python script flags`; standard input is empty."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = (str(script), [str(flag) for flag in flags], Path(folder))
        process = CONTEXT.Process(target=_main, args=arguments)
        process.start()
        process.join()
        out, err = ((Path(folder) / name).read_text("utf-8") for name in ("out", "err"))
        return subprocess.CompletedProcess(arguments[:2], process.exitcode, out, err)
