"""A fair share of a busy machine: how the OpenMP threads that compute on a CPU wait, and where they run.

The threads share every operation, and one that is done spins until the others are, which is fastest on an idle machine.
But when another program takes a core, the kernel puts two of these threads on one core, and each burns the time that
the other needs: on two cores training falls to a thirtieth of its speed. So twice a second the cores that others use
are counted, and while there are any,

- waiting threads sleep: GNU's OpenMP hardly spins once a process has more OpenMP threads than there are cores (see
  GOMP_SPINCOUNT in its manual), so a few idle threads are added;
- the threads are restricted to the cores that are left, as the kernel would spread them over all.

The number of threads stays the same, and so does the order in which sums are rounded: not a bit of the result changes.
"""

import contextlib
import functools
import os
import random
import sys
import threading
import time

# Whoever has set one of these has decided.
CHOSEN_BY_USER = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES", "GOMP_SPINCOUNT")
CHOSEN_BY_USER += ("GOMP_CPU_AFFINITY", "KMP_BLOCKTIME", "KMP_AFFINITY", "MKL_NUM_THREADS")
SECONDS = 0.5  # between two measurements of the machine
BUSY, FREE = 0.4, 0.2  # cores that others use: from here on the machine is busy, and below this it no longer is
OWN = 0.15  # cores: a process that uses less is waiting for something else


@functools.cache  # once in a process
def share_cores() -> None:
    """Begin to watch the machine; to be called before torch is loaded. Does nothing where the user has decided."""
    if any(name in os.environ for name in CHOSEN_BY_USER):
        return
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("LOCAL_SIZE") or 1)
    if ranks > 1:  # torchrun has given each rank one thread, deepspeed (LOCAL_SIZE) each as many as there are cores
        os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // ranks))
    elif os.path.exists("/proc/stat"):  # not on macOS, whose OpenMP is LLVM's: a thread that waits gives way
        cpus = all_cores()
        if len(cpus) > 1:
            os.register_at_fork(after_in_child=all_cores)
            threading.Thread(target=Watch(cpus).run, name="share_cores", daemon=True).start()


def all_cores() -> set[int]:
    """The cores that this process may use. A process started by one that is restricted to fewer gets them back."""
    if not hasattr(os, "sched_setaffinity"):
        return set()
    known = os.environ.setdefault("MINIMIND_CORES", ",".join(map(str, sorted(os.sched_getaffinity(0)))))
    with contextlib.suppress(OSError, ValueError):  # a container that allows others
        os.sched_setaffinity(0, set(map(int, known.split(","))))
    return os.sched_getaffinity(0)


class Watch:
    """Measures the machine's load, and decides on which of `cpus` this process's threads run, and how they wait."""

    def __init__(self, cpus: set[int]):
        self.cpus, self.current = cpus, cpus  # the second: where the threads are now
        self.idle_pool: threading.Event | None = None  # ends the threads that make the others sleep
        self.calm = 0  # measurements in a row in which nobody else was busy

    def run(self) -> None:
        before = self.measure()
        while True:
            time.sleep(SECONDS)
            # A thread that has just ended, no room for one more, a core that was switched off: try again later.
            with contextlib.suppress(OSError, RuntimeError, KeyError):
                now = self.measure()
                self.settle(now[0] - before[0], now[1] - before[1], {c: now[2][c] - before[2][c] for c in self.cpus})
                before = now

    def measure(self) -> tuple[float, float, dict[int, float]]:
        """(time, seconds of computing by this process, idle seconds of each of its cores), all so far."""
        tick, idle = os.sysconf("SC_CLK_TCK"), {}
        with open("/proc/stat") as file:
            for line in file:
                name, *ticks = line.split()
                if name.startswith("cpu") and name[3:].isdecimal():
                    # Beside idle: waiting for a disk, and what other virtual machines took, which no core here evades.
                    idle[int(name[3:])] = sum(int(ticks[i]) for i in (3, 4, 7)) / tick
        return time.monotonic(), time.process_time(), idle

    def settle(self, seconds: float, computed: float, idle: dict[int, float]) -> None:
        """Act on what the last `seconds` were like."""
        own = computed / seconds
        others = len(self.cpus) - own - sum(idle.values()) / seconds
        torch = sys.modules.get("torch")
        loaded = torch is not None and not torch.__spec__._initializing
        self.calm = 0 if others >= FREE else self.calm + 1
        if self.current != self.cpus and self.calm < 2:
            # Another process that is restricted to one core may have chosen the same; then there is an idle one.
            free = [c for c in self.cpus - self.current if idle[c] > 0.5 * seconds]
            if free and random.random() < 0.5:
                self.current = self.current - {min(self.current)} | {random.choice(free)}
            self.restrict_to(self.current)
        elif self.current != self.cpus:
            self.restrict_to(self.cpus)
            self.idle_pool.set()
        elif others >= BUSY and own >= OWN and loaded and torch.get_num_threads() > 1:
            if torch.cuda.is_initialized():
                return  # the work is done elsewhere
            n_left = max(1, len(self.cpus) - max(1, round(others)))
            self.add_idle_threads(torch)
            self.restrict_to(set(random.sample(sorted(self.cpus), n_left)))

    def restrict_to(self, cpus: set[int]) -> None:
        self.current = cpus
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError):  # it has ended
                os.sched_setaffinity(int(thread), cpus)

    def add_idle_threads(self, torch) -> None:
        """Make OpenMP's threads more than the cores. Each Python thread that computes gets a pool of its own."""
        n_threads, done = torch.get_num_threads(), threading.Event()

        def hold(ready: threading.Event) -> None:
            torch.ones(1 << 18).sum()  # large enough for all threads
            ready.set()
            done.wait()

        for _ in range(len(self.cpus) // (n_threads - 1)):
            ready = threading.Event()
            threading.Thread(target=hold, args=(ready,), daemon=True).start()
            ready.wait()
        self.idle_pool = done
