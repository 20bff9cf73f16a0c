"""Download MiniMind's published data sets into dataset/, where the stages look for them.

    python scripts/download_data.py                                # what is published, and what is here already
    python scripts/download_data.py pretrain_t2t_mini sft_t2t_mini # pretraining and SFT at the real sizes
    python scripts/download_data.py all
    HF_ENDPOINT=https://hf-mirror.com python scripts/download_data.py dpo      # through a mirror of the hub
    python scripts/download_data.py dpo --source modelscope        # from ModelScope

Free disk space is checked first. Data arrives in NAME.jsonl.part, so the same command resumes a download that was
stopped; a file gets its final name only when its size and checksum match the published ones.
"""

import fcntl
import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import httpx2
from tqdm import tqdm

sys.path[0] = str(Path(__file__).resolve().parents[1])

from model.files import why_not_written  # noqa: E402
from scripts.reports.shell import command, split_files, typed  # noqa: E402
from scripts.reports.tables import format_table  # noqa: E402
from trainer.command_line import ROOT, UsageError, check_out_dir, flag, parse_options, run  # noqa: E402

SETS = {  # name -> (purpose, the next command and its flags)
    "pretrain_t2t_mini": ("pretraining, of MiniMind-3, small", "train_pretrain.py"),
    "pretrain_t2t": ("pretraining, of MiniMind-3", "train_pretrain.py"),
    "sft_t2t_mini": ("SFT with thoughts and tools, small", "train_full_sft.py --max_seq_len 768"),
    "sft_t2t": ("SFT with thoughts and tools", "train_full_sft.py --max_seq_len 768"),
    "dpo": ("DPO", "train_dpo.py"),
    "rlaif": ("questions for reinforcement learning", ""),
    "agent_rl": ("questions with tools, likewise", ""),
    "agent_rl_math": ("sums with tools, likewise", ""),
    "lora_exam": ("LoRA: exams", "train_lora.py --lora_name exam"),
    "pretrain_hq": ("pretraining, of MiniMind2", "train_pretrain.py"),
    "sft_mini_512": ("SFT, of MiniMind2, small", "train_full_sft.py"),
    "sft_512": ("SFT, up to 512 tokens", "train_full_sft.py --max_seq_len 512"),
    "sft_1024": ("SFT, up to 1,024 tokens", "train_full_sft.py --max_seq_len 1024"),
    "sft_2048": ("SFT, up to 2,048 tokens", "train_full_sft.py --max_seq_len 2048"),
    "r1_mix_1024": ("reasoning", "train_distill_reason.py"),
    "lora_identity": ("LoRA: its identity", "train_lora.py --lora_name identity"),
    "lora_medical": ("LoRA: medicine", "train_lora.py --lora_name medical"),
}
SPARE_BYTES = 64 << 20  # left free on the disk
REQUEST = {"follow_redirects": True, "timeout": 20}  # seconds without an answer


@dataclass
class DownloadOptions:
    source: str = flag("huggingface", "where to download from", choices=["huggingface", "modelscope"])
    revision: str | None = flag(None, "branch, tag or commit of the published repository; default: its main branch")
    output_dir: str = flag(str(ROOT / "dataset"), "folder for the files; the stages look for them in dataset/")
    force: bool = flag(False, "replace files of these names that differ from the published ones")


@dataclass(frozen=True)
class Published:
    """A published file. `digest` is its SHA-256 or, for a small file, the SHA-1 of its git blob."""

    size: int
    digest: str
    url: str

    def matches(self, path: Path) -> bool:
        if path.stat().st_size != self.size:
            return False
        with open(path, "rb") as file:
            if len(self.digest) == 64:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.digest
            return hashlib.sha1(b"blob %d\0" % self.size + file.read()).hexdigest() == self.digest


def size_text(n_bytes: int) -> str:
    return tqdm.format_sizeof(n_bytes, "B")


def part_of(path: Path) -> Path:
    """The file while it is incomplete."""
    return path.with_name(f"{path.name}.part")


def size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def list_files(source: str, revision: str | None) -> dict[str, Published]:
    """What is published, by name. OSError says in one sentence why there is no list."""
    if source == "modelscope":
        server = os.environ.get("MODELSCOPE_ENDPOINT", "https://www.modelscope.cn").rstrip("/")
        repo, tag = f"{server}/api/v1/datasets/gongjy/minimind_dataset/repo", quote(revision or "master", safe="")
        url = f"{repo}/tree?Revision={tag}&Recursive=True&PageNumber=1&PageSize=200"
    else:
        server = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        repo, tag = "datasets/jingyaogong/minimind_dataset", quote(revision or "main", safe="")
        url = f"{server}/api/{repo}/revision/{tag}?blobs=true"
    try:
        answer = httpx2.get(url, **REQUEST).raise_for_status().json()
        if source == "modelscope":
            place = f"{repo}?Revision={tag}&FilePath="
            files = [(file["Path"], file["Size"], file.get("Sha256", "")) for file in answer["Data"]["Files"]]
        else:
            # The commit, not the branch: the download then matches this list even if somebody pushes meanwhile.
            place = f"{server}/{repo}/resolve/{answer['sha']}/"
            blobs = [(file["rfilename"], file["size"], file.get("lfs"), file["blobId"]) for file in answer["siblings"]]
            files = [(name, size, lfs["sha256"] if lfs else digest) for name, size, lfs, digest in blobs]
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, LookupError, TypeError) as error:
        raise no_answer(f"{server}, --revision {revision}" if revision else server, error) from None
    return {name: Published(size, digest, place + name) for name, size, digest in files}


