"""Repositories of the Hugging Face hub: what a commit holds, fetching it, and sentences about refusals."""
