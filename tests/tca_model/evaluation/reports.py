"""Scores made by hand, and a look into the report on them."""

import numpy as np

from tca_model.evaluation.scoring import ScoreTable
from tca_model.evaluation.searches import Figure, Report

Similarities = dict[str, dict[str, float]]  # query -> video -> score


def table_of(similarities: Similarities) -> ScoreTable:
    queries, database = tuple(similarities), tuple(dict.fromkeys(v for row in similarities.values() for v in row))
    scores = [[row[video] for video in database] for row in similarities.values()]
    return ScoreTable(queries, database, np.array(scores, np.float32).reshape(len(queries), len(database)))


def figure(report: Report, name: str) -> Figure:
    return next(figure for figure in report.figures if figure.name == name)
