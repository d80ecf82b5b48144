# SPDX-License-Identifier: GPL-2.0-or-later
"""The subcommands test, image and new-test of qemu/vm."""
import os
import re
import shutil
import sys
import time

import harness
from harness import HarnessError

from .image import make_image
from .run import Result, Run
from .spec import FLAVOURS, RECIPES, TESTS, find, test_groups


def show_list(specs):
    """The tests that there are."""
    names = [f"{spec.group}/{spec.name}" for spec in specs]
    width = max(map(len, names), default=0)
    for name, spec in zip(names, specs):
        print(f"{name:{width}}  {spec.description}")


def show_text(result):
    """One test for a person."""
    if result.skip:
        print(f"skip  {result.spec.name}: {result.skip}", flush=True)
    elif result.problem:
        print(f"FAIL  {result.spec.name}: {result.problem}")
        print("".join(f"      {line}\n" for line in result.detail), end="", flush=True)
    else:
        took = "known" if result.known else f"{result.seconds:.1f} s"
        print(f"ok    {result.spec.name} ({took})", flush=True)


def show_tap(result, number):
    """One test as a TAP result."""
    good = "not ok" if result.problem else "ok"
    skip = f" # SKIP {result.skip}" if result.skip else ""
    known = " (known)" * result.known
    print(f"{good} {number} - {result.spec.name}: {result.spec.description}{known}{skip}")
    if result.problem:
        print("".join(f"# {line}\n" for line in [result.problem] + result.detail), end="")
    sys.stdout.flush()


def check(args):
    """Raise HarnessError for arguments of vm test that make no sense."""
    if args.all == bool(args.names):
        raise HarnessError("name the tests to run, or give --all; --list shows them")
    if args.jobs < 1:
        raise HarnessError("--jobs must be at least 1")
    if args.stress is not None and args.stress < 1:
        raise HarnessError("--stress must be at least 1 second")


def run(args):
    """vm test: run tests, print TAP or text. Returns the exit status."""
    if args.list:
        show_list(find(args.names))
        return 0
    check(args)
    specs = find(args.names)
    live = len(specs) == 1 and not args.tap
    kernel = args.kernel or harness.kernel_of(args.flavour)
    todo = Run(kernel, args.flavour, os.path.join(harness.base_dir(), "log", args.flavour), live, args.known,
               args.stress)
    results = []

    def done(result):
        results.append(result)
        if args.tap:
            show_tap(result, len(results))
        else:
            show_text(result)

    def groups():
        for spec in specs:
            late = args.until is not None and time.time() > args.until
            group = Result(spec, skip="no time left for it; 'make test' takes all it needs") if late else \
                todo.group(spec)
            if isinstance(group, Result):
                done(group)
            else:
                yield group

    if args.tap:
        print(f"1..{len(specs)}", flush=True)
    harness.run_groups(groups(), args.jobs, lambda group: done(todo.judge(group)))
    failed = sum(1 for r in results if r.problem)
    skipped = sum(1 for r in results if r.skip)
    if not args.tap:
        print(f"{len(results) - failed - skipped} passed, {failed} failed" + f", {skipped} skipped" * bool(skipped))
    return 1 if failed else 0


def image(args):
    """vm image: make the image of a recipe and print its path."""
    recipes = sorted(os.listdir(RECIPES))
    if args.recipe not in recipes:
        raise HarnessError(f"there is no recipe '{args.recipe}'; there are: {', '.join(recipes)}")
    print(make_image(args.recipe, *args.option))
    return 0


def new_test(args):
    """vm new-test: copy the template."""
    if not re.fullmatch("[a-z0-9-]+/[a-z0-9][a-z0-9-]*", args.name):
        raise HarnessError(f"'{args.name}' is no name for a test; write GROUP/NAME with small letters, digits and '-', "
                           f"where GROUP is one of {', '.join(test_groups())}, or a new one")
    group, name = args.name.split("/")
    for old in test_groups():
        for ext in ("sh", "c"):
            if os.path.exists(os.path.join(TESTS, old, f"{name}.{ext}")):
                raise HarnessError(f"qemu/tests/{old}/{name}.{ext} is there already")
    path = os.path.join(TESTS, group, f"{name}.{args.language}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copyfile(os.path.join(TESTS, f"TEMPLATE.{args.language}"), path)
    print(f"{os.path.relpath(path)}: write what it checks, then 'make test T={name}'")
    return 0


def add_parser(sub):
    """Add "test" to the subcommands of qemu/vm."""
    flavour = os.environ.get("FLAVOUR", "fast")
    p = sub.add_parser("test", help="run guest tests",
                       description="Run guest tests (qemu/tests). Exit status: 0 all passed or were skipped, "
                       "1 a test failed, 2 wrong use.")
    p.add_argument("names", nargs="*", metavar="NAME", help="a test, or a group of tests")
    p.add_argument("--all", action="store_true", help="run all tests")
    p.add_argument("--list", action="store_true", help="list tests, run none")
    p.add_argument("--tap", action="store_true", help="print TAP, for prove")
    p.add_argument("--flavour", choices=FLAVOURS, default=flavour, help="kernel flavour (default: %(default)s)")
    p.add_argument("--kernel", metavar="IMAGE", default=os.environ.get("KERNEL"),
                   help="kernel to boot (default: $KERNEL, or that of the flavour)")
    p.add_argument("--known", metavar="FOLDER", help="do not run again what passed, by this folder, with the same "
                   "kernel, programs, images and QEMU; remember there what passes")
    p.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), metavar="N",
                   help="tests to run at a time (default: %(default)s)")
    p.add_argument("--until", type=float, metavar="TIME",
                   help="start no test after that, in seconds since 1970: the rest is skipped")
    p.add_argument("--stress", type=int, metavar="SECONDS",
                   help="how long stress tests go on (default: what each declares)")
    p.set_defaults(call=run)

    p = sub.add_parser("image", help="make an image by a recipe of the tests, print its path",
                       description="Make an image by a recipe (qemu/images/recipes), padded to 2 MiB, and print its "
                       "path. Options of mkfs.erofs follow after '--'.")
    p.add_argument("recipe", help="name of the recipe")
    p.add_argument("option", nargs="*", metavar="-- OPTION", help="for mkfs.erofs")
    p.set_defaults(call=image)

    p = sub.add_parser("new-test", help="make a guest test from the template")
    p.add_argument("name", metavar="GROUP/NAME", help="its group and its name")
    p.add_argument("language", nargs="?", choices=("sh", "c"), default="sh", help="default: sh")
    p.set_defaults(call=new_test)
