"""Runs the fenced blocks of a Markdown page, verbatim and in order, as its reader would.

What a fence's language means:

- `python`: a program, run as it stands. Starting with a comment that is only a file name (`# orders.py`),
  it is that file instead, written into the page's directory for the blocks after it.
- `yaml`, `toml`: a file, when they start with such a comment; otherwise shown only.
- `bash`: a script, run with `set -eu`.
- `console`: each `$ ` line is a command (`> ` continues it), the lines below it are what it prints.
  `…` or `...` stands for any text, white space is white space, and where no lines follow, all output is fine.
- `sh`: commands for the root of a checkout, one a line.
- `text`, `json`, `mermaid`, `sql`, `diff`: shown only.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["LANGUAGES", "Block", "BlockFailed", "Command", "Reader", "blocks", "commands", "matches"]

RUN = frozenset({"python", "bash", "console"})
CHECKOUT = "sh"
SHOWN = frozenset({"yaml", "toml", "text", "json", "mermaid", "sql", "diff"})
LANGUAGES = RUN | SHOWN | {CHECKOUT}

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w+-]*)[^\n]*\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
FILE = re.compile(r"# (?P<name>[\w./-]+\.(?:py|ya?ml|toml))\n")
ELLIPSIS = re.compile(r"…|\.\.\.")


class BlockFailed(AssertionError):
    """A block did not do what its page says."""


@dataclass(frozen=True)
class Block:
    """One fenced block: its page, the line of its fence, its language and its text."""

    page: str
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        """As errors print it."""
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file that the block is, if it is one."""
        named = FILE.match(self.text) if self.language in {"python", "yaml", "toml"} else None
        return named["name"] if named else None


@dataclass
class Command:
    """One command of a console block and the lines it should print."""

    text: str
    expected: list[str] = field(default_factory=list)


def blocks(page: str, text: str) -> list[Block]:
    """Every fenced block of a page, in order."""
    return [
        Block(page, text.count("\n", 0, m.start()) + 1, m["language"], _dedent(m["body"], len(m["indent"])))
        for m in FENCE.finditer(text)
    ]


def _dedent(body: str, width: int) -> str:
    return "".join(
        line[width:] if line[:width].isspace() else line for line in body.splitlines(keepends=True)
    )


def commands(block: Block) -> list[Command]:
    """The commands of a console block."""
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif not found:
            raise BlockFailed(f"{block.where}: a console block starts with `$ `, not with {line!r}")
        elif line.startswith("> ") and not found[-1].expected:
            found[-1].text += "\n" + line[2:]
        else:
            found[-1].expected.append(line)
    return found


def matches(expected: str, printed: str) -> bool:
    """Whether the output is what the page shows, with the freedoms that the module's docstring lists."""
    if not expected.strip():
        return True
    pieces = [r"\s+".join(map(re.escape, piece.split())) for piece in ELLIPSIS.split(expected.strip())]
    return re.fullmatch(r"\s*.*?\s*".join(pieces), printed.strip(), re.DOTALL) is not None


@dataclass(frozen=True)
class Reader:
    """Follows a page in `directory`, with these environment variables and `timeout` seconds a command."""

    directory: Path
    environment: Mapping[str, str]
    python: str = sys.executable
    timeout: float = 120

    def follow(self, block: Block) -> Iterator[str]:
        """Do what a block says; yields each command with its time, raises BlockFailed."""
        if block.file is not None:
            self._write(block.file, block.text)
            yield f"     wrote {block.file}"
        elif block.language == "python":
            name = f"line_{block.line}.py"
            self._write(name, block.text)
            yield self._run(block, [self.python, name], Command(f"the program of {block.where}"))
        elif block.language == "bash":
            yield self._run(block, ["bash", "-euc", block.text], Command(block.text.strip()))
        elif block.language == "console":
            for command in commands(block):
                yield self._run(block, ["bash", "-c", command.text], command)

    def _write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _run(self, block: Block, arguments: list[str], command: Command) -> str:
        started = time.monotonic()
        code, printed = self._output(arguments)
        if code is None:
            raise BlockFailed(
                f"{block.where}: still running after {self.timeout} s: {command.text}\n{printed}"
            )
        if code:
            raise BlockFailed(f"{block.where}: exit code {code}: {command.text}\n{printed}")
        expected = "\n".join(command.expected)
        if not matches(expected, printed):
            raise BlockFailed(f"{block.where}: {command.text}\nshould print\n{expected}\nprinted\n{printed}")
        return f"{time.monotonic() - started:6.2f} s  {command.text}"

    def _output(self, arguments: list[str]) -> tuple[int | None, str]:
        """Exit code (None: killed with all it had started when time was up) and what was printed."""
        with subprocess.Popen(
            arguments,
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                printed, _ = process.communicate(timeout=self.timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return None, process.communicate()[0]
            return process.returncode, printed
