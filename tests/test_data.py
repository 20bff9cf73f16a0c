"""Data: every token once and in its place, hardly any padding, batches that change no logits, and bad lines named."""

import errno
import gzip
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from preloaded import run_preloaded
from transformers import AutoTokenizer

from dataset import token_cache
from dataset.batching import Collate, StepSampler, make_loader
from dataset.chat import encode_texts, render
from dataset.heldout import read_heldout
from dataset.jsonl import DataError
from dataset.lm_dataset import PretrainDataset, SFTDataset
from dataset.token_cache import fingerprint_file, hash_content
from trainer.objectives import n_sequences

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "dataset" / "sample"
BOS, EOS = 1, 2


def write_jsonl(path: Path, records: list) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    return path


def say(*contents: str, system: str | None = None) -> dict:
    """A conversation in which user and assistant take turns."""
    head = [{"role": "system", "content": system}] if system else []
    turns = [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]
    return {"conversations": head + turns}


def content_of(data) -> list:
    """Everything that a data set hands out."""
    return [[tensor.tolist() for tensor in data[i]] for i in range(len(data))]


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def pretrain_sample(tokenizer, cache) -> PretrainDataset:
    return PretrainDataset(SAMPLE / "pretrain.jsonl", tokenizer, 512, cache_dir=cache)


@pytest.fixture(scope="module")
def sft_sample(tokenizer, cache) -> SFTDataset:
    return SFTDataset(SAMPLE / "sft.jsonl", tokenizer, 512, cache_dir=cache)


# ---------------------------------------------------------------- packing


def stream_of(data: PretrainDataset) -> list[int]:
    """All tokens of an epoch in order: the first, then every target that is learned."""
    rows = [data[i] for i in range(len(data))]
    return rows[0][0][:1].tolist() + [token for _, targets, mask, *_ in rows for token in targets[mask > 0].tolist()]


def documents_in(stream: list[int]) -> list[tuple[int, ...]]:
    """The stream cut before each BOS (which stands nowhere else: text is encoded without control tokens)."""
    starts = [i for i, token in enumerate(stream) if token == BOS]
    return [tuple(stream[a:b]) for a, b in zip(starts, [*starts[1:], None], strict=True)]


@pytest.fixture(scope="module")
def expected_documents(tokenizer) -> list[tuple[int, ...]]:
    lines = (SAMPLE / "pretrain.jsonl").read_text("utf-8").split("\n")
    texts = [json.loads(line)["text"] for line in lines if line]
    return [(BOS, *ids, EOS) for ids in encode_texts(tokenizer, texts)]


def test_packing_holds_every_document_once_in_the_order_of_the_file(pretrain_sample, expected_documents):
    assert documents_in(stream_of(pretrain_sample)) == expected_documents


def test_shuffled_packing_holds_every_document_once(tokenizer, cache, expected_documents):
    data = PretrainDataset(SAMPLE / "pretrain.jsonl", tokenizer, 200, cache_dir=cache)
    orders = []
    for seed in (1, 2, 1):
        data.set_order(np.random.default_rng(seed))
        orders.append(documents_in(stream_of(data)))
        assert Counter(orders[-1]) == Counter(expected_documents)
    assert orders[0] == orders[2] != orders[1]


def test_packing_of_the_training_share_leaves_validation_out(pretrain_sample, expected_documents):
    train, val = pretrain_sample.split_validation()
    train.set_order(np.random.default_rng(0))
    parts = documents_in(stream_of(train)), documents_in(stream_of(val))
    assert Counter(parts[0]) + Counter(parts[1]) == Counter(expected_documents)
    assert len(parts[1]) == round(0.01 * len(expected_documents))


@pytest.mark.parametrize("max_length", [128, 256, 512])
def test_packed_positions_are_text(tokenizer, cache, max_length):
    train, _ = PretrainDataset(SAMPLE / "pretrain.jsonl", tokenizer, max_length, cache_dir=cache).split_validation()
    learned = sum(int((train[i][2] > 0).sum()) for i in range(len(train)))
    assert learned == train.lengths.sum() - 1
    assert learned / (len(train) * max_length) >= 0.99


def test_targets_are_the_next_tokens_across_rows(pretrain_sample):
    rows = [pretrain_sample[i] for i in range(len(pretrain_sample))]
    for number, (ids, targets, mask) in enumerate(rows):
        assert ids.dtype == targets.dtype == torch.int64 and mask.dtype == torch.float32
        n = int(mask.sum())
        assert mask.tolist() == [1.0] * n + [0.0] * (len(mask) - n)
        assert ids[1:n].tolist() == targets[: n - 1].tolist()
        if number + 1 < len(rows):
            assert n == 512 and targets[-1] == rows[number + 1][0][0]


def test_padding_of_the_last_packed_row_counts_as_padding(tokenizer, tmp_path, make_model):
    """A mixture of experts balances text; the blank end of the last row is none. Rows without padding need no mask."""
    path = write_jsonl(tmp_path / "short.jsonl", [{"text": "床前明月光"}, {"text": "疑是地上霜"}])
    data = PretrainDataset(path, tokenizer, 8, cache_dir=tmp_path)
    collate, n_last = data.make_collate(), len(data[len(data) - 1][0])
    assert len(data) >= 2 and n_last < 8
    full, short, mixed = (collate([data[i] for i in rows]) for rows in ([0, 0], [len(data) - 1], [0, len(data) - 1]))
    assert "attention_mask" not in full and "attention_mask" not in short
    assert mixed["attention_mask"].tolist() == [[1] * 8, [1] * n_last + [0] * (8 - n_last)]
    assert [int(n_sequences(batch)) for batch in (full, short, mixed, collate([]))] == [2, 1, 2, 0]
    model = make_model(vocab_size=6400, use_moe=True)
    aux = [model.model(**inputs_of(batch)).aux_loss.item() for batch in (collate([data[0]]), short, mixed)]
    assert aux[2] == pytest.approx((aux[0] + aux[1]) / 2, abs=1e-6)


