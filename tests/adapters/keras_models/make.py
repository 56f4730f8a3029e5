"""Writes the Keras models of this folder and what they give: python make.py, with keras installed.

The files here were written by Keras 3.15.1 with its torch backend.
"""

import os

os.environ["KERAS_BACKEND"] = "torch"
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
ROWS = 6


def models():
    import keras
    from keras import layers as L

    z, y = L.Input((6,), name="z"), L.Input((1,), name="digit")
    h = L.Concatenate()([z, L.Flatten()(L.Embedding(4, 3)(y))])
    h = L.LeakyReLU(negative_slope=0.2)(L.Dense(2 * 2 * 4)(h))
    h = L.Reshape((2, 2, 4))(h)
    h = L.Conv2DTranspose(3, 5, strides=2, padding="same", use_bias=False)(h)
    h = L.ReLU()(L.BatchNormalization(momentum=0.8)(h))
    h = L.UpSampling2D(interpolation="bilinear")(h)
    h = L.Dropout(0.3)(L.Conv2D(3, 3, padding="same", activation="relu")(h))
    h = L.Conv2D(4, 4, strides=2, padding="same")(h)
    h = L.Conv2DTranspose(3, 2, strides=3, padding="same")(h)
    h = L.Conv2DTranspose(2, 2, strides=3, activation="tanh")(h)
    yield "functional", keras.Model([z, y], h)

    inner = [L.Input((5,)), L.Dense(8), L.LeakyReLU(0.2), L.BatchNormalization(), L.Dense(16)]
    inner = keras.Sequential([*inner, L.Activation("tanh"), L.Reshape((4, 4, 1))])
    z, y = L.Input((5,)), L.Input((1,))
    yield "nested", keras.Model([z, y], inner(L.multiply([z, L.Flatten()(L.Embedding(3, 5)(y))])))

    layers = [L.Input((4,)), L.Dense(36, activation="relu"), L.Reshape((3, 3, 4))]
    layers += [L.LayerNormalization(), L.Conv2DTranspose(8, 3, strides=2, padding="same")]
    layers += [L.PReLU(shared_axes=[1, 2]), L.ZeroPadding2D(((1, 0), (2, 1))), L.Cropping2D(1)]
    layers += [L.Conv2D(2, 3, groups=2), L.AveragePooling2D(1), L.Activation("sigmoid")]
    yield "sequential", keras.Sequential(layers)

    z, y = L.Input((5,), name="noise"), L.Input((3,), name="kind")
    shared = L.Dense(8, activation="elu")
    h = L.Add()([shared(L.Concatenate()([z, y])), shared(L.Concatenate()([y, z]))])
    yield "shared", keras.Model([z, y], L.Reshape((2, 2, 2))(L.Dense(8, activation="tanh")(h)))


def main():
    import keras

    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    for name, model in models():
        for weight in model.weights:
            value = 0.4 * rng.normal(size=weight.shape)
            if "variance" in weight.path:
                value = np.abs(value) + 0.5
            weight.assign(value + ("gamma" in weight.path))
        given = []
        for one in model.inputs:
            shape = (ROWS, *one.shape[1:])
            value = rng.normal(size=shape)
            if one.shape[1:] == (1,):
                value = rng.integers(3, size=shape)
            if one.name == "kind":
                value = np.eye(3)[rng.integers(3, size=ROWS)]
            given.append(value.astype(np.float32))
        made = model(given if len(given) > 1 else given[0], training=False).detach().numpy()
        inputs = {f"input_{place}": value for place, value in enumerate(given)}
        np.savez(FOLDER / f"{name}.npz", made=made, **inputs)
        model.save(FOLDER / f"{name}.keras")
        if name in ("functional", "nested"):
            model.save(FOLDER / f"{name}.h5")


if __name__ == "__main__":
    main()
