"""Train a vocabulary: text in, `tokenizer.json` and `tokenizer_config.json` out.

    python scripts/train_tokenizer.py                                    # the sample's text, into out/tokenizer
    python scripts/train_tokenizer.py --data_path a.jsonl b.txt --eval_path c.jsonl --output_dir out/mine

Byte-level BPE (Sennrich et al. 2016, arXiv:1508.07909; on bytes: Radford et al. 2019): text is cut into words, a word
is its UTF-8 bytes, and the most frequent neighbours are merged until the vocabulary is full. Every byte is an entry,
so there is no text that it cannot write. Prints how well it compresses, and proves that decoding undoes encoding.

A model only understands the vocabulary it was trained with: the one in model/ stays as it is unless you name that
folder and pass --overwrite. That one was made with

    --data_path real_pretrain.jsonl P P P --character_path P S      # P, S: pretrain.jsonl and sft.jsonl of the sample

where real_pretrain.jsonl is 19 MB of free Chinese and English text. S is not trained on: its many questions in few
forms weld a tenth of the words of its facts to their neighbours, against a fortieth without it.
"""

import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # tests import this file too

from dataset.chat import BOS, CHAT_TEMPLATE, EOS, PAD, ROLES, SPECIAL_TOKENS, check_messages, encode_texts  # noqa: E402
from dataset.jsonl import check_file, check_text, read_records  # noqa: E402
from trainer.command_line import flag, parse_options, run  # noqa: E402
from trainer.process import handled  # noqa: E402

# Words as Qwen2 cuts them (llama.cpp knows the pattern by that name): every digit alone, so that a number has one
# spelling and its columns can be added; a space belongs to the word that follows it.
WORD_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Chinese has no spaces, so a "word" may be a whole clause, and merging by frequency alone welds phrases across the
# words in it (法|国的首都). The library makes entries of less than this many bytes: at most three Chinese characters.
TOKEN_BYTES = 10
# With an end to every repetition: training takes the square of a word's length, and text without spaces is one word.
TRAINING_PATTERN = WORD_PATTERN.replace("+", "{1,256}").replace("*", "{0,256}")
SMALLEST_VOCAB = len(SPECIAL_TOKENS) + 256
MODEL_MAX_LENGTH = 32_768
SAMPLE_TEXTS, SAMPLE_CHARACTERS = 4_000, 4_000  # of the training text, kept to measure on
_CONTROL_PATTERN = re.compile("|".join(map(re.escape, SPECIAL_TOKENS)))


class InputError(ValueError):
    """Something that the user gave and has to change; the message is one sentence."""


@dataclass
class TokenizerOptions:
    data_path: list[str] = flag(
        [str(ROOT / "dataset/sample" / name) for name in ("pretrain.jsonl", "sft.jsonl")],
        'training text: JSONL with "text", "conversations" or "chosen"/"rejected", or plain .txt; '
        "a file that is named twice counts twice",
    )
    character_path: list[str] = flag(
        [], "text whose every character becomes an entry, however rare, so that none is spelled from bytes"
    )
    eval_path: list[str] = flag([], "text, not trained on, to measure the compression with")
    output_dir: str = flag(str(ROOT / "out/tokenizer"), "folder for tokenizer.json and tokenizer_config.json")
    overwrite: bool = flag(False, "replace a tokenizer that is already in that folder")
    vocab_size: int = flag(6400, f"entries, with {len(SPECIAL_TOKENS)} control tokens and the 256 bytes",
                           least=SMALLEST_VOCAB, most=10_000_000)  # fmt: skip


# ---------------------------------------------------------------- reading

def texts_of(record: dict) -> list[str]:
    """The texts of one JSON record; of a conversation also the role lines, as the chat renderer writes them."""
    if "text" in record:
        check_text(record["text"], '"text"')
        return [record["text"]]
    conversations = [record[key] for key in ("conversations", "chosen", "rejected") if key in record]
    if not conversations:
        raise ValueError('there is no "text", "conversations" or "chosen"/"rejected" in it')
    for messages in conversations:
        check_messages(messages)
    texts = [text for messages in conversations for m in messages for text in (m["role"] + "\n", m["content"])]
    if texts:
        check_text("".join(texts), "a message")
    return texts


