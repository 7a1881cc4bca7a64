"""Guessing at passwords, against a clock that the test turns."""

import pytest

from sac.ui.serving.guessing import ADDRESS, MOST, NAME, PAIR, Guesses, Tally, block_of, in_words
from sac.ui.serving.sessions import Links, guest

HERE, THERE = "192.0.2.1", "198.51.100.7"


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_four_wrong_tries_are_free_then_the_wait_doubles_to_a_quarter_of_an_hour(clock):
    guesses, waits = Guesses(clock), []
    for _ in range(11):
        guesses.wrong("ada", HERE)
        waits.append(guesses.wait("ada", HERE))
        clock.now += waits[-1]
        assert guesses.wait("ada", HERE) == 0
    assert waits == [0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900]


def test_a_wait_holds_to_its_end(clock):
    guesses = Guesses(clock)
    for _ in range(PAIR):
        guesses.wrong("ada", HERE)
    clock.now += 29.5
    assert guesses.wait("ada", HERE) == 0.5 and guesses.wait("ada", THERE) == 0 and guesses.wait("eve", HERE) == 0


def test_wrong_tries_are_forgotten_after_a_quarter_of_an_hour_or_a_right_one(clock):
    guesses = Guesses(clock)
    for _ in range(PAIR - 1):
        guesses.wrong("ada", HERE)
    clock.now += 15 * 60
    guesses.wrong("ada", HERE)
    assert guesses.wait("ada", HERE) == 0
    for _ in range(3 * PAIR):
        guesses.wrong("ada", HERE)
        clock.now += guesses.wait("ada", HERE)
        guesses.right("ada", HERE)
    assert guesses.wait("ada", HERE) == 0


def test_an_address_that_tries_many_names_waits_with_all_of_them(clock):
    guesses = Guesses(clock)
    for number in range(ADDRESS):
        guesses.wrong(f"name {number}", HERE)
    assert guesses.wait("another", HERE) == 30 and guesses.wait("another", THERE) == 0


def test_many_addresses_that_guess_at_one_name_wait_together_but_its_owner_does_not(clock):
    guesses = Guesses(clock)
    guesses.right("ada", "203.0.113.9")
    for number in range(NAME):
        guesses.wrong("ada", f"198.51.100.{number}")
    assert guesses.wait("ada", THERE) == guesses.wait("ada", HERE) == 30
    assert guesses.wait("ada", "203.0.113.9") == 0
    for _ in range(PAIR):
        guesses.wrong("ada", "203.0.113.9")
    assert guesses.wait("ada", "203.0.113.9") == 30


def test_memory_is_bounded(clock):
    tally = Tally(PAIR, clock)
    for number in range(MOST + 500):
        tally.wrong(number)
    assert len(tally.tried) == MOST and 499 not in tally.tried and 500 in tally.tried
    guesses = Guesses(clock)
    for number in range(MOST + 5):
        guesses.right("ada", f"10.0.{number // 256}.{number % 256}")
    assert len(guesses.at_home) == MOST


def test_an_ipv6_customer_is_one_address():
    assert block_of("2001:db8:1:2:3:4:5:6") == block_of("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert block_of("2001:db8:1:3::1") != block_of("2001:db8:1:2::1")
    assert block_of("::ffff:192.0.2.1") == block_of("192.0.2.1") == "192.0.2.1"
    assert block_of("fe80::1%eth0") == "fe80::/64" and block_of("") == block_of("testclient") == "unknown"


def test_a_wait_in_words():
    assert [in_words(s) for s in (0.2, 30, 60, 120, 479, 900)] == [
        "2 seconds", "30 seconds", "60 seconds", "2 minutes", "8 minutes", "15 minutes",
    ]  # fmt: skip


def test_a_link_is_asked_for_again_after_a_second(clock):
    asked = []
    links = Links(lambda token: not asked.append(token) and len(asked) == 1, clock)
    token = "a" * 32
    assert links.valid(token) and links.valid(token) and len(asked) == 1
    clock.now += 1
    assert not links.valid(token) and len(asked) == 2


def test_what_cannot_be_a_link_is_not_asked_for(clock):
    links = Links(lambda token: pytest.fail("asked"), clock)
    assert not any(links.valid(token) for token in ("", "short", "a" * 129, "a" * 20 + "\n", "../" * 10, "ä" * 32))


def test_a_guests_name_tells_nothing_of_the_link():
    assert guest("abc") == "link:ba7816bf8f01cfea"  # sha256("abc"), FIPS 180-2's example
