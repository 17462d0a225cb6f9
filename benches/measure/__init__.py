"""What `make bench` measures, and how; `__main__` is where it begins."""
