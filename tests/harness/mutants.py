"""Break the guards one small change at a time, and see that a test notices each.

    make mutants                            # all; the last line has the counts
    make mutants ARGS="checks.py --list"    # what would be changed in one file
    make mutants ARGS="--match checks.number" # only some of them

Every change of a comparison, condition, number, text, call or statement of these modules is a
mutant. It is killed if a test fails, or does not end; those that no test can tell from the original
are listed in `ALIVE`, each with the reason. A mutant is a fork of a process that has imported
everything but the project, so that it costs a second or two.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import os
import re
import signal
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 300  # after which a mutant counts as one that does not end
WORKERS = 2

# modules, with the tests that are to notice: those that end soon first, then the rest
TESTS = {
    "autoencoding.checks": [
        ["tests/test_checks.py"],
        ["tests/data/test_rows.py", "tests/models/test_models.py", "tests/test_faults.py"],
    ],
    "autoencoding.saving.checkpoints": [
        ["tests/saving/test_checkpoints.py", "-k", "not format_2"],
        ["tests/test_faults.py", "-k", "row_38 or row_39 or row_40 or row_42 or row_44"],
    ],
    "autoencoding.saving.manifests": [
        ["tests/saving/test_checkpoints.py", "-k", "not format_2"],
    ],
    "autoencoding.saving.tensorflow1.tables": [["tests/saving/test_foreign_files.py"]],
    "autoencoding.saving.tensorflow1.files": [
        ["tests/saving/test_foreign_files.py", "tests/saving/test_tensorflow1.py"]
    ],
    "autoencoding.saving.safe_pickle": [
        ["tests/test_cifar.py", "-k", "not download and not anywhere and not light and not server"],
        ["tests/test_cifar.py"],
    ],
    "cifar": [
        ["tests/test_cifar.py", "-k", "not download and not anywhere and not light"],
        ["tests/test_cifar.py", "-k", "download or anywhere or light"],
    ],
}

LIMIT = "a limit with room: any near it would do"

# What no test can tell from the original, by what `Mutant.key` says, as regular expressions
ALIVE: dict[str, str] = {
    r"autoencoding.checks.: (1 -> 2.*|24 -> 25)": LIMIT,
    r"autoencoding.checks.finite: if array.dtype.kind != 'f' -> if False": "only spares the time",
    r"autoencoding.checks.finite: (array.*copy=False.*|False -> True)": "only spares the memory",
    r"autoencoding.checks._real: 'biuf' -> 'biufX'": "no dtype is of that kind",
    r"autoencoding.saving.manifests.*encoding='utf-8'.*": "JSON is ASCII",
    r"autoencoding.saving.manifests.write: 1 -> 2": "how a manifest is indented",
    r"autoencoding.saving.manifests.*: (warnings.warn.*|2 -> 3|4 -> 5)": "the line warned of",
    r"autoencoding.saving.checkpoints.*: (warnings.warn.*|2 -> 3|4 -> 5)": "the line warned of",
    r"autoencoding.saving.checkpoints.restore: np.load.* -> np.load.*LAST}'\)": "NumPy's default",
    r"autoencoding.saving.safe_pickle.: (64|2|20|10|6) -> .*": LIMIT,
    r"autoencoding.saving.safe_pickle._Unpickler._array: (self.left < 0 -> .*|0 -> 1)": (
        "a file has more than its arrays"
    ),
    r"autoencoding.saving.safe_pickle._Unpickler.load_put: 9 -> 10": LIMIT,
    r"cifar.: 20 -> 21( #2)?": LIMIT,
    r"cifar._members: 100 -> 101": LIMIT,
    r"cifar._BoundedGzip.read: 0 <= size <= min.* -> 0 <= size < .*": LIMIT,
    r"cifar._BoundedGzip.seek: offset > MAX_ARCHIVE -> .*": LIMIT,
    r"cifar.: '(https|6d95|cifar-10-python).*": "the official archive's; tests have no network",
    r"cifar.images: 1 -> 2": "NumPy takes any negative size for what is left",
    r"cifar.download: (pooch|True).*": "the progress bar, which is for people",
    r"cifar.download: ' ' -> ' X'": "between the words of a message",
    r"cifar._members: \[_ for name, file .*": "a regular member always opens; for the type checker",
    r"cifar._BoundedGzip.read: (1 -> 2|size is None or.*)": "refused all the same",
    r"cifar._BoundedGzip.read: (0 -> 1|0 <= size <= min.* -> 0 < .*)": "nobody reads 0 bytes",
    r"cifar._read: 3072 -> 3073": "each row has its label beside it, in two bytes of the file",
}

PAIRS = [
    *[(ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.In, ast.NotIn)],
    *[(ast.Is, ast.IsNot), (ast.And, ast.Or), (ast.Add, ast.Sub), (ast.Mult, ast.FloorDiv)],
]
SWAPPED: dict[type, type] = {
    **{one: other for pair in PAIRS for one, other in (pair, pair[::-1])},
    **{ast.Div: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult},
    **{ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift},
}


class Mutant(NamedTuple):
    """A module with one change."""

    module: str
    where: str  # the function changed
    change: str
    tree: ast.Module

    @property
    def key(self) -> str:
        """What this is called in `ALIVE`."""
        return f"{self.module}.{self.where}: {self.change}"


# Making mutants


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """Other forms of a node."""
    match node:
        case ast.Compare(ops=[op]) | ast.BoolOp(op=op) | ast.BinOp(op=op) if type(op) in SWAPPED:
            changed = copy.deepcopy(node)
            other = SWAPPED[type(op)]()
            setattr(
                changed, *(("ops", [other]) if isinstance(node, ast.Compare) else ("op", other))
            )
            yield changed
        case ast.Compare(ops=ops) if len(ops) > 1:
            for number, op in enumerate(ops):
                changed = copy.deepcopy(node)
                changed.ops[number] = SWAPPED[type(op)]()
                yield changed
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield ast.Constant(value + 1)
        case ast.Constant(value=str() as value):
            yield ast.Constant(value + "X")
        case ast.Constant(value=bytes() as value):
            yield ast.Constant(value + b"X")
        case ast.If() | ast.IfExp() | ast.While():
            for value in (True, False) if not isinstance(node, ast.While) else (False,):
                changed = copy.copy(node)
                changed.test = ast.Constant(value)
                yield changed
        case ast.Raise() | ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Continue():
            yield ast.Pass()
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.ExceptHandler(type=ast.Tuple(elts=kinds)):
            for number in range(len(kinds)):
                changed = copy.deepcopy(node)
                del changed.type.elts[number]
                yield changed
        case ast.comprehension(ifs=[_, *_]):
            changed = copy.deepcopy(node)
            changed.ifs = []
            yield changed
        case ast.Slice(lower=lower, upper=upper):
            if lower is not None:
                yield ast.Slice(None, upper, node.step)
            if upper is not None:
                yield ast.Slice(lower, None, node.step)
    if isinstance(node, ast.BoolOp):
        yield from node.values
    if isinstance(node, ast.Call):
        for number in range(len(node.keywords)):
            changed = copy.deepcopy(node)
            del changed.keywords[number]
            yield changed


def places(tree: ast.AST, where: str = "") -> Iterator[tuple[str, ast.AST, str, int | None]]:
    """Nodes that may be changed: the function they are in, their parent, and where they hang."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for number, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(node, ast.AST) or is_prose(node):
                continue
            named = isinstance(node, (ast.FunctionDef, ast.ClassDef))
            inside = f"{where}.{node.name}".strip(".") if named else where
            yield inside, tree, field, number
            if not isinstance(node, (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)):
                yield from places(node, inside)


