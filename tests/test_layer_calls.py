"""The protocol of a layer's call: what reaches `build` and `call`, and what is kept of it."""

import collections

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.symbolic import KerasTensor


class TwoInputs(layers.Layer):
    def build(self, b_shape, a_shape):
        self.shapes = (a_shape, b_shape)

    def call(self, a, b, a_mask=None, b_mask=None, training=False):
        self.masks, self.training = (a_mask, b_mask), training
        return ops.add(a[:, :1], b[:, :1])


def test_several_inputs_by_position_and_by_name():
    a, b = np.ones((4, 2), "float32"), np.ones((4, 3), "float64")
    for layer, call in [
        (TwoInputs(), lambda la: la(a, b)),
        (TwoInputs(), lambda la: la(a=a, b=b)),
        (TwoInputs(), lambda la: la(a, b=b)),
    ]:
        y = call(layer)
        assert layer.shapes == ((4, 2), (4, 3))
        assert y.dtype == "float32"
    symbolic = TwoInputs()(a=KerasTensor((None, 2)), b=KerasTensor((None, 3)))
    assert symbolic.shape == (None, 1)


def test_masks_go_with_their_inputs():
    x = layers.Masking()(np.ones((2, 3, 1), "float32"))
    layer = TwoInputs()
    layer(x, ops.ones((2, 3, 1)))
    assert layer.masks[0] is x._keras_mask and layer.masks[1] is None
    layer(ops.ones((2, 3, 1)), b=x)
    assert layer.masks[0] is None and layer.masks[1] is x._keras_mask


def test_a_layer_that_computes_a_mask_hands_it_on():
    class FirstHalf(layers.Layer):  # changes the mask that comes
        def call(self, x):
            return x[:, :2]

        def compute_mask(self, inputs, mask=None):
            return None if mask is None else mask[:, :2]

    class Counted(layers.Layer):  # makes one
        def call(self, x):
            return ops.expand_dims(ops.cast(x, "float32"), -1)

        def compute_mask(self, inputs, mask=None):
            return ops.not_equal(inputs, 0)

    class Silent(layers.Layer):
        def call(self, x):
            return ops.multiply(x, 2)

    tokens = np.array([[3, 0, 0, 0], [1, 2, 3, 0]], "int32")
    masked = Counted()(tokens)
    np.testing.assert_array_equal(masked._keras_mask, tokens != 0)
    np.testing.assert_array_equal(FirstHalf()(masked)._keras_mask, tokens[:, :2] != 0)
    assert FirstHalf().supports_masking and not Silent().supports_masking
    assert getattr(Silent()(masked), "_keras_mask", None) is None
    assert layers.Normalization(mean=0.0, variance=1.0)(masked)._keras_mask is not None

    x = fastnn.Input((4,), dtype="int32")
    model = fastnn.Model(x, layers.GlobalAveragePooling1D()(FirstHalf()(Counted()(x))))
    np.testing.assert_allclose(model.predict(tokens, verbose=0), [[3], [1.5]])


