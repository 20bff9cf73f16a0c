"""Work for several processes, results in order. Everything goes through pipes: containers have little shared memory
(/dev/shm) or none, and a process that needs more of it is killed."""

import atexit
import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import cycle

import torch

TASKS_AHEAD = 4  # per process, handed out before the result of the first is taken
# Ctrl-C and a closed terminal reach every process of the terminal, a scheduler's SIGTERM every process of the job. The
# parent alone decides when the others end: they ignore these, from their first moment, as it starts them blocked.
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_in_order(job: Callable, tasks: Iterable[tuple], n_processes: int) -> Iterator:
    """job(*task) of each task, in the order of the tasks; with 0 processes it is done in this one. What a job raises is
    raised here in the same order, so the first error is the same for any number of processes. They end with the
    iteration, or with this process, however that ends."""
    if not n_processes:
        yield from (job(*task) for task in tasks)
        return
    workers, waiting = [], deque()

    def end() -> None:
        for process, _ in workers:
            process.kill()
            process.join()

    atexit.register(end)  # an exception that ends the program may keep this generator alive
    try:
        for _ in range(n_processes):
            parent_end, child_end = multiprocessing.Pipe()
            process = multiprocessing.Process(target=_work, args=(job, child_end, parent_end), daemon=True)
            mask_before = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)
            try:
                process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask_before)
            child_end.close()
            workers.append((process, parent_end))
        for task, (_, pipe) in zip(tasks, cycle(workers), strict=False):
            with suppress(BrokenPipeError, ConnectionResetError):  # of a killed process: _receive reports it
                pipe.send(task)
            waiting.append(pipe)
            if len(waiting) == TASKS_AHEAD * n_processes:
                yield _receive(waiting.popleft())
        while waiting:
            yield _receive(waiting.popleft())
    finally:
        end()
        atexit.unregister(end)


def _receive(pipe):
    try:
        result, error = pipe.recv()
    except (EOFError, ConnectionResetError):
        raise OSError(
            "a process that prepares the data was killed, perhaps because the memory was full: start again after "
            "closing other programs, or with fewer --num_workers"
        ) from None
    if error:
        raise error
    return result


def _work(job: Callable, pipe, parent_end) -> None:
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED)
    parent_end.close()
    torch.set_num_threads(1)  # one process per core is enough
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tasks = queue.SimpleQueue()
    threading.Thread(target=_read, args=(pipe, tasks), daemon=True).start()
    with suppress(BrokenPipeError, ConnectionResetError):
        while True:
            try:
                answer = job(*tasks.get()), None
            except Exception as error:
                error.add_note(traceback.format_exc())
                answer = None, error
            pipe.send(answer)


def _read(pipe, tasks: queue.SimpleQueue) -> None:
    """Accept tasks at any time, so that the parent never waits to send one; end the process when the parent is gone."""
    with suppress(EOFError, ConnectionResetError):
        while True:
            tasks.put(pipe.recv())
    os._exit(1)
