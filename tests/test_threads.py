"""A busy machine: the threads that compute make room, waiting, and come back; results do not change."""

import os
import subprocess
import sys
import textwrap

import pytest
from conftest import ROOT

from trainer.threads import CHOSEN_BY_USER

pytestmark = pytest.mark.skipif(len(getattr(os, "sched_getaffinity", lambda _: ())(0)) < 2, reason="needs two cores")

# Computes until its threads have been moved to fewer cores, then until they have all of them again.
PROGRAM = """
    import os, subprocess, sys, time
    from trainer.threads import share_cores
    share_cores()
    import torch
    cores, threads = os.sched_getaffinity(0), torch.get_num_threads()
    a = torch.randn(700, 700)
    expected = (a @ a).tanh().sum()

    def compute_until(condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            assert torch.equal((a @ a).tanh().sum(), expected)
        assert condition()

    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    compute_until(lambda: len(os.sched_getaffinity(0)) < len(cores))
    assert torch.get_num_threads() == threads
    child = os.fork()
    if not child:
        os._exit(os.sched_getaffinity(0) != cores)
    assert os.waitpid(child, 0)[1] == 0, "a process that it forks has all cores"
    look = "import os; from trainer.threads import all_cores; print(sorted(all_cores()) == " + str(sorted(cores)) + ")"
    assert subprocess.check_output([sys.executable, "-c", look]) == b"True\\n", "and so has one that it starts"
    busy.kill()
    print("made room")
"""


def run_program(text: str, **environment: str) -> subprocess.CompletedProcess:
    env = {name: value for name, value in os.environ.items() if name not in CHOSEN_BY_USER} | environment
    command = [sys.executable, "-c", textwrap.dedent(text)]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)


def test_threads_make_room_for_another_program_and_compute_the_same():
    done = run_program(PROGRAM)
    assert done.stdout == "made room\n", done.stderr


def test_threads_keep_to_what_is_left_and_come_back():
    """On a made-up machine, as others may be busy on this one."""
    program = """
        import os, torch
        from trainer.threads import Watch
        cores = os.sched_getaffinity(0)
        watch, idle = Watch(cores), dict.fromkeys(cores, 0.0)
        torch.randn(1 << 20).exp()  # all threads are there

        def where():
            found = set()
            for thread in os.listdir("/proc/self/task"):
                try:
                    found.add(frozenset(os.sched_getaffinity(int(thread))))
                except ProcessLookupError:
                    pass  # it has just ended
            return found

        n = len(cores)
        watch.settle(1.0, n - 0.1, idle); assert where() == {frozenset(cores)}, "nobody else"
        watch.settle(1.0, n - 1.0, idle); (kept,) = where(); assert len(kept) == n - 1
        watch.settle(1.0, n - 1.0, idle); assert where() == {kept}
        watch.settle(1.0, n - 0.1, idle); assert where() == {kept}, "one calm moment may be chance"
        watch.settle(1.0, n - 0.1, idle); assert where() == {frozenset(cores)}
        watch.settle(1.0, 0.0, idle); assert where() == {frozenset(cores)}, "it waits itself"
    """
    done = run_program(program)
    assert done.returncode == 0, done.stderr


def test_what_the_user_has_set_stays():
    program = """
        import threading
        from trainer.threads import share_cores
        share_cores()
        print(threading.active_count())
    """
    assert run_program(program).stdout == "2\n"
    for name in CHOSEN_BY_USER:
        assert run_program(program, **{name: "1"}).stdout == "1\n", name


@pytest.mark.parametrize("name", ["LOCAL_WORLD_SIZE", "LOCAL_SIZE"])
def test_ranks_of_one_machine_divide_its_cores(name):
    """torchrun says how many there are by the first name, deepspeed by the second."""
    program = "from trainer.threads import share_cores; share_cores(); import torch; print(torch.get_num_threads())"
    assert run_program(program, **{name: str(os.cpu_count())}).stdout == "1\n"
