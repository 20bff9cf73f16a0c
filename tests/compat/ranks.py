"""Run a script on several ranks, as a launcher would, in processes that are forked with the large libraries loaded.

Importing torch, transformers, datasets and DeepSpeed takes far longer than the few steps of a test's training.
"""

import os
import socket
import subprocess
import tempfile
from pathlib import Path

from preloaded import CONTEXT, LIBRARIES, _main

CONTEXT.set_forkserver_preload([*LIBRARIES, "transformers.hf_argparser", "deepspeed"])
PATIENCE = float(os.environ.get("MINIMIND_TEST_PATIENCE", 300))  # seconds for a run: a hang is a failure


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _rank(script: str, flags: list[str], streams: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    _main(script, flags, streams)


class Ranks:
    """`n` processes of `script flags` that know of each other; `finish` waits for all and returns how each ended."""

    def __init__(self, n: int, script: Path, *flags):
        self.folders = [tempfile.TemporaryDirectory() for _ in range(n)]
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(n)}
        self.processes = []
        for rank, folder in enumerate(self.folders):
            environment = shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if n > 1 else {}
            arguments = (str(script), [str(flag) for flag in flags], Path(folder.name), environment)
            self.processes.append(CONTEXT.Process(target=_rank, args=arguments))
            self.processes[-1].start()

    def finish(self) -> list[subprocess.CompletedProcess]:
        done = []
        for process, folder in zip(self.processes, self.folders, strict=True):
            process.join(PATIENCE)
            if process.exitcode is None:  # none may outlive the test
                for other in self.processes:
                    other.kill()
                process.join()
            out, err = ((Path(folder.name) / name).read_text("utf-8") for name in ("out", "err"))
            folder.cleanup()
            done.append(subprocess.CompletedProcess([], process.exitcode, out, err))
        return done


def run_ranks(n: int, script: Path, *flags) -> list[subprocess.CompletedProcess]:
    return Ranks(n, script, *flags).finish()
