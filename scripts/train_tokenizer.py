"""Train a vocabulary: text in, `tokenizer.json` and `tokenizer_config.json` out.

    python scripts/train_tokenizer.py                                    # the sample's text, into out/tokenizer
    python scripts/train_tokenizer.py --data_path a.jsonl b.jsonl --output_dir out/mine

Byte-level BPE (Sennrich et al. 2016, arXiv:1508.07909; on bytes: Radford et al. 2019): text is split into words, a
word is its UTF-8 bytes, and the most frequent neighbours are merged until the vocabulary is full. Every byte has an
entry and nothing is normalised, so decoding inverts encoding.

A model only understands the vocabulary that it was trained with: the one in model/ is unchanged unless you name that
folder and pass --overwrite. It was made with

    --data_path real_pretrain.jsonl P P P --character_path P S      # P, S: pretrain.jsonl and sft.jsonl of the sample

where real_pretrain.jsonl is 19 MB of free Chinese and English text. S is not trained on: its many questions in few
forms merge a tenth of the words of its facts with their neighbours; without it, a fortieth.
"""

import re
import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests import this file too

from dataset.chat import BOS, EOS, PAD, ROLES, SPECIAL_TOKENS, check_messages  # noqa: E402
from dataset.chat_template import CHAT_TEMPLATE  # noqa: E402
from dataset.jsonl import check_text, read_records  # noqa: E402
from model.files import write_atomically, write_json  # noqa: E402
from trainer.command_line import ROOT, check_out_dir, flag, parse_options, run  # noqa: E402
from trainer.process import handled  # noqa: E402

# Qwen2's splitting pattern (which llama.cpp knows as "qwen2"): every digit alone, so that a number has one spelling and
# its columns can be added; a space belongs to the following word.
WORD_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Chinese has no spaces, so a "word" may be a whole clause, and merging by frequency alone joins phrases across words
# (法|国的首都). Entries are shorter than this many bytes: at most three Chinese characters.
TOKEN_BYTES = 10
# With bounded repetitions: training time is quadratic in a word's length, and text without spaces is one word.
TRAINING_PATTERN = WORD_PATTERN.replace("+", "{1,256}").replace("*", "{0,256}")
SMALLEST_VOCAB = len(SPECIAL_TOKENS) + 256
MODEL_MAX_LENGTH = 32_768
CONTROL_PATTERN = re.compile("|".join(map(re.escape, SPECIAL_TOKENS)))


@dataclass
class TokenizerOptions:
    data_path: list[str] = flag(
        [str(ROOT / "dataset/sample" / name) for name in ("pretrain.jsonl", "sft.jsonl")],
        'training text: JSONL with "text", "conversations" or "chosen"/"rejected"; a file named twice counts twice',
    )
    character_path: list[str] = flag(
        [], "text whose every character becomes an entry, however rare, so that none is split into bytes"
    )
    output_dir: str = flag(str(ROOT / "out/tokenizer"), "folder for tokenizer.json and tokenizer_config.json")
    overwrite: bool = flag(False, "replace a tokenizer in that folder")
    vocab_size: int = flag(6400, f"entries, with {len(SPECIAL_TOKENS)} control tokens and the 256 bytes",
                           least=SMALLEST_VOCAB, most=10_000_000)  # fmt: skip


def texts_of(record: dict) -> list[str]:
    """The texts of a JSON record; of a conversation also the role lines, as the chat renderer writes them."""
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


def read_texts(path: str) -> Iterator[str]:
    """Every text of a file; ValueError: `file:line: what is wrong: what to do`."""
    is_empty = True
    for texts in read_records(path, texts_of):
        is_empty = is_empty and not texts
        yield from texts
    if is_empty:
        raise ValueError(f"{path}: there is no text in it: give another file")


def read_corpus(paths: Iterable[str], vocab_size: int, entries: list[str]) -> Iterator[str | list[str]]:
    """The texts of all files without control strings, then what must become `entries`, often enough for that."""
    n_characters = 0
    for path in paths:
        for text in read_texts(path):
            n_characters += len(text)
            yield from CONTROL_PATTERN.split(text)
    for entry in entries:
        yield [entry] * max(1000, n_characters // (2 * vocab_size))  # about three times the last merge's frequency


def train(texts: Iterable[str | list[str]], vocab_size: int):
    """A tokenizers.Tokenizer of at most `vocab_size` entries: control tokens, bytes, then merges by frequency."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    def pre_tokenizer(pattern: str):
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), to_bytes])

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer(TRAINING_PATTERN)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=2, max_token_length=TOKEN_BYTES, special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=sys.stderr.isatty(),
    )  # fmt: skip
    signals = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
    with handled(signals, signal.SIG_DFL):  # Python's handlers cannot run inside the library
        tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = pre_tokenizer(WORD_PATTERN)
    return tokenizer


def write(tokenizer, folder: Path) -> None:
    """The two files that `AutoTokenizer.from_pretrained(folder)` reads."""
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # known to transformers 4 and 5
        "bos_token": BOS, "eos_token": EOS, "pad_token": PAD, "unk_token": PAD,
        "model_max_length": MODEL_MAX_LENGTH, "clean_up_tokenization_spaces": False, "chat_template": CHAT_TEMPLATE,
    }  # fmt: skip
    write_json(folder / "tokenizer_config.json", config)
    text = tokenizer.to_str(pretty=True) + "\n"
    write_atomically(folder / "tokenizer.json", lambda temporary: temporary.write_text(text, "utf-8"))


def make_tokenizer(options: TokenizerOptions) -> None:
    folder = Path(options.output_dir)
    if (folder / "tokenizer.json").exists() and not options.overwrite:
        raise ValueError(f"{folder}: there is a tokenizer already: give another --output_dir, or pass --overwrite")
    for path in options.data_path:
        next(read_texts(path))  # a missing or empty file ends the run before a folder is made
    texts = (text for path in options.character_path for text in read_texts(path))
    characters = sorted({c for text in texts for c in text if not c.isascii()})
    check_out_dir(folder, "--output_dir")
    print(f"training {options.vocab_size:,} entries on {', '.join(options.data_path)}", flush=True)
    corpus = read_corpus(options.data_path, options.vocab_size, [*ROLES, *characters])
    trained = train(corpus, options.vocab_size)
    n_entries = trained.get_vocab_size()
    if n_entries < options.vocab_size:
        raise ValueError(
            f"{', '.join(options.data_path)}: the text repeats too little for {options.vocab_size} entries: "
            f"give more text, or --vocab_size {n_entries}"
        )
    if split := [character for character in characters if len(trained.encode(character).ids) > 1]:
        raise ValueError(f"--character_path: no room for {' '.join(split[:9])}: raise --vocab_size")
    write(trained, folder)
    texts = list(islice(read_texts(options.data_path[0]), 10_000))
    n_tokens = sum(len(encoding.ids) for encoding in trained.encode_batch(texts, add_special_tokens=False))
    n_bytes = sum(len(text.encode()) for text in texts)
    print(f"compression: {n_bytes / n_tokens:.3f} bytes per token at the beginning of {options.data_path[0]}")
    print(f"written: {n_entries:,} entries, {folder / 'tokenizer.json'} and tokenizer_config.json")


if __name__ == "__main__":
    run(lambda: make_tokenizer(parse_options(TokenizerOptions, "Train a vocabulary.")))
