"""Multiple-choice questions and texts of one's own, as lm_eval takes them."""

import csv
import io
import json
import string
from pathlib import Path

from dataset.heldout import normalise
from dataset.jsonl import DataError, check_file, parse_line

EXPECTED = "needs question, the options as A, B, … (JSONL: or choices, a list) and answer, the right one's letter"

# ---------------------------------------------------------------- questions


def read_multiple_choice(path: str | Path) -> list[dict]:
    """Rows {"question", "choices", "letters", "gold", "ask"} of a CSV file in C-Eval's form (id, question, A, B, C, D,
    answer, explanation; CMMLU's capitals too) or a JSONL file with the same keys. DataError names the first bad line.
    """
    path = check_file(path, {})
    rows = []
    for number, record in csv_records(path) if path.suffix.lower() == ".csv" else jsonl_records(path):
        try:
            rows.append(question_row(record))
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}: correct the line; it {EXPECTED}") from None
    if not rows:
        raise DataError(f"{path}: there is no question in it: it {EXPECTED}")
    return rows


def read_utf8(path: Path, encoding: str = "utf-8") -> str:
    try:
        return path.read_bytes().decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: this is not UTF-8 (byte {error.start}): save it as UTF-8") from None


def csv_records(path: Path):
    reader = csv.DictReader(io.StringIO(read_utf8(path, "utf-8-sig"), newline=""), strict=True)
    try:
        for record in reader:
            if any((value or "").strip() for value in record.values() if not isinstance(value, list)):
                yield reader.line_num, record
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: this is not valid CSV ({error}): correct the line") from None


def jsonl_records(path: Path):
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                if line.strip():
                    record = parse_line(line)
                    json.dumps(record, ensure_ascii=False).encode()  # a half of a character cannot be stored
                    yield number, record
            except ValueError as error:
                raise DataError(f"{path}:{number}: {error}: correct the line") from None


def question_row(record: dict) -> dict:
    if None in record:
        raise ValueError(f"there are {len(record[None])} cells more than the header has")
    keys = {key.lower() if key in ("Question", "Answer") else key: value for key, value in record.items()}
    question, answer, choices = keys.get("question"), keys.get("answer"), keys.get("choices")
    if choices is None:
        choices = [keys.get(letter) for letter in string.ascii_uppercase]
        while choices and choices[-1] in (None, ""):
            choices.pop()
    if not isinstance(question, str) or not question.strip():
        raise ValueError("the question is missing")
    if not isinstance(choices, list) or not all(isinstance(c, str | int | float) and str(c).strip() for c in choices):
        raise ValueError("an option is missing or empty")
    choices = [str(choice).strip() for choice in choices]
    if not 2 <= len(choices) <= len(string.ascii_uppercase):
        raise ValueError(f"it has {len(choices)} options")
    letters = list(string.ascii_uppercase[: len(choices)])
    if not isinstance(answer, str) or answer.strip() not in letters:
        raise ValueError(f"the answer is {answer!r}, not one of {', '.join(letters)}")
    return {
        "question": question.strip(), "choices": choices, "letters": letters, "gold": letters.index(answer.strip()),
        "ask": "Answer:" if normalise(question).isascii() else "答案：",
    }  # fmt: skip


def question_task(path: str | Path, option_form: str):
    """The lm_eval task of a file of questions: named after the file, worded like lm_eval's tasks of C-Eval and CMMLU.

    `option_form`: "letter", the options stand in the prompt and their letters are scored; or "text", they do not, and
    each option's own words are scored.
    """
    listed = "{% for choice in choices %}{{letters[loop.index0]}}. {{choice}}\n{% endfor %}"
    prompt = "{{question}}\n" + (listed if option_form == "letter" else "") + "{{ask}}"
    name = Path(path).name + (", options' texts" if option_form == "text" else "")
    return make_task(
        name, read_multiple_choice(path), ("acc", "acc_norm"), output_type="multiple_choice", doc_to_text=prompt,
        doc_to_target="gold", doc_to_choice="letters" if option_form == "letter" else "choices",
    )  # fmt: skip


# ---------------------------------------------------------------- texts


def text_task(path: str | Path):
    """The lm_eval task that measures bits per byte: of a .jsonl each line's text is a document, of others the file."""
    path = check_file(path, {})
    if path.suffix.lower() == ".jsonl":
        texts = []
        for number, record in jsonl_records(path):
            if not isinstance(record.get("text"), str):
                raise DataError(f'{path}:{number}: the key "text" is missing: name a file of {{"text": …}} lines')
            texts.append(record["text"])
    else:
        texts = [read_utf8(path)]
    rows = [{"text": text} for text in texts if text]
    if not rows:
        raise DataError(f"{path}: there is no text in it: name another file")
    return make_task(path.name, rows, ("bits_per_byte",), output_type="loglikelihood_rolling", doc_to_text="",
                     doc_to_target="text")  # fmt: skip


def make_task(name: str, rows: list[dict], metrics: tuple[str, ...], **config):
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask

    bits = "bits_per_byte"
    metric_list = [
        {"metric": metric, "aggregation": bits if metric == bits else "mean", "higher_is_better": metric != bits}
        for metric in metrics
    ]
    return ConfigurableTask(config=config | {
        "task": name, "custom_dataset": lambda **_: {"test": Dataset.from_list(rows)}, "metric_list": metric_list,
        "test_split": "test", "num_fewshot": 0, "metadata": {"version": 1.0},
    })  # fmt: skip
