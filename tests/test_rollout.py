"""Rollouts and GRPO: what is sampled is what is trained, whatever batch, ranks or stops there are in between."""

import json
import re
import signal
from pathlib import Path

import pytest
import torch
from preloaded import run_preloaded, run_ranks
from serving import Server
from test_stages import records, same_weights

from dataset.lm_dataset import QuestionDataset
from model.model_lora import apply_lora
from model.weights import save_weights
from trainer.distributed import World
from trainer.losses import token_log_probs
from trainer.objectives import PolicyObjective, decode
from trainer.rewards import Rewards
from trainer.rollout import Rollouts
from trainer.train_grpo import GRPOOptions

ROOT = Path(__file__).resolve().parents[1]
GRPO, PPO = (ROOT / "trainer" / f"train_{name}.py" for name in ("grpo", "ppo"))
SIZE = {"hidden_size": 32, "num_hidden_layers": 1}
FLAGS = {"group_size": 4, "max_new_tokens": 10, "max_seq_len": 48, "answers_per_batch": 3, "seed": 7}
NETWORKS = {"dense": {}, "moe": {"use_moe": True}, "qk_norm": {"qk_norm": True}, "lora": {}}


def question(number: int) -> dict:
    asked = f"{number} 的后面是几？" + "请说。" * (number % 3)  # of unlike length
    return {"messages": [{"role": "user", "content": asked}], "answers": [str(number + 1)]}


def write(path: Path, lines: list[dict]) -> Path:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return path


@pytest.fixture(scope="module")
def brief(make_model, tokenizer):
    """A function that makes a network whose answers often end by themselves, within a few tokens."""

    def make(kind: str = "dense"):
        model = make_model(vocab_size=len(tokenizer), **SIZE, **NETWORKS[kind])
        with torch.no_grad():
            model.lm_head.weight[tokenizer.eos_token_id] *= 8
            if kind == "lora":
                apply_lora(model, 4)
                for parameter in model.parameters():
                    if parameter.requires_grad:
                        parameter.normal_(0, 0.2)
        return model

    return make


@pytest.fixture
def rollouts(brief, tokenizer, tmp_path):
    """A function that makes Rollouts of six questions."""

    def make(kind: str = "dense", rewards: tuple[str, ...] = ("length=-1",), **flags) -> Rollouts:
        options = GRPOOptions(**FLAGS | {"out_dir": str(tmp_path)} | flags)
        path = write(tmp_path / "rl.jsonl", [question(i) for i in range(6)])
        data = QuestionDataset(path, tokenizer, 48, stage="full_sft", room=10, cache_dir=tmp_path)
        objective = PolicyObjective(brief(kind), options.loss, (None, None), options.max_new_tokens)
        return Rollouts(options, objective, tokenizer, World(0, 1, torch.device("cpu")), data, Rewards(rewards))

    return make


def step(made: Rollouts, *places: int, number: int = 0) -> list[dict[str, torch.Tensor]]:
    return made.make_batches([{"questions": torch.tensor(places)}], number)


def told(made: Rollouts, batches: list[dict]) -> dict[str, float]:
    n_answers = sum(float(batch["n_told"]) for batch in batches)
    return dict(zip(made.told_names, (sum(batch["told"] for batch in batches) / n_answers).tolist(), strict=True))


