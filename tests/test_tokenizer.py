"""The shipped vocabulary keeps every text and every control token, and the script that makes one says what is wrong."""

import json
import os
import random
import re
import signal
import time
from pathlib import Path

import pytest
from preloaded import Preloaded, run_preloaded
from transformers import AutoTokenizer
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from dataset.chat import BOS, EOS, PAD, SPECIAL_TOKENS, encode_texts
from dataset.chat_template import CHAT_TEMPLATE
from scripts import train_tokenizer
from scripts.train_tokenizer import TokenizerOptions, make_tokenizer
from trainer.command_line import parse_options
from trainer.loading import load_tokenizer

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "train_tokenizer.py"


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(ROOT / "model")


# ---------------------------------------------------------------- tokenizers of others


@pytest.fixture
def other(tmp_path):
    """The shipped tokenizer, changed, in a folder of its own."""

    def other(change=lambda backend, config: None) -> str:
        names = ("tokenizer.json", "tokenizer_config.json")
        parts = [json.loads((ROOT / "model" / name).read_text("utf-8")) for name in names]
        change(*parts)
        for name, part in zip(names, parts, strict=True):
            (tmp_path / name).write_text(json.dumps(part), "utf-8")
        return str(tmp_path)

    return other


@pytest.mark.parametrize("missing", [["bos_token"], ["eos_token"], ["bos_token", "eos_token", "pad_token"]])
def test_a_tokenizer_without_marks_is_refused_by_name(other, missing):
    folder = other(lambda backend, config: [config.pop(name) for name in missing])
    with pytest.raises(ValueError, match=f"^{re.escape(folder)}: .*{' and no '.join(missing[:2])}.*_config.json"):
        load_tokenizer(folder)
    (Path(folder) / "tokenizer_config.json").unlink()
    with pytest.raises(ValueError, match="no bos_token and no eos_token"):
        load_tokenizer(folder)


def test_a_tokenizer_with_gaps_is_refused(other):
    folder = other(lambda backend, config: backend["model"]["vocab"].update(far=7000))
    with pytest.raises(ValueError, match=rf"^{re.escape(folder)}: its 6,401 entries .* \('far' is 7,000\)"):
        load_tokenizer(folder)


def test_padding_and_cutting_of_other_programs_are_not_taken_over(other, tokenizer):
    def change(backend, config):
        padding = {"strategy": {"Fixed": 32}, "direction": "Right", "pad_to_multiple_of": None}
        backend["padding"] = padding | {"pad_id": 0, "pad_type_id": 0, "pad_token": PAD}
        backend["truncation"] = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}

    theirs, texts = load_tokenizer(other(change)), ["短", "白日依山尽，黄河入海流。" * 9]
    assert encode_texts(theirs, texts) == encode_texts(tokenizer, texts)
    theirs = load_tokenizer(other(lambda backend, config: config.pop("pad_token")))
    assert theirs.pad_token_id == theirs.eos_token_id == 2


# ---------------------------------------------------------------- the shipped vocabulary


def test_entries_and_named_tokens(tokenizer):
    assert tokenizer.is_fast
    assert len(tokenizer) == tokenizer.vocab_size == 6400
    assert sorted(tokenizer.get_vocab().values()) == list(range(6400))
    assert (tokenizer.pad_token, tokenizer.unk_token) == (PAD, PAD) == ("<|endoftext|>", "<|endoftext|>")
    assert (tokenizer.bos_token, tokenizer.eos_token) == (BOS, EOS) == ("<|im_start|>", "<|im_end|>")
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert tokenizer.model_max_length == 32_768
    assert tokenizer.clean_up_tokenization_spaces is False


def test_every_control_token_is_one_id_in_the_listed_order(tokenizer):
    for number, token in enumerate(SPECIAL_TOKENS):
        assert tokenizer.convert_tokens_to_ids(token) == number
        assert tokenizer(f"你好{token}hello", add_special_tokens=False)["input_ids"].count(number) == 1
        assert tokenizer.decode([number]) == token


