"""The house: imports run one way, modules stay small, and every command shows its flags and refuses others."""

import ast
import re
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest
from preloaded import run_preloaded

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("model", "dataset", "trainer", "scripts", "eval_model")
FILES = [path for name in PACKAGES for path in sorted([*ROOT.glob(f"{name}.py"), *(ROOT / name).rglob("*.py")])]
LIBRARIES = [path for path in FILES if path.parent.parent == ROOT / "scripts"]  # of the commands in scripts/
LONGEST_MODULE, LONGEST_TRAINER = 400, 350  # lines
ONE_FILE = {"model/model_minimind.py"}  # the whole network, to be read in one sitting
COMMANDS = [path for path in FILES if "__main__" in path.read_text("utf-8") and "sample" not in path.parts]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def project_imports(path: Path) -> set[str]:
    """Modules of the house that a file imports, at its top or inside a function, as `trainer.options`."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            modules = {f"{node.module}.{name.name}" for name in node.names}  # from trainer import train_dpo
            imported |= {module for module in modules if file_of(module)} or {node.module}
    return {name for name in imported if name.split(".")[0] in PACKAGES}


def file_of(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    found = path.with_suffix(".py")
    return found if found.is_file() else None


def test_the_rules_have_something_to_hold():
    assert {"model", "trainer"} <= {relative(path).split("/")[0] for path in FILES} and LIBRARIES
    assert project_imports(ROOT / "trainer" / "engine.py") >= {"dataset.batching", "model.weights", "trainer.monitor"}
    assert "trainer.stage" in project_imports(ROOT / "trainer" / "train_pretrain.py")  # imported inside main
    assert {"trainer/train_pretrain.py", "eval_model.py", "scripts/train_tokenizer.py"} <= set(map(relative, COMMANDS))


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_imports_run_one_way(path):
    package = relative(path).split("/")[0].removesuffix(".py")
    allowed = {
        "model": {"model"},
        "dataset": {"dataset"},
        "trainer": {"model", "dataset", "trainer"},
        "scripts": {"model", "dataset", "trainer", "scripts", "eval_model"},
        "eval_model": {"model", "dataset", "trainer"},
    }[package]
    for module in project_imports(path):
        assert module.split(".")[0] in allowed, f"{relative(path)} must not import {module}"
        assert not module.startswith("trainer.train_"), f"{relative(path)} imports a stage, {module}"
        assert file_of(module), f"{relative(path)} imports {module}, which is not there"


def test_imports_make_no_circles():
    """Neither at the top of modules nor inside functions."""
    modules = {relative(path).removesuffix(".py").replace("/", "."): path for path in FILES}
    imports = {name: project_imports(path) & modules.keys() for name, path in modules.items()}
    while leaves := [name for name, others in imports.items() if not others & imports.keys()]:
        for name in leaves:
            del imports[name]
    assert not imports, f"these import each other, or a module that does: {sorted(imports)}"


@pytest.mark.parametrize("path", LIBRARIES, ids=relative)
def test_libraries_of_scripts_are_no_commands(path):
    assert "__main__" not in path.read_text("utf-8"), f"{relative(path)}: a command belongs into scripts/ itself"


def test_modules_and_the_trainer_stay_small():
    packages = {"model", "dataset", "trainer"}
    parts = {relative(path): path for path in FILES if relative(path).split("/")[0] in packages}
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in parts.items() if "sample" not in name}
    too_long = {name for name, length in lengths.items() if length > LONGEST_MODULE}
    assert too_long <= ONE_FILE, f"more than {LONGEST_MODULE} lines: {sorted(too_long - ONE_FILE)}"
    tree = ast.parse((ROOT / "trainer" / "engine.py").read_text("utf-8"))
    (trainer,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Trainer")
    assert trainer.end_lineno - trainer.lineno < LONGEST_TRAINER


@pytest.mark.parametrize("name", ["model", "dataset", "trainer", "scripts"])
def test_packages_of_the_same_names_are_not_taken_for_ours(tmp_path, name):
    """PyPI has a dataset and a trainer; PYTHONPATH and other projects may hold any."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    found = PathFinder.find_spec(name, [str(ROOT), str(tmp_path)])
    assert found.origin == str(ROOT / name / "__init__.py")


@pytest.mark.parametrize("path", COMMANDS, ids=relative)
def test_every_command_answers_help_and_names_the_nearest_flag(tmp_path, path):
    """Called by its path from elsewhere, and from its own folder."""
    asked = subprocess.run([sys.executable, path, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert asked.returncode == 0 and asked.stdout.startswith("usage:") and not asked.stderr
    meant = max(re.findall(r"^  (--\w+)", asked.stdout, re.MULTILINE), key=len)
    slip = meant[:-2] + meant[-1]  # a letter is left out
    refused = run_preloaded(f"./{path.name}", slip, "1", cwd=path.parent)
    assert refused.returncode == 2 and not refused.stdout
    last_line = refused.stderr.strip().splitlines()[-1]
    assert f"{slip}: did you mean {meant}?" in last_line
    assert not list(tmp_path.iterdir())
