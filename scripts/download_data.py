"""Fetch MiniMind's published data sets into dataset/, where the stages look for them.

    python scripts/download_data.py                                # what there is, and what is here already
    python scripts/download_data.py pretrain_hq sft_mini_512       # pretraining and SFT of the real sizes
    python scripts/download_data.py all
    HF_ENDPOINT=https://hf-mirror.com python scripts/download_data.py dpo      # through a mirror of the hub
    python scripts/download_data.py dpo --source modelscope        # from ModelScope (pip install modelscope)

Before anything is fetched, the disk is asked for room. What has arrived stands in NAME.jsonl.….part, so the same
command goes on after a stop; a file takes its own name only when size and checksum are those of the published one.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from scripts.reports.shell import command, split_files, typed  # noqa: E402
from scripts.reports.tables import format_table  # noqa: E402
from trainer.command_line import UsageError, check_out_dir, flag, parse_options, run  # noqa: E402

REPO = {"huggingface": "jingyaogong/minimind_dataset", "modelscope": "gongjy/minimind_dataset"}
SETS = {  # name -> (what it is for, the stage to type next and its flags beside --data_path)
    "pretrain_hq": ("pretraining", "train_pretrain.py", ""),
    "sft_mini_512": ("SFT, small", "train_full_sft.py", ""),
    "sft_512": ("SFT, up to 512 tokens", "train_full_sft.py", " --max_seq_len 512"),
    "sft_1024": ("SFT, up to 1,024 tokens", "train_full_sft.py", " --max_seq_len 1024"),
    "sft_2048": ("SFT, up to 2,048 tokens", "train_full_sft.py", " --max_seq_len 2048"),
    "dpo": ("DPO", "train_dpo.py", ""),
    "r1_mix_1024": ("reasoning", "train_distill_reason.py", ""),
    "lora_identity": ("LoRA: who it is", "train_lora.py", " --lora_name identity"),
    "lora_medical": ("LoRA: medicine", "train_lora.py", " --lora_name medical"),
}
FOUND_BY_ITSELF = ("pretrain_hq", "sft_mini_512", "dpo", "r1_mix_1024", "lora_identity", "lora_medical")
SPARE_BYTES = 64 << 20  # left free on the disk
SECONDS = 20  # to wait for a list of files


@dataclass
class DownloadOptions:
    source: str = flag("huggingface", "where to fetch from: huggingface, or modelscope", choices=list(REPO))
    revision: str | None = flag(None, "branch, tag or commit of the published repository; default: its main branch")
    output_dir: str = flag(str(ROOT / "dataset"), "folder to put the files into; stages look for them in dataset/")
    force: bool = flag(False, "replace files of these names that are not the published ones")


@dataclass(frozen=True)
class Published:
    """A file as the hub describes it. `digest` is its SHA-256, or, of a small one, the SHA-1 of its git blob."""

    name: str
    size: int
    digest: str
    url: str

    def matches(self, path: Path) -> bool:
        """Whether size and checksum of the file at `path` are the published ones."""
        if path.stat().st_size != self.size:
            return False
        with open(path, "rb") as file:
            if len(self.digest) == 64:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.digest
            return hashlib.sha1(b"blob %d\0" % self.size + file.read()).hexdigest() == self.digest


# ---------------------------------------------------------------- what is published


def list_huggingface(revision: str | None) -> dict[str, Published]:
    """The files of the repository by name. ValueError or OSError says in one sentence why there is no list."""
    from huggingface_hub import HfApi, constants, errors, hf_hub_url

    repo = REPO["huggingface"]
    page = f"{constants.ENDPOINT}/datasets/{repo}"
    with plain_errors(constants.ENDPOINT):
        try:
            info = HfApi().dataset_info(repo, revision=revision or "main", files_metadata=True, timeout=SECONDS)
            # By commit, not by branch: what is fetched is what was described, whatever is pushed meanwhile.
            urls = [hf_hub_url(repo, f.rfilename, repo_type="dataset", revision=info.sha) for f in info.siblings]
            return {
                file.rfilename: Published(
                    file.rfilename, file.size, file.lfs.sha256 if file.lfs else file.blob_id, url
                )
                for file, url in zip(info.siblings, urls, strict=True)
            }  # fmt: skip
        except errors.OfflineModeIsEnabled:
            raise OSError("HF_HUB_OFFLINE=1 forbids to ask the hub: unset it and run again") from None
        except errors.RevisionNotFoundError:
            raise ValueError(f"--revision {revision}: {page} has no such branch, tag or commit") from None
        except errors.RepositoryNotFoundError:
            raise ValueError(f"{page}: there is no such repository, or it is not public: check HF_ENDPOINT") from None
        except (json.JSONDecodeError, KeyError, TypeError):
            raise ValueError(
                f"{constants.ENDPOINT}: what answers there does not speak the hub's protocol: check HF_ENDPOINT"
            ) from None


def list_modelscope(revision: str | None) -> dict[str, Published]:
    """The same of ModelScope's copy, by its own client."""
    try:
        from modelscope_hub import HubApi
        from modelscope_hub.errors import HubError
    except ImportError:
        raise ValueError("--source modelscope needs its package: pip install modelscope") from None
    logging.getLogger("modelscope_hub").setLevel(logging.ERROR)
    repo, revision, client = REPO["modelscope"], revision or "master", HubApi()
    try:
        files = client.list_repo_files(repo, "dataset", revision=revision)
    except HubError as error:
        reason = str(error).splitlines()[0]
        raise OSError(f"no list of {repo} from ModelScope ({reason}): connect and run again") from None
    return {
        file.path: Published(
            file.path, file.size, file.sha256, client.legacy.get_download_url(repo, "dataset", file.path, revision)
        )
        for file in files
        if file.sha256
    }


