"""`make gpu-check`: every check that needs an NVIDIA card, and the table of docs/performance-gpu.md."""
