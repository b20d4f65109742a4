"""Layers of Keras 1 and early Keras 2 in every variant, for `make_old_layers.py`."""


def keras_1(layers, backend):
    """Name, input shape and layers; `backend` tells what can be computed."""
    found = {}

    def add(name, shape, *made):
        found[name] = (shape, made)

    add("conv1d", (7, 3), layers.Convolution1D(4, 3, activation="tanh"))
    strided = layers.Convolution1D(2, 2, subsample_length=2, border_mode="same", bias=False)
    add("conv1d_strided", (7, 2), strided)
    add("atrous1d", (7, 2), layers.AtrousConvolution1D(3, 2, atrous_rate=2))
    orders = {"th": (2, 5, 4), "tf": (5, 4, 2)}
    for order, shape in orders.items():
        how = {"dim_ordering": order}
        add(f"conv2d_{order}", shape, layers.Convolution2D(3, 2, 3, **how))
        same = layers.Convolution2D(3, 3, 3, subsample=(2, 1), border_mode="same", **how)
        add(f"conv2d_same_{order}", shape, same)
        atrous = layers.AtrousConvolution2D(3, 2, 2, atrous_rate=(2, 2), **how)
        add(f"atrous2d_{order}", shape, atrous)
        for mode, wide in (("valid", (11, 9)), ("same", (10, 8))):
            out = (None, 3, *wide) if order == "th" else (None, *wide, 3)
            made = layers.Deconvolution2D(
                3, 3, 3, out, subsample=(2, 2), border_mode=mode, **how
            )
            add(f"deconv_{mode}_{order}", shape, made)
        add(f"max2d_{order}", shape, layers.MaxPooling2D((2, 2), **how))
        average = layers.AveragePooling2D((2, 2), strides=(1, 2), **how)
        add(f"average2d_{order}", shape, average)
        sides = {"top_pad": 1, "right_pad": 2}
        for name, made in (
            ("padding", layers.ZeroPadding2D(sides, **how)),
            ("padding4", layers.ZeroPadding2D((1, 0, 2, 3), **how)),
            ("cropping", layers.Cropping2D(((1, 0), (1, 2)), **how)),
            ("up", layers.UpSampling2D((2, 3), **how)),
        ):  # which do not store their order: the pooling layer does
            add(f"{name}_{order}", shape, layers.MaxPooling2D((1, 1), **how), made)
        for size in (2, 3, 5):
            how["border_mode"] = "same"
            made = layers.MaxPooling2D((size, size), strides=(2, 1), **how)
            first = layers.Convolution2D(2, 1, 1, **how)  # whose names tell the backend
            add(f"max2d_same_{size}_{order}", shape, first, made)
            made = layers.Convolution2D(2, size, size, subsample=(1, 2), **how)
            add(f"conv2d_same_{size}_{order}", shape, made)
        del how["border_mode"]
        add(f"global_{order}", shape, layers.GlobalAveragePooling2D(**how))
        cube = (2, 3, 3, 4) if order == "th" else (3, 3, 4, 2)
        add(f"conv3d_{order}", cube, layers.Convolution3D(2, 2, 2, 3, **how))
    if backend == "tensorflow":
        add("time_dense", (3, 2), layers.TimeDistributedDense(4, activation="tanh"))
        for order, shape in orders.items():
            made = layers.SeparableConvolution2D(
                3, 2, 2, depth_multiplier=2, dim_ordering=order
            )
            add(f"separable_{order}", shape, made)
    else:
        full = layers.Convolution2D(3, 2, 3, border_mode="full", dim_ordering="th")
        add("conv2d_full", (2, 5, 4), full)
    add("max1d", (7, 2), layers.MaxPooling1D(pool_length=3, stride=2))
    add("up1d", (3, 2), layers.UpSampling1D(length=2))
    add("padding1d", (3, 2), layers.ZeroPadding1D(2))
    add("batch_norm", (2, 3, 2), layers.BatchNormalization(axis=1))
    add("repeat", (3,), layers.RepeatVector(2))
    add("flatten", (2, 3, 2), layers.Flatten())
    add("time_distributed", (3, 2), layers.TimeDistributed(layers.Dense(4)))
    return found


def keras_2(layers, backend):
    """The same for Keras 2 before tf.keras, of which Theano is what differs."""
    found = {}

    def add(name, shape, *made):
        found[name] = (shape, made)

    add("conv1d", (7, 2), layers.Conv1D(3, 3, padding="same"))
    for size in (2, 3, 4):
        how = {"padding": "same"}
        made = layers.AveragePooling2D(size, strides=2, **how)
        add(f"average_{size}", (5, 4, 2), made)
        add(f"conv2d_same_{size}", (5, 4, 2), layers.Conv2D(2, size, strides=2, **how))
        dilated = layers.Conv2D(2, size, dilation_rate=2, **how)
        add(f"dilated_same_{size}", (5, 4, 2), dilated)
        if size % 2:
            made = layers.Conv2DTranspose(2, size, strides=2, **how)
            add(f"transposed_same_{size}", (3, 2, 2), made)
        add(f"conv1d_same_{size}", (7, 2), layers.Conv1D(2, size, strides=2, **how))
    add("causal", (7, 2), layers.Conv1D(3, 3, padding="causal", dilation_rate=2))
    for order, shape in (("channels_first", (2, 5, 4)), ("channels_last", (5, 4, 2))):
        if order == "channels_first" and backend == "tensorflow":
            continue
        how = {"data_format": order}
        add(f"conv2d_{order}", shape, layers.Conv2D(3, (2, 3), **how))
        dilated = layers.Conv2D(3, 2, dilation_rate=2, **how)
        add(f"dilated_{order}", shape, dilated)
        transposed = layers.Conv2DTranspose(3, 3, strides=2, padding="same", **how)
        add(f"transposed_{order}", shape, transposed)
        transposed = layers.Conv2DTranspose(3, 3, strides=2, **how)
        add(f"transposed_valid_{order}", shape, transposed)
        cube = (2, 3, 3, 4) if order == "channels_first" else (3, 3, 4, 2)
        add(f"conv3d_{order}", cube, layers.Conv3D(2, (2, 2, 3), **how))
        separable = layers.SeparableConv2D(3, (2, 3), depth_multiplier=2, **how)
        add(f"separable_{order}", shape, separable)
        depthwise = layers.DepthwiseConv2D((2, 3), depth_multiplier=2, **how)
        add(f"depthwise_{order}", shape, depthwise)
    return found
