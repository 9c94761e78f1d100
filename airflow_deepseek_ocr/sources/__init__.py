"""Where documents come from: S3, local files, anything fsspec opens."""
