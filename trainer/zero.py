"""Training under DeepSpeed's ZeRO (Rajbhandari et al. 2020): the ranks divide among them what each holds whole in DDP.

Stage 1 divides AdamW's moments and the float32 weights that it works on, stage 2 the gradients too, stage 3 the
parameters themselves, which are gathered layer by layer while they are used. Arithmetic and files are those of DDP: a
run may continue with or without DeepSpeed, in any stage, with any number of ranks.
"""

import contextlib
import importlib.util
import json
import logging
import os
import warnings
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from model.model_minimind import MiniMindForCausalLM
from trainer.command_line import require
from trainer.distributed import World, choose_dtype
from trainer.optim import set_lr
from trainer.options import TrainOptions
from trainer.replicas import Replicas

MOMENTS = ("exp_avg", "exp_avg_sq")  # AdamW's running means of the gradient and of its square


def read_config(options: TrainOptions, world: World) -> dict:
    """DeepSpeed's settings from the file that --deepspeed names, what our own flags decide filled in. Such an entry may
    be left out, be "auto", or say the same as the flag. Raises ValueError for a file that cannot be read, an entry that
    contradicts a flag, or no ZeRO stage."""
    path = Path(options.deepspeed).absolute()
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"--deepspeed {path}: cannot read it ({error.strerror}): name a JSON file") from None
    except ValueError as error:
        raise ValueError(f"{path}: this is not valid JSON ({error})") from None
    zero = config.get("zero_optimization") if isinstance(config, dict) else None
    stage = zero.get("stage") if isinstance(zero, dict) else None
    if stage not in (1, 2, 3):
        raise ValueError(f"{path}: zero_optimization.stage is {json.dumps(stage)}: write 1, 2 or 3")
    batch, steps = options.batch_size, options.accumulation_steps
    decided = {
        "train_micro_batch_size_per_gpu": (batch, "--batch_size"),
        "gradient_accumulation_steps": (steps, "--accumulation_steps"),
        "train_batch_size": (batch * steps * world.world_size, "--batch_size times --accumulation_steps times ranks"),
        "gradient_clipping": (options.grad_clip, "--grad_clip"),
        # Ours works with and without offload; DeepSpeed's own would have to be compiled on the user's machine.
        "zero_force_ds_cpu_optimizer": (False, "MiniMind's own AdamW"),
    }
    for key, (value, flag) in decided.items():
        if (entry := config.get(key, "auto")) not in ("auto", value):
            what = f"{key} is {json.dumps(entry)}, but {flag} says {json.dumps(value)}"
            raise ValueError(f'{path}: {what}: write "auto" or the same')
        config[key] = value
    for key in {"optimizer", "scheduler", "bf16", "fp16", "torch_autocast"} & config.keys():
        flags = "--optimizer, --learning_rate, --weight_decay and --dtype"
        raise ValueError(f"{path}: leave {key} out: {flags} decide what the weights are trained with")
    for key in ("offload_optimizer", "offload_param"):
        if zero.get(key) not in (None, "auto") and zero[key].get("device") not in ("cpu", "none"):
            raise ValueError(f'{path}: zero_optimization.{key}.device must be "cpu" or "none"')
    dtype = choose_dtype(options.dtype, world.device, old_gpu="float16")
    require(dtype != torch.float16, "--dtype float16 does not go with --deepspeed: pass bfloat16 or float32")
    if dtype != torch.float32:
        # The weights stay float32. As in DDP, so does what travels between ranks, and what is gathered to be saved.
        name = str(dtype).removeprefix("torch.")
        config["torch_autocast"] = {"enabled": True, "dtype": name, "lower_precision_safe_modules": []}
    return {key: value for key, value in config.items() if value != "auto"}


class ZeroReplicas(Replicas):
    """`Replicas` whose backward pass, clipping and step are DeepSpeed's."""

    @staticmethod
    def check(options: TrainOptions, world: World) -> None:
        """ValueError for what DeepSpeed cannot do here."""
        installed = importlib.util.find_spec("deepspeed") is not None
        require(installed, "--deepspeed: the package is not installed (on Linux: pip install -r requirements.txt)")
        stage = read_config(options, world)["zero_optimization"]["stage"]
        reason = "Muon needs whole matrices, and ZeRO divides them: with --deepspeed pass --optimizer adamw"
        require(options.optimizer == "adamw", f"--optimizer {options.optimizer}: {reason}")
        require(not options.compile or stage < 3, "--compile does not go with ZeRO stage 3: use stage 2 or 1")
        require(world.device.type != "mps", "--deepspeed does not work on an Apple GPU: pass --device cpu")

    def wrap(self, dtype: torch.dtype) -> nn.Module:
        config = read_config(self.options, self.world)
        self.in_step = config["zero_optimization"]["stage"] == 3
        self.deepspeed = import_deepspeed(self.world.device)
        if not dist.is_initialized():  # DeepSpeed wants a group even of one
            backend = "nccl" if self.world.device.type == "cuda" else "gloo"
            dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
        (adamw,) = self.optimizer.parts
        self.optimizer = ZeroAdamW(adamw)
        if self.world.world_size == 1:
            os.environ.setdefault("LOCAL_RANK", "0")  # as launchers do
        try:
            self.engine, *_ = self.deepspeed.initialize(
                model=self.objective, optimizer=adamw, config=config, dist_init_required=False
            )
        except ValueError as error:  # of pydantic, by several lines
            raise ValueError(f"{self.options.deepspeed}: {' '.join(str(error).split())}") from None
        self.optimizer.engine = self.engine
        return self.engine

    def micro_step(self, last: bool) -> contextlib.AbstractContextManager:
        self.engine.set_gradient_accumulation_boundary(last)
        return contextlib.nullcontext()

    def backward(self, loss: torch.Tensor) -> None:
        # The loss is the sum over a whole step divided by its whole count: no division by the micro-batches.
        self.engine.backward(loss, scale_wrt_gas=False)

    def clip_gradients(self) -> torch.Tensor:
        """DeepSpeed clips and updates in one call, and leaves out the update if the norm is not finite."""
        self.engine.step()
        return torch.as_tensor(self.engine.get_global_grad_norm())

    def whole_model(self) -> nn.Module:
        """Under stage 3 a copy, as a rank that calls the model needs all others to call it too."""
        if not self.in_step:
            return self.model
        cuda = [self.world.device] if self.world.device.type == "cuda" else []
        with self.gathered(), torch.random.fork_rng(cuda):  # a new network draws weights
            copy = MiniMindForCausalLM(self.model.config).to(self.world.device)
            copy.load_state_dict(self.model.state_dict())
        return copy.train(self.model.training)

    @contextlib.contextmanager
    def gathered(self, write: bool = False):
        parameters, writer = list(self.objective.parameters()), 0 if write else None
        with self.deepspeed.zero.GatheredParameters(parameters, modifier_rank=writer, enabled=self.in_step):
            yield

    @contextlib.contextmanager
    def whole_state(self, keep: bool):
        with self.gathered():
            self.optimizer.gather(keep)
            yield
        self.optimizer.moments = {}  # whole, they take twice what the weights do


