"""Typical mistakes with layers, fit, evaluate and predict, and the words that each is answered with: they
name the layer or argument, what came and what was expected. What is fine though it looks odd is at
the end.
"""

import numpy as np
import pandas as pd
import pytest

import fastnn as keras
from fastnn import layers as L

rng = np.random.default_rng(0)
x = rng.standard_normal((20, 4)).astype("float32")
x3 = x[:, :3]
y1 = rng.standard_normal((20, 1)).astype("float32")
lab = np.arange(20) % 3
hot = np.eye(3, dtype="float32")[lab]
img = rng.standard_normal((20, 8, 8, 3)).astype("float32")
seq = rng.standard_normal((20, 5, 4)).astype("float32")
nanx = x.copy()
nanx[3, 1] = np.nan
df = pd.DataFrame(x, columns=list("abcd"))


def F(model, *args, **kwargs):
    return model.fit(*args, verbose=0, **kwargs)


def compiled(model, *args, **kwargs):
    model.compile(*args, **kwargs)
    return model


def reg(*args, **kwargs):
    model = keras.Sequential([keras.Input((4,)), L.Dense(8, name="hidden"), L.Dense(1, name="out")])
    return compiled(model, *(args or ("sgd", "mse")), **kwargs)


def cls(loss="sparse_categorical_crossentropy", n=3, act="softmax"):
    model = keras.Sequential([keras.Input((4,)), L.Dense(n, activation=act, name="classes")])
    return compiled(model, "sgd", loss, metrics=["accuracy"])


def one_out():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    return compiled(keras.Model([a, b], L.Dense(1, name="p")(L.Concatenate()([a, b]))), "sgd", "mse")


def two():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    h = L.Concatenate()([a, b])
    outputs = [L.Dense(1, name="p")(h), L.Dense(3, name="q", activation="softmax")(h)]
    return compiled(keras.Model([a, b], outputs), "sgd", ["mse", "sparse_categorical_crossentropy"])


def conv():
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), L.Conv2D(4, 3, name="conv"), L.Flatten(), L.Dense(3, activation="softmax")]
    )
    return compiled(model, "sgd", "sparse_categorical_crossentropy")


def rnn():
    model = keras.Sequential([keras.Input((5, 4)), L.LSTM(3, name="lstm"), L.Dense(1)])
    return compiled(model, "sgd", "mse")


def emb():
    words = [keras.Input((5,), dtype="int32"), L.Embedding(10, 3, name="words"), L.Flatten(), L.Dense(1)]
    return compiled(keras.Sequential(words), "sgd", "mse")


def gen(*batches, error=None):
    yield from batches
    if error:
        raise error


