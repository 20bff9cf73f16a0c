"""A training stage in which something goes wrong on purpose, for tests/test_health.py and tests/test_distributed.py.

It is pretraining as users run it, but for its objective. The environment says what happens, and not flags, which a
resumed run would have to share: FAULT to each batch that holds the token `Z`, or to rank 1 in the step FAULT_STEP.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from trainer.command_line import flag, parse_options, run  # noqa: E402
from trainer.options import TrainOptions  # noqa: E402


@dataclass
class FaultyOptions(TrainOptions):
    conversations: bool = flag(False, "train on conversations rather than on packed documents")
    lora: bool = flag(False, "train an adapter alone")
    report: str = flag("", "file that gets a line each time that gradients travel")


def main() -> None:
    options = parse_options(FaultyOptions, "Go wrong.")

    import trainer.stage
    from dataset.lm_dataset import PretrainDataset, SFTDataset
    from model.model_lora import apply_lora, save_lora
    from model.weights import save_weights
    from trainer.objectives import LanguageModelObjective
    from trainer.replicas import Replicas

    fault_step = int(os.environ.get("FAULT_STEP", 0))

    class Faulty(LanguageModelObjective):
        steps = 0  # forward passes in training

        def forward(self, batch):
            sums = super().forward(batch)
            self.steps += self.training
            fault, poisoned = os.environ.get("FAULT"), bool((batch["input_ids"] == self.z).any())
            if os.environ.get("RANK", "1") == "1" and self.training and self.steps == fault_step:
                if fault == "value":
                    raise ValueError("a value on rank one")
                if fault == "file":
                    open("/there/is/no/such/file").close()
                if fault == "bug":
                    raise KeyError("a bug on rank one")
                if fault == "kill":
                    os.kill(os.getpid(), 9)
                if fault == "stop":
                    os.kill(os.getpid(), 15)
            if fault == "loud":
                sums["loss"] = 1e4 * sums["loss"]
            if fault == "nan" and poisoned:
                sums["loss"] = sums["loss"] * float("nan")
            if fault == "gradient" and poisoned:  # 0 with a slope that is infinite
                weight = next(p for p in self.parameters() if p.requires_grad)
                sums["loss"] = sums["loss"] + (weight - weight.detach()).sum().sqrt()
            return sums

    class CountingReplicas(Replicas):
        """Reports each time that gradients travel."""

        def wrap(self, dtype):
            from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

            wrapped = super().wrap(dtype)

            def count(state, bucket):
                if bucket.is_last():
                    with open(f"{options.report}{self.world.rank}", "a") as file:
                        alone = not wrapped.will_sync_module_buffers()
                        file.write("gradients alone\n" if alone else "gradients and buffers\n")
                return allreduce_hook(state, bucket)

            wrapped.register_comm_hook(None, count)
            return wrapped

    with trainer.stage.stage(options) as (world, tokenizer):
        if options.report:
            trainer.stage.replicas_class = lambda options: CountingReplicas
        model = trainer.stage.make_model(options, tokenizer, world)
        if options.lora:
            apply_lora(model, 2)
        objective = Faulty(model)
        objective.z = tokenizer.convert_tokens_to_ids("Z")
        kind = SFTDataset if options.conversations else PretrainDataset
        data = trainer.stage.load_data(kind, options, tokenizer, world, "", "")
        save = save_lora if options.lora else save_weights
        trainer.stage.train(options, "faulty", world, objective, tokenizer, *data, save_result=save)


if __name__ == "__main__":
    run(main)
