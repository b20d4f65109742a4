"""Single layers in every variant that nninvert reads, for `make_layers.py`."""


def cases(layers, at_least):
    """Name, input shape and layers of small Sequential models.

    Parameters
    ----------
    layers : module
        ``keras.layers`` of the version at work.
    at_least : function
        Whether that version is this one or newer: at_least(3, 9).
    """
    found = {}

    def add(name, shape, *made):
        assert name not in found, name
        found[name] = (shape, made)

    _convolutions(layers, add)
    _transposed(layers, add)
    _separable(layers, add)
    _normalisations(layers, add, at_least)
    return found


def _convolutions(layers, add):
    add("conv1d", (7, 3), layers.Conv1D(4, 3, activation="tanh"))
    add("conv1d_same_strided", (8, 2), layers.Conv1D(3, 4, strides=3, padding="same"))
    causal = layers.Conv1D(3, 3, dilation_rate=2, padding="causal", use_bias=False)
    add("conv1d_causal", (7, 2), causal)
    add("conv2d", (5, 6, 2), layers.Conv2D(3, (2, 3)))
    strided = layers.Conv2D(3, (4, 3), strides=(2, 3), padding="same", activation="elu")
    add("conv2d_same_strided", (5, 8, 2), strided)
    add("conv2d_dilated", (7, 6, 2), layers.Conv2D(2, 3, dilation_rate=2, padding="same"))
    add("conv3d", (3, 4, 3, 2), layers.Conv3D(2, (2, 3, 2), padding="same"))
    add("conv3d_strided", (4, 4, 3, 1), layers.Conv3D(2, 2, strides=(2, 1, 1)))


def grouped_and_first(layers, add):
    """What TensorFlow cannot compute on a processor."""
    add("conv1d_grouped", (6, 4), layers.Conv1D(6, 3, groups=2, padding="same"))
    add("conv2d_grouped", (4, 4, 6), layers.Conv2D(3, 2, groups=3))
    first = {"data_format": "channels_first"}
    add("conv1d_first", (2, 7), layers.Conv1D(3, 3, padding="same", **first))
    add("conv2d_first", (3, 5, 4), layers.Conv2D(2, (3, 2), strides=2, **first))
    add("conv3d_first", (2, 3, 3, 4), layers.Conv3D(2, 2, padding="same", **first))
    add("transposed_first", (2, 3, 4), layers.Conv2DTranspose(3, 3, strides=2, **first))
    add("depthwise_first", (2, 4, 5), layers.DepthwiseConv2D(3, padding="same", **first))
    separable = layers.SeparableConv2D(3, 2, depth_multiplier=2, **first)
    add("separable_first", (2, 4, 5), separable)


def _transposed(layers, add):
    add("transposed", (3, 4, 2), layers.Conv2DTranspose(3, (2, 3), activation="relu"))
    for padding in ("valid", "same"):
        for size in (2, 3, 4):
            for stride in (2, 3):
                made = layers.Conv2DTranspose(2, size, strides=stride, padding=padding)
                add(f"transposed_{padding}_{size}_{stride}", (3, 2, 2), made)
    wider = layers.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1)
    add("transposed_output_padding", (3, 2, 1), wider)
    wider = layers.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=0)
    add("transposed_no_output_padding", (3, 2, 1), wider)
    wider = layers.Conv2DTranspose(2, 3, strides=3, output_padding=(2, 1))
    add("transposed_valid_output_padding", (3, 2, 1), wider)
    add("transposed1d", (4, 2), layers.Conv1DTranspose(3, 3, strides=2, padding="same"))
    add("transposed3d", (2, 3, 2, 2), layers.Conv3DTranspose(2, 2, strides=2))


def _separable(layers, add):
    add("depthwise", (5, 4, 3), layers.DepthwiseConv2D((3, 2), depth_multiplier=2))
    same = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)
    add("depthwise_same", (5, 4, 2), same)
    add("depthwise1d", (6, 3), layers.DepthwiseConv1D(3, padding="same", activation="tanh"))
    separable = layers.SeparableConv2D(3, 3, depth_multiplier=2, strides=2, padding="same")
    add("separable", (5, 5, 2), separable)
    add("separable1d", (6, 2), layers.SeparableConv1D(3, 2, activation="tanh"))


def _normalisations(layers, add, at_least):
    add("layer_norm", (5,), layers.LayerNormalization())
    both = layers.LayerNormalization(axis=[1, 2], epsilon=0.1, center=False)
    add("layer_norm_axes", (2, 3, 2), both)
    add("layer_norm_middle", (3, 4, 2), layers.LayerNormalization(axis=2, scale=False))
    add("group_norm", (3, 6), layers.GroupNormalization(groups=2, epsilon=0.01))
    add("group_norm_first", (6, 2, 2), layers.GroupNormalization(groups=3, axis=1))
    add("instance_norm", (3, 2, 4), layers.GroupNormalization(groups=-1, scale=False))
    add("unit_norm", (5,), layers.UnitNormalization())
    add("unit_norm_axes", (3, 2), layers.UnitNormalization(axis=[1, 2]))
    add("batch_norm_first", (3, 2, 2), layers.BatchNormalization(axis=1))
    if at_least(3, 9):
        add("rms_norm", (5,), layers.RMSNormalization())
        add("rms_norm_axis", (3, 4), layers.RMSNormalization(axis=1, epsilon=0.1))
