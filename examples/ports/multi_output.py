"""A network with three inputs and two outputs, as in Keras's guides: tickets of a help desk.

Title and body of a ticket are words, tags are switches. One output says how urgent it is, the other
which department takes it. Keras's guide reads the words with LSTM layers; here a dense layer reads
the vectors of all words.

    python examples/ports/multi_output.py

Output:

    lists: ['department_loss', 'loss', 'priority_loss']
    dicts: trained 15 epochs
    department_accuracy        1.000
    department_loss            0.153
    loss                       0.328
    priority_binary_accuracy   0.842
    priority_loss              0.297
    predictions: (1000, 1) (1000, 4)
"""

import numpy as np

import netlayers as nl
from netlayers import layers

WORDS, TAGS, DEPARTMENTS = 100, 12, 4
TITLE, BODY = 6, 20  # words


def make():
    """Return the model, not compiled."""
    title = nl.Input(shape=(TITLE,), name="title", dtype="int32")
    body = nl.Input(shape=(BODY,), name="body", dtype="int32")
    tags = nl.Input(shape=(TAGS,), name="tags")
    words = [layers.Flatten()(layers.Embedding(WORDS, 8)(text)) for text in (title, body)]
    vectors = [layers.Dense(32, activation="relu")(its) for its in words]
    h = layers.concatenate([*vectors, tags])
    priority = layers.Dense(1, name="priority")(h)
    department = layers.Dense(DEPARTMENTS, name="department")(h)
    return nl.Model(inputs=[title, body, tags], outputs=[priority, department])


def tickets(rows, rng):
    """Return tickets and what is right, by the names of inputs and outputs."""
    x = {
        "title": rng.integers(0, WORDS, (rows, TITLE)),
        "body": rng.integers(0, WORDS, (rows, BODY)),
        "tags": rng.integers(0, 2, (rows, TAGS)).astype("float32"),
    }
    urgent = (x["title"][:, 0] < WORDS // 2) & (x["tags"][:, 0] == 1)
    kind = 2 * (x["tags"][:, 1] == 1) + (x["body"][:, 0] < WORDS // 2)
    department = nl.utils.to_categorical(kind, DEPARTMENTS)
    return x, {"priority": urgent[:, None].astype("float32"), "department": department}


def main(epochs=15, rows=4000):
    """Train with lists, with dicts and with a sequence of dicts; return the last results."""
    nl.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y = tickets(rows, rng)
    x_test, y_test = tickets(1000, rng)

    model = make()
    model.compile(
        optimizer=nl.optimizers.RMSprop(1e-3),
        loss=[
            nl.losses.BinaryCrossentropy(from_logits=True),
            nl.losses.CategoricalCrossentropy(from_logits=True),
        ],
        loss_weights=[1.0, 0.2],
    )
    lists = [x["title"], x["body"], x["tags"]], [y["priority"], y["department"]]
    history = model.fit(*lists, epochs=1, batch_size=32, verbose=0).history
    print("lists:", sorted(history))

    model = make()
    model.compile(
        optimizer=nl.optimizers.RMSprop(1e-3),
        loss={
            "priority": nl.losses.BinaryCrossentropy(from_logits=True),
            "department": nl.losses.CategoricalCrossentropy(from_logits=True),
        },
        loss_weights={"priority": 1.0, "department": 0.2},
        metrics={
            "priority": [nl.metrics.BinaryAccuracy(threshold=0.0)],
            "department": ["accuracy"],
        },
    )
    model.fit(x, y, epochs=epochs, batch_size=32, verbose=0)
    print("dicts: trained", epochs, "epochs")

    class Batches(nl.utils.PyDataset):
        def __len__(self):
            return rows // 32

        def __getitem__(self, i):
            part = slice(32 * i, 32 * (i + 1))
            return {n: v[part] for n, v in x.items()}, {n: v[part] for n, v in y.items()}

    model.fit(Batches(), epochs=1, verbose=0)
    results = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    for name in sorted(results):
        print(f"{name:26} {results[name]:.3f}")
    priority, department = model.predict(x_test, verbose=0)
    print("predictions:", priority.shape, department.shape)
    return results


if __name__ == "__main__":
    main()
