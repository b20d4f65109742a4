"""Models that are no chains, for `make_graphs.py`."""


def images(keras):
    """A residual block of convolutions between others."""
    layers = keras.layers
    start = layers.Input((6, 6, 2), name="picture")
    flow = layers.Conv2D(3, 3, padding="same", activation="elu", name="first")(start)
    inner = layers.Conv2D(3, 3, padding="same", activation="tanh", name="inner")(flow)
    flow = layers.Add(name="around")([flow, inner])
    flow = layers.MaxPooling2D(name="smaller")(flow)
    flow = layers.SeparableConv2D(4, 2, name="apart")(flow)
    flow = layers.Flatten(name="flat")(flow)
    return keras.Model(start, layers.Dense(3, activation="softmax", name="end")(flow))


def normalised_images(keras):
    """The same with normalisations, padding and channels by themselves."""
    layers = keras.layers
    start = layers.Input((5, 4, 2), name="picture")
    flow = layers.Rescaling(0.5, offset=-0.25, name="scaled")(start)
    flow = layers.ZeroPadding2D(((1, 0), (0, 1)), name="padded")(flow)
    flow = layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False, name="deep")(flow)
    flow = layers.BatchNormalization(name="norm")(flow)
    flow = layers.LeakyReLU(name="bent")(flow)
    inner = layers.Conv2D(4, 1, name="inner")(flow)
    inner = layers.LayerNormalization(name="layer_norm")(inner)
    flow = layers.Multiply(name="gated")([flow, inner])
    return keras.Model(start, layers.GlobalAveragePooling2D(name="mean")(flow))


def shared(keras):
    """Two inputs by name, one model for both, two outputs by name."""
    layers = keras.layers
    inside = layers.Input((3,), name="inside")
    coded = layers.Dense(4, activation="tanh", name="code")(inside)
    encoder = keras.Model(inside, layers.Dense(2, name="coded")(coded), name="encoder")
    left, right = layers.Input((3,), name="left"), layers.Input((3,), name="right")
    one, two = encoder(left), encoder(right)
    apart = layers.Subtract(name="apart")([one, two])
    both = layers.Concatenate(name="both")([one, apart, right])
    mean = layers.Average(name="mean")([one, two])
    high = layers.Maximum(name="high")([mean, apart])
    low = layers.Minimum(name="low")([mean, two])
    ends = {"near": layers.Dense(2, name="end")(both), "far": layers.Add()([high, low])}
    return keras.Model({"left": left, "right": right}, ends)


def nested(keras):
    """A model of two inputs and two outputs inside another, called twice."""
    layers = keras.layers
    one, two = layers.Input((2,), name="one"), layers.Input((3,), name="two")
    joined = layers.Concatenate(name="joined")([one, two])
    small = layers.Dense(2, activation="tanh", name="small")(joined)
    large = layers.Dense(3, name="large")(joined)
    block = keras.Model([one, two], [small, large], name="block")
    start, other = layers.Input((2,), name="start"), layers.Input((3,), name="other")
    first = block([start, other])
    second = block([first[0], first[1]])
    return keras.Model([start, other], layers.Concatenate(name="all")([*second, start]))


def attention(keras):
    """Self-attention around which x goes, and steps one by one."""
    layers = keras.layers
    start = layers.Input((3, 4), name="steps")
    attended = layers.MultiHeadAttention(2, 2, name="attends")(start, start)
    flow = layers.Add(name="around")([start, attended])
    flow = layers.TimeDistributed(layers.Dense(2, activation="tanh"), name="each")(flow)
    return keras.Model(start, layers.Flatten(name="flat")(flow))


def operations(keras, ops):
    """Operators and functions between layers, with tensors and with constants."""
    layers = keras.layers
    start, other = layers.Input((4,), name="start"), layers.Input((4,), name="other")
    flow = ops["from_three"]((start + other) * 2.0)
    flow = -flow / 4.0 + start * other
    flow = ops["concatenate"]([flow, other], -1)
    flow = ops["relu"](flow[:, 1:7] - 0.5)
    flow = layers.Dense(6, name="dense")(flow)
    flow = ops["transpose"](ops["reshape"](flow, (-1, 3, 2)), (0, 2, 1))
    first, second, third = ops["split"](flow, 3, -1)
    flow = ops["maximum"](ops["sigmoid"](first), ops["tanh"](third))
    flow = ops["stack"]([flow, second], 1)
    flow = ops["squeeze"](flow, -1)
    flow = ops["expand_dims"](flow, 1)[..., 0, :, :]
    flow = ops["flip"](flow, 2)[:, 1]
    return keras.Model([start, other], ops["maximum"](flow, -0.25))