PUBLISHED = {"huggingface": list_huggingface, "modelscope": list_modelscope}


@contextlib.contextmanager
def plain_errors(server: str) -> Iterator[None]:
    """What goes wrong on the way to a server, as one sentence that says what to do."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        raise OSError(
            f"{server} answers with status {error.response.status_code}: run it again later; what has arrived is kept"
        ) from None
    except httpx2.HTTPError as error:
        raise OSError(
            f"no answer from {server} ({str(error) or type(error).__name__}): connect and run again, or name a mirror, "
            "as HF_ENDPOINT=https://hf-mirror.com, or try --source modelscope; what has arrived is kept"
        ) from None


# ---------------------------------------------------------------- fetching


def part_path(file: Published, folder: Path) -> Path:
    """Where a file stands until it is whole; a part of another version has another name."""
    return folder / f"{file.name}.{file.digest[:8]}.part"


def bytes_here(file: Published, folder: Path) -> int:
    part = part_path(file, folder)
    return part.stat().st_size if part.is_file() else 0


def check_room(files: list[Published], folder: Path) -> None:
    """OSError unless what is still to come fits on the disk."""
    needed = sum(file.size - bytes_here(file, folder) for file in files)
    free = shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise OSError(
            f"{folder}: {size_text(needed)} are still to come and {size_text(free)} are free on that disk: make room, "
            "fetch fewer, or name a folder on another disk with --output_dir"
        )


def fetch(file: Published, folder: Path) -> None:
    """Bring `file` into `folder`, going on where an earlier run was stopped.

    Raises OSError when the server does not answer, another process fetches the file, the disk is full, or what arrived
    is not what was published. The hub's own download functions begin anew after a stop; its `http_get` can go on.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    part = part_path(file, folder)
    with open(part, "ab") as out:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"{folder / file.name}: another process is fetching it: wait for it to end") from None
        here = out.tell()
        if here > file.size:
            here = out.truncate(0)
        if here:
            print(f"{file.name}: going on at {size_text(here)} of {size_text(file.size)}", flush=True)
        token = None if file.url.startswith(f"{constants.ENDPOINT}/datasets/") else False  # the hub's is for the hub
        headers = build_hf_headers(token=token) | {"Accept-Encoding": "identity"}  # no resuming of a compressed answer
        try:
            with plain_errors("/".join(file.url.split("/")[:3])):
                http_get(file.url, out, resume_size=here, headers=headers, expected_size=file.size,
                         displayed_filename=file.name)  # fmt: skip
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OSError(f"{folder}: the disk is full: make room and run again; what has arrived is kept") from None
        out.flush()
        if not file.matches(part):
            part.unlink()
            raise OSError(f"{folder / file.name}: what arrived has not the published checksum: run it again")
        os.replace(part, folder / file.name)
    for stale in folder.glob(f"{file.name}.*.part"):  # of an earlier version
        stale.unlink()


