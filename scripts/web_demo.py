"""Chat with a trained weight in a web page, in Chinese and English.

    ./run.sh web                                # http://127.0.0.1:8501; the same: python scripts/web_demo.py
    streamlit run scripts/web_demo.py           # the same again; flags of this page go behind a --
    ./run.sh web --host 0.0.0.0                 # for a phone in the same network; then the page offers out/ alone

What models and people write is shown as plain text with its line breaks, never as Markdown or HTML: an answer could
else load pictures from elsewhere, which tells a stranger of the chat, or dress up as the page itself; and 2 * 3 * 4
would lose its stars. A laboratory shows what the model wrote.

Streamlit runs `page` anew at every click. Read on: options -> the model -> the conversation -> page.
scripts/web/chat.py holds what outlives a click, web_texts.py the words, web_demo.css the look, and
.streamlit/config.toml Streamlit's settings.
"""

import functools
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

import streamlit as st  # noqa: E402

from dataset.chat import answer_room  # noqa: E402
from scripts.serving.addresses import is_loopback, listen  # noqa: E402
from scripts.web.chat import (  # noqa: E402
    Endpoint,
    Exchange,
    LocalModel,
    Problem,
    Settings,
    adapters_for,
    log_error,
    weights_in,
)
from scripts.web.texts import LANGUAGES, Texts  # noqa: E402
from trainer.command_line import flag, parse_options, run  # noqa: E402
from trainer.options import WeightOptions  # noqa: E402

PURPOSE = "Chat with a trained weight in a web page."
FRAME_SECONDS = 0.05  # between two pictures of an answer in the making
KEPT_MODELS = 3  # loaded at once; the longest unused one goes
STYLE = Path(__file__).with_name("web_demo.css")
ICON = (  # a page that fetches none from elsewhere
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#1f6f5c"/>'
    '<path d="M8 23V9l8 9 8-9v14" fill="none" stroke="#fff" stroke-width="3" stroke-linejoin="round"/></svg>'
)
COPY_BUTTON = {
    "html": """
<button type="button"><svg viewBox="0 0 24 24"><path d="M9 7h10v13H9zM15 7V4H5v13h4"/></svg></button>
""",
    "css": """
button { all: unset; display: flex; align-items: center; height: 2rem; padding: 0 0.5rem; cursor: pointer; }
button { opacity: 0.7; font: 0.8rem var(--st-font); }
button:hover { opacity: 1; }
button:focus-visible { outline: 2px solid var(--st-primary-color); border-radius: 0.4rem; }
button[data-said]::after { content: attr(data-said); padding-left: 0.3rem; }
svg { width: 1.1rem; height: 1.1rem; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linejoin: round; }
""",
    "js": """
export default function ({ parentElement, data }) {
  const button = parentElement.querySelector("button");
  button.title = button.ariaLabel = data.label;
  button.onclick = async () => {
    if (navigator.clipboard) await navigator.clipboard.writeText(data.text);
    else {  // a page that is neither on localhost nor has https
      const area = document.createElement("textarea");
      area.value = data.text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.dataset.said = data.done;
    setTimeout(() => delete button.dataset.said, 1500);
  };
}
""",
}


@dataclass
class WebOptions:
    out_dir: str = flag(str(ROOT / "out"), "folder of the weights that the page offers")
    tokenizer: str = flag(str(ROOT / "model"), "folder of their tokenizer")
    max_seq_len: int = flag(512, "most tokens of prompt and answer together", least=64)
    device: str = flag("auto", "cuda, mps, cpu or auto")
    host: str = flag("127.0.0.1", "address to listen on; under streamlit run: --server.address, --server.allowedHosts")
    port: int = flag(8501, "port to listen on; under streamlit run: --server.port", least=1, most=65535)


def start() -> None:
    """Become `streamlit run` of this file."""
    options = parse_options(WebOptions, PURPOSE)
    listen(options.host, options.port).close()  # what is wrong with them is said in one sentence
    command = [sys.executable, "-P", "-m", "streamlit", "run", __file__]  # -P: without the working folder's modules
    command += ["--server.port", str(options.port), "--server.address", options.host]
    if not is_loopback(options.host):
        command += ["--server.allowedHosts", "*"]
    os.execv(sys.executable, [*command, "--", *sys.argv[1:]])


# ---------------------------------------------------------------- the model


@st.cache_resource(max_entries=KEPT_MODELS, show_spinner=False, on_release=LocalModel.retire)
def open_local(weight: str, adapter: str | None, is_folder: bool, changed_ns: tuple[int, ...], options: tuple):
    """One model for all sessions; it is read anew when a file has changed."""
    max_seq_len, device, tokenizer = options
    return LocalModel(
        WeightOptions(
            weight=weight, lora_name=adapter, load=int(is_folder), tokenizer=None if is_folder else tokenizer,
            max_seq_len=max_seq_len, device=device,
        )  # fmt: skip
    )


def choose_model(options: WebOptions, t: Texts):
    """What the sidebar says, loaded; None when nothing is trained yet. Raises Problem."""
    sources = {"weight": t.source_weight}
    # Others must neither look through this disk nor send from here.
    if is_loopback(st.get_option("server.address") or ""):
        sources |= {"folder": t.source_folder, "endpoint": t.source_endpoint}
    source = st.sidebar.segmented_control(
        t.source, list(sources), default="weight", required=True, format_func=sources.get, key="source", width="stretch"
    )
    return {"folder": choose_folder, "endpoint": choose_endpoint}.get(source, choose_weight)(options, t)


def choose_weight(options: WebOptions, t: Texts) -> LocalModel | None:
    weights = weights_in(options.out_dir)
    if not weights:
        return None
    name = st.sidebar.selectbox(t.weight, list(weights), key="weight")
    weight = weights.get(name) or next(iter(weights.values()))  # a browser can send any text as the chosen one
    adapters = adapters_for(weight)
    names = ["", *adapters]
    show = {"": t.no_adapter}.get
    chosen = st.sidebar.selectbox(t.adapter, names, key="adapter", format_func=lambda n: show(n, n)) if adapters else ""
    return load(weight, adapters.get(chosen), False, options, t)


def choose_folder(options: WebOptions, t: Texts) -> LocalModel:
    typed = st.sidebar.text_input(t.folder, key="folder", help=t.folder_help, persist_state="session").strip()
    if not typed:
        raise Problem("folder_unnamed")
    try:
        folder = Path(typed).expanduser().absolute()
        there = (folder / "config.json").is_file()
    except (OSError, RuntimeError, ValueError):  # no permission, no such user, too long a name
        folder, there = typed, False
    if not there:
        raise Problem("folder_missing", name=folder)
    return load(folder, None, True, options, t)


def choose_endpoint(options: WebOptions, t: Texts) -> Endpoint:
    ask = functools.partial(st.sidebar.text_input, persist_state="session")
    address = ask(t.address, "http://127.0.0.1:8998/v1", key="address").strip()
    model = ask(t.model_name, "minimind", key="model").strip()
    return Endpoint(address, model, ask(t.key, type="password", key="api_key", help=t.key_help).strip())


def load(path: Path, adapter: Path | None, is_folder: bool, options: WebOptions, t: Texts) -> LocalModel:
    """The model, and a line about it in the sidebar. Raises Problem for whatever is wrong with its files."""
    loading = (options.max_seq_len, options.device, options.tokenizer)
    try:
        files = [path, path.with_suffix(".json"), *([adapter] if adapter else [])]
        files += path.iterdir() if is_folder else []
        changed_ns = tuple(file.stat().st_mtime_ns for file in files if file.exists())
        with st.spinner(t.loading):
            model = open_local(str(path), str(adapter) if adapter else None, is_folder, changed_ns, loading)
    except Exception as error:  # foreign bytes make a reader fail in any way there is
        log_error()
        if is_folder:
            raise Problem("folder_broken", name=path) from None
        of_adapter = adapter and str(adapter) in str(error)
        raise Problem("adapter_broken" if of_adapter else "weight_broken", name=(adapter or path).name) from None
    with st.sidebar.container(key="loaded"):
        st.text(t.loaded.format(size=model.size, device=model.device, context=model.context))
        if model.is_foreign:
            st.text(t.adapter_foreign)
    return model