def inputs_of(batch: dict) -> dict:
    return {name: batch[name] for name in ("input_ids", "attention_mask") if name in batch}


A, B = "一年有几个季节？四个。", "What is 2 + 3? Five."
PUBLISHED = {
    "as published": (f"<|im_start|>{A}<|im_end|> <|im_start|>{B}<|im_end|>", 4),
    "ends alone": (f"{A}<|im_end|>\n{B}<|im_end|>\n", 2),
    "begins alone": (f"<|im_start|>{A}\n<|im_start|>{B}", 2),
    "unbalanced": (f"{A}<|im_end|><|im_end|> <|im_start|>{B}", 3),
    "between documents": (f"{A}\n<|endoftext|>\n{B}", 1),
    "around nothing": (f"<|im_start|> <|im_end|>{A}<|im_start|>{B}<|im_start|>", 4),
}


def test_turn_marks_in_published_text_are_the_control_tokens(tokenizer, tmp_path):
    """As if each turn had a line of its own; other control strings stay text."""
    lines = write_jsonl(tmp_path / "lines.jsonl", [{"text": A}, {"text": B}])
    separate = PretrainDataset(lines, tokenizer, 64, cache_dir=tmp_path)
    expected = [*separate.document(0), *separate.document(1)]
    assert expected.count(BOS) == expected.count(EOS) == 2
    path = write_jsonl(tmp_path / "marked.jsonl", [{"text": text} for text, _ in PUBLISHED.values()])
    data = PretrainDataset(path, tokenizer, 64, cache_dir=tmp_path)
    assert {name: data.document(i).tolist() for i, name in enumerate(PUBLISHED)} == dict.fromkeys(PUBLISHED, expected)
    assert data.n_bytes == len(PUBLISHED) * separate.n_bytes == len(PUBLISHED) * len((A + B).encode())
    assert f"{sum(n for _, n in PUBLISHED.values())} turn marks" in data.summary()
    assert "turn marks" not in separate.summary()
    text = "<think>a</think><|reserved_0|> <tool_call>"
    plain = PretrainDataset(write_jsonl(tmp_path / "t.jsonl", [{"text": text}] * 2), tokenizer, 64, cache_dir=tmp_path)
    assert plain.document(0).tolist() == [BOS, *encode_texts(tokenizer, [text])[0], EOS]


# ---------------------------------------------------------------- conversations


def test_bytes_are_those_of_the_answers_that_are_learned(tokenizer, tmp_path, cache):
    """The tags of thoughts are text of the answer; what is cut off is not learned, and counts for nothing."""
    answers = ["<think>\n想\n</think>\n<answer>\n四\n</answer>", "abc " * 30]
    path = write_jsonl(tmp_path / "a.jsonl", [say("1+3", answers[0], "more", answers[1])] * 2)
    for max_length in (512, 100, 70):
        data = SFTDataset(path, tokenizer, max_length, cache_dir=cache)
        _, targets, mask = data[0]
        learned = tokenizer.decode([int(t) for t, w in zip(targets, mask, strict=True) if w and t != EOS])
        assert learned == "".join(answers)[: len(learned)]
        assert data.n_bytes == 2 * len(learned.encode())
    assert len(learned) < len("".join(answers))