def no_answer(place: str, error: Exception) -> OSError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    advice = "connect and run again to resume, or use a mirror, as HF_ENDPOINT=https://hf-mirror.com, or --source"
    return OSError(f"{place}: no data came from there ({reason}): {advice} modelscope")


def download(published: Published, path: Path) -> None:
    """Bring a file to `path`, resuming an earlier download. Raises OSError when the server does not answer, another
    process downloads it, the disk is full, or the checksum differs."""
    part = part_of(path)
    try:
        with open(part, "ab") as out:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fetch(published, out, path.name)
            if not published.matches(part):
                part.unlink()
                raise OSError(f"{path}: the download does not have the published checksum: run it again")
            os.replace(part, path)
    except BlockingIOError:
        raise OSError(f"{path}: another process is downloading it: wait until it has finished") from None
    except httpx2.HTTPError as error:
        raise no_answer(published.url, error) from None
    except OSError as error:
        if error.errno is None:  # a sentence already
            raise
        raise OSError(why_not_written(path, published.size - size_of(part), error)) from None


def fetch(published: Published, out: IO[bytes], name: str) -> None:
    """Append what `out` lacks; a connection that breaks is opened again as long as each one brings something."""
    bar = tqdm(desc=name, total=published.size, initial=out.tell(), unit="B", unit_scale=True)
    while (n_arrived := out.tell()) < published.size:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={n_arrived}-"} if n_arrived else {})
        try:
            with httpx2.stream("GET", published.url, headers=headers, **REQUEST) as response:
                if response.raise_for_status().status_code != 206:  # it sends the file from its beginning
                    out.truncate(out.seek(0))
                for chunk in response.iter_bytes():
                    out.write(chunk)
                    out.flush()
                    bar.update(out.tell() - bar.n)
            break
        except httpx2.TransportError:
            if out.tell() == n_arrived:
                raise
    bar.close()


def choose(words: list[str]) -> list[str]:
    """The data sets that were named on the command line; UsageError for an unknown name lists the known ones."""
    names = [name for word in words for name in (SETS if word == "all" else [word.removesuffix(".jsonl")])]
    for name in names:
        if name not in SETS:
            raise UsageError(f"there is no data set {name}: all, or some of {', '.join(SETS)}")
    return list(dict.fromkeys(names))


def show_list(options: DownloadOptions) -> None:
    """What is published and how much of it is here. The names are known without a network."""
    published, error = {}, None
    try:
        published = list_files(options.source, options.revision)
    except OSError as caught:
        error = caught
    rows = []
    for name, (purpose, _) in SETS.items():
        path, file = Path(options.output_dir) / f"{name}.jsonl", published.get(f"{name}.jsonl")
        here = size_of(path) or size_of(part_of(path))
        rows.append([name, purpose, size_text(file.size) if file else "?", size_text(here) if here else ""])
    print(format_table(["name", "for", "size", f"in {Path(options.output_dir).name}/"], rows, left=2))
    print(f"\ndownload with: {command('run.sh', 'data')} NAME … (or all)")
    if error:
        raise error


def main() -> None:
    words, flags = split_files(sys.argv[1:])
    options = parse_options(DownloadOptions, "Download data sets: download_data.py [NAME … | all] [flags]", flags)
    names, folder = choose(words), Path(options.output_dir).absolute()
    if not names:
        show_list(options)
        return
    check_out_dir(folder, "--output_dir")
    published, missing = list_files(options.source, options.revision), {}
    for path in [folder / f"{name}.jsonl" for name in names]:
        if path.name not in published:
            raise ValueError(f"{options.source} has no {path.name} at this revision: try another --revision")
        file = published[path.name]
        if path.is_file() and file.matches(path):
            print(f"{path.name}: here already, {size_text(file.size)}, checksum correct", flush=True)
        elif path.is_dir() or (path.is_file() and not options.force):
            what = f"it is not the published file ({size_text(file.size)}), or another checksum"
            raise ValueError(f"{path}: {what}: move it away, or replace it with --force 1")
        else:
            missing[path] = file
    needed, free = sum(f.size - size_of(part_of(p)) for p, f in missing.items()), shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        what = f"the download needs {size_text(needed)} and {size_text(free)} are free on that disk"
        raise OSError(f"{folder}: {what}: make room, download fewer data sets, or pass another --output_dir")
    for path, file in missing.items():
        download(file, path)
        print(f"{path.name}: {size_text(file.size)}, checksum correct", flush=True)
    print("\nnext:")
    for name in names:
        stage, *flags = SETS[name][1].split() or [""]
        if stage:
            print(" ", command(f"trainer/{stage}"), "--data_path", typed(folder / f"{name}.jsonl"), *flags)


if __name__ == "__main__":
    run(main)
