"""What to use instead of names and arguments of Keras that netlayers does not have.

Some names of a section, with spaces between them, and one text for them. A test fails on a name
without a text, and on a text for a name that is there.
"""

AUGMENTATION = (
    "other layers of [augmentation](images.md#images-changed-at-random), or images changed before"
)
HALF = "nothing: a model computes in float32 or float64"
QUANTIZATION = "nothing: quantization is not supported"
STATELESS = "nothing: JAX's form without state; `trainable_weights` are arrays"
ATTENTION = "recurrent layers ([Sequences](sequences.md)), or [a layer of your own](own_classes.md)"
GENERATOR = "the method of `np.random.default_rng(seed)` with this name"
SOUND = "`scipy.signal.stft` before training"
DOWNLOAD = "arrays, however they are read: [data](big_arrays.md)"
GPU = "nothing: there is no GPU"
LOGGING = "disable_interactive_logging enable_interactive_logging is_interactive_logging_enabled"
TRACEBACK = "nothing: errors are one sentence"
ASSIGNED = "NumPy's indexing: `array[...] = value`"

INSTEAD = {
    "modules": {
        "applications": "a model of your own that was saved: "
        "[an example](../examples/ports/transfer_learning.py)",
        "distillation": "[a training step of your own](graphs.md#training-steps-of-your-own)",
        "dtype_policies mixed_precision": HALF,
        "export": "`model.save`, and [Serving](serving.md)",
        "ops": "NumPy",
        "preprocessing": "`utils`",
        "quantizers": QUANTIZATION,
        "tree": "one value, a list, a tuple or a dict of values",
        "visualization": "`model.plot`, and matplotlib",
        "wrappers": "[`estimators`](scikit_learn.md)",
    },
    "datasets": {
        "california_housing": "`sklearn.datasets.fetch_california_housing`",
        "boston_housing cifar10 cifar100": DOWNLOAD,
        "imdb reuters": "`utils.text_dataset_from_directory`, "
        "[`datasets.labelled_lines`](sequences.md)",
    },
    "layers": {
        "AdditiveAttention Attention GroupQueryAttention MultiHeadAttention": ATTENTION,
        "EinsumDense": "`Dense`, which works on the last axis, between `Permute` and `Reshape`",
        "AugMix AutoContrast ContrastLimitedAdaptiveHistogramEqualization Equalization RandAugment "
        "RandomColorDegeneration RandomColorJitter RandomElasticTransform RandomGaussianBlur "
        "RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization "
        "RandomSaturation RandomSharpness RandomShear Solarization": AUGMENTATION,
        "MaxNumBoundingBoxes": "nothing: bounding boxes are not supported",
        "MelSpectrogram STFTSpectrogram": SOUND,
        "FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper": "[a layer](own_classes.md) with the "
        "same weights and its `backward`",
        "Pipeline": "`Sequential`",
    },
    "optimizers": {"LossScaleOptimizer": HALF},
    "callbacks": {"OrbaxCheckpoint": "`ModelCheckpoint`, `BackupAndRestore`"},
    "initializers": {"STFT STFTInitializer stft": SOUND},
    "utils": {
        "Config": "a dict",
        "audio_dataset_from_directory": "arrays, read with `scipy.io.wavfile`",
        LOGGING: "`verbose=` of `fit`, `evaluate` and `predict`",
        "get_file": "`urllib.request.urlretrieve`",
        "get_source_inputs": "`model.inputs`",
        "is_keras_tensor": "nothing: only what `Input` and calls of layers on it return is one",
        "model_to_dot": "`plot_model`, `model.plot`",
        "standardize_dtype": "`np.dtype(dtype).name`",
    },
    "saving": {"KerasFileEditor": "[`python -m netlayers`](command_line.md)"},
    "random": {
        "beta binomial gamma": GENERATOR,
        "categorical": "`utils.sample_logits`",
        "dropout": "`layers.Dropout`",
        "truncated_normal": "`initializers.TruncatedNormal(stddev=1.0)(shape)`",
    },
    "config": {
        "disable_flash_attention enable_flash_attention is_flash_attention_enabled "
        "is_nnx_enabled set_backend": GPU,
        LOGGING: "`verbose=` of `fit`, `evaluate` and `predict`",
        "disable_traceback_filtering enable_traceback_filtering "
        "is_traceback_filtering_enabled": TRACEBACK,
        "dtype_policy set_dtype_policy": "`dtype=` of the model",
        "enable_unsafe_deserialization": "nothing: loading runs no code of a file",
        "max_epochs max_steps_per_epoch set_max_epochs set_max_steps_per_epoch": "`epochs=` and "
        "`steps_per_epoch=` of `fit`",
    },
    "methods of Model": {
        "compute_loss_and_updates jax_state_sync stateless_compute_loss": STATELESS,
        "export": "`save`, and [Serving](serving.md)",
        "get_quantization_layer_structure quantize": QUANTIZATION,
        "get_state_tree set_state_tree": "`get_weights`, `set_weights`; `save` for everything",
        "jit_compile run_eagerly": "nothing: each step runs as it is written",
        "make_predict_function make_test_function make_train_function": "`predict_on_batch`, "
        "`test_on_batch`, `train_on_batch`, which `train_step` of a class changes",
    },
    "methods of Sequential": {
        "call": "`forward` and `backward`",
        "compute_output_spec": "`compute_output_shape`",
    },
    "methods of Layer": {
        "add_metric": "`metrics=` of `compile`",
        "add_variable": "`add_weight`",
        "build_from_config get_build_config": "nothing: files hold the shapes",
        "call": "`forward` and `backward`",
        "compute_output_spec": "`compute_output_shape`",
        "dtype_policy input_dtype variable_dtype": "`dtype`",
        "load_own_variables save_own_variables": "[`get_state`, `set_state`](resuming.md)",
        "metrics metrics_variables": "`model.metrics`",
        "quantization_mode quantize quantized_build quantized_call": QUANTIZATION,
        "rematerialized_call": "`gradient_accumulation_steps=` of the optimizer: smaller batches",
        "stateless_call": "`new_call()`: another call with the same weights",
        "symbolic_call": "`layer(x)`",
    },
    "methods of Loss": {"call": "`forward_samples` and `backward_samples`"},
    "methods of Metric": {
        "stateless_reset_state stateless_result stateless_update_state": "another metric object",
    },
    "methods of Optimizer": {
        "add_optimizer_variables add_variable add_variable_from_reference": "`state_names`, of "
        "which `update` gets the vectors",
        "assign assign_add assign_sub": ASSIGNED,
        "load_own_variables save_own_variables": "[`get_state`, `set_state`](resuming.md)",
        "scale_loss": HALF,
        "stateless_apply": "`step(model.parameters)`",
        "update_step": "`update(w, g, lr, state, scratch)`",
    },
}
ARGUMENTS = {
    "aggregation overwrite_with_gradient": "nothing: a weight is one array",
    "axes allow_last_axis_squeeze max_ndim optional shape": "`ndim`, `min_ndim` and `dtype`; the "
    "layer checks the rest in `build`",
    "custom_objects": "`utils.custom_object_scope`",
    "format preferred_backend": "nothing: batches are arrays of NumPy",
    "lora_alpha lora_rank quantization_config": "nothing: neither is supported",
    "loss_scale_factor": HALF,
    "max_shard_size zipped": "nothing: a `.safetensors` file is one file, not compressed",
    "name": "nothing: a generator has no name",
    "module_objects": "`custom_objects`",
    "ragged": "`utils.pad_sequences`, `Masking`, `Embedding(mask_zero=True)`",
    "splines": "nothing: arrows have one form",
    "state": "nothing: JAX's form without state",
    "stateless_metrics": "`stateful_metrics`, which names the others",
}