def test_few_positions_of_conversations_are_padding(sft_sample, tokenizer):
    """Batches of 16 as the engine makes them, over a whole epoch."""
    train, _ = sft_sample.split_validation()
    sampler, collate = StepSampler(len(train), 16, seed=42, lengths=train.lengths), Collate(tokenizer.pad_token_id)
    batches = list(sampler)
    text = sum(int(train.lengths[batch].sum()) for batch in batches)
    assert text / sum(len(batch) * int(train.lengths[batch].max()) for batch in batches) >= 0.90
    for indices in batches[:: len(batches) // 20]:  # what is handed out is as long as `lengths` says
        batch = collate([train[i] for i in indices])
        assert batch["attention_mask"].sum(1).tolist() == train.lengths[indices].tolist()
        assert batch["input_ids"].shape == (len(indices), train.lengths[indices].max())


@pytest.mark.parametrize("use_moe", [False, True])
def test_logits_of_a_conversation_in_its_batch_are_its_own(sft_sample, tokenizer, make_model, use_moe):
    model = make_model(vocab_size=len(tokenizer), use_moe=use_moe, max_position_embeddings=1024)
    mixed = [int(sft_sample.lengths.argmax()), int(sft_sample.lengths.argmin())]  # as unlike as can be
    sampled = next(iter(StepSampler(len(sft_sample), 16, seed=42, lengths=sft_sample.lengths)))
    for indices in (sampled, mixed):
        samples = [sft_sample[i] for i in indices]
        batch = Collate(tokenizer.pad_token_id)(samples)
        with torch.no_grad():
            together = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            for row, (ids, *_) in enumerate(samples):
                alone = model(ids[None]).logits[0]
                assert (together[row, : len(ids)] - alone).abs().max() <= 1e-5


def test_collate_pads_on_the_right_and_teaches_no_padding(tokenizer):
    samples = [
        (torch.tensor([5, 6, 7]), torch.tensor([6, 7, 8]), torch.tensor([0.0, 1.0, 10.0])),
        (torch.tensor([9]), torch.tensor([3]), torch.tensor([1.0])),
    ]
    batch = Collate(0)(samples)
    assert {name: tensor.tolist() for name, tensor in batch.items()} == {
        "input_ids": [[5, 6, 7], [9, 0, 0]],
        "targets": [[6, 7, 8], [3, 0, 0]],
        "loss_mask": [[0, 1, 10], [1, 0, 0]],
        "attention_mask": [[1, 1, 1], [1, 0, 0]],
    }
    blank = Collate(0)([])  # for a rank without samples
    assert blank.keys() == batch.keys()
    assert blank["loss_mask"].sum() == blank["attention_mask"].sum() == 0


def test_a_cut_conversation_learns_what_is_left_of_its_answers(tokenizer, tmp_path, cache):
    """For every length to cut at: the tokens and weights are the beginning of the whole, or it is left out."""
    conversation = say("问：1+1？", "答：2。", "And 2+2?", "<|im_end|> is 4.", system="你是一个助手。")
    ids, weights = render(tokenizer, conversation["conversations"])
    short = say("a", "b")
    path = write_jsonl(tmp_path / "one.jsonl", [conversation, short])
    for max_length in range(len(render(tokenizer, short["conversations"])[0]), len(ids) + 3):
        data = SFTDataset(path, tokenizer, max_length, cache_dir=cache)
        learnable = any(weights[1 : max_length + 1])
        assert (len(data), data.n_too_long) == ((2, 0) if learnable else (1, 1))
        if learnable:
            inputs, targets, mask = (tensor.tolist() for tensor in data[0])
            n = min(max_length, len(ids) - 1)
            assert (inputs, targets, mask) == (ids[:n], ids[1 : n + 1], weights[1 : n + 1])
            assert data.lengths[0] == n
        else:
            assert "1 without an answer within" in data.summary()
    learned = [token for token, weight in zip(ids, weights, strict=True) if weight]
    assert tokenizer.decode(learned) == "答：2。<|im_end|><|im_end|> is 4.<|im_end|>"


def test_when_every_answer_lies_beyond_the_cut(tokenizer, tmp_path, cache):
    path = write_jsonl(tmp_path / "long.jsonl", [say("很长的问题" * 50, "答")] * 3)
    with pytest.raises(DataError, match="--max_seq_len"):
        SFTDataset(path, tokenizer, 32, cache_dir=cache)


def test_weight_of_markup(tokenizer, tmp_path, cache):
    class StressedDataset(SFTDataset):
        markup_weight = 10

    path = write_jsonl(tmp_path / "think.jsonl", [say("1+1", "<think>一加一</think>2")])
    plain, stressed = (kind(path, tokenizer, 64, cache_dir=cache)[0] for kind in (SFTDataset, StressedDataset))
    tags = torch.isin(plain[1], torch.tensor(tokenizer.convert_tokens_to_ids(["<think>", "</think>"])))
    assert tags.sum() == 2
    assert torch.equal(stressed[2], torch.where(tags, 10.0, plain[2]))


# ---------------------------------------------------------------- which samples when


LENGTHS = np.random.default_rng(0).integers(5, 400, 1003)
FORMS = [(8, 1, 1), (2, 4, 1), (1, 8, 1), (4, 1, 2), (2, 2, 2), (1, 2, 4)]  # batch, accumulation, ranks: 8 a step


def steps_of(form: tuple, n_samples=1003, lengths=None, epoch=0, start=0) -> list[list[list[int]]]:
    """Per step, the micro-batches of all ranks."""
    batch_size, accumulation, world = form
    per_rank = []
    for rank in range(world):
        sampler = StepSampler(n_samples, batch_size, accumulation, rank, world, seed=3, lengths=lengths)
        sampler.set_position(epoch, start)
        per_rank.append(list(sampler))
        assert len(per_rank[-1]) == len(sampler) == (sampler.steps_per_epoch - start) * accumulation
    n_steps = len(per_rank[0]) // accumulation
    return [
        [micro for micros in per_rank for micro in micros[step * accumulation : (step + 1) * accumulation]]
        for step in range(n_steps)
    ]


def samples_of(steps: list) -> list[list[int]]:
    return [sorted(i for micro in step for i in micro) for step in steps]


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["shuffled", "by length"])
@pytest.mark.parametrize("n_samples", [1, 7, 8, 9, 512, 1003])
@pytest.mark.parametrize("form", FORMS)
def test_every_sample_once_per_epoch_in_the_same_steps(form, n_samples, lengths):
    lengths = lengths if lengths is None else lengths[:n_samples]
    steps = samples_of(steps_of(form, n_samples, lengths))
    assert sorted(i for step in steps for i in step) == list(range(n_samples))
    assert all(steps) and len(steps) == -(-n_samples // 8)
    if lengths is None:
        assert [len(step) for step in steps[:-1]] == [8] * (len(steps) - 1)  # only the last may be smaller
    assert steps == samples_of(steps_of(FORMS[0], n_samples, lengths))


@pytest.mark.parametrize("form", FORMS)
def test_a_step_is_spread_evenly(form):
    for step in steps_of(form, lengths=LENGTHS):
        sizes = [len(micro) for micro in step]
        assert max(sizes) - min(sizes) <= 1


def test_steps_of_a_length_bucket_have_about_as_many_tokens():
    lengths = np.random.default_rng(1).choice([20, 30, 40, 400], 6400, p=[0.4, 0.3, 0.2, 0.1])  # questions and chats
    tokens = [int(lengths[step[0]].sum()) for step in steps_of((16, 1, 1), 6400, lengths)]
    assert len(tokens) == 400
    assert max(tokens) < 1.5 * np.mean(tokens) and min(tokens) > 0.5 * np.mean(tokens)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["shuffled", "by length"])
