"""Convert a model from one format to another, and verify that it is unchanged.

    python scripts/convert_model.py --weight out/full_sft_192.pth --to minimind --output MiniMind   # transformers
    python scripts/convert_model.py --weight out/full_sft_192.pth --to llama --output MiniMind-Llama  # vLLM, TRL, …
    python scripts/convert_model.py --weight out/full_sft_192.pth --to gguf --output minimind.gguf  # llama.cpp, ollama
    python scripts/convert_model.py --weight out/full_sft_192.pth --lora out/lora/identity_192.pth --to gguf …
    python scripts/convert_model.py --weight MiniMind2 --to torch --output out/minimind2_512.pth   # and back

`--weight` takes a `.pth` of this project, or a Hugging Face folder of MiniMind, Llama, Qwen3 or GraniteMoeShared, whose
code is never run. The result is read back and both models compute logits for a fixed batch: if they differ by more than
the format's rounding explains, the conversion fails and leaves nothing behind.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from trainer.command_line import ROOT, check_out_dir, flag, parse_options, require, run  # noqa: E402
from trainer.options import ModelOptions  # noqa: E402

TARGETS = ("minimind", "llama", "gguf", "torch")
# Largest RMS difference of the logits that rounding explains, relative to their spread (standard deviation). An error,
# such as two swapped heads, gives about 1; in a mixture of experts Q8_0 routes some tokens to other experts.
TOLERANCE = {"f32": 1e-5, "f16": 1e-2, "q8_0": 0.3}
BATCH = (2, 128)  # rows and tokens that both models read


@dataclass
class ConvertOptions(ModelOptions):
    weight: str | None = flag(None, "what to convert: a .pth file, or a Hugging Face folder")
    to: str | None = flag(
        None,
        "minimind: a Hugging Face folder with its code; llama: one of stock classes (Llama or GraniteMoeShared, with "
        "qk_norm Qwen3 or Qwen3Moe); gguf: a file for llama.cpp and ollama; torch: a .pth",
        choices=list(TARGETS),
    )
    output: str | None = flag(None, "the file or folder to write, which must not exist yet")
    outtype: str = flag("f16", "precision of the matrices: f32, f16, or (gguf only) q8_0", choices=list(TOLERANCE))
    lora: str | None = flag(None, "a LoRA adapter to merge into the weight first: its .pth")
    tokenizer: str | None = flag(None, "folder of the tokenizer; default: that of --weight, or model/ for a .pth with "
                                       "a .json")  # fmt: skip

    def __post_init__(self):
        super().__post_init__()
        for name in ("weight", "to", "output"):
            require(getattr(self, name) is not None, f"--{name} is missing: see --help")
        suffix = {"gguf": ".gguf", "torch": ".pth"}.get(self.to, "")
        fits = self.output.endswith(suffix) if suffix else not self.output.endswith((".gguf", ".pth", ".safetensors"))
        require(fits, f"--output {self.output}: --to {self.to} writes a {f'{suffix} file' if suffix else 'folder'}")
        require(self.outtype != "q8_0" or self.to == "gguf", "--outtype q8_0: only --to gguf supports it")
        require(self.outtype == "f16" or self.to != "torch", f"--outtype {self.outtype}: a .pth is always f16")


def read_source(options: ConvertOptions):
    """(the model in float32, LoRA merged; its tokenizer; the metadata of its `.json`)."""
    from model.model_lora import merge_lora
    from model.weights import read_info
    from trainer.loading import load_model, set_template

    path, sizes = Path(options.weight).absolute(), options.sizes()
    lora = None if options.lora is None else Path(options.lora).absolute().as_posix()
    for name, value in sizes.items() if path.is_dir() else ():
        require(value is None, f"--{name}: the folder's config.json holds its sizes, leave that flag out")
    model, tokenizer, _, _, length = load_model(path.as_posix(), "", options.tokenizer, sizes, "", lora, "cpu")
    set_template(tokenizer, options.chat_template, path)
    options.stretch(model, length, path)
    merge_lora(model)
    return model, tokenizer, {} if path.is_dir() else read_info(path) or {}


KEPT = ("stage", "step", "tokens", "data", "chat_template")  # of the metadata


def write(model, tokenizer, metadata: dict, options: ConvertOptions, path: Path) -> None:
    import torch

    from dataset.chat_template import template_name
    from model.formats.gguf_file import write_gguf
    from model.formats.hf_folder import write_minimind, write_stock
    from model.weights import save_weights

    if options.to == "gguf":
        n_coarse = write_gguf(model, tokenizer, path, options.outtype)
        if n_coarse:
            print(f"note: rows of {n_coarse} tensors cannot be split into Q8_0's blocks of 32: they are stored as f16")
    elif options.to == "torch":
        metadata["chat_template"] = template_name(tokenizer)
        kept = {name: metadata[name] for name in KEPT if name in metadata}
        origin = {"weight": Path(options.weight).name} | ({"lora": Path(options.lora).name} if options.lora else {})
        save_weights(model, path, tokenizer, **{"stage": "converted"} | kept | {"origin": origin})
    else:
        write_folder = write_minimind if options.to == "minimind" else write_stock
        write_folder(model, tokenizer, path, {"f32": torch.float32, "f16": torch.float16}[options.outtype])


def read_back(options: ConvertOptions, path: Path, tokenizer):
    """The model at `path`; a folder of stock classes is read by those classes."""
    from transformers import AutoModelForCausalLM

    from model.formats.gguf_file import read_gguf
    from model.formats.hf_folder import read_folder
    from model.weights import load_weights

    if options.to == "llama":
        # eager: the other implementations of experts need widths divisible by 4
        how = {"dtype": "float32", "experts_implementation": "eager", "trust_remote_code": False}
        return AutoModelForCausalLM.from_pretrained(path, **how).eval()
    if options.to == "torch":
        return load_weights(path, tokenizer)[0].eval()
    return (read_gguf if options.to == "gguf" else read_folder)(path)


def compare(before, after) -> tuple[float, float]:
    """(largest difference, RMS difference relative to the standard deviation) of the logits of one fixed batch."""
    import torch

    rows, tokens = BATCH[0], min(BATCH[1], before.config.max_position_embeddings)
    ids = torch.randint(before.config.vocab_size, (rows, tokens), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        old, new = before(ids).logits, after(ids).logits
    spread = (old - old.mean(-1, keepdim=True)).square().mean().sqrt()
    difference = (new - old).square().mean().sqrt()
    return float((new - old).abs().max()), float(difference / spread) if difference else 0.0  # spread can be 0


def convert(options: ConvertOptions) -> None:
    from safetensors import SafetensorError

    from model.files import remove_stale, temporary_name
    from model.weights import WeightError

    output = Path(os.path.abspath(options.output))  # without "..": its last part is a name
    second = {"gguf": [output.with_suffix(".Modelfile")], "torch": [output.with_suffix(".json")]}.get(options.to, [])
    for path in (output, *second):
        exists = os.path.lexists(path) and (path.is_symlink() or not path.is_dir() or any(path.iterdir()))
        require(not exists, f"--output {output}: {path} exists already: remove it, or name another --output")
    check_out_dir(output.parent, "--output")
    model, tokenizer, metadata = read_source(options)
    n_params = sum(p.numel() for p in model.parameters())
    print(f"read {options.weight}: {n_params / 1e6:.2f}M parameters, {'MoE' if model.config.use_moe else 'dense'}")
    # Written and read back in a temporary folder: nothing incomplete ever has the final name.
    remove_stale(output)
    folder = temporary_name(output)
    shutil.rmtree(folder, ignore_errors=True)  # of a killed process with the same id
    folder.mkdir()
    try:
        temporary = folder / output.name
        try:
            write(model, tokenizer, metadata, options, temporary)
        except (SafetensorError, OSError) as error:
            raise OSError(f"{output}: it cannot be written ({error}): make room, or name another --output") from error
        except WeightError as error:
            raise WeightError(str(error).replace(str(temporary), str(output))) from None
        largest, relative = compare(model, read_back(options, temporary, tokenizer))
        print(f"check: logits before and after differ by at most {largest:.2g}, RMS {relative:.2g} of their spread")
        if not relative <= TOLERANCE[options.outtype]:  # also for NaN
            what = f"more than {TOLERANCE[options.outtype]:g} of the spread is not rounding"
            why = "the conversion is wrong for this model, or its numbers are not finite, or too large for --outtype"
            raise ValueError(f"{output}: not written: {what}: {why}")
        for path in sorted(folder.iterdir()):
            os.replace(path, output.parent / path.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"written: {output} ({usage(options, tokenizer)})")


def usage(options: ConvertOptions, tokenizer) -> str:
    from model.weights import tokenizer_hash
    from scripts.reports.shell import command, typed
    from trainer.loading import load_tokenizer

    if options.to == "minimind":
        return "AutoModelForCausalLM.from_pretrained(…, trust_remote_code=True)"
    if options.to == "llama":
        return "AutoModelForCausalLM.from_pretrained(…), without code in the folder"
    if options.to == "gguf":
        modelfile = Path(options.output).with_suffix(".Modelfile")
        return f"llama-cli -m {typed(options.output)}; ollama create NAME -f {typed(modelfile)}"
    is_shipped = tokenizer_hash(tokenizer) == tokenizer_hash(load_tokenizer(str(ROOT / "model")))
    vocabulary = "" if is_shipped else f" --tokenizer {typed(tokenizer.name_or_path)}"
    return f"{command('eval_model.py')} --weight {typed(options.output)}{vocabulary}"


if __name__ == "__main__":
    run(lambda: convert(parse_options(ConvertOptions, "Convert a model between formats, and verify its logits.")))
