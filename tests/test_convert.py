"""Conversions: what goes out comes back bit for bit, other programs' classes compute the same, code in a folder never
runs, and what cannot be converted is refused in one sentence, with nothing left behind."""

import copy
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import gguf
import pytest
import torch
from preloaded import Preloaded, run_preloaded
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from dataset.chat import render
from dataset.chat_template import CHAT_TEMPLATES, template_name
from eval_model import EvalOptions
from model.formats.gguf_file import PRETOKENIZE_REGEX, pre_tokenizer_name, read_gguf, write_gguf
from model.formats.hf_folder import read_folder, write_stock
from model.model_lora import apply_lora, save_lora
from model.model_minimind import MiniMindForCausalLM
from model.weights import load_weights, save_weights
from scripts.convert_model import ConvertOptions, convert
from scripts.train_tokenizer import WORD_PATTERN
from trainer.command_line import UsageError

ROOT = Path(__file__).resolve().parents[1]
MOE = {"use_moe": True, "n_routed_experts": 4, "num_experts_per_tok": 2}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
NETWORKS = {
    "dense": {},
    "untied": {"tie_word_embeddings": False, "rope_theta": 1e4, "num_key_value_heads": 1},
    "qk_norm": {"qk_norm": True, "head_dim": 24, "rms_norm_eps": 1e-6, "intermediate_size": 160},
    "moe": MOE,
    "moe of two shared": MOE | {"n_shared_experts": 2, "num_experts_per_tok": 3},
    "moe of none shared": MOE | {"n_shared_experts": 0, "num_experts_per_tok": 1},
    "qk_norm moe": MOE | {"qk_norm": True, "n_shared_experts": 0, "num_experts_per_tok": 1, "seq_aux": False},
    "yarn": {"rope_scaling": YARN},
    "qk_norm, linear": {"qk_norm": True, "rope_scaling": {"rope_type": "linear", "factor": 3.0}},
    "qk_norm moe, as scored": MOE | {"qk_norm": True, "n_shared_experts": 0, "norm_topk_prob": False, "seq_aux": False},
}
IDS = torch.randint(6400, (2, 64), generator=torch.Generator().manual_seed(1))
PUBLISHED = {  # the fields of MiniMind2's own config.json
    "architectures": ["MiniMindForCausalLM"],
    "auto_map": {
        "AutoConfig": "model_minimind.MiniMindConfig", "AutoModelForCausalLM": "model_minimind.MiniMindForCausalLM",
    },
    "aux_loss_alpha": 0.1, "bos_token_id": 1, "dropout": 0.0, "eos_token_id": 2, "flash_attn": True,
    "hidden_act": "silu", "hidden_size": 64, "intermediate_size": 192, "max_position_embeddings": 32768,
    "model_type": "minimind", "n_routed_experts": 4, "n_shared_experts": 1, "norm_topk_prob": True,
    "num_attention_heads": 8, "num_experts_per_tok": 2, "num_hidden_layers": 2, "num_key_value_heads": 2,
    "rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "scoring_func": "softmax", "seq_aux": True,
    "torch_dtype": "float16", "transformers_version": "4.49.0", "use_moe": False, "vocab_size": 6400,
    "inference_rope_scaling": False, "rope_scaling": None,  # in later ones
}  # fmt: skip
SIZES_3 = {
    "num_key_value_heads": 4, "intermediate_size": 256, "rms_norm_eps": 1e-6, "qk_norm": True, "n_shared_experts": 0,
    "num_experts_per_tok": 1, "seq_aux": False, "aux_loss_alpha": 5e-4,
}  # fmt: skip
PUBLISHED_3 = {  # and of MiniMind-3's
    "architectures": ["MiniMindForCausalLM"], "bos_token_id": 1, "dropout": 0.0, "dtype": "float16",
    "eos_token_id": 2, "flash_attn": True, "head_dim": 8, "hidden_act": "silu", "hidden_size": 64,
    "inference_rope_scaling": False, "intermediate_size": 256, "max_position_embeddings": 32768,
    "model_type": "minimind", "moe_intermediate_size": 256, "norm_topk_prob": True, "num_attention_heads": 8,
    "num_experts": 4, "num_experts_per_tok": 1, "num_hidden_layers": 2, "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000.0, "router_aux_loss_coef": 5e-4,
    "tie_word_embeddings": True, "transformers_version": "4.57.6", "use_moe": False, "vocab_size": 6400,
}  # fmt: skip


