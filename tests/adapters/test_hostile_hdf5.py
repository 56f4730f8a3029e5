"""HDF5 files that reach out of themselves, or claim more than they hold, are refused unread."""

import os

import numpy as np
import pytest

from causalplug.adapters.keras_weights import read_keras_layers
from causalplug.errors import RepositoryError

h5py = pytest.importorskip("h5py")
NAME = "dense/kernel:0"


def written(path, fill):
    """A weights file of one layer, whose kernel is put there by a function."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        layer = file.create_group("dense")
        layer.attrs["weight_names"] = [NAME.encode()]
        fill(layer.create_group("dense"))
    return path


def plain(group):
    group["kernel:0"] = np.ones((3, 2), np.float32)


def compressed(group):
    group.create_dataset("kernel:0", data=np.ones((300, 20), np.float32), compression="gzip")


def external_link(group):
    group["kernel:0"] = h5py.ExternalLink("other.h5", "/x")


def circle(group):
    group["kernel:0"] = h5py.SoftLink("/dense/dense/kernel:0")


def soft(group):
    group["other"] = np.ones(2)
    group["kernel:0"] = h5py.SoftLink("/dense/dense/other")


def external_storage(group):
    group.create_dataset("kernel:0", (4,), np.float32, external=[("/etc/hostname", 0, 16)])


def virtual(group):
    layout = h5py.VirtualLayout((4,), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    group.create_virtual_dataset("kernel:0", layout)


def swollen(group):
    group.create_dataset("kernel:0", (10**7, 10**5), np.float32, chunks=(1000, 1000))


def swollen_and_compressed(group):
    group.create_dataset(
        "kernel:0", (10**7, 10**5), np.float32, chunks=(1000, 1000), compression="gzip"
    )


def texts(group):
    group["kernel:0"] = [b"a", b"b"]


HOSTILE = {
    external_link: "is a link",
    circle: "is a link",
    soft: "is a link",
    external_storage: "other files",
    virtual: "other files",
    swollen: "of which the file holds",
    swollen_and_compressed: "of which the file holds",
    texts: "not numbers",
}


@pytest.mark.parametrize("fill", [plain, compressed])
def test_weights_that_lie_in_the_file_are_read(fill, tmp_path):
    (layer,) = read_keras_layers(written(tmp_path / "w.h5", fill))
    assert layer.names == ("kernel",)
    assert float(layer.weights[0].min()) == 1


@pytest.mark.parametrize(
    ("fill", "message"), HOSTILE.items(), ids=[fill.__name__ for fill in HOSTILE]
)
def test_what_reaches_out_of_the_file_is_refused(fill, message, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.ones(4, np.float32)
    with pytest.raises(RepositoryError, match=message):
        read_keras_layers(written(tmp_path / "w.h5", fill))


def test_damaged_files_and_pipes_are_refused(tmp_path):
    data = bytearray(written(tmp_path / "w.h5", plain).read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(200):
        broken = bytearray(data)
        for place in rng.integers(len(data), size=4):
            broken[place] = rng.integers(256)
        (tmp_path / "b.h5").write_bytes(broken[: rng.integers(1, len(data))])
        with pytest.raises(RepositoryError):
            read_keras_layers(tmp_path / "b.h5")
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(RepositoryError, match="no such file"):
        read_keras_layers(tmp_path / "pipe.h5")
