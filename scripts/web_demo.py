"""Chat with a trained weight in a web page, in Chinese and English.

    ./run.sh web                                # http://127.0.0.1:8501; the same as python scripts/web_demo.py
    streamlit run scripts/web_demo.py           # likewise; flags of this page follow a --
    ./run.sh web --host 0.0.0.0                 # for a phone in the same network

What models and users write is shown as plain text, never as Markdown or HTML. Otherwise an answer could load images
from other servers, which reveals the chat to them, or imitate the page; and 2 * 3 * 4 would lose its asterisks.

Streamlit runs `page` anew at every click. Read on: options -> model -> conversation -> page. scripts/web/ has what
outlives a click (chat.py) and the texts (texts.py); web_demo.css the look; .streamlit/config.toml Streamlit's settings.
"""

import os
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

sys.path[0] = str(Path(__file__).resolve().parents[1])

import streamlit as st  # noqa: E402

from dataset.chat import answer_room  # noqa: E402
from scripts.serving.addresses import is_loopback, listen  # noqa: E402
from scripts.web.chat import ChatModel, Exchange, Problem, Settings, adapters_for, weights_in  # noqa: E402
from scripts.web.texts import LANGUAGES  # noqa: E402
from trainer.command_line import ROOT, flag, parse_options, run  # noqa: E402
from trainer.options import LEAST_CONTEXT, WeightOptions  # noqa: E402

PURPOSE = "Chat with a trained weight in a web page."
FRAME_SECONDS = 0.05  # between two updates of an unfinished answer
MAX_MODELS = 3  # kept in memory; the least recently used one is dropped
STYLE, WEB = Path(__file__).with_name("web_demo.css"), Path(__file__).with_name("web")
Texts = SimpleNamespace  # of one language


@dataclass
class WebOptions:
    out_dir: str = flag(str(ROOT / "out"), "folder of the weights that the page offers")
    tokenizer: str = flag(str(ROOT / "model"), "folder of their tokenizer")
    max_seq_len: int | None = flag(None, "maximum tokens of prompt and answer; default: as in training", least=64)
    device: str = flag("auto", "cuda, mps, cpu or auto")
    host: str = flag("127.0.0.1", "address to listen on; under streamlit run: --server.address, --server.allowedHosts")
    port: int = flag(8501, "port to listen on; under streamlit run: --server.port", least=1, most=65535)


def start() -> None:
    """Become `streamlit run` of this file."""
    options = parse_options(WebOptions, PURPOSE)
    listen(options.host, options.port).close()  # an address that is not available ends the program here
    command = [sys.executable, "-P", "-m", "streamlit", "run", __file__]  # -P: ignore modules in the working directory
    command += ["--server.port", str(options.port), "--server.address", options.host]
    if not is_loopback(options.host):
        command += ["--server.allowedHosts", "*"]
    os.execv(sys.executable, [*command, "--", *sys.argv[1:]])


# ---------------------------------------------------------------- model


@st.cache_resource(max_entries=MAX_MODELS, show_spinner=False)
def cached_model(weight: str, adapter: str | None, modified_ns: tuple[int, ...], **options) -> ChatModel:
    """One model for all sessions, loaded anew when a file has changed."""
    return ChatModel(WeightOptions(weight=weight, lora_name=adapter, **options))


def load(weight: Path, adapter: Path | None, options: WebOptions, t: Texts) -> ChatModel:
    """The model, and a line about it in the sidebar. Raises Problem for unusable files."""
    given = {"device": options.device, "tokenizer": options.tokenizer, "max_seq_len": options.max_seq_len}
    try:
        files = [weight, weight.with_suffix(".json"), *filter(None, [adapter])]
        modified_ns = tuple(file.stat().st_mtime_ns for file in files if file.exists())
        with st.spinner(t.loading):
            model = cached_model(str(weight), adapter and str(adapter), modified_ns, **given)
    except Exception as error:  # a damaged file can make a reader fail in any way
        traceback.print_exc()
        broken = adapter if adapter and str(adapter) in str(error) else weight
        raise Problem("broken", name=broken.name) from None
    with st.sidebar.container(key="loaded"):
        st.text(t.loaded.format(size=model.size, device=model.device, context=model.context))
        if model.is_foreign:
            st.text(t.adapter_foreign)
    return model


