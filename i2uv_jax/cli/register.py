"""`i2uv data register`: scanned hand meshes in, UV position maps out."""

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from i2uv_jax.cli.failure import EXIT_FAILED, CommandError
from i2uv_jax.cli.folder_listing import files_with_suffix
from i2uv_jax.cli.interruption import InterruptWatch, exit_code_of
from i2uv_jax.cli.output_folder import make_output_folder
from i2uv_jax.models.model_files import file_fingerprint

if TYPE_CHECKING:
    from i2uv_jax.registration.fitted_hand import FittedHand
    from i2uv_jax.registration.fitting import HandFitter

_REPORT = "report.json"

_DESCRIPTION = """Fit the rigged hand to scanned or sculpted hand meshes (OBJ, PLY, GLB, STL):
place, pose and shape, then free displacement along the normals. For SCAN.obj the output folder gets
SCAN.npz (UV position maps of the scan's surface and of the rigged hand, texels that the scan shows,
pose, shape, place) and SCAN.glb (the fitted surface); report.json holds all numbers, those of
earlier commands, too. A mesh that is no hand, or that cannot be used, costs one line; the others
are still done. Scans that are done already are left out; a result of the same name that is another
mesh's is an error. Millimetres are those of the hand at real
size: without --unit the unit is the one of mm, cm and m in which the hand has a person's length, or
else the hand gets an adult's mean length."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the verb below `i2uv data`."""
    parser = subparsers.add_parser(
        "register", help="fit the hand to scanned meshes", description=_DESCRIPTION
    )
    parser.add_argument(
        "scans", nargs="+", type=Path, metavar="SCANS", help="mesh files, or folders of them"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder")
    parser.add_argument(
        "--hand",
        choices=("left", "right", "auto"),
        default="auto",
        help="which hand the meshes show, as their axes have it (auto: what fits better)",
    )
    parser.add_argument(
        "--unit", choices=("mm", "cm", "m", "auto"), default="auto", help="of the meshes (auto)"
    )
    parser.add_argument("--overwrite", action="store_true", help="do what is done already again")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Registers as the arguments say; returns the process's exit code."""
    with InterruptWatch() as watch:
        scans, problems = _list_scans(args.scans, args.out)
        make_output_folder(args.out)
        for problem in problems:
            print(f"i2uv data: error: {problem}", file=sys.stderr)
        exit_code = _Run(args, scans, watch).run()
        return exit_code or (EXIT_FAILED if problems else 0)


class _Run:
    """The scans of one command, one after the other."""

    def __init__(self, args: argparse.Namespace, scans: dict[str, Path], watch: InterruptWatch):
        self._args = args
        self._scans = scans
        self._watch = watch
        self._entries: dict[str, dict] = {}
        self._reported = _read_report(args.out / _REPORT)
        self._num_skipped = 0
        self._fitter: HandFitter | None = None

    def run(self) -> int:
        """Does all scans; returns the exit code."""
        from tqdm import tqdm

        start = time.monotonic()
        on_terminal = sys.stderr.isatty()
        # A bar where somebody watches it; the lines of numbers go to stdout in any case.
        self._bar = tqdm(total=len(self._scans), unit="scan", disable=not on_terminal)
        try:
            with self._bar:
                for stem, path in self._scans.items():
                    self._watch.check()
                    self._do(stem, path)
                    self._bar.update(1)
        except KeyboardInterrupt as interruption:
            print(
                f"i2uv data: interrupted, {len(self._entries)} of {len(self._scans)} scans done; "
                "the same command continues",
                file=sys.stderr,
            )
            return exit_code_of(interruption)
        num_failed = sum("error" in entry for entry in self._entries.values())
        line = f"{len(self._entries) - num_failed} of {len(self._scans)} scans done"
        if self._num_skipped:
            line += f" ({self._num_skipped} before)"
        line += f" in {time.monotonic() - start:.1f} s, written to {self._args.out}"
        print(line + (f"; {num_failed} failed" if num_failed else ""))
        return EXIT_FAILED if num_failed else 0

    def _do(self, stem: str, path: Path) -> None:
        from i2uv_jax.hand.asset import load_hand
        from i2uv_jax.registration.fitted_hand import read_fitted_hand
        from i2uv_jax.registration.fitting import NoHandError
        from i2uv_jax.registration.scan import ScanError

        target = self._args.out / f"{stem}.npz"
        if target.exists() and not self._args.overwrite:
            try:
                done = read_fitted_hand(target, load_hand().atlas.fingerprint)
                self._check_is_of(path, done, target)
                self._note(path, done.numbers())
            except ValueError as error:
                self._fail(path, f"{error}; --overwrite makes it anew")
            else:
                self._num_skipped += 1
            return
        try:
            start = time.monotonic()
            fitted = self._register(path, target)
        except ScanError as error:
            self._fail(path, str(error))
        except NoHandError as error:
            self._fail(path, f"{path}: {error}")
        except OSError as error:
            self._fail(path, f"{path}: results cannot be written ({error.strerror or error})")
        else:
            seconds = time.monotonic() - start
            self._note(path, fitted.numbers())
            self._say(path, fitted, seconds)

    def _check_is_of(self, path: Path, done: "FittedHand", target: Path) -> None:
        """Raises ValueError if what was done before is not what is asked for now."""
        if self._args.hand not in ("auto", done.handedness):
            raise ValueError(f"{target}: is of a {done.handedness} hand")
        try:
            is_same = done.scan is None or str(done.scan) == file_fingerprint(path)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror or error}") from error
        if not is_same:
            raise ValueError(f"{target}: is of another mesh than {path} as it is now")

    def _register(self, path: Path, target: Path) -> "FittedHand":
        """Fits one scan and writes its files, the one that counts as done last."""
        from i2uv_jax.atomic_file import write_atomically
        from i2uv_jax.hand.asset import load_hand
        from i2uv_jax.registration.fitted_hand import (
            fitted_hand,
            fitted_hand_bytes,
            surface_glb_bytes,
        )
        from i2uv_jax.registration.fitting import HandFitter
        from i2uv_jax.registration.scan import read_scan

        scan = read_scan(path)
        # Before the fit, during which the file may change.
        fingerprint = file_fingerprint(path)
        if self._fitter is None:
            self._fitter = HandFitter(load_hand())
        registration = self._fitter.fit(scan, handedness=self._args.hand, unit=self._args.unit)
        fitted = fitted_hand(self._fitter, registration, fingerprint)
        self._watch.check()
        mesh = surface_glb_bytes(self._fitter.hand, registration, fitted)
        write_atomically(target.with_suffix(".glb"), mesh)
        write_atomically(target, fitted_hand_bytes(fitted))
        return fitted

    def _note(self, path: Path, entry: dict) -> None:
        """Adds to the report, which is whole after every scan."""
        from i2uv_jax.atomic_file import write_atomically

        self._entries[str(path)] = self._reported[str(path)] = entry
        report = json.dumps({"scans": self._reported}, indent=1) + "\n"
        try:
            write_atomically(self._args.out / _REPORT, report.encode())
        except OSError as error:
            raise CommandError(
                f"{self._args.out / _REPORT}: cannot be written ({error.strerror})",
                EXIT_FAILED,
            ) from error

    def _fail(self, path: Path, message: str) -> None:
        self._bar.write(f"i2uv data: error: {message}", file=sys.stderr)
        self._note(path, {"error": message})

    def _say(self, path: Path, fitted: "FittedHand", seconds: float) -> None:
        there, back = fitted.scan_to_hand_mm, fitted.hand_to_scan_mm
        size = "" if fitted.unit_is_known else " at an adult's mean size"
        self._bar.write(
            f"{path}: {fitted.handedness} hand{size}, mean (95 %) distance in mm: "
            f"scan to hand {there[0]:.2f} ({there[1]:.2f}), "
            f"hand to scan {back[0]:.2f} ({back[1]:.2f}); {seconds:.1f} s"
        )


