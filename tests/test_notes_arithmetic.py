"""A net small enough to follow by hand: 4-3-1, sigmoid, no bias, half squared error summed over the
samples, plain gradient descent. Started from given weights, the outputs that the ten-thousandth full
batch computes are known to 1e-6: they are those after 9,999 updates (plain NumPy agrees).
"""

import numpy as np

import fastnn as keras
from fastnn import ops

X = np.array([[1, 0, 1, 0], [1, 0, 1, 1], [0, 1, 0, 1]], "float64")
Y = np.array([[1], [1], [0]], "float64")
W_IH = np.array([
    [0.31301354, 0.08915235, 0.10167565],
    [0.1485087, 0.15461817, 0.95626249],
    [0.24065887, 0.34975324, 0.89567793],
    [0.29028955, 0.7545967, 0.46399615],
])  # fmt: skip
W_HO = np.array([[0.92419666], [0.26560758], [0.59765372]])
WANT = [0.93732709, 0.89214676, 0.14473526]


def half_squared_error(y_true, y_pred):
    return ops.multiply(ops.sum(ops.square(ops.subtract(y_true, y_pred))), 0.5)


def test_the_ten_thousandth_step_sees_what_it_should():
    keras.config.set_floatx("float64")
    try:
        model = keras.Sequential([
            keras.Input((4,)),
            keras.layers.Dense(3, activation="sigmoid", use_bias=False),
            keras.layers.Dense(1, activation="sigmoid", use_bias=False),
        ])  # fmt: skip
        model.compile(optimizer=keras.optimizers.SGD(0.01), loss=half_squared_error)
        model.set_weights([W_IH, W_HO])
        model.fit(X, Y, batch_size=3, epochs=9_999, shuffle=False, verbose=0)
        np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], WANT, atol=1e-6, rtol=0)
    finally:
        keras.config.set_floatx("float32")