@pytest.fixture(scope="module")
def network(make_model, tokenizer):
    """A function that makes a small network for the shipped vocabulary, its numbers exact in half precision."""

    def make(seed: int = 0, **config) -> MiniMindForCausalLM:
        model = make_model(seed, **{"vocab_size": len(tokenizer), "hidden_size": 64} | config)
        model.load_state_dict({key: value.half() for key, value in model.state_dict().items()})
        return model

    return make


@pytest.fixture
def weight(network, tokenizer, tmp_path):
    """A function that saves such a network as a `.pth`."""

    def save(**config) -> Path:
        path = tmp_path / f"full_sft_64{'_moe' if config.get('use_moe') else ''}.pth"
        save_weights(network(**config), path, tokenizer, stage="full_sft", step=7)
        return path

    return save


def run(weight: Path, to: str, output: Path, **options) -> Path:
    convert(ConvertOptions(weight=str(weight), to=to, output=str(output), **options))
    return output


def logits(model, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.inference_mode():
        return model.eval()(ids).logits


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize(
    ("to", "name"), [*product(["minimind"], ["untied", "moe", "qk_norm", "yarn"]), *product(["llama"], NETWORKS)]
)
def test_pth_to_folder_to_pth_is_the_same_to_the_bit(weight, tmp_path, to, name):
    path = weight(**NETWORKS[name])
    back = run(run(path, to, tmp_path / "folder"), "torch", tmp_path / "back.pth")
    before, after = torch.load(path, weights_only=True), torch.load(back, weights_only=True)
    assert before.keys() == after.keys()
    for key, value in before.items():
        assert after[key].dtype == value.dtype == torch.float16 and torch.equal(after[key], value), key
    old, new = (load_weights(file)[0].config.to_dict() for file in (path, back))
    assert {key: value for key, value in old.items() if key in new and old[key] != new[key]} == {}


@pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS)
def test_stock_classes_compute_the_same_logits(weight, network, tmp_path, config):
    folder = run(weight(**config), "llama", tmp_path / "stock")
    stock = AutoModelForCausalLM.from_pretrained(folder, dtype="float32", trust_remote_code=False)
    names = ("Llama", "GraniteMoeShared", "Qwen3", "Qwen3Moe")
    expected = names[("use_moe" in config) + 2 * ("qk_norm" in config)] + "ForCausalLM"
    assert type(stock).__name__ == expected and not list(folder.glob("*.py"))
    ours = logits(network(**config))
    assert ours.std() > 0.3
    torch.testing.assert_close(logits(stock), ours, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "outtype", "tolerance"),
    [
        ("dense", "q8_0", 0.1), ("yarn", "f32", 0), ("qk_norm, linear", "f32", 0), ("untied", "f16", 0),
        ("qk_norm", "f16", 0), ("qk_norm moe", "f32", 0),
        ("moe of two shared", "f32", 0), ("moe of none shared", "f16", 0),
    ],
)
def test_gguf_holds_the_whole_network(network, tokenizer, tmp_path, name, outtype, tolerance):
    model, path = network(**NETWORKS[name]), tmp_path / "w.gguf"
    write_gguf(model, tokenizer, path, outtype)
    ours, theirs = logits(model), logits(read_gguf(path))
    assert float((ours - theirs).norm() / ours.norm()) <= tolerance
    assert "FROM ./w.gguf\n" in path.with_suffix(".Modelfile").read_text()
    types = {tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors if len(tensor.shape) > 1}
    assert types <= {outtype.upper(), "F32"} and outtype.upper() in types


