"""Sizes of convolutions and pools along each axis, with Keras' padding: csrc/geometry.h in Python.

A window of `taps` inputs, `dilation` apart, slides by `stride`; it covers
`extent = (taps - 1) dilation + 1` inputs. "valid" uses whole windows only, "same" gives
ceil(size / stride) outputs with the odd zero at the end, "causal" puts all zeros before the start.
Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning".
"""

from __future__ import annotations

from typing import Any


def sizes(value: Any, rank: int, what: str) -> tuple[int, ...]:
    """`value`, one positive integer or `rank` of them, as a tuple of `rank`."""
    many = value if isinstance(value, (tuple, list)) else (value,) * rank
    if len(many) == rank and all(hasattr(n, "__index__") and not isinstance(n, bool) for n in many):
        many = tuple(n.__index__() for n in many)
        if min(many) > 0:
            return many
    raise ValueError(f"{what} is a positive integer or {rank} of them, got {value!r}")


def check_padding(padding: Any, causal: bool = False) -> str:
    """`padding` in lower case: "valid", "same" or, with `causal`, "causal". Raises ValueError."""
    name = padding.lower() if isinstance(padding, str) else padding
    if name not in ("valid", "same", "causal") or (name == "causal" and not causal):
        allowed = "'valid', 'same' or 'causal'" if causal else "'valid' or 'same'"
        raise ValueError(f"padding is {allowed}, got {padding!r}")
    return name


def check_channels_last(data_format: Any) -> None:
    """Raises ValueError for a layout other than channels-last, the one there is."""
    if data_format not in (None, "channels_last"):
        raise ValueError(
            f"only data_format='channels_last' is supported, got {data_format!r}: "
            "move the channels to the last axis, for example with ops.transpose"
        )


def check_strides(strides: tuple[int, ...], dilation: tuple[int, ...]) -> None:
    """Raises ValueError where both are above 1, which Keras does not define."""
    if max(strides) > 1 and max(dilation) > 1:
        raise ValueError(f"strides {strides} and dilation_rate {dilation} cannot both be above 1")


def extent(taps: int, dilation: int) -> int:
    """Inputs from the first to the last tap of a window."""
    return (taps - 1) * dilation + 1


def output_size(size: int | None, taps: int, stride: int, padding: str, dilation: int = 1) -> int | None:
    """Outputs along one axis; None for an unknown size. Raises ValueError if no window fits."""
    if size is None:
        return None
    if padding != "valid":
        return -(-size // stride)
    cover = extent(taps, dilation)
    if size < cover:
        raise ValueError(f"a window that covers {cover} does not fit into an axis of {size} with padding='valid'")
    return (size - cover) // stride + 1


def pad_before(size: int, taps: int, stride: int, padding: str, dilation: int = 1) -> int:
    """Zeros before the first input of one axis."""
    if padding == "valid":
        return 0
    if padding == "causal":
        return extent(taps, dilation) - 1
    total = (-(-size // stride) - 1) * stride + extent(taps, dilation) - size
    return max(total, 0) // 2


def _each(spatial: Any, *settings: Any) -> Any:
    rank = len(spatial)
    return zip(spatial, *[(s,) * rank if isinstance(s, (int, str)) or s is None else s for s in settings])


def output_sizes(spatial: Any, taps: Any, strides: Any, padding: str, dilation: Any = 1) -> tuple[int | None, ...]:
    """`output_size` along every axis."""
    return tuple(output_size(*axis) for axis in _each(spatial, taps, strides, padding, dilation))


def pads_before(spatial: Any, taps: Any, strides: Any, padding: str, dilation: Any = 1) -> tuple[int, ...]:
    """`pad_before` along every axis."""
    return tuple(pad_before(*axis) for axis in _each(spatial, taps, strides, padding, dilation))


# --- transposed ----------------------------------------------------------------------------------


def _transposed_pads(
    taps: int, stride: int, padding: str, output_padding: int | None, dilation: int
) -> tuple[int, int]:
    """Zeros around the stretched input, before and after, by Keras' rules."""
    cover = extent(taps, dilation)
    if padding == "valid":
        more = max(cover, stride) - cover if output_padding is None else output_padding
        return cover - 1, cover - 1 + more
    total = stride + cover - 2 if output_padding is None else cover + cover % 2 - 2 + output_padding
    before = min((total + 1) // 2, cover - 1)
    return before, total - before


def transposed_size(
    size: int | None,
    taps: int,
    stride: int,
    padding: str,
    output_padding: int | None = None,
    dilation: int = 1,
) -> int | None:
    """Outputs of a transposed convolution along one axis; None for an unknown size.

    Without `output_padding`: size * stride for "same", (size - 1) stride + max(extent, stride) for
    "valid".
    """
    if size is None:
        return None
    before, after = _transposed_pads(taps, stride, padding, output_padding, dilation)
    return max((size - 1) * stride + 2 + before + after - extent(taps, dilation), 0)


def transposed_sizes(
    spatial: Any,
    taps: Any,
    strides: Any,
    padding: str,
    output_padding: Any = None,
    dilation: Any = 1,
) -> tuple[int | None, ...]:
    """`transposed_size` along every axis."""
    return tuple(transposed_size(*a) for a in _each(spatial, taps, strides, padding, output_padding, dilation))


def transposed_crops(
    taps: Any, strides: Any, padding: str, output_padding: Any = None, dilation: Any = 1
) -> tuple[int, ...]:
    """The padding of the convolution whose input gradient the transposed convolution is."""
    crops = []
    for n, stride, out, gap in _each(taps, strides, output_padding, dilation):
        crops.append(extent(n, gap) - 1 - _transposed_pads(n, stride, padding, out, gap)[0])
    return tuple(crops)
