"""A process and its surroundings: signals, streams that work, a folder, a home, UTF-8, other ranks."""

import atexit
import codecs
import contextlib
import errno
import getpass
import io
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

PATIENCE = 5.0  # seconds for a rank that fails to say why, before another one reports that it is gone


def as_text(argument: str | None) -> str | None:
    """An argument of the command line as UTF-8, whatever the locale is; bytes that are none become U+FFFD."""
    try:
        (argument or "").encode()
    except UnicodeEncodeError:  # Python passes bytes that it could not read as lone surrogates, which paths need
        return os.fsencode(argument).decode(errors="replace")
    return argument


@contextlib.contextmanager
def handled(numbers: Iterable[int], handler) -> Iterator[None]:
    """Within it these signals have another handler."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def stop_signals(ask_to_stop: Callable[[int], None]) -> contextlib.AbstractContextManager:
    """Within it Ctrl-C, SIGTERM and a closed terminal (SIGHUP, unless nohup has it ignored) only call `ask_to_stop`
    with the signal's number. A second signal, of whatever kind, raises KeyboardInterrupt. Under torchrun and its like a
    third: the terminal sends Ctrl-C to every process, and the launcher passes its own on: the ranks get two."""
    patience, n_received = 1 + ("LOCAL_RANK" in os.environ), 0

    def handle(number, frame):
        nonlocal n_received
        n_received += 1
        if n_received > patience:
            raise KeyboardInterrupt(number)
        if n_received == 1 and os.environ.get("RANK", "0") == "0":
            with contextlib.suppress(OSError):  # not print(), in whose hands the stream may be at this moment
                os.write(2, b"\nstopping after the current step; Ctrl-C again stops at once\n")
        ask_to_stop(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    numbers += [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN else []
    return handled(numbers, handle)


def count_reports(mine: int = 0) -> int | None:
    """How many ranks have reported an error, this one included if `mine` is 1. torchrun's own process counts, as it
    outlives the ranks; None without it."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    from torch.distributed import TCPStore

    try:
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = TCPStore(address, port, is_master=False, timeout=timedelta(seconds=PATIENCE))
        return store.add(f"minimind/errors/{os.environ.get('TORCHELASTIC_RESTART_COUNT')}", mine)
    except RuntimeError:  # torchrun is gone too
        return None


class Output(io.FileIO):
    """Standard output or error, done without once its reader is gone (`| head -1`); another failure is raised, once."""

    def write(self, data) -> int | None:
        try:
            return super().write(data)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if error.errno in (errno.EPIPE, errno.EIO):
                return len(data)
            raise OSError(f"the output cannot be written ({error.strerror}): send it elsewhere") from None


def prepare_process() -> None:
    """Give the process what libraries expect: standard streams that never fail at a character, a working directory, a
    user's name, and a home, where they keep their caches."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # closed (`>&-`): the next file opened would take its place
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
        elif stream is sys.__stdin__:
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if ascii_only else stream.encoding, errors="replace")
        elif stream is getattr(sys, f"__{name}__"):
            stream.flush()
            output = Output(stream.fileno(), "w", closefd=False)
            if not stream.write_through:  # as PYTHONUNBUFFERED asks for
                output = io.BufferedWriter(output)
            how = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
            setattr(sys, name, io.TextIOWrapper(output, stream.encoding, errors="backslashreplace", **how))
    try:
        os.getcwd()
    except OSError:
        raise OSError("the working directory has been deleted: change to another one and run again") from None
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = str(os.getuid())
    if not os.path.isdir(os.path.expanduser("~")):
        os.environ["HOME"] = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)
