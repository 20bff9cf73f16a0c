"""Rollouts: the policy answers a step's questions, and its answers become what the step trains on.

A trajectory is the tokens that were sampled, with the log-probabilities that they were drawn at, and never text that is
tokenised again. They are drawn at temperature 1 from the whole vocabulary, so that the policy that is sampled is the
one that is trained. What was given (the question) has loss weight 0; the sampled end of turn is learned like any token.
The noise of each answer depends on the run's seed, the step, the question and the answer's number alone.
"""

import itertools
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from dataset.batching import Collate
from dataset.chat import answer_in
from dataset.lm_dataset import QuestionDataset
from model.files import write_atomically
from model.generation import Generator, bytes_of_tokens
from model.sampling import Sampling
from model.weights import weight_name
from trainer.distributed import World, choose_precision
from trainer.losses import generalised_advantages, group_advantages
from trainer.options import RolloutOptions
from trainer.rewards import Reply, Rewards

RETRIES = 4  # of a request to a server, with pauses that grow to seconds
RESAMPLED = 3  # times that groups without variance are drawn anew, under --equal_groups resample


class RolloutError(ValueError):
    """No answers, or no rewards for them. All ranks raise it, so that what is trained so far can be saved."""


@dataclass
class Answer:
    """One answer to one question."""

    question: int  # its place in the data
    prompt_ids: list[int]
    token_ids: list[int]  # as sampled, the end of turn among them
    log_probs: list[float]  # of these, natural logarithms
    finished: bool
    reply: Reply
    rewards: dict[str, float] = field(default_factory=dict)
    advantage: float = 0.0