@pytest.mark.parametrize("form", FORMS)
def test_a_later_start_continues_where_it_would_be(form, lengths):
    whole = steps_of(form, lengths=lengths, epoch=2)
    for start in (1, 60, 125, 126):
        assert steps_of(form, lengths=lengths, epoch=2, start=start) == whole[start:]


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["shuffled", "by length"])
def test_epochs_differ_and_repeat(lengths):
    first, second = (steps_of((8, 1, 1), lengths=lengths, epoch=epoch) for epoch in (0, 1))
    assert first != second
    assert first == steps_of((8, 1, 1), lengths=lengths, epoch=0)


def test_a_step_of_a_length_bucket_mixes_lengths_little_but_comes_at_any_time():
    steps = steps_of((8, 1, 1), lengths=LENGTHS)
    spreads = [int(np.ptp(LENGTHS[step[0]])) for step in steps]
    assert np.mean(spreads) < 30  # of 395
    means = [LENGTHS[step[0]].mean() for step in steps]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3


def test_worker_processes_hand_out_the_same_batches(sft_sample, tokenizer):
    small, collate = sft_sample.subset(np.arange(100)), Collate(tokenizer.pad_token_id)
    batches = []
    for workers in (0, 2):
        sampler = StepSampler(len(small), 8, lengths=small.lengths)
        batches.append(list(make_loader(small, sampler, collate, workers)))
    assert len(batches[0]) == len(batches[1]) == 13
    for one, other in zip(*batches, strict=True):
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_worker_processes_obey_their_parent_alone_and_none_dies_unnoticed(sft_sample, tokenizer, monkeypatch):
    """Ctrl-C, a closed terminal and a scheduler reach them too; one that the kernel kills ends the iteration."""
    small, before = sft_sample.subset(np.arange(400)), set(multiprocessing.active_children())
    start = multiprocessing.Process.start

    def start_and_interrupt(process):  # in its first moment, before it has run a line of Python
        start(process)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(process.pid, number)

    monkeypatch.setattr(multiprocessing.Process, "start", start_and_interrupt)
    batches = make_loader(small, StepSampler(len(small), 8), Collate(tokenizer.pad_token_id), 2)
    next(batches)
    workers = set(multiprocessing.active_children()) - before
    for _ in range(30):
        next(batches)
    os.kill(next(iter(workers)).pid, signal.SIGKILL)
    with pytest.raises(OSError, match="was killed, perhaps because the memory was full"):
        list(batches)
    assert not any(worker.is_alive() for worker in workers)


def test_processes_work_without_shared_memory(tokenizer, tmp_path):
    """As in a container: /dev/shm cannot be written. Both those that tokenise and those that load."""
    code = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from dataset import token_cache
from dataset.batching import StepSampler, make_loader
from dataset.lm_dataset import PretrainDataset
from trainer.loading import load_tokenizer
token_cache.MIN_BYTES_PER_PROCESS = token_cache.BYTES_PER_TASK = 1000
data = PretrainDataset(sys.argv[1], load_tokenizer({str(ROOT / "model")!r}), 32, cache_dir=sys.argv[2], num_proc=2)
batches = make_loader(data, StepSampler(len(data), 4), data.make_collate(), 2)
print(sum(int(batch["input_ids"].sum()) for batch in batches))
"""
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": f"第{i}句话"} for i in range(400)])
    without = ["unshare", "-rm", "bash", "-c", 'mount -t tmpfs -o ro none /dev/shm && exec "$@"', "x"]
    if subprocess.run([*without, "true"], capture_output=True).returncode:
        pytest.skip("no right to mount anything here")
    done = subprocess.run(
        [*without, sys.executable, "-c", code, path, tmp_path / "cache"], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    data = PretrainDataset(path, tokenizer, 32, cache_dir=tmp_path / "other")
    assert int(done.stdout) == sum(int(data[i][0].sum()) for i in range(len(data)))


def test_validation_is_a_fixed_share_that_training_never_sees(sft_sample, tokenizer, cache):
    train, val = sft_sample.split_validation()
    assert sorted([*train.kept, *val.kept]) == sft_sample.kept.tolist()
    assert len(val) == min(1000, round(0.01 * len(sft_sample)))
    again = SFTDataset(SAMPLE / "sft.jsonl", tokenizer, 512, cache_dir=cache).split_validation()[1]
    assert again.kept.tolist() == val.kept.tolist()
    assert [t.tolist() for t in val[0]] == [t.tolist() for t in again[0]]


def test_validation_of_tiny_files(tokenizer, tmp_path, cache):
    two = PretrainDataset(write_jsonl(tmp_path / "2.jsonl", [{"text": "a"}, {"text": "b"}]), tokenizer, cache_dir=cache)
    assert [len(part.kept) for part in two.split_validation()] == [1, 1]
    one = PretrainDataset(write_jsonl(tmp_path / "1.jsonl", [{"text": "a"}]), tokenizer, cache_dir=cache)
    with pytest.raises(DataError, match="add samples"):
        one.split_validation()


# ---------------------------------------------------------------- the cache


def token_files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("input_ids")}


def test_a_second_start_reads_the_cache(tokenizer, tmp_path):
    """A new process, as a second start is; what it reads is what was written, and nothing is written again."""
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": f"第{i}句话"} for i in range(50)])
    data = PretrainDataset(path, tokenizer, 32, cache_dir=tmp_path / "cache")
    before = token_files(tmp_path / "cache")
    code = (
        "import sys; from transformers import AutoTokenizer; from dataset.lm_dataset import PretrainDataset\n"
        "data = PretrainDataset(sys.argv[1], AutoTokenizer.from_pretrained('model'), 32, cache_dir=sys.argv[2])\n"
        "print([[tensor.tolist() for tensor in data[i]] for i in range(len(data))])"
    )
    command = [sys.executable, "-c", code, path, tmp_path / "cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(content_of(data))
    assert len(before) == 1 and token_files(tmp_path / "cache") == before
    PretrainDataset(path, tokenizer, 64, cache_dir=tmp_path / "cache")  # another row length is the same cache
    assert token_files(tmp_path / "cache") == before


@pytest.mark.parametrize("name", ["runs::v2", "s3:", "run [1]", "a*b?c", "new\nline", "data.incomplete", "~", "%20#"])
def test_a_cache_touches_nothing_outside_its_folder(tokenizer, tmp_path, name):
    """Whatever the path means to other programs: "runs::v2" is no archive inside "runs"."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "precious.txt").write_text("months of work")
    (tmp_path / name).mkdir()
    path = write_jsonl(tmp_path / name / f"{name}.jsonl", [{"text": "一"}, {"text": "二"}])
    data = [PretrainDataset(path, tokenizer, 32, cache_dir=tmp_path / name / "cache") for _ in range(2)]
    assert content_of(data[0]) == content_of(data[1])
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["runs", name])
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["precious.txt"]