def test_gguf_holds_the_tokenizer(network, tokenizer, tmp_path):
    write_gguf(network(), tokenizer, tmp_path / "w.gguf", "f16")
    reader = gguf.GGUFReader(tmp_path / "w.gguf")

    def field(name: str):
        return reader.get_field(f"tokenizer.{name}").contents()

    assert field("ggml.tokens") == tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    assert (field("ggml.pre"), field("ggml.add_bos_token")) == ("qwen2", False)
    assert field("chat_template") == tokenizer.chat_template
    assert [field(f"ggml.{name}_token_id") for name in ("padding", "bos", "eos")] == [0, 1, 2]
    control, shown = tokenizer.convert_tokens_to_ids(["<|im_end|>", "</think>"])
    types = field("ggml.token_type")
    assert (types[control], types[shown]) == (gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED)


def test_a_folder_runs_by_its_own_code_without_this_repository(weight, network, tmp_path):
    path, folder = weight(**MOE), tmp_path / "out" / "MiniMind.1"  # transformers makes a module name of it
    done = run_preloaded("scripts/convert_model.py", "--weight", path, "--to", "minimind", "--output", folder)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "logits before and after differ by at most 0" in done.stdout and list(folder.parent.iterdir()) == [folder]
    program = f"""
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained({str(folder)!r}, trust_remote_code=True)
model = AutoModelForCausalLM.from_pretrained({str(folder)!r}, dtype="float32", trust_remote_code=True).eval()
ids = tokenizer.apply_chat_template([{{"role": "user", "content": "你好"}}], add_generation_prompt=True,
                                    return_tensors="pt", return_dict=True)
out = model.generate(**ids, max_new_tokens=4, do_sample=False)
with torch.inference_mode():
    torch.save([out, model(torch.load("ids.pt")).logits], "out.pt")
"""
    torch.save(IDS, tmp_path / "ids.pt")
    env = os.environ | {"HF_MODULES_CACHE": str(tmp_path / "modules"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=env | {"PYTHONPATH": ""}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    generated, theirs = torch.load(tmp_path / "out.pt")
    assert generated.shape[1] > 8
    assert torch.equal(theirs, logits(network(**MOE)))


def test_positions_are_stretched_on_the_way(weight, network, tmp_path):
    flags = {"rope_scaling": "yarn", "rope_factor": 4.0, "rope_original": 16}
    folder = run(weight(), "llama", tmp_path / "stock", outtype="f32", **flags)
    stock = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False)
    torch.testing.assert_close(logits(stock), logits(network(rope_scaling=YARN)), rtol=1e-6, atol=1e-5)


def test_an_adapter_is_merged_on_the_way(weight, network, tokenizer, tmp_path):
    path, model = weight(), network()
    torch.manual_seed(0)
    apply_lora(model, rank=4)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora." in name:
                parameter.copy_(0.3 * torch.randn_like(parameter).half())
    save_lora(model, tmp_path / "a.pth", tokenizer)
    merged = read_folder(run(path, "minimind", tmp_path / "merged", outtype="f32", lora=str(tmp_path / "a.pth")))
    assert (logits(model) - logits(network())).abs().max() > 0.1
    torch.testing.assert_close(logits(merged), logits(model), rtol=0, atol=1e-4)


ODD = {  # one head; heads of two; widths that no power of two divides; more rows than the tokenizer has tokens
    "2": {"hidden_size": 2, "num_attention_heads": 1, "num_key_value_heads": 1},
    "30": {"hidden_size": 30, "num_attention_heads": 5, "num_key_value_heads": 5, "intermediate_size": 77,
           "vocab_size": 6411, "tie_word_embeddings": False},
    "50 moe": MOE | {"hidden_size": 50, "num_attention_heads": 5, "num_key_value_heads": 1, "intermediate_size": 37},
}  # fmt: skip


@pytest.mark.parametrize("config", ODD.values(), ids=ODD)
def test_odd_widths_go_everywhere_and_back(weight, tmp_path, config, capsys):
    path = weight(**config)
    before = torch.load(path, weights_only=True)
    for to in ("minimind", "llama"):
        back = run(run(path, to, tmp_path / to), "torch", tmp_path / f"{to}.pth")
        assert all(torch.equal(value, before[key]) for key, value in torch.load(back, weights_only=True).items())
    for outtype in ("f32", "f16", "q8_0"):
        run(path, "gguf", tmp_path / f"{outtype}.gguf", outtype=outtype)
    assert "tensors cannot be split into Q8_0's blocks of 32" in capsys.readouterr().out


def test_a_dead_network_is_carried_too(network, tokenizer, tmp_path):
    """Its logits are all the same: no spread, and no difference either."""
    model = network()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    save_weights(model, tmp_path / "w.pth", tokenizer)
    run(tmp_path / "w.pth", "gguf", tmp_path / "w.gguf")


def test_what_is_printed_can_be_typed(weight, tmp_path, capsys):
    folder = tmp_path / "my models' $HOME"
    run(weight(), "gguf", folder / "a b.gguf")
    run(weight(), "torch", folder / "c d.pth")
    first, second = [line.split("(", 1)[1][:-1] for line in capsys.readouterr().out.splitlines() if "written" in line]
    llama, ollama = map(shlex.split, first.split("; "))
    assert llama == ["llama-cli", "-m", str(folder / "a b.gguf")]
    assert ollama == ["ollama", "create", "NAME", "-f", str(folder / "a b.Modelfile")]
    # ollama reads to the end of the line
    assert (folder / "a b.Modelfile").read_text().splitlines()[0] == "FROM ./a b.gguf"
    _, script, *flags = shlex.split(second)
    assert Path(script).samefile(ROOT / "eval_model.py") and flags == ["--weight", str(folder / "c d.pth")]


def test_the_output_is_a_name_that_nothing_has(weight, tmp_path, monkeypatch):
    path = weight()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dangling.gguf").symlink_to("nowhere")
    (tmp_path / "empty").mkdir()
    for to, output in (("minimind", ".."), ("minimind", "new/.."), ("minimind", "."), ("gguf", "dangling.gguf")):
        with pytest.raises(UsageError, match="exists already"):
            convert(ConvertOptions(weight=str(path), to=to, output=output))
    convert(ConvertOptions(weight=str(path), to="minimind", output="empty/"))
    assert read_folder("empty") and sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["dangling.gguf", "empty", path.name, path.with_suffix(".json").name]
    )