def update(made: Rollouts, batches: list[dict], optimizer) -> None:
    n = sum(made.objective.counts(batch)["loss"] for batch in batches)
    sum(made.objective(batch)["loss"] for batch in batches).div(n).backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_trainer_gives_each_sampled_token_the_log_probability_it_was_drawn_at(rollouts, kind):
    """Before a step and after it: the engine has the new weights then, and the first ratio is 1 again."""
    made, drawn = rollouts(kind, equal_groups="keep"), []
    head, optimizer = made.objective.model.lm_head.weight, torch.optim.AdamW(made.objective.parameters(), lr=1e-2)
    for _ in range(2):
        batches = step(made, *range(6))
        for batch in batches:
            hidden, mask = decode(made.objective.model, batch).last_hidden_state, batch["loss_mask"]
            log_probs, _ = token_log_probs(hidden, head, batch["targets"], mask)
            assert (log_probs - batch["old_log_probs"][mask > 0]).abs().max() <= 1e-4
            sums = made.objective(batch)
            assert sums["ratio"].item() == pytest.approx(float(mask.sum()), rel=1e-4) and sums["clipped"] == 0
            assert sums["policy_kl"].item() == pytest.approx(0, abs=1e-5)
        drawn.append(torch.cat([batch["old_log_probs"][batch["loss_mask"] > 0] for batch in batches]))
        update(made, batches, optimizer)
    n = min(map(len, drawn))
    assert (drawn[0][:n] - drawn[1][:n]).abs().max() > 0.1


def fixed(made: Rollouts, *places: int) -> list:
    """The answers to these questions as (prompt, answer) of the coming steps, shortest first."""
    groups = made.groups([*places], 0)
    made.groups = lambda *_: groups
    answers = [answer for group in groups for answer in group]
    assert {answer.finished for answer in answers} == {True, False}  # both kinds
    return sorted(answers, key=lambda answer: len(answer.prompt_ids) + len(answer.token_ids))


def test_a_trajectory_is_the_prompt_and_what_was_sampled_and_only_that_is_learned(rollouts, tokenizer):
    made, rows = rollouts(equal_groups="keep"), []
    answers = fixed(made, 0, 1, 5)
    for batch in step(made, 0, 1, 5):
        hidden = decode(made.objective.model, batch).last_hidden_state.detach().requires_grad_()
        made.objective.sums(hidden, batch)["loss"].backward()  # d loss / d logits, times the head
        names = ("input_ids", "targets", "loss_mask", "attention_mask", "old_log_probs", "advantages")
        rows += zip(*(batch[name] for name in names), hidden.grad.abs().amax(-1), strict=True)
    for answer, (ids, targets, mask, attention, old, advantages, gradient) in zip(answers, rows, strict=True):
        assert answer.prompt_ids == made.data.prompt(answer.question)
        whole, given = answer.prompt_ids + answer.token_ids, len(answer.prompt_ids) - 1
        n, sampled = len(whole) - 1, torch.zeros(len(ids))
        sampled[given:n] = 1
        assert ids[:n].tolist() == whole[:-1] and targets[:n].tolist() == whole[1:]
        assert (whole[-1] == tokenizer.eos_token_id) == answer.finished
        assert torch.equal(mask, sampled) and torch.equal(attention, (torch.arange(len(ids)) < n).long())
        assert torch.equal(advantages, sampled * torch.tensor(answer.advantage))
        assert old[given:n].tolist() == pytest.approx(answer.log_probs) and not old[sampled == 0].any()
        assert torch.equal(gradient > 0, (sampled > 0) & (advantages != 0))  # at the end of turn too
    assert sum(answer.advantage != 0 for answer in answers if answer.finished) > 3


def test_a_seed_gives_the_same_answer_in_any_company(rollouts):
    def ids(made: Rollouts, places: list[int], number: int = 0) -> dict[int, list[list[int]]]:
        return {group[0].question: [a.token_ids for a in group] for group in made.groups(places, number)}

    whole = ids(rollouts(), [0, 1, 2, 3, 4, 5])
    for max_batch in (3, 64):
        assert ids(rollouts(max_batch=max_batch), [5, 3]) == {place: whole[place] for place in (5, 3)}
    assert all(len(set(map(tuple, group))) > 2 for group in whole.values())  # the numbers of a group differ
    assert ids(rollouts(), [0], 1)[0] != whole[0] != ids(rollouts(seed=8), [0])[0]


