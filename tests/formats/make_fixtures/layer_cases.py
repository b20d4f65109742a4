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
    _pooling(layers, add, at_least)
    _edges(layers, add)
    _distributed(layers, add)
    _einsum(layers, add)
    _attention(layers, add)
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
    pooling = layers.AveragePooling2D(2, padding="same", **first)
    add("average_pooling_first", (2, 5, 4), pooling)
    add("max_pooling_first", (2, 5), layers.MaxPooling1D(2, strides=1, **first))
    add("global_average_first", (2, 3, 4), layers.GlobalAveragePooling2D(**first))
    add("padding_first", (2, 3, 2), layers.ZeroPadding2D((1, 2), **first))
    add("cropping_first", (2, 5, 4), layers.Cropping2D(((1, 2), (0, 1)), **first))
    add("up_sampling_first", (2, 3, 2), layers.UpSampling2D((3, 2), **first))
    add("flatten_first", (2, 3, 2), layers.Flatten(**first))


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


def _pooling(layers, add, at_least):
    add("average1d", (7, 2), layers.AveragePooling1D(2))
    add("average1d_same", (7, 2), layers.AveragePooling1D(3, strides=2, padding="same"))
    add("average2d", (5, 4, 2), layers.AveragePooling2D((2, 3), strides=(1, 2)))
    add("average2d_same", (5, 4, 1), layers.AveragePooling2D((3, 2), padding="same"))
    add("average3d", (3, 2, 3, 2), layers.AveragePooling3D(2, strides=1))
    add("max1d", (7, 2), layers.MaxPooling1D(3, strides=2, padding="same"))
    add("max2d", (5, 4, 2), layers.MaxPooling2D((2, 3), strides=(2, 1), padding="same"))
    add("max3d", (3, 4, 2, 1), layers.MaxPooling3D(2))
    for kind in ("Average", "Max"):
        for rank in (1, 2, 3):
            made = getattr(layers, f"Global{kind}Pooling{rank}D")
            add(f"global_{kind}{rank}", (*(3, 2, 4)[:rank], 2), made(keepdims=rank == 2))
    if at_least(3, 13):
        add("adaptive_average", (5, 4, 2), layers.AdaptiveAveragePooling2D((2, 3)))
        add("adaptive_max", (7, 2), layers.AdaptiveMaxPooling1D(3))


def _edges(layers, add):
    add("padding1d", (3, 2), layers.ZeroPadding1D((1, 2)))
    add("padding2d", (3, 2, 2), layers.ZeroPadding2D(((1, 0), (2, 1))))
    add("padding3d", (2, 2, 1, 2), layers.ZeroPadding3D((1, 0, 2)))
    add("cropping1d", (5, 2), layers.Cropping1D(2))
    add("cropping2d", (4, 5, 2), layers.Cropping2D(((0, 1), (2, 1))))
    add("cropping3d", (3, 3, 4, 1), layers.Cropping3D(1))
    add("up1d", (3, 2), layers.UpSampling1D(2))
    add("up2d", (2, 3, 2), layers.UpSampling2D((2, 3)))
    add("up2d_bilinear", (2, 3, 2), layers.UpSampling2D(2, interpolation="bilinear"))
    add("up3d", (2, 1, 3, 2), layers.UpSampling3D((2, 3, 1)))
    add("repeat", (4,), layers.RepeatVector(3))
    add("permute", (2, 3, 4), layers.Permute((3, 1, 2)))
    add("prelu_shared", (3, 2, 4), layers.PReLU(shared_axes=[1, 2]))
    add("softmax_axis", (3, 4), layers.Softmax(axis=1))


def _distributed(layers, add):
    inner = {
        "dense": ((3,), layers.Dense(4, activation="tanh")),
        "conv1d": ((5, 2), layers.Conv1D(3, 2, padding="same", activation="elu")),
        "conv2d": ((4, 3, 2), layers.Conv2D(3, (2, 3), strides=2, padding="same")),
        "transposed": ((2, 3, 2), layers.Conv2DTranspose(2, 3, strides=2, padding="same")),
        "depthwise": ((4, 3, 2), layers.DepthwiseConv2D(2, depth_multiplier=2)),
        "max": ((4, 4, 2), layers.MaxPooling2D((2, 3), padding="same")),
        "average": ((5, 2), layers.AveragePooling1D(3, strides=2)),
        "up": ((3, 2), layers.UpSampling1D(2)),
        "padding": ((3, 2), layers.ZeroPadding1D((1, 2))),
        "cropping": ((5, 2), layers.Cropping1D((1, 2))),
        "batch_norm": ((3, 2), layers.BatchNormalization(axis=1)),
        "layer_norm": ((3,), layers.LayerNormalization()),
        "flatten": ((2, 3), layers.Flatten()),
        "reshape": ((6,), layers.Reshape((3, -1))),
        "permute": ((2, 3), layers.Permute((2, 1))),
        "softmax": ((4,), layers.Softmax()),
        "dropout": ((4,), layers.Dropout(0.5)),
    }
    for name, (shape, made) in inner.items():
        add(f"time_{name}", (2, *shape), layers.TimeDistributed(made))


def _einsum(layers, add):
    dense = layers.EinsumDense("ab,bc->ac", output_shape=4, bias_axes="c")
    add("einsum", (3,), dense)
    split = layers.EinsumDense("abc,cde->abde", (3, 2, 4), "tanh", bias_axes="de")
    add("einsum_heads", (3, 2), split)
    joined = layers.EinsumDense("abcd,cde->abe", output_shape=(3, 2), bias_axes="e")
    add("einsum_joined", (3, 2, 2), joined)
    middle = layers.EinsumDense("abc,bd->adc", output_shape=(4, 2), bias_axes="d")
    add("einsum_middle", (3, 2), middle)
    dots = layers.EinsumDense("...x,xy->...y", output_shape=4, bias_axes="y")
    add("einsum_dots", (2, 3), dots)
    add("einsum_no_bias", (2, 3), layers.EinsumDense("abc,cd->abd", (2, 4)))


def _attention(layers, add):
    """Each with the further arguments of its call."""
    add("attention", (4, 3), layers.MultiHeadAttention(2, 3), {})
    wide = layers.MultiHeadAttention(2, 2, value_dim=3, use_bias=False, output_shape=5)
    add("attention_wide", (3, 4), wide, {})
    causal = layers.MultiHeadAttention(1, 2)
    add("attention_causal", (4, 2), causal, {"use_causal_mask": True})