class ZeroAdamW:
    """The AdamW inside DeepSpeed's optimizer, to the rest of the engine like any other. Made before DeepSpeed divides
    the parameters. State dicts have the format of the undivided optimizer: {"parts": [AdamW's own state dict]}."""

    def __init__(self, adamw: torch.optim.AdamW):
        self.adamw = adamw
        self.parameters = [p for group in adamw.param_groups for p in group["params"]]  # as a state dict numbers them
        self.groups = adamw.state_dict()["param_groups"]
        self.moments: dict[int, dict[str, torch.Tensor]] = {}

    def set_lr(self, lr: float) -> None:
        set_lr([*self.adamw.param_groups, *self.groups], lr)

    def step(self) -> None:
        """Done by clip_gradients, as is zero_grad."""

    zero_grad = step

    def gather(self, keep: bool) -> None:
        """Collect the moments for `state_dict`, on the ranks that are to `keep` them; every rank must call it."""
        from deepspeed.utils import safe_get_full_optimizer_state

        self.moments = {}
        if not self.adamw.state:  # before the first step
            return
        self.link()
        step = next(iter(self.adamw.state.values()))["step"]
        for number, parameter in enumerate(self.parameters):
            whole = {name: safe_get_full_optimizer_state(parameter, name) for name in MOMENTS}
            if keep:
                # of its own: AdamW counts up the step of every parameter
                own_step = step.to("cpu", copy=True)
                self.moments[number] = {name: value.cpu() for name, value in whole.items()} | {"step": own_step}

    def state_dict(self) -> dict:
        return {"parts": [{"state": self.moments, "param_groups": self.groups}]}

    def load_state_dict(self, state_dict: dict) -> None:
        """Also takes over the parameters as they are now, which must be whole."""
        (state,) = state_dict["parts"]
        if state["state"]:
            self.make_moments(state["state"][0]["step"])
        for number, parameter in enumerate(self.parameters):
            self.put(parameter, parameter.data)
            for name in MOMENTS if state["state"] else ():
                self.put(parameter, state["state"][number][name], name)

    def make_moments(self, step: torch.Tensor) -> None:
        """What AdamW would make at its first step: moments of zero for this rank's share."""
        zero = self.engine.optimizer
        stage_3 = hasattr(zero, "fp32_partitioned_groups_flat")
        for share in zero.fp32_partitioned_groups_flat if stage_3 else zero.single_partition_of_fp32_groups:
            moments = {name: torch.zeros_like(share) for name in MOMENTS}
            self.adamw.state[share] = moments | {"step": step.to(share.device, copy=True)}
        self.link()

    def link(self) -> None:
        """Let stages 1 and 2 find the moments by their parameters. DeepSpeed 0.19 does it once, after the step of the
        first group, when the second one's are not there yet."""
        zero = self.engine.optimizer
        if hasattr(zero, "_lazy_init_hp_params_optimizer_state"):
            zero._hp_optimizer_states_linked = False
            zero._lazy_init_hp_params_optimizer_state()

    @staticmethod
    def put(parameter: nn.Parameter, whole: torch.Tensor, moment: str | None = None) -> None:
        """Give DeepSpeed its share of a parameter's float32 weights, or of a moment."""
        if hasattr(parameter, "ds_tensor"):  # stage 3; the last share is filled up with zeros
            n = parameter.ds_tensor.numel()
            shares = F.pad(whole.flatten(), (0, n * dist.get_world_size() - whole.numel())).view(-1, n)
            parameter._z3_optimizer.set_local_hp_param(shares[dist.get_rank()], parameter, moment)
        else:
            parameter.set_full_hp_param(whole, moment)


def import_deepspeed(device: torch.device):
    """The package, set to this device, without its notes of what it does."""
    os.environ.setdefault("DS_ACCELERATOR", device.type)
    import deepspeed

    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    # It calls torch's gathering functions, thousands of times, by names that have got successors.
    warnings.filterwarnings("ignore", r"`torch\.distributed\.\w+` is deprecated", FutureWarning)
    # On a CPU it would compile C++ at the first start, to pass tensors through shared memory; gloo does without.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed
