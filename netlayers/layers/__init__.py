"""Layers: what a ``Sequential`` is made of."""

from __future__ import annotations

from typing import Any

from netlayers._serializers import serializers
from netlayers.activations.clipped import HardSigmoid, HardTanh, ReLU6, SparseSigmoid
from netlayers.activations.gated import GELU, GLU, HardSiLU, Mish, SiLU
from netlayers.activations.rectifiers import CELU, ELU, SELU, LeakyReLU, Linear, ReLU
from netlayers.activations.rectifiers import Linear as Identity
from netlayers.activations.shrinkage import HardShrink, SoftShrink, TanhShrink, Threshold
from netlayers.activations.sigmoids import Exponential, Sigmoid, Softsign, Tanh
from netlayers.activations.softmaxes import LogSoftmax, Softmax, Sparsemax
from netlayers.activations.softpluses import LogSigmoid, Softplus, SparsePlus, Squareplus
from netlayers.arrays.spec import InputSpec
from netlayers.core.layer import Layer
from netlayers.layers.activation import Activation
from netlayers.layers.activity import ActivityRegularization
from netlayers.layers.adaptive_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
)
from netlayers.layers.batch_normalization import BatchNormalization
from netlayers.layers.bidirectional import Bidirectional
from netlayers.layers.category_encoding import CategoryEncoding
from netlayers.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from netlayers.layers.convolution import Conv1D, Conv2D, Conv3D
from netlayers.layers.cropping import Cropping1D, Cropping2D, Cropping3D
from netlayers.layers.dense import Dense
from netlayers.layers.depthwise import DepthwiseConv1D, DepthwiseConv2D
from netlayers.layers.discretization import Discretization
from netlayers.layers.dot import Dot
from netlayers.layers.dropout import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
)
from netlayers.layers.embedding import Embedding, ReversibleEmbedding
from netlayers.layers.get_item import GetItem
from netlayers.layers.global_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
)
from netlayers.layers.group_normalization import GroupNormalization
from netlayers.layers.gru import GRU, GRUCell
from netlayers.layers.hashing import HashedCrossing, Hashing
from netlayers.layers.input import Input, InputLayer
from netlayers.layers.lambda_layer import Lambda
from netlayers.layers.layer_normalization import (
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from netlayers.layers.lookup import IntegerLookup, StringLookup
from netlayers.layers.lstm import LSTM, LSTMCell
from netlayers.layers.masking import Masking
from netlayers.layers.merge_functions import (
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from netlayers.layers.merge_layers import (
    Add,
    Average,
    Concatenate,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
)
from netlayers.layers.mixing import CutMix, MixUp
from netlayers.layers.normalization import Normalization
from netlayers.layers.parallel import Parallel
from netlayers.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from netlayers.layers.prelu import PReLU
from netlayers.layers.random_affine import RandomRotation, RandomTranslation, RandomZoom
from netlayers.layers.random_crop import RandomCrop
from netlayers.layers.random_flip import RandomFlip
from netlayers.layers.random_values import RandomBrightness, RandomContrast, RandomErasing
from netlayers.layers.recurrent_cell import RNNCell
from netlayers.layers.reshaping import Flatten, Permute, RepeatVector, Rescaling, Reshape
from netlayers.layers.residual import Residual
from netlayers.layers.resizing import CenterCrop, Resizing
from netlayers.layers.rnn import RNN
from netlayers.layers.separable import SeparableConv1D, SeparableConv2D
from netlayers.layers.simple_rnn import SimpleRNN, SimpleRNNCell
from netlayers.layers.spatial_dropout import (
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from netlayers.layers.spectral_normalization import SpectralNormalization
from netlayers.layers.stacked_cells import StackedRNNCells
from netlayers.layers.text_vectorization import TextVectorization
from netlayers.layers.time_distributed import TimeDistributed
from netlayers.layers.transposed_convolution import (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
)
from netlayers.layers.up_sampling import UpSampling1D, UpSampling2D, UpSampling3D
from netlayers.layers.wrapper import Wrapper
from netlayers.layers.zero_padding import ZeroPadding1D, ZeroPadding2D, ZeroPadding3D
from netlayers.registry import resolve

# Keras's other names.
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
AvgPool3D = AveragePooling3D
Convolution1D = Conv1D
Convolution1DTranspose = Conv1DTranspose
Convolution2D = Conv2D
Convolution2DTranspose = Conv2DTranspose
Convolution3D = Conv3D
Convolution3DTranspose = Conv3DTranspose
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D
MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
MaxPool3D = MaxPooling3D
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "Activation",
    "ActivityRegularization",
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "Add",
    "AlphaDropout",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "CenterCrop",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "CutMix",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Discretization",
    "Dot",
    "Dropout",
    "Embedding",
    "Exponential",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GetItem",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "HardShrink",
    "HardSiLU",
    "HardSigmoid",
    "HardTanh",
    "HashedCrossing",
    "Hashing",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "IntegerLookup",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Minimum",
    "Mish",
    "MixUp",
    "Multiply",
    "Normalization",
    "PReLU",
    "Parallel",
    "Permute",
    "RMSNormalization",
    "RNNCell",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "ReLU6",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Residual",
    "Resizing",
    "ReversibleEmbedding",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SiLU",
    "Sigmoid",
    "SimpleRNN",
    "SimpleRNNCell",
    "SoftShrink",
    "Softmax",
    "Softplus",
    "Softsign",
    "SparsePlus",
    "SparseSigmoid",
    "Sparsemax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "Squareplus",
    "StackedRNNCells",
    "StringLookup",
    "Subtract",
    "Tanh",
    "TanhShrink",
    "TextVectorization",
    "Threshold",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Wrapper",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]


def _get(identifier: Any) -> Layer:
    layer: Layer = resolve("layer", identifier, Layer)
    return layer


serialize, deserialize = serializers(_get)