@pytest.mark.parametrize("how", ["skip", "keep", "resample"])
def test_groups_whose_answers_are_all_worth_the_same(rollouts, how):
    """Questions 0 and 1 are those, in every attempt."""
    made, equal = rollouts(equal_groups=how), [question(i)["messages"] for i in (0, 1)]
    made.rewards.functions["length"] = lambda replies: [
        0.5 if reply.messages in equal else sum(reply.token_ids) for reply in replies
    ]
    batches = step(made, 0, 1, 2)
    n_answers, figures = sum(made.objective.counts(batch)["loss"] for batch in batches), told(made, batches)
    assert sum(float(batch["n_told"]) for batch in batches) == 12
    assert n_answers == {"skip": 4, "keep": 12, "resample": 12}[how]
    assert figures["equal_groups"] == pytest.approx({"skip": 2 / 3, "keep": 2 / 3, "resample": 0}[how])
    batches = step(made, 0, 1)
    loss = sum(made.objective(batch)["loss"] for batch in batches)
    assert how == "resample" or not loss.any()
    loss.backward()  # also of a step in which nothing is left
    assert all(parameter.grad.any() == (how == "resample") for parameter in made.objective.parameters())


def test_what_did_not_end_is_not_learned_on_demand(rollouts):
    made = rollouts(mask_truncated=True, equal_groups="keep", answers_per_batch=1)
    for answer, batch in zip(fixed(made, 0, 1, 5), step(made, 0, 1, 5), strict=True):
        learned = len(answer.token_ids) * answer.finished
        assert batch["loss_mask"].sum() == made.objective.counts(batch)["ratio"] == learned
        assert bool(batch["advantages"].any()) == bool(made.objective(batch)["loss"].any()) == answer.finished


@pytest.mark.parametrize("loss", ["grpo", "dapo", "dr_grpo", "cispo", "gspo", "reinforce"])
def test_with_every_loss_what_is_rewarded_becomes_likelier(rollouts, loss):
    made, rewards = rollouts(loss=loss, group_size=8, answers_per_batch=64), []
    optimizer = torch.optim.AdamW(made.objective.parameters(), lr=3e-3)
    for number in range(6):
        batches = step(made, *range(6), number=number)
        rewards.append(told(made, batches)["reward"])
        update(made, batches, optimizer)
    assert rewards[-1] > rewards[0] + 0.1


def test_figures_have_names_of_their_own(rollouts):
    """A reward that is called as a figure of the rollout does not take its place."""
    made = rollouts(rewards=("length=-2",))
    names = [*made.told_names, *made.objective.figures]
    assert len(set(names)) == len(names)
    assert -2 <= told(made, step(made, 0))["reward"] < 0


# ------------------------------------------------------------ real runs

REWARD = """
import json, math, os, signal
calls = 0

def score(reply):
    '''Anything that tells answers apart; as FAULT says, the answer number FAULT_AT goes wrong, on rank 1.'''
    global calls
    calls += 1
    if "ANSWERS" in os.environ:
        with open(os.environ["ANSWERS"], "a") as file:
            file.write(json.dumps([reply.messages, reply.token_ids]) + "\\n")
    wrong = calls == int(os.environ.get("FAULT_AT", 1)) and os.environ.get("RANK", "1") == "1"
    fault = os.environ.get("FAULT") if wrong else None
    if fault == "stop":
        os.kill(os.getpid(), signal.SIGTERM)
    if fault == "raise":
        raise KeyError("a bug")
    return math.nan if fault == "nan" else sum(reply.token_ids) % 7 / 7
"""
# train_grpo.py, which also writes what each rank has trained.
SHOWN = """
import os, sys
sys.path.insert(0, "{root}")
import torch
from trainer import engine, train_grpo
save = engine.Trainer.save

def show_and_save(self):
    torch.save(self.trained_state(), os.environ["SHOWN"] + str(self.world.rank))
    save(self)

engine.Trainer.save = show_and_save
train_grpo.run(train_grpo.main)
"""
VARIANTS = {"full": ("dense", "grpo_32", []), "moe": ("moe", "grpo_32_moe", [])}
VARIANTS |= {"lora": ("dense", "lora/a_32", ["--lora_name", "a"])}
RUN = [word for name, value in FLAGS.items() for word in (f"--{name}", value)]
RUN += ["--batch_size", 2, "--log_interval", 1, "--sample_interval", 1, "--eval_interval", 2, "--learning_rate", "1e-3"]
TIMES = ("seconds", "tokens_per_second", "data_wait", "rollout_tokens_per_second", "rollout_seconds", "peak_memory_mib")
N_HELD_OUT, N_OF_STEP = 2, 8  # answers