def choose_settings(model, options: WebOptions, t: Texts) -> Settings:
    context = getattr(model, "context", options.max_seq_len)
    with st.sidebar.container(key="settings"):
        temperature = st.slider(t.temperature, 0.0, 1.5, 0.5, 0.1, key="temperature", help=t.temperature_help)
        most, usual = context // 2, answer_room(context)
        max_tokens = st.slider(t.length, min(16, most // 2), most, usual, 16, key="length", help=t.length_help)
        alone = getattr(model, "stage", "") == "reason"  # trained on single questions: one turn before and it is lost
        history = st.slider(t.history, 0, 8, int(not alone), key=f"history_{alone}", help=t.history_help)
        penalty = 1.0
        if not isinstance(model, Endpoint):  # their protocol has none
            penalty = st.slider(t.penalty, 1.0, 1.5, 1.0, 0.05, key="penalty", help=t.penalty_help)
        seed = st.number_input(t.seed, 0, 2**31 - 1, 42, key="seed", help=t.seed_help)
    return Settings(temperature, max_tokens, history, penalty, seed)


# ---------------------------------------------------------------- the conversation


def send(prompt: str | None = None) -> None:
    """A question, by a click or from the input: it ends the answer that is in the making, which is kept."""
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
    """An exchange on the page. While its answer grows, each part is drawn again in its own place; a finished one is
    drawn once, without a place that is empty first: else it would flicker whenever the page runs."""

    def __init__(self, exchange: Exchange, t: Texts):
        self.exchange, self.t, self.label = exchange, t, ""
        with st.container(key=f"question_{exchange.number}", horizontal_alignment="right"):
            st.text(exchange.question)
        self.thought_place = self.answer = self.status = st.container(key=f"answer_{exchange.number}", gap="small")
        if not exchange.finish:
            self.thought_place, self.answer = self.answer.empty(), self.answer.empty()
            self.status = self.status.container(key=f"status_{exchange.number}").empty()
        self.draw()
        if exchange.problem:
            st.container(key=f"problem_{exchange.number}").text(exchange.problem.sentence(t))

    def draw(self) -> None:
        exchange, t = self.exchange, self.t
        if exchange.thought:
            label = t.thought if exchange.answer or exchange.finish else t.thinking
            if label != self.label:
                self.label, self.thought = label, self.thought_place.expander(label, type="compact").empty()
            self.thought.text(exchange.thought)
        if exchange.answer or (exchange.finish and not exchange.problem):
            self.answer.text(exchange.answer or t.no_answer)
        if not exchange.finish:
            self.status.text(status(exchange, t))

    def follow(self) -> None:
        """Draw what comes, to the end. Whatever is clicked meanwhile ends this run; the next one goes on from there."""
        while not self.exchange.finish:
            time.sleep(FRAME_SECONDS)
            self.exchange.receive()
            self.draw()


def status(exchange: Exchange, t: Texts) -> str:
    if not exchange.seconds:  # a first token may be half a character
        return "…"
    rate = f"{exchange.n_tokens / exchange.seconds:,.0f}"
    said = (t.speed if exchange.exact else t.rough_speed).format(tokens=exchange.n_tokens, rate=rate)
    ending = {"cancelled": t.stopped, "length": t.cut}.get(exchange.finish)
    return f"{said} · {ending}" if ending else said


def show_actions(place, exchange: Exchange, can_ask: bool, t: Texts) -> None:
    copy_button = st.components.v2.component("minimind_copy", **COPY_BUTTON)
    number = exchange.number
    with place.container(key=f"actions_{number}", horizontal=True, vertical_alignment="center", gap="xxsmall"):
        if exchange.answer:
            copied = {"text": exchange.answer, "label": t.copy, "done": t.copied}
            copy_button(data=copied, key=f"copy_{number}", width="content", height="content")
        if can_ask:
            button("refresh", t.again, f"again_{number}", exchange.again)
        else:
            st.empty()  # what stands behind it keeps its place
        button("delete", t.delete, f"delete_{number}", delete, exchange)
        if not exchange.problem:
            st.text(status(exchange, t))


def button(icon: str, label: str, key: str, on_click, *args) -> None:
    """A quiet one with a picture; its name shows when the pointer rests on it."""
    st.button("", icon=f":material/{icon}:", type="tertiary", help=label, key=key, on_click=on_click, args=args)


def welcome(model, t: Texts) -> None:
    prompts = {"reason": t.reason_prompts, "pretrain": t.text_prompts}.get(model.stage, t.chat_prompts)
    with st.container(key="welcome"):
        st.text(t.welcome)
        if not isinstance(model, Endpoint):
            st.text(t.continues if model.stage == "pretrain" else t.welcome_hint)
    with st.container(key="prompts"):
        for number, prompt in enumerate(prompts):
            st.button(prompt, key=f"prompt_{number}", on_click=send, args=(prompt,), width="stretch")


def say_untrained(options: WebOptions, t: Texts) -> None:
    with st.container(key="untrained"):
        st.text(t.untrained)
        st.text(t.untrained_hint.format(folder=Path(options.out_dir).absolute()))
        st.code("./run.sh", language=None)
        st.text(t.untrained_then)
        st.button(t.look_again, key="look_again")


def converse(model, settings: Settings, t: Texts) -> None:
    """The conversation so far, the input below it, and the answer in the making.

    What a run no longer draws stays in sight until the run ends, and an input that moves loses what is being typed: so
    all that comes and goes has a place of its own that can be empty.
    """
    exchanges = st.session_state.exchanges
    place = st.empty()
    if model and not exchanges:
        with place.container():
            welcome(model, t)
    view = None
    for exchange in exchanges:
        view, is_last, place = View(exchange, t), exchange is exchanges[-1], st.empty()
        if exchange.finish:
            show_actions(place, exchange, is_last and model is not None, t)
    running = exchanges[-1] if exchanges and not exchanges[-1].finish else None
    with st.bottom:
        place = st.empty()
        if running:
            place.button(t.stop, icon=":material/stop:", key="stop", on_click=running.end, args=("cancelled",))
    # Not in st.bottom, where it comes to stand anyway: only then the page scrolls down with the answer.
    st.chat_input(t.placeholder, key="message", on_submit=send, disabled=model is None)
    if running and model and not running.making:
        running.ask(model, exchanges[:-1], settings)
    if running and (running.making or running.finish):
        view.follow()
        st.rerun()


# ---------------------------------------------------------------- page


def page() -> None:
    st.set_page_config("MiniMind", ICON, layout="centered", initial_sidebar_state="auto")
    st.html(STYLE)
    st.session_state.setdefault("exchanges", [])
    try:
        options = parse_options(WebOptions, PURPOSE)
    except SystemExit:  # the terminal has it in English
        st.text("\n".join(t.flags_wrong for t in LANGUAGES.values()))
        st.stop()
    with st.container(key="head", horizontal=True, vertical_alignment="center"):
        st.text("MiniMind")
        tools = st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="xsmall")
    with tools:
        own = "zh" if (st.context.locale or "").lower().startswith("zh") else "en"  # the browser's
        language = st.segmented_control(
            "中文 / English", list(LANGUAGES), default=own, required=True, key="language",
            format_func=lambda code: LANGUAGES[code].name, label_visibility="collapsed",
        )  # fmt: skip
        t = LANGUAGES.get(language, LANGUAGES["en"])
        button("delete_sweep", t.clear, "clear", clear)
    model, problem = None, None
    try:
        model = choose_model(options, t)
    except Problem as found:
        problem = found
    settings = choose_settings(model, options, t)
    if problem:
        st.container(key="problem").text(problem.sentence(t))
    elif not model:
        say_untrained(options, t)
    converse(model, settings, t)


if __name__ == "__main__":
    if st.runtime.exists():
        page()
    else:
        run(start)
