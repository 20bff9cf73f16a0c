"""Carry a model from one format to another, and prove that it has stayed the same.

    python scripts/convert_model.py --weight out/full_sft_192.pth --to minimind --output MiniMind   # transformers
    python scripts/convert_model.py --weight out/full_sft_192.pth --to llama --output MiniMind-Llama  # vLLM, TRL, …
    python scripts/convert_model.py --weight out/full_sft_192.pth --to gguf --output minimind.gguf  # llama.cpp, ollama
    python scripts/convert_model.py --weight out/full_sft_192.pth --lora out/lora/identity_192.pth --to gguf …
    python scripts/convert_model.py --weight MiniMind2 --to torch --output out/minimind2_512.pth   # and back

`--weight` takes a `.pth` of this project, or a Hugging Face folder of MiniMind2, Llama or GraniteMoeShared; code in a
folder is never run. What is written is read back, and a fixed batch goes through both: the conversion fails, and leaves
nothing behind, when the logits differ by more than the format's rounding explains.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from trainer.command_line import check_out_dir, flag, parse_options, require, run  # noqa: E402
from trainer.options import ModelOptions  # noqa: E402
from trainer.process import as_text  # noqa: E402

TARGETS = ("minimind", "llama", "gguf", "torch")
# The largest difference of logits that is no mistake, as a share of their spread (root mean squares). A mistake, as two
# heads exchanged, is near 1; of a mixture Q8_0 sends some tokens to other experts.
TOLERANCE = {"f32": 1e-5, "f16": 1e-2, "q8_0": 0.3}
BATCH = (2, 128)  # of random tokens that both models read


@dataclass
class ConvertOptions(ModelOptions):
    weight: str | None = flag(None, "what to convert: a .pth file, or a Hugging Face folder")
    to: str | None = flag(
        None,
        "minimind: a Hugging Face folder with its own code; llama: one of stock classes (LlamaForCausalLM, or "
        "GraniteMoeSharedForCausalLM for a mixture of experts); gguf: a file for llama.cpp and ollama; torch: a .pth",
        choices=list(TARGETS),
    )
    output: str | None = flag(None, "the file or folder to write; nothing may be there yet")
    outtype: str = flag("f16", "precision of the matrices: f32, f16, or (gguf only) q8_0", choices=list(TOLERANCE))
    lora: str | None = flag(None, "a LoRA adapter to merge into the weight first: its .pth")
    tokenizer: str | None = flag(None, "folder of the tokenizer; default: the folder's own, or model/ for a .pth with "
                                       "a .json beside it")  # fmt: skip

    def __post_init__(self):
        for name in ("weight", "to", "output"):
            require(getattr(self, name) is not None, f"--{name} is missing: see --help for what it takes")
        suffix = {"gguf": ".gguf", "torch": ".pth"}.get(self.to, "")
        fits = self.output.endswith(suffix) if suffix else not self.output.endswith((".gguf", ".pth", ".safetensors"))
        require(fits, f"--output {self.output}: --to {self.to} writes a {f'{suffix} file' if suffix else 'folder'}")
        require(self.outtype != "q8_0" or self.to == "gguf", "--outtype q8_0: only --to gguf has it")
        require(self.outtype == "f16" or self.to != "torch", f"--outtype {self.outtype}: a .pth is always f16")


def load(options: ConvertOptions):
    """(the model in float32, its LoRA merged; its tokenizer; what the `.json` beside it says)."""
    from model.model_lora import load_lora, merge_lora
    from trainer.loading import load_folder, load_pth, quiet_transformers

    quiet_transformers()
    path = Path(options.weight).absolute()
    if path.is_dir():
        given = [name for name, value in options.sizes().items() if value is not None]
        require(not given, f"--{given[0] if given else ''}: the folder says its sizes itself, leave that flag out")
        (model, tokenizer), info = load_folder(path, options.tokenizer), {}
    else:
        model, tokenizer, info = load_pth(path, options.tokenizer, options.sizes())
    if options.lora is not None:
        load_lora(model, Path(options.lora).absolute(), tokenizer, None if path.is_dir() else path)
        merge_lora(model)
    return model.eval(), tokenizer, info


def write(model, tokenizer, info: dict, options: ConvertOptions, path: Path) -> None:
    """Write the model to `path` in the form that was asked for."""
    import torch

    from model.formats import hf_folder
    from model.weights import save_weights

    dtype = {"f32": torch.float32, "f16": torch.float16}.get(options.outtype)
    if options.to == "minimind":
        hf_folder.write_minimind(model, tokenizer, path, dtype)
    elif options.to == "llama":
        hf_folder.write_stock(model, tokenizer, path, dtype)
    elif options.to == "gguf":
        from model.formats.gguf_file import write_gguf

        coarse = write_gguf(model, tokenizer, path, options.outtype)
        if coarse:
            print(f"note: rows of {coarse} tensors cannot be cut into the blocks of 32 that Q8_0 has: they are in f16")
    else:
        kept = {name: info[name] for name in ("stage", "step", "tokens", "data") if name in info}
        origin = {"weight": Path(options.weight).name} | ({"lora": Path(options.lora).name} if options.lora else {})
        save_weights(model, path, tokenizer, **{"stage": "converted"} | kept | {"origin": origin})


def read_back(options: ConvertOptions, path: Path, tokenizer):
    """The model that lies at `path` now; a folder of stock classes is read by those classes."""
    if options.to == "llama":
        from transformers import AutoModelForCausalLM

        # eager: the experts' other kernels want widths that 4 divides
        how = {"dtype": "float32", "experts_implementation": "eager", "trust_remote_code": False}
        return AutoModelForCausalLM.from_pretrained(path, **how).eval()
    if options.to == "minimind":
        from model.formats.hf_folder import read_folder

        return read_folder(path)
    if options.to == "gguf":
        from model.formats.gguf_file import read_gguf

        return read_gguf(path)
    from model.weights import load_weights

    return load_weights(path, tokenizer)[0].eval()


def compare(before, after) -> tuple[float, float]:
    """(largest difference of logits, their difference as a share of their spread) over one fixed batch."""
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
    beside = {"gguf": ".Modelfile", "torch": ".json"}.get(options.to)
    is_text = options.to == "torch" or as_text(str(output)) == str(output)
    require(is_text, f"--output {output}: the libraries cannot write to a path that is no UTF-8: name another")
    for path in (output, *([output.with_suffix(beside)] if beside else [])):
        there = os.path.lexists(path) and (path.is_symlink() or not path.is_dir() or any(path.iterdir()))
        require(not there, f"--output {output}: {path} is there already: remove it, or name another --output")
    check_out_dir(output.parent, "--output")
    model, tokenizer, info = load(options)
    n_params = sum(p.numel() for p in model.parameters())
    print(f"read {options.weight}: {n_params / 1e6:.2f}M parameters, {'MoE' if model.config.use_moe else 'dense'}")
    # Written, and read back, in a folder of its own beside the goal: nothing half-made ever has the goal's name.
    remove_stale(output)
    folder = temporary_name(output)
    shutil.rmtree(folder, ignore_errors=True)  # of one that was killed, and had our process id
    folder.mkdir()
    try:
        made = folder / output.name
        try:
            write(model, tokenizer, info, options, made)
        except (SafetensorError, OSError) as error:
            raise OSError(f"{output}: it cannot be written ({error}): make room, or name another --output") from error
        except WeightError as error:
            raise WeightError(str(error).replace(str(made), str(output))) from None
        largest, relative = compare(model, read_back(options, made, tokenizer))
        print(f"check: logits before and after differ by at most {largest:.2g}, {relative:.2g} of their spread")
        if not relative <= TOLERANCE[options.outtype]:  # also when it is NaN
            coarse = options.outtype != "f32" and options.to != "torch"
            finer = "take --outtype f32; if that fails too, " if coarse else ""
            raise ValueError(
                f"{output}: not written: more than {TOLERANCE[options.outtype]:g} of the spread is no rounding: "
                f"{finer}the conversion is wrong for this model, or its numbers are not finite"
            )
        for path in sorted(folder.iterdir()):
            os.replace(path, output.parent / path.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"written: {output} ({how_to_use(options, model, tokenizer)})")


def how_to_use(options: ConvertOptions, model, tokenizer) -> str:
    """One clause on what the result is for."""
    from model.weights import tokenizer_hash
    from scripts.reports.shell import command, typed
    from trainer.loading import load_tokenizer

    if options.to == "minimind":
        return "AutoModelForCausalLM.from_pretrained(…, trust_remote_code=True)"
    if options.to == "llama":
        config = model.config
        name = f"{'GraniteMoeShared' if config.use_moe else 'Llama'}ForCausalLM, without code of its own"
        if config.use_moe and (config.hidden_size % 8 or config.intermediate_size % 8):
            name += '; 8 does not divide its widths, so transformers needs experts_implementation="eager"'
        return name
    if options.to == "gguf":
        modelfile = Path(options.output).with_suffix(".Modelfile")
        return f"llama-cli -m {typed(options.output)}; ollama create NAME -f {typed(modelfile)}"
    own = tokenizer_hash(tokenizer) == tokenizer_hash(load_tokenizer(str(ROOT / "model")))
    vocabulary = "" if own else f" --tokenizer {typed(tokenizer.name_or_path)}"
    return f"{command('eval_model.py')} --weight {typed(options.output)}{vocabulary}"


def main() -> None:
    convert(parse_options(ConvertOptions, "Convert a model between formats, and check that its logits stay."))


if __name__ == "__main__":
    run(main)