class Rollouts:
    """`rewards` None: the answers alone, for a loss of their own. `objective.model` is the policy."""

    def __init__(
        self, options: RolloutOptions, objective, tokenizer, world: World, data: QuestionDataset,
        rewards: Rewards | None = None,
    ):  # fmt: skip
        self.options, self.objective, self.tokenizer, self.world = options, objective, tokenizer, world
        self.data, self.rewards = data, rewards
        dtype, self.autocast = choose_precision(options.dtype, world.device)
        self.collate = Collate(tokenizer.pad_token_id)
        model = objective.model.to(world.device)
        self.engine = Generator(model, tokenizer, options.max_batch, options.max_seq_len, dtype)
        if rewards:
            objective.told_names = self.told_names
        self.sampler = RolloutServer(options, tokenizer) if options.rollout_url else self.engine
        self.n_tokens = self.seconds = 0.0  # sampled since the last log, on this rank
        name = weight_name(options.save_weight, model.config.hidden_size, model.config.use_moe)
        self.samples = Path(options.out_dir).absolute() / "rollouts" / f"{name}.jsonl"

    # ------------------------------------------------------------ answers

    def answers(self, data: QuestionDataset, questions: list[int], n: int, noise: Sequence[int] = ()):
        """`n` answers to each question, as many groups, whose noise depends on `noise`, the question and the answer's
        number alone; without `noise` of the likeliest tokens."""
        sampler, requests = self.sampler if noise else self.engine, []
        self.objective.eval()
        sampler.refresh()
        for question, number in itertools.product(questions, range(n)):
            (seed,) = np.random.SeedSequence((*noise, question, number)).generate_state(1, np.uint64)
            sampling = Sampling(
                self.options.max_new_tokens, float(bool(noise)), seed=int(seed), logprobs=0, skip_special_tokens=False
            )
            requests.append(sampler.submit(data.prompt(question), sampling))
        while sampler.step():
            pass
        self.objective.train()
        groups = []
        for i, question in enumerate(questions):
            known = data.question(question)  # reads the file
            groups.append([self.answer(data, question, known, request) for request in requests[i * n :][:n]])
        return groups

    def answer(self, data: QuestionDataset, question: int, known: tuple, request) -> Answer:
        text, finished = data.opening + request.text, request.finish_reason == "stop"
        said, longest = answer_in(text, data.stage), self.options.max_new_tokens
        reply = Reply(*known, text, said, request.token_ids, finished, longest)
        log_probs = [logprob.logprob for logprob in request.logprobs]
        return Answer(question, request.prompt_ids, request.token_ids, log_probs, finished, reply)

    def judge(self, groups: list[list[Answer]]) -> None:
        """Give each answer its rewards."""
        answers = [answer for group in groups for answer in group]
        for answer, rewards in zip(answers, self.rewards([a.reply for a in answers]), strict=True):
            answer.rewards = rewards

    # ------------------------------------------------------------ a step

    def make_batches(self, asked: list[dict[str, torch.Tensor]], step: int) -> list[dict[str, torch.Tensor]]:
        """The batches of a step from this rank's share of its questions. Raises RolloutError, on all ranks."""
        started, questions = time.perf_counter(), torch.cat([batch["questions"] for batch in asked]).tolist()
        groups = self.on_all_ranks(lambda: self.groups(questions, step))
        self.seconds += time.perf_counter() - started
        told = self.told(groups)
        self.n_tokens += sum(len(answer.token_ids) for group in groups for answer in group)
        self.show(groups, step)
        if self.rewards:
            self.set_advantages(groups)
            if self.options.equal_groups != "keep":
                groups = [group for group in groups if spread(group) > 0]
        batches = self.batches([answer for group in groups for answer in group])
        for i, batch in enumerate(batches):
            batch["told"], batch["n_told"] = told[1:] * (i == 0), told[0] * (i == 0)
        return batches

    def on_all_ranks(self, make: Callable[[], list]) -> list:
        """make(), or RolloutError on all ranks where it fails on one."""
        made, error = [], None
        try:
            made = make()
        except (ValueError, OSError) as failed:
            error = failed
        if failures := [text for text in self.world.gather(str(error) if error else None) if text]:
            raise RolloutError(failures[0]) from error
        return made

    def groups(self, questions: list[int], step: int) -> list[list[Answer]]:
        """The answers to each question, with their rewards; a question on which all are worth the same may be replaced
        by others."""
        options, groups = self.options, {}
        for attempt in range(1 + RESAMPLED * (options.equal_groups == "resample")):
            noise = (options.seed, step, attempt)
            places = [i for i in range(len(questions)) if i not in groups or spread(groups[i]) == 0]
            if attempt:  # any other question of the data
                others = {i: np.random.default_rng((*noise, questions[i])).integers(len(self.data)) for i in places}
                questions = [int(others.get(i, question)) for i, question in enumerate(questions)]
            made = self.answers(self.data, [questions[i] for i in places], options.group_size, noise)
            if self.rewards:
                self.judge(made)
            groups |= zip(places, made, strict=True)
        return [groups[i] for i in range(len(questions))]

    @property
    def told_names(self) -> list[str]:
        """What a rollout tells, each as a mean over its answers."""
        parts = [*self.reward_names, "group_std", "equal_groups"] if self.rewards else []
        return [*parts, "length", "truncated"]

    @property
    def reward_names(self) -> list[str]:
        return ["reward", *(f"reward_{name}" for name in self.rewards.weights)]

    def told(self, groups: list[list[Answer]]) -> torch.Tensor:
        """(1 + names,): the number of answers, and sums over them by `told_names`."""
        total = torch.zeros(1 + len(self.told_names))
        for group in groups:
            deviation = spread(group)
            for answer in group:
                figures = answer.rewards | {"group_std": deviation, "equal_groups": float(deviation == 0)}
                figures |= {"length": len(answer.token_ids), "truncated": float(not answer.finished)}
                total += torch.tensor([1.0, *(figures[name] for name in self.told_names)])
        return total

    def set_advantages(self, groups: list[list[Answer]]) -> None:
        scale, size = self.options.scale_rewards, self.options.group_size
        rewards = torch.tensor([[a.rewards["reward"] for a in group] for group in groups]).view(-1, size).double()
        advantages = group_advantages(rewards, scale == "group") if size > 1 else rewards
        if scale == "batch":  # over all ranks
            n, total, squares = self.world.sum(torch.stack([torch.tensor(rewards.numel()), rewards.sum(),
                                                            (rewards**2).sum()])).tolist()  # fmt: skip
            variance = max(0.0, squares - total**2 / n) / max(1, n - 1)
            advantages = advantages / (variance**0.5 + 1e-4)
        for group, values in zip(groups, advantages.tolist(), strict=True):
            for answer, value in zip(group, values, strict=True):
                answer.advantage = value

    def batches(self, answers: list[Answer]) -> list[dict[str, torch.Tensor]]:
        """Answers of like length together, `answers_per_batch` of them; one batch of padding where there are none."""
        answers = sorted(answers, key=lambda answer: len(answer.prompt_ids) + len(answer.token_ids))
        size = self.options.answers_per_batch
        return [self.batch(answers[i : i + size]) for i in range(0, max(1, len(answers)), size)]

    def batch(self, answers: list[Answer]) -> dict[str, torch.Tensor]:
        samples, old, advantages = [], [], []
        for answer in answers:
            ids, given = torch.tensor(answer.prompt_ids + answer.token_ids), len(answer.prompt_ids) - 1
            learned = float(answer.finished or not self.options.mask_truncated)
            mask = torch.tensor([0.0] * given + [learned] * len(answer.token_ids))
            samples.append((ids[:-1], ids[1:], mask))
            old.append(torch.tensor([0.0] * given + answer.log_probs))
            advantages.append(mask * answer.advantage)
        batch = self.collate(samples)
        for name, values in (("old_log_probs", old), ("advantages", advantages)):
            batch[name] = pad_sequence(values, batch_first=True) if values else torch.zeros_like(batch["loss_mask"])
        return batch

    def is_far(self, sums: dict, counts: dict) -> bool:
        """Whether the policy has moved so far from the one that sampled that a rollout's passes end; on all ranks."""
        if "policy_kl" not in counts:
            return False
        return float(self.world.sum(sums["policy_kl"].double())) / max(counts["policy_kl"], 1.0) > self.options.max_kl

    # ------------------------------------------------------------ what a run shows

    def speed(self) -> dict[str, float]:
        """Sampled tokens per second since the last call, of all ranks together."""
        n_tokens = float(self.world.sum(torch.tensor(self.n_tokens, dtype=torch.float64)))
        seconds = float(self.world.sum(torch.tensor(self.seconds, dtype=torch.float64))) / self.world.world_size
        self.n_tokens = self.seconds = 0.0
        return {"rollout_tokens_per_second": n_tokens / max(seconds, 1e-9), "rollout_seconds": seconds}

    def show(self, groups: list[list[Answer]], step: int) -> None:
        """Every `--sample_interval` steps, a group as a line of the samples' file: the first whose answers differ."""
        if not self.world.is_main or step % self.options.sample_interval or not groups:
            return
        group = next((group for group in groups if spread(group) > 0), groups[0])
        messages = group[0].reply.messages
        record = {"step": step, "messages": messages, "answers": group[0].reply.answers}
        record["replies"] = [{"text": a.reply.text, "finished": a.finished} | a.rewards for a in group]
        lines = self.samples.read_text("utf-8").splitlines() if self.samples.exists() else []
        lines = [line for line in lines if json.loads(line)["step"] < step]  # a resumed run does some again
        lines.append(json.dumps(record, ensure_ascii=False))
        self.samples.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.samples, lambda temporary: temporary.write_text("\n".join(lines) + "\n", "utf-8"))

    def figures(self, data: QuestionDataset, batch_size: int, sum_over_ranks: Callable, interrupted: Callable):
        """The rewards of the likeliest answers to held-out questions, as Evaluator.figures; None if interrupted."""
        own = list(range(self.world.rank, len(data), self.world.world_size))

        def answered() -> list[list[Answer]]:
            groups = [] if interrupted() else self.answers(data, own, 1)
            self.judge(groups)
            return groups

        totals = sum_over_ranks(self.told(self.on_all_ranks(answered)).tolist())
        if totals is None:
            return None
        figures = dict(zip(self.told_names, (total / max(1.0, totals[0]) for total in totals[1:]), strict=True))
        return {name: figures[name] for name in (*self.reward_names, "length", "truncated")}


