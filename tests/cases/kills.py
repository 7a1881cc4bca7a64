"""Cases while processes are killed, and while many write: `python -m tests.cases.kills --times 50`.

A process saves and says each number that it was told is saved. It is killed with -9 at a random moment. Then the
database is whole, and every version that was acknowledged opens and is what was saved.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]

from case_works import digest, numbered, whole

from sac.cases import Cases, Owner

ADA = Owner("ada")
LONGEST = 0.15
"""Seconds that a writer lives at most, from its first version on: so, some tens of versions."""


def forked(write) -> tuple[int, int]:
    """Starts a process that does `write(say)`. Returns its id, and where what it says can be read."""
    heard, said = os.pipe()
    child = os.fork()
    if child:
        os.close(said)
        return child, heard
    try:
        write(lambda word: os.write(said, f"{word}\n".encode()))
    except Exception as error:
        os.write(2, f"{error!r}\n".encode())
        os._exit(1)
    os._exit(0)


def saving(folder: Path, round: int, say) -> None:
    """A case of its own, version after version, each with a comment; pictures of 27 kB and, now and then, of 1 MB."""
    cases = Cases(folder)
    case = cases.create(ADA, f"round {round}", made(round, 1))
    say(f"{case.id} 1")
    for number in range(2, 99):
        cases.save(case.id, ADA, made(round, number), number - 1, "")
        say(f"{case.id} {number}")
        cases.comment(case.id, ADA, number, 0, f"of {number}", "")


def made(round: int, number: int):
    return numbered(1000 * round + number, 600 if number % 7 == 0 else 96)


def killed(folder: Path, round: int, chance: random.Random) -> tuple[str, int]:
    """Kills one writer. Returns the id of its case and the last number that it was told."""
    child, heard = forked(lambda say: saving(folder, round, say))
    select.select([heard], [], [], 30)
    time.sleep(chance.uniform(0, LONGEST))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, "the writer ended by itself"
    with os.fdopen(heard) as stream:
        words = [line.split() for line in stream if line.endswith("\n")]
    return words[-1][0], int(words[-1][1])


def check(folder: Path, round: int, case: str, last: int) -> int:
    """Everything acknowledged is there, and at most one version more, whole, that nobody was told of."""
    assert whole(folder / "cases.db"), f"round {round}: the database is damaged"
    cases = Cases(folder)
    numbers = [v.number for v in cases.versions(case, ADA)]
    assert numbers in ([*range(last, 0, -1)], [*range(last + 1, 0, -1)]), f"round {round}: {numbers} of {last}"
    for number in numbers:
        assert digest(cases.open(case, ADA, number)[1]) == digest(made(round, number)), f"round {round}: {number}"
    assert len(cases.comments(case, ADA)) >= last - 2
    return len(numbers) - last


def kills(folder: Path, times: int, seed: int = 0) -> str:
    """Kills so many writers on one database, one after the other. Returns what was seen; AssertionError if lost."""
    chance, left = random.Random(seed), {}
    for round in range(times):
        case, last = killed(folder, round, chance)
        left[round] = case, last, check(folder, round, case, last)
    for round, (case, last, more) in left.items():  # what was there early on was not harmed later
        assert check(folder, round, case, last) == more
    versions, more = sum(last for _, last, _ in left.values()), sum(more for *_, more in left.values())
    return f"{times} kills: {versions} versions acknowledged, all there; {more} more, whole, that were not yet said"


def crowd(folder: Path, writers: int, each: int) -> str:
    """So many processes at once, on a database that is not there yet and on one case. AssertionError if any is lost."""
    begun = Cases(folder / "begun")
    case = begun.create(ADA, "of all", numbered(0))

    def write(n: int, say) -> None:
        own = Cases(folder / "new").create(ADA, f"of {n}", numbered(n))
        say(own.id)
        for number in range(each):
            say(begun.save(case.id, ADA, numbered(100 * n + number), 1, f"{n}", beside=True).version)

    children = {n: forked(lambda say, n=n: write(n, say)) for n in range(writers)}
    words = {}
    for n, (child, heard) in children.items():
        with os.fdopen(heard) as stream:
            words[n] = stream.read().split()
        assert os.waitpid(child, 0)[1] == 0, f"writer {n} failed"
    for n, (own, *numbers) in words.items():
        assert digest(Cases(folder / "new").open(own, ADA)[1]) == digest(numbered(n))
        for number, version in enumerate(map(int, numbers)):
            assert digest(begun.open(case.id, ADA, version)[1]) == digest(numbered(100 * n + number))
    told = sorted(int(version) for _, *numbers in words.values() for version in numbers)
    assert told == [*range(2, writers * each + 2)] and whole(begun.path) and whole(folder / "new" / "cases.db")
    return f"{writers} writers at once: {len(told)} versions and {writers} cases acknowledged, all there"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=50, help="writers that are killed")
    parser.add_argument("--writers", type=int, default=20, help="writers at once")
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(kills(Path(folder) / "kills", parsed.times, parsed.seed))
        print(crowd(Path(folder) / "crowd", parsed.writers, 3))


if __name__ == "__main__":
    main()
