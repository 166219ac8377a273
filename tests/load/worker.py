"""What the processes of test_processes.py do; a module of its own, which spawn can import."""

import sys

import numpy as np

import netlayers as nl

X = np.random.default_rng(0).normal(size=(256, 200)).astype(np.float32)
Y = X[:, :3].argmax(axis=1)


def trained(epochs=1):
    """A model that is large enough for the matrix products to take several threads."""
    layers = [nl.layers.Dense(400, "relu"), nl.layers.BatchNormalization(), nl.layers.Dropout(0.1)]
    model = nl.Sequential([*layers, nl.layers.Dense(3, "softmax")], seed=0)
    model.compile("adam", "crossentropy", metrics=["accuracy"])
    model.fit(batches, epochs=epochs, verbose=0)
    return model


def batches():
    for start in range(0, len(X), 64):
        yield X[start : start + 64], Y[start : start + 64]


def use(model, results):
    """Predict and train in a new process; send back what came of it."""
    first = model.predict(X)
    model.fit(batches, epochs=1, verbose=0)
    history = model.fit(X, Y, batch_size=64, epochs=1, verbose=0, shuffle=False).history
    results.put((first, history, model.evaluate(X, Y, verbose=0), model.get_weights()))


def use_inherited(results):
    """The same with the model that the parent process had when it forked."""
    use(MODEL, results)


MODEL = None


def run(method, timeout=60):
    """Train, start two processes at once, use the model in the parent, and compare."""
    import multiprocessing

    global MODEL
    MODEL = trained()
    context = multiprocessing.get_context(method)
    results = context.Queue()
    inherited = method == "fork"
    target, args = (use_inherited, (results,)) if inherited else (use, (MODEL, results))
    processes = [context.Process(target=target, args=args, daemon=True) for _ in range(2)]
    for process in processes:
        process.start()
    answers = [results.get(timeout=timeout) for _ in processes]
    for process in processes:
        process.join(timeout)
        assert process.exitcode == 0, process.exitcode
    local = context.Queue()
    use(MODEL, local)
    expected = local.get(timeout=timeout)
    for first, history, result, weights in answers:
        np.testing.assert_array_equal(first, expected[0])
        np.testing.assert_allclose(result, expected[2], rtol=1e-4)
        assert set(history) == {"loss", "accuracy"}
        for ours, theirs in zip(weights, expected[3], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    print("same", flush=True)


def run_in_fit():
    """Fork from a callback, within ``fit``: the new process may train, though the old one is."""
    import os

    model = trained()

    class Fork(nl.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            child = os.fork()
            if child == 0:
                try:
                    model.fit(X, Y, epochs=1, verbose=0)
                    model.predict(X)
                    os._exit(0)
                finally:
                    os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    model.fit(X, Y, epochs=2, callbacks=[Fork()], verbose=0)
    print("same", flush=True)


if __name__ == "__main__":
    run_in_fit() if sys.argv[1] == "within fit" else run(sys.argv[1])
