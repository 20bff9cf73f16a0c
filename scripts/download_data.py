"""Download MiniMind's published data sets into dataset/, where the stages look for them.

    python scripts/download_data.py                                # what is published, and what is here already
    python scripts/download_data.py pretrain_hq sft_mini_512       # pretraining and SFT at the real sizes
    python scripts/download_data.py all
    HF_ENDPOINT=https://hf-mirror.com python scripts/download_data.py dpo      # through a mirror of the hub
    python scripts/download_data.py dpo --source modelscope        # from ModelScope (pip install modelscope)

Free disk space is checked first. Data arrives in NAME.jsonl.….part, so the same command resumes a download that was
stopped; a file gets its final name only when its size and checksum match the published ones.
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
SETS = {  # name -> (purpose, the next command and its flags)
    "pretrain_hq": ("pretraining", "train_pretrain.py"),
    "sft_mini_512": ("SFT, small", "train_full_sft.py"),
    "sft_512": ("SFT, up to 512 tokens", "train_full_sft.py --max_seq_len 512"),
    "sft_1024": ("SFT, up to 1,024 tokens", "train_full_sft.py --max_seq_len 1024"),
    "sft_2048": ("SFT, up to 2,048 tokens", "train_full_sft.py --max_seq_len 2048"),
    "dpo": ("DPO", "train_dpo.py"),
    "r1_mix_1024": ("reasoning", "train_distill_reason.py"),
    "lora_identity": ("LoRA: its identity", "train_lora.py --lora_name identity"),
    "lora_medical": ("LoRA: medicine", "train_lora.py --lora_name medical"),
}
DEFAULT_DATA = ("pretrain_hq", "sft_mini_512", "dpo", "r1_mix_1024", "lora_identity", "lora_medical")  # of the stages
SPARE_BYTES = 64 << 20  # left free on the disk
TIMEOUT_SECONDS = 20  # for the list of files


@dataclass
class DownloadOptions:
    source: str = flag("huggingface", "where to download from: huggingface, or modelscope", choices=list(REPO))
    revision: str | None = flag(None, "branch, tag or commit of the published repository; default: its main branch")
    output_dir: str = flag(str(ROOT / "dataset"), "folder for the files; the stages look for them in dataset/")
    force: bool = flag(False, "replace files of these names that differ from the published ones")


@dataclass(frozen=True)
class Published:
    """A published file. `digest` is its SHA-256 or, for a small file, the SHA-1 of its git blob."""

    name: str
    size: int
    digest: str
    url: str

    def matches(self, path: Path) -> bool:
        """Whether the file at `path` has the published size and checksum."""
        if path.stat().st_size != self.size:
            return False
        with open(path, "rb") as file:
            if len(self.digest) == 64:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.digest
            return hashlib.sha1(b"blob %d\0" % self.size + file.read()).hexdigest() == self.digest

    def part(self, folder: Path) -> Path:
        """The file while it is incomplete; parts of other versions have other names."""
        return folder / f"{self.name}.{self.digest[:8]}.part"

    def n_arrived(self, folder: Path) -> int:
        return self.part(folder).stat().st_size if self.part(folder).is_file() else 0


# ---------------------------------------------------------------- listing


def list_huggingface(revision: str | None) -> dict[str, Published]:
    """The files of the repository by name. ValueError or OSError says in one sentence why there is no list."""
    from huggingface_hub import HfApi, constants, hf_hub_url

    repo = REPO["huggingface"]
    with one_sentence(constants.ENDPOINT, f"{constants.ENDPOINT}/datasets/{repo}", revision):
        info = HfApi().dataset_info(repo, revision=revision or "main", files_metadata=True, timeout=TIMEOUT_SECONDS)
        files = {}
        for file in info.siblings:
            # The commit, not the branch: the download then matches this list even if somebody pushes meanwhile.
            url = hf_hub_url(repo, file.rfilename, repo_type="dataset", revision=info.sha)
            digest = file.lfs.sha256 if file.lfs else file.blob_id
            files[file.rfilename] = Published(file.rfilename, file.size, digest, url)
        return files


def list_modelscope(revision: str | None) -> dict[str, Published]:
    """The same for ModelScope's copy."""
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
    urls = {file.path: client.legacy.get_download_url(repo, "dataset", file.path, revision) for file in files}
    return {f.path: Published(f.path, f.size, f.sha256, urls[f.path]) for f in files if f.sha256}


LISTERS = {"huggingface": list_huggingface, "modelscope": list_modelscope}


