"""The flags of stages and of programs that load a weight: one dataclass each (parsed by trainer/command_line.py)."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from trainer.command_line import ROOT, flag, require

STAGES = {0: "pretrain", 1: "full_sft", 2: "rlhf", 3: "reason", 4: "ppo", 5: "grpo"}  # by --model_mode
LEAST_CONTEXT = 512  # tokens of prompt and answer, by default, also for a weight that was trained on shorter rows
PRESETS = {
    "minimind2-small": {"hidden_size": 512, "num_hidden_layers": 8},
    "minimind2": {"hidden_size": 768, "num_hidden_layers": 16},
    "minimind2-moe": {"hidden_size": 640, "num_hidden_layers": 8, "use_moe": True},
    "minimind3": {"hidden_size": 768, "num_hidden_layers": 8, "num_key_value_heads": 4, "intermediate_size": 2432,
                  "qk_norm": True, "rms_norm_eps": 1e-6, "chat_template": "qwen3"},
}  # fmt: skip
PRESETS["minimind3-moe"] = PRESETS["minimind3"] | {
    "use_moe": True, "n_shared_experts": 0, "num_experts_per_tok": 1, "seq_aux": False, "aux_loss_alpha": 5e-4,
}  # fmt: skip


@dataclass
class ModelOptions:
    """Sizes of the network: `free`, as a resumed run compares the network itself."""

    preset: str | None = flag(None, "a published network, which the flags below change", free=True,
                              choices=[*PRESETS])  # fmt: skip
    hidden_size: int | None = flag(None, "width; default: the weight's, or 512", free=True, least=1, most=65536)
    num_hidden_layers: int | None = flag(None, "depth; default: the weight's, or 8", free=True, least=1, most=1024)
    num_attention_heads: int | None = flag(None, "query heads; default: the weight's, or 8", free=True, least=1)
    num_key_value_heads: int | None = flag(None, "key/value heads; default: the weight's, or 2", free=True, least=1)
    head_dim: int | None = flag(None, "channels per head; default: the weight's, or width / query heads", free=True,
                                least=2)  # fmt: skip
    intermediate_size: int | None = flag(None, "channels of the feed-forward; default: the weight's, or 8/3 of the "
                                         "width, rounded up to 64", free=True, least=1)  # fmt: skip
    qk_norm: bool | None = flag(None, "normalise queries and keys; default: the weight's, or 0", free=True)
    rms_norm_eps: float | None = flag(None, "of the norms; default: the weight's, or 1e-5", free=True, above=0, below=1)
    use_moe: bool | None = flag(None, "mixture of experts (1) or dense (0); default: the weight's, or dense", free=True)
    n_routed_experts: int | None = flag(None, "experts to choose from; default: the weight's, or 4", free=True, least=1)
    num_experts_per_tok: int | None = flag(None, "experts of a token; default: the weight's, or 2", free=True, least=1)
    n_shared_experts: int | None = flag(None, "experts of all tokens; default: the weight's, or 1", free=True, least=0)
    aux_loss_alpha: float | None = flag(None, "of the balance loss; default: the weight's, or 0.1", free=True, least=0)
    seq_aux: bool | None = flag(None, "balance every sequence (1) or batch (0); default: the weight's, or 1", free=True)
    rope_scaling: str | None = flag(None, "stretch the positions, by YaRN or linearly; default: as the weight's are",
                                    free=True, choices=["yarn", "linear"])  # fmt: skip
    rope_factor: float | None = flag(None, "to so many times the trained length; with --rope_scaling", free=True,
                                     above=1)  # fmt: skip
    rope_original: int | None = flag(None, "that length, in tokens; default: what the weight's .json says", free=True,
                                     least=2)  # fmt: skip
    tokenizer: str = flag(str(ROOT / "model"), "folder of the tokenizer", free=True)
    chat_template: str | None = flag(None, "how conversations are written: MiniMind's way or, with a thought in every "
                                     "answer, Qwen3's; default: the weight's, or the tokenizer's", free=True,
                                     choices=["minimind", "qwen3"])  # fmt: skip

    def sizes(self) -> dict[str, int | bool | None]:
        """The flags that shape the network, by the names of MiniMindConfig; None where none was given."""
        names = (
            "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
            "intermediate_size", "qk_norm", "rms_norm_eps", "use_moe", "n_routed_experts", "num_experts_per_tok",
            "n_shared_experts", "aux_loss_alpha", "seq_aux",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def stretch(self, model, trained_length: int, weight: str | Path) -> int:
        """Put --rope_scaling into a model. Returns the length, in tokens, that it is good for then. Raises ValueError
        where the length before is not known."""
        if self.rope_scaling is None:
            return trained_length
        from model.model_minimind import LENGTH  # and torch, which --help does not need

        original = self.rope_original or (model.config.rope_scaling or {}).get(LENGTH) or trained_length
        if not original:
            what = f"--rope_scaling {self.rope_scaling}: {weight} does not say how long its training samples were"
            raise ValueError(f"{what}: pass that length with --rope_original")
        return model.stretch({"rope_type": self.rope_scaling, "factor": self.rope_factor, LENGTH: original})

    def __post_init__(self):
        both = (self.rope_scaling is None) == (self.rope_factor is None)
        require(both, "--rope_scaling and --rope_factor go together")
        require(self.rope_scaling or not self.rope_original, "--rope_original needs --rope_scaling")
        for name, value in PRESETS.get(self.preset, {}).items():
            if getattr(self, name) is None:
                setattr(self, name, value)


@dataclass
class TrainOptions(ModelOptions):
    """The flags of every stage. Paths given are relative to the working directory, defaults to the repo. A resumed run
    must agree with the stopped one in all that is not `free`. Some free flags are compared by what they amount to
    (`identity` in trainer/checkpoint.py): steps of the run, samples per step, compute type, data."""

    temperature_lr_scale: ClassVar[float] = 0.0  # what the stages that sample make a flag of
    data_path: str | None = flag(None, "JSONL to train on; default: the full set, else the sample", free=True)
    val_path: str | None = flag(None, "JSONL to validate on; default: 1 percent of data_path, held out", free=True)
    out_dir: str = flag(str(ROOT / "out"), "folder for weights, states, metrics and the token cache", free=True)
    from_weight: str = flag("none", "weight to start from: a name in out_dir, a .pth path, or none", free=True)
    save_weight: str = flag("pretrain", "name of the weight that is written", is_name=True)
    from_resume: bool = flag(False, "1: continue the stopped run of the same weight", free=True)
    skip_finished: bool = flag(False, "1: skip the same run if finished, resume it if stopped", free=True)
    epochs: int = flag(1, "passes over the data, unless max_steps is given", free=True, least=1)
    max_steps: int = flag(0, "optimizer steps, over as many epochs as needed; 0: see epochs", free=True, least=0)
    batch_size: int = flag(32, "sequences per device and micro-batch", free=True, least=1, most=2**31)
    accumulation_steps: int = flag(1, "micro-batches per optimizer step", free=True, least=1, most=65536)
    max_seq_len: int = flag(512, "tokens per sequence", least=2, most=32768)
    learning_rate: float = flag(5e-4, "peak learning rate; the schedule is get_lr in trainer/optim.py", above=0)
    embedding_lr_scale: float = flag(1.0, "the embedding's rate, in multiples of learning_rate", above=0, most=1e6)
    warmup_steps: int = flag(-1, "linear warm-up steps; -1: 2 percent of the run", aliases=["--warmup_iters"], least=-1)
    optimizer: str = flag("muon", "muon (for the matrices; AdamW for the rest), or adamw", choices=["muon", "adamw"])
    weight_decay: float = flag(0.1, "weight decay of matrices; norms and embeddings have none", least=0, most=1e6)
    grad_clip: float = flag(1.0, "clip the gradient to this norm; 0: no clipping", least=0)
    average: float = flag(0.0, "the last share of the run over which the weights are averaged, as the result", least=0,
                          most=1)  # fmt: skip
    dropout: float = flag(0.0, "after the embedding, in attention and on both branches of a layer", least=0, below=1)
    dtype: str = flag("auto", "computing type; auto: bfloat16 on an NVIDIA GPU (float16 on an old one), else float32",
                      choices=["auto", "float32", "bfloat16", "float16"])  # fmt: skip
    device: str = flag("auto", "cuda, mps, cpu, or auto: the first of these that is available", free=True)
    compile: bool = flag(False, "compile the decoder with torch.compile (needs a C++ compiler)")
    gradient_checkpointing: bool = flag(False, "recompute activations in the backward pass: less memory, more time")
    num_workers: int = flag(0, "processes that load batches", free=True, least=0, most=256)
    skip_bad_lines: bool = flag(False, "drop and count bad lines instead of stopping")
    log_interval: int = flag(10, "steps between log records", free=True, least=1)
    save_interval: int = flag(500, "steps between training states and weights", free=True, least=1)
    eval_interval: int = flag(0, "steps between validations; 0: ten validations per run", free=True, least=0)
    seed: int = flag(42, "seed of the initial weights, the order of the data and dropout", least=0, most=2**32 - 1)
    use_wandb: bool = flag(False, "log to Weights & Biases (WANDB_MODE=offline works too)", free=True)
    wandb_project: str = flag("MiniMind", "project in Weights & Biases", free=True)
    wandb_run_name: str | None = flag(None, "name of the run there; default: the weight's", free=True)
    deepspeed: str | None = flag(None, "train with ZeRO: DeepSpeed's settings, like trainer/ds_config.json", free=True)
    local_rank: int = flag(-1, "set by launchers; torchrun's environment overrides it", free=True)
    ddp: bool = flag(False, "accepted for old commands; torchrun is detected automatically", free=True)


@dataclass
class RolloutOptions(TrainOptions):
    """What the stages share that learn from their own answers. A step is one rollout and `passes` updates on it."""

    equal_groups: ClassVar[str] = "keep"  # what GRPO makes flags of
    scale_rewards: ClassVar[str] = "none"
    group_size: int = flag(8, "answers to each question", least=1, most=65536)
    max_new_tokens: int = flag(256, "tokens of an answer, at most", least=1)
    temperature_lr_scale: float = flag(0.0, "let the last norm's gain change in length alone, as a temperature does, "
                                       "at so many times the rate; 0: like any other", least=0, most=1e6)  # fmt: skip
    passes: int = flag(1, "updates on each rollout", least=1, most=1000)
    mask_truncated: bool = flag(False, "learn nothing from answers that did not end within max_new_tokens")
    thinking: bool | None = flag(None, "think before answering (1) or answer at once (0); default: as it was trained")
    answers_per_batch: int = flag(32, "answers in one forward and backward pass: fewer need less memory", free=True,
                                  least=1)  # fmt: skip
    rollout_url: str | None = flag(None, "sample the answers on a server of OpenAI's protocol that gives token ids and "
                                   "log-probabilities, as http://127.0.0.1:8998/v1", free=True)  # fmt: skip
    rollout_model: str = flag("minimind", "name of the model there", free=True)
    max_batch: int = flag(128, "answers that are sampled at a time", free=True, least=1)
    sample_interval: int = flag(5, "steps between groups of answers in out_dir/rollouts", free=True, least=1)
    batch_size: int = flag(32, "questions per device and step")
    max_seq_len: int = flag(512, "tokens of question and answer")
    optimizer: str = flag("adamw", "muon (for the matrices; AdamW for the rest), or adamw", choices=["muon", "adamw"])
    weight_decay: float = flag(0.0, "weight decay of matrices")
    learning_rate: float = flag(1e-4, "peak learning rate; it rises over warmup_steps and falls by a cosine to a tenth")

    def check_rollouts(self) -> None:
        room = f"of --max_seq_len {self.max_seq_len} nothing is left for the question"
        require(self.max_new_tokens < self.max_seq_len, f"--max_new_tokens {self.max_new_tokens}: {room}")
        require(not self.deepspeed, "--deepspeed: rollouts need the whole model on every rank: use torchrun alone")


@dataclass
class RewardOptions(RolloutOptions):
    """What GRPO and PPO share."""

    rewards: list[str] = flag(["right=1", "form=0.1"], "NAME=WEIGHT: right, number, form, length, repetition, "
                              "language, model, or FILE.py:FUNCTION")  # fmt: skip
    reward_model: str | None = flag(None, "folder of a sequence-classification model, for the reward `model`")
    kl_weight: float = flag(0.0, "pull towards the starting weight, which then is in memory too", least=0)
    max_kl: float = flag(1e30, "a rollout's passes end when the policy has moved so far, in nats per token", above=0)
    from_weight: str = flag("reason", "weight to start from: a name in out_dir, or a .pth path")

    def __post_init__(self):
        super().__post_init__()
        self.check_rollouts()
        require(self.from_weight != "none", "--from_weight none: a policy needs a trained weight to start from")


@dataclass
class WeightOptions(ModelOptions):
    """Which weight, and where it runs."""

    model_mode: int = flag(1, "newest weight of: 0 pretrain, 1 SFT, 2 DPO, 3 reasoning, 4 PPO, 5 GRPO; with --weight, "
                           "the stage of a file without metadata", choices=[0, 1, 2, 3, 4, 5])  # fmt: skip
    weight: str | None = flag(None, "a weight file or Hugging Face folder, instead of the stage's newest in out_dir")
    load: int = flag(0, "1: --weight must be a Hugging Face folder; 0: it may be", choices=[0, 1])
    lora_name: str | None = flag(None, "LoRA adapter to apply: a name in out_dir/lora, or a path")
    tokenizer: str | None = flag(None, "folder of the tokenizer; default: model/, or the Hugging Face folder")
    out_dir: str = flag(str(ROOT / "out"), "folder of the weights")
    max_seq_len: int | None = flag(None, "maximum tokens of prompt and answer together; default: as in training, at "
                                   f"least {LEAST_CONTEXT}", least=16)  # fmt: skip
    device: str = flag("auto", "cuda, mps, cpu or auto")
    dtype: str = flag("auto", "computing type; auto: bfloat16 on a GPU that supports it, else float32; int8: for "
                      "few streams on a CPU", choices=["auto", "float32", "bfloat16", "float16", "int8"])  # fmt: skip
    thinking: bool | None = flag(None, "think before answering (1) or answer at once (0); default: as it was trained")

    def __post_init__(self):
        super().__post_init__()
        named = f"--weight {self.weight}: there is no such folder here: download it, or give another"
        is_folder = self.weight is not None and Path(self.weight).is_dir()
        require(is_folder or not self.load, f"--load 1 {named if self.weight else 'needs --weight FOLDER'}")

    def load_model(self):
        from trainer.loading import load_model, set_template  # and torch, which --help does not need

        loaded = load_model(
            self.weight or STAGES[self.model_mode], self.out_dir, self.tokenizer, self.sizes(), STAGES[self.model_mode],
            self.lora_name, self.device,
        )  # fmt: skip
        set_template(loaded.tokenizer, self.chat_template, loaded.title)
        return loaded._replace(trained_length=self.stretch(loaded.model, loaded.trained_length, loaded.title))

    def context(self, model, trained_length: int) -> int:
        """--max_seq_len, or the trained length, as far as the weight has positions."""
        positions = model.config.max_position_embeddings
        if (self.max_seq_len or 0) > positions:
            print(f"note: the context is {positions} tokens: the weight has no more positions", file=sys.stderr)
        return min(self.max_seq_len or max(LEAST_CONTEXT, trained_length), positions)

    def compute_dtype(self, model):
        from trainer.distributed import choose_dtype

        return choose_dtype(self.dtype, model.device)
