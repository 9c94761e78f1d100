"""The pages of the prompts guide, made from what a model writes: ``python -m benchmarks.prompts``."""
