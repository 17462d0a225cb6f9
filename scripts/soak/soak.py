"""A soak: random shapes at a share of what the server can do, and memory and file descriptors that stay flat.

Starts the release binary with a text and a tabular model, finds its capacity for the mixture in a closed
loop, then offers the given share of it by an arrival rate of its own: a request is sent at its time,
whether the ones before are answered or not. Fails when resident memory or file descriptors keep growing
after the warm-up, or when a request ends otherwise than with a prediction. Only loopback addresses.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20
PATIENCE_S = 60.0
CONNECTIONS = 32  # of the generator; the server's answers are kept short of them by the share
CALIBRATION_S = 10.0
MOST_TEXTS = 4  # of one request
# Requests that bring the sessions to their largest batches before anything is measured.
LARGEST = 48 * len(os.sched_getaffinity(0))
CALIBRATION_CLIENTS = 8
SAMPLE_S = 1.0
PROGRESS_S = 15.0
WARMUP_SHARE = 0.25  # of the time; memory may still find its size
MOST_GROWTH = 0.02  # of resident memory, over what is measured, by the fitted line
LEAST_GROWTH_BYTES = 6 * MIB  # below this a slope is noise of the allocator
MOST_DESCRIPTORS = 2  # as much may the fitted line rise
MOST_WAITING = 4096  # requests late in the generator itself: then the rate was beyond the server
WORDS = (
    "printer refuses new paper since monday and shows a code nobody knows invoice was paid twice "
    "please refund our account password reset link expired again shipping address changed order lost"
).split()


def arguments_of(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """What the soak is told."""
    parser.add_argument("binary", type=Path, help="the release binary, with the runtime's library beside it")
    parser.add_argument("--minutes", type=float, default=20.0, help="length, warm-up included")
    parser.add_argument("--share", type=float, default=0.7, help="of the measured capacity")
    parser.add_argument("--rate", type=float, help="requests a second, instead of a share of the capacity")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--text", default="sentence-embedder", help="folder under models/ that takes texts")
    parser.add_argument("--most-words", type=int, default=100, help="of one text")
    parser.add_argument("--leak", type=int, default=0, help="descriptors to keep open, to see the check fail")
    parser.add_argument("--report", type=Path, help="file that gets what was measured, as JSON")
    return parser.parse_args()


class Server:
    """The server as a process, and what the kernel says of it."""

    def __init__(self, binary: Path, models: list[str], folder: Path, variables: dict[str, str] | None = None):
        self.ready_file = folder / "ready.json"
        self.log = open(folder / "server.log", "wb")
        command = [binary, "serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        command += ["--ready-file", self.ready_file]
        for model in models:
            command += ["--models", model]
        environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1", **(variables or {})}
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        self.address = self._ready()

    def _ready(self) -> tuple[str, int]:
        until = time.monotonic() + PATIENCE_S
        while not self.ready_file.exists():
            if self.process.poll() is not None or time.monotonic() > until:
                self.process.kill()
                sys.exit(f"error: the server did not become ready; its log: {self.log.name}")
            time.sleep(0.05)
        host, port = json.loads(self.ready_file.read_text(encoding="utf-8"))["http"].rsplit(":", 1)
        return host, int(port)

    def resident(self) -> int:
        """Anonymous memory in RAM, bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:"))) * 1024

    def descriptors(self) -> int:
        """Open file descriptors."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self) -> int:
        """Ends it; its exit status."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            self.log.close()


class Shapes:
    """Requests of random shapes, the same for the same seed."""

    COLUMNS = 30  # of the fraud detector

    def __init__(self, seed: int, text_model: str, most_words: int):
        self.random = random.Random(seed)
        self.text_model = text_model
        self.most_words = most_words

    def request(self) -> tuple[str, bytes]:
        """The path and the body of the next request."""
        if self.random.random() < 0.5:
            return "/predict/fraud-detector", self._rows()
        return f"/predict/{self.text_model}", self._texts()

    def largest(self) -> tuple[str, bytes]:
        """A request of the most and longest texts."""
        return f"/predict/{self.text_model}", self._body([self._text(self.most_words) for _ in range(MOST_TEXTS)])

    def _rows(self) -> bytes:
        rows = [
            [round(self.random.uniform(-3, 3), 4) for _ in range(self.COLUMNS)]
            for _ in range(self.random.randint(1, 16))
        ]
        return json.dumps({"instances": rows}).encode()

    def _texts(self) -> bytes:
        count = self.random.choice((1, 1, 1, 2, MOST_TEXTS))
        return self._body([self._text(self.random.randint(1, self.most_words)) for _ in range(count)])

    def _text(self, words: int) -> str:
        return " ".join(self.random.choices(WORDS, k=words))

    def _body(self, texts: list[str]) -> bytes:
        return json.dumps({"instances": texts, "parameters": {"truncate": True}}).encode()