@contextlib.contextmanager
def one_sentence(server: str, page: str = "", revision: str | None = None) -> Iterator[None]:
    """Turns the errors of a request to a server into one sentence that says what to do."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.OfflineModeIsEnabled:
        raise OSError("HF_HUB_OFFLINE=1 forbids access to the hub: unset it and run again") from None
    except errors.RevisionNotFoundError:
        raise ValueError(f"--revision {revision}: {page} has no such branch, tag or commit") from None
    except errors.RepositoryNotFoundError:
        raise ValueError(f"{page}: there is no such repository, or it is not public: check HF_ENDPOINT") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        raise OSError(f"{server} answers with status {status}: run again later to resume") from None
    except httpx2.HTTPError as error:
        raise OSError(
            f"no answer from {server} ({str(error) or type(error).__name__}): connect and run again to resume, or use "
            "a mirror, as HF_ENDPOINT=https://hf-mirror.com, or try --source modelscope"
        ) from None
    except (json.JSONDecodeError, KeyError, TypeError):
        raise ValueError(f"{server}: its response is not the hub's protocol: check HF_ENDPOINT") from None


# ---------------------------------------------------------------- downloading


def check_free_space(files: list[Published], folder: Path) -> None:
    needed = sum(file.size - file.n_arrived(folder) for file in files)
    free = shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise OSError(
            f"{folder}: the download needs {size_text(needed)} and {size_text(free)} are free on that disk: make room, "
            "download fewer data sets, or name a folder on another disk with --output_dir"
        )


def download(file: Published, folder: Path) -> None:
    """Bring `file` into `folder`, resuming an earlier download.

    Raises OSError when the server does not answer, another process downloads the file, the disk is full, or the
    checksum differs. Uses the hub client's `http_get`, as its download functions cannot resume.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    path, part = folder / file.name, file.part(folder)
    with open(part, "ab") as out:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"{path}: another process is downloading it: wait until it has finished") from None
        n_arrived = out.tell()
        if n_arrived > file.size:
            n_arrived = out.truncate(0)
        if n_arrived:
            print(f"{file.name}: resuming at {size_text(n_arrived)} of {size_text(file.size)}", flush=True)
        token = None if file.url.startswith(f"{constants.ENDPOINT}/datasets/") else False  # only the hub gets its token
        headers = build_hf_headers(token=token) | {"Accept-Encoding": "identity"}  # compressed ones cannot be resumed
        try:
            with one_sentence("/".join(file.url.split("/")[:3])):
                http_get(file.url, out, resume_size=n_arrived, headers=headers, expected_size=file.size,
                         displayed_filename=file.name)  # fmt: skip
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OSError(f"{folder}: the disk is full: make room and run again to resume") from None
        out.flush()
        if not file.matches(part):
            part.unlink()
            raise OSError(f"{path}: the download does not have the published checksum: run it again")
        os.replace(part, path)
    for stale in folder.glob(f"{file.name}.*.part"):  # of an earlier version
        stale.unlink()


# ---------------------------------------------------------------- command


def choose(words: list[str]) -> list[str]:
    """The data sets that were named on the command line; UsageError for an unknown name lists the known ones."""
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


def local_state(path: Path, file: Published | None) -> str:
    """What is here of a data set, judged by its size: checksums of gigabytes take a while."""
    if path.is_file():
        size = path.stat().st_size
        return "here" if file is None or size == file.size else f"{size_text(size)} of another file"
    return size_text(n) if file and (n := file.n_arrived(path.parent)) else ""


def show_list(options: DownloadOptions, folder: Path) -> None:
    published, error = {}, None
    try:
        published = LISTERS[options.source](options.revision)
    except OSError as caught:  # the names are known without a network
        error = caught
    rows = []
    for name, (purpose, _) in SETS.items():
        file = published.get(f"{name}.jsonl")
        size = size_text(file.size) if file else "?"
        rows.append([name, purpose, size, local_state(folder / f"{name}.jsonl", file)])
    print(format_table(["name", "for", "size", f"in {folder.name}/"], rows, left=2))
    print(f"\ndownload with: {command('run.sh', 'data')} NAME … (or all)")
    if error:
        raise error


def next_command(name: str, folder: Path) -> str:
    stage, _, flags = SETS[name][1].partition(" ")
    is_default = folder == ROOT / "dataset" and name in DEFAULT_DATA
    path = "" if is_default else f"--data_path {typed(folder / f'{name}.jsonl')}"
    return " ".join(filter(None, [command(f"trainer/{stage}"), path, flags]))


def main() -> None:
    words, flags = split_files(sys.argv[1:])
    options = parse_options(DownloadOptions, "Download data sets: download_data.py [NAME … | all] [flags]", flags)
    names, folder = choose(words), Path(options.output_dir).absolute()
    if not names:
        show_list(options, folder)
        return
    check_out_dir(folder, "--output_dir")
    published = LISTERS[options.source](options.revision)
    missing = []
    for name in names:
        file, path = published.get(f"{name}.jsonl"), folder / f"{name}.jsonl"
        if file is None:
            raise ValueError(f"{REPO[options.source]} has no {name}.jsonl at this revision: try another --revision")
        if path.is_file() and file.matches(path):
            print(f"{file.name}: here already, {size_text(file.size)}, checksum correct", flush=True)
        elif path.is_dir() or (path.is_file() and not options.force):
            raise ValueError(
                f"{path}: it is not the published file ({size_text(path.stat().st_size)} here, {size_text(file.size)} "
                "published, or another checksum): move it away, or replace it with --force 1"
            )
        else:
            missing.append(file)
    check_free_space(missing, folder)
    for file in missing:
        download(file, folder)
        print(f"{file.name}: {size_text(file.size)}, checksum correct", flush=True)
    print("\nnext:", *(next_command(name, folder) for name in names), sep="\n  ")


if __name__ == "__main__":
    run(main)