def test_nothing_is_added_to_a_text(tokenizer):
    assert tokenizer("")["input_ids"] == []
    assert tokenizer("你好")["input_ids"] == tokenizer("你好", add_special_tokens=False)["input_ids"]


def test_words_are_cut_as_qwen2_cuts_them_and_no_normaliser_changes_the_text():
    backend = json.loads((ROOT / "model/tokenizer.json").read_text("utf-8"))
    split, byte_level = backend["pre_tokenizer"]["pretokenizers"]
    assert split["pattern"]["Regex"] == PRETOKENIZE_REGEX
    assert split["behavior"] == "Isolated"
    assert (byte_level["add_prefix_space"], byte_level["use_regex"]) == (False, False)
    assert backend["normalizer"] is None


def test_every_digit_stands_alone(tokenizer):
    parts = [tokenizer.decode([i]) for i in tokenizer("2024-10-31 3.14 九12月")["input_ids"]]
    assert [part for part in parts if re.search(r"\d", part)] == list("2024103131412")
    entries = [tokenizer.decode([i]) for i in range(len(SPECIAL_TOKENS), 6400)]
    assert {entry for entry in entries if re.search("[0-9]", entry)} == set("0123456789")


def test_decode_undoes_encode_on_every_code_point(tokenizer):
    points = [chr(point) for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF]
    blocks = ["".join(points[start : start + 512]) for start in range(0, len(points), 512)]
    assert sum(map(len, blocks)) == 1_112_064
    for block, ids in zip(blocks, encode_texts(tokenizer, blocks), strict=True):
        assert tokenizer.decode(ids) == block
        assert tokenizer.decode(tokenizer(block)["input_ids"]) == block


def test_decode_undoes_encode_on_random_mixtures(tokenizer):
    draw = random.Random(2)
    pieces = list(
        "aZ0中龘한ไß٣½🙂!\n\t\0\x7f\x85\u3000\ufeff\u200d\u202e\u212b\ufb01\u0301"
    )  # some change under NFC, NFKC
    pieces += [" ", "  ", "\r\n", " ,", ". ", "'s", "e\u0301", "👩\u200d👧", *SPECIAL_TOKENS]
    texts = ["".join(draw.choices(pieces, k=draw.randrange(1, 40))) for _ in range(2000)]
    for text, ids in zip(texts, encode_texts(tokenizer, texts), strict=True):
        assert tokenizer.decode(ids) == text
        assert min(ids) >= len(SPECIAL_TOKENS)
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_control_strings_that_a_user_writes_are_text(tokenizer):
    for token in SPECIAL_TOKENS:
        for text in (token, f"a{token}b", f" {token}\n", token * 3, f"<{token}>", token[:-1] + token):
            ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
            assert min(ids) >= len(SPECIAL_TOKENS)
            assert tokenizer.decode(ids) == text
            assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer(EOS)["input_ids"] == [2]  # the switch lasts for one call


def test_the_sample_is_not_spelled_from_bytes(tokenizer):
    with open(ROOT / "dataset/sample/pretrain.jsonl", encoding="utf-8") as lines:
        text = "".join(json.loads(line)["text"] for line in lines)
    ids = encode_texts(tokenizer, [*set(text)])
    spelled = {character for character, parts in zip(set(text), ids, strict=True) if len(parts) > 1}
    assert sum(map(text.count, spelled)) <= len(text) / 1000, spelled


# ---------------------------------------------------------------- the script


def test_defaults_do_not_depend_on_the_working_directory_and_spare_the_shipped_files():
    options = parse_options(TokenizerOptions, "", [])
    assert options.data_path == [str(ROOT / "dataset/sample" / name) for name in ("pretrain.jsonl", "sft.jsonl")]
    assert options.output_dir == str(ROOT / "out/tokenizer")
    assert options.vocab_size == 6400
    assert options.overwrite is False