def test_a_model_of_a_layer_with_several_inputs_trains_and_is_saved(tmp_path):
    class Scaled(layers.Layer):
        def build(self, x_shape, factor_shape):
            self.w = self.add_weight((x_shape[-1], 1), name="w")

        def call(self, x, factor):
            return ops.multiply(ops.matmul(x, self.w), factor)

    x, f = layers.Input((3,)), layers.Input((1,))
    model = fastnn.Model([x, f], Scaled()(x, factor=f))
    model.compile(fastnn.optimizers.SGD(0.2), "mse")
    rng = np.random.default_rng(0)
    data = [rng.standard_normal((32, 3)).astype("float32"), np.ones((32, 1), "float32")]
    target = data[0].sum(1, keepdims=True)
    losses = model.fit(data, target, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.1 * losses[0]
    model.save(tmp_path / "m.fnn")
    again = fastnn.models.load_model(tmp_path / "m.fnn", custom_objects={"Scaled": Scaled})
    np.testing.assert_array_equal(again.predict(data, verbose=0), model.predict(data, verbose=0))


def test_build_must_name_its_shapes_after_inputs():
    class Nameless(layers.Layer):
        def build(self, a_shape, b):
            pass

        def call(self, a, b):
            return a

    class Foreign(Nameless):
        def build(self, a_shape, c_shape):
            pass

    x = np.ones((2, 2), "float32")
    with pytest.raises(ValueError, match="takes 'b', but does not end in '_shape'"):
        Nameless()(x, x)
    with pytest.raises(ValueError, match="takes 'c_shape', but call.* has no argument 'c'"):
        Foreign()(x, x)


def test_losses_are_those_of_the_last_call():
    class Costly(layers.Layer):
        def call(self, x):
            self.add_loss(ops.sum(x))
            return x

    layer = Costly(activity_regularizer="l1")
    model = fastnn.Sequential([fastnn.Input((2,)), layers.Dense(2), layer])
    assert not model.losses  # the shapes were found without leaving losses behind
    for _ in range(2):
        model(np.ones((3, 2), "float32"))
        assert len(model.losses) == 2
    layer(np.ones((0, 2), "float32"))
    assert [float(v) for v in layer.losses] == [0.0, 0.0]


def test_a_weight_made_in_call_is_refused():
    class Leaking(layers.Layer):
        def call(self, x):
            return ops.add(x, self.add_weight((1,)))

    with pytest.raises(ValueError, match=r"adds a weight in call\(\)"):
        Leaking()(np.ones((2, 1), "float32"))


def test_add_weight_defaults():
    layer = layers.Layer()
    assert layer.add_weight().dtype == "float32"
    for dtype in ("int32", "bool"):
        w = layer.add_weight((2, 2), dtype=dtype, trainable=False)
        assert w.dtype == dtype and not np.asarray(w).any()
    with pytest.raises(ValueError, match="name='kernel'"):
        layer.add_weight("kernel")
    again = layer.add_variable((2,), "ones")
    assert any(w is again for w in layer.trainable_weights)


def test_what_is_set_before_the_constructor_ran_is_kept():
    class Early(layers.Layer):
        def __init__(self):
            self.inner = layers.Dense(2)
            self.w = fastnn.Variable(np.ones(2, "float32"))
            super().__init__()

    assert len(Early().weights) == 1 and len(Early()._sublayers) == 1
    with pytest.raises(ValueError, match="trainable"):
        layers.Dense(2, trainable="yes")


def test_metrics_of_inner_layers_are_found_and_reset():
    class Counting(layers.Layer):
        def __init__(self):
            super().__init__()
            self.mean = fastnn.metrics.Mean(name="seen")

        def call(self, x):
            return x

    layer = Counting()
    model = fastnn.Sequential([fastnn.Input((2,)), layer, layers.Dense(1)])
    assert model.metrics == [layer.mean]
    model.compile("sgd", "mse")
    layer.mean.update_state(3.0)
    assert layer.mean in model.metrics
    model.reset_metrics()
    assert float(layer.mean.result()) == 0


def test_nested_structures_of_shapes():
    class Branches(layers.Layer):
        def call(self, x):
            return {"b": x, "a": (x[:, :1], [x])}

        def compute_output_shape(self, shape):
            return {"b": shape, "a": ((shape[0], 1), [shape])}

    x = KerasTensor((None, 3))
    out = Branches()(x)
    assert out["b"].shape == (None, 3) and out["a"][0].shape == (None, 1) and out["a"][1][0].shape == (None, 3)
    assert layers.Layer.compute_output_shape(Branches(), (None, 3)) == Branches().compute_output_shape((None, 3))


def test_numpy_sizes_and_either_of_two():
    assert layers.Input((np.int64(4),)).shape == (None, 4)
    with pytest.raises(ValueError, match="batch_size or batch_shape"):
        layers.InputLayer(batch_size=2, batch_shape=(2, 3))


def test_arguments_that_have_no_meaning_are_refused():
    for make, kind in [
        (lambda: layers.RepeatVector(0), ValueError),
        (lambda: layers.Dropout(0.5, noise_shape=(20, 0)), ValueError),
        (lambda: layers.Dropout(0.5, noise_shape="all"), ValueError),
        (lambda: layers.GroupNormalization(groups=0), ValueError),
        (lambda: layers.LayerNormalization(axis="last"), TypeError),
        (lambda: layers.LayerNormalization(axis=3)(np.ones((2, 3), "float32")), ValueError),
    ]:
        with pytest.raises(kind):
            make()


def test_building_leaves_a_layer_s_state_alone():
    class Counter(layers.Layer):
        def build(self, input_shape):
            self.calls = self.add_weight((), "zeros", trainable=False, name="calls")

        def call(self, x):
            self.calls.assign_add(1.0)
            return x

    counter = Counter()
    model = fastnn.Sequential([layers.Input((3,)), counter])
    assert counter.calls.numpy() == 0
    model(np.zeros((2, 3), "float32"))
    assert counter.calls.numpy() == 1


@pytest.mark.parametrize(
    "base, arguments, shape",
    [
        (layers.Dropout, dict(rate=0.5), (2, 3)),
        (layers.MaxPooling1D, dict(pool_size=1), (2, 4, 3)),
        (layers.GlobalAveragePooling1D, dict(), (2, 4, 3)),
        (layers.ReLU, dict(), (2, 3)),
        (layers.Flatten, dict(), (2, 3)),
        (layers.UnitNormalization, dict(), (2, 3)),
        (layers.Masking, dict(), (2, 4, 3)),
    ],
)
def test_a_subclass_of_a_layer_without_weights_may_build_its_own(base, arguments, shape):
    class Scaled(base):
        def build(self, input_shape):
            self.factor = self.add_weight(input_shape[-1:], "ones", name="factor")

        def call(self, x):
            return super().call(ops.multiply(x, self.factor))

    layer = Scaled(**arguments)
    assert not layer.built and base(**arguments).built
    layer(np.ones(shape, "float32"))
    assert [w.shape for w in layer.weights] == [(3,)]


def test_the_policy_of_a_layer_makes_layers_of_its_type():
    outer = layers.Dense(2, dtype="float64")
    assert outer.dtype_policy.name == outer.dtype_policy.compute_dtype == "float64"
    assert layers.Dense(2, dtype=outer.dtype_policy).dtype == "float64"


Pair = collections.namedtuple("Pair", "low high")


def test_named_tuples_keep_their_names():
    class Split(layers.Layer):
        def call(self, x):
            return Pair(low=x - 1.0, high=x + 1.0)

    class Width(layers.Layer):
        def build(self, input_shape):
            assert input_shape == Pair((None, 4), (None, 4))
            self.built = True

        def call(self, pair):
            return pair.high - pair.low

    x = layers.Input((4,))
    pair = Split()(x)
    data = np.ones((3, 4), "float32")
    model = fastnn.Model(x, layers.Dense(1)(Width()(pair)))
    model.compile("sgd", "mse")
    model.fit(data, data[:, :1], verbose=0)
    copy = fastnn.models.clone_model(model)
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy.predict(data, verbose=0), model.predict(data, verbose=0))
    np.testing.assert_array_equal(fastnn.Model(x, pair).predict(data, verbose=0).high, data + 1.0)
