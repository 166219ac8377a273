"""Images in files: load_img, save_img, arrays, and batches from a folder."""

import io

import numpy as np
import pytest

import netlayers as nl
from netlayers import utils
from netlayers.errors import ConfigurationError, DataError, ShapeError

pytest.importorskip("PIL")


def picture(height=6, width=8, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels))


@pytest.fixture
def folder(tmp_path):
    """Three classes with two, three and five images; the images of a class have its number."""
    for number, (name, count) in enumerate((("ant", 2), ("bee", 3), ("cat", 5))):
        (tmp_path / name / "deeper").mkdir(parents=True)
        for i in range(count):
            place = tmp_path / name / ("deeper" if i == 1 else "") / f"{i}.png"
            utils.save_img(place, np.full((4, 6, 3), 10 * number + i), scale=False)
    (tmp_path / "ant" / "readme.txt").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    return tmp_path


def quiet(folder, **arguments):
    return utils.image_dataset_from_directory(
        folder, **{"image_size": (4, 6), "verbose": False, **arguments}
    )


@pytest.mark.parametrize("mode", ["rgb", "rgba", "grayscale"])
def test_what_was_saved_is_loaded(tmp_path, mode):
    x = picture(channels={"rgb": 3, "rgba": 4, "grayscale": 1}[mode])
    for name in ("a.png", "a.bmp"):
        if mode != "rgba" or name == "a.png":
            utils.save_img(tmp_path / name, x, scale=False)
            found = utils.img_to_array(utils.load_img(str(tmp_path / name), mode))
            np.testing.assert_array_equal(found, x)
            assert found.dtype == np.float32
    first = np.moveaxis(x, -1, 0)
    utils.save_img(tmp_path / "b", first, "channels_first", "png", scale=False)
    image = utils.load_img(tmp_path / "b", mode)
    np.testing.assert_array_equal(utils.img_to_array(image, "channels_first", "uint8"), first)


def test_images_of_16_bits_keep_them():
    file = io.BytesIO()
    x = np.array([[0, 300], [70, 2000]])[:, :, None]
    utils.save_img(file, x, file_format="png", scale=False)
    np.testing.assert_array_equal(utils.img_to_array(utils.load_img(file, "grayscale")), x)


def test_values_are_scaled_to_255():
    image = utils.array_to_img(np.array([[[-1.0], [0.0], [1.0]]]))
    assert np.array(image).tolist() == [[0, 127, 255]]
    cut = utils.array_to_img(np.array([[[-3.0, 7.9, 300.0]]]), scale=False)
    assert np.array(cut).tolist() == [[[0, 7, 255]]]
    assert not np.array(utils.array_to_img(np.full((2, 2, 3), 7.0), dtype="float64")).any()


def test_images_are_resized(tmp_path):
    utils.save_img(tmp_path / "a.png", picture(6, 12), scale=False)
    assert utils.load_img(tmp_path / "a.png", target_size=(3, 4)).size == (4, 3)
    x = utils.img_to_array(utils.load_img(tmp_path / "a.png"))
    kept = utils.load_img(tmp_path / "a.png", target_size=(2, 2), keep_aspect_ratio=True)
    middle = utils.array_to_img(x[:, 3:9], scale=False)
    utils.save_img(tmp_path / "b.png", x[:, 3:9], scale=False)
    same = utils.load_img(tmp_path / "b.png", target_size=(2, 2))
    np.testing.assert_array_equal(np.array(kept), np.array(same))
    smooth = utils.load_img(tmp_path / "b.png", target_size=(2, 2), interpolation="bilinear")
    assert not np.array_equal(np.array(smooth), np.array(same))
    assert middle.size == (6, 6)


def test_jpeg_files_lose_transparency_with_a_warning(tmp_path):
    with pytest.warns(UserWarning, match="no transparency"):
        utils.save_img(tmp_path / "a.jpg", picture(channels=4), quality=95)
    assert utils.load_img(tmp_path / "a.jpg").mode == "RGB"


def test_a_folder_gives_images_and_classes(folder, capsys):
    data = utils.image_dataset_from_directory(folder, image_size=(4, 6), shuffle=False)
    assert capsys.readouterr().out == "Found 10 files belonging to 3 classes.\n"
    assert data.class_names == ["ant", "bee", "cat"]
    assert len(data) == 1
    x, y = data[0]
    assert x.dtype == np.float32
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, [0, 0, 1, 1, 1, 2, 2, 2, 2, 2])
    np.testing.assert_array_equal(x[:, 0, 0, 0] // 10, y)
    assert [path[len(str(folder)) + 1 :].replace("\\", "/") for path in data.file_paths[:2]] == [
        "ant/0.png",
        "ant/deeper/1.png",
    ]


def test_labels_in_other_forms(folder):
    _, one_hot = quiet(folder, label_mode="categorical", shuffle=False)[0]
    np.testing.assert_array_equal(one_hot, np.repeat(np.eye(3), [2, 3, 5], axis=0))
    _, binary = quiet(folder, label_mode="binary", class_names=["cat", "ant"], shuffle=False)[0]
    np.testing.assert_array_equal(binary, np.repeat([[0.0], [1.0]], [5, 2], axis=0))
    assert quiet(folder, labels=None)[0].shape == (10, 4, 6, 3)
    assert quiet(folder, label_mode=None)[0].shape == (10, 4, 6, 3)
    data = quiet(folder, labels=list(range(10)), shuffle=False)
    np.testing.assert_array_equal(data[0][1], range(10))


def test_batches_are_shuffled_by_the_seed(folder):
    order = np.random.RandomState(7).permutation(10)
    data = quiet(folder, seed=7, batch_size=4)
    whole = quiet(folder, shuffle=False)
    assert data.file_paths == [whole.file_paths[i] for i in order]
    assert [len(x) for x, _ in data] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([y for _, y in data]), whole[0][1][order])
    with pytest.raises(IndexError):
        data[3]


