"""The web page in a real Chromium, on networks that know a few conversations by heart."""

import shutil
import time
from pathlib import Path

import pytest
from browser import CHROMEDRIVER, CHROMIUM, Browser, WebPage, wait_for
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.expected_conditions import staleness_of
from serving import assistant, teach, user

from model.weights import save_weights
from scripts.web.texts import CHINESE, ENGLISH

pytestmark = [
    pytest.mark.compat,
    pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason="needs Debian's packages chromium and chromium-driver"),
]
ATTACK = "<img src=x onerror=\"document.title='attacked'\"> **b**"


@pytest.fixture(scope="module")
def out_dir(tmp_path_factory, tokenizer, make_model) -> Path:
    """full_sft_64 knows its lines, reason_64 too, and babble_64 never ends its turn."""
    folder = teach(tokenizer, tmp_path_factory.mktemp("out"), [([user("画图"), assistant(ATTACK)], ())])
    for suffix in (".pth", ".json"):
        shutil.copy(folder / f"full_sft_64{suffix}", folder / f"reason_64{suffix}")
    babble = make_model(vocab_size=len(tokenizer), hidden_size=64, max_position_embeddings=32768)
    # Neither an end nor what would not be seen: blanks, and parts of characters.
    said = [tokenizer.decode([token], skip_special_tokens=True) for token in range(len(tokenizer))]
    unseen = [token for token, text in enumerate(said) if not text.strip() or "\ufffd" in text]
    babble.model.embed_tokens.weight.data[unseen] = 0
    save_weights(babble, folder / "babble_64.pth", tokenizer, stage="full_sft")
    return folder


@pytest.fixture(scope="module")
def page(out_dir, tmp_path_factory):
    page = WebPage(out_dir, tmp_path_factory.mktemp("elsewhere"), "--max_seq_len", "32768")
    yield page
    page.stop()
    assert "Traceback" not in page.output()


@pytest.fixture(scope="module")
def chromium():
    browser = Browser(1280, 800, "en-US")
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium, page):
    """The page, newly opened."""
    chromium.open(page)
    chromium.press(".st-key-temperature input", Keys.HOME)  # to 0: the networks know their lines
    yield chromium
    ours = [entry for entry in chromium.get_log("browser") if page.url not in entry["message"]]
    assert not ours, "the page asked for something elsewhere, or failed"


def test_a_conversation(browser):
    browser.choose("weight", "reason_64")
    browser.say("你好")
    browser.wait_for_end(1)
    before = browser.one("[class*=st-key-actions_]")
    browser.click("[class*=st-key-again_] button")
    wait_for(lambda: staleness_of(before)(browser))
    browser.wait_for_end(1)
    assert browser.texts("question_") == ["你好"] and browser.texts("answer_") == ["你好！很高兴见到你。😀"]
    assert "tokens/s" in browser.texts("actions_")[0]
    browser.click("[class*=st-key-delete_] button")
    browser.wait_until_drawn(lambda: browser.texts("welcome"))
    assert not browser.texts("question_")

    browser.say("一加一")
    browser.wait_for_end(1)
    shown = browser.texts("answer_")[0]
    assert shown.startswith(ENGLISH.thought) and shown.endswith("2") and "一加一" not in shown
    browser.click("[class*=st-key-answer_] summary")
    wait_for(lambda: "一加一是二" in browser.texts("answer_")[0])
    browser.click(".st-key-language button", CHINESE.name)
    browser.wait_until_drawn(lambda: CHINESE.thought in browser.texts("answer_")[0])
    assert browser.texts("question_") == ["一加一"] and browser.texts("answer_")[0].endswith("2")
    browser.click(".st-key-clear button")
    browser.wait_until_drawn(lambda: browser.texts("welcome"))
    assert browser.texts("welcome")[0].startswith(CHINESE.welcome) and not browser.texts("question_")


def test_it_thinks_first_or_answers_at_once(browser):
    for choice, answer in ((1, "4"), (2, "四")):
        browser.choose("thinking", ENGLISH.thought_choices[choice])
        time.sleep(1)  # the page is drawn anew
        browser.say("二加二")
        browser.wait_for_end(choice)
        shown = browser.texts("answer_")[-1]
        assert shown.endswith(answer) and shown.startswith(ENGLISH.thought if choice == 1 else answer)


def watch_it_grow(browser) -> None:
    """Ask the network that never ends, and see its answer come bit by bit."""
    browser.choose("weight", "babble_64")
    wait_for(lambda: "32768" in browser.texts("loaded")[0])
    wait_for(lambda: longest(browser) == 16384)  # drawn anew for this network, after `loaded`
    time.sleep(1)  # a slider waits a moment for the next key before it tells the page
    n_answers, lengths = len(browser.texts("answer_")), set()
    browser.say("说下去")
    wait_for(lambda: len(browser.texts("answer_")) > n_answers and lengths.add(length(browser, -1)) or len(lengths) > 3)


