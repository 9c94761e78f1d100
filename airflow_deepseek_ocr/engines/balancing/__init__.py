"""One engine made of several: pages are spread over replicas, which may fail and return."""
