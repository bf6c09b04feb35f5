"""The erasure of listeners from every place of a deployment, step by step; a killed one is run again and resumes (decision 21)."""

from soundlake.operations.erasure.models import Kept, Plan, Receipt
from soundlake.operations.erasure.places import Places
from soundlake.operations.erasure.service import Erasure

__all__ = ["Erasure", "Kept", "Places", "Plan", "Receipt"]