def test_parts_for_training_and_validation(folder, capsys):
    both = quiet(folder, validation_split=0.3, subset="both", seed=1)
    parts = [
        quiet(folder, validation_split=0.3, subset=s, seed=1) for s in ("training", "validation")
    ]
    for one, other in zip(both, parts, strict=True):
        assert one.file_paths == other.file_paths
    assert [len(one.file_paths) for one in both] == [7, 3]
    assert not set(both[0].file_paths) & set(both[1].file_paths)
    capsys.readouterr()
    quiet(folder, validation_split=0.3, subset="both", verbose=True)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "Using 7 files for training.",
        "Using 3 files for validation.",
    ]


def test_sizes_channels_and_single_images(folder):
    x, y = quiet(folder, batch_size=None, image_size=3, color_mode="grayscale", shuffle=False)[9]
    assert x.shape == (3, 3, 1)
    assert y == 2
    data = quiet(folder, data_format="channels_first", image_size=(2, 4), color_mode="rgba")
    assert data[0][0].shape == (10, 4, 2, 4)
    crops = [
        quiet(folder, shuffle=False, image_size=(6, 6), **{name: True})[0][0]
        for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio")
    ]
    assert crops[0][1].min() == 1
    assert crops[1][1].min() < 1


def test_a_model_is_trained_on_a_folder(folder):
    layers = [nl.layers.Rescaling(1 / 30), nl.layers.Flatten(), nl.layers.Dense(3)]
    model = nl.Sequential([nl.layers.Input((4, 6, 3)), *layers], seed=0)
    loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(nl.optimizers.Adam(0.02), loss, metrics=["accuracy"])
    train, test = quiet(folder, validation_split=0.2, subset="both", seed=3, batch_size=4)
    history = model.fit(train, epochs=30, validation_data=test, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert "val_accuracy" in history


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": [1, 2]}, "one for each of the 10 files"),
        ({"labels": [0.5] * 10}, "integers from 0 on"),
        ({"labels": None, "class_names": ["ant"]}, "class_names are names of subfolders"),
        ({"class_names": ["dog"]}, "names of subfolders"),
        ({"label_mode": "binary"}, "needs two classes"),
        ({"label_mode": "one"}, "label_mode must be"),
        ({"color_mode": "hsv"}, "color_mode must be"),
        ({"image_size": (4,)}, "image_size must be"),
        ({"interpolation": "area"}, "interpolation must be"),
        ({"validation_split": 0.2}, "belong together"),
        ({"validation_split": 0.2, "subset": "training"}, "give a seed"),
        ({"validation_split": 1, "subset": "both"}, "validation_split must be"),
        ({"validation_split": 0, "subset": "both"}, "validation_split must be"),
        ({"validation_split": 0.2, "subset": "test"}, "subset must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"format": "torch"}, "format must be"),
    ],
)
def test_a_wrong_argument_of_a_folder_is_named(folder, arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        quiet(folder, **arguments)


def test_wrong_files_and_images_are_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        quiet(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images"):
        quiet(tmp_path / "empty", labels=None)
    (tmp_path / "ant" / "5.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"5\.png.*no image that Pillow reads"):
        quiet(folder)[0]
    with pytest.raises(FileNotFoundError):
        utils.load_img(tmp_path / "nothing.png")
    with pytest.raises(ConfigurationError, match="path must be"):
        utils.load_img(3)
    with pytest.raises(ConfigurationError, match="target_size must be"):
        utils.load_img(tmp_path / "ant" / "0.png", target_size=(0, 3))
    with pytest.raises(ConfigurationError, match="interpolation must be"):
        utils.load_img(tmp_path / "ant" / "0.png", interpolation="area")
    with pytest.raises(ShapeError, match=r"\(height, width, channels\)"):
        utils.array_to_img(np.zeros((2, 2)))
    with pytest.raises(ShapeError, match="1, 3 or 4 channels"):
        utils.array_to_img(np.zeros((2, 2, 2)))
    with pytest.raises(ShapeError, match="two or three axes"):
        utils.img_to_array(np.zeros(3))
    with pytest.raises(ConfigurationError, match="file_format='strange'"):
        utils.save_img(tmp_path / "a.strange", picture())


def test_without_pillow_an_error_says_what_to_install(monkeypatch, folder):
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    for call in (
        lambda: utils.load_img(folder / "ant" / "0.png"),
        lambda: utils.array_to_img(np.zeros((2, 2, 1))),
        lambda: quiet(folder)[0],
    ):
        with pytest.raises(ConfigurationError, match="pip install pillow"):
            call()