@dataclass
class Tally:
    """What became of the requests."""

    answered: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    def failed(self, why: str) -> None:
        """Counts one that did not end with a prediction."""
        self.failures[why] = self.failures.get(why, 0) + 1


class Connections:
    """A bounded set of kept connections."""

    def __init__(self, address: tuple[str, int]):
        self.address = address
        self.open = 0
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.room = asyncio.Semaphore(CONNECTIONS)

    async def ask(self, path: str, body: bytes) -> int:
        """Sends one request; its status. One that meets a connection the server has closed is sent again."""
        head = f"POST {path} HTTP/1.1\r\nhost: soak\r\ncontent-type: application/json\r\n"
        message = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        async with self.room:
            while self.idle:
                kept = self.idle.pop()
                try:
                    return await self._exchange(kept, message)
                except (ConnectionError, asyncio.IncompleteReadError) as error:
                    if getattr(error, "partial", b""):
                        raise
            fresh = await asyncio.open_connection(*self.address)
            self.open += 1
            return await self._exchange(fresh, message)

    async def _exchange(self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], message: bytes) -> int:
        """Sends and reads; keeps the connection only when all went well."""
        reader, writer = connection
        try:
            writer.write(message)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
            length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
            await reader.readexactly(length)
        except BaseException:
            self.open -= 1
            writer.close()
            raise
        self.idle.append(connection)
        return int(lines[0].split()[1])

    def forget_closed(self) -> None:
        """Lets go of kept connections that the server has closed for being idle."""
        closed = [kept for kept in self.idle if kept[0].at_eof()]
        self.idle = [kept for kept in self.idle if not kept[0].at_eof()]
        self.open -= len(closed)
        for _, writer in closed:
            writer.close()

    def close(self) -> None:
        """Closes what is kept."""
        for _, writer in self.idle:
            writer.close()


async def one(connections: Connections, request: tuple[str, bytes], due: float, tally: Tally) -> None:
    """One request, whose latency begins when it was due."""
    try:
        status = await asyncio.wait_for(connections.ask(*request), PATIENCE_S)
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        tally.failed(type(error).__name__)
        return
    if status == 200:
        tally.answered += 1
        tally.latencies.append(time.monotonic() - due)
    else:
        tally.failed(f"status {status}")


async def prime(connections: Connections, shapes: Shapes) -> None:
    """Asks for the largest batches: the runtime's arenas find their size by them."""
    tally = Tally()
    await asyncio.gather(*(one(connections, shapes.largest(), time.monotonic(), tally) for _ in range(LARGEST)))
    if tally.failures:
        sys.exit(f"error: the server failed at the largest requests: {tally.failures}")


async def capacity(connections: Connections, shapes: Shapes) -> float:
    """Answers a second of a closed loop."""
    tally, until = Tally(), time.monotonic() + CALIBRATION_S

    async def client() -> None:
        while time.monotonic() < until:
            await one(connections, shapes.request(), time.monotonic(), tally)

    began = time.monotonic()
    await asyncio.gather(*(client() for _ in range(CALIBRATION_CLIENTS)))
    if tally.failures:
        sys.exit(f"error: the server failed before the soak: {tally.failures}")
    return tally.answered / (time.monotonic() - began)


@dataclass
class Sample:
    """The server at a moment of the soak."""

    at: float
    resident: int
    descriptors: int


