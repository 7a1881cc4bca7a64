"""Wrong passwords: whoever guesses waits, longer each time.

Three counts, each forgotten a quarter of an hour after its last wrong try or wait:

* a name from one address: from the fifth wrong try on. This is what a guesser meets, and a forgetful user.
* an address, whatever names it tries: from the fifteenth on.
* a name, from wherever: from the fiftieth on, against many addresses that guess together.

A wait is 30 s at first and twice as long with each further wrong try, up to a quarter of an hour; right passwords are
refused meanwhile, else the wait would not keep a guesser from trying. Somebody who guesses at a colleague's name from
elsewhere can so lock out everybody, but not the colleague: where a name once logged in with success, only the first
count holds. Behind a proxy all visitors share an address, unless FORWARDED_ALLOW_IPS names the proxy (uvicorn's
setting); a guesser there makes the others wait, too, for as long as he goes on.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

FIRST, LONGEST = 30.0, 15 * 60.0
"""Seconds of the first wait and of the longest."""
WINDOW = 15 * 60.0
"""Seconds after which wrong tries are forgotten."""
PAIR, ADDRESS, NAME = 5, 15, 50
"""Wrong tries that make the first wait."""
MOST = 4096
"""Entries of a count; beyond it those go that were touched longest ago. Each costs an attacker a wrong try."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class Tried:
    """Wrong tries so far, and the moments at which the wait ends and at which all is forgotten."""

    wrong: int = 0
    until: float = 0.0
    forgotten: float = 0.0


class Tally:
    """Counts wrong tries by a key."""

    def __init__(self, limit: int, clock: Clock, most: int = MOST):
        self.limit, self.clock, self.most = limit, clock, most
        self.tried: OrderedDict[Hashable, Tried] = OrderedDict()

    def wait(self, key: Hashable) -> float:
        """Seconds, 0.0 where a try is allowed."""
        return max(0.0, self._of(key).until - self.clock())

    def wrong(self, key: Hashable) -> None:
        now, count = self.clock(), self._of(key).wrong + 1
        wait = min(LONGEST, FIRST * 2 ** min(count - self.limit, 16)) if count >= self.limit else 0.0
        self.tried[key] = Tried(count, now + wait, now + wait + WINDOW)
        self.tried.move_to_end(key)
        while len(self.tried) > self.most:
            self.tried.popitem(last=False)

    def forget(self, key: Hashable) -> None:
        self.tried.pop(key, None)

    def _of(self, key: Hashable) -> Tried:
        found = self.tried.get(key, Tried())
        return found if found.forgotten > self.clock() else Tried()


class Guesses:
    """All three counts. A caller asks `wait`, checks the password, and says `wrong` or `right`: one try at a time."""

    def __init__(self, clock: Clock = time.monotonic):
        self.pairs, self.addresses, self.names = (Tally(limit, clock) for limit in (PAIR, ADDRESS, NAME))
        self.at_home: OrderedDict[Hashable, None] = OrderedDict()
        """Names and the addresses where they logged in."""

    def wait(self, name: str, address: str) -> float:
        """Seconds that this name must wait at this address, 0.0 where it may try."""
        pair = (name, block_of(address))
        if pair in self.at_home:
            return self.pairs.wait(pair)
        return max(self.pairs.wait(pair), self.addresses.wait(pair[1]), self.names.wait(name))

    def wrong(self, name: str, address: str) -> None:
        pair = (name, block_of(address))
        self.pairs.wrong(pair)
        self.addresses.wrong(pair[1])
        self.names.wrong(name)

    def right(self, name: str, address: str) -> None:
        pair = (name, block_of(address))
        self.pairs.forget(pair)
        self.at_home[pair] = None
        self.at_home.move_to_end(pair)
        while len(self.at_home) > MOST:
            self.at_home.popitem(last=False)


def block_of(address: str) -> str:
    """The address; of IPv6 the /64 that one customer has to himself."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed), 64), strict=False))


def in_words(seconds: float) -> str:
    """A wait as one says it: 30 seconds, 8 minutes."""
    if seconds < 90:
        return f"{max(2, round(seconds))} seconds"
    return f"{-int(-seconds // 60)} minutes"
