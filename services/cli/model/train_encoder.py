"""`copydetect model train-encoder`: a bundle whose encoder is trained on pairs of copies."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import INTERRUPTED, error_console, progress_bar
from services.contracts.errors import UsageError
from tca_model.bundle import DEFAULT, check_place, load_bundle, save_bundle
from tca_model.config import DescriptorConfig, EncoderConfig
from tca_model.errors import TrainingError
from tca_model.matching.calibration import Calibration


def train_encoder(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of videos to make copies of; those that the benchmark holds out are left out"),
    ] = None,
    *,
    work: Annotated[Path, typer.Option(help="Folder of the run: descriptors, checkpoints, log.csv, loss.png")],
    output: Annotated[Path, typer.Option(help="Folder of the bundle")],
    bundle: Annotated[str, typer.Option(help="The bundle whose frame descriptors are trained on")] = DEFAULT,
    vcdb: Annotated[Path | None, typer.Option(help="Instead of folders: VCDB as convert-annotations wrote it")] = None,
    descriptors: Annotated[Path | None, typer.Option(help="Frame descriptors of VCDB's videos, by --bundle")] = None,
    copies: Annotated[int, typer.Option(min=1, help="Edited copies of each video")] = 4,
    aggregator: Annotated[str, typer.Option(help="tca, netvlad, lstm or gru")] = "tca",
    layers: Annotated[int, typer.Option(help="Of tca, lstm and gru")] = 1,
    heads: Annotated[int, typer.Option(help="Of tca")] = 8,
    feed_forward: Annotated[int, typer.Option(help="Width inside tca's feed-forward layer")] = 2048,
    clusters: Annotated[int, typer.Option(help="Of netvlad")] = 64,
    dropout: Annotated[float, typer.Option(help="While training")] = 0.5,
    compares: Annotated[str, typer.Option(help="What is stored and compared: refined or frame")] = "refined",
    loss: Annotated[str, typer.Option(help="info-nce, circle or triplet")] = "info-nce",
    temperature: Annotated[float, typer.Option(help="Of InfoNCE")] = 0.07,
    gamma: Annotated[float, typer.Option(help="Scale of Circle")] = 256,
    margin: Annotated[float, typer.Option(help="Of Circle and triplet")] = 0.25,
    epochs: Annotated[float, typer.Option(help="Times that every pair is seen")] = 40,
    batch: Annotated[int, typer.Option(help="Pairs a step, over all processes")] = 64,
    distractors: Annotated[int, typer.Option(help="A pair, drawn anew every step")] = 16,
    bank: Annotated[int, typer.Option(help="Keys in the memory bank")] = 4096,
    momentum: Annotated[float | None, typer.Option(help="Of a slow encoder of keys, such as 0.999")] = None,
    learning_rate: Annotated[float, typer.Option(help="Of Adam, at the start")] = 1e-5,
    frames: Annotated[int, typer.Option(help="Random crop of what is longer")] = 64,
    shortest_piece: Annotated[
        float | None, typer.Option(help="Share of anchor and positive kept at least: 0.5 of made copies, 1 of VCDB")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of edits, order, crops and dropout")] = 0,
    threshold: Annotated[float, typer.Option(help="Score from which a pair alerts")] = 0.5,
    basis: Annotated[str, typer.Option(help="How that threshold was found")] = "not calibrated",
) -> None:
    """Train an encoder on copies, made of a folder of videos or marked in VCDB, and write a bundle with it.

    Under torchrun every GPU takes a share of each batch. Interrupted, it goes on from its last checkpoint.
    """
    from tca_model.data.annotations import read_annotations
    from tca_model.data.descriptor_files import DescriptorFolder
    from tca_model.data.vcdb import VcdbAnnotations
    from tca_model.networks.extractor import DescriptorExtractor
    from tca_model.training.bundling import hardware
    from tca_model.training.copies import Copies
    from tca_model.training.distributed import join_processes
    from tca_model.training.encoder import EncoderRecipe, train_encoder, with_encoder
    from tca_model.training.pairs import Reader, vcdb_pairs

    if bool(folders) == (vcdb is not None) or (vcdb is None) != (descriptors is None):
        raise UsageError("give folders of videos, or --vcdb ANNOTATIONS with --descriptors FOLDER")
    source = load_bundle(bundle)
    check_place(output)
    if source.manifest.descriptor.compares != "frame" and vcdb is not None:
        raise UsageError(
            f"bundle {bundle} stores refined frame descriptors: describe VCDB with one that compares frame"
        )
    encoder_values = {
        "aggregator": aggregator,
        "layers": layers,
        "heads": heads,
        "feed_forward": feed_forward,
        "clusters": clusters,
        "dropout": dropout,
    }
    recipe_values = {
        "loss": loss,
        "temperature": temperature,
        "gamma": gamma,
        "margin": margin,
        "epochs": epochs,
        "batch": batch,
        "distractors": distractors,
        "bank": bank,
        "momentum": momentum,
        "learning_rate": learning_rate,
        "frames": frames,
        "shortest_piece": (0.5 if vcdb is None else 1.0) if shortest_piece is None else shortest_piece,
        "seed": seed,
    }
    try:
        encoder = EncoderConfig.model_validate(encoder_values)
        recipe = EncoderRecipe.model_validate({**recipe_values, "encoder": encoder})
        descriptor = DescriptorConfig.model_validate(
            {"frame": source.manifest.descriptor.frame, "encoder": encoder, "compares": compares}
        )
        with join_processes() as processes, progress_bar() as progress:
            progress.disable = not processes.first
            if vcdb is not None and descriptors is not None:
                pairs = vcdb_pairs(read_annotations(vcdb, VcdbAnnotations), DescriptorFolder(descriptors))
            else:
                made = Copies(
                    folders or [],
                    DescriptorFolder(work / f"descriptors-{source.model_version}"),
                    each=copies,
                    seed=seed,
                )
                if processes.first:
                    describing = progress.add_task("describing", rate="", total=None)
                    made.describe(
                        DescriptorExtractor(source),
                        lambda done, total: progress.update(describing, completed=done, total=total),
                    )
                processes.wait()
                pairs = made.pairs()
            training = progress.add_task("training", rate="", total=None)
            trained, run = train_encoder(
                recipe,
                pairs,
                Reader(pairs, source.model_version),
                work,
                processes,
                lambda step, steps, value: progress.update(
                    training, completed=step, total=steps, rate=f"loss {value:.3f}"
                ),
            )
            if not processes.first:
                return
            result = with_encoder(
                source,
                output.name,
                trained,
                descriptor,
                Calibration(alert_threshold=threshold, basis=basis),
                {
                    "command": " ".join(["copydetect", *sys.argv[1:]]),
                    "data": "VCDB" if vcdb is not None else [folder.name for folder in folders or []],
                    "pairs": len(pairs.positives),
                    "distractors": len(pairs.distractors),
                    **pairs.counts,
                    "recipe": recipe.model_dump(mode="json"),
                    "steps": run.done,
                    "loss_at_start": _mean(run.losses[:50]),
                    "loss": _mean(run.losses[-50:]),
                    "seconds": run.seconds,
                    **hardware(processes.device),
                },
            )
        save_bundle(result, output)
    except (ValueError, OSError, TrainingError) as error:
        raise UsageError(str(error)) from error
    except KeyboardInterrupt:
        error_console.print(f"interrupted; run the same command to go on from the latest checkpoint in {work}")
        raise typer.Exit(INTERRUPTED) from None
    error_console.print(f"wrote {output}, model version {result.model_version}", soft_wrap=True)


def _mean(losses: list[float]) -> float:
    return sum(losses) / len(losses)
