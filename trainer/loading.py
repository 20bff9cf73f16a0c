"""A weight by name, file or folder -> its network, its tokenizer, and what its metadata says of it."""

from pathlib import Path
from typing import NamedTuple

from transformers import PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from dataset.chat import control_tokens, encode_texts
from dataset.chat_template import CHAT_TEMPLATES, template_name
from model.model_lora import find_lora, load_lora
from model.model_minimind import MiniMindForCausalLM
from model.weights import find_weight, load_weights
from trainer.command_line import ROOT, require
from trainer.distributed import choose_device


def load_tokenizer(folder: str):
    """The fast tokenizer in `folder`, read as data: no code that may lie there is run, or asked about. Raises
    UsageError when there is none, ValueError when it cannot be read or no network can be trained with it."""
    there = (Path(folder) / "tokenizer.json").is_file()
    require(there, f"--tokenizer {folder}: there is no tokenizer.json in it; scripts/train_tokenizer.py makes one")
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        encode_texts(tokenizer, ["你好 🙂"])  # one without an unknown token fails at what it does not know
    except Exception as error:  # the file can hold anything
        what = "tokenizer.json or tokenizer_config.json is damaged, or cannot encode every text"
        raise ValueError(f"{folder}: {what}: copy both again, or take a byte-level BPE") from error
    control_tokens(tokenizer)
    entries = tokenizer.get_vocab()
    last = max(entries, key=entries.get)
    if entries[last] >= len(tokenizer):
        what = f"its {len(tokenizer):,} entries are not numbered without gaps ({last!r} is {entries[last]:,})"
        raise ValueError(f"{folder}: {what}: fill the gaps in tokenizer.json with unused entries")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token  # any would do: padding is never read or learned
    tokenizer.backend_tokenizer.no_truncation()  # which the program that it was made for may have wanted
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def set_template(tokenizer, name: str | None, weight: str | Path) -> None:
    """Give the tokenizer that of dataset.chat_template's templates, unless it has it (or none is named)."""
    if name and name not in CHAT_TEMPLATES:
        raise ValueError(f"{weight}: its .json names the chat template {name}, which is not known here")
    if name and name != template_name(tokenizer):
        tokenizer.chat_template = CHAT_TEMPLATES[name]


def quiet_transformers() -> None:
    """No progress bars and advice from transformers between our own lines."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def speed_up(model: MiniMindForCausalLM, compiled: bool = False) -> MiniMindForCausalLM:
    """Put in model/fast's forms for training; without that folder the network trains as it is, slower."""
    try:
        from model.fast.training import speed_up
    except ModuleNotFoundError:
        return model
    return speed_up(model, compiled)


class Loaded(NamedTuple):
    model: MiniMindForCausalLM  # in eval mode, on its device
    tokenizer: PreTrainedTokenizerFast
    title: str  # one line that says which it is
    stage: str  # what it was trained to do last, which decides how prompts are written
    trained_length: int  # tokens per row in training; 0: unknown


def load_model(
    weight: str, out_dir: str, tokenizer_folder: str | None, sizes: dict, usual_stage: str,
    lora_name: str | None = None, device: str = "auto",
) -> Loaded:  # fmt: skip
    """A weight, perhaps with an adapter on top. `weight` is a stage's name in `out_dir`, a `.pth` or a Hugging Face
    folder; `usual_stage` is the stage of a weight without metadata. Raises ValueError where nothing names the weight's
    vocabulary, or it has more entries than the network."""
    quiet_transformers()
    device, info = choose_device(device), {}
    if Path(weight).is_dir():
        from model.formats.hf_folder import read_folder  # other programs' networks, not needed to train

        source = Path(weight).absolute()
        model, tokenizer = read_folder(source), load_tokenizer(tokenizer_folder or str(source))
        if len(tokenizer) > model.config.vocab_size:
            what = f"this tokenizer has {len(tokenizer):,} entries, the network {model.config.vocab_size:,}"
            raise ValueError(f"{tokenizer.name_or_path}: {what}: name its own with --tokenizer")
    else:
        source = find_weight(weight, out_dir, sizes.get("hidden_size"), sizes.get("use_moe"))
        tokenizer = load_tokenizer(tokenizer_folder or str(ROOT / "model"))
        model, info = load_weights(source, tokenizer, sizes)
        if not info and not tokenizer_folder:
            missing = source.with_suffix(".json").name
            raise ValueError(f"{source}: there is no {missing} that names its vocabulary: pass --tokenizer FOLDER")
        set_template(tokenizer, info.get("chat_template"), source)
    title, stage = str(source), info.get("stage", "converted")
    if stage == "converted":
        stage = usual_stage
    if lora_name:
        adapter = find_lora(lora_name, out_dir, model.config)
        load_lora(model, adapter, tokenizer, None if source.is_dir() else source)
        title = f"{title} + {adapter.name}"
        stage = "lora" if stage == "pretrain" else stage  # adapters are trained on conversations
    n_params = sum(p.numel() for p in model.parameters())
    title = f"{title} ({n_params / 1e6:.2f}M parameters, on {device})"
    return Loaded(model.eval().to(device), tokenizer, title, stage, length_of(info))


def length_of(info: dict) -> int:
    """Tokens per sample in training, by a weight's metadata; 0 where it does not say."""
    recipe = info.get("recipe")
    length = recipe.get("max_seq_len") if isinstance(recipe, dict) else 0
    return length if isinstance(length, int) else 0
