"""Small files that describe large things: checkpoints and pickles that would fill the memory are refused at once."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import struct

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from d2c.checkpoints import native  # noqa: E402
from d2c.checkpoints.convert import convert  # noqa: E402
from d2c.checkpoints.unpickle import read_arrays  # noqa: E402
from d2c.d2csr.config import D2CConfig  # noqa: E402
from d2c.d2csr.entry import NETWORK  # noqa: E402
from d2c.errors import CheckpointError  # noqa: E402
from d2c.networks.base.plausible import check_plausible  # noqa: E402

TINY = D2CConfig(scale=2, depth=1, width=1, groups=1, blocks=1, features=4, reduction=1, convergence_features=4)
DTYPE = b"cnumpy\ndtype\n\x8c\x02f4\x85R"


def tuples(levels: int) -> bytes:
    """Instructions that leave a tuple of two tuples of two tuples … on the stack, all but the first by reference."""
    return b"\x8c\x01x\x85\x94" + b"".join(b"h%ch%c\x86\x94" % (k, k) for k in range(levels))


def refused(program: bytes, match: str) -> None:
    with pytest.raises(CheckpointError, match=f"^a.pkl: {match}") as caught:
        read_arrays(io.BytesIO(b"\x80\x04" + program + b"."), "a.pkl")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("changes", [{"features": 2000}, {"convergence_features": 10**6}, {"groups": 2}, {"scale": 64}])
def test_tensors_without_numbers_count_for_nothing(tmp_path, changes):
    config = dataclasses.asdict(TINY) | changes
    described = {"format": native.FORMAT, "config": config, "notes": {}}
    tensors = {f"t{k}": {"dtype": "F32", "shape": [10**6, 0], "data_offsets": [0, 0]} for k in range(9)}
    header = json.dumps({"__metadata__": {"d2c": json.dumps(described)}, **tensors}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(CheckpointError, match=r"a\.safetensors: its weights do not fit its configuration"):
        native.load(path)


def test_a_model_larger_than_its_file_is_not_built():
    with pytest.raises(CheckpointError, match=r"that needs \d+ numbers or more, the file has 3000$"):
        check_plausible(NETWORK, dataclasses.replace(TINY, features=32), [100] * 30, "a")


def test_tuples_of_tuples_are_neither_hashed_nor_shown():
    refused(tuples(40), "holds tuples of more parts")
    refused(b"}" + tuples(40) + b"K\x01s", "holds tuples of more parts")
    wide = b"(" + b"K\x01" * 60 + b"t\x94"
    refused(wide + b"(" + b"h\x00" * 60 + b"t", "holds tuples of more parts")
    array = b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01h\x03" + DTYPE + b"\x89C\x00tb"
    refused(tuples(3) + b"0" * 4 + b"}\x8c\x01a}\x8c\x01w" + array + b"ss", "holds an array whose shape does not fit")


def test_an_array_under_many_names_is_copied_once():
    array = np.ones(1000, np.float32)
    found = read_arrays(io.BytesIO(pickle.dumps({"D": {f"k{i}": array for i in range(400)}})), "a.pkl")["D"]
    assert len(found) == 400
    assert len({id(values) for values in found.values()}) == 1


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_bytes_that_many_arrays_share_are_refused(protocol):
    class Shared:
        def __init__(self, data):
            self.data = data

        def __reduce__(self):
            return (
                np._core.multiarray._reconstruct,
                (np.ndarray, (0,), b"b"),
                (1, (1000,), np.dtype("f4"), False, self.data),
            )

    data = bytes(4000)
    text = pickle.dumps({"D": {f"k{i}": Shared(data) for i in range(40)}}, protocol)
    with pytest.raises(CheckpointError, match=r"a\.pkl: holds arrays that share their bytes"):
        read_arrays(io.BytesIO(text), "a.pkl")


def test_names_that_are_no_text_and_copied_dictionaries():
    refused(b"}K\x01}s", "holds a int where a name was expected")
    refused(b"ccollections\nOrderedDict\n]\x85R", "copies a dictionary")


def test_a_released_checkpoint_of_an_empty_shape_builds_nothing(tmp_path):
    wide = {"head.0.weight": np.zeros((3000, 1), np.float32), "tail11.0.0.weight": np.zeros(1, np.float32)}
    wide["body1.0.body.0.body.3.conv_du.0.weight"] = wide["body1.0.body.0.body.0.weight"] = np.zeros(1, np.float32)
    parts = {"state_dict_D": wide, "state_dict_C": {"fusion_final.0.conv.weight": np.zeros(1, np.float32)}}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(parts))
    with pytest.raises(CheckpointError, match=r"a\.pkl: its weights do not fit its configuration"):
        convert(NETWORK, tmp_path / "a.pkl", tmp_path / "o.safetensors")
