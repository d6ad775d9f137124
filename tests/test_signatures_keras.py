"""Names, order and defaults of arguments: what Keras has in a public module and fastnn too is called
alike. Every difference stands in a table, with its reason.

Arguments that fastnn adds are keywords behind Keras' own, so that positional calls mean the same.
"""

import functools
import inspect

import pytest

import fastnn
from keras_reference import keras

MODULES = [
    "activations", "callbacks", "constraints", "initializers", "layers", "losses", "metrics", "models", "ops",
    "optimizers", "optimizers.schedules", "random", "regularizers", "saving", "utils",
]  # fmt: skip

# Of classes: what Keras takes through **kwargs in one place and names in another.
COMMON = {"activity_regularizer", "trainable", "dtype", "name"}

# Arguments of Keras that fastnn does not have: (module, name or "*", argument): why.
LACKING = {
    ("layers", "*", "lora_rank"): "low-rank adapters",
    ("layers", "*", "lora_alpha"): "low-rank adapters",
    ("layers", "*", "quantization_config"): "quantization",
    ("layers", "EinsumDense", "gptq_unpacked_column_size"): "quantization",
    ("layers", "*", "ragged"): "tensors are dense",
    ("layers", "*", "optional"): "every input of a model is given",
    ("layers", "*", "allow_last_axis_squeeze"): "an input of another rank is an error",
    ("layers", "InputLayer", "input_tensor"): "KerasTensors come from Input()",
    ("layers", "Layer", "autocast"): "taken through **kwargs; there is one type",
    ("layers", "InputSpec", "name"): "inputs are named by Input()",
    ("ops", "*", "ragged"): "tensors are dense",
    ("optimizers", "*", "weight_decay"): "taken through **kwargs",
    ("optimizers", "*", "clipnorm"): "taken through **kwargs",
    ("optimizers", "*", "clipvalue"): "taken through **kwargs",
    ("optimizers", "*", "global_clipnorm"): "taken through **kwargs",
    ("optimizers", "*", "use_ema"): "taken through **kwargs",
    ("optimizers", "*", "ema_momentum"): "taken through **kwargs",
    ("optimizers", "*", "ema_overwrite_frequency"): "taken through **kwargs",
    ("optimizers", "*", "loss_scale_factor"): "taken through **kwargs",
    ("optimizers", "*", "gradient_accumulation_steps"): "taken through **kwargs",
    ("callbacks", "CallbackList", "add_progbar"): "fit shows progress itself",
    ("models", "clone_model", "input_tensors"): "taken through **kwargs",
    ("models", "clone_model", "clone_function"): "taken through **kwargs",
    ("models", "clone_model", "call_function"): "taken through **kwargs",
    ("models", "clone_model", "recursive"): "taken through **kwargs",
    ("saving", "save_model", "zipped"): "a file is one zip",
    ("models", "save_model", "zipped"): "a file is one zip",
    ("saving", "get_registered_object", "module_objects"): "what is registered is found, nothing else",
    ("saving", "save_weights", "max_shard_size"): "a file is one file",
    ("utils", "get_registered_object", "module_objects"): "what is registered is found, nothing else",
}

# Other names, defaults or places: why.
DIFFERENT = {
    ("ops", "is_tensor", "x"): "called value",
    ("ops", "clip", "x_min"): "may be left open",
    ("ops", "clip", "x_max"): "may be left open",
    ("ops", "where", "x1"): "without it the shape would depend on values",
    ("ops", "where", "x2"): "without it the shape would depend on values",
    ("ops", "segment_sum", "num_segments"): "without it the shape would depend on values",
    ("losses", "deserialize", "name"): "called config, as in every family",
    ("losses", "serialize", "loss"): "called obj, as in every family",
    ("layers", "serialize", "layer"): "called obj, as in every family",
    ("metrics", "serialize", "metric"): "called obj, as in every family",
    ("optimizers", "serialize", "optimizer"): "called obj, as in every family",
    ("initializers", "serialize", "initializer"): "called obj, as in every family",
    ("regularizers", "serialize", "regularizer"): "called obj, as in every family",
    ("constraints", "serialize", "constraint"): "called obj, as in every family",
    ("optimizers.schedules", "serialize", "learning_rate_schedule"): "called obj, as in every family",
    ("models", "model_from_json", "json_string"): "called text",
}


def of(library, module):
    return functools.reduce(getattr, module.split("."), library)


def arguments(thing):
    """{name: default} of what can be given by name."""
    function = thing.__init__ if inspect.isclass(thing) else thing
    found = inspect.signature(function).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: p.default for p in found if p.kind in kinds and p.name != "self"}


def same(a, b):
    """(2, 2) means 2 for every axis."""
    plain = lambda v: v[0] if isinstance(v, tuple) and v and len(set(v)) == 1 else v  # noqa: E731
    return a is b or repr(plain(a)) == repr(plain(b))


def explained(table, module, name, argument):
    return any((m, n, argument) in table for m in (module, "*") for n in (name, "*"))


PAIRS = [
    (module, name)
    for module in MODULES
    for name in dir(of(keras, module))
    if not name.startswith("_") and callable(getattr(of(keras, module), name)) and hasattr(of(fastnn, module), name)
]


@pytest.mark.parametrize("module, name", PAIRS)
def test_arguments_are_those_of_keras(module, name):
    theirs, ours = (arguments(getattr(of(library, module), name)) for library in (keras, fastnn))
    by_name = COMMON if inspect.isclass(getattr(of(keras, module), name)) else set()
    lacking = [a for a in theirs.keys() - ours.keys() - by_name if not explained(LACKING, module, name, a)]
    common = [a for a in theirs if a in ours]
    assert [a for a in lacking if not explained(DIFFERENT, module, name, a)] == []
    other = [a for a in common if not same(theirs[a], ours[a]) and not explained(DIFFERENT, module, name, a)]
    assert {a: (theirs[a], ours[a]) for a in other} == {}
    # Positional calls mean the same: the common arguments lie in Keras' order, before what is added.
    renamed = sum(explained(DIFFERENT, module, name, a) for a in theirs.keys() - ours.keys())
    assert [a for a in ours if a in theirs] == common
    added = [a for a in ours if a not in theirs and a not in by_name][renamed:]
    assert all(list(ours).index(a) >= len(common) for a in added), added


def test_no_difference_is_explained_in_vain():
    """A line of the tables that has come true is taken out of them."""
    known = {(m, n): [arguments(getattr(of(k, m), n)) for k in (keras, fastnn)] for m, n in PAIRS}
    vain = []
    for m, n, argument in LACKING:
        fits = [(t, o) for (module, name), (t, o) in known.items() if m in (module, "*") and n in (name, "*")]
        vain += [] if any(argument in t and argument not in o for t, o in fits) else [(m, n, argument)]
    for m, n, argument in DIFFERENT:
        t, o = known[m, n]
        if argument in o and same(t[argument], o[argument]):
            vain.append((m, n, argument))
    assert vain == []


def test_what_the_package_lists_is_there():
    assert [name for name in dir(fastnn) if not hasattr(fastnn, name)] == []
