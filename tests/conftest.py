"""What several test modules share: the shipped vocabulary, another one of the same size, and small networks."""

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from model.model_minimind import MiniMindConfig, MiniMindForCausalLM, RMSNorm

ROOT = Path(__file__).resolve().parents[1]


# What takes longest begins first, so that no worker is left with it while the others have nothing to do.
LONGEST = ("test_trainer", "test_crash", "test_stages", "test_server", "test_lifecycle", "test_scripts", "test_readme")
LONGEST += ("test_deepspeed", "test_server_clients", "test_two_ranks", "test_lm_eval", "test_web_browser")


def pytest_configure():
    for number in (signal.SIGINT, signal.SIGHUP):  # which a shell makes its background jobs ignore, and nohup
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small tensors are faster on one thread, above all when the other core is busy."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer():
    return AutoTokenizer.from_pretrained(ROOT / "model")


@pytest.fixture(scope="session")
def other_vocabulary(tmp_path_factory) -> Path:
    """A tokenizer folder that differs from model/ in one thing: two tokens have swapped their ids."""
    folder = tmp_path_factory.mktemp("other_vocabulary")
    shutil.copy(ROOT / "model" / "tokenizer_config.json", folder)
    content = json.loads((ROOT / "model" / "tokenizer.json").read_text("utf-8"))
    vocabulary = content["model"]["vocab"]
    one, other = list(vocabulary)[3000:3002]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    (folder / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    return folder


@pytest.fixture(scope="session")
def make_model():
    """A function that builds a small float32 network, in eval mode.

    Its weights are several times larger than those of a new network, so that every part of it moves the logits.
    """

    def make(seed: int = 0, **config) -> MiniMindForCausalLM:
        small = dict(vocab_size=97, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
        torch.manual_seed(seed)
        model = MiniMindForCausalLM(MiniMindConfig(**small | {"max_position_embeddings": 128} | config))
        with torch.no_grad():
            for module in model.modules():
                for parameter in module.parameters(recurse=False):
                    parameter.normal_(1.0 if isinstance(module, RMSNorm) else 0.0, 0.15)
        return model.eval()

    return make