def is_prose(node: ast.AST) -> bool:
    """Whether this is a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def sound(module: str) -> Mutant:
    """A module without any change, which must pass."""
    path = ROOT / (module.replace(".", "/") + ".py")
    return Mutant(module, "", "nothing", ast.parse(path.read_text(encoding="utf-8")))


def mutants(module: str) -> Iterator[Mutant]:
    """Every change of a module, one at a time."""
    tree = sound(module).tree
    seen: dict[str, int] = {}
    for where, parent, field, number in list(places(tree)):
        held = getattr(parent, field)
        node = held if number is None else held[number]
        for other in variants(node):
            change = f"{shown(node)} -> {shown(other)}"
            key = f"{where}: {change}"
            seen[key] = seen.get(key, 0) + 1
            if seen[key] > 1:
                change += f" #{seen[key]}"
            put(parent, field, number, other)
            changed = ast.fix_missing_locations(copy.deepcopy(tree))
            put(parent, field, number, node)
            yield Mutant(module, where, change, changed)


def put(parent: ast.AST, field: str, number: int | None, node: ast.AST) -> None:
    """Hang a node where another was."""
    if number is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[number] = node


def shown(node: ast.AST) -> str:
    """A node in a line, at most its first 90 characters."""
    if isinstance(node, ast.comprehension):
        return shown(ast.ListComp(ast.Name("_"), [node]))
    if isinstance(node, (ast.If, ast.While)):
        return f"{type(node).__name__.lower()} {shown(node.test)}"
    return " ".join(ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).split())[:90]


# Trying them


def fork(mutant: Mutant, tests: list[str]) -> int:
    """Start the tests on a mutant in a process of its own; return its number."""
    child = os.fork()
    if child:
        return child
    status = 3
    try:
        os.setsid()  # so that what it starts ends with it
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        status = noticed(mutant, tests)
    finally:
        os._exit(status)


def noticed(mutant: Mutant, tests: list[str]) -> int:
    """Run tests on a mutant in this process: 0 if they pass."""
    import pytest

    package, _, name = mutant.module.rpartition(".")
    module = types.ModuleType(mutant.module)
    module.__file__ = str(ROOT / (mutant.module.replace(".", "/") + ".py"))
    sys.modules[mutant.module] = module
    if package:
        setattr(importlib.import_module(package), name, module)
    exec(compile(mutant.tree, module.__file__, "exec"), vars(module))
    with tempfile.TemporaryDirectory() as folder:
        options = ["-x", "-q", "-p", "no:cacheprovider", "--basetemp", folder]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        return int(pytest.main([*options, *tests]))


def survivors(some: list[Mutant], stage: int) -> list[Mutant]:
    """Those that the tests of a stage don't notice, a few at a time."""
    waiting, running, alive = list(reversed(some)), {}, set()
    while waiting or running:
        while waiting and len(running) < WORKERS:
            mutant = waiting.pop()
            running[fork(mutant, TESTS[mutant.module][stage])] = mutant, time.monotonic()
        child, status = os.waitpid(-1, os.WNOHANG)
        if child:
            mutant, _ = running.pop(child)
            if status == 0:
                alive.add(mutant)
        for child, (_, start) in running.items():
            if time.monotonic() - start > SECONDS:
                os.killpg(child, signal.SIGKILL)
        time.sleep(0.02)
    return [mutant for mutant in some if mutant in alive]


