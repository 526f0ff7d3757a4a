"""Trains on one machine in several processes: `python -m launch.local_processes --processes 2
--devices 4 -- --config configs/tiny.py --out runs/tiny`.

What stands after `--` goes to `launch.train`. Every process gets CPU devices of its own: this is to
try a run of several hosts where there is one. Lines are shown with the number of their process.
When one process fails the others are killed; Ctrl-C and SIGTERM are handed on, and all save.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time

_POLL_SECONDS = 0.1


def main(arguments: list[str] | None = None) -> int:
    """Runs the processes; returns 0, or the exit code of the first that failed."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--processes", type=int, default=2, metavar="N")
    parser.add_argument("--devices", type=int, default=1, metavar="D", help="per process")
    parser.add_argument("--module", default="launch.train", help="what each process runs")
    parser.add_argument("arguments", nargs="*", help="of the module, after --")
    args = parser.parse_args(arguments)
    if args.processes < 1 or args.devices < 1:
        parser.error("--processes and --devices: expected at least 1")

    words = [sys.executable, "-m", args.module, *args.arguments]
    port = _free_port()
    processes, readers = [], []
    for index in range(args.processes):
        connection = [
            f"--coordinator=127.0.0.1:{port}",
            f"--num-processes={args.processes}",
            f"--process-id={index}",
        ]
        # In a session of its own: a terminal's Ctrl-C then comes through this process alone.
        process = subprocess.Popen(
            [*words, *connection],
            env=_environment(args.devices),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        reader = threading.Thread(target=_show_lines, args=(index, process))
        reader.start()
        processes.append(process)
        readers.append(reader)

    def hand_on(number: int, frame: object) -> None:
        for process in processes:
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hand_on)
    exit_code = _wait(processes)
    for reader in readers:
        reader.join()
    return exit_code


def _wait(processes: list[subprocess.Popen]) -> int:
    """Waits until all have ended; once one has failed, the others are killed."""
    first_failure = 0
    while True:
        codes = [process.poll() for process in processes]
        failures = [code for code in codes if code]
        first_failure = first_failure or next(iter(failures), 0)
        if None not in codes:
            # As shells say it: 128 + the number of the signal that killed it.
            return 128 - first_failure if first_failure < 0 else first_failure
        if failures and not _stopped_by_signal(failures):
            for process in processes:
                process.kill()
        time.sleep(_POLL_SECONDS)


def _stopped_by_signal(codes: list[int]) -> bool:
    """Whether processes ended because they were asked to: the others will end by themselves."""
    return all(code in (128 + signal.SIGINT, 128 + signal.SIGTERM) for code in codes)


def _environment(num_devices: int) -> dict[str, str]:
    flags = os.environ.get("XLA_FLAGS", "")
    flags = f"{flags} --xla_force_host_platform_device_count={num_devices}"
    return {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags.strip()}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _show_lines(index: int, process: subprocess.Popen) -> None:
    for line in process.stdout:
        print(f"[{index}] {line.rstrip()}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