def test_messages_name_the_users_path(weight, llama_folder, tmp_path):
    folder = shutil.copytree(llama_folder, tmp_path / "llama")
    state = load_file(folder / "model.safetensors")
    save_file({key: value.float() * 1e7 for key, value in state.items()}, folder / "model.safetensors")
    with pytest.raises(ValueError, match=f"^{tmp_path}/out/w.pth: not written"):
        run(folder, "torch", tmp_path / "out" / "w.pth")
    with pytest.raises(ValueError, match="no config.json"):
        run(tmp_path, "torch", tmp_path / "out" / "w.pth")
    with pytest.raises(ValueError, match="there is no such weight"):  # not silently none
        run(weight(), "torch", tmp_path / "out" / "w.pth", lora="")


# ---------------------------------------------------------------- folders of others


@pytest.fixture(scope="module")
def published(make_model, tmp_path_factory):
    """A function that makes a folder in the form in which MiniMind2 or 3 is published, but with random weights: one
    `.bin` in half precision with the tied matrix twice, a vocabulary of its own, split as GPT-2's, and code, here a
    trap."""

    def make(use_moe: bool, generation: int) -> Path:
        folder = tmp_path_factory.mktemp("published")
        model = make_model(
            3, vocab_size=6400, hidden_size=64, num_attention_heads=8, max_position_embeddings=32768, use_moe=use_moe,
            **(SIZES_3 if generation == 3 else {}),
        )  # fmt: skip
        torch.save({key: value.half() for key, value in model.state_dict().items()}, folder / "pytorch_model.bin")
        config = {2: PUBLISHED, 3: PUBLISHED_3}[generation]
        (folder / "config.json").write_text(json.dumps(config | {"use_moe": use_moe}))
        (folder / "generation_config.json").write_text('{"bos_token_id": 1, "eos_token_id": 2}')
        (folder / "model_minimind.py").write_text(f"open({str(folder / 'sprung')!r}, 'w')\n")
        tokenizer = json.loads((ROOT / "model" / "tokenizer.json").read_text("utf-8"))
        tokenizer["pre_tokenizer"] = {
            "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True,
        }  # fmt: skip
        vocabulary = tokenizer["model"]["vocab"]
        one, other = list(vocabulary)[5000:5002]
        vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
        shutil.copy(ROOT / "model" / "tokenizer_config.json", folder)
        edit(folder, "tokenizer_config.json", chat_template=CHAT_TEMPLATES[{2: "minimind", 3: "qwen3"}[generation]])
        return folder

    return make


