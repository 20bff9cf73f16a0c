"""Weight files: what is written comes back, and what does not belong together, or is no weight, is refused."""

import hashlib
import json
import os
import pickle
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from model.files import file_hash, write_atomically
from model.weights import WeightError, find_weight, load_weights, save_weights, tokenizer_hash, weight_name

SIZES = {"hidden_size": 32, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 8, "num_key_value_heads": 2}  # what the sizes alone imply


@pytest.fixture(scope="module")
def network(make_model, tokenizer):
    """A function that makes a small network for the shipped vocabulary."""

    def make(seed: int = 0, **config):
        shape = SIZES | HEADS | {"vocab_size": len(tokenizer), "max_position_embeddings": 32768}
        return make_model(seed, **shape | config)

    return make


@pytest.fixture
def weight(network, tokenizer, tmp_path) -> Path:
    path = tmp_path / "full_sft_32.pth"
    save_weights(network(), path, tokenizer, stage="full_sft", step=7)
    return path


def refusal(path: Path, *args, **kwargs) -> str:
    """The one sentence with which loading `path` is refused; it names the file."""
    with pytest.raises(WeightError) as refused:
        load_weights(path, *args, **kwargs)
    message = str(refused.value)
    assert str(path) in message or str(path.with_suffix(".json")) in message
    assert "\n" not in message
    return message


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("config", [{}, {"use_moe": True}, {"tie_word_embeddings": False}, {"rope_theta": 1e4}])
def test_what_is_saved_comes_back(network, tokenizer, tmp_path, config):
    model, path = network(**config), tmp_path / "a" / "new" / "folder" / "w_32.pth"
    save_weights(model, path, tokenizer, stage="pretrain", step=12, validation={"val_loss": 1.5})
    back, info = load_weights(path, tokenizer)
    assert (info["stage"], info["step"], info["validation"]) == ("pretrain", 12, {"val_loss": 1.5})
    model.load_state_dict({name: value.half() for name, value in model.state_dict().items()})
    for (name, before), after in zip(model.state_dict().items(), back.state_dict().values(), strict=True):
        assert after.dtype == torch.float32 and torch.equal(before, after), name
    ids = torch.arange(3, 23)[None]
    assert torch.equal(back.eval()(ids).logits, model(ids).logits)
    assert (back.lm_head.weight is back.model.embed_tokens.weight) == back.config.tie_word_embeddings


def test_on_disk_it_is_half_precision_and_holds_tied_tensors_once(weight, network):
    state = torch.load(weight, weights_only=True)
    assert type(state) is dict and state.keys() == network().state_dict().keys()
    assert {value.dtype for value in state.values()} == {torch.float16}
    parameters = sum(parameter.numel() for parameter in network().parameters())
    assert 2 * parameters < weight.stat().st_size < 2 * parameters + 1000 * len(state)


def test_the_json_beside_says_what_the_weight_cannot(weight, tokenizer):
    info = json.loads(weight.with_suffix(".json").read_text("utf-8"))
    assert (info["format"], info["stage"], info["step"]) == (1, "full_sft", 7)
    assert info["sha256"] == hashlib.sha256(weight.read_bytes()).hexdigest() == file_hash(weight)
    assert info["tokenizer_hash"] == tokenizer_hash(tokenizer)
    expected = SIZES | HEADS | {"vocab_size": 6400, "use_moe": False, "rope_theta": 1e6, "model_type": "minimind"}
    assert expected.items() <= info["config"].items()
    assert sorted(path.name for path in weight.parent.iterdir()) == ["full_sft_32.json", "full_sft_32.pth"]


def test_a_weight_without_its_output_matrix_is_a_tied_one(weight, network):
    """Other programs leave the second copy of the embedding out."""
    state = torch.load(weight, weights_only=True)
    del state["lm_head.weight"]
    torch.save(state, weight)
    weight.with_suffix(".json").unlink()
    back, _ = load_weights(weight, sizes=SIZES)
    assert torch.equal(back.lm_head.weight, network().lm_head.weight.half().float())


# ---------------------------------------------------------------- what does not belong together


def test_pth_and_json_of_two_weights(weight, network, tokenizer):
    save_weights(network(seed=1), weight.with_name("other_32.pth"), tokenizer)
    shutil.copy(weight.with_name("other_32.json"), weight.with_suffix(".json"))
    assert "it is not the file that full_sft_32.json describes" in refusal(weight, tokenizer)


@pytest.mark.parametrize(
    ("asked", "flag"), [({"hidden_size": 64}, "hidden_size"), ({"num_hidden_layers": 4}, "num_hidden_layers")]
)
def test_other_sizes_than_the_json_says(weight, asked, flag):
    message = refusal(weight, sizes=SIZES | asked)
    assert f"its {flag} is" in message and f"--{flag}" in message


