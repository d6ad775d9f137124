"""Sizes of windows against Keras' own arithmetic, and their errors."""

import itertools

import numpy as np
import pytest

from fastnn import geometry
from keras_reference import keras

AXES = list(itertools.product([1, 2, 5, 12], [1, 2, 3, 5], [1, 2, 3, 7], [1, 2, 3]))


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_output_sizes(padding):
    from keras.src.ops.operation_utils import compute_conv_output_shape

    for size, taps, stride, dilation in AXES:
        settings = dict(strides=stride, padding=padding, dilation_rate=dilation)
        if padding == "valid" and size < geometry.extent(taps, dilation):
            with pytest.raises(ValueError, match="does not fit into an axis"):
                geometry.output_size(size, taps, stride, padding, dilation)
            continue
        want = compute_conv_output_shape((None, size, 3), 4, (taps,), **settings)
        assert geometry.output_sizes((size,), (taps,), stride, padding, dilation) == want[1:2]
        assert geometry.output_sizes((None,), (taps,), stride, padding, dilation) == (None,)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_transposed_sizes(padding):
    from keras.src.backend.common.backend_utils import compute_conv_transpose_output_shape

    for size, taps, stride, dilation in AXES:
        for output_padding in (None, 0, 1):
            got = geometry.transposed_sizes((size,), (taps,), stride, padding, output_padding, dilation)
            want = compute_conv_transpose_output_shape(
                (1, size, 3), (taps,), 4, (stride,), padding, output_padding, dilation_rate=dilation
            )
            assert got == (max(want[1], 0),), (size, taps, stride, dilation, output_padding)
    assert geometry.transposed_size(None, 3, 2, padding) is None


def test_windows_cover_the_axis():
    """With "same", zeros are even but for one at the end; "causal" sees no future."""
    for size, taps, stride, dilation in AXES:
        cover = geometry.extent(taps, dilation)
        before = geometry.pad_before(size, taps, stride, "same", dilation)
        after = max((geometry.output_size(size, taps, stride, "same") - 1) * stride + cover - size, 0) - before
        assert after - before in (0, 1)
        assert geometry.pad_before(size, taps, stride, "causal", dilation) == cover - 1
        assert geometry.pad_before(size, taps, stride, "valid", dilation) == 0


@pytest.mark.parametrize("bad", [0, -1, 1.5, "3", True, (1,), (1, 2, 3), (1, 0), None])
def test_sizes_refuse(bad):
    with pytest.raises(ValueError, match="pool_size is a positive integer or 2 of them"):
        geometry.sizes(bad, 2, "pool_size")
    assert geometry.sizes(3, 2, "pool_size") == (3, 3)
    assert geometry.sizes([1, np.int64(2)], 2, "pool_size") == (1, 2)


def test_strides_or_dilation():
    geometry.check_strides((2, 2), (1, 1))
    geometry.check_strides((1, 1), (2, 3))
    with pytest.raises(ValueError, match="cannot both be above 1"):
        geometry.check_strides((1, 2), (2, 1))


def test_padding_and_layout():
    assert geometry.check_padding("SAME") == "same"
    assert geometry.check_padding("causal", causal=True) == "causal"
    for bad in ("causal", "full", None, 3):
        with pytest.raises(ValueError, match="padding is 'valid' or 'same'"):
            geometry.check_padding(bad)
    geometry.check_channels_last(None)
    with pytest.raises(ValueError, match="channels_last"):
        geometry.check_channels_last("channels_first")
    assert keras.backend.image_data_format() == "channels_last"
