"""Finds the NVIDIA card through its driver's own library: `card.py` prints what it found, or why there is none.

Nothing is built or fetched for this. CUDA_VISIBLE_DEVICES holds as it does for every CUDA program, a MIG slice's name
(`MIG-...`) included: the driver then shows that slice as device 0.
"""

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path

MAJOR, MINOR, MULTIPROCESSORS = 75, 76, 16
NAME_LENGTH = 256
HELP = (
    "`make gpu-check` needs an NVIDIA card, and none was found: {reason}. The rest of the suite needs none: `make test`. "
    "`make gpu-check ARGS=--rehearse` walks this lane on the CPU"
)


class NoCard(Exception):
    """Why there is no card, as the end of a sentence."""


@dataclass
class Card:
    """Device 0, and how many there are."""

    name: str
    driver: str
    cuda: str
    capability: str
    memory: int
    multiprocessors: int
    count: int

    def sentence(self):
        """The card in a sentence."""
        more = f", the first of {self.count}" if self.count > 1 else ""
        return (
            f"{self.name}{more} (compute capability {self.capability}, {self.memory / (1 << 30):.1f} GiB, "
            f"{self.multiprocessors} multiprocessors), driver {self.driver}, which runs CUDA up to {self.cuda}"
        )


def driver_library():
    """The driver's library."""
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise NoCard(f"the driver's library could not be loaded ({error})") from None


def number(function, *arguments):
    """What a function of the driver writes into its first argument."""
    value = ctypes.c_int()
    code = function(ctypes.byref(value), *arguments)
    if code:
        raise NoCard(f"{function.__name__} answers error {code}")
    return value.value


def find():
    """The card."""
    driver = driver_library()
    code = driver.cuInit(0)
    if code:
        raise NoCard(f"libcuda.so.1 is there, and cuInit answers error {code}")
    count = number(driver.cuDeviceGetCount)
    if not count:
        raise NoCard("libcuda.so.1 is there, and the driver shows 0 devices")
    device = number(driver.cuDeviceGet, 0)
    name, memory = ctypes.create_string_buffer(NAME_LENGTH), ctypes.c_size_t()
    driver.cuDeviceGetName(name, NAME_LENGTH, device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    attribute = lambda which: number(driver.cuDeviceGetAttribute, which, device)  # noqa: E731
    version = number(driver.cuDriverGetVersion)
    return Card(
        name=name.value.decode(errors="replace"),
        driver=driver_version(),
        cuda=f"{version // 1000}.{version % 1000 // 10}",
        capability=f"{attribute(MAJOR)}.{attribute(MINOR)}",
        memory=memory.value,
        multiprocessors=attribute(MULTIPROCESSORS),
        count=count,
    )


def driver_version():
    """The driver's own version, by NVIDIA's management library or the kernel's file."""
    text = ctypes.create_string_buffer(NAME_LENGTH)
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        if not library.nvmlInit_v2() and not library.nvmlSystemGetDriverVersion(text, NAME_LENGTH):
            return text.value.decode()
    except OSError:
        pass
    try:
        words = Path("/proc/driver/nvidia/version").read_text().split()
        return next(word for word in words if word[0].isdigit() and "." in word)
    except (OSError, StopIteration):
        return "of unknown version"


def main():
    """Prints the card, or ends with one sentence."""
    try:
        print(find().sentence())
    except NoCard as reason:
        sys.exit("error: " + HELP.format(reason=reason))


if __name__ == "__main__":
    main()
