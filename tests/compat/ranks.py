"""Run a script on several ranks, as a launcher would, in processes that are forked with the large libraries loaded."""

import os
import socket
import subprocess
from pathlib import Path

from preloaded import CONTEXT, LIBRARIES, Preloaded

CONTEXT.set_forkserver_preload([*LIBRARIES, "transformers.hf_argparser", "deepspeed"])
PATIENCE = float(os.environ.get("MINIMIND_TEST_PATIENCE", 300))  # seconds for a run: a hang is a failure


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Ranks:
    """`n` processes of `script flags` that know of each other; `finish` waits for all and returns how each ended."""

    def __init__(self, n: int, script: Path, *flags):
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(n)}
        own = [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if n > 1 else {} for rank in range(n)]
        self.ranks = [Preloaded(script, *flags, env=env) for env in own]
        self.processes = [rank.process for rank in self.ranks]

    def finish(self) -> list[subprocess.CompletedProcess]:
        done = []
        for rank in self.ranks:
            if (ended := rank.join(PATIENCE)) is None:  # none may outlive the test
                for process in self.processes:
                    process.kill()
                ended = rank.join()
            done.append(ended)
        return done


def run_ranks(n: int, script: Path, *flags) -> list[subprocess.CompletedProcess]:
    return Ranks(n, script, *flags).finish()
