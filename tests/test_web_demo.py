"""The web page without a browser: its messages when nothing is trained or something is broken, in both languages, and
that whatever users and models write stays text. tests/compat/test_web_browser.py drives it in a real browser."""

import shutil
import string
import sys
import threading
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.files import file_hash
from model.model_lora import apply_lora, save_lora
from model.weights import load_weights, save_weights
from scripts.web.chat import ChatModel, Exchange, Settings, adapters_for, weights_in
from scripts.web.texts import CHINESE, ENGLISH, LANGUAGES, TEXTS
from trainer.options import WeightOptions

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "scripts" / "web_demo.py"
ATTACK = '<img src=x onerror="alert(1)">![a](http://127.0.0.1:9/a.png) **b** :material/bolt: $x$'


@pytest.fixture
def open_page(monkeypatch):
    """A function that opens the page on a folder of weights, in a browser of that locale."""

    def open_(out_dir: Path, locale: str = "en-US") -> AppTest:
        monkeypatch.setattr(sys, "argv", [str(PAGE), "--out_dir", str(out_dir), "--max_seq_len", "128"])
        page = AppTest.from_file(PAGE, default_timeout=60)
        page.context["locale"] = locale
        return page.run()

    return open_


@pytest.fixture(scope="module")
def weights(tmp_path_factory, tokenizer, make_model) -> Path:
    """Two weights of new networks, which say anything: one of SFT and one of pretraining."""
    folder = tmp_path_factory.mktemp("out")
    for name in ("full_sft", "pretrain"):
        model = make_model(vocab_size=len(tokenizer), hidden_size=32)
        save_weights(model, folder / f"{name}_32.pth", tokenizer, stage=name)
    return folder


def texts(page: AppTest) -> str:
    return "\n".join(element.value for element in page.text)


def ask(page: AppTest, question: str) -> AppTest:
    return page.chat_input[0].set_value(question).run()


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_the_same_things():
    for name, (chinese, english) in TEXTS.items():
        assert chinese and english and chinese != english, name
        if isinstance(chinese, tuple):
            assert len(chinese) == len(english) and all(chinese + english), name
        else:
            assert fields(chinese) == fields(english), name


@pytest.mark.parametrize(("locale", "t"), [("zh-CN", CHINESE), ("de", ENGLISH)])
def test_nothing_trained_yet_says_what_to_run(open_page, tmp_path, locale, t):
    page = open_page(tmp_path / "nothing", locale)
    assert not page.exception
    assert t.untrained in texts(page) and str(tmp_path / "nothing") in texts(page)
    assert page.code[0].value == "./run.sh" and page.chat_input[0].disabled
    other = next(code for code, texts_ in LANGUAGES.items() if texts_ is not t)
    page.segmented_control(key="language").set_value(other).run()
    assert LANGUAGES[other].untrained in texts(page)


def test_a_broken_weight_is_one_sentence_and_another_one_can_be_chosen(open_page, weights, tmp_path, capfd):
    out_dir = shutil.copytree(weights, tmp_path / "out")
    (out_dir / "full_sft_32.pth").write_bytes(b"PK\x03\x04 no weight")
    page = open_page(out_dir)
    assert ENGLISH.broken.format(name="full_sft_32.pth") in texts(page)
    assert not page.exception and page.chat_input[0].disabled and "WeightError" in capfd.readouterr().err
    page.selectbox(key="weight").set_value("pretrain_32").run()
    assert ENGLISH.continues in texts(page) and not page.chat_input[0].disabled


def test_html_and_markdown_stay_text_in_question_and_answer(open_page, weights):
    page = ask(open_page(weights), ATTACK)
    assert not page.exception and ATTACK in texts(page)
    exchange = page.session_state.exchanges[0]
    exchange.thought = exchange.answer = ATTACK  # whatever the network said
    page.run()
    assert [element.value for element in page.text].count(ATTACK) == 3
    assert not any(ATTACK in element.value for element in page.markdown)


def test_turns_are_asked_again_deleted_and_cleared(open_page, weights):
    page = ask(ask(open_page(weights), "one"), "two")
    first, second = page.session_state.exchanges
    assert first.finish_reason and second.finish_reason and first.n_tokens and f"{first.n_tokens} tokens" in texts(page)
    assert not [button for button in page.button if button.key == f"again_{first.number}"]  # others stand on it
    before = second.answer
    page.button(key=f"again_{second.number}").click().run()
    assert page.session_state.exchanges[1] is second and second.n_asked == 2 and second.answer != before
    page.button(key=f"delete_{first.number}").click().run()
    assert page.session_state.exchanges == [second] and "one" not in texts(page).splitlines()
    page.button(key="clear").click().run()
    assert page.session_state.exchanges == [] and ENGLISH.welcome in texts(page)


def test_an_adapter_of_another_weight_and_a_cut_answer_are_said(open_page, weights, tmp_path, tokenizer):
    out_dir = shutil.copytree(weights, tmp_path / "out")
    model = load_weights(out_dir / "full_sft_32.pth", tokenizer)[0]
    apply_lora(model)
    for name, base in (("own", file_hash(out_dir / "full_sft_32.pth")), ("strange", "another")):
        save_lora(model, out_dir / "lora" / f"{name}_32.pth", tokenizer, origin={"base weight": base})
    page = open_page(out_dir)
    page.selectbox(key="adapter").set_value("own").run()
    assert ENGLISH.adapter_foreign not in texts(page)
    page.selectbox(key="adapter").set_value("strange").run()
    assert ENGLISH.adapter_foreign in texts(page) and not page.exception
    page = ask(page, "one")
    assert (page.session_state.exchanges[0].finish_reason == "length") == (ENGLISH.cut in texts(page))
    assert page.session_state.exchanges[0].finish_reason == "length"


def test_too_long_a_message_is_one_sentence_in_the_language_of_the_moment(open_page, weights):
    page = ask(open_page(weights), "x" * 999)
    assert ENGLISH.too_long.format(room=64) in texts(page) and not page.exception
    page.segmented_control(key="language").set_value("zh").run()
    assert CHINESE.too_long.format(room=64) in texts(page)


def test_an_engine_stops_when_neither_the_page_nor_an_answer_needs_it(weights):
    def engines() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "engine"}

    before = engines()
    model = ChatModel(WeightOptions(weight=str(weights / "full_sft_32.pth"), device="cpu", max_seq_len=64))
    exchange = Exchange("one")
    exchange.ask(model, [], Settings(temperature=0.0, max_tokens=32, seed=0))
    (engine,) = engines() - before
    del model  # as the page's cache drops the least recently used one
    while not exchange.finish_reason:
        exchange.receive()
    assert exchange.finish_reason in ("stop", "length") and exchange.n_tokens
    engine.join(10)
    assert not engine.is_alive()


def test_only_weights_in_the_folder_are_offered_and_adapters_that_fit(weights, tmp_path):
    assert list(weights_in(weights)) == ["full_sft_32", "pretrain_32"]
    (tmp_path / "lora").mkdir()
    for name in ("a_192", "b_92", "c_192_moe", "d_1192"):
        torch.save({}, tmp_path / "lora" / f"{name}.pth")
    assert list(adapters_for(tmp_path / "full_sft_192.pth")) == ["a"]
    assert list(adapters_for(tmp_path / "rlhf_192_moe.pth")) == ["c"]
    assert list(adapters_for(tmp_path / "mine.pth")) == []