def main() -> None:
    """Try all mutants, and end with status 1 where one lives without a reason."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", help="names of some of the files")
    parser.add_argument("--match", default="", help="only mutants whose key has this expression")
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    args = parser.parse_args()
    os.chdir(ROOT)
    start, names = time.monotonic(), [name.removesuffix(".py") for name in args.files]
    chosen = [name for name in TESTS if not names or name.rpartition(".")[2] in names]
    every = (mutant for name in chosen for mutant in mutants(name))
    some = [mutant for mutant in every if re.search(args.match, mutant.key)]
    if args.list:
        sys.exit("\n".join(mutant.key for mutant in some))
    for name in ("hypothesis", "PIL.Image", "pytest", "sklearn.datasets", "tensorflow", "xdist"):
        importlib.import_module(name)
    unchanged = [sound(name) for name in chosen]
    if survivors(survivors(unchanged, 0), 1) != unchanged:
        sys.exit("tests fail without any change")
    alive = survivors(survivors(some, 0), 1)
    reasons = {m.key: r for m in alive for key, r in ALIVE.items() if re.fullmatch(key, m.key)}
    for mutant in alive:
        print(f"alive: {mutant.key}: {reasons.get(mutant.key, 'NO REASON')}")
    unexplained = len(alive) - len(reasons)
    print(
        f"{len(some)} mutants, {len(some) - len(alive)} killed, {len(reasons)} alive for a reason, "
        f"{unexplained} for none; {time.monotonic() - start:.0f} s"
    )
    sys.exit(unexplained > 0)


if __name__ == "__main__":
    main()
