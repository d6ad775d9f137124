"""The wheel's budgets and the separation of the instruction sets' builds.

`make test` names the wheel and the build folder in FASTNN_WHEELS and FASTNN_BUILD; under a bare
pytest those tests are skipped. The checks themselves are tried on samples that must fail.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_symbols = load_script("check_symbols")
check_wheel = load_script("check_wheel")


def from_make(variable):
    if variable not in os.environ:
        pytest.skip(f"{variable} is set by `make test`")
    return ROOT / os.environ[variable]


@pytest.fixture
def wheel():
    (path,) = from_make("FASTNN_WHEELS").glob("*.whl")
    return path


# --- the wheel ----------------------------------------------------------------------------------


def test_wheel_is_complete_and_small(wheel):
    assert check_wheel.content_errors(wheel) == []
    assert wheel.stat().st_size <= check_wheel.MAX_SIZE_BYTES


def test_import_is_quick(wheel):
    assert check_wheel.import_ms() <= check_wheel.MAX_IMPORT_MS


def test_import_is_silent(wheel):
    assert check_wheel.import_output() == ""


def test_import_brings_numpy_alone(wheel):
    outside = check_wheel.imported_modules() - {"fastnn"} - set(sys.stdlib_module_names)
    assert {name for name in outside if not name.startswith("_")} <= {"numpy"}


FIRST_FIT = """
import sys
import numpy as np, fastnn as keras
model = keras.Sequential([keras.layers.Dense(2)])
model.compile("adam", "mse", metrics=["mae"])
model.fit(np.ones((4, 3), "float32"), np.ones((4, 2), "float32"), verbose=0)
model.predict(np.ones((4, 3), "float32"), verbose=0)
print(*(name for name in sys.modules if name.startswith("numpy.") or name.split(".")[0] not in sys.stdlib_module_names))
"""


def test_first_fit_brings_nothing_heavy():
    """Parts that NumPy itself imports when they are asked for; `numpy.ma` takes as long as a small model's first fit."""
    done = subprocess.run([sys.executable, "-c", FIRST_FIT], capture_output=True, text=True, check=True)
    brought = set(done.stdout.split())
    assert "fastnn.training" in brought and "numpy" in brought
    heavy = {"numpy.ma", "numpy.testing", "numpy.f2py", "numpy.polynomial", "numpy.ctypeslib"}
    before = set(
        subprocess.run(
            [sys.executable, "-c", "import sys, numpy; print(*sys.modules)"], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert not brought & heavy - before  # older versions of NumPy import some by themselves


def test_requirements_are_numpy_alone(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
    requires = re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)
    assert [line for line in requires if "extra ==" not in line] == ["numpy>=1.24"]


def test_incomplete_wheel_is_noticed(tmp_path):
    path = tmp_path / "bad.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fastnn/__init__.py", "")
        archive.writestr("tests/test_x.py", "")
    errors = "\n".join(check_wheel.content_errors(path))
    for part in (
        "lacks fastnn/py.typed",
        "digits.npz",
        "_core",
        "LICENSE",
        "holds tests/test_x.py",
    ):
        assert part in errors


# --- instruction sets ---------------------------------------------------------------------------


def test_builds_do_not_share_symbols():
    build = from_make("FASTNN_BUILD")
    objects = check_symbols.find_objects(build)
    # The module for other machines may lack x86 builds, this one has at least two.
    assert len(objects) >= 2 and all(objects.values()), objects
    found = {
        str(path): lines
        for isa, paths in objects.items()
        for path in paths
        if (lines := check_symbols.violations(path, isa))
    }
    assert found == {}


CLEAN = """
namespace fastnn::avx2 {
template <class T> __attribute__((noinline)) T twice(T x) { return x + x; }
struct Shape { virtual ~Shape() {} virtual int rank() const { return 3; } };
inline int counter;
inline int count() { static int calls = twice(2); return ++calls + ++counter; }
int run(int x) { Shape s; return twice(x) + count() + (&s)->rank() + (new Shape)->rank(); }
}
"""


@pytest.mark.parametrize(
    "source, expected",
    [
        (CLEAN, None),
        (
            CLEAN + "template <class T> __attribute__((noinline)) T half(T x) { return x / 2; }\n"
            "namespace fastnn::avx2 { float leak(float x) { return half(x); } }",
            r"W float half<float>\(float\) is weak and outside fastnn::avx2",
        ),
        (
            # One of our types in the name does not make it ours, nor does a longer name.
            "namespace fastnn::avx2 { struct T { int x; }; }\n"
            "namespace fastnn::avx22 { template <class T> __attribute__((noinline))"
            " int get(T t) { return t.x; } }\n"
            "int leak(fastnn::avx2::T t) { return fastnn::avx22::get(t); }",
            r"fastnn::avx22::get<.*outside fastnn::avx2",
        ),
        (
            "namespace fastnn::avx2 { int start(); int started = start(); }",
            "_GLOBAL__sub_I.* runs avx2 code when the module is loaded",
        ),
    ],
    ids=["clean", "template", "neighbour", "static-initialiser"],
)
@pytest.mark.skipif(not shutil.which("g++") or not shutil.which("nm"), reason="needs g++ and nm")
def test_check_symbols(tmp_path, source, expected):
    folder = tmp_path / "build/x/CMakeFiles/fastnn_cpu_avx2.dir"
    folder.mkdir(parents=True)
    (tmp_path / "x.cpp").write_text(source)
    command = ["g++", "-std=c++20", "-O2", "-c", tmp_path / "x.cpp", "-o", folder / "x.cpp.o"]
    subprocess.run(command, check=True)
    script = [sys.executable, ROOT / "scripts/check_symbols.py", tmp_path / "build"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == (expected is not None), done.stdout + done.stderr
    if expected:
        assert re.search(expected, done.stdout), done.stdout


def test_check_symbols_without_a_build(tmp_path):
    script = [sys.executable, ROOT / "scripts/check_symbols.py", tmp_path]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 2 and "build first" in done.stdout
