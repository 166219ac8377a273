"""Callbacks: actions at the start and end of training, epochs and batches."""

from __future__ import annotations

from netlayers.callbacks.backup import BackupAndRestore
from netlayers.callbacks.callback_list import CallbackList
from netlayers.callbacks.checkpoint import ModelCheckpoint
from netlayers.callbacks.csv_logger import CSVLogger
from netlayers.callbacks.early_stopping import EarlyStopping
from netlayers.callbacks.functions import LambdaCallback
from netlayers.callbacks.gradient_monitor import GradientMonitor
from netlayers.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from netlayers.callbacks.limits import TerminateOnNaN, TimeBudget
from netlayers.callbacks.monitor import MonitorCallback
from netlayers.callbacks.progress import ProgressBar
from netlayers.callbacks.remote import RemoteMonitor
from netlayers.callbacks.swap_ema import SwapEMAWeights
from netlayers.callbacks.tensorboard import TensorBoard
from netlayers.training.callback import Callback, History

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "GradientMonitor",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ProgbarLogger",
    "ProgressBar",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "TimeBudget",
]

ProgbarLogger = ProgressBar  # its name in Keras
