"""Serves the page in the browser."""

import argparse
import os
import sys
from pathlib import Path

from faststyle.commands.terminal import build_parser, run_parsed, whole

MOST_PORT = 65535
PAGE = Path(__file__).parents[1] / "app" / "page.py"


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    return run_parsed(parse(argv), serve)


def parse(argv: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = build_parser(
        "app",
        "A page in the browser: drop a photograph, see it in all shipped styles, turn strength, mixture, size of the "
        "strokes and colours, download it in full size; paint it like any painting; watch trainings. Photographs stay "
        "on the server while they are painted. Ctrl-C ends it.",
    )
    add = parser.add_argument
    add("--port", type=whole(1, MOST_PORT), default=8501, help="default: %(default)s")
    add("--public", action="store_true", help="for other machines, too; default: this one only")
    add("--upload-limit", type=whole(1, 1000), default=50, metavar="MB", help="default: %(default)s")
    add("--runs", type=Path, default=Path("runs"), metavar="DIR", help="of the trainings; default: %(default)s")
    add("--check", action="store_true", help="print what would be run, and end")
    return parser.parse_args(argv)


def serve(args: argparse.Namespace) -> None:
    """Runs Streamlit, which loads the page, until Ctrl-C."""
    options = {
        "server.port": args.port,
        "server.address": "0.0.0.0" if args.public else "127.0.0.1",
        "server.maxUploadSize": args.upload_limit,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "full" if args.debug else "none",
    }
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(PAGE),
        *(f"--{key}={value}" for key, value in options.items()),
        "--",
        str(args.runs.absolute()),
    ]
    if args.check:
        print(*command)
        return
    print(f"http://localhost:{args.port} until Ctrl-C", flush=True)
    os.execv(sys.executable, command)  # so that signals are Streamlit's
