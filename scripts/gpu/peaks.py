"""What a card could do at most, by NVIDIA's data sheets: dense tensor-core TFLOP/s by precision, FP32 without tensor
cores, and GB/s of memory. A MIG slice has a share of its card, which is not known here: its lines say so.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Peak:
    """TFLOP/s of FP32 on the plain cores, of TF32 and of FP16, and GB/s."""

    fp32: float
    tf32: float
    fp16: float
    memory: float


# The first name that the card's own contains decides.
PEAKS = {
    "H200": Peak(67, 494.7, 989.4, 4800),
    "H100 NVL": Peak(60, 417.5, 835.5, 3938),
    "H100 PCIe": Peak(51.2, 378, 756, 2000),
    "H100": Peak(66.9, 494.7, 989.4, 3350),
    "L40S": Peak(91.6, 183, 362.05, 864),
    "A100-SXM4-80GB": Peak(19.5, 156, 312, 2039),
    "A100 80GB": Peak(19.5, 156, 312, 1935),
    "A100-SXM-80GB": Peak(19.5, 156, 312, 2039),
    "A100": Peak(19.5, 156, 312, 1555),
    "A10G": Peak(31.2, 35, 70, 600),
    "T4": Peak(8.1, 8.1, 65, 320),
}


def of(name):
    """The peak of a card; none where it is not in the table, or only a part of the card is there."""
    if "MIG" in name:
        return None
    return next((peak for known, peak in PEAKS.items() if re.search(rf"\b{known}\b", name)), None)
