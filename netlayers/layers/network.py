"""The executor: runs a list of layer calls forward, and backward in reverse order."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import shapes_of
from netlayers.checks import is_several
from netlayers.core.layer import Layer
from netlayers.kernels.select import kernels
from netlayers.kernels.threads import has_own_threads, own_threads
from netlayers.layers.no_gradient import clear_gradients, pass_nothing
from netlayers.layers.prediction import predicted
from netlayers.layers.stacking import stacked, stacked_nodes
from netlayers.layers.wiring import (
    Node,
    chain,
    checked_parts,
    forward_of,
    is_nothing,
    layer_of,
    route_gradient,
    select,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from netlayers.core.calls import Call
    from netlayers.core.parameters import Parameter
    from netlayers.layers.wiring import Callee, Source


class Network(Layer):
    """Base class of networks, which run a list of calls.

    A subclass fills ``calls`` and says in :meth:`_connections` how they are connected, unless they
    form a chain.

    Attributes:
        calls: a layer, or a further call of one, for each use of a layer.
    """

    can_skip_input_gradient = True
    calls: list[Layer | Call]
    _nodes: list[Node] | None = None
    _results: tuple[Source, ...] = ()
    _logit_calls: frozenset[int] | None = None  # see _use_logits_of; None: the last call
    _has_states = False
    _changes_in_training = True
    _in_threads = False  # whether a layer computes in threads
    _makes_masks = True  # its forward takes mask_out
    _starts_masks = True  # its output can have a mask though its input has none
    _repeated: Mapping[int, list[Parameter]] = MappingProxyType({})

    def _connections(self, calls: Sequence[Callee]) -> tuple[list[Node], tuple[Source, ...]] | None:
        """Return the calls with their sources, and those of the output; ``None`` for a chain."""
        return None

    def _connect(self) -> None:
        """Update the connections after a call was added or removed, or after the build."""
        wired = self._connections(self.calls)
        self.takes_mask = any(_deals_with_masks(call) for call in self.calls)
        self._starts_masks = self.takes_mask and any(map(_can_start_masks, self.calls))
        self._in_threads = any(
            getattr(getattr(c, "layer", c), "_in_threads", False) for c in self.calls
        )
        self._repeated = _repeated(self.calls if wired is None else [n.call for n in wired[0]])
        if wired is None and (self.takes_mask or self._repeated):
            wired = chain(self.calls)
        self._nodes, self._results = (None, ()) if wired is None else wired

    @property
    def _output_count(self) -> int:
        """Number of outputs; 1 until it is known."""
        return len(self.output_shape or ()) if is_several(self.output_shape) else 1

    def _connected_to(self) -> dict[Layer, list[str]]:
        """Return for each layer the names of those whose outputs it takes; none for a chain."""
        return {}

    def _output_activations(self) -> list[Any]:
        """Return for each output the activation that computes it and nothing else, or ``None``."""
        return [None] * self._output_count

    def _use_logits_of(self, outputs: list[int]) -> None:
        """Let ``_forward_logits`` compute the logits of these outputs."""

    # Forward ---------------------------------------------------------------------------------

    def forward(
        self, x: Any, training: bool = False, mask: Any = None, mask_out: list[Any] | None = None
    ) -> Any:
        """Run the calls in order; a chain computes ``y = f_n(... f_2(f_1(x)))``.

        Args:
            x: the input, or the tuple of inputs.
            training: cache what :meth:`backward` needs.
            mask: mask of the input.
            mask_out: a list to which the mask of the output is appended.
        """
        if self._in_threads and not has_own_threads():
            with own_threads():
                return Network.forward(self, x, training, mask, mask_out)
        known = None
        if not training and self._nodes is None and mask is None and kernels.stack_forward:
            known = predicted(self, x)
        y = self.prepare(x) if known is None else known
        if self._nodes is not None or mask is not None:  # once it is built
            y, mask = self._run(y, training, mask)
        elif known is None:
            for call in self._stages() if self._in_threads or kernels.stack_forward else self.calls:
                y = call.forward(y, training)
        if mask_out is not None:
            mask_out.append(mask)
        if training:
            self.cache.shape = shapes_of(y) if type(y) is tuple else y.shape
        return y

    def backward(self, dy: Any, input_gradient: bool = True) -> Any:
        """Apply the chain rule: run the calls backward, from the last to the first.

        A chain computes ``dx = f_1'(f_2'(... f_n'(dy)))``. The gradients of a value that several
        calls use are summed, and so are those of the weights of a layer that is called repeatedly.

        Args:
            dy: gradient of the output, (batch, ...).
            input_gradient: ``False`` skips dL/dx and its matrix product; the result is then
                ``None``.
        """
        if self._in_threads and not has_own_threads():
            with own_threads():
                return Network.backward(self, dy, input_gradient)
        shape = self.cache.shape
        if isinstance(dy, np.ndarray) and (not self.calls or dy.shape != shape):
            dy = self.check_gradient(dy, shape)  # the last layer checks the rest
        if self._nodes is not None:
            return self._run_backward(dy, input_gradient)
        calls = self._stages() if self._in_threads or kernels.stack_forward else self.calls
        return self._chain_backward(calls, dy, input_gradient)

    def _forward_logits(
        self, x: Any, training: bool = False, mask: Any = None, mask_out: list[Any] | None = None
    ) -> Any:
        """Return the logits, the input of the last activation."""
        if self._in_threads and not has_own_threads():
            with own_threads():
                return Network._forward_logits(self, x, training, mask, mask_out)
        y = self.prepare(x)
        if self._nodes is not None or mask is not None:
            y, mask = self._run(y, training, mask, "_forward_logits")
            if mask_out is not None:
                mask_out.append(mask)
            return y
        stages = self._stages() if self._in_threads or kernels.stack_forward else self.calls
        for call in stages[:-1]:
            y = call.forward(y, training)
        last: Any = stages[-1]
        return last._forward_logits(y, training)

    def _backward_logits(self, dz: Any, input_gradient: bool = True) -> Any:
        """Return dL/dx for a gradient of the logits; see :meth:`backward`."""
        if self._in_threads and not has_own_threads():
            with own_threads():
                return Network._backward_logits(self, dz, input_gradient)
        if self._nodes is not None:
            return self._run_backward(dz, input_gradient, "_backward_logits")
        stages = self._stages() if self._in_threads or kernels.stack_forward else self.calls
        return self._chain_backward(stages, dz, input_gradient, "_backward_logits")

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return the mask of the output; this runs the network."""
        return self._run(self.prepare(x), False, mask)[1]

    # A chain ---------------------------------------------------------------------------------

    def _chain_backward(
        self, calls: Sequence[Callee], dy: Any, input_gradient: bool, method: str = "backward"
    ) -> Any:
        """Run a chain backward, down to the first call whose result is needed."""
        lowest = 0
        if not input_gradient:
            while lowest < len(calls) and not calls[lowest]._has_trainable_weights:
                lowest += 1
        ready = None if self._vector is None else self._vector.gradients_ready
        for i in range(len(calls) - 1, lowest - 1, -1):
            call = calls[i]
            if method == "backward" and (i > lowest or input_gradient):
                dy = call.backward(dy)
            else:
                dy = backward_of(call, dy, i > lowest or input_gradient, method)
                method = "backward"
            if ready is not None:
                _announce(call, ready)
            if dy is None and i > lowest:  # this call passes no gradient on
                pass_nothing(call, calls[lowest:i])
                return None
        return dy if input_gradient else None

    def _stages(self) -> list[Callee]:
        """Return the calls, with those that the kernels compute together as one."""
        known = vars(self.workspace).get("stages")
        if known is None or known[:2] != (kernels.name, self.calls):
            made = kernels.name, list(self.calls), stacked(self.calls)
            known = vars(self.workspace)["stages"] = made
        return known[2]

    # A graph ---------------------------------------------------------------------------------

    def _run(self, x: Any, training: bool, mask: Any, last: str = "forward") -> tuple[Any, Any]:
        """Return the output and its mask."""
        nodes, results, logits = self._wired(last, mask is not None)
        values, masks = [x], [mask]
        masked = mask is not None or self._starts_masks
        for number, (call, sources) in enumerate(nodes, 1):
            value, item = sources[0]  # the usual case, inlined: one whole value
            whole = item is None and len(sources) == 1
            given = values[value] if whole else select(values, sources)
            method = last if number in logits else "forward"
            if masked:
                y, its_mask = forward_of(call, given, training, select(masks, sources), method)
                masks.append(its_mask)
            else:
                y = getattr(call, method)(given, training)
            values.append(y)
        if training:
            self.cache.sizes = [len(v) if isinstance(v, tuple) else None for v in values]
        return select(values, results), select(masks, results) if masked else None

    def _run_backward(self, dy: Any, input_gradient: bool, last: str = "backward") -> Any:
        """Return dL/dx; the gradients of a value that several calls use are summed in order."""
        wires = self.calls if self._nodes is None else self._nodes
        nodes, results, logits = self._wired(last, len(self.cache.sizes) == len(wires) + 1)
        needed, below_needed = self._needed_for(nodes, input_gradient)
        parts: list[list[tuple[int | None, Any]]] = [[] for _ in needed]
        route_gradient(parts, results, dy)
        ready = None if self._vector is None else self._vector.gradients_ready
        for number in range(len(nodes), 0, -1):
            call, sources = nodes[number - 1]
            if not needed[number]:
                continue
            its, parts[number], below = parts[number], [], below_needed[number - 1]  # frees memory
            d = its[0][1] if len(its) == 1 and its[0][0] is None else self._total(number, its)
            if d is None or (type(d) is tuple and is_nothing(d)):
                if number - 1 not in self._repeated:
                    clear_gradients(call)
                continue
            method = last if number in logits else "backward"
            if number - 1 in self._repeated:
                dx = self._added_backward(number, call, d, below, method)
            else:
                dx = backward_of(call, d, below, method)
            if ready is not None:
                _announce(call, ready, self._to_come(number))
            if below:
                if len(sources) > 1 and not (isinstance(dx, tuple) and len(dx) == len(sources)):
                    dx = checked_parts(call, sources, dx)
                route_gradient(parts, sources, dx)
        return self._total(0, parts[0]) if input_gradient else None

    def _needed_for(self, nodes: list[Node], input_gradient: bool) -> tuple[list[bool], list[bool]]:
        """Return which values, and which calls' inputs, need a gradient.

        The result is cached until the trainable layers change.
        """
        key = None if self._vector is None else self._vector.version, input_gradient, len(nodes)
        known = vars(self.workspace).get("needed")
        if known is None or known[0] != key or key[0] is None:
            needed, below = [input_gradient], []
            for call, sources in nodes:
                below.append(any(needed[value] for value, _ in sources))
                needed.append(call._has_trainable_weights or below[-1])
            known = vars(self.workspace)["needed"] = key, (needed, below)
        return known[1]

    def _added_backward(self, number: int, call: Callee, d: Any, below: bool, method: str) -> Any:
        """Run a call backward and add the weight gradients of later calls of its layer."""
        again = [p for p in self._repeated[number - 1] if p.trainable]
        kept = [(p, self._kept(f"kept {number}/{i}", p)) for i, p in enumerate(again)]
        dx = backward_of(call, d, below, method)
        for p, before in kept:
            if p.row_gradient:
                p.gradient.add(*before)
            else:
                np.add(p.gradient, before, out=p.gradient)
        return dx

    def _to_come(self, number: int) -> set[int]:
        """Return the parameters to which earlier calls will still add gradients."""
        return {id(p) for n, its in self._repeated.items() if n < number - 1 for p in its}

    def _wired(
        self, last: str, alone: bool
    ) -> tuple[list[Node], tuple[Source, ...], tuple[int, ...]]:
        """Return the nodes, the sources of the output, and the nodes that compute logits.

        With ``alone``, each call is a node: a run of Dense layers passes no mask on.
        """
        if self._nodes is None:
            nodes, results = chain(self.calls)
            return nodes, results, () if last in ("forward", "backward") else (len(nodes),)
        nodes, results, numbers = self._nodes, self._results, None
        joins = self._in_threads or kernels.stack_forward
        if joins and not (alone or self.takes_mask or self._repeated):
            nodes, results, numbers = self._stacked_nodes()
        if last in ("forward", "backward"):
            return nodes, results, ()
        if self._logit_calls is None:
            return nodes, results, (len(nodes),)
        if numbers is None:
            return nodes, results, tuple(self._logit_calls)
        return nodes, results, tuple(numbers[number] for number in self._logit_calls)

    def _stacked_nodes(self) -> tuple[list[Node], tuple[Source, ...], list[int]]:
        """Return the nodes with those that the kernels compute together as one."""
        known = vars(self.workspace).get("stacked")
        if known is None or known[:2] != (kernels.name, self._nodes):
            found = stacked_nodes(self._nodes or [], self._results)
            known = vars(self.workspace)["stacked"] = kernels.name, self._nodes, found
        return known[2]

    def _total(self, number: int, parts: list[tuple[int | None, Any]]) -> Any:
        """Return the gradient of a value: the sum over the calls that use it, in their order."""
        size = self.cache.sizes[number]
        given = parts[::-1]
        if size is None:
            return self._sum(f"dx {number}", [d for _, d in given])
        found = []
        for i in range(size):
            its = [d if item == i else d[i] for item, d in given if item in (i, None)]
            found.append(self._sum(f"dx {number}/{i}", its))
        return tuple(found)

    def _sum(self, name: str, gradients: list[Any]) -> Any:
        there = [d for d in gradients if d is not None]
        if len(there) < 2:
            return there[0] if there else None
        total = self.workspace(name, there[0].shape, self._dtype)
        kernels.add(there[0], there[1], total)
        for d in there[2:]:
            kernels.add(total, d, total)
        return total

    def _kept(self, name: str, p: Parameter) -> Any:
        """Return a copy of a gradient, which the next call of the layer overwrites."""
        if p.row_gradient:
            return p.gradient.rows, p.gradient.values
        kept = self.workspace(name, p.shape, self._dtype)
        np.copyto(kept, p.gradient)
        return kept


def backward_of(layer: Callee, dy: Any, input_gradient: bool, method: str = "backward") -> Any:
    """Call a layer's ``backward``, without dL/dx if it is not needed."""
    backward = getattr(layer, method)
    if layer.can_skip_input_gradient:
        return backward(dy, input_gradient=input_gradient)
    return backward(dy)


def _repeated(calls: Sequence[Callee]) -> dict[int, list[Parameter]]:
    """Return for each call the parameters that a later call shares."""
    seen: set[int] = set()
    found = {}
    for number in range(len(calls) - 1, -1, -1):
        its = calls[number].declared_parameters
        again = [p for p in its if id(p) in seen]
        if again:
            found[number] = again
        seen |= {id(p) for p in its}
    return found


def _deals_with_masks(call: Callee) -> bool:
    layer = call if isinstance(call, Layer) else layer_of(call)
    if not isinstance(layer, Layer):
        return False
    if isinstance(layer, Network) or layer.takes_mask:
        return layer.takes_mask
    # A layer that only combines the masks of its inputs creates none.
    own = type(layer).compute_mask is not Layer.compute_mask and not layer._combines_masks
    return own and getattr(layer, "mask_zero", True)


def _can_start_masks(call: Callee) -> bool:
    layer = layer_of(call)
    return layer._starts_masks if isinstance(layer, Network) else _deals_with_masks(call)


def _announce(call: Callee, ready: Callable[[slice], None], but: set[int] | None = None) -> None:
    """Report that the gradients of a layer's weights are complete."""
    if isinstance(layer_of(call), Network):
        return  # its own calls have been announced
    for p in call.declared_parameters:
        if p.trainable and not (but and id(p) in but):
            ready(p.slice)
