"""Recommendations beyond the SQL of gold: how good they are, held against what listeners went on to hear."""

from soundlake.recommend.evaluation import DEPTH, Evaluation, evaluate_recommendations

__all__ = ["DEPTH", "Evaluation", "evaluate_recommendations"]
