"""The model version changes with whatever changes descriptors, and with nothing else."""

import numpy as np
import pytest

from tca_model.bundle import Bundle
from tca_model.config import DescriptorConfig, EncoderConfig, RandomWeights
from tca_model.matching.calibration import Calibration
from tests.tca_model.bundles import descriptor, small_bundle, with_tensor


def test_the_version_is_short_and_the_same_every_time() -> None:
    version = small_bundle().model_version
    assert version == small_bundle().model_version
    assert len(version) == 12
    assert set(version) <= set("0123456789abcdef")


@pytest.mark.parametrize("name", [name for name in small_bundle().tensors if not name.startswith("noise_bank")])
def test_any_weight_changes_the_version(name: str) -> None:
    bundle = small_bundle()
    changed = bundle.tensors[name].copy()
    changed.flat[-1] += 1
    assert with_tensor(bundle, name, changed).model_version != bundle.model_version


def test_name_type_and_shape_of_a_weight_change_the_version() -> None:
    bundle = small_bundle()
    mean = bundle.tensors["whitening.mean"]
    variants = [
        with_tensor(bundle, "whitening.mean", mean.astype(np.float64)),
        with_tensor(bundle, "whitening.mean", mean.reshape(2, 3)),
        with_tensor(bundle, "whitening.other", mean),
        Bundle(bundle.manifest, {k: v for k, v in bundle.tensors.items() if k != "whitening.mean"}),
    ]
    assert len({bundle.model_version, *(variant.model_version for variant in variants)}) == 5


@pytest.mark.parametrize(
    "config",
    [
        descriptor(frame={"backbone": "resnet34"}),
        descriptor(frame={"weights": RandomWeights(seed=1)}),
        descriptor(frame={"input_px": 96}),
        descriptor(frame={"mean": (0.5, 0.5, 0.5)}),
        descriptor(frame={"std": (0.5, 0.5, 0.5)}),
        descriptor(frame={"pooling": "l3-imac"}),
        descriptor(frame={"dimension": 24}),
        descriptor(frame={"sample_every_s": 0.5}),
        descriptor(encoder=EncoderConfig(aggregator="mean")),
        descriptor(encoder=EncoderConfig(layers=2)),
        descriptor(encoder=EncoderConfig(heads=4)),
        descriptor(encoder=EncoderConfig(feed_forward=32)),
        descriptor(compares="frame"),
    ],
)
def test_any_descriptor_setting_changes_the_version(config: DescriptorConfig) -> None:
    assert small_bundle(config=config).model_version != small_bundle().model_version


def test_nothing_else_changes_the_version() -> None:
    bundle = small_bundle()
    others = [
        small_bundle(name="other"),
        small_bundle(calibration=Calibration(version=2, alert_threshold=0.9, basis="measured")),
        small_bundle(provenance={"command": "again", "seconds": 3.5}),
        with_tensor(bundle, "noise_bank.frames", np.zeros((3, 4), np.float32)),
        Bundle(bundle.manifest, dict(reversed(bundle.tensors.items()))),
        with_tensor(bundle, "whitening.projection", np.ascontiguousarray(bundle.tensors["whitening.projection"])),
    ]
    assert {other.model_version for other in others} == {bundle.model_version}