@pytest.fixture(scope="module")
def places(brief, tokenizer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("places")
    write(folder / "rl.jsonl", [question(i) for i in range(5)])
    write(folder / "val.jsonl", [question(i) for i in range(5, 5 + N_HELD_OUT)])
    write(folder / "no_answer.jsonl", [question(1), question(2) | {"answers": []}])
    long = {"messages": [{"role": "user", "content": "很长" * 30}], "answers": ["1"]}
    write(folder / "long.jsonl", [question(1), long])
    (folder / "my.py").write_text(REWARD)
    (folder / "shown.py").write_text(SHOWN.format(root=ROOT))
    for kind in ("dense", "moe"):
        save_weights(brief(kind), folder / f"{kind}.pth", tokenizer, stage="full_sft", step=1)
    return folder


def flags(places: Path, out_dir: Path, kind: str = "dense") -> list:
    data = ["--data_path", places / "rl.jsonl", "--val_path", places / "val.jsonl", "--out_dir", out_dir]
    return [*RUN, *data, "--from_weight", places / f"{kind}.pth", "--rewards", f"{places}/my.py:score=1", "form=0.1"]


def errors(done) -> list[str]:
    assert "Traceback" not in done.stderr, done.stderr
    return [line for line in re.split(r"[\r\n]+", done.stderr) if line.startswith("error: ")]


def untimed(out_dir: Path, name: str) -> list[dict]:
    """The records of a run but for how fast it was."""
    return [{k: v for k, v in record.items() if k not in TIMES} for record in records(out_dir, name)]


def test_two_ranks_equal_one(places, tmp_path):
    """Answer for answer, also in a step that has one question, none for the second rank."""
    for n_ranks, batch_size in ((1, 4), (2, 2)):
        out = tmp_path / str(n_ranks)
        own = ["--batch_size", batch_size, "--max_steps", 3, "--learning_rate", "1e-4", "--scale_rewards", "batch"]
        env = {"ANSWERS": f"{out}.jsonl", "SHOWN": f"{out}-"}
        done = run_ranks(n_ranks, places / "shown.py", *flags(places, out, "moe"), *own, env=env)
        assert all(d.returncode == 0 for d in done), done[0].stderr
    texts = [(tmp_path / f"{n}/rollouts/grpo_32_moe.jsonl").read_text("utf-8") for n in (1, 2)]
    assert texts[0] == texts[1] and len(texts[0].splitlines()) == 3
    answers = [sorted((tmp_path / f"{n}.jsonl").read_text().splitlines()) for n in (1, 2)]
    assert answers[0] == answers[1] and len(answers[0]) == 3 * N_HELD_OUT + 4 * (4 + 1 + 4)
    one, first, second = (torch.load(tmp_path / name, weights_only=True) for name in ("1-0", "2-0", "2-1"))
    assert one.keys() == first.keys()
    for key in one:
        assert torch.equal(first[key], second[key]) and (one[key] - first[key]).abs().max() <= 1e-5
    alone, together = (untimed(tmp_path / str(n), "grpo_32_moe") for n in (1, 2))
    assert all(b == pytest.approx(a, rel=1e-3, abs=1e-5) for a, b in zip(alone, together, strict=True))
    ratios = [record["ratio"] for record in alone if "ratio" in record]
    assert ratios == pytest.approx([1] * 3, abs=1e-4)  # also of the network as it is trained


@pytest.fixture(scope="module")
def whole(places, tmp_path_factory):
    """A function that runs a variant without a stop, once."""
    folders: dict[str, Path] = {}

    def run(variant: str) -> Path:
        if variant not in folders:
            kind, name, own = VARIANTS[variant]
            folders[variant] = tmp_path_factory.mktemp(variant)
            done = run_preloaded(GRPO, *flags(places, folders[variant], kind), *own, "--max_steps", 4, "--passes", 2)
            assert done.returncode == 0, done.stderr
            assert all(record.get("grad_norm", 1) > 0 for record in records(folders[variant], name)[:4])
        return folders[variant]

    return run


def saved_step(out_dir: Path, name: str) -> int | None:
    path = out_dir / "checkpoints" / f"{name}.pt"
    return torch.load(path, weights_only=True)["step"] if path.exists() else None


CUTS = [("full", "stop"), ("moe", "stop"), ("lora", "stop"), ("full", "nan"), ("full", "raise")]


@pytest.mark.parametrize(("variant", "fault"), CUTS)
def test_a_run_that_was_cut_goes_on_as_if_it_had_not_been(places, whole, tmp_path, variant, fault):
    """By a signal in the middle of a rollout, by a reward that is no number there, by one that fails in a validation;
    what was trained before is kept, to the bit."""
    kind, name, own = VARIANTS[variant]
    command = [GRPO, *flags(places, tmp_path, kind), *own, "--max_steps", 4, "--passes", 2]
    validated = N_HELD_OUT + 2 * N_OF_STEP
    at = validated + (1 if fault == "raise" else N_HELD_OUT + 3)  # 3 answers into the third step
    cut = run_preloaded(*command, env={"FAULT": fault, "FAULT_AT": str(at)})
    assert saved_step(tmp_path, name) == 2, cut.stderr
    if fault == "stop":
        assert cut.returncode == 128 + signal.SIGTERM and not errors(cut)
    else:
        (said,) = errors(cut)
        assert cut.returncode == 1 and ("the reward score is nan" if fault == "nan" else "KeyError: 'a bug'") in said
    on = run_preloaded(*command, "--from_resume", 1)
    assert on.returncode == 0, on.stderr
    assert same_weights(tmp_path / f"{name}.pth", whole(variant) / f"{name}.pth")
    assert untimed(tmp_path, name) == untimed(whole(variant), name)
    shown = [(folder / "rollouts" / f"{name}.jsonl").read_text("utf-8") for folder in (tmp_path, whole(variant))]
    assert shown[0] == shown[1] and len(shown[0].splitlines()) == 4


@pytest.mark.parametrize(("fault", "at"), [("nan", 1 + 2 * 4 + 0 + 1 + 3), ("raise", 1 + 2 * 4 + 0 + 1)])
def test_when_a_reward_fails_on_one_rank_all_save_and_end(places, tmp_path, fault, at):
    """Rank 1 judges an answer in a validation, two questions in a step, none in the next, an answer in a validation."""
    done = run_ranks(2, GRPO, *flags(places, tmp_path), "--max_steps", 4, env={"FAULT": fault, "FAULT_AT": str(at)})
    (said,) = [line for rank in done for line in errors(rank)]
    assert [d.returncode for d in done] == [1, 1] and "the reward score " in said
    assert saved_step(tmp_path, "grpo_32") == 2


MISTAKES = {
    "no answer": (["--data_path", "{dir}/no_answer.jsonl", "--rewards", "right=1"], ["no_answer.jsonl:2:"], 1),
    "no room": (["--data_path", "{dir}/long.jsonl"], ["long.jsonl:2:", "tokens long"], 1),
    "no room for any": (["--max_new_tokens", "48"], ["--max_new_tokens 48", "--max_seq_len 48"], 2),
    "a temperature of an adapter": (
        ["--lora_name", "a", "--temperature_lr_scale", "9"], ["--temperature_lr_scale", "--lora_name"], 2
    ),
    "a group of one": (["--group_size", "1"], ["--group_size 1"], 2),
    "an unknown reward": (["--rewards", "rihgt=1"], ["rihgt", "right"], 2),
    "a file that is not there": (["--rewards", "{dir}/none.py:score=1"], ["{dir}/none.py"], 2),
    "no such function": (["--rewards", "{dir}/my.py:scroe=1"], ["{dir}/my.py", "scroe"], 2),
    "a reward that raises": ([], ["the reward score", "KeyError: 'a bug'"], 1),
    "DeepSpeed": (["--deepspeed", str(ROOT / "trainer" / "ds_config.json")], ["--deepspeed", "torchrun"], 2),
    "nothing to start from": (["--from_weight", "none"], ["--from_weight none"], 2),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake(places, tmp_path, name):
    wrong, named, code = MISTAKES[name]
    wrong = [flag.format(dir=places) for flag in wrong]
    env = {"FAULT": "raise"} if name == "a reward that raises" else {}
    done = run_preloaded(GRPO, *flags(places, tmp_path / "out"), *wrong, "--max_steps", 2, env=env)
    (said,) = errors(done)
    assert all(words.format(dir=places) in said for words in named) and done.returncode == code
    assert not list((tmp_path / "out").glob("*.pth"))


# ------------------------------------------------------------ other programs


def test_answers_of_a_server(places, tmp_path):
    """With the weights of the start the first ratio is 1; a server that is gone costs nothing that was learned."""
    server = Server(tmp_path, "--weight", places / "dense.pth")
    own = ["--max_steps", 2, "--rollout_url", f"{server.url}/v1"]
    try:
        done = run_preloaded(GRPO, *flags(places, tmp_path), *own)
    finally:
        server.stop()
    assert done.returncode == 0, done.stderr
    steps = [record for record in records(tmp_path, "grpo_32") if "ratio" in record]
    assert steps[0]["ratio"] == pytest.approx(1, abs=1e-4) and steps[0]["length"] > 1
    assert abs(steps[1]["ratio"] - 1) > 1e-6  # it keeps its weights
    cut = run_preloaded(GRPO, *flags(places, tmp_path), *own, "--save_weight", "cut", "--max_steps", 3)
    (said,) = errors(cut)
    assert cut.returncode == 1 and server.url in said and (tmp_path / "cut_32.pth").is_file()


@pytest.mark.parametrize("critic", ["shared", "own"])
def test_ppo_cut_and_continued_is_ppo(places, tmp_path, critic):
    """The critic is a part of the training state, but not of the weight."""
    own = ["--critic", critic, "--max_steps", 4, "--save_interval", 2]
    for name, stop in (("whole", None), ("cut", "stop")):
        env = {"FAULT": stop, "FAULT_AT": str(N_HELD_OUT + 2 * N_OF_STEP + 1)} if stop else {}
        done = run_preloaded(PPO, *flags(places, tmp_path / name), *own, env=env)
        assert done.returncode == (143 if stop else 0), done.stderr
    done = run_preloaded(PPO, *flags(places, tmp_path / "cut"), *own, "--from_resume", 1)
    assert done.returncode == 0, done.stderr
    assert same_weights(*(tmp_path / name / "ppo_32.pth" for name in ("whole", "cut")))
    assert untimed(tmp_path / "whole", "ppo_32")[-1] == untimed(tmp_path / "cut", "ppo_32")[-1]
    assert not any("value" in key for key in torch.load(tmp_path / "whole" / "ppo_32.pth", weights_only=True))


def test_a_student_learns_from_its_own_answers(places, tmp_path):
    """On-policy distillation lowers the reverse KL to the teacher on what the student itself says."""
    said = [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}]
    data = write(tmp_path / "said.jsonl", [{"conversations": said} for _ in range(8)])
    own = ["--data_path", data, "--val_path", data, "--teacher_weight", places / "dense.pth", "--on_policy", 1]
    own += ["--hidden_size", 32, "--num_hidden_layers", 1, "--group_size", 8, "--max_new_tokens", 10, "--max_steps", 12]
    sizes = ["--max_seq_len", 48, "--learning_rate", "1e-2", "--log_interval", 1]
    done = run_preloaded(ROOT / "trainer" / "train_distillation.py", *own, *sizes, "--out_dir", tmp_path)
    assert done.returncode == 0, done.stderr
    losses = [record["loss"] for record in records(tmp_path, "full_dist_32") if "loss" in record]
    assert losses[-1] < 0.8 * losses[0]
