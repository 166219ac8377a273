"""What a Graph and a network refuse, word by word, and the inputs that a Graph takes."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError
from netlayers.layers.graph import Graph
from tests.golden import check_text
from tests.snapshots import numbers, outcome
from tests.user_layers import Embed, Gate, Halves, Join

L = nl.layers


def graph(calls, layers=None, **options):
    return Graph(layers or [L.Dense(3, name="a"), L.Dense(3, name="b")], calls, name="g", **options)


ONE = [0, [[0, None]]]


def test_refusals():
    wrong_calls = {
        "no layer": [[2, [[0, None]]]], "negative": [[-1, [[0, None]]]],
        "text": [["a", [[0, None]]]],
        "no source": [[0, []]], "later": [[0, [[1, None]]]], "one number": [[0, [0]]],
        "negative value": [[0, [[-1, None]]]], "negative item": [[0, [[0, -1]]]],
        "word": [[0, "x"]], "second": [ONE, [1, [[2, None]]]],
    }  # fmt: skip
    lines = [f"{title}: {outcome(lambda c=c: graph(c))}" for title, c in wrong_calls.items()]
    for outputs in ([[2, None]], [3], [[1, -1]], []):
        found = outcome(lambda o=outputs: [graph([ONE], outputs=o)._outputs])
        lines.append(f"outputs {outputs}: {found}")

    def halves(item):
        layers = [Halves(name="h"), L.Dense(2, name="d")]
        return graph([ONE, [1, [[1, item]]]], layers)

    for item in (0, 1, 2):
        lines.append(f"item {item}: {outcome(lambda i=item: halves(i).build((None, 4)))}")
        lines.append(f"  {outcome(lambda i=item: halves(i).compute_output_shape((None, 4)))}")
    lines.append(outcome(lambda: graph([[0, [[0, 1]]]]).build((None, 4))))
    lines.append(outcome(lambda: graph([ONE, [0, [[1, None]]]]).build((None, 4))))

    class Wrong(Gate):
        returned = None

        def backward(self, dy):
            super().backward(dy)
            return self.returned

    for returned in (1.0, (1.0,), (None,) * 3, [numbers(4, 3)] * 2, None):
        layer = Wrong(name="w")
        layer.returned = returned
        net = graph([ONE, [1, [[0, None]]], [2, [[1, None], [2, None]]]],
                    [L.Dense(3, name="a"), L.Dense(3, name="b"), layer])  # fmt: skip
        net.forward(numbers(4, 3), training=True)
        text = outcome(lambda n=net: [np.shape(n.backward(np.ones((4, 3))))])
        lines.append(f"{type(returned).__name__} {np.size(returned)}: {text}")
    check_text(__file__, "graph-refused.txt", "\n".join(lines))


def test_input_specs():
    lines = []
    for layers, calls in (
        ([Embed(5, 2), L.Flatten(), L.Dense(1)], [ONE, [1, [[1, None]]], [2, [[2, None]]]]),
        ([Gate(), L.Dense(1)], [[0, [[0, 0], [0, 1]]], [1, [[1, None]]]]),
        ([Gate(), L.Dense(1)], [[0, [[0, None]]], [1, [[1, None]]]]),
        ([Join(), L.Dense(1)], [[0, [[0, 1], [0, 0]]], [1, [[1, None]]]]),
        ([L.Dense(2), Embed(5, 2)], [[0, [[0, 2]]], [1, [[0, 0]]]]),
        ([L.Dense(2)], [ONE]),
    ):  # fmt: skip
        made = graph(calls, layers)
        lines.append(f"{[type(x).__name__ for x in layers]} {calls}: {made.input_spec}")
        lines.append(f"  {type(made.activation).__name__} {made.takes_mask} {len(made.calls)}")
        lines.append(f"  {made.get_config()['calls']} {made.get_config()['outputs']}")
    check_text(__file__, "graph-inputs.txt", "\n".join(lines))


def test_gradients_that_several_calls_give_are_summed_in_their_order():
    shared = L.Dense(3, "tanh", name="s")
    calls = [ONE, [1, [[1, None]]], [1, [[2, None]]], [1, [[1, None]]], [2, [[3, None], [4, None]]]]
    net = graph(calls, [L.Dense(3, name="a"), shared, Gate(name="g")])
    report = nl.check_gradients(net, numbers(4, 3))
    assert report.passed, report
    only = graph(
        [*calls, [0, [[5, None]]]], [L.Dense(3), L.Dense(3, "tanh"), Gate()], outputs=[[6, None]]
    )
    assert nl.check_gradients(only, numbers(4, 3)).passed


def test_an_array_beyond_all():
    with pytest.raises(ConfigurationError, match="sources must be a list of pairs"):
        graph([[0, [[0, 2**64]]]])
