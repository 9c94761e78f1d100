"""Speed of the pipeline from documents to rows, with an engine that answers at once."""