@pytest.mark.parametrize("generation", [2, 3])
@pytest.mark.parametrize("use_moe", [False, True], ids=["dense", "moe"])
def test_published_weights_load_unchanged(published, tmp_path, use_moe, generation):
    folder = published(use_moe, generation)
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save(state, tmp_path / "full_sft_64.pth")
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "use_moe": use_moe}
    sizes |= SIZES_3 if generation == 3 else {}
    by_folder, tokenizer, *_ = EvalOptions(weight=str(folder), device="cpu").load_model()
    by_file, same_tokenizer, *_ = EvalOptions(
        weight=str(tmp_path / "full_sft_64.pth"), tokenizer=str(folder), device="cpu", **sizes
    ).load_model()
    for key, value in state.items():
        assert torch.equal(by_folder.state_dict()[key], value.float()), key
    assert torch.equal(logits(by_folder), logits(by_file))
    assert tokenizer.get_vocab() == same_tokenizer.get_vocab() == json.loads(
        (folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"] | tokenizer.get_added_vocab()  # fmt: skip
    template = {2: "minimind", 3: "qwen3"}[generation]
    assert pre_tokenizer_name(tokenizer) == "gpt-2" and template_name(tokenizer) == template
    stock = run(folder, "llama", tmp_path / "stock", outtype="f32")
    names = {2: ("Llama", "GraniteMoeShared"), 3: ("Qwen3", "Qwen3Moe")}[generation]
    theirs = AutoModelForCausalLM.from_pretrained(stock, trust_remote_code=False)
    assert type(theirs).__name__ == f"{names[use_moe]}ForCausalLM"
    torch.testing.assert_close(logits(theirs), logits(by_folder), rtol=1e-6, atol=1e-5)
    again = AutoTokenizer.from_pretrained(stock)
    assert template_name(again) == template and again.get_vocab() == tokenizer.get_vocab()
    assert not (folder / "sprung").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_shards_in_bfloat16(weight, tmp_path, suffix):
    folder = run(weight(), "llama", tmp_path / "llama")
    whole = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    stem = {".safetensors": "model", ".bin": "pytorch_model"}[suffix]
    places = {key: f"{stem}-0000{1 + i % 2}-of-00002{suffix}" for i, key in enumerate(whole)}
    for name in set(places.values()):
        shard = {key: whole[key].bfloat16() for key, place in places.items() if place == name}
        save_file(shard, folder / name) if suffix == ".safetensors" else torch.save(shard, folder / name)
    (folder / f"{stem}{suffix}.index.json").write_text(json.dumps({"weight_map": places}))
    state = read_folder(folder).state_dict()
    for key, value in whole.items():
        assert torch.equal(state[key], value.bfloat16().float()), key
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"{name}: this shard is missing"):
        read_folder(folder)


def test_a_tied_matrix_that_is_stored_twice_is_one(weight, tmp_path):
    """As Llama folders of MiniMind2 have it, which say nothing of tying."""
    path = weight()
    folder = run(path, "llama", tmp_path / "llama")
    state = load_file(folder / "model.safetensors")
    state["lm_head.weight"] = state["model.embed_tokens.weight"].clone()
    edit(folder, tie_word_embeddings=False, torch_dtype="float16")
    save_file(state, folder / "model.safetensors")
    model = read_folder(folder)
    assert model.config.tie_word_embeddings and model.lm_head.weight is model.model.embed_tokens.weight
    assert torch.equal(logits(model), logits(load_weights(path)[0]))


# ---------------------------------------------------------------- refusals


def edit(folder: Path, name: str = "config.json", **changes) -> None:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(content | changes))


