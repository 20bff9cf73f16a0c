"""Write the miniature world: documents, conversations and held-out questions.

    python dataset/sample/make_sample.py                      # beside this file
    python dataset/sample/make_sample.py --output_dir DIR --times 4

All texts are in the folder `tables`. `relations.py` makes documents and questions of the facts, `talk.py` small talk,
`advice.py` advice, `skills.py` sums, comparisons, sorting and dates, `stories.py` word problems, and `unknown.py`
questions that nothing here answers: of these are pretrain.jsonl, sft.jsonl and heldout.jsonl, which the table
`free_questions`, written by hand, joins. `chats.py` joins the conversations into chats of up to twelve turns. The
stages after SFT have a module each: `preference.py` (DPO), `persona.py` and `teahouse.py` (LoRA), `careless.py`
(distillation) and `reason.py`, each with a held-out file of its own; `trials.py` makes the questions of reinforcement
learning. The files are the same to the byte on every run and machine.
"""

import argparse
import json
import random
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

import advice
import careless
import chats
import persona
import preference
import reason
import relations
import skills
import stories
import tables
import talk
import teahouse
import trials
import unknown

HERE = Path(__file__).resolve().parent
MODULES = (relations, talk, advice, skills, stories, unknown, chats)
LATER = {"lora_identity": persona, "lora_teahouse": teahouse, "reason": reason}
SEED = 20240


def generator(name: str) -> random.Random:
    """Randomness that depends on nothing but a name, so that a change in one place leaves the others as they are."""
    return random.Random(f"{SEED} {name}")


def without_duplicates(records: list, name: str) -> list:
    """The records in random order, each once."""
    records = list({json.dumps(r, ensure_ascii=False, sort_keys=True): r for r in records}.values())
    generator(name).shuffle(records)
    return records


def collect(function: str) -> list:
    """What the modules offer under one name, each with a random generator of its own."""
    offering = [module for module in MODULES if hasattr(module, function)]
    made = [getattr(module, function)(generator(f"{module.__name__} {function}")) for module in offering]
    return without_duplicates([record for records in made for record in records], function)


def surface(text: str) -> str:
    """A message without its spaces, its end marks and its case."""
    return re.sub(r"\s", "", text).strip("。？！.?!").lower()


def plain(text: str) -> str:
    """A text without its spaces, punctuation and case."""
    return re.sub(r"[\W_]+", "", text).lower()


def skeleton(text: str) -> str:
    """A question without its numbers, spaces, punctuation and case: what is left is how it is asked."""
    return plain(re.sub(r"\d+", "0", text))


def free_questions() -> list[dict]:
    """The questions written by hand; their accepted replies are joined by the full sentences that training teaches."""
    questions = tables.read("free_questions")
    for question in questions:
        replies = relations.free_answers(question["messages"][-1]["content"], question["answers"][0])
        question["answers"] = list(dict.fromkeys(replies + question["answers"]))
    return questions


def without(dialogues: list[list[dict]], questions: list[dict]) -> list[list[dict]]:
    """The dialogues in which none of the questions is asked, whatever stands around it: those written by hand came
    first."""
    taken = [plain(question["messages"][-1]["content"]) for question in questions]
    asked = ["\n".join(plain(m["content"]) for m in d if m["role"] == "user") for d in dialogues]
    return [d for d, text in zip(dialogues, asked, strict=True) if not any(question in text for question in taken)]


def check_held_out(dialogues: list[list[dict]], questions: list[dict]) -> None:
    """Raise ValueError if a held-out question, or its wording, occurs in the training conversations."""
    users = [message["content"] for dialogue in dialogues for message in dialogue if message["role"] == "user"]
    surfaces, skeletons = set(map(surface, users)), {skeleton(user) for user in users if re.search(r"\d", user)}
    for question in questions:
        asked = question["messages"][-1]["content"]
        if surface(asked) in surfaces:
            raise ValueError(f"a held-out question is asked in training: {asked}")
        if re.search(r"\d", asked) and skeleton(asked) in skeletons:
            raise ValueError(f"a held-out question is worded as in training: {asked}")
    everything = "\n".join(users)
    for core in relations.heldout_cores():
        if found := re.search(core, everything, flags=re.IGNORECASE):
            raise ValueError(f"the held-out core {core!r} occurs in training: {found[0]}")


def write(path: Path, records: list) -> None:
    lines = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(records):,} records, {path.stat().st_size:,} bytes")


def count_categories(questions: list[dict]) -> None:
    for category, count in sorted(Counter(question["category"] for question in questions).items()):
        print(f"    {category}: {count}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output_dir", type=Path, default=HERE, help="folder to write the files to")
    parser.add_argument("--times", type=int, choices=range(1, 6), default=1,
                        help="make the files of LoRA, reasoning and RL so many times as large, to forget less")
    options = parser.parse_args()
    output_dir = options.output_dir
    output_dir.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=output_dir).close()  # before the work, if it cannot be written

    texts, by_hand = collect("pretrain_texts"), free_questions()
    dialogues = without(collect("train_dialogues"), by_hand + unknown.free_questions())
    questions = collect("heldout_questions") + by_hand
    joined = chats.regroup(generator("chats"), dialogues)
    supervised = without_duplicates(reason.sft_dialogues(generator("thoughts"), joined), "sft")
    held_chats = chats.heldout_chats(generator("chats held out"), questions)

    pairs = without_duplicates(preference.train_pairs(generator("preference"), dialogues), "dpo")
    held_pairs = preference.heldout_pairs()
    few, held_few = careless.collections(generator("careless"), dialogues)
    later = {}
    for name, module in LATER.items():
        known = joined if name == "reason" else dialogues
        later[name] = without_duplicates(module.train_dialogues(generator(name), known, options.times), name)
    held_later = {name: module.heldout_questions(generator(f"{name} held out")) for name, module in LATER.items()}
    tried = without_duplicates(trials.train_questions(generator("rl"), dialogues, options.times), "rl")

    trained = supervised + [pair[side] for pair in pairs for side in ("chosen", "rejected")] + sum(later.values(), [])
    trained += [question["messages"] for question in tried]
    held_out = questions + [{"messages": pair["chosen"][:-1]} for pair in held_pairs] + sum(held_later.values(), [])
    held_out += [{"messages": [turn]} for chat in held_chats for turn in chat["chat"]]
    check_held_out(trained, held_out)

    def conversations(made: list[list[dict]]) -> list[dict]:
        return [{"conversations": dialogue} for dialogue in made]

    write(output_dir / "pretrain.jsonl", [{"text": text} for text in texts])
    write(output_dir / "sft.jsonl", conversations(supervised))
    write(output_dir / "heldout.jsonl", questions)
    count_categories(questions)
    write(output_dir / "heldout_chats.jsonl", held_chats)
    write(output_dir / "dpo.jsonl", pairs)
    write(output_dir / "heldout_dpo.jsonl", held_pairs)
    write(output_dir / "distill.jsonl", conversations(few))
    write(output_dir / "heldout_distill.jsonl", conversations(held_few))
    for name in later:
        write(output_dir / f"{name}.jsonl", conversations(later[name]))
        write(output_dir / f"heldout_{name}.jsonl", held_later[name])
        count_categories(held_later[name])
    write(output_dir / "rl.jsonl", tried)
    count_categories(tried)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"error: {error}: name a folder that can be written with --output_dir")