def read_plain(path: str) -> Iterator[list[str]]:
    """A text file, 64 KiB of lines at a time."""
    number = 1
    with open(check_file(path, {}), "rb") as file:
        while raw := b"".join(file.readlines(1 << 16)):
            try:
                yield [raw.decode("utf-8-sig" if number == 1 else "utf-8")]
            except UnicodeDecodeError as error:
                number += raw[: error.start].count(b"\n")
                raise InputError(f"{path}:{number}: this is not UTF-8: correct the line") from None
            number += raw.count(b"\n")


def read_texts(path: str) -> Iterator[str]:
    """Every text of a file; ValueError: `file:line: what: what to do`."""
    found = False
    for texts in read_plain(path) if path.endswith(".txt") else read_records(path, texts_of):
        found = found or any(text.strip() for text in texts)
        yield from texts
    if not found:
        raise InputError(f"{path}: there is no text in it: give another file")


def read_characters(paths: Iterable[str], vocab_size: int) -> list[str]:
    """Every character of the files that is more than a byte; InputError if they fill over half of the merges."""
    found = sorted({c for path in paths for text in read_texts(path) for c in text if not c.isascii()})
    if len(found) > (vocab_size - SMALLEST_VOCAB) // 2:
        raise InputError(f"--character_path: {len(found)} characters leave no room for words: raise --vocab_size")
    return found