def test_a_mixture_asked_of_a_dense_weight(weight):
    assert "--use_moe" in refusal(weight, sizes={"use_moe": True})


@pytest.mark.parametrize(
    ("asked", "flag"),
    [
        ({"hidden_size": 64}, "--hidden_size"),
        ({"num_hidden_layers": 1}, "--num_hidden_layers"),
        ({"num_hidden_layers": 3}, "--num_hidden_layers"),
        ({"use_moe": True}, "--use_moe"),
    ],
)
def test_without_json_other_sizes_than_the_tensors(weight, tokenizer, asked, flag):
    weight.with_suffix(".json").unlink()
    message = refusal(weight, tokenizer, sizes=SIZES | asked)
    assert "tensor model." in message and flag in message


@pytest.mark.parametrize("given", [{}, {"hidden_size": 32}, {"num_hidden_layers": 2}, {"hidden_size": None}])
def test_without_json_the_sizes_must_be_given(weight, tokenizer, given):
    weight.with_suffix(".json").unlink()
    message = refusal(weight, tokenizer, sizes=given)
    assert "full_sft_32.json" in message and "--hidden_size" in message and "--num_hidden_layers" in message


def test_without_json_the_sizes_are_enough(weight, tokenizer, network):
    weight.with_suffix(".json").unlink()
    back, info = load_weights(weight, tokenizer, sizes=SIZES | {"use_moe": None})
    assert info == {}
    assert torch.equal(back.model.norm.weight, network().model.norm.weight.half().float())


def test_another_vocabulary_of_the_same_size(weight, tokenizer, other_vocabulary):
    swapped = AutoTokenizer.from_pretrained(other_vocabulary)
    assert len(swapped) == len(tokenizer) and tokenizer_hash(swapped) != tokenizer_hash(tokenizer)
    message = refusal(weight, swapped)
    assert "another vocabulary" in message and "--tokenizer" in message


def test_the_same_vocabulary_in_another_folder(weight, other_vocabulary, tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "copy")
    load_weights(weight, AutoTokenizer.from_pretrained(tmp_path / "copy"))


# ---------------------------------------------------------------- what is no weight


@pytest.mark.parametrize("json_beside", [True, False])
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file(weight, kept, json_beside):
    content = weight.read_bytes()
    weight.write_bytes(content[: int(kept * len(content))])
    if not json_beside:
        weight.with_suffix(".json").unlink()
    assert "truncated" in refusal(weight, sizes=SIZES)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "content",
    [b"hello", b'{"text": "a"}', b"<!DOCTYPE html>", b"\x00" * 100, b"\x80\x02R.", b"PK\x03\x04", pickle.dumps([1, 2])],
    ids=["text", "json", "html", "zeros", "broken pickle", "broken zip", "list"],
)
def test_a_file_of_another_kind(tmp_path, content):
    path = tmp_path / "w_32.pth"
    path.write_bytes(content)
    refusal(path, sizes=SIZES)


def test_a_training_state_and_no_file_at_all(tmp_path):
    torch.save({"step": 3, "model": {}}, tmp_path / "state.pth")
    assert "not a plain state dict" in refusal(tmp_path / "state.pth", sizes=SIZES)
    refusal(tmp_path / "nothing.pth", sizes=SIZES)
    (tmp_path / "folder.pth").mkdir()
    refusal(tmp_path / "folder.pth", sizes=SIZES)