class RolloutServer:
    """In the engine's place, a server of OpenAI's protocol: vLLM, SGLang or scripts/serve_openai_api.py. It answers
    with the weights that it was started with, so the policy moves away from what is sampled; the ratio corrects for
    that, within its clip. Seeds are the server's own affair. Raises OSError when it does not answer."""

    def __init__(self, options: RolloutOptions, tokenizer):
        from openai import OpenAI

        key = os.environ.get("MINIMIND_API_KEY") or "none"  # the client requires one
        self.client = OpenAI(base_url=options.rollout_url, api_key=key, max_retries=RETRIES, timeout=600)
        self.url, self.model, self.workers = options.rollout_url, options.rollout_model, min(options.max_batch, 32)
        self.token_bytes, self.requests = bytes_of_tokens(tokenizer, skip_special_tokens=False), []
        self.eos_token_id = tokenizer.eos_token_id

    def refresh(self) -> None:
        """The server keeps its weights."""

    def submit(self, prompt_ids: list[int], sampling: Sampling) -> SimpleNamespace:
        self.requests.append(SimpleNamespace(prompt_ids=prompt_ids, sampling=sampling))
        return self.requests[-1]

    def step(self) -> int:
        """Answer all that was submitted."""
        requests, self.requests = self.requests, []
        with ThreadPoolExecutor(self.workers) as pool:
            list(pool.map(self.answer, requests))
        return 0

    def answer(self, request: SimpleNamespace) -> None:
        sampling = request.sampling
        try:
            (choice,) = self.client.completions.create(
                model=self.model, prompt=request.prompt_ids, max_tokens=sampling.max_tokens, logprobs=0,
                temperature=sampling.temperature, seed=sampling.seed % 2**63, extra_body={"return_token_ids": True},
            ).choices  # fmt: skip
            request.token_ids, request.finish_reason = choice.token_ids, choice.finish_reason
            values = choice.logprobs.token_logprobs
            if len(values) != len(request.token_ids):
                raise ValueError(f"{len(request.token_ids)} token ids with {len(values)} log-probabilities")
        except Exception as error:  # of the client's own kinds, or an answer that lacks something
            what = f"{self.url} gave no token ids with log-probabilities ({type(error).__name__}: {error})"
            raise OSError(f"--rollout_url {what}: start it again, then pass --from_resume 1") from error
        request.logprobs = [SimpleNamespace(logprob=value) for value in values]
        shown = [self.token_bytes[token] for token in request.token_ids if token != self.eos_token_id]
        request.text = b"".join(shown).decode(errors="replace")


