"""The runner itself: what is skipped, or was never found, fails."""

import pathlib
import shutil
import subprocess
import sys

import pytest

TEST = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("wanted, status, said", [
    ("good", 0, "100% tests passed"),
    ("skips", 1, "that is a failure"),
    ("disabled", 1, "that is a failure"),
    ("bad", 8, "1 tests failed"),
    ("nobody", 8, ""),
])
def test_ctest_counts_a_skip_as_a_failure(tmp_path, wanted, status, said):
    (tmp_path / "CTestTestfile.cmake").write_text(
        'add_test(good "true")\nadd_test(bad "false")\nadd_test(skips "sh" "-c" "exit 77")\n'
        'set_tests_properties(skips PROPERTIES SKIP_RETURN_CODE 77)\n'
        'add_test(disabled "true")\nset_tests_properties(disabled PROPERTIES DISABLED TRUE)\n')
    ran = subprocess.run([TEST / "ctest-strict", tmp_path, "-R", wanted], capture_output=True, text=True, check=False)
    assert ran.returncode == status and said in ran.stdout, ran.stdout + ran.stderr


@pytest.mark.parametrize("body, status", [
    ("assert True", 0),
    ("pytest.skip('not here')", 1),
    ("pytest.xfail('some day')", 1),
    ("assert False", 1),
])
def test_pytest_counts_a_skip_as_a_failure(tmp_path, body, status):
    for name in ("conftest.py", "pytest.ini"):
        shutil.copy(TEST / name, tmp_path)
    (tmp_path / "harness").symlink_to(TEST / "harness")
    (tmp_path / "test_one.py").write_text(f"import pytest\n\n\ndef test_one():\n    {body}\n")
    ran = subprocess.run([sys.executable, "-m", "pytest", "-q", "test_one.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == status, ran.stdout + ran.stderr