def choose_model(options: WebOptions, t: Texts) -> ChatModel | None:
    """What the sidebar names, loaded; None when nothing is trained yet. Raises Problem."""
    weights = weights_in(options.out_dir)
    if not weights:
        return None
    name = st.sidebar.selectbox(t.weight, list(weights), key="weight")
    weight, adapter = weights.get(name) or next(iter(weights.values())), None  # a browser can send any text
    if adapters := adapters_for(weight):
        names = ["", *adapters]
        name = st.sidebar.selectbox(t.adapter, names, key="adapter", format_func=lambda name: name or t.no_adapter)
        adapter = adapters.get(name)
    return load(weight, adapter, options, t)


def choose_settings(model: ChatModel | None, options: WebOptions, t: Texts) -> Settings:
    context = model.context if model else options.max_seq_len or LEAST_CONTEXT
    with st.sidebar.container(key="settings"):
        temperature = st.slider(t.temperature, 0.0, 1.5, 0.5, 0.1, key="temperature", help=t.temperature_help)
        most, usual = context // 2, answer_room(context)
        max_tokens = st.slider(t.length, min(16, most // 2), most, usual, 16, key="length", help=t.length_help)
        seed = st.number_input(t.seed, 0, 2**31 - 1, 42, key="seed", help=t.seed_help)
        thinking = None
        if not (model and model.stage == "pretrain"):
            choices = dict(zip((None, True, False), t.thought_choices, strict=True))
            thinking = st.selectbox(t.thought_setting, list(choices), key="thinking", format_func=choices.get)
    return Settings(temperature, max_tokens, seed, thinking if thinking in (True, False) else None)


# ---------------------------------------------------------------- conversation


def send(prompt: str | None = None) -> None:
    """A question, from a button or the input. It ends an unfinished answer, whose text is kept."""
    question = (prompt or st.session_state.message or "").strip()
    if question:
        for exchange in st.session_state.exchanges[-1:]:
            exchange.end("cancelled")
        st.session_state.exchanges.append(Exchange(question))


def delete(exchange: Exchange) -> None:
    exchange.end("cancelled")
    st.session_state.exchanges = [other for other in st.session_state.exchanges if other is not exchange]


def clear() -> None:
    for exchange in list(st.session_state.exchanges):
        delete(exchange)


class View:
    """An exchange on the page. While its answer grows, each part is redrawn in a placeholder of its own; a finished one
    is drawn once, without placeholders: those would make it flicker whenever the page runs."""

    def __init__(self, exchange: Exchange, t: Texts):
        self.exchange, self.t, self.label = exchange, t, ""
        with st.container(key=f"question_{exchange.number}", horizontal_alignment="right"):
            st.text(exchange.question)
        self.thought_place = self.answer = self.status = st.container(key=f"answer_{exchange.number}", gap="small")
        if not exchange.finish_reason:
            self.thought_place, self.answer = self.answer.empty(), self.answer.empty()
            self.status = self.status.container(key=f"status_{exchange.number}").empty()
        self.draw()
        if exchange.problem:
            st.container(key=f"problem_{exchange.number}").text(exchange.problem.sentence(t))

    def draw(self) -> None:
        exchange, t = self.exchange, self.t
        if exchange.thought:
            label = t.thought if exchange.answer or exchange.finish_reason else t.thinking
            if label != self.label:
                self.label, self.thought = label, self.thought_place.expander(label, type="compact").empty()
            self.thought.text(exchange.thought)
        if exchange.answer or (exchange.finish_reason and not exchange.problem):
            self.answer.text(exchange.answer or t.no_answer)
        if not exchange.finish_reason:
            self.status.text(status(exchange, t))

    def follow(self) -> None:
        """Draw the answer as it arrives, to its end. A click meanwhile ends this run; the next one continues it."""
        while not self.exchange.finish_reason:
            time.sleep(FRAME_SECONDS)
            self.exchange.receive()
            self.draw()


def status(exchange: Exchange, t: Texts) -> str:
    if not exchange.seconds:  # the first token may be half a character
        return "…"
    rate = f"{exchange.n_tokens / exchange.seconds:,.0f}"
    speed = t.speed.format(tokens=exchange.n_tokens, rate=rate)
    ending = {"cancelled": t.stopped, "length": t.cut}.get(exchange.finish_reason)
    return f"{speed} · {ending}" if ending else speed


def show_actions(place, exchange: Exchange, can_ask: bool, t: Texts) -> None:
    parts = {kind: (WEB / f"copy_button.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")}
    copy_button = st.components.v2.component("minimind_copy", **parts)
    number = exchange.number
    with place.container(key=f"actions_{number}", horizontal=True, vertical_alignment="center", gap="xxsmall"):
        if exchange.answer:
            data = {"text": exchange.answer, "label": t.copy, "done": t.copied}
            copy_button(data=data, key=f"copy_{number}", width="content", height="content")
        if can_ask:
            icon_button("refresh", t.again, f"again_{number}", exchange.again)
        else:
            st.empty()  # keeps the position of the elements after it
        icon_button("delete", t.delete, f"delete_{number}", delete, exchange)
        if not exchange.problem:
            st.text(status(exchange, t))


def icon_button(icon: str, label: str, key: str, on_click, *args) -> None:
    """Its label shows when the pointer rests on it."""
    st.button("", icon=f":material/{icon}:", type="tertiary", help=label, key=key, on_click=on_click, args=args)


def show_welcome(model: ChatModel, t: Texts) -> None:
    with st.container(key="welcome"):
        st.text(t.welcome)
        st.text(t.continues if model.stage == "pretrain" else t.welcome_hint)
    prompts = {"reason": t.reason_prompts, "pretrain": t.text_prompts}.get(model.stage, t.chat_prompts)
    with st.container(key="prompts"):
        for number, prompt in enumerate(prompts):
            st.button(prompt, key=f"prompt_{number}", on_click=send, args=(prompt,), width="stretch")


def show_untrained(options: WebOptions, t: Texts) -> None:
    with st.container(key="untrained"):
        st.text(t.untrained)
        st.text(t.untrained_hint.format(folder=Path(options.out_dir).absolute()))
        st.code("./run.sh", language=None)
        st.text(t.untrained_then)


def show_conversation(model: ChatModel | None, settings: Settings, t: Texts) -> None:
    """The conversation so far, the input below it, and the unfinished answer. Streamlit shows what a run no longer
    draws until it ends, and an input that moves loses its draft: so what comes and goes has a placeholder."""
    exchanges = st.session_state.exchanges
    place = st.empty()
    if model and not exchanges:
        with place.container():
            show_welcome(model, t)
    view = None
    for exchange in exchanges:
        view, is_last, place = View(exchange, t), exchange is exchanges[-1], st.empty()
        if exchange.finish_reason:
            show_actions(place, exchange, is_last and model is not None, t)
    unfinished = exchanges[-1] if exchanges and not exchanges[-1].finish_reason else None
    with st.bottom:
        place = st.empty()
        if unfinished:
            place.button(t.stop, icon=":material/stop:", key="stop", on_click=unfinished.end, args=("cancelled",))
    # Not inside st.bottom, where Streamlit puts it anyway: only then does the page scroll down with the answer.
    st.chat_input(t.placeholder, key="message", on_submit=send, disabled=model is None)
    if unfinished and model and not unfinished.request:
        unfinished.ask(model, exchanges[:-1], settings)
    if unfinished and (unfinished.request or unfinished.finish_reason):
        view.follow()
        st.rerun()


# ---------------------------------------------------------------- page


def choose_language() -> Texts:
    """The head of the page: name, language, clear."""
    with st.container(key="head", horizontal=True, vertical_alignment="center"):
        st.text("MiniMind")
        tools = st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="xsmall")
    with tools:
        default = "zh" if (st.context.locale or "").lower().startswith("zh") else "en"  # the browser's language
        language = st.segmented_control(
            "中文 / English", list(LANGUAGES), default=default, required=True, key="language",
            format_func=lambda code: LANGUAGES[code].name, label_visibility="collapsed",
        )  # fmt: skip
        t = LANGUAGES.get(language, LANGUAGES["en"])
        icon_button("delete_sweep", t.clear, "clear", clear)
    return t


def page() -> None:
    st.set_page_config("MiniMind", WEB / "icon.svg", layout="centered", initial_sidebar_state="auto")
    st.html(STYLE)
    st.session_state.setdefault("exchanges", [])
    try:
        options = parse_options(WebOptions, PURPOSE)
    except SystemExit:  # the terminal shows the error, in English
        st.text("\n".join(t.flags_wrong for t in LANGUAGES.values()))
        st.stop()
    t = choose_language()
    model, problem = None, None
    try:
        model = choose_model(options, t)
    except Problem as error:
        problem = error
    settings = choose_settings(model, options, t)
    if problem:
        st.container(key="problem").text(problem.sentence(t))
    elif not model:
        show_untrained(options, t)
    show_conversation(model, settings, t)


if __name__ == "__main__":
    if st.runtime.exists():
        page()
    else:
        run(start)
