"""Names and dictionaries to objects and back. Everything here is exact: no tolerances."""

import json

import numpy as np
import pytest

from fastnn import activations, constraints, initializers, layers, losses, regularizers, schedules
from fastnn.custom_objects import (
    custom_object_scope,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from fastnn.serialization import (
    MAX_DEPTH,
    Family,
    deserialize_object,
    serialize_object,
    to_snake_case,
)
from keras_reference import keras

FAMILIES = {
    "initializers": initializers,
    "regularizers": regularizers,
    "constraints": constraints,
    "schedules": schedules,
}
# (family, class name, arguments): every class, with its defaults and with others.
CASES = [
    *[("initializers", n, {}) for n in ("Zeros", "Ones", "Constant", "Orthogonal")],
    *[("initializers", n, {}) for n in ("RandomNormal", "RandomUniform", "TruncatedNormal")],
    *[
        ("initializers", f"{n}{kind}", {"seed": seed})
        for n in ("Glorot", "He", "Lecun")
        for kind in ("Uniform", "Normal")
        for seed in (None, 7)
    ],
    ("initializers", "VarianceScaling", {}),
    (
        "initializers",
        "VarianceScaling",
        {"scale": 2.0, "mode": "fan_out", "distribution": "normal"},
    ),
    ("initializers", "Constant", {"value": 3.5}),
    ("initializers", "Orthogonal", {"gain": 2.0, "seed": 1}),
    ("initializers", "RandomUniform", {"minval": -1.0, "maxval": 2.0, "seed": 3}),
    ("regularizers", "L1", {}),
    ("regularizers", "L2", {"l2": 0.5}),
    ("regularizers", "L1L2", {"l1": None}),
    ("regularizers", "L1L2", {"l1": 0.1, "l2": 0.2}),
    ("regularizers", "OrthogonalRegularizer", {"mode": "columns"}),
    ("constraints", "MaxNorm", {"axis": [0, 1, 2]}),
    ("constraints", "NonNeg", {}),
    ("constraints", "UnitNorm", {}),
    ("constraints", "MinMaxNorm", {"rate": 0.5}),
    (
        "schedules",
        "ExponentialDecay",
        dict(initial_learning_rate=0.1, decay_steps=9, decay_rate=0.5),
    ),
    ("schedules", "PiecewiseConstantDecay", {"boundaries": [5, 9], "values": [1.0, 0.5, 0.1]}),
    ("schedules", "PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10}),
    (
        "schedules",
        "InverseTimeDecay",
        dict(initial_learning_rate=0.1, decay_steps=9, decay_rate=0.5),
    ),
    ("schedules", "CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 10}),
    ("schedules", "CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 10}),
]


def as_float32(config):
    return {k: float(np.float32(v)) if isinstance(v, float) else v for k, v in config.items()}


def keras_family(name):
    return keras.optimizers.schedules if name == "schedules" else getattr(keras, name)


@pytest.mark.parametrize("family, name, arguments", CASES)
def test_config_is_kerass_and_returns(family, name, arguments):
    ours = getattr(FAMILIES[family], name)(**arguments)
    theirs = getattr(keras_family(family), name)(**arguments)
    config = ours.get_config()
    # Some of Keras' factors have been through float32, ours have not; everything else is equal.
    assert as_float32(config) == as_float32(theirs.get_config())
    description = serialize_object(ours)
    assert description == {**keras.saving.serialize_keras_object(theirs), "config": config}
    again = deserialize_object(json.loads(json.dumps(description)))
    assert type(again) is type(ours) and again.get_config() == config
    assert FAMILIES[family].deserialize({"class_name": name, "config": config}).get_config() == config
    returned = keras.saving.deserialize_keras_object(description)
    assert as_float32(returned.get_config()) == as_float32(config)


def test_the_gain_of_identity_is_kept():
    # Keras 3.15 forgets it: its config is empty.
    assert initializers.Identity(3.0).get_config() == {"gain": 3.0}
    theirs = keras.saving.deserialize_keras_object(serialize_object(initializers.Identity(3.0)))
    assert theirs.gain == 3.0


@pytest.mark.parametrize("family", ["initializers", "regularizers", "constraints"])
def test_every_name_that_keras_takes(family):
    from importlib import import_module

    names = import_module(f"keras.src.{family}").ALL_OBJECTS_DICT
    kind = family[:-1]
    # Constant cannot be made from its name in Keras 3.15: its from_config wants a value.
    outside = {
        "Constant",
        "constant",
        kind,
        kind.capitalize(),
        "STFT",
        "stft",
        "STFTInitializer",
        "l1l2",
    }
    for name in sorted(set(names) - outside):
        theirs, ours = keras_family(family).get(name), FAMILIES[family].get(name)
        assert type(ours).__name__ == type(theirs).__name__, name


@pytest.mark.parametrize("family", ["initializers", "regularizers", "constraints"])
@pytest.mark.parametrize("identifier", ["foo", "", 3, 2.5, object(), b"zeros", ["zeros"]])
def test_what_keras_refuses_is_refused(family, identifier):
    with pytest.raises(ValueError):
        keras_family(family).get(identifier)
    with pytest.raises(ValueError):
        FAMILIES[family].get(identifier)


def test_get_takes_all_kinds_of_identifiers():
    zeros = initializers.Zeros()

    def own(shape, dtype=None):
        return np.zeros(shape)

    assert initializers.get(None) is None
    assert initializers.get(zeros) is zeros
    assert initializers.get(own) is own
    assert isinstance(initializers.get(initializers.Ones), initializers.Ones)
    assert initializers.get({"class_name": "Constant", "config": {"value": 2}}).value == 2
    assert initializers.get("own", custom_objects={"own": own}) is own
    with pytest.raises(ValueError, match="cannot be made without arguments"):
        schedules.get("CosineDecay")


def test_unknown_names_come_with_near_ones():
    with pytest.raises(ValueError, match=r"Unknown initializer 'glorot_unifrm'.*'glorot_uniform'"):
        initializers.get("glorot_unifrm")
    with pytest.raises(ValueError, match=r"Unknown class 'GlorotUniforn'.*'GlorotUniform'"):
        initializers.get({"class_name": "GlorotUniforn", "config": {}})


@pytest.mark.parametrize(
    "name",
    ["GlorotUniform", "Conv2DTranspose", "GRU", "MeanIoU", "F1Score", "RMSprop", "L1L2", "AUC",
     "KLDivergence", "TopKCategoricalAccuracy", "LeakyReLU", "SGD", "AdamW", "Dense"],
)  # fmt: skip
def test_snake_case_is_kerass(name):
    from keras.src.utils.naming import to_snake_case as theirs

    assert to_snake_case(name) == theirs(name)


def test_functions_and_aliases_of_a_family():
    family = Family("test loss", "test.losses")

    @family.register("Sq", "SQ")
    class SquaredThing(initializers.Initializer):
        pass

    @family.register("sq")
    def squared_thing(x):
        return x * x

    # A function has the first claim on the snake_case name, in whichever order they come.
    assert family.get("squared_thing") is squared_thing and family.get("sq") is squared_thing
    assert isinstance(family.get("SquaredThing"), SquaredThing)
    assert isinstance(family.get("SQ"), SquaredThing)
    assert serialize_object(squared_thing) == "squared_thing"
    assert family.deserialize("squared_thing") is squared_thing
    as_keras_writes = {"module": "builtins", "class_name": "function", "config": "squared_thing"}
    assert family.get(as_keras_writes) is squared_thing
    with pytest.raises(ValueError, match="two test losss are called 'Sq'"):
        family.register("Sq")(lambda x: x)


# --- Configurable ---------------------------------------------------------------------------------


class Base(initializers.Initializer):
    def __init__(self, rank, *, size=2, trainable=True, name=None):
        self.rank = rank
        self.size = (size,) * rank if isinstance(size, int) else tuple(size)
        self.trainable = trainable
        self.name = name or "base_1"


class Plane(Base):
    def __init__(self, units, activation="relu", **kwargs):
        super().__init__(2, **kwargs)
        self.units = units
        self._kept = activation  # under another name: the config has what was passed

    def activation(self):
        """A method of an argument's name is not its value."""


class Square(Plane):
    def __init__(self, units, **kwargs):
        super().__init__(units, activation="tanh", size=7, **kwargs)


class Closed(Base):
    def __init__(self, units):
        super().__init__(3)
        self.units = units


def test_arguments_of_the_base_come_with_kwargs():
    plane = Plane(3, name="mine", size=4)
    expected = {"units": 3, "activation": "relu", "size": (4, 4), "trainable": True, "name": "mine"}
    assert plane.get_config() == expected
    assert Plane.from_config(plane.get_config()).get_config() == expected


def test_what_a_subclass_fixes_is_not_in_its_config():
    config = Square(3).get_config()
    assert config == {"units": 3, "trainable": True, "name": "base_1"}
    assert Square.from_config(config).size == (7, 7)
    assert Closed(4).get_config() == {"units": 4}


def test_the_config_follows_the_attributes():
    plane = Plane(3)
    plane.trainable = False
    plane.units = np.int64(8)
    assert plane.get_config()["trainable"] is False
    units = plane.get_config()["units"]
    assert units == 8 and type(units) is int


def test_nested_objects_become_dictionaries_and_return():
    class Holder(Base):
        def __init__(self, parts, weights, **kwargs):
            super().__init__(1, **kwargs)
            self.parts, self.weights = parts, weights

    holder = Holder([initializers.Ones(), (regularizers.L2(0.5), "text")], np.arange(3.0))
    config = json.loads(json.dumps(holder.get_config()))
    assert config["parts"][0]["class_name"] == "Ones"
    again = Holder.from_config(config)
    assert isinstance(again.parts[0], initializers.Ones) and again.parts[1][0].l2 == 0.5
    np.testing.assert_array_equal(again.weights, np.arange(3.0))
    with pytest.raises(TypeError, match="unexpected keyword"):
        Plane(3, unheard_of=1)


def test_copies_keep_their_config():
    import copy
    import pickle

    for original in (initializers.HeNormal(3), Plane(3, name="x")):
        for again in (copy.deepcopy(original), pickle.loads(pickle.dumps(original))):
            assert again.get_config() == original.get_config()


def test_star_args_need_a_config_of_their_own():
    class Star(initializers.Initializer):
        def __init__(self, *parts):
            self.parts = parts

    with pytest.raises(TypeError, match="override get_config"):
        Star(1, 2).get_config()


# --- objects of the caller's own ------------------------------------------------------------------


def doubled(x):
    return 2 * x


class Own(initializers.Initializer):
    def __init__(self, gain=1.0):
        self.gain = gain


def test_own_objects_load_only_where_they_are_passed():
    description = serialize_object(Own(3.0))
    assert (description["module"], description["registered_name"]) == (None, "Own")
    with pytest.raises(ValueError, match=r"custom_objects=\{'Own': Own\}"):
        deserialize_object(description)
    assert deserialize_object(description, custom_objects={"Own": Own}).gain == 3.0
    with custom_object_scope({"Own": Own}):
        assert isinstance(initializers.get("Own"), Own)
    with pytest.raises(ValueError):
        initializers.get("Own")

    function = serialize_object(doubled)
    assert function == keras.saving.serialize_keras_object(doubled)
    with pytest.raises(ValueError, match="Unknown function 'doubled'"):
        deserialize_object(function)
    assert deserialize_object(function, {"doubled": doubled}) is doubled
    with pytest.raises(ValueError, match="custom_objects must be a dict"):
        initializers.get("Own", custom_objects=[Own])


@pytest.mark.parametrize("description", [{}, {"class_name": "L2"}, {"name": {"units": 3}}])
def test_a_dictionary_that_describes_no_object(description):
    for get in (activations.get, constraints.get, initializers.get, losses.get, regularizers.get):
        with pytest.raises(ValueError, match="Expected a"):
            get(description)
    with pytest.raises(ValueError, match="Expected a"):
        layers.Dense.from_config({"units": 3, "activation": description})


def test_registered_objects_load_everywhere():
    @register_keras_serializable(package="tests")
    class Registered(initializers.Initializer):
        pass

    description = serialize_object(Registered())
    assert description["registered_name"] == get_registered_name(Registered) == "tests>Registered"
    assert isinstance(deserialize_object(description), Registered)
    assert get_registered_object("tests>Registered") is Registered
    assert get_registered_object("tests>Other") is None
    with pytest.raises(ValueError, match="no get_config"):
        register_keras_serializable()(type("Bare", (), {}))
    with pytest.raises(ValueError, match="registered already"):
        register_keras_serializable("tests", "Registered")(Own)


def test_code_is_never_saved_nor_loaded():
    with pytest.raises(ValueError, match="lambda cannot be saved"):
        serialize_object({"f": [lambda x: x]})
    written_by_keras = {"class_name": "__lambda__", "config": {"value": ["4wEA", None, None]}}
    with pytest.raises(ValueError, match="never runs code"):
        deserialize_object(written_by_keras)
    with pytest.raises(ValueError, match="cannot be saved"):
        serialize_object(object())


@pytest.mark.parametrize(
    "description",
    [
        {"module": "os", "class_name": "system", "config": {"command": "true"}},
        {"module": "builtins", "class_name": "eval", "config": {"source": "1"}},
        {"module": "builtins", "class_name": "function", "config": "eval"},
        {"module": "keras.utils", "class_name": "get_file", "config": {"origin": "x"}},
        {"module": "keras.config", "class_name": "enable_unsafe_deserialization", "config": {}},
        {"module": "fastnn.initializers", "class_name": "np", "config": {}},
        {"module": "keras.initializers", "class_name": "zeros", "config": []},
        {"module": ["keras.initializers"], "class_name": "Zeros", "config": {}},
        {"module": "keras.initializers", "class_name": ["Zeros"], "config": {}},
        {"module": "keras.initializers", "class_name": "Constant", "config": {"valu": 1}},
        {"module": "keras.initializers", "class_name": "Constant", "config": "value"},
        {"class_name": "function", "config": ["eval"]},
        {"class_name": "__numpy__", "config": {"value": [1], "dtype": "object"}},
        {"class_name": "__numpy__", "config": {"value": [[1], [2, 3]], "dtype": "float32"}},
        {"class_name": "__numpy__", "config": 3},
        {"registered_name": {"a": 1}, "class_name": "x", "config": {}},
    ],
)
def test_hostile_dictionaries_are_value_errors(description):
    for nested in (description, {"a": [description]}):
        with pytest.raises(ValueError):
            deserialize_object(nested)
    with pytest.raises(ValueError):
        initializers.get(description)


def test_depth_is_limited():
    def nest(levels):
        data = 1.0
        for _ in range(levels):
            data = {"class_name": "Constant", "config": {"value": data}}
        return data

    assert isinstance(deserialize_object(nest(MAX_DEPTH // 2 - 1)), initializers.Constant)
    with pytest.raises(ValueError, match="nested deeper"):
        deserialize_object(nest(MAX_DEPTH))
    with pytest.raises(ValueError, match="nested deeper"):
        deserialize_object(nest(5000))
    # The count is back at zero after the error.
    assert isinstance(deserialize_object(nest(MAX_DEPTH // 2 - 1)), initializers.Constant)


def test_a_name_in_two_families_needs_a_module():
    first, second = Family("first", "test.first"), Family("second", "test.second")
    for family in (first, second):
        family.register()(type("Twice", (initializers.Initializer,), {}))
    with pytest.raises(ValueError, match="exists in test.first, test.second"):
        deserialize_object({"class_name": "Twice", "config": {}})
    found = deserialize_object({"module": "test.second", "class_name": "Twice", "config": {}})
    assert type(found) is second.table["Twice"]
    assert type(first.deserialize({"class_name": "Twice", "config": {}})) is first.table["Twice"]


def test_under_the_names_of_keras():
    from fastnn import saving, utils

    class Own(initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return np.ones(shape, dtype)

    for home in (saving, utils):
        data = json.loads(json.dumps(home.serialize_keras_object(initializers.Constant(2.0))))
        assert home.deserialize_keras_object(data, safe_mode=True).value == 2
        data = home.serialize_keras_object(Own())
        with pytest.raises(ValueError, match="Unknown class 'Own'"):
            home.deserialize_keras_object(data)
        assert isinstance(home.deserialize_keras_object(data, custom_objects={"Own": Own}), Own)
        with home.CustomObjectScope({"Own": Own}):
            assert isinstance(initializers.get("Own"), Own)
        home.get_custom_objects().update({"Own": Own})
        try:
            assert isinstance(home.deserialize_keras_object(data), Own)
        finally:
            del home.get_custom_objects()["Own"]
