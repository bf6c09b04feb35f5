"""Evaluation of recommendations: against held-out listening, and against the true preferences of generated listeners."""

from soundlake.recommend.held_out_evaluation import DEPTH, Evaluation, evaluate_recommendations
from soundlake.recommend.preference_evaluation import PreferenceScore, evaluate_preference

__all__ = ["DEPTH", "Evaluation", "PreferenceScore", "evaluate_preference", "evaluate_recommendations"]