MISTAKES = {
    "y_N2": (
        lambda: F(reg(), x, np.hstack([y1, y1])),
        ValueError,
        r"mean_squared_error: y_true has shape \(20, 2\) but y_pred \(20, 1\); they must be equal",
    ),
    "swapped": (
        lambda: F(reg(), y1, x),
        ValueError,
        r"layer 'hidden' expects an input with size 4 on axis -1, got shape \(20, 1\)",
    ),
    "x_wrong_width": (
        lambda: F(reg(), x[:, :3], y1),
        ValueError,
        r"layer 'hidden' expects an input with size 4 on axis -1, got shape \(20, 3\)",
    ),
    "x_1d": (lambda: F(reg(), x[:, 0], y1), ValueError, r"layer .*: input .* has shape \(None, 4\), got \(20,\)"),
    "x_3d": (
        lambda: F(reg(), x[:, None], y1),
        ValueError,
        r"layer .*: input .* has shape \(None, 4\), got \(20, 1, 4\)",
    ),
    "x_ragged": (
        lambda: F(reg(), [[1.0, 2.0], [1.0]], [1.0, 2.0]),
        ValueError,
        r"a ragged list, whose rows differ in length, is no array: pad the rows first",
    ),
    "x_text": (
        lambda: F(reg(), np.array([["a"] * 4] * 20), y1),
        TypeError,
        r"x holds <U1, expected numbers; convert text and ragged lists first",
    ),
    "x_object": (
        lambda: F(reg(), x.astype(object), y1),
        TypeError,
        r"x holds object, expected numbers; convert text and ragged lists first",
    ),
    "x_complex": (
        lambda: F(reg(), x.astype("complex64"), y1),
        TypeError,
        r"x holds complex64, expected numbers; convert text and ragged lists first",
    ),
    "x_none": (lambda: F(reg(), None, y1), ValueError, r"fit\(\) needs training data x"),
    "y_none": (lambda: F(reg(), x), ValueError, r"the loss of output 'out' needs targets y"),
    "x_scalar": (
        lambda: F(reg(), 3.0, y1),
        ValueError,
        r"x is a single value, expected an array with one row per sample",
    ),
    "x_empty": (lambda: F(reg(), x[:0], y1[:0]), ValueError, r"fit\(\) got arrays without rows"),
    "rows_differ": (
        lambda: F(reg(), x, y1[:-1]),
        ValueError,
        r"x, y and sample_weight must have the same number of rows, got shapes \{'x': \(20, 4\), 'y': \(19,",
    ),
    "weights_rows_differ": (
        lambda: F(reg(), x, y1, sample_weight=np.ones(19)),
        ValueError,
        r"x, y and sample_weight must have the same number of rows, got shapes \{'x': \(20, 4\), 'y': \(20,",
    ),
    "weights_2d": (
        lambda: F(reg(), x, y1, sample_weight=np.ones((20, 2))),
        ValueError,
        r"sample_weight has shape \(20, 2\), but there are losses of shape \(20,\)",
    ),
    "weights_3d": (
        lambda: F(reg(), x, y1, sample_weight=np.ones((20, 1, 1))),
        ValueError,
        r"sample_weight has shape \(20, 1, 1\), but there are losses of shape \(20,\)",
    ),
    "weights_nan": (
        lambda: F(reg(), x, y1, sample_weight=np.full(20, np.nan)),
        FloatingPointError,
        r"sample_weight holds NaN",
    ),
    "weights_text": (
        lambda: F(reg(), x, y1, sample_weight=["a"] * 20),
        TypeError,
        r"sample_weight holds <U1, expected numbers; convert text and ragged lists first",
    ),
    "x_nan": (
        lambda: F(reg(), nanx, y1),
        FloatingPointError,
        r"x holds NaN or infinities in 1 of 20 rows, first in row 3",
    ),
    "y_nan": (lambda: F(reg(), x, np.full_like(y1, np.nan)), FloatingPointError, r"y holds NaN"),
    "x_inf": (lambda: F(reg(), x * np.inf, y1), FloatingPointError, r"x holds NaN or infinities"),
    "labels_high": (
        lambda: F(cls(), x, lab + 1),
        ValueError,
        r"sparse_crossentropy: label is 3, expected 0 <= value < 3",
    ),
    "labels_neg": (
        lambda: F(cls(), x, lab - 1),
        ValueError,
        r"sparse_crossentropy: label is -1, expected 0 <= value < 3",
    ),
    "labels_fraction": (
        lambda: F(cls(), x, lab + 0.5),
        ValueError,
        r"sparse_crossentropy: label is -2147483648, expected 0 <= value < 3 \(as fractions, NaN and what",
    ),
    "labels_N2": (
        lambda: F(cls(), x, np.stack([lab, lab], 1)),
        ValueError,
        r"sparse_categorical_crossentropy: target must have the shape of output without its classes, \(20,\);",
    ),
    "labels_onehot_for_sparse": (
        lambda: F(cls(), x, hot),
        ValueError,
        r"sparse_categorical_crossentropy: target must have the shape of output without its classes, \(20,\);",
    ),
    "labels_index_for_categorical": (
        lambda: F(cls("categorical_crossentropy"), x, lab),
        ValueError,
        r"categorical_crossentropy: y_true has shape \(20,\) but y_pred \(20, 3\); they must be equal",
    ),
    "labels_N1_for_categorical": (
        lambda: F(cls("categorical_crossentropy"), x, lab[:, None]),
        ValueError,
        r"categorical_crossentropy: y_true has shape \(20, 1\) but y_pred \(20, 3\); they must be equal",
    ),
    "onehot_4_for_3": (
        lambda: F(cls("categorical_crossentropy"), x, np.eye(4)[lab]),
        ValueError,
        r"categorical_crossentropy: y_true has shape \(20, 4\) but y_pred \(20, 3\); they must be equal",
    ),
    "labels_text": (
        lambda: F(cls(), x, np.array(["cat", "dog", "cow"])[lab]),
        TypeError,
        r"y holds <U3, expected numbers; convert text and ragged lists first",
    ),
    "labels_int64_huge": (
        lambda: F(cls(), x, lab + 2**40),
        ValueError,
        r"integers from 1099511627776 to 1099511627778 do not fit in int32",
    ),
    "labels_nan": (
        lambda: F(cls(), x, np.full(20, np.nan)),
        ValueError,
        r"sparse_crossentropy: label is -2147483648, expected 0 <= value < 3 \(as fractions, NaN and what",
    ),
    "sparse_1_output": (
        lambda: F(cls("sparse_categorical_crossentropy", 1, "softmax"), x, lab),
        ValueError,
        r"sparse_crossentropy: label is [12], expected 0 <= value < 1",
    ),
    "one_input_of_two": (
        lambda: F(two(), x, [y1, lab]),
        ValueError,
        r"layer 'functional.*': the model has 2 inputs, got 1",
    ),
    "three_inputs_of_two": (
        lambda: F(two(), [x, x3, x], [y1, lab]),
        ValueError,
        r"layer 'functional.*': the model has 2 inputs, got 3",
    ),
    "inputs_order": (
        lambda: F(two(), [x3, x], [y1, lab]),
        ValueError,
        r"layer 'functional.*': input 'a' has shape \(None, 4\), got \(20, 3\)",
    ),
    "dict_inputs_missing": (
        lambda: F(two(), {"a": x}, [y1, lab]),
        ValueError,
        r"layer 'functional.*': inputs \['b'\] are missing, got \['a'\]",
    ),
    "dict_inputs_typo": (
        lambda: F(two(), {"a": x, "B": x3}, [y1, lab]),
        ValueError,
        r"layer 'functional.*': inputs \['b'\] are missing, got \['B', 'a'\]",
    ),
    "one_target_of_two": (
        lambda: F(two(), [x, x3], y1),
        ValueError,
        r"y: the model has 2 outputs, expected a list or dict of as many",
    ),
    "three_targets": (
        lambda: F(two(), [x, x3], [y1, lab, lab]),
        ValueError,
        r"y: the model has 2 outputs, expected a list or dict of as many",
    ),
    "dict_targets_typo": (
        lambda: F(two(), [x, x3], {"p": y1, "Q": lab}),
        ValueError,
        r"y names outputs \['Q'\], the model has \['p', 'q'\]",
    ),
    "dict_targets_missing": (
        lambda: F(two(), [x, x3], {"p": y1}),
        ValueError,
        r"the loss of output 'q' needs targets y",
    ),
    "two_inputs_for_one": (
        lambda: F(reg(), [x, x], y1),
        ValueError,
        r"layer .*: input .* is one tensor \(None, 4\), got 2 tensors",
    ),
    "inputs_rows_differ": (
        lambda: F(one_out(), [x, x3[:-1]], y1),
        ValueError,
        r"x, y and sample_weight must have the same number of rows, got shapes \{'x': \[\(20, 4\), \(19,",
    ),
    "channels_first": (
        lambda: F(conv(), img.transpose(0, 3, 1, 2), lab),
        ValueError,
        r"layer 'conv' expects an input with size 3 on axis -1, got shape \(20, 3, 8, 8\)",
    ),
    "images_gray": (
        lambda: F(conv(), img[..., 0], lab),
        ValueError,
        r"layer .*: input .* has shape \(None, 8, 8, 3\), got \(20, 8, 8\)",
    ),
    "images_one": (
        lambda: F(conv(), img[0], lab[:1]),
        ValueError,
        r"x, y and sample_weight must have the same number of rows, got shapes \{'x': \(8, 8, 3\), 'y':",
    ),
    "images_other_size": (
        lambda: F(conv(), img[:, :7], lab),
        ValueError,
        r"layer .* expects an input with size 144 on axis -1, got shape \(20, 120\)",
    ),
    "seq_2d": (lambda: F(rnn(), x, y1), ValueError, r"layer .*: input .* has shape \(None, 5, 4\), got \(20, 4\)"),
    "seq_swapped": (
        lambda: F(rnn(), seq.transpose(0, 2, 1), y1),
        ValueError,
        r"layer .*: lstm: kernel is \(5, 12\) for x \(20, 4, 5\) and 3 units, got \(4, 12\)",
    ),
    "tokens_high": (
        lambda: F(emb(), np.full((20, 5), 10), y1),
        ValueError,
        r"layer 'words': embedding: index is 10, expected 0 <= value < 10",
    ),
    "tokens_neg": (
        lambda: F(emb(), np.full((20, 5), -1), y1),
        ValueError,
        r"layer 'words': embedding: index is -1, expected 0 <= value < 10",
    ),
    "tokens_float": (
        lambda: F(emb(), np.full((20, 5), 1.5), y1),
        ValueError,
        r"layer 'words': embedding: index is -2147483648, expected 0 <= value < 10 \(as fractions, NaN and",
    ),
    "tokens_len": (
        lambda: F(emb(), np.full((20, 6), 1), y1),
        ValueError,
        r"layer .* expects an input with size 15 on axis -1, got shape \(20, 18\)",
    ),
    "batch0": (lambda: F(reg(), x, y1, batch_size=0), ValueError, r"batch_size is an integer, at least 1; got 0"),
    "batch_neg": (lambda: F(reg(), x, y1, batch_size=-4), ValueError, r"batch_size is an integer, at least 1; got -4"),
    "batch_float": (
        lambda: F(reg(), x, y1, batch_size=4.0),
        TypeError,
        r"batch_size is an integer, at least 1; got 4\.0",
    ),
    "batch_text": (
        lambda: F(reg(), x, y1, batch_size="4"),
        TypeError,
        r"batch_size is an integer, at least 1; got '4'",
    ),
    "epochs_neg": (lambda: F(reg(), x, y1, epochs=-1), ValueError, r"epochs is an integer, at least 0; got -1"),
    "epochs_float": (lambda: F(reg(), x, y1, epochs=1.5), TypeError, r"epochs is an integer, at least 0; got 1\.5"),
    "epochs_text": (lambda: F(reg(), x, y1, epochs="2"), TypeError, r"epochs is an integer, at least 0; got '2'"),
    "split_1": (
        lambda: F(reg(), x, y1, validation_split=1.0),
        ValueError,
        r"validation_split lies between 0 and 1, got 1\.0",
    ),
    "split_neg": (
        lambda: F(reg(), x, y1, validation_split=-0.2),
        ValueError,
        r"validation_split lies between 0 and 1, got -0\.2",
    ),
    "split_2": (
        lambda: F(reg(), x, y1, validation_split=2),
        ValueError,
        r"validation_split lies between 0 and 1, got 2",
    ),
    "split_text": (
        lambda: F(reg(), x, y1, validation_split="a"),
        ValueError,
        r"validation_split lies between 0 and 1, got 'a'",
    ),
    "split_tiny": (
        lambda: F(reg(), x[:1], y1[:1], validation_split=0.2),
        ValueError,
        r"validation_split=0\.2 of 1 rows leaves one side empty",
    ),
    "split_generator": (
        lambda: F(reg(), gen((x, y1)), validation_split=0.2),
        ValueError,
        r"validation_split needs arrays; pass validation_data",
    ),
    "val_not_pair": (
        lambda: F(reg(), x, y1, validation_data=x),
        ValueError,
        r"the loss of output 'out' needs targets y",
    ),
    "val_four": (
        lambda: F(reg(), x, y1, validation_data=(x, y1, y1[:, 0], x)),
        ValueError,
        r"a batch is x, \(x, y\) or \(x, y, sample_weight\), got 4 parts",
    ),
    "val_width": (
        lambda: F(reg(), x, y1, validation_data=(x[:, :2], y1)),
        ValueError,
        r"layer 'hidden' expects an input with size 4 on axis -1, got shape \(20, 2\)",
    ),
    "val_rows": (
        lambda: F(reg(), x, y1, validation_data=(x, y1[:3])),
        ValueError,
        r"x, y and sample_weight must have the same number of rows, got shapes \{'x': \(20, 4\), 'y': \(3,",
    ),
    "val_target_shape": (
        lambda: F(reg(), x, y1, validation_data=(x, np.hstack([y1, y1]))),
        ValueError,
        r"mean_squared_error: y_true has shape \(20, 2\) but y_pred \(20, 1\); they must be equal",
    ),
    "val_empty": (lambda: F(reg(), x, y1, validation_data=(x[:0], y1[:0])), ValueError, "validation_data has no rows"),
    "val_text": (
        lambda: F(reg(), x, y1, validation_data=("a", "b")),
        TypeError,
        r"x holds <U1, expected numbers; convert text and ragged lists first",
    ),
    "val_labels": (
        lambda: F(cls(), x, lab, validation_data=(x, lab + 3)),
        ValueError,
        r"sparse_crossentropy: label is [345], expected 0 <= value < 3",
    ),
    "val_generator_empty": (
        lambda: F(reg(), x, y1, validation_data=gen()),
        ValueError,
        "validation_data handed over no",
    ),
    "val_freq0": (
        lambda: F(reg(), x, y1, validation_data=(x, y1), validation_freq=0),
        ValueError,
        r"validation_freq is an integer, at least 1; got 0",
    ),
    "class_weight_list": (
        lambda: F(cls(), x, lab, class_weight=[1, 2, 3]),
        ValueError,
        r"class_weight is a dict from classes 0, 1, \.\.\. to numbers, got \[1, 2, 3\]",
    ),
    "class_weight_text": (
        lambda: F(cls(), x, lab, class_weight={"cat": 1}),
        ValueError,
        r"class_weight is a dict from classes 0, 1, \.\.\. to numbers, got \{'cat': 1\}",
    ),
    "class_weight_val_text": (
        lambda: F(cls(), x, lab, class_weight={0: "a"}),
        ValueError,
        r"class_weight is a dict from classes 0, 1, \.\.\. to numbers, got \{0: 'a'\}",
    ),
    "class_weight_neg": (
        lambda: F(cls(), x, lab, class_weight={-1: 2.0}),
        ValueError,
        r"class_weight is a dict from classes 0, 1, \.\.\. to numbers, got \{-1: 2\.0\}",
    ),
    "class_weight_balanced": (
        lambda: F(cls(), x, lab, class_weight="balanced"),
        ValueError,
        r"class_weight is a dict from classes 0, 1, \.\.\. to numbers, got 'balanced'",
    ),
    "class_weight_two_outputs": (
        lambda: F(two(), [x, x3], [y1, lab], class_weight={0: 1.0}),
        ValueError,
        r"class_weight needs targets of a single output",
    ),
    "class_and_sample": (
        lambda: F(cls(), x, lab, class_weight={0: 1.0}, sample_weight=np.ones(20)),
        ValueError,
        r"class_weight and sample_weight cannot be given together: multiply them yourself",
    ),
    "class_weight_nan": (
        lambda: F(cls(), x, lab, class_weight={0: np.nan}),
        FloatingPointError,
        r"sample_weight holds NaN",
    ),
    "gen_with_y": (
        lambda: F(reg(), gen((x, y1)), y1),
        ValueError,
        r"x hands over batches by itself, so y and sample_weight must be part of them",
    ),
    "gen_x_only": (lambda: F(reg(), gen(x, x)), ValueError, r"the loss of output 'out' needs targets y"),
    "gen_4tuple": (
        lambda: F(reg(), gen((x, y1, y1, y1))),
        ValueError,
        r"a batch is x, \(x, y\) or \(x, y, sample_weight\), got 4 parts",
    ),
    "gen_raises": (lambda: F(reg(), gen((x, y1), error=OSError("disk gone"))), OSError, r"disk gone"),
    "gen_wrong_width": (
        lambda: F(reg(), gen((x, y1), (x[:, :2], y1))),
        ValueError,
        r"layer 'hidden' expects an input with size 4 on axis -1, got shape \(20, 2\)",
    ),
    "gen_rows_differ": (
        lambda: F(reg(), gen((x, y1[:-2]))),
        ValueError,
        r"x, y and sample_weight must have the same number of rows, got shapes \{'x': \(20, 4\), 'y': \(18,",
    ),
    "gen_none": (
        lambda: F(reg(), gen(None)),
        ValueError,
        r"the data handed over a batch that is None, expected x, \(x, y\) or \(x, y, sample_weight\)",
    ),
    "gen_text": (
        lambda: F(reg(), gen(("a", "b"))),
        TypeError,
        r"x holds <U1, expected numbers; convert text and ragged lists first",
    ),
    "gen_empty": (
        lambda: F(reg(), gen()),
        ValueError,
        r"the data handed over no batch",
    ),
    "gen_nothing_for_steps": (
        lambda: F(reg(), gen((x, y1)), steps_per_epoch=0),
        ValueError,
        r"steps_per_epoch is an integer, at least 1; got 0",
    ),
    "gen_scalar": (
        lambda: F(reg(), gen((1.0, 2.0))),
        ValueError,
        r"x is a single value, expected an array with one row per sample",
    ),
    "gen_function": (
        lambda: F(reg(), lambda: gen((x, y1))),
        TypeError,
        r"x is a function, expected an array with one row per sample",
    ),
    "gen_int": (
        lambda: F(reg(), gen(3)),
        ValueError,
        r"x is a single value, expected an array with one row per sample",
    ),
    "dict_data": (
        lambda: F(reg(), {"x": x}, y1),
        ValueError,
        r"layer .*: input .* is one tensor \(None, 4\), got a dict with \['x'\]",
    ),
    "set_data": (lambda: F(reg(), {1, 2}, y1), TypeError, r"x is a set, expected an array with one row per sample"),
    "string_data": (
        lambda: F(reg(), "data.csv", y1),
        TypeError,
        r"x holds <U8, expected numbers; convert text and ragged lists first",
    ),
    "int_data": (
        lambda: F(reg(), 3, y1),
        ValueError,
        r"x is a single value, expected an array with one row per sample",
    ),
    "steps_neg": (
        lambda: F(reg(), x, y1, steps_per_epoch=-1),
        ValueError,
        r"steps_per_epoch is an integer, at least 1; got -1",
    ),
    "steps_float": (
        lambda: F(reg(), x, y1, steps_per_epoch=1.5),
        TypeError,
        r"steps_per_epoch is an integer, at least 1; got 1\.5",
    ),
    "callback_class": (
        lambda: F(reg(), x, y1, callbacks=[keras.callbacks.EarlyStopping]),
        ValueError,
        r"callbacks must be objects; received the class EarlyStopping: write EarlyStopping\(\)",
    ),
    "callback_text": (
        lambda: F(reg(), x, y1, callbacks=["early"]),
        ValueError,
        r"callbacks must be Callback objects; received 'early' of type str",
    ),
    "not_compiled": (lambda: F(keras.Sequential([L.Dense(1)]), x, y1), ValueError, r"call compile\(\) before fit\(\)"),
    "not_compiled_eval": (
        lambda: keras.Sequential([L.Dense(1)]).evaluate(x, y1, verbose=0),
        ValueError,
        r"call compile\(\) before evaluate\(\)",
    ),
    "compile_loss_typo_fit": (
        lambda: F(compiled(reg(), "sgd", "msee"), x, y1),
        ValueError,
        r"Unknown loss 'msee'\. Did you mean 'mse' or 'msle'\? One of your own is passed as an object or",
    ),
    "compile_opt_typo": (
        lambda: reg().compile("sgdd", "mse"),
        ValueError,
        r"Unknown optimizer 'sgdd'\. Did you mean 'sgd'\? One of your own is passed as an object or through",
    ),
    "compile_metric_typo": (
        lambda: F(compiled(reg(), "sgd", "mse", metrics=["accurracy"]), x, y1),
        ValueError,
        r"Unknown metric 'accurracy'\. Did you mean 'accuracy' or 'Accuracy' or 'BinaryAccuracy'\? One of",
    ),
    "compile_loss_none": (
        lambda: F(compiled(reg(), "sgd"), x, y1),
        ValueError,
        r"there is no loss to compute: pass loss= to compile\(\), or use add_loss\(\)",
    ),
    "compile_swapped": (lambda: F(compiled(reg(), "mse", "sgd"), x, y1), ValueError, r"Unknown optimizer 'mse'"),
    "compile_loss_number": (
        lambda: F(compiled(reg(), "sgd", 3), x, y1),
        ValueError,
        r"Expected a loss: a name, an object, a callable or a \{'class_name', 'config'\} dictionary; received",
    ),
    "lr_text": (
        lambda: keras.optimizers.Adam("0.1"),
        ValueError,
        r"learning_rate must be a finite number, not below 0; received '0\.1'",
    ),
    "lr_neg": (
        lambda: keras.optimizers.Adam(-1.0),
        ValueError,
        r"learning_rate must be a finite number, not below 0; received -1\.0",
    ),
    "lr_nan": (
        lambda: keras.optimizers.Adam(float("nan")),
        ValueError,
        r"learning_rate must be a finite number, not below 0; received nan",
    ),
    "loss_three_of_two": (
        lambda: F(compiled(two(), "sgd", ["mse", "mse", "mse"]), [x, x3], [y1, lab]),
        ValueError,
        r"loss: the model has 2 outputs, expected a list or dict of as many",
    ),
    "predict_width": (
        lambda: reg().predict(x[:, :2], verbose=0),
        ValueError,
        r"layer 'hidden' expects an input with size 4 on axis -1, got shape \(20, 2\)",
    ),
    "predict_empty": (lambda: reg().predict(x[:0], verbose=0), ValueError, r"predict\(\) got arrays without rows"),
    "predict_none": (
        lambda: reg().predict(None, verbose=0),
        TypeError,
        r"x is None, expected an array with one row per sample",
    ),
    "predict_1row_1d": (
        lambda: reg().predict(x[0], verbose=0),
        ValueError,
        r"layer .*: input .* has shape \(None, 4\), got \(4,\)",
    ),
    "predict_text": (
        lambda: reg().predict("x", verbose=0),
        TypeError,
        r"x holds <U1, expected numbers; convert text and ragged lists first",
    ),
    "predict_list_one": (
        lambda: reg().predict([1.0, 2.0, 3.0, 4.0], verbose=0),
        ValueError,
        r"layer .*: input .* has shape \(None, 4\), got \(4,\)",
    ),
    "evaluate_no_y": (lambda: reg().evaluate(x, verbose=0), ValueError, r"the loss of output 'out' needs targets y"),
    "evaluate_empty": (lambda: reg().evaluate(x[:0], y1[:0], verbose=0), ValueError, r"evaluate\(\) got no data"),
    "call_numpy_width": (
        lambda: reg()(x[:, :2]),
        ValueError,
        r"layer 'hidden' expects an input with size 4 on axis -1, got shape \(20, 2\)",
    ),
    "train_on_batch_rows": (
        lambda: reg().train_on_batch(x, y1[:3]),
        ValueError,
        r"x, y and sample_weight must have the same number of rows, got shapes \{'x': \(20, 4\), 'y': \(3,",
    ),
    "set_weights_count": (lambda: reg().set_weights([np.ones((4, 8))]), ValueError, r"layer .* has 4 weights, got 1"),
    "set_weights_shape": (
        lambda: reg().set_weights([np.ones((4, 8)), np.ones(8), np.ones((8, 2)), np.ones(1)]),
        ValueError,
        r"layer .*: weight out/kernel has shape \(8, 1\), got \(8, 2\)",
    ),
    "set_weights_text": (
        lambda: reg().set_weights(["a", "b", "c", "d"]),
        ValueError,
        r"layer .*: weight hidden/kernel has shape \(4, 8\), got \(\)",
    ),
    "dense_0": (lambda: L.Dense(0), ValueError, r"layer .*: units is a positive integer, got 0"),
    "dense_neg": (lambda: L.Dense(-3), ValueError, r"layer .*: units is a positive integer, got -3"),
    "dense_float": (lambda: L.Dense(2.5), ValueError, r"layer .*: units is a positive integer, got 2\.5"),
    "dense_text": (lambda: L.Dense("8"), ValueError, r"layer .*: units is a positive integer, got '8'"),
    "dense_act_typo": (
        lambda: L.Dense(3, activation="rellu"),
        ValueError,
        r"Unknown activation function 'rellu'\. Did you mean 'relu' or 'relu6' or 'elu'\? One of your own is",
    ),
    "dense_init_typo": (
        lambda: L.Dense(3, kernel_initializer="glorot"),
        ValueError,
        r"Unknown initializer 'glorot'\. Did you mean 'glorot_normal' or 'glorot_uniform'\? One of your own",
    ),
    "dense_unknown": (lambda: L.Dense(3, actvation="relu"), TypeError, r"Dense got unknown arguments: actvation"),
    "conv_kernel_too_big": (
        lambda: L.Conv2D(4, 9)(img),
        ValueError,
        r"layer .*: conv: inputs \(20, 8, 8, 3\), kernel \(9, 9, 3, 4\): a window that covers 9 does not fit",
    ),
    "conv_padding": (lambda: L.Conv2D(4, 3, padding="full"), ValueError, r"padding is 'valid' or 'same', got 'full'"),
    "conv_strides": (
        lambda: L.Conv2D(4, 3, strides=0),
        ValueError,
        r"strides is a positive integer or 2 of them, got 0",
    ),
    "conv_2d_input": (
        lambda: L.Conv2D(4, 3)(x),
        ValueError,
        r"layer .* expects an input with 4 dimensions, got shape \(20, 4\)",
    ),
    "dropout_2": (lambda: L.Dropout(1.5), ValueError, r"layer .*: rate lies between 0 and 1, got 1\.5"),
    "dropout_neg": (lambda: L.Dropout(-0.1), ValueError, r"layer .*: rate lies between 0 and 1, got -0\.1"),
    "pool_neg": (lambda: L.MaxPooling2D(-2), ValueError, r"pool_size is a positive integer or 2 of them, got -2"),
    "reshape": (lambda: L.Reshape((3,))(x), ValueError, r"layer .* cannot reshape \(4,\) to \(3,\)"),
    "concat_rows": (
        lambda: L.Concatenate()([x, x[:3]]),
        ValueError,
        r"layer .* cannot concatenate shapes \[\(20, 4\), \(3, 4\)\] along axis -1",
    ),
    "add_shapes": (lambda: L.Add()([x, x3]), ValueError, r"layer .* cannot join shapes \[\(20, 4\), \(20, 3\)\]"),
    "embedding_float": (
        lambda: L.Embedding(10, 3)(x),
        ValueError,
        r"layer 'embedding.*': embedding: index is -2147483648, expected 0 <= value < 10 \(as fractions, NaN",
    ),
    "input_shape_text": (
        lambda: keras.Input("4"),
        ValueError,
        r"an input's sizes are non-negative integers or None, got \(None, '4'\)",
    ),
    "model_unconnected": (
        lambda: keras.Model(keras.Input((4,)), L.Dense(1)(keras.Input((4,)))),
        ValueError,
        r"<KerasTensor shape=\(None, 4\), dtype=float32, name=input_layer.*> is needed for the outputs but is",
    ),
    "sequential_notlayer": (
        lambda: keras.Sequential([3]),
        ValueError,
        r"only layers can be added to a Sequential model, got int",
    ),
    "sequential_add_class": (
        lambda: keras.Sequential([L.Dense]),
        ValueError,
        r"only layers can be added to a Sequential model, got type",
    ),
    "df_text_column": (
        lambda: F(reg(), df.assign(d="x"), y1),
        TypeError,
        r"x holds columns without numbers, \{'d': 'str'\}; convert or drop them first",
    ),
    "df_missing": (lambda: F(reg(), df.mask(df > 1), y1), FloatingPointError, r"x holds NaN"),
    "df_extra_column": (
        lambda: F(reg(), df.assign(e=1.0), y1),
        ValueError,
        r"layer 'hidden' expects an input with size 4 on axis -1, got shape \(20, 5\)",
    ),
    "df_nullable": (
        lambda: F(cls(), df, pd.Series(list(lab[:-1]) + [None], dtype="Int64")),
        ValueError,
        r"sparse_crossentropy: label is -2147483648, expected 0 <= value < 3 \(as fractions, NaN and what",
    ),
    "series_x": (lambda: F(reg(), df["a"], y1), ValueError, r"layer .*: input .* has shape \(None, 4\), got \(20,\)"),
    "df_dates": (
        lambda: F(reg(), df.assign(d=pd.Timestamp("2020-01-01")), y1),
        TypeError,
        r"x holds columns without numbers, \{'d': 'datetime64\[us\]'\}; convert or drop them first",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_words_of_a_refusal(name):
    call, kind, words = MISTAKES[name]
    with pytest.raises(kind, match=words):
        call()


FINE = {
    "y_N_for_N1": lambda: F(reg(), x, y1[:, 0]),
    "x_list_of_rows": lambda: F(reg(), x.tolist(), y1.tolist()),
    "weights_list": lambda: F(reg(), x, y1, sample_weight=[1.0] * 20),
    "labels_float": lambda: F(cls(), x, lab.astype("float32")),
    "labels_N1": lambda: F(cls(), x, lab[:, None]),
    "labels_bool": lambda: F(cls(), x, lab > 0),
    "labels_uint8": lambda: F(cls(), x, lab.astype("uint8")),
    "binary_labels_2": lambda: F(cls("binary_crossentropy", 1, "sigmoid"), x, lab),
    "input_tuple": lambda: F(one_out(), (x, x3), y1),
    "predict_gen_y": lambda: reg().predict(gen((x, y1)), verbose=0),
    "df_ok": lambda: F(reg(), df, pd.Series(y1[:, 0])),
    "df_category": lambda: F(cls(), df, pd.Series(lab).astype("category")),
    "df_bool": lambda: F(reg(), df > 0, y1),
}


@pytest.mark.parametrize("name", FINE)
def test_what_is_fine(name):
    FINE[name]()