def _read_report(path: Path) -> dict[str, dict]:
    """Entries of earlier commands.

    Raises:
      CommandError: the file is no such report.
    """
    try:
        return dict(json.loads(path.read_bytes())["scans"])
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CommandError(f"{path}: cannot be read ({error.strerror})") from error
    except (LookupError, TypeError, ValueError) as error:
        raise CommandError(f"{path}: no report of scans, choose another --out") from error


def _list_scans(arguments: list[Path], out: Path) -> tuple[dict[str, Path], list[str]]:
    """Mesh files by the names of their results, and what is wrong with folders beside them.

    A folder stands for the mesh files in it.

    Where two files share a stem (a.obj, a.ply), the suffix joins the name of the results.

    Raises:
      CommandError: there are folders alone, and none that can be listed and holds a mesh; results
        would lie beside the scans, where the next run would take them for scans.
    """
    from i2uv_jax.registration.scan import SCAN_SUFFIXES

    paths: dict[Path, Path] = {}
    problems: list[str] = []
    for argument in arguments:
        found = [argument]
        if argument.is_dir():
            try:
                found = files_with_suffix(argument, SCAN_SUFFIXES, "meshes")
            except CommandError as error:
                problems.append(str(error))
                continue
        for path in found:
            if path.absolute().parent.resolve() == out.resolve():
                raise CommandError(f"--out {out}: holds scans, choose another folder")
            paths.setdefault(path.resolve(), path)
    if not paths:
        raise CommandError("; ".join(problems))
    # In lower case, since on some file systems A.npz and a.npz are one file.
    stems = Counter(path.stem.lower() for path in paths.values())
    scans: dict[str, Path] = {}
    for path in paths.values():
        stem = path.stem
        if stems[stem.lower()] > 1:
            stem = f"{stem}_{path.suffix.lstrip('.')}"
        taken = {one.lower() for one in scans}
        name, number = stem, 1
        while name.lower() in taken or (name != path.stem and name.lower() in stems):
            number += 1
            name = f"{stem}_{number}"
        scans[name] = path
    return scans, problems
