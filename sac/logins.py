"""Names and passwords: a file with one `name:scrypt$n$r$p$salt$hash` a line. No password is ever in it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import os
import secrets
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from sac.errors import OptionError

SHORTEST, LONGEST = 8, 1024
"""Letters of a password."""
LONGEST_NAME = 64
HASH_IT = "python -m sac user FILE NAME"
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cost:
    """What one try costs with scrypt (RFC 7914): n * r * 128 bytes, and time in proportion to n * r * p."""

    n: int = 2**14
    r: int = 8
    p: int = 5
    """With the others: 16 MiB and a fifth of a second, one of the settings that OWASP's cheat sheet recommends."""

    def __post_init__(self):
        if self.n & (self.n - 1) or not (2**10 <= self.n <= 2**20 and 1 <= self.r <= 32 and 1 <= self.p <= 16):
            raise OptionError(f"scrypt's n {self.n}, r {self.r}, p {self.p} are outside what is accepted")
        if self.memory > 2**28:
            raise OptionError(f"scrypt with n {self.n} and r {self.r} would take more than 256 MiB for each try")

    @property
    def memory(self) -> int:
        return 128 * self.n * self.r

    def digest(self, password: str, salt: bytes) -> bytes:
        """32 bytes. Letters that look alike and are written in two ways count as the same."""
        letters = unicodedata.normalize("NFC", password).encode()
        return hashlib.scrypt(letters, salt=salt, n=self.n, r=self.r, p=self.p, maxmem=2 * self.memory, dklen=32)


@dataclass(frozen=True)
class Hashed:
    """A password that cannot be read back."""

    cost: Cost
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str, cost: Cost = Cost()) -> Hashed:
        """Raises OptionError where the password is too short or too long."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise OptionError(f"a password has {SHORTEST} to {LONGEST} letters; this one has {len(password)}")
        salt = secrets.token_bytes(16)
        return cls(cost, salt, cost.digest(password, salt))

    @classmethod
    def read(cls, text: str) -> Hashed:
        """Raises ValueError where the text is no such hash, OptionError where its cost is out of bounds."""
        kind, n, r, p, salt, digest = text.split("$")
        if kind != "scrypt":
            raise ValueError(kind)
        read = cls(Cost(int(n), int(r), int(p)), *(base64.b64decode(part, validate=True) for part in (salt, digest)))
        if len(read.salt) < 16 or len(read.digest) != 32:
            raise ValueError("cut short")
        return read

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt${self.cost.n}${self.cost.r}${self.cost.p}${salt}${digest}"

    def fits(self, password: str) -> bool:
        """In a time that says nothing of the answer."""
        return hmac.compare_digest(self.cost.digest(password[:LONGEST], self.salt), self.digest)


class Accounts:
    """Who may log in. The file is read again when it changes: no restart is needed to add, change or remove a name."""

    def __init__(self, path: Path):
        """Raises OptionError where the file cannot be read or is not as it should be."""
        self.path = path
        self._seen = _stamp(path)
        self._kept = read(path)
        if not self._kept:
            raise OptionError(f"{path} has no names in it; add one with {HASH_IT}")
        self._nobody = Hashed.of(secrets.token_urlsafe(16), next(iter(self._kept.values())).cost)

    def check(self, name: str, password: str) -> bool:
        """Whether the password is this name's. An unknown name takes as long as a known one."""
        hashed = self._now().get(name)
        fits = (hashed or self._nobody).fits(password)
        return fits and hashed is not None

    def proof(self, name: str) -> str:
        """Changes with the password; "" for a name that is not, or no longer, in the file."""
        hashed = self._now().get(name)
        return str(hashed) if hashed else ""

    def _now(self) -> dict[str, Hashed]:
        stamp = _stamp(self.path)
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._kept = read(self.path)
            except OptionError as error:  # half-written by an editor, say: nobody is locked out by that
                LOG.warning("%s; the names and passwords read before stay", error)
        return self._kept


def read(path: Path) -> dict[str, Hashed]:
    """The file's names and hashes, in its order. Raises OptionError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise OptionError(f"{path} cannot be read; a file made by {HASH_IT} is needed") from error
    return dict(_entry(path, number, line) for number, line in enumerate(lines, 1) if line.strip())


def write(path: Path, name: str, hashed: Hashed | None) -> None:
    """Adds a name or replaces its line; None removes it. The file is whole at any moment, and its owner's alone."""
    kept = read(path) if path.exists() else {}
    kept.pop(name, None)
    if hashed:
        kept[checked(name)] = hashed
    text = "".join(f"{name}:{kept}\n" for name, kept in kept.items())
    try:
        with NamedTemporaryFile("w", dir=path.absolute().parent, encoding="utf-8", delete=False) as beside:  # 0600
            beside.write(text)
            beside.flush()
            os.fsync(beside.fileno())
        os.replace(beside.name, path)
    except OSError as error:
        raise OptionError(f"{path} cannot be written: {error.strerror}") from error


def checked(name: str) -> str:
    """The name, if it may be one. Raises OptionError."""
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or any(c == ":" or c.isspace() for c in name):
        raise OptionError(f"{name[:80]!r} is no name: 1 to {LONGEST_NAME} letters without spaces and colons are needed")
    return name


def _entry(path: Path, number: int, line: str) -> tuple[str, Hashed]:
    """One line. What a wrong one holds is not repeated: it may be a password."""
    name, colon, hashed = line.strip().partition(":")
    with suppress(ValueError, OptionError):
        if colon:
            return checked(name), Hashed.read(hashed)
    raise OptionError(f"{path}, line {number}: no name with a hashed password; {HASH_IT} asks for one and writes it")


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        facts = path.stat()
    except OSError:
        return ()
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