@dataclass
class Soak:
    """A soak as it goes."""

    server: Server
    connections: Connections
    shapes: Shapes
    tally: Tally = field(default_factory=Tally)
    samples: list[Sample] = field(default_factory=list)

    async def watch(self) -> None:
        """Notes memory and descriptors, those of our own connections left out, and prints progress."""
        began = told = time.monotonic()
        while True:
            now = time.monotonic()
            self.connections.forget_closed()
            descriptors = self.server.descriptors() - self.connections.open
            self.samples.append(Sample(now - began, self.server.resident(), descriptors))
            if now - told >= PROGRESS_S:
                told = now
                self.tell(self.samples[-1])
            await asyncio.sleep(SAMPLE_S)

    def tell(self, last: Sample) -> None:
        """A line of progress."""
        tally = self.tally
        say(
            f"{last.at:.0f} s: {tally.answered} answered, {sum(tally.failures.values())} failed, "
            f"{last.resident / MIB:.1f} MiB, {last.descriptors} descriptors"
        )

    async def offer(self, rate: float, until: float) -> None:
        """Sends requests at random times with this mean rate, in an open loop."""
        pending, due = set(), time.monotonic()
        while due < until:
            await asyncio.sleep(max(due - time.monotonic(), 0))
            if len(pending) > MOST_WAITING:
                sys.exit("error: the rate is beyond the server: more requests wait than the soak holds")
            task = asyncio.create_task(one(self.connections, self.shapes.request(), due, self.tally))
            pending.add(task)
            task.add_done_callback(pending.discard)
            due += self.shapes.random.expovariate(rate)
        await asyncio.gather(*pending)

    async def leak(self, connections: int, length: float) -> None:
        """Opens connections that nobody closes, spread over the soak."""
        held = []
        for _ in range(connections):
            held.append(await asyncio.open_connection(*self.server.address))
            await asyncio.sleep(length / connections)


def say(text: str) -> None:
    """A line of progress."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def fitted_growth(samples: list[Sample], value: Callable[[Sample], float]) -> float:
    """By how much the line of least squares through the samples rises from the first to the last."""
    times, values = [sample.at for sample in samples], [value(sample) for sample in samples]
    slope, _ = statistics.linear_regression(times, values)
    return slope * (times[-1] - times[0])


def judged(soak: Soak, length: float) -> tuple[dict, list[str]]:
    """What was measured after the warm-up, and what of it is not as it should be."""
    measured = [sample for sample in soak.samples if sample.at >= length * WARMUP_SHARE]
    base = statistics.fmean(sample.resident for sample in measured)
    memory = fitted_growth(measured, lambda sample: sample.resident)
    descriptors = fitted_growth(measured, lambda sample: sample.descriptors)
    latencies = statistics.quantiles(soak.tally.latencies, n=100)
    found = {
        "answered": soak.tally.answered,
        "failures": soak.tally.failures,
        "p50_ms": latencies[49] * 1e3,
        "p99_ms": latencies[98] * 1e3,
        "resident_mib": base / MIB,
        "peak_mib": max(sample.resident for sample in soak.samples) / MIB,
        "memory_growth_mib": memory / MIB,
        "descriptors": statistics.fmean(sample.descriptors for sample in measured),
        "descriptor_growth": descriptors,
        "samples": [[round(sample.at), sample.resident, sample.descriptors] for sample in soak.samples[::10]],
    }
    faults = [f"{count} requests: {why}" for why, count in soak.tally.failures.items()]
    if memory > max(base * MOST_GROWTH, LEAST_GROWTH_BYTES):
        faults.append(f"resident memory rose by {memory / MIB:.1f} MiB on {base / MIB:.1f} MiB")
    if descriptors > MOST_DESCRIPTORS:
        faults.append(f"file descriptors rose by {descriptors:.1f}")
    return found, faults


async def run(server: Server, options: argparse.Namespace) -> tuple[dict, list[str]]:
    """Calibrates, soaks and judges."""
    shapes = Shapes(options.seed, options.text, options.most_words)
    connections = Connections(server.address)
    length = options.minutes * 60
    await prime(connections, shapes)
    say(f"{server.resident() / MIB:.1f} MiB after the largest batches")
    rate = options.rate or options.share * await capacity(connections, shapes)
    say(f"soaking for {length:.0f} s at {rate:.1f} requests a second")
    soak = Soak(server, connections, shapes)
    beside = [asyncio.create_task(soak.watch())]
    if options.leak:
        beside.append(asyncio.create_task(soak.leak(options.leak, length)))
    await soak.offer(rate, time.monotonic() + length)
    for task in beside:
        task.cancel()
    connections.close()
    found, faults = judged(soak, length)
    return {"rate": rate, "seed": options.seed, **found}, faults


def main() -> None:
    """The whole soak."""
    options = arguments_of(argparse.ArgumentParser(description=__doc__))
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options.binary, ["models/fraud-detector", f"models/{options.text}"], Path(folder))
        try:
            found, faults = asyncio.run(run(server, options))
        finally:
            status = server.stop()
    if status != 0:
        faults.append(f"the server ended with status {status}")
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: value for name, value in found.items() if name != "samples"}))
    if faults:
        sys.exit("error: " + "; ".join(faults))
    say("memory and descriptors stayed flat, and every request was answered")


if __name__ == "__main__":
    main()