def test_a_file_that_changes_while_it_is_tokenised_leaves_no_cache(tokenizer, tmp_path):
    path = write_jsonl(tmp_path / "p.jsonl", [{"text": "old one"}, {"text": "old two"}])

    class Changing(PretrainDataset):
        def check(self, record: dict) -> None:
            write_jsonl(path, [{"text": "new one"}, {"text": "new two"}])

    with pytest.raises(DataError, match="changed while it was read"):
        Changing(path, tokenizer, 16, cache_dir=tmp_path / "cache")
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["lock"]


def test_a_disk_without_space_is_named_before_and_while_it_fills(tokenizer, tmp_path, monkeypatch):
    path = write_jsonl(tmp_path / "p.jsonl", [{"text": "one"}, {"text": "two"}])

    def fill_disk(dataset, records):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PretrainDataset, "encode", fill_disk)
    for free in (10, 1 << 40):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, free=free: SimpleNamespace(free=free))
        with pytest.raises(OSError, match=r"cache: tokenising p\.jsonl needs about .* are free: delete files") as full:
            PretrainDataset(path, tokenizer, 16, cache_dir=tmp_path / "cache")
        assert full.value.errno is None and [file.name for file in (tmp_path / "cache").iterdir()] == ["lock"]


def test_a_cache_is_sent_to_a_process_as_its_name(tokenizer, pretrain_sample):
    sent = pickle.dumps(pretrain_sample.cache)
    assert len(sent) < 1000
    received = pickle.loads(sent)
    assert received.keys() == pretrain_sample.cache.keys()
    assert all(np.array_equal(received[name], array) for name, array in pretrain_sample.cache.items())


def test_a_changed_file_is_noticed_whatever_its_time(tokenizer, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "1 + 1 = 2"}, {"text": "two"}])
    stat = path.stat()
    before = content_of(PretrainDataset(path, tokenizer, 32, cache_dir=tmp_path / "cache"))
    write_jsonl(path, [{"text": "1 + 2 = 3"}, {"text": "two"}])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    data = PretrainDataset(path, tokenizer, 32, cache_dir=tmp_path / "cache")
    assert path.stat().st_size == stat.st_size and content_of(data) != before
    assert "1 + 2 = 3" in tokenizer.decode(data[0][0])


def test_a_changed_large_file_is_noticed(tmp_path):
    """By its time; and its copy, or itself at another time, is known by its content."""
    path = tmp_path / "large"
    path.write_bytes(b" " * (70 << 20))
    before, content = fingerprint_file(path), hash_content(path)
    assert fingerprint_file(path) == before != content
    os.utime(path, (1, 1))
    assert fingerprint_file(path) != before and hash_content(path) == content
    with open(path, "r+b") as file:
        file.seek(34_567_890)
        file.write(b"x")
    assert fingerprint_file(path) != before and hash_content(path) != content


def test_another_tokenizer_is_noticed(tokenizer, other_vocabulary, tmp_path, pretrain_sample):
    text = tokenizer.decode([3000, 3001]) * 5
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": text}] * 2)
    other = AutoTokenizer.from_pretrained(other_vocabulary)
    for tok in (tokenizer, other):
        data = PretrainDataset(path, tok, 64, cache_dir=tmp_path / "cache")
        assert data.document(0).tolist() == [BOS, *tok(text, split_special_tokens=True)["input_ids"], EOS]


def test_a_file_that_was_skipped_through_is_not_taken_for_a_good_one(tokenizer, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "a"}, {"no": "text"}])
    assert PretrainDataset(path, tokenizer, 32, skip_bad_lines=True, cache_dir=tmp_path / "cache").n_skipped == 1
    for _ in range(2):
        with pytest.raises(DataError, match="a.jsonl:2: "):
            PretrainDataset(path, tokenizer, 32, cache_dir=tmp_path / "cache")
    write_jsonl(path, [{"text": "a"}, {"text": "now good"}])
    assert len(PretrainDataset(path, tokenizer, 32, cache_dir=tmp_path / "cache").kept) == 2


def test_two_processes_tokenise_like_one(tokenizer, tmp_path, monkeypatch):
    records = [say(f"第{i}问" * (i % 40 + 1), f"答{i}\u2028行" * (i % 7 + 1)) for i in range(600)]
    path = write_jsonl(tmp_path / "a.jsonl", records)
    serial = SFTDataset(path, tokenizer, 64, cache_dir=tmp_path / "serial")
    monkeypatch.setattr(token_cache, "MIN_BYTES_PER_PROCESS", 1000)
    monkeypatch.setattr(token_cache, "BYTES_PER_TASK", 1000)
    parallel = SFTDataset(path, tokenizer, 64, cache_dir=tmp_path / "parallel", num_proc=2)
    assert len(serial) + serial.n_too_long == 600
    assert content_of(parallel) == content_of(serial)
    assert (parallel.n_bytes, parallel.n_too_long) == (serial.n_bytes, serial.n_too_long)


