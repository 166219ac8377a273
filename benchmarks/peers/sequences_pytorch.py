"""PyTorch: the recurrent networks, by its fused layers, a ConvLSTM by a loop over the steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.sequences import SequenceCase, sequence_weights

KINDS = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "SimpleRNN": torch.nn.RNN}


class SequenceNetwork(torch.nn.Module):
    """A recurrent network with the weights of a case.

    Keras has one bias where PyTorch has two, but for GRU. The second one does not learn here.
    """

    def __init__(self, case: SequenceCase, seed: int = 0) -> None:
        super().__init__()
        self.case = case
        self.recurrent = KINDS[case.kind](
            case.inputs,
            case.units,
            case.layers,
            batch_first=True,
            bidirectional=case.bidirectional,
        )
        self.dense = torch.nn.Linear(case.units * case.directions, 1)
        self.lengths = torch.from_numpy(case.lengths)
        *drawn, (last, _) = sequence_weights(case, seed)
        with torch.no_grad():
            for i, (kernel, recurrent) in enumerate(drawn):
                layer, direction = divmod(i, case.directions)
                end = f"_l{layer}" + ("_reverse" if direction else "")
                self.get_parameter(f"recurrent.weight_ih{end}").copy_(self._rows(kernel))
                self.get_parameter(f"recurrent.weight_hh{end}").copy_(self._rows(recurrent))
                self.get_parameter(f"recurrent.bias_ih{end}").zero_()
                bias = self.get_parameter(f"recurrent.bias_hh{end}").zero_()
                if case.kind != "GRU":
                    bias.requires_grad_(False)
            self.dense.weight.copy_(torch.from_numpy(last.T))
            self.dense.bias.zero_()

    def _rows(self, w: np.ndarray) -> Any:
        """Return the transposed weights, with the gates of GRU in the order r, z, n."""
        parts = np.split(w, w.shape[1] // self.case.units, axis=1)
        if self.case.kind == "GRU":
            parts[:2] = parts[1], parts[0]
        return torch.from_numpy(np.concatenate(parts, axis=1).T.copy())

    def forward(self, x: Any) -> Any:
        """Return the output for the last states."""
        if self.case.shortest:
            x = torch.nn.utils.rnn.pack_padded_sequence(
                x, self.lengths, batch_first=True, enforce_sorted=False
            )
        _, h = self.recurrent(x)
        h = h[0] if self.case.kind == "LSTM" else h
        return self.dense(torch.cat(list(h[-self.case.directions :]), dim=1))


class ConvNetwork(torch.nn.Module):
    """A ConvLSTM with the weights of a case; the convolution of the input is one for all steps."""

    def __init__(self, case: SequenceCase, seed: int = 0) -> None:
        super().__init__()
        convolution = (torch.nn.Conv1d, torch.nn.Conv2d)[len(case.places) - 1]
        columns = 4 * case.units
        self.on_x = convolution(case.inputs, columns, 3, padding=1)
        self.on_h = convolution(case.units, columns, 3, padding=1, bias=False)
        self.dense = torch.nn.Linear(case.units * int(np.prod(case.places)), 1)
        ((kernel, recurrent), (last, _)) = sequence_weights(case, seed)
        with torch.no_grad():
            for layer, w in ((self.on_x, kernel), (self.on_h, recurrent)):
                layer.weight.copy_(torch.from_numpy(np.moveaxis(w, (-1, -2), (0, 1)).copy()))
            self.dense.weight.copy_(torch.from_numpy(last.T))
            for bias in (self.on_x.bias, self.dense.bias):
                bias.zero_()

    def forward(self, x: Any) -> Any:
        """Return the output for the last state."""
        x = x.movedim(-1, 2)
        z = self.on_x(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        h = c = x.new_zeros(len(x), self.on_h.in_channels, *x.shape[3:])
        for t in range(x.shape[1]):
            i, f, g, o = (z[:, t] + self.on_h(h)).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return self.dense(h.movedim(1, -1).flatten(1))


def make_stream(kind: str, inputs: int, units: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from one observation (1, 1, inputs) to the output; the state is kept."""
    layer = KINDS[kind](inputs, units, batch_first=True).eval()
    state: Any = None

    def step(x: np.ndarray) -> np.ndarray:
        nonlocal state
        with torch.inference_mode():
            y, state = layer(torch.from_numpy(x), state)
            return y[:, -1].numpy()

    return step
