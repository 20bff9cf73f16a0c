"""Run a script in a new process in which the large libraries are loaded already.

It is a process like any other, with its own id, exit code, standard streams and working folder; but it is forked from
one that has imported torch and the rest, so that a test of fifty commands does not spend minutes on fifty imports.
"""

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONTEXT = multiprocessing.get_context("forkserver")
PROJECT = ("model", "dataset", "trainer", "scripts", "eval_model")
PATIENCE_SECONDS = 300  # for a run: a hang is a failure
LIBRARIES = ("torch", "transformers.models.auto", "transformers.models.llama.modeling_llama")
LIBRARIES += ("transformers.hf_argparser",)
CONTEXT.set_forkserver_preload([*LIBRARIES])


def _main(script: str, flags: list[str], cwd: Path, streams: Path, env: dict[str, str]) -> None:
    os.chdir(cwd)
    os.environ.update(env)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(streams / name, os.O_WRONLY | os.O_CREAT), number)
    sys.modules["torch"].set_num_threads(1)
    if ROOT not in Path(script).parents:  # of another copy of the project
        for name in [name for name in sys.modules if name.split(".")[0] in PROJECT]:
            del sys.modules[name]
    sys.argv = [script, *flags]
    sys.path.insert(0, os.path.dirname(script))
    runpy.run_path(script, run_name="__main__")


class Preloaded:
    """`python script flags`, begun in `cwd`, with these variables added to the environment; standard input is empty."""

    def __init__(self, script: Path | str, *flags, cwd: Path | str = ROOT, env: dict[str, str] | None = None):
        self.folder = tempfile.TemporaryDirectory()
        self.args = (str(script), [str(flag) for flag in flags])
        self.process = CONTEXT.Process(target=_main, args=(*self.args, Path(cwd), Path(self.folder.name), env or {}))
        self.process.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def printed(self, name: str) -> str:
        """What it wrote so far to "out" or "err"."""
        path = Path(self.folder.name) / name
        return path.read_text("utf-8") if path.exists() else ""

    def send_signal(self, number: int) -> None:
        """Nothing happens when it has ended by itself."""
        if self.process.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def join(self, timeout: float | None = None) -> subprocess.CompletedProcess | None:
        """The process when it has ended, its exit code negative if by a signal; None when `timeout` seconds are up."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            return None
        return subprocess.CompletedProcess(self.args, self.process.exitcode, self.printed("out"), self.printed("err"))


def run_preloaded(script: Path | str, *flags, **kwargs) -> subprocess.CompletedProcess:
    """`python script flags`, ended; standard input is empty."""
    return Preloaded(script, *flags, **kwargs).join()


class Ranks:
    """`torchrun --nproc_per_node n script flags`, begun, but nobody ends the others when one fails.

    A single rank is started without a launcher.
    """

    def __init__(self, n: int, script: Path, *flags, env: dict[str, str] | None = None):
        import torch.distributed as dist

        # As torchrun's own process has one. It also finds a port that nobody takes between the asking and the using.
        self.store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        shared = (env or {}) | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(self.store.port), "WORLD_SIZE": str(n)}
        shared |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
        own = [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(n)] if n > 1 else [env]
        self.ranks = [Preloaded(script, *flags, env=variables) for variables in own]
        self.processes = [rank.process for rank in self.ranks]

    def finish(self) -> list[subprocess.CompletedProcess]:
        """How each ended, by rank; none outlives the test."""
        done = []
        for rank in self.ranks:
            if (ended := rank.join(PATIENCE_SECONDS)) is None:
                for process in self.processes:
                    process.kill()
                ended = rank.join()
            done.append(ended)
        return done


def run_ranks(n: int, script: Path, *flags, **kwargs) -> list[subprocess.CompletedProcess]:
    return Ranks(n, script, *flags, **kwargs).finish()
