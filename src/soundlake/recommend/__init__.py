"""Recommendations beyond the SQL of gold: how good they are, held against what listeners went on to hear, or truly prefer."""

from soundlake.recommend.evaluation import DEPTH, Evaluation, evaluate_recommendations
from soundlake.recommend.preference import PreferenceScore, evaluate_preference

__all__ = ["DEPTH", "Evaluation", "PreferenceScore", "evaluate_preference", "evaluate_recommendations"]