def read_corpus(
    paths: Iterable[str], vocab_size: int, whole: list[str], sample: list[str]
) -> Iterator[str | list[str]]:
    """The texts of all files without control strings, then what shall be `whole`, as often as that needs.

    Fills `sample` with some of the texts, evenly drawn.
    """
    draw, seen, size = random.Random(0), 0, 0
    for path in paths:
        for text in read_texts(path):
            seen, size = seen + 1, size + len(text)
            if len(sample) < SAMPLE_TEXTS:
                sample.append(text[:SAMPLE_CHARACTERS])
            elif (place := draw.randrange(seen)) < SAMPLE_TEXTS:
                sample[place] = text[:SAMPLE_CHARACTERS]
            yield from _CONTROL_PATTERN.split(text)
    for word in whole:
        yield [word] * max(1000, size // (2 * vocab_size))  # some three times as often as the last merge occurs


# ---------------------------------------------------------------- training and writing


def train(texts: Iterable[str | list[str]], vocab_size: int):
    """A tokenizers.Tokenizer: byte-level BPE of at most `vocab_size` entries, first the control tokens, then the bytes,
    then merges in order of frequency."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    def pre_tokenizer(pattern: str):
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), to_bytes])

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer(TRAINING_PATTERN)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        max_token_length=TOKEN_BYTES,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=sys.stderr.isatty(),
    )
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
    with handled(numbers, signal.SIG_DFL):  # the library is no Python, in which a handler could run
        tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = pre_tokenizer(WORD_PATTERN)
    return tokenizer


def write(tokenizer, folder: Path) -> None:
    """The two files that `AutoTokenizer.from_pretrained(folder)` reads."""
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # known to transformers 4 and 5
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "unk_token": PAD,
        "model_max_length": MODEL_MAX_LENGTH,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True) + "\n", "utf-8")


# ---------------------------------------------------------------- measuring


def encoded(tokenizer, texts: Iterable[str]) -> Iterator[tuple[str, list[int]]]:
    texts = iter(texts)
    while some := list(islice(texts, 256)):
        yield from zip(some, encode_texts(tokenizer, some), strict=True)


def bytes_per_token(tokenizer, texts: Iterable[str]) -> float:
    sizes = [(len(text.encode()), len(ids)) for text, ids in encoded(tokenizer, texts)]
    return sum(size for size, _ in sizes) / sum(tokens for _, tokens in sizes)


def tokens_per_unit(tokenizer, texts: Iterable[str], pattern: str, unit: str) -> float | None:
    """Tokens of everything `pattern` finds in the texts per match of `unit` there; None when there is nothing."""
    parts = [part for text in texts for part in re.findall(pattern, text)]
    units = sum(len(re.findall(unit, part)) for part in parts)
    return sum(len(ids) for _, ids in encoded(tokenizer, parts)) / units if units else None


def round_trip(tokenizer) -> tuple[int, str | None]:
    """Encode and decode every code point and random mixtures, control strings among them, as plain text.

    Returns the number of texts tried and the first that came back changed or gave a control token, None when none did.
    """
    points = [chr(point) for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF]
    texts = ["".join(points[start : start + 256]) for start in range(0, len(points), 256)]
    draw = random.Random(0)
    alphabets = [points, points[:128], points[0x4E00:0x9FA5], " \t\n\r\u3000\u0301\u200d", SPECIAL_TOKENS]
    texts += ["".join(draw.choice(draw.choice(alphabets)) for _ in range(draw.randrange(1, 64))) for _ in range(4000)]
    for text, ids in encoded(tokenizer, texts):
        if min(ids) < len(SPECIAL_TOKENS) or tokenizer.decode(ids) != text:
            return len(texts), text
    return len(texts), None


def report(tokenizer, sample: list[str], eval_path: list[str]) -> None:
    print(f"bytes per token: {bytes_per_token(tokenizer, sample):.3f} on a sample of the training text")
    for path in eval_path:
        print(f"bytes per token: {bytes_per_token(tokenizer, read_texts(path)):.3f} on {path}")
    if figure := tokens_per_unit(tokenizer, sample, "[\u4e00-\u9fff]+", "."):
        print(f"tokens per Chinese character: {figure:.3f}")
    if figure := tokens_per_unit(tokenizer, sample, "(?: [A-Za-z]+)+", " "):
        print(f"tokens per English word: {figure:.3f}")


# ---------------------------------------------------------------- the run


def make_tokenizer(options: TokenizerOptions) -> None:
    from transformers import AutoTokenizer

    from trainer.stage import check_out_dir

    folder = Path(options.output_dir)
    if (folder / "tokenizer.json").exists() and not options.overwrite:
        raise InputError(f"{folder}: there is a tokenizer already: give another --output_dir, or pass --overwrite")
    for path in options.data_path:
        next(read_texts(path))  # a missing or empty file ends the run before a folder is made
    for path in options.eval_path:
        for _ in read_texts(path):
            pass  # and so does a bad line here, not after the training
    characters = read_characters(options.character_path, options.vocab_size)
    check_out_dir(folder, "--output_dir")
    print(f"training {options.vocab_size:,} entries on {', '.join(options.data_path)}", flush=True)
    sample: list[str] = []
    start = time.perf_counter()
    corpus = read_corpus(options.data_path, options.vocab_size, [*ROLES, *characters], sample)
    trained = train(corpus, options.vocab_size)
    seconds = time.perf_counter() - start
    size = trained.get_vocab_size()
    if size < options.vocab_size:
        raise InputError(
            f"{', '.join(options.data_path)}: the text repeats too little for {options.vocab_size} entries: "
            f"give more text, or --vocab_size {size}"
        )
    if spelled := [character for character in characters if len(trained.encode(character).ids) > 1]:
        raise InputError(f"--character_path: no room for {' '.join(spelled[:9])}: raise --vocab_size")
    print(f"{size:,} entries after {seconds:.1f} s")
    try:
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as name:
            write(trained, Path(name))
            tokenizer = AutoTokenizer.from_pretrained(name)  # what users load is what is measured
            report(tokenizer, sample, options.eval_path)
            tried, failed = round_trip(tokenizer)
            if failed is not None:
                raise InputError(f"round trip: {failed!r} does not come back as it was: nothing is written")
            print(f"round trip: {tried:,} texts with every Unicode character come back as they were")
            for file in ("tokenizer_config.json", "tokenizer.json"):
                os.replace(Path(name, file), folder / file)
    except BrokenPipeError:  # of the screen's
        raise
    except OSError as error:
        what = error.strerror or error
        raise InputError(f"{folder}: {what}: make room there, or give another --output_dir") from None
    print(f"written: {folder / 'tokenizer.json'} and tokenizer_config.json")


def main() -> None:
    make_tokenizer(parse_options(TokenizerOptions, "Train a vocabulary."))


if __name__ == "__main__":
    run(main)