def longest(browser) -> int:
    """Set the length of answers to the end of its slider, and return what that is."""
    browser.press(".st-key-length input", Keys.END)
    return int(browser.one(".st-key-length input").get_attribute("value"))


def length(browser, answer: int = 0) -> int:
    return len(browser.texts("answer_")[answer])


def test_a_stop_keeps_the_text_and_ends_no_other_persons_answer(browser, page):
    mine = browser.current_window_handle
    watch_it_grow(browser)
    browser.switch_to.new_window("tab")
    browser.open(page)
    watch_it_grow(browser)
    other = browser.current_window_handle

    browser.switch_to.window(mine)
    draft = browser.one(".st-key-message textarea")
    draft.send_keys("a draft")
    browser.click(".st-key-stop button")
    browser.wait_for_end(1)
    kept = browser.texts("answer_")
    assert ENGLISH.stopped in browser.texts("actions_")[0] and len(kept[0]) > 50
    assert draft.get_attribute("value") == "a draft"

    browser.switch_to.window(other)
    before = length(browser)
    wait_for(lambda: length(browser) > before + 100)
    browser.say("你好")  # a new question ends the answer as well, and keeps it
    wait_for(lambda: len(browser.texts("answer_")) == 2)
    browser.click(".st-key-stop button")
    browser.wait_for_end(2)
    assert length(browser) > before + 100 and ENGLISH.stopped in browser.texts("actions_")[0]
    browser.close()
    browser.switch_to.window(mine)
    assert browser.texts("answer_") == kept


def test_the_page_follows_the_conversation(browser):
    """The newest text stands above the input, and below the head, while an answer is made and after it. On a very busy
    machine Streamlit can lose the end once, as if one had scrolled up; then it follows again from the end on."""

    def in_sight(key: str) -> bool:
        end = "const all = document.querySelectorAll(arguments[0]); return all[all.length - 1].getBoundingClientRect()"
        input_box = browser.execute_script(end, ".st-key-message")
        bottom = browser.execute_script(end, f"[class*=st-key-{key}]")["bottom"]
        return browser.execute_script(end, ".st-key-head")["bottom"] < bottom <= input_box["top"]

    browser.show_as(1280, 720)
    for n_answers in range(1, 7):
        browser.say("你好")
        browser.wait_for_end(n_answers)
        wait_for(lambda: in_sight("actions_"))
    watch_it_grow(browser)
    lost = 0
    for _ in range(5):
        before = length(browser, -1)
        wait_for(lambda before=before: length(browser, -1) > before + 100)
        soon = time.monotonic() + 10
        while not in_sight("answer_") and time.monotonic() < soon:
            time.sleep(0.05)
        if not in_sight("answer_"):
            lost += 1
            browser.execute_script("document.querySelector('.stMain').scrollTo(0, 1e9)")
    assert lost <= 1
    browser.click(".st-key-stop button")
    browser.wait_for_end(7)
    wait_for(lambda: in_sight("actions_"))
    browser.show_as(1280, 800)


def test_html_stays_text(browser):
    browser.say("画图")
    browser.wait_for_end(1)
    browser.say(ATTACK)
    browser.wait_for_end(2)
    assert browser.texts("answer_")[0] == browser.texts("question_")[1] == ATTACK
    assert not browser.all(".stMain img") and not browser.all(".stMain strong") and browser.title == "MiniMind"


def test_copy_puts_the_answer_on_the_clipboard(browser, page):
    browser.say("数数")
    browser.wait_for_end(1)
    allowed = {"origin": page.url, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    browser.execute_cdp_cmd("Browser.grantPermissions", allowed)
    browser.execute_script(
        "const here = document.querySelector('[class*=st-key-actions_]').querySelectorAll('*');"
        "[...here].find(element => element.shadowRoot).shadowRoot.querySelector('button').click()"
    )
    read = "const done = arguments[0]; window.focus(); navigator.clipboard.readText().then(done, e => done(String(e)))"
    assert wait_for(lambda: browser.execute_async_script(read)) == browser.texts("answer_")[0] != ""


def test_a_phone(page):
    phone = Browser(390, 844, "zh-CN")
    try:
        phone.open(page)
        assert phone.texts("welcome")[0].startswith(CHINESE.welcome)  # the browser's language
        phone.say("数数")
        phone.wait_for_end(1)
        assert phone.texts("answer_")[0]
        main = phone.one(".stMain")
        assert int(main.get_property("scrollWidth")) <= int(main.get_property("clientWidth"))
        for css in (".st-key-message textarea", ".st-key-language button", "[class*=st-key-again_] button"):
            box = phone.one(css).rect
            assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] + box["height"] <= 844, css
        assert not phone.one(".st-key-weight input").is_displayed() or phone.one(".st-key-weight").rect["x"] < 0
        phone.click("[data-testid=stExpandSidebarButton]")
        wait_for(lambda: phone.one(".st-key-weight").rect["x"] >= 0)
        phone.choose("weight", "reason_64")
    finally:
        phone.quit()
