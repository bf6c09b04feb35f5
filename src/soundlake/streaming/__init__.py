"""The speed layer: a Spark job over all topics, for what needs seconds; dbt builds the truth from the same contract and rules."""