# ---------------------------------------------------------------- the command


def choose(words: list[str]) -> list[str]:
    """Names of data sets from what was typed; UsageError names the unknown one and what there is."""
    names = [name for word in words for name in (SETS if word == "all" else [word.removesuffix(".jsonl")])]
    for name in names:
        if name not in SETS:
            raise UsageError(f"there is no data set {name}: all, or some of {', '.join(SETS)}")
    return list(dict.fromkeys(names))


def size_text(n_bytes: int) -> str:
    """In decimal units, as disks and hubs count."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:,.1f} {unit}"
    return f"{n_bytes} bytes"


def state_of(name: str, published: dict[str, Published], folder: Path) -> str:
    """What is here of a data set, by its size alone: checksums of gigabytes take a while."""
    path, file = folder / f"{name}.jsonl", published.get(f"{name}.jsonl")
    if path.is_file():
        size = path.stat().st_size
        return "here" if file is None or size == file.size else f"{size_text(size)} of another file"
    return size_text(here) if file and (here := bytes_here(file, folder)) else ""


def show(options: DownloadOptions, folder: Path) -> None:
    published, error = {}, None
    try:
        published = PUBLISHED[options.source](options.revision)
    except OSError as caught:  # the list of names needs no network
        error = caught
    rows = []
    for name, (purpose, *_) in SETS.items():
        file = published.get(f"{name}.jsonl")
        rows.append([name, purpose, size_text(file.size) if file else "?", state_of(name, published, folder)])
    print(format_table(["name", "for", "size", f"in {folder.name}/"], rows, left=2))
    print(f"\nfetch with: {command('run.sh', 'data')} NAME … (or all)")
    if error:
        raise error


def next_command(name: str, folder: Path) -> str:
    _, stage, flags = SETS[name]
    found = folder == ROOT / "dataset" and name in FOUND_BY_ITSELF
    path = "" if found else f" --data_path {typed(folder / f'{name}.jsonl')}"
    return f"{command(f'trainer/{stage}')}{path}{flags}"


def main() -> None:
    words, flags = split_files(sys.argv[1:])
    options = parse_options(DownloadOptions, "Fetch data sets: download_data.py [NAME … | all] [flags]", flags)
    names, folder = choose(words), Path(options.output_dir).absolute()
    if not names:
        show(options, folder)
        return
    check_out_dir(folder, "--output_dir")
    published = PUBLISHED[options.source](options.revision)
    to_fetch = []
    for name in names:
        file, path = published.get(f"{name}.jsonl"), folder / f"{name}.jsonl"
        if file is None:
            raise ValueError(f"{REPO[options.source]} has no {name}.jsonl at this revision: try another --revision")
        if path.is_file() and file.matches(path):
            print(f"{file.name}: here already, {size_text(file.size)}, checksum right", flush=True)
        elif path.is_dir() or (path.is_file() and not options.force):
            raise ValueError(
                f"{path}: it is not the published file ({size_text(path.stat().st_size)} here, {size_text(file.size)} "
                "there, or another checksum): move it away, or replace it with --force 1"
            )
        else:
            to_fetch.append(file)
    check_room(to_fetch, folder)
    for file in to_fetch:
        fetch(file, folder)
        print(f"{file.name}: {size_text(file.size)}, checksum right", flush=True)
    print("\nnext:")
    for name in names:
        print(f"  {next_command(name, folder)}")


if __name__ == "__main__":
    run(main)