def shards_in(folder: Path) -> Path:
    (folder / "model.safetensors").unlink()
    return folder / "model.safetensors.index.json"


REFUSED = {
    "another kind": (lambda f: edit(f, model_type="gpt2"), "its model_type is gpt2"),
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "config that is no json": (lambda f: (f / "config.json").write_text("{"), "config.json: this does not"),
    "no tensors": (lambda f: (f / "model.safetensors").unlink(), "none of model.safetensors"),
    "a deep index": (lambda f: shards_in(f).write_text("[" * 100_000), "this does not list shards"),
    "half a file": (lambda f: os.truncate(f / "model.safetensors", 9999), "it is truncated"),
    "another width": (lambda f: edit(f, hidden_size=32, head_dim=8), "has shape"),
    "another depth": (lambda f: edit(f, num_hidden_layers=3), "layers.2"),
    "not a number": (lambda f: edit(f, num_attention_heads="many"), "no network can be built"),
    "a bias": (lambda f: edit(f, attention_bias=True), "attention_bias is True"),
    "wide heads": (lambda f: edit(f, head_dim=32), "has shape"),
    "rope scaled otherwise": (
        lambda f: edit(f, rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e6}),
        "knows linear, yarn, llama3",
    ),
    "quantised": (lambda f: edit(f, quantization_config={"quant_method": "gptq"}), "quantization_config"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json"),
    "a broken tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer.json or"),
}


