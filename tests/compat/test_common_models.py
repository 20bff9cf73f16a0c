"""transformers' common model tests, from its source distribution: none fails on MiniMind that passes on Llama."""

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import transformers

ROOT = Path(__file__).resolve().parents[2]
NOT_SHIPPED = {  # mixins that the common tests import, and that are not in the distribution
    "exporters/test_export.py": "class ExportTesterMixin: pass",
    "generation/test_utils.py": "class GenerationTesterMixin: pass",
}


@pytest.fixture(scope="module")
def their_tests(tmp_path_factory) -> Path:
    """A folder with the package `hf_tests`."""
    folder = tmp_path_factory.mktemp("transformers")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "transformers"]
    wanted = f"transformers=={transformers.__version__}"
    done = subprocess.run([*pip, "--dest", folder, wanted], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the source distribution of {wanted} cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    package = next(folder.glob("transformers-*/tests")).rename(folder / "hf_tests")
    for name, code in NOT_SHIPPED.items():
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text(code)
    return folder


@pytest.mark.compat
def test_no_common_test_fails_that_passes_on_llama(their_tests):
    (their_tests / "pytest.ini").write_text("[pytest]\npython_files = common_models.py\n")
    (their_tests / "common_models.py").write_bytes((ROOT / "tests" / "compat" / "common_models.py").read_bytes())
    flags = ["-q", "-rA", "-W", "ignore", "-p", "no:cacheprovider", "common_models.py"]
    env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{their_tests}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *flags], cwd=their_tests, env=env, capture_output=True, text=True, timeout=600
    )
    lines = re.findall(r"^(PASSED|FAILED|ERROR|SUBFAILED)\S* (?:\[.*?\] )?\S*::Test(\w+)::(\w+)", done.stdout, re.M)
    failed = {kind: {name for what, of, name in lines if what != "PASSED" and of == kind} for _, kind, _ in lines}
    passed = {name for what, of, name in lines if what == "PASSED" and of == "Llama"} - failed["Llama"]
    assert len(passed) > 80, done.stdout[-3000:]
    for kind in ("Dense", "Moe"):
        assert not failed[kind] & passed, done.stdout[-6000:]