def run_script(*arguments, cwd):
    return run_preloaded(SCRIPT, *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A folder with a small corpus of every accepted kind."""
    folder = tmp_path_factory.mktemp("texts")
    draw = random.Random(0)
    words = ["天空", "大海", "你好", "我们", "学习", " river", " mountain", " learning", " the", "，", "。", "\n", "12"]

    def text():
        return "".join(draw.choices(words, k=30))

    def turns():
        return [{"role": "user", "content": text()}, {"role": "assistant", "content": text()}]

    def write(name, records):
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
        (folder / name).write_text("".join(lines), "utf-8")

    write("text.jsonl", [{"text": text()} for _ in range(50)])
    write("chat.jsonl", [{"conversations": turns()} for _ in range(20)])
    write("pairs.jsonl", [{"chosen": turns(), "rejected": turns()} for _ in range(20)])
    write("rare.jsonl", [{"text": "氢氦, 锂"}])
    return folder


@pytest.fixture(scope="module")
def trained(texts):
    """The script's run on that corpus, with paths relative to the folder it is called from."""
    files = ["text.jsonl", "chat.jsonl", "pairs.jsonl"]
    arguments = ["--data_path", *files, "--vocab_size", 320, "--output_dir", "new"]
    arguments += ["--character_path", "rare.jsonl"]
    return run_script(*arguments, cwd=texts)


def test_script_trains_a_vocabulary_that_loads(texts, trained):
    assert trained.returncode == 0, trained.stderr
    assert "320 entries" in trained.stdout
    assert sorted(path.name for path in (texts / "new").iterdir()) == ["tokenizer.json", "tokenizer_config.json"]
    tokenizer = AutoTokenizer.from_pretrained(texts / "new")
    assert len(tokenizer) == 320
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == list(range(len(SPECIAL_TOKENS)))
    assert len(tokenizer("天空大海")["input_ids"]) < 12
    for whole in ("氢", "氦", "锂", "user", "assistant"):
        assert len(tokenizer(whole)["input_ids"]) == 1
    assert len(tokenizer("铍")["input_ids"]) == 3


def test_same_text_gives_the_same_files_and_overwrite_must_be_said(texts, trained):
    before = {path.name: path.read_bytes() for path in (texts / "new").iterdir()}
    arguments = ["--data_path", *(texts / name for name in ("text.jsonl", "chat.jsonl", "pairs.jsonl"))]
    arguments += ["--vocab_size", 320, "--output_dir", texts / "new", "--character_path", texts / "rare.jsonl"]
    refused = run_script(*arguments, cwd="/")
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert "--overwrite" in refused.stderr
    assert refused.stdout == ""
    (texts / "new" / "tokenizer.json").write_text("{}")
    again = run_script(*arguments, "--overwrite", cwd="/")
    assert again.returncode == 0, again.stderr
    assert {path.name: path.read_bytes() for path in (texts / "new").iterdir()} == before


def test_text_without_spaces_takes_no_longer_and_gives_the_same_words():
    """A megabyte of letters, of signs and of blanks: as one word it would take hours."""
    draw = random.Random(0)
    runs = ["".join(draw.choices(alphabet, k=1 << 20)) for alphabet in ("abcdefgh", "=*#-", " \t\n")]
    tokenizer = train_tokenizer.train(["".join(runs), *(["low lower lowest"] * 50_000)], 400)
    assert tokenizer.get_vocab_size() == 400 and len(tokenizer.encode("lowest").ids) < 6
    split = json.loads(tokenizer.to_str())["pre_tokenizer"]["pretokenizers"][0]
    assert split["pattern"]["Regex"] == train_tokenizer.WORD_PATTERN


def test_ctrl_c_ends_the_training_and_leaves_nothing(tmp_path):
    letters = bytes(97 + byte % 26 for byte in range(256))
    with open(tmp_path / "a.jsonl", "wb") as file:
        for _ in range(32):
            file.write(b'{"text": "' + os.urandom(1 << 20).translate(letters) + b'"}\n')
    flags = ("--data_path", tmp_path / "a.jsonl", "--output_dir", tmp_path / "out", "--vocab_size", 20_000)
    run = Preloaded(SCRIPT, *flags)
    while "training" not in run.printed("out"):
        assert run.join(0.1) is None
    time.sleep(3)  # the text is read, the library at work
    run.send_signal(signal.SIGINT)
    ended = run.join(60)
    assert ended and ended.returncode in (-signal.SIGINT, 128 + signal.SIGINT) and "Traceback" not in ended.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_script_reports_a_bad_line_in_one_sentence(texts):
    (texts / "bad.jsonl").write_text('{"text": "a a a"}\n\n{"text": "a", }\n')
    ended = run_script("--data_path", "bad.jsonl", "--output_dir", "out_bad", cwd=texts)
    assert ended.returncode == 1
    assert re.fullmatch(r"error: .*bad\.jsonl:3: this is not valid JSON.*: correct the line\n", ended.stderr)
    assert list((texts / "out_bad").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vocabsize", "300"], "did you mean --vocab_size"),
        (["--vocab_size", "271"], "at least 272"),
        (["--vocab_size", "1000000000000"], "must be at most"),  # for which the library asks for memory at once
        (["--vocab_size", "many"], "--vocab_size"),
        (["--overwrite", "maybe"], "--overwrite"),
        (["--over"], "unknown flag --over"),
        (["more.jsonl"], "unknown flag more.jsonl"),
    ],
)
def test_usage_errors_exit_with_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        parse_options(TokenizerOptions, "", arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "there is no text in it"),
        (b'{"text": "ok"}\n[1]\n', ":2: a line must be a JSON object, not list"),
        (b'{"text": "ok"}\n{"txt": "a"}\n', ':2: there is no "text", "conversations" or "chosen"/"rejected"'),
        (b'{"text": 3}\n', ':1: "text" must be a string, not int'),
        (b'{"text": " "}\n', ':1: "text" is empty'),
        (b'{"text": "\xff"}\n', ":1: this is not UTF-8"),
        (b'{"text": "\\ud800"}\n', ':1: "text" contains half a character'),
        (b'{"conversations": [{"role": "user"}]}\n', ":1: message 1 must look like"),
        (b'{"chosen": [{"role": "bot", "content": "a"}]}\n', ":1: message 1 has role 'bot'"),
        (b"[" * 100_000, ":1: this JSON is nested too deeply"),
    ],
)
def test_bad_files_are_named_with_their_line(content, message, tmp_path):
    (tmp_path / "data.jsonl").write_bytes(content)
    options = TokenizerOptions(data_path=[str(tmp_path / "data.jsonl")], output_dir=str(tmp_path / "out"))
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'data.jsonl'}")) as error:
        make_tokenizer(options)
    assert message in str(error.value)
    assert not (tmp_path / "out" / "tokenizer.json").exists()


def test_places_that_cannot_be_used_and_too_little_text(texts, tmp_path):
    def run(**changes):
        make_tokenizer(TokenizerOptions(**{"data_path": [str(texts / "text.jsonl")], **changes}))

    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="no such file"):
        run(data_path=[str(tmp_path / "none.jsonl")], output_dir=str(tmp_path / "out"))
    with pytest.raises(ValueError, match="a folder"):
        run(data_path=[str(tmp_path)], output_dir=str(tmp_path / "out"))
    with pytest.raises(ValueError, match="no such file"):
        run(character_path=[str(tmp_path / "none.jsonl")], output_dir=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="no room for"):
        run(character_path=[str(texts / "text.jsonl")], vocab_size=291, output_dir=str(tmp_path / "out"))
    with pytest.raises(ValueError, match="file/out: .* pass another --output_dir"):
        run(output_dir=str(tmp_path / "file" / "out"))
    with pytest.raises(ValueError, match=r"give more text, or --vocab_size \d+"):
        run(output_dir=str(tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []
