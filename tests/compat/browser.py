"""The web page as a process, and Chromium to look at it with.

    python tests/compat/browser.py out          # the pictures in images/, with the weights in that folder
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 120
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMEDRIVER = shutil.which("chromedriver")
FLAGS = (  # nothing of its own to the network, and nothing kept
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


class WebPage:
    """`streamlit run scripts/web_demo.py -- flags` on a free port, started in a folder of its own."""

    def __init__(self, out_dir: Path, work_dir: Path, *flags: str):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "streamlit", "run", ROOT / "scripts" / "web_demo.py"]
        command += ["--server.port", self.port, "--", "--out_dir", out_dir, *flags]
        env = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        self.log = (work_dir / "page.log").open("w+")
        self.process = subprocess.Popen(
            list(map(str, command)), env=env, cwd=work_dir, stdout=self.log, stderr=subprocess.STDOUT
        )
        wait_for(self.answers)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.output()
        try:
            return urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5).status == 200
        except urllib.error.URLError:
            return False

    def output(self) -> str:
        return Path(self.log.name).read_text()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)
        self.log.close()


def wait_for(condition):
    """What `condition` gives once it is true."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if found := condition():
                return found
        except StaleElementReferenceException:  # the page was just drawn anew
            pass
        assert time.monotonic() < end, "in vain"
        time.sleep(0.05)


class Browser(webdriver.Chrome):
    """Chromium with what a person does on the page. `scale`: pixels of a picture to one of the page."""

    def __init__(self, width: int, height: int, language: str, scale: int = 1):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--window-size={width},{height}", f"--lang={language}"):
            options.add_argument(flag)
        options.add_experimental_option("prefs", {"intl.accept_languages": language})
        super().__init__(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
        self.show_as(width, height, scale)

    def show_as(self, width: int, height: int, scale: int = 1) -> None:
        screen = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 640}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)

    def open(self, page: WebPage) -> None:
        self.get(page.url)
        self.wait_until_drawn(lambda: self.all("[class*=st-key-prompt_] button"))

    def all(self, css: str) -> list:
        return self.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str):
        return wait_for(lambda: self.all(css))[0]

    def click(self, css: str, text: str = "") -> None:
        def try_to() -> bool:
            found = [element for element in self.all(css) if text in element.text and element.is_displayed()]
            if found:
                found[0].click()
            return bool(found)

        wait_for(try_to)

    def texts(self, key: str) -> list[str]:
        """What stands in the containers of that key, one string each."""
        return self.execute_script(
            "return [...document.querySelectorAll(`[class*=st-key-${arguments[0]}]`)].map(e => e.innerText)", key
        )

    def choose(self, key: str, option: str) -> None:
        self.click(f".st-key-{key} input")
        self.click("[role=option]", option)

    def press(self, css: str, key: str) -> None:
        """A key on what has no face of its own to be clicked, as a slider's handle."""
        self.execute_script("arguments[0].focus()", self.one(css))
        ActionChains(self).send_keys(key).perform()

    def say(self, text: str) -> None:
        box = ".st-key-message textarea"
        wait_for(lambda: self.one(box).is_enabled())
        self.one(box).send_keys(text, Keys.ENTER)

    def wait_for_end(self, n_answers: int) -> None:
        """Until so many answers are finished, and the page has drawn them."""
        self.wait_until_drawn(lambda: len(self.all("[class*=st-key-actions_]")) == n_answers)

    def wait_until_drawn(self, condition) -> None:
        """Until `condition` is true, and nothing of the page before stands beside it any more."""
        done = "[data-testid=stApp][data-test-script-state=notRunning]"
        wait_for(lambda: condition() and self.all(done) and not self.all(".st-key-stop, [data-stale=true]"))


def take_pictures(out_dir: Path) -> None:
    """images/web_desktop.png and images/web_phone.png: a reasoning weight in English, a chat in Chinese."""
    page = WebPage(out_dir, Path(os.environ.get("TMPDIR", "/tmp")))
    try:
        browser = Browser(1280, 800, "en-US")
        browser.open(page)
        browser.choose("weight", "reason_192")
        problem = "There are 25 people on a bus. Then 16 get on. After that, 5 get off. How many are on the bus now?"
        for n_answers, question in enumerate(("What is the capital of France?", problem), 1):
            browser.say(question)
            browser.wait_for_end(n_answers)
        browser.all("[class*=st-key-answer_] summary")[-1].click()
        time.sleep(1)  # it unfolds
        browser.save_screenshot(str(ROOT / "images" / "web_desktop.png"))
        browser.quit()
        browser = Browser(390, 844, "zh-CN", scale=2)
        browser.open(page)
        for n_answers, question in enumerate(("法国的首都是哪里？", "那意大利呢？", "“床前明月光”的下一句是什么？"), 1):
            browser.say(question)
            browser.wait_for_end(n_answers)
        time.sleep(1)
        browser.save_screenshot(str(ROOT / "images" / "web_phone.png"))
        browser.quit()
    finally:
        page.stop()


if __name__ == "__main__":
    take_pictures(Path(sys.argv[1]).absolute())
