"""requirements.txt lists what is imported, as ranges; requirements.lock has one version of everything within them."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
OPTIONAL = {"datasets"}  # asked for by name where it is missing; the tests need it


def requirements(name: str) -> dict[str, Requirement]:
    lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text("utf-8").splitlines())
    parsed = [Requirement(line) for line in lines if line and not line.startswith("-r")]
    return {canonicalize_name(one.name): one for one in parsed}


def imported_packages() -> set[str]:
    files = [ROOT / "eval_model.py"]
    files += [path for name in ("model", "dataset", "trainer", "scripts") for path in (ROOT / name).rglob("*.py")]
    modules = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            modules |= {name.split(".")[0] for name in names}
    known = packages_distributions()
    outside = modules - sys.stdlib_module_names
    return {canonicalize_name(package) for module in outside for package in known.get(module, ())}


def test_what_is_imported_is_listed():
    assert imported_packages() - OPTIONAL <= requirements("requirements.txt").keys()


def test_every_range_has_both_ends_and_holds_the_locked_version():
    lock = dict(re.findall(r"^([\w.\-]+)==(\S+)$", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE))
    lock = {canonicalize_name(name): version for name, version in lock.items()}
    for file in ("requirements.txt", "requirements-dev.txt"):
        for name, requirement in requirements(file).items():
            assert {spec.operator for spec in requirement.specifier} == {">=", "<"}, requirement
            assert requirement.specifier.contains(lock[name]), f"{requirement} is locked at {lock[name]}"
