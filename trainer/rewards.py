"""Rewards: what an answer of the policy is worth. Each is a function of a `Reply`; a run takes a weighted sum of them,

    --rewards right=1 form=0.1 length=-0.05 my_reward.py:score=0.5 model=1

by the names of `REWARDS`, by a file and a function in it, or `model`, a reward model in a local folder. A weight may be
negative. Each is logged by itself, before its weight.
"""

import importlib.util
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset.chat import split_thought
from dataset.heldout import is_right
from trainer.command_line import UsageError, require

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
HAN = re.compile(r"[\u4e00-\u9fff]")


@dataclass
class Reply:
    """An answer of the policy, as a reward function sees it."""

    messages: list[dict]  # the conversation up to the question
    answers: list[str]  # what is right; empty where the data does not say
    text: str  # all of it, with the beginning that it was given and its tags
    answer: str  # what stands after its thought; "" where that does not end
    token_ids: list[int]  # those that were sampled
    finished: bool  # by its end of turn, within max_new_tokens
    longest: int  # max_new_tokens


def right(reply: Reply) -> float:
    """1 if the whole answer equals an accepted one, spaces and punctuation aside."""
    return float(is_right(reply.answer, reply.answers))


def number(reply: Reply) -> float:
    """1 if the last number in the answer is the last one of an accepted answer."""
    said = NUMBER.findall(reply.answer.replace(",", ""))
    wanted = [NUMBER.findall(answer.replace(",", ""))[-1:] for answer in reply.answers]
    return float(bool(said) and any(one and float(said[-1]) == float(one[0]) for one in wanted))


def form(reply: Reply) -> float:
    """1 if it ends by itself, its tags stand in order, each of them once, and something stands after them."""
    whole = split_thought(reply.text) is not None if "<answer>" in reply.text else True
    tags = re.findall("</?think>", reply.text) in ([], ["<think>", "</think>"])
    return float(reply.finished and whole and tags and bool(reply.answer.strip()))


def length(reply: Reply) -> float:
    """Its tokens, as a share of the most that it may have."""
    return len(reply.token_ids) / reply.longest


def repetition(reply: Reply) -> float:
    """The share of its three tokens in a row that stood there before."""
    ids = reply.token_ids
    triples = list(zip(ids, ids[1:], ids[2:], strict=False))
    return 1 - len(set(triples)) / len(triples) if triples else 0.0


def language(reply: Reply) -> float:
    """1 if it answers in Chinese what was asked in Chinese, and in another language what was asked in another."""
    return float(bool(HAN.search(reply.answer)) == bool(HAN.search(reply.messages[-1]["content"])))


REWARDS = {function.__name__: function for function in (right, number, form, length, repetition, language)}
NEED_ANSWERS = {"right", "number"}


class Rewards:
    """The weighted sum that `--rewards` describes. Raises UsageError for one that is not there."""

    def __init__(self, parts: Sequence[str], reward_model: str | None = None, device="cpu"):
        self.weights: dict[str, float] = {}
        self.functions: dict[str, Callable[[list[Reply]], list[float]]] = {}
        for part in parts:
            name, _, weight = part.rpartition("=")
            try:
                value = float(weight)
            except ValueError:
                value = math.nan
            require(name and math.isfinite(value), f"--rewards {part}: write NAME=WEIGHT, as right=1")
            if name == "model":
                require(reward_model, "--rewards model: name the folder of a reward model with --reward_model")
                self.functions[name] = RewardModel(reward_model, device)
            else:
                function = REWARDS.get(name) or load_function(name)
                name = name.rpartition(":")[2]
                self.functions[name] = lambda replies, function=function: [function(reply) for reply in replies]
            require(name not in self.weights, f"--rewards: {name} is there twice")
            self.weights[name] = value
        self.need_answers = bool(NEED_ANSWERS & self.weights.keys())

    def __call__(self, replies: list[Reply]) -> list[dict[str, float]]:
        """Of each reply "reward", the weighted sum, and its parts as "reward_NAME". ValueError for one that fails."""
        scores: list[dict[str, float]] = [{} for _ in replies]
        for name, function in self.functions.items():
            try:
                values = [float(value) for value in function(replies)]
            except Exception as error:  # a user's function can fail in any way there is
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                raise ValueError(f"the reward {name} failed ({reason}): correct it") from error
            for score, value, reply in zip(scores, values, replies, strict=True):
                if not math.isfinite(value):
                    what = f"the reward {name} is {value} for the answer {reply.answer[:80]!r}"
                    raise ValueError(f"{what} to {reply.messages[-1]['content'][:80]!r}: it must be a finite number")
                score[name] = value
        return [
            {"reward": sum(self.weights[name] * value for name, value in score.items())}
            | {f"reward_{name}": value for name, value in score.items()}
            for score in scores
        ]


def load_function(name: str) -> Callable[[Reply], float]:
    """The function in FILE.py:NAME."""
    file, colon, function = name.rpartition(":")
    known = f"known are {', '.join([*REWARDS, 'model'])}, and FILE.py:FUNCTION"
    require(colon and file, f"--rewards {name}: there is no reward of that name: {known}")
    path = Path(file).absolute()
    require(path.is_file(), f"--rewards {name}: there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"reward_file_{path.stem}", path)
    require(spec, f"--rewards {name}: {path} is no Python file")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # where dataclasses look for it
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # it is the user's
        raise UsageError(f"--rewards {name}: {path} cannot be imported ({type(error).__name__}: {error})") from error
    require(callable(getattr(module, function, None)), f"--rewards {name}: {path} has no function {function}")
    return getattr(module, function)


class RewardModel:
    """A sequence-classification model in a local folder, which gives a conversation one number."""

    def __init__(self, folder: str, device):
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        require((Path(folder) / "config.json").is_file(), f"--reward_model {folder}: there is no config.json in it")
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, local_files_only=True)
        except Exception as error:  # the folder can hold anything
            raise UsageError(f"--reward_model {folder}: it cannot be read ({error})") from error
        self.model = model.eval().requires_grad_(False).to(device)

    def __call__(self, replies: list[Reply]) -> list[float]:
        scores = []
        for reply in replies:
            messages = [*reply.messages, {"role": "assistant", "content": reply.answer}]
            if self.tokenizer.chat_template:
                ids = self.tokenizer.apply_chat_template(messages, return_tensors="pt", return_dict=True)
            else:
                ids = self.tokenizer("\n".join(m["content"] for m in messages), return_tensors="pt", truncation=True)
            scores.append(float(self.model(**ids.to(self.model.device)).logits[0, 0]))
        return scores
