"""Parts of the prefetching of batches: its thread, its copies, and what it says of threads."""

import numpy as np
import pytest

from netlayers.data import prefetch
from netlayers.data.prefetch import ReadAhead


def test_the_thread():
    ended = []
    ahead = ReadAhead(iter(range(5)), 2, lambda: ended.append(1))
    assert ahead._thread.name == "netlayers-read-ahead"
    assert ahead._thread.daemon is True
    assert iter(ahead) is ahead
    assert next(ahead) == 0
    ahead.go()
    assert list(ahead) == [1, 2, 3, 4]
    assert ahead.alive is False
    with pytest.raises(StopIteration):
        next(ahead)
    assert ended == []
    ahead.close()
    ahead.close()
    assert ended == []
    endless = ReadAhead(iter(int, 1), 1, lambda: ended.append(2))
    endless.go()
    endless.close()
    assert (endless.alive, ended) == (False, [2])
    with pytest.raises(StopIteration):
        next(endless)


def test_errors_of_a_source():
    def source(error):
        yield 1
        raise error

    for error, notes in (
        (ValueError("SQLite objects created in a Thread"), [prefetch._ONE_THREAD]),
        (ValueError("mine"), []),
    ):
        ahead = ReadAhead(source(error), 2, lambda: None)
        ahead.go()
        assert next(ahead) == 1
        with pytest.raises(ValueError, match=str(error)) as raised:
            next(ahead)
        assert getattr(raised.value, "__notes__", []) == notes
        with pytest.raises(StopIteration):
            next(ahead)
    assert prefetch._ONE_THREAD == (
        "The data are read ahead by a thread of netlayers. A source that works only in the thread "
        "that made it, such as an sqlite connection, needs read_ahead=0."
    )


def test_an_error_of_the_cleanup():
    def abandon():
        raise KeyError("late")

    ahead = ReadAhead(iter(int, 1), 1, abandon)
    ahead.go()
    with pytest.raises(KeyError, match="late"):
        ahead.close()
    ahead.close()


def test_copies_of_batches():
    class Pair(tuple):
        pass

    class Tensor:
        def __init__(self, attached=True):
            self.attached = attached

        def detach(self):
            return Tensor(False)

    x = np.ones(2)
    copied = prefetch._copied((x, [x, {"a": x}], Tensor()))
    assert [type(part) for part in copied] == [np.ndarray, list, Tensor]
    assert copied[0] is not x
    assert copied[1][0] is not x
    assert copied[1][1]["a"] is not x
    assert copied[2].attached is False
    assert type(prefetch._copied(Pair((x,)))) is Pair
