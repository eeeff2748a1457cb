"""Bundles are saved whole or not at all, and what is damaged is refused in words."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tca_model import bundle as module
from tca_model.bundle import MANIFEST, WEIGHTS, find_bundle, load_bundle, save_bundle
from tca_model.errors import BundleError
from tests.tca_model.bundles import small_bundle, with_tensor

REPOSITORY = Path(__file__).parents[2]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_bundle_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    bundle = small_bundle()
    save_bundle(bundle, tmp_path / "deeper" / "small")
    again = load_bundle(str(tmp_path / "deeper" / "small"))
    assert again.manifest == bundle.manifest
    assert again.model_version == bundle.model_version
    assert again.tensors.keys() == bundle.tensors.keys()
    for name, tensor in bundle.tensors.items():
        assert again.tensors[name].dtype == tensor.dtype
        assert again.tensors[name].shape == tensor.shape
        np.testing.assert_array_equal(again.tensors[name], tensor)
    assert sorted(contents(tmp_path / "deeper" / "small")) == [MANIFEST, WEIGHTS]
    assert [path.name for path in (tmp_path / "deeper").iterdir()] == ["small"]


def test_parts_are_named_without_their_prefix() -> None:
    bundle = small_bundle()
    assert bundle.part("whitening").keys() == {"mean", "projection"}
    assert bundle.part("encoder").keys() == {"layers.0.weight"}
    assert bundle.part("white") == {}


def test_the_error_of_a_missing_bundle_names_it(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no bundle .*give a shipped name \(.*\) or a folder with bundle\.json"):
        load_bundle(str(tmp_path / "nowhere"))
    with pytest.raises(BundleError, match="no bundle 'no-such-name'"):
        find_bundle("no-such-name")


def test_shipped_bundles_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHIPPED", tmp_path)
    for name in ("second", "first"):
        save_bundle(small_bundle(name=name), tmp_path / name)
    assert load_bundle("second").manifest.name == "second"
    with pytest.raises(BundleError, match=r"shipped name \(first, second\)"):
        load_bundle("third")


def test_a_folder_with_only_a_pickle_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(pickle.dumps({"whitening.mean": [0.0]}))
    with pytest.raises(BundleError, match="no bundle"):
        load_bundle(str(tmp_path))


def test_a_pickle_under_the_name_of_the_weights_is_never_read(tmp_path: Path) -> None:
    save_bundle(small_bundle(), tmp_path / "b")

    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "was_run"),)

    (tmp_path / "b" / WEIGHTS).write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(BundleError, match=r"damaged or not safetensors .* a bundle holds no pickle"):
        load_bundle(str(tmp_path / "b"))
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "Invalid JSON"),
        (lambda _: "", "Invalid JSON"),
        (lambda _: "[]", "should be an object"),
        (lambda _: "\xff\xfe", "Invalid JSON"),
        (lambda text: text.replace('"format_version": 1', '"format_version": 2'), "format_version: .*should be 1"),
        (lambda text: text.replace('"name": "small",', ""), "name: Field required"),
        (lambda text: text.replace('"name"', '"surprise": 1, "name"'), "surprise: Extra inputs"),
        (lambda text: text.replace('"dimension": 16', '"dimension": 17'), "8 heads do not divide 17 dimensions"),
        (lambda text: text.replace('"alert_threshold": 0.5', '"alert_threshold": 7'), "calibration.alert_threshold"),
        (lambda text: text.replace('"kind": "random"', '"kind": "pickle"'), "descriptor.frame.weights"),
    ],
)
def test_the_error_of_a_damaged_manifest_says_what_is_wrong(tmp_path: Path, damage: Any, message: str) -> None:
    save_bundle(small_bundle(), tmp_path / "b")
    manifest = tmp_path / "b" / MANIFEST
    changed = damage(manifest.read_text())
    assert changed != manifest.read_text()
    manifest.write_text(changed, encoding="latin-1")
    with pytest.raises(BundleError, match=f"bundle.json is not a bundle of format 1: .*{message}"):
        load_bundle(str(tmp_path / "b"))


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:20], lambda _: b"", lambda b: b"\xff" * 8 + b[8:]])
def test_the_error_of_damaged_weights_names_the_file(tmp_path: Path, damage: Any) -> None:
    save_bundle(small_bundle(), tmp_path / "b")
    weights = tmp_path / "b" / WEIGHTS
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(BundleError, match=r"weights\.safetensors is damaged"):
        load_bundle(str(tmp_path / "b"))


def test_the_error_of_missing_weights_names_the_file(tmp_path: Path) -> None:
    save_bundle(small_bundle(), tmp_path / "b")
    (tmp_path / "b" / WEIGHTS).unlink()
    with pytest.raises(BundleError, match=r"cannot read .*weights\.safetensors: No such file"):
        load_bundle(str(tmp_path / "b"))


@pytest.mark.parametrize("step", ["write_text", "write_bytes", "rename into place"])
@pytest.mark.parametrize("existing", [True, False])
def test_an_interrupted_save_leaves_the_old_bundle_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, existing: bool
) -> None:
    folder = tmp_path / "b"
    if existing:
        save_bundle(small_bundle(name="old"), folder)
    before = contents(folder) if existing else {}

    def full_disk(path: Path, *arguments: Any) -> Any:
        if step == "rename into place" and (path.name == "replaced" or path == folder):
            return rename(path, *arguments)
        raise OSError(28, "No space left on device", str(path))

    rename = Path.rename
    monkeypatch.setattr(Path, step.split()[0], full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_bundle(small_bundle(name="new"), folder)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == (["b"] if existing else [])
    if existing:
        assert contents(folder) == before
        assert load_bundle(str(folder)).manifest.name == "old"


def test_saving_replaces_all_of_the_old_bundle(tmp_path: Path) -> None:
    save_bundle(small_bundle(name="old"), tmp_path / "b")
    save_bundle(small_bundle(name="new"), tmp_path / "b")
    assert sorted(contents(tmp_path / "b")) == [MANIFEST, WEIGHTS]
    assert load_bundle(str(tmp_path / "b")).manifest.name == "new"


def test_a_manifest_is_read_without_torch(tmp_path: Path) -> None:
    save_bundle(small_bundle(), tmp_path / "b")
    program = (
        "import json, sys\n"
        "from tca_model.bundle import load_bundle\n"
        "heavy = {'torch', 'torchvision', 'timm', 'av'}\n"
        "after_import = sorted(heavy & sys.modules.keys())\n"
        "version = load_bundle(sys.argv[1]).model_version\n"
        "print(json.dumps([version, after_import, sorted(heavy & sys.modules.keys())]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "b")], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [small_bundle().model_version, [], []]


def test_a_folder_that_holds_other_things_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"precious")
    with pytest.raises(BundleError, match=r"photos holds more than a bundle \(a\.png\): give it a folder"):
        save_bundle(small_bundle(), tmp_path / "photos")
    assert (tmp_path / "photos" / "a.png").read_bytes() == b"precious"
    with pytest.raises(BundleError, match="cannot write a bundle to"):
        save_bundle(small_bundle(), tmp_path / "photos" / "a.png")


def test_weights_that_are_no_numbers_are_no_bundle(tmp_path: Path) -> None:
    broken = with_tensor(small_bundle(), "whitening.mean", np.array([1, np.nan], np.float32))
    with pytest.raises(ValueError, match=r"whitening\.mean holds values that are not finite"):
        save_bundle(broken, tmp_path / "broken")
    assert not (tmp_path / "broken").exists()