class Trap:
    """Unpickled, it makes the file `path`."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("how", ["torch.save", "pickle", "torch.save, old format"])
@pytest.mark.parametrize("json_beside", [True, False])
def test_a_file_that_would_run_a_program_does_not(weight, how, json_beside):
    sprung = weight.with_name("sprung")
    state = {"model.norm.weight": Trap(sprung)}
    if how == "pickle":
        weight.write_bytes(pickle.dumps(state))
    else:
        torch.save(state, weight, _use_new_zipfile_serialization=how == "torch.save")
    if not json_beside:
        weight.with_suffix(".json").unlink()
    refusal(weight, sizes=SIZES)
    assert not sprung.exists()
    torch.load(weight, weights_only=False) if how != "pickle" else pickle.loads(weight.read_bytes())
    assert sprung.exists()  # the trap does work where nobody is careful


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"config": 3}', '{"config": {"hidden_size": "wide"}}', "\x00"])
def test_a_json_that_describes_no_weight(weight, text):
    weight.with_suffix(".json").write_text(text)
    assert "does not describe a weight" in refusal(weight)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": 10**15}, {"vocab_size": 10**15}, {"num_hidden_layers": 10**9}, {"intermediate_size": 10**12},
        {"use_moe": True, "n_routed_experts": 10**9}, {"hidden_size": 1e999}, {"num_hidden_layers": [2]},
        {"rope_theta": {}}, {"num_attention_heads": 10**30},
    ],
    ids=str,
)  # fmt: skip
def test_a_json_with_absurd_sizes(weight, change):
    """Refused before memory or time are spent on them."""
    info = json.loads(weight.with_suffix(".json").read_text("utf-8"))
    info["config"] |= change
    weight.with_suffix(".json").write_text(json.dumps(info))
    refusal(weight)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '{"sha256": "0", "config": ' + "[" * 100_000])
def test_a_json_that_is_nested_too_deeply(weight, text):
    weight.with_suffix(".json").write_text(text)
    assert "does not describe a weight" in refusal(weight)


@pytest.mark.parametrize("how", ["int8", "bool", "complex64", "float8_e4m3fn", "sparse", "meta"])
def test_a_weight_that_is_quantised_or_packed(weight, how):
    def packed(tensor):
        if how in ("sparse", "meta"):
            return tensor.to_sparse() if how == "sparse" else tensor.to("meta")
        return tensor.to(getattr(torch, how))

    state = {key: packed(tensor) for key, tensor in torch.load(weight, weights_only=True).items()}
    weight.with_suffix(".json").unlink()
    torch.save(state, weight)
    assert "that is not quantised or packed" in refusal(weight)


def test_a_json_that_is_not_utf8(weight):
    weight.with_suffix(".json").write_bytes(b'{"config": "\xff"}')
    assert "does not describe a weight" in refusal(weight)


# ---------------------------------------------------------------- finding


@pytest.fixture
def shelf(tmp_path) -> Path:
    """A folder of weights, the later in the list the newer."""
    names = ("full_sft_512", "full_sft_640_moe", "full_sft_192", "full_sft_192_moe", "pretrain_768", "my_full_sft_64")
    for age, name in enumerate(names):
        (tmp_path / f"{name}.pth").touch()
        os.utime(tmp_path / f"{name}.pth", ns=(0, 10**18 + age))
    return tmp_path


@pytest.mark.parametrize(
    ("hidden_size", "use_moe", "found"),
    [
        (None, None, "full_sft_192_moe"),
        (None, False, "full_sft_192"),
        (640, None, "full_sft_640_moe"),
        (192, False, "full_sft_192"),
        (512, None, "full_sft_512"),
    ],
)
def test_a_stage_means_its_newest_weight_of_the_sizes_given(shelf, hidden_size, use_moe, found):
    assert find_weight("full_sft", shelf, hidden_size, use_moe) == shelf / f"{found}.pth"


@pytest.mark.parametrize("asked", [("full_sft", 512, True), ("full_sft", 64, None), ("rlhf", None, None), ("sft",)])
def test_when_none_fits_what_is_there_is_listed(shelf, asked):
    with pytest.raises(WeightError, match=f"there is no {asked[0]}_") as refused:
        find_weight(asked[0], shelf, *asked[1:])
    for path in shelf.iterdir():
        assert path.name in str(refused.value)
    with pytest.raises(WeightError, match="no weight at all"):
        find_weight(asked[0], shelf / "empty", *asked[1:])


def test_a_path_means_itself(shelf, monkeypatch):
    monkeypatch.chdir(shelf)
    assert find_weight("pretrain_768.pth", "/elsewhere") == shelf / "pretrain_768.pth"
    assert find_weight(str(shelf / "x.pth"), "/elsewhere") == shelf / "x.pth"


def test_names():
    assert weight_name("full_sft", 512, False) == "full_sft_512"
    assert weight_name("pretrain", 640, True) == "pretrain_640_moe"


# ---------------------------------------------------------------- whole or not at all


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("half of the n")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        write_atomically(path, write)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    write_atomically(path, lambda temporary: temporary.write_text("new"))
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_what_killed_writers_left_is_cleared_and_what_others_are_writing_is_not(tmp_path):
    path, ended = tmp_path / "file", subprocess.Popen(["true"])
    ended.wait()
    dead, alive = (tmp_path / f".file.{pid}.tmp" for pid in (ended.pid, os.getppid()))
    other = tmp_path / f".file.json.{ended.pid}.tmp"
    for left in (dead, alive, other):
        left.touch()
    write_atomically(path, lambda temporary: temporary.write_text("new"))
    assert set(tmp_path.iterdir()) == {path, alive, other}


def test_equal_weights_are_equal_bytes_under_any_name(weight, network, tokenizer, tmp_path):
    other = tmp_path / "b" / "another_name_32.pth"
    save_weights(network(), other, tokenizer)
    assert other.read_bytes() == weight.read_bytes()


def test_a_full_disk_leaves_the_old_weight_usable(weight, network, tokenizer):
    """A limit on the size of files stands for the disk."""
    before = {path.name: path.read_bytes() for path in weight.parent.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="it cannot be written.*what was saved before is intact"):
            save_weights(network(seed=1), weight, tokenizer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in weight.parent.iterdir()} == before
    load_weights(weight, tokenizer)