def test_two_processes_name_and_skip_bad_lines_like_one(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(token_cache, "MIN_BYTES_PER_PROCESS", 1000)
    monkeypatch.setattr(token_cache, "BYTES_PER_TASK", 1000)
    records = [{"text": f"第{i}句话"} for i in range(400)]
    records[333] = {"text": 5}
    path = write_jsonl(tmp_path / "a.jsonl", records)
    with pytest.raises(DataError, match='a.jsonl:334: "text" must be a string'):
        PretrainDataset(path, tokenizer, 64, cache_dir=tmp_path / "cache", num_proc=2)
    data = PretrainDataset(path, tokenizer, 64, cache_dir=tmp_path / "cache", num_proc=2, skip_bad_lines=True)
    assert (len(data.kept), data.n_skipped) == (399, 1)
    assert tokenizer.decode(data.document(333)[1:-1]) == "第334句话"


class SlowDataset(PretrainDataset):
    """Takes its time, and says in `n_bytes` which process encoded a line; a file named after it appears at once."""

    def encode(self, records: list[dict]):
        time.sleep(0.05)
        for record in records[:1]:
            Path(record["log"]).joinpath(str(os.getpid())).touch()
        return (line | {"n_bytes": os.getpid()} for line in super().encode(records))


@pytest.fixture
def slow_file(tmp_path, monkeypatch) -> Path:
    """A file that SlowDataset tokenises with two processes in a second or two; they leave their names in log/."""
    monkeypatch.setattr(token_cache, "MIN_BYTES_PER_PROCESS", 1000)
    monkeypatch.setattr(token_cache, "BYTES_PER_TASK", 1000)
    (tmp_path / "log").mkdir()
    return write_jsonl(tmp_path / "a.jsonl", [{"text": f"第{i}句话", "log": str(tmp_path / "log")} for i in range(400)])


def fork(target, *arguments) -> multiprocessing.Process:
    """A process in a group of its own, as a command typed into a terminal has."""

    def run():
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored where the tests were started
        target(*arguments)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    return process


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_file_is_tokenised_by_several_processes_unasked(tokenizer, slow_file, tmp_path):
    data = SlowDataset(slow_file, tokenizer, 32, cache_dir=tmp_path / "cache", num_proc=2)
    workers = set(data.number("n_bytes").tolist())
    assert len(workers) == 2 and os.getpid() not in workers
    assert not multiprocessing.active_children()
    if token_cache.usable_cpus() > 1:
        shutil.rmtree(tmp_path / "cache")
        data = SlowDataset(slow_file, tokenizer, 32, cache_dir=tmp_path / "cache")
        assert len(set(data.number("n_bytes").tolist())) > 1


def left_over(cache: Path) -> list[Path]:
    return list(cache.rglob("*.incomplete"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_stopped_tokenising_leaves_nothing_that_counts(tokenizer, slow_file, tmp_path, number):
    cache, log = tmp_path / "cache", tmp_path / "log"
    process = fork(lambda: SlowDataset(slow_file, tokenizer, 32, cache_dir=cache, num_proc=2))
    wait_until(lambda: len(list(log.iterdir())) == 2 and any(cache.rglob("input_ids")))
    workers = [int(path.name) for path in log.iterdir()]
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # a terminal sends it to all
    else:
        os.kill(process.pid, number)
    process.join()
    wait_until(lambda: not any(map(lives, workers)), seconds=10)
    assert {path.name for path in cache.iterdir()} == {"lock", *(path.name for path in left_over(cache))}
    assert len(left_over(cache)) == (number != signal.SIGINT)
    other = write_jsonl(tmp_path / "b.jsonl", [{"text": "another file"}])
    PretrainDataset(other, tokenizer, 32, cache_dir=cache)
    assert not left_over(cache) and len(list(cache.rglob("input_ids"))) == 1
    data = SlowDataset(slow_file, tokenizer, 32, cache_dir=cache, num_proc=2)
    assert [tokenizer.decode(data.document(i)[1:-1]) for i in (0, 399)] == ["第0句话", "第399句话"]


def test_two_that_start_at_once_share_one_tokenising(tokenizer, slow_file, tmp_path):
    def start(name: str) -> None:
        data = SlowDataset(slow_file, tokenizer, 32, cache_dir=tmp_path / "cache", num_proc=2)
        (tmp_path / name).write_text(str(content_of(data)))

    processes = [fork(start, name) for name in ("one", "two")]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    data = PretrainDataset(slow_file, tokenizer, 32, cache_dir=tmp_path / "alone")
    assert (tmp_path / "one").read_text() == (tmp_path / "two").read_text() == str(content_of(data))
    assert len(list((tmp_path / "cache").rglob("input_ids"))) == 1 and not left_over(tmp_path / "cache")
    assert len(list((tmp_path / "log").iterdir())) == 2  # it was tokenised once


DAMAGES = ["cut short", "other bytes", "other tokens", "other ends", "no ends", "half a row", "gone", "pickle"]
DAMAGES += ["a folder", "no hash"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_named_and_when_deleted_made_anew(tokenizer, tmp_path, damage):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": f"第{i}句话"} for i in range(50)])
    data = PretrainDataset(path, tokenizer, 32, cache_dir=tmp_path / "cache")
    before, document = content_of(data), data.document(3).tobytes()
    (tokens,) = (tmp_path / "cache").rglob("input_ids")
    rows = tokens.with_name("rows")
    if damage == "cut short":
        os.truncate(tokens, tokens.stat().st_size - 300)
    elif damage == "other bytes":
        content = tokens.read_bytes()
        tokens.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    elif damage == "other tokens":
        assert document in tokens.read_bytes()
        tokens.write_bytes(tokens.read_bytes().replace(document, b"\xff" * len(document)))
    elif damage == "other ends":
        rows.write_bytes(np.fromfile(rows, data.dtypes["rows"])[[1, 0, *range(2, 50)]].tobytes())
    elif damage == "no ends":
        rows.write_bytes(b"")
    elif damage == "half a row":
        os.truncate(rows, rows.stat().st_size - 3)
    elif damage == "gone":
        tokens.unlink()
    elif damage == "pickle":
        tokens.write_bytes(pickle.dumps({"input_ids": [1]}))
    elif damage == "a folder":
        rows.unlink()
        rows.mkdir()
    elif damage == "no hash":
        tokens.with_name("content.sha256").write_bytes(b"\xff")
    with pytest.raises(ValueError) as refused:
        PretrainDataset(path, tokenizer, 32, cache_dir=tmp_path / "cache")
    assert str(refused.value).startswith(f"{tokens.parent}: ") and "delete it" in str(refused.value)
    shutil.rmtree(tokens.parent)
    assert content_of(PretrainDataset(path, tokenizer, 32, cache_dir=tmp_path / "cache")) == before


def test_a_copied_cache_is_as_good(tokenizer, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": f"第{i}句话"} for i in range(50)])
    PretrainDataset(path, tokenizer, 32, cache_dir=tmp_path / "cache")
    shutil.copytree(tmp_path / "cache", tmp_path / "copy", copy_function=shutil.copyfile)
    files = token_files(tmp_path / "copy")
    assert len(PretrainDataset(path, tokenizer, 32, cache_dir=tmp_path / "copy").kept) == 50
    assert token_files(tmp_path / "copy") == files


def test_the_bar_says_what_takes_long_and_only_then(tokenizer, slow_file, tmp_path, capfd, monkeypatch):
    PretrainDataset(slow_file, tokenizer, 32, cache_dir=tmp_path / "quick")
    assert not capfd.readouterr().err
    monkeypatch.setattr(token_cache, "SECONDS_BEFORE_BAR", 0.2)
    SlowDataset(slow_file, tokenizer, 32, cache_dir=tmp_path / "slow", num_proc=2)
    shown = capfd.readouterr().err
    assert "tokenising a.jsonl: 100 %" in shown and "B/s" in shown


# ---------------------------------------------------------------- good lines, bad lines


def test_lines_as_editors_on_other_systems_write_them(tokenizer, tmp_path):
    """A byte-order mark, CR LF, blank lines, no end of the last line: four texts as they are."""
    texts = ["你好", "a\u2028b\x85c", "<think>", " leading space\n"]
    lines = [json.dumps({"text": text, "more": 1}, ensure_ascii=i % 2 == 0) for i, text in enumerate(texts)]
    path = tmp_path / "a.jsonl"
    path.write_bytes(("\ufeff" + "\r\n\r\n  \n".join(lines)).encode())
    data = PretrainDataset(path, tokenizer, 64, cache_dir=tmp_path)
    assert [tokenizer.decode(data.document(i)[1:-1]) for i in range(len(data.kept))] == texts
    assert data.n_bytes == sum(len(text.encode()) for text in texts)


def test_a_line_of_ten_megabytes_trains(tmp_path):
    path = write_jsonl(tmp_path / "long.jsonl", [{"text": "白日依山尽，黄河入海流。Every word of it. " * 200_000}])
    val = write_jsonl(tmp_path / "val.jsonl", [{"text": "欲穷千里目，更上一层楼。"}])
    assert path.stat().st_size > 10_000_000
    flags = ["--data_path", path, "--val_path", val, "--out_dir", tmp_path / "out", "--max_steps", 2]
    size = ["--hidden_size", 32, "--num_hidden_layers", 1, "--max_seq_len", 64, "--batch_size", 2]
    done = run_preloaded("trainer/train_pretrain.py", *flags, *size)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "pretrain_32.pth").exists()


GOOD = {PretrainDataset: {"text": "好"}, SFTDataset: say("问", "答")}
BAD_LINES = {
    "broken JSON": (PretrainDataset, b'{"text": "a"', "not valid JSON"),
    "not JSON": (PretrainDataset, b"hello", "not valid JSON"),
    "two objects": (PretrainDataset, b'{"text": "a"} {"text": "b"}', "not valid JSON"),
    "a list": (PretrainDataset, b'["text"]', "must be a JSON object"),
    "nested too deeply": (PretrainDataset, b"[" * 100_000, "nested too deeply"),
    "an enormous number": (PretrainDataset, b'{"text": ' + b"1" * 5000 + b"}", ""),
    "not UTF-8": (PretrainDataset, '{"text": "中文"}'.encode("gbk"), "not UTF-8"),
    "missing key": (PretrainDataset, b'{"txt": "a"}', 'the key "text" is missing'),
    "a number": (PretrainDataset, b'{"text": 3}', "must be a string"),
    "null": (PretrainDataset, b'{"text": null}', "must be a string"),
    "a list of texts": (PretrainDataset, b'{"text": ["a"]}', "must be a string"),
    "empty text": (PretrainDataset, b'{"text": ""}', "is empty"),
    "blank text": (PretrainDataset, b'{"text": " \\n\\u3000"}', "is empty"),
    "half a character": (PretrainDataset, b'{"text": "a\\ud800"}', "lone surrogate"),
    "missing conversations": (SFTDataset, b'{"text": "a"}', 'the key "conversations" is missing'),
    "no list": (SFTDataset, b'{"conversations": "a"}', "must be a list"),
    "no messages": (SFTDataset, b'{"conversations": []}', "no answer"),
    "no answer": (SFTDataset, b'{"conversations": [{"role": "user", "content": "a"}]}', "no answer"),
    "a text as message": (SFTDataset, b'{"conversations": ["a"]}', "message 1 must look like"),
    "no content": (SFTDataset, b'{"conversations": [{"role": "assistant"}]}', "message 1 must look like"),
    "no role": (SFTDataset, b'{"conversations": [{"content": "a"}]}', "message 1 must look like"),
    "unknown role": (SFTDataset, b'{"conversations": [{"role": "gpt", "content": "a"}]}', "'gpt'"),
    "a list as role": (SFTDataset, b'{"conversations": [{"role": [], "content": "a"}]}', "role"),
    "content of another type": (
        SFTDataset,
        b'{"conversations": [{"role": "user", "content": "a"}, {"role": "assistant", "content": {}}]}',
        "message 2 must be text",
    ),
    "nothing but marks": (PretrainDataset, b'{"text": "<|im_start|> <|im_end|>"}', "nothing but turn marks"),
    "NUL bytes": (PretrainDataset, b"\0" * 4096, "NUL bytes, as a crash leaves them"),
    "calls beside the content": (
        SFTDataset,
        b'{"conversations": [{"role": "assistant", "content": "a", "tool_calls": [{"name": "f"}]}]}',
        "message 1: a call in its tool_calls must look like",
    ),
    "tools beside the conversation": (
        SFTDataset,
        b'{"conversations": [{"role": "assistant", "content": "a"}], "tools": [{"name": "f"}]}',
        'the record has the key "tools"',
    ),
    "empty answer": (
        SFTDataset,
        b'{"conversations": [{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}]}',
        "is empty",
    ),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_named(tokenizer, tmp_path, name):
    kind, line, what = BAD_LINES[name]
    good = json.dumps(GOOD[kind], ensure_ascii=False).encode()
    path = tmp_path / "a.jsonl"
    path.write_bytes(good + b"\r\n\n" + good + b"\n" + line + b"\n" + good + b"\n" + line)
    with pytest.raises(DataError) as refused:
        kind(path, tokenizer, 64, cache_dir=tmp_path / "cache")
    message = str(refused.value)
    assert message.startswith(f"{path}:4: ") and what in message and "--skip_bad_lines" in message
    assert "\n" not in message
    data = kind(path, tokenizer, 64, cache_dir=tmp_path / "cache", skip_bad_lines=True)
    assert (len(data.kept), data.n_skipped) == (3, 2)
    assert "2 bad lines skipped" in data.summary()


LINE = '{"text": "一个文本"}'
ARRAY = json.dumps([{"text": "a"}, {"text": "b"}])
NO_FILES = {
    "empty": (b"", "the file is empty"),
    "gzip": (gzip.compress(LINE.encode()), "compressed file: unpack it"),
    "parquet": (b"PAR1" + bytes(range(256)), "Parquet"),
    "UTF-16": (LINE.encode("utf-16"), "UTF-16 or UTF-32: save it as UTF-8"),
    "UTF-16 without a mark": (LINE.encode("utf-16-be"), "UTF-16 or UTF-32: save it as UTF-8"),
    "array": (ARRAY.encode(), "JSON array: write its objects one per line"),
    "indented array": (json.dumps(json.loads(ARRAY), indent=2).encode(), "JSON array"),
    "indented object": (json.dumps({"text": "a"}, indent=2).encode(), "over several lines"),
    "old Mac": (f"{LINE}\r{LINE}\r".encode(), "line feed"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "another encoding": (LINE.encode("gbk"), "this is not UTF-8"),
    "another key": (b'{"Text": "a"}\n' * 3, 'the key "text" is missing'),
}


def test_a_file_that_is_none(tokenizer, tmp_path):
    """Each is named for what it is, and skipping lines is not advised where none would be left."""
    for name, (content, _) in NO_FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    reasons = {name: what for name, (_, what) in NO_FILES.items()}
    reasons |= {"none": "there is no such file", "folder": "a folder", "pipe": "a pipe"}
    reasons["loop"] = "a broken symbolic link"
    for name, what in reasons.items():
        with pytest.raises(DataError) as refused:
            PretrainDataset(tmp_path / name, tokenizer, 64, cache_dir=tmp_path / "cache")
        message = str(refused.value)
        assert message.startswith(f"{tmp_path / name}:") and what in message and "--skip_bad_lines" not in message


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"answers": "Paris"}, '"answers" must be a list of texts'),
        ({"answers": ["Paris", 3]}, "must be a string"),
        ({"answers": ["。"]}, "no letter or number to compare"),
        ({"answers": []}, '"answers" is missing or empty'),
        ({"category": ["a"]}, '"category" must be a string'),
        ({"messages": [{"role": "user", "content": "a\ud800"}]}, "lone surrogate"),
    ],
)
def test_a_held_out_question_that_is_none(tmp_path, wrong, what):
    good = {"category": "a", "messages": [{"role": "user", "content": "?"}], "answers": ["Paris"]}
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(question) + "\n" for question in (good, good | wrong)), "utf-8")
    with pytest.raises(DataError) as refused:
        read_heldout(path)
    assert str(refused.value).startswith(f"{path}:2: ") and what in str(refused.value)


@pytest.mark.parametrize("kind", [PretrainDataset, SFTDataset])
@pytest.mark.parametrize(("content", "skip"), [(b"\n \n", False), (b"{}\n[]\n", True)], ids=["blank", "all skipped"])
def test_a_file_in_which_nothing_is_left(tokenizer, tmp_path, kind, content, skip):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match="a.jsonl: it has no usable line"):
        kind(path, tokenizer, 64, cache_dir=tmp_path / "cache", skip_bad_lines=skip)