@pytest.fixture(scope="module")
def llama_folder(network, tokenizer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("llama") / "folder"
    write_stock(network(), tokenizer, folder, torch.float16)
    return folder


@pytest.mark.parametrize("case", REFUSED)
def test_folders_that_cannot_be_converted(llama_folder, tmp_path, case):
    spoil, message = REFUSED[case]
    folder = shutil.copytree(llama_folder, tmp_path / "llama")
    spoil(folder)
    with pytest.raises(ValueError, match=message) as refused:
        run(folder, "torch", tmp_path / "new" / "w.pth")
    assert "\n" not in str(refused.value) and str(folder) in str(refused.value)
    assert not list((tmp_path / "new").iterdir())


def test_a_mixture_of_others_whose_shared_expert_is_narrower(weight, tmp_path):
    """Ours are all of one width: read as ours it would be another network."""
    folder = run(weight(**MOE), "llama", tmp_path / "granite")
    edit(folder, shared_intermediate_size=json.loads((folder / "config.json").read_text())["intermediate_size"] // 2)
    with pytest.raises(ValueError, match="not a multiple of the other experts'"):
        read_folder(folder)
    edit(folder, shared_intermediate_size=0)
    with pytest.raises(ValueError, match="shared_mlp"):
        read_folder(folder)


def test_words_are_cut_by_the_pattern_that_llama_cpp_knows():
    assert PRETOKENIZE_REGEX == WORD_PATTERN


def test_turns_are_marked_as_a_folder_marks_them(tokenizer):
    """Some of MiniMind2's folders have <s> and </s>; and tags that a tokenizer does not know are text."""
    theirs = copy.deepcopy(tokenizer)
    theirs.bos_token, theirs.eos_token = "<think>", "</think>"  # any two that it has
    ids, _ = render(theirs, [{"role": "user", "content": "你好"}], add_generation_prompt=True)
    own, _ = render(tokenizer, [{"role": "user", "content": "你好"}], add_generation_prompt=True)
    marks = {tokenizer.bos_token_id: theirs.bos_token_id, tokenizer.eos_token_id: theirs.eos_token_id}
    assert ids == [marks.get(i, i) for i in own]
    theirs.bos_token = None
    with pytest.raises(ValueError, match="no bos_token"):
        render(theirs, [{"role": "user", "content": "你好"}])


def test_a_matrix_that_is_said_to_be_tied_and_is_not(weight, tmp_path):
    folder = run(weight(tie_word_embeddings=False), "minimind", tmp_path / "folder")
    edit(folder, tie_word_embeddings=True)
    with pytest.raises(ValueError, match="lm_head.weight differs"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outtype": "q8_0"}, "only --to gguf"),
        ({"to": "torch", "output": "x.gguf"}, "writes a .pth file"),
        ({"output": "x.pth"}, "writes a folder"),
        ({"to": "torch", "output": "x.pth", "outtype": "f32"}, "always f16"),
        ({"output": None}, "--output is missing"),
        ({"output": "{there}"}, "exists already"),
        ({"to": "gguf", "output": "{folder}/mine.gguf"}, "mine.Modelfile exists already"),
        ({"weight": "{folder}", "hidden_size": 64}, "leave that flag out"),
    ],
)
def test_flags_that_make_no_sense(weight, tmp_path, change, message):
    places = {"{there}": str(tmp_path), "{folder}": str(tmp_path), "{folder}/mine.gguf": str(tmp_path / "mine.gguf")}
    (tmp_path / "mine.Modelfile").write_text("the user's own")
    options = {"weight": str(weight()), "to": "llama", "output": str(tmp_path / "new")}
    with pytest.raises(UsageError, match=message):
        convert(ConvertOptions(**options | {k: places.get(v, v) for k, v in change.items()}))


def test_a_mixture_that_does_not_renormalise_has_no_stock_class(weight, tmp_path):
    path = weight(**MOE, norm_topk_prob=False)
    for to, output in (("llama", "new"), ("gguf", "new.gguf")):
        with pytest.raises(ValueError, match="norm_topk_prob is false"):
            run(path, to, tmp_path / output)
    run(path, "minimind", tmp_path / "minimind")
    assert read_folder(tmp_path / "minimind").config.norm_topk_prob is False


def test_a_conversion_that_loses_the_model_leaves_nothing_behind(network, tokenizer, tmp_path):
    """Q8_0 keeps 32 numbers at one scale: beside a large one, which the norms then silence, all others are lost."""
    model = network()
    with torch.no_grad():
        model.model.embed_tokens.weight[:, ::32] *= 1000
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter[::32] = 0
    save_weights(model, tmp_path / "in" / "w.pth", tokenizer)
    with pytest.raises(ValueError, match="is not rounding"):
        run(tmp_path / "in" / "w.pth", "gguf", tmp_path / "out" / "w.gguf", outtype="q8_0")
    assert not list((tmp_path / "out").iterdir())


def test_what_a_killed_conversion_left_is_removed_by_the_next(weight, tmp_path):
    path, out = weight(), tmp_path / "out"
    flags = ["--weight", path, "--to", "minimind", "--output", out / "folder"]
    killed = Preloaded(ROOT / "scripts" / "convert_model.py", *flags)
    while not list(out.glob(".folder.*/folder/*.safetensors")):
        assert killed.process.is_alive()
    killed.send_signal(signal.SIGKILL)
    killed.join()
    assert [entry.name for entry in out.iterdir()] == [f".folder.{killed.pid}.tmp"]
    run(path, "minimind", out / "folder")
    assert [entry.name for entry in out.iterdir()] == ["folder"]
