"""Ways to change the bytes, the header, the description and the arrays of a model file."""

import copy
import hashlib
import json

START = b'{"__metadata__":{"checksum":"'


def opened(data):
    """Return the entries, the description and the arrays' bytes of a file."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header.pop("__metadata__")["description"]), data[8 + length :]


def sealed(entries, description, body, edit=lambda text: text):
    """Return the bytes of a file whose checksum of the header is right, whatever it says.

    ``entries`` and ``description`` are dicts, or texts that need not be JSON; ``edit`` changes the
    text of the header.
    """
    if not isinstance(description, str):
        description = json.dumps(description)
    if not isinstance(entries, str):
        entries = json.dumps(entries)
    metadata = json.dumps({"format": "netlayers", "description": description})
    text = edit('",' + metadata[1:] + ("," if len(entries) > 2 else "") + entries[1:])
    tail = text.encode("utf-8", "surrogatepass")
    tail += b" " * (-(8 + len(START) + 64 + len(tail)) % 64)
    length = (len(START) + 64 + len(tail)).to_bytes(8, "little")
    return length + START + hashlib.sha256(length + tail).hexdigest().encode() + tail + body


def with_checksums(entries, description, body):
    """Return a description with the right checksums of whatever the arrays are."""
    found = {}
    for name, entry in entries.items():
        try:
            start, stop = entry["data_offsets"]
            found[name] = hashlib.sha256(body[start:stop]).hexdigest()
        except (KeyError, TypeError, ValueError):
            found[name] = "0" * 64
    return {**description, "checksums": found}


NAMES = ["Dense", "Sequential", "Residual", "Adam", "os.system", "builtins.eval", "Lambda", "relu"]
VALUES = [0, 1, -1, 2, 3, 10**6, 10**12, 2**47, 2**63, 2**64, 10**400, -(10**12), 0.5, 1e300, -0.0]
VALUES += [None, True, False, "", "a", "float64", "\ud800", "x" * 5000, [], {}, [[]], [None], [-1]]
VALUES += [{"$float": "nan"}, {"$float": "inf"}, {"$float": 3}, [10**12] * 3, list(range(200))]
VALUES += [{"class_name": name, "config": {}} for name in NAMES]
VALUES += [{"class_name": "Dense", "config": {"units": 10**12}}, {"custom": "open"}, *NAMES]
TEXTS = ["NaN", "Infinity", "1e999", "[" * 5000, '{"a":' * 5000, "[" * 100_000, "\x00", "é", "{}"]
TEXTS += ['"format":"netlayers",', "9" * 5000, "," * 10_000, "//", "'", "\\ud800", "[]" * 10, '"']


def places_in(value, found=None):
    """Return every (container, key) in nested dicts and lists."""
    found = [] if found is None else found
    for key in value if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            places_in(value[key], found)
    return found


def edited(value, rng, times):
    """Return a copy of nested data with some places replaced, deleted, renamed or swapped."""
    value = copy.deepcopy(value)
    for _ in range(times):
        places = places_in(value)
        if not places:
            break
        container, key = rng.choice(places)
        how = rng.randrange(6)
        if how <= 2:
            container[key] = copy.deepcopy(rng.choice(VALUES))
        elif how == 3:
            del container[key]
        elif how == 4:
            other, place = rng.choice(places)
            container[key] = copy.deepcopy(other[place])
        elif isinstance(container, list):
            container.extend(copy.deepcopy(container[key]) for _ in range(rng.choice([1, 3, 50])))
        else:
            container[str(rng.choice(["x", "dense/kernel", "name", *NAMES]))] = container.pop(key)
    return value


def flip(data, rng, _):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        place = rng.randrange(min(len(data), rng.choice([8, 100, 10**9])))
        data[place] ^= 1 << rng.randrange(8)
    return bytes(data)


def cut(data, rng, _):
    place = rng.randrange(len(data))
    return rng.choice([data[:place], data[place:], data + data[:place], data + b"\0" * 64])


def splice(data, rng, other):
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    c = rng.randrange(len(other))
    return rng.choice(
        [
            data[:a] + other[c : c + b - a] + data[b:],
            data[:a] + other[c:],
            data[:a] + data[b:],
            data[:a] + rng.randbytes(b - a) + data[b:],
        ]
    )


def length(data, rng, _):
    new = rng.choice(
        [0, 1, 8, 100, len(data), 2**31, 2**63, 2**64 - 1, rng.randrange(2 * len(data))]
    )
    return new.to_bytes(8, "little") + data[8:]


def entries_edited(data, rng, _):
    entries, description, body = opened(data)
    entries = edited(entries, rng, rng.choice([1, 1, 2, 5]))
    if rng.random() < 0.5:
        description = with_checksums(entries, description, body)
    if rng.random() < 0.2:
        body += b"\0" * rng.choice([1, 8, 64])
    return sealed(entries, description, body)


def description_edited(data, rng, _):
    entries, description, body = opened(data)
    return sealed(entries, edited(description, rng, rng.choice([1, 1, 1, 2, 5])), body)


def model_edited(data, rng, _):
    """Edit the architecture, the settings of compile, the counters or the random streams."""
    entries, description, body = opened(data)
    keys = ["model", "compile", "optimizer", "random", "built", "weights", "extra"]
    keys = [key for key in [*keys, "states", "assets", "model"] if description.get(key)]
    key = rng.choice(keys)
    description[key] = edited(description[key], rng, rng.choice([1, 1, 2]))
    return sealed(entries, description, body)


def state_edited(data, rng, _):
    """Edit what a run stored beside the model, often by values like the ones that are there."""
    entries, description, body = opened(data)
    extra = description.get("extra")
    if not isinstance(extra, dict) or not extra:
        return data
    description["extra"] = extra = copy.deepcopy(extra)
    if rng.random() < 0.3:
        key = rng.choice([key for key in extra if isinstance(extra[key], dict)] or [None])
        if key is not None:
            extra[key] = edited(extra[key], rng, rng.choice([1, 1, 2]))
        return sealed(entries, description, body)
    places = places_in(extra)
    if rng.random() < 0.7:  # the script is compared as a whole
        places = places_in({k: v for k, v in extra.items() if k != "script"})
    for container, key in rng.sample(places, min(len(places), rng.choice([1, 1, 1, 3]))):
        value = container[key]
        if type(value) in (int, float):
            near = [value + 1, value - 1, -value, value * 2, float(value), str(value), [value]]
            container[key] = rng.choice([*near, value > 0, 10**15, 2**40, None])
        elif isinstance(value, str):
            container[key] = rng.choice([value + "x", value[:-1], "", 1, None, rng.choice(NAMES)])
        elif isinstance(value, list):
            container[key] = rng.choice([value[:-1], value + value[:1], value * 3, [], {}, None])
        elif isinstance(value, dict) and value:
            first, last = min(value), max(value)
            value[first], value[last] = value[last], value[first]
        else:
            container[key] = rng.choice([0, 1, True, "a", [], {}, 0.5])
    return sealed(entries, description, body)


def array_edited(data, rng, _):
    """Other numbers, under the right checksums: such a file is a model."""
    entries, description, body = opened(data)
    body = bytearray(body)
    for _ in range(4 if body else 0):
        body[rng.randrange(len(body))] = rng.randrange(256)
    return sealed(entries, with_checksums(entries, description, bytes(body)), bytes(body))


def renamed(data, rng, _):
    """Arrays added, dropped, renamed or of another shape, under the right checksums."""
    entries, description, body = opened(data)
    names = list(entries)
    for _ in range(rng.choice([1, 2])):
        name = rng.choice(names)
        if name not in entries:
            continue
        how = rng.randrange(4)
        if how == 0:
            new = rng.choice(["x", "extra.x", "optimizer.x", "memory/state.x"])
            entries[new] = entries.pop(name)
        elif how == 1:
            shape = entries[name]["shape"]
            entries[name]["shape"] = rng.choice([shape[::-1], [1, *shape], [*shape, 1], shape[:1]])
        elif how == 2:
            entries[f"extra.{rng.random()}"] = {
                "dtype": "F32",
                "shape": [0],
                "data_offsets": [0, 0],
            }
        else:
            entries[name]["dtype"] = rng.choice(["F16", "I32", "F64", "U8", "BF16", "BOOL"])
    return sealed(entries, with_checksums(entries, description, body), body)


def text_edited(data, rng, _):
    """Edit the text of the header, or that of the description, as text."""
    entries, description, body = opened(data)
    piece = rng.choice(TEXTS)

    def edit(text):
        a = rng.randrange(len(text))
        return text[:a] + piece + text[a + rng.choice([0, 0, 1, len(piece)]) :]

    if rng.random() < 0.5:
        return sealed(entries, edit(json.dumps(description)), body)
    return sealed(entries, description, body, edit)


def grown(data, rng, _):
    """Architectures, or metrics, that are large in one way or another."""
    entries, description, body = opened(data)
    if rng.random() < 0.2 and "compile" in description:
        count = rng.choice([10**3, 10**6, 10**12])
        metric = {"class_name": "AUC", "config": {"num_thresholds": count, "name": None}}
        key = rng.choice(["metrics", "weighted_metrics"])
        description["compile"][key] = [metric] * rng.choice([2, 200, 5000])
        return sealed(entries, description, body)
    layer = rng.choice(
        [
            {"class_name": "ReLU", "config": {}},
            {"class_name": "Dense", "config": {"units": rng.choice([1, 10**12])}},
            {"class_name": "Sequential", "config": {"layers": []}},
        ]
    )
    if rng.random() < 0.5:
        for _ in range(rng.choice([5, 50, 60, 150, 250])):
            name = rng.choice(["Sequential", "Residual"])
            layer = {"class_name": name, "config": {"layers": [layer]}}
        layers = [layer]
    else:
        layers = [layer] * rng.choice([100, 1000, 4000, 5000, 30_000])
    description["model"] = {"class_name": "Sequential", "config": {"layers": layers}}
    description["built"] = rng.choice([{}, {"": [None, 4]}, {"": [None, 10**12]}])
    return sealed(entries, description, body)


MUTATIONS = {
    f.__name__: f
    for f in (
        flip,
        cut,
        splice,
        length,
        entries_edited,
        description_edited,
        model_edited,
        state_edited,
        array_edited,
        renamed,
        text_edited,
    )
}
SLOW = {"grown": grown}  # one in a hundred: each is as large as a header may be
