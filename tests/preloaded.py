"""Run a script in a new process in which the large libraries are loaded already.

It is a process like any other, with its own exit code, standard streams and working folder; but it is forked from one
that has imported torch and the rest, so that a test of fifty commands does not spend minutes on fifty imports.
"""

import contextlib
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


def _main(script: str, flags: list[str], streams: Path, env: dict[str, str]) -> None:
    os.environ.update(env)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(streams / name, os.O_WRONLY | os.O_CREAT), number)
    sys.modules["torch"].set_num_threads(1)
    sys.argv = [script, *flags]
    sys.path.insert(0, os.path.dirname(script))
    runpy.run_path(script, run_name="__main__")


def run_preloaded(script: Path, *flags, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """`python script flags`, with these variables added to the environment; standard input is empty."""
    with start_preloaded(script, *flags, env=env) as finish:
        return finish()


@contextlib.contextmanager
def start_preloaded(script: Path, *flags, env: dict[str, str] | None = None):
    """Start the same, and give a function that waits for its end."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = (str(script), [str(flag) for flag in flags], Path(folder), env or {})
        process = CONTEXT.Process(target=_main, args=arguments)
        process.start()

        def finish() -> subprocess.CompletedProcess:
            process.join()
            out, err = ((Path(folder) / name).read_text("utf-8") for name in ("out", "err"))
            return subprocess.CompletedProcess(arguments[:2], process.exitcode, out, err)

        yield finish


def run_ranks(n_ranks: int, script: Path, *flags, env: dict | None = None) -> list[subprocess.CompletedProcess]:
    """`torchrun --nproc_per_node n_ranks script flags`, by rank, but nobody ends the others when one fails."""
    import torch.distributed as dist

    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # as torchrun's own process has one
    env = (env or {}) | {"WORLD_SIZE": str(n_ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    env |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
    with contextlib.ExitStack() as stack:
        ranks = [
            stack.enter_context(start_preloaded(script, *flags, env=env | {"RANK": str(rank), "LOCAL_RANK": str(rank)}))
            for rank in range(n_ranks)
        ]
        return [finish() for finish in ranks]