class CriticRollouts(Rollouts):
    """Rollouts for PPO: the critic, and no group, says what each token could expect."""

    def set_advantages(self, groups: list[list[Answer]]) -> None:
        for group in groups:
            for answer in group:
                answer.advantage = answer.rewards["reward"]

    def make_batches(self, asked: list[dict[str, torch.Tensor]], step: int) -> list[dict[str, torch.Tensor]]:
        """The reward comes with the last token. Advantages are whitened over all tokens of the step, on all ranks."""
        batches, options, totals = super().make_batches(asked, step), self.options, torch.zeros(3).double()
        self.objective.eval()
        for batch in batches:
            mask = batch["loss_mask"]
            with torch.no_grad(), self.autocast:
                read = {name: batch[name].to(self.world.device) for name in ("input_ids", "attention_mask")}
                values = self.objective.values(read).cpu() * mask
            is_last = mask.cumsum(1) == mask.sum(1, keepdim=True)
            rewards = batch["advantages"] * is_last
            advantages = generalised_advantages(rewards, values, mask, options.gamma, options.gae_lambda)
            batch |= {"old_values": values, "returns": advantages + values, "advantages": advantages}
            totals += torch.stack([mask.sum(), advantages.sum(), (advantages**2).sum()])
        self.objective.train()
        n, total, squares = self.world.sum(totals).tolist()
        mean = total / max(1.0, n)
        deviation = max(0.0, squares / max(1.0, n) - mean**2) ** 0.5
        for batch in batches:
            batch["advantages"] = (batch["advantages"] - mean) / (deviation + 1e-8) * batch["loss_mask"]
        return batches


def spread(group: list[Answer]) -> float:
    """The standard deviation of a group's rewards, 0 for a group of one."""
    rewards = [answer.rewards.get("reward", 0.0) for answer in group]
    return float(np.std(rewards, ddof=1)) if len(set(rewards)) > 1 else 0.0
