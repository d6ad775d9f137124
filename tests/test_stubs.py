"""The stubs that are kept are those that scripts/stubs.py writes: `make stubs`."""

import sys

import pytest

from test_packaging import load_script

stubs = load_script("stubs")


def test_stub_of_the_kernels():
    assert (stubs.PACKAGE / "kernels.pyi").read_text() == stubs.catalogue()


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="names of types in docstrings differ between Pythons")
def test_stub_of_the_native_module():
    assert (stubs.PACKAGE / "_core.pyi").read_text() == stubs.core()
