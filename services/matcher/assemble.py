"""Builds the matcher's pipeline, for the service and for a laptop alike."""

from services.contracts.events import Role
from services.contracts.ports import DescriptorCache, DescriptorIndex
from services.matcher.candidates import CandidateStage
from services.matcher.findings import FindingBuilder
from services.matcher.pipeline import AssetKey, MatchPipeline
from services.matcher.rerank import DescriptorReader
from services.matcher.search import Search
from services.runtime.rule import AlertRule
from tca_model.matching.calibration import Calibration


def build_match_pipeline(
    index: DescriptorIndex,
    cache: DescriptorCache,
    candidates: CandidateStage,
    *,
    rule: AlertRule,
    calibration: Calibration,
    searching_roles: frozenset[Role] = frozenset(Role),
    already_decided: frozenset[AssetKey] = frozenset(),
) -> MatchPipeline:
    """A pipeline over these backends; see MatchPipeline for the rest."""
    return MatchPipeline(
        model_version=index.model_version,
        calibration=calibration,
        search=Search(DescriptorReader(index, cache), candidates),
        build_findings=FindingBuilder(index, rule, calibration),
        searching_roles=searching_roles,
        already_decided=already_decided,
    )
