"""Embeddings are made once, kept within a budget, and never stand in one another's way."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from sac.inference.cache import Cache
from sac.inference.predictor import Embedding

PATIENCE = 20
"""Seconds after which threads that wait for one another never will be done."""


def embedding(nbytes: int) -> Embedding:
    """Half of its bytes are features, a quarter the tiles' maps and a quarter the picture's."""
    floats = nbytes // 4
    features, maps, whole = floats // 2, floats // 4, floats // 4
    return Embedding((1, 1), 1.0, [], torch.zeros(features), torch.zeros(maps), np.zeros(whole, np.float32))


class Maker:
    """Makes embeddings of a size, and knows for how many it was asked."""

    def __init__(self, nbytes: int = 16):
        self.nbytes, self.made = nbytes, 0

    def __call__(self) -> Embedding:
        self.made += 1
        return embedding(self.nbytes)


def test_an_equal_key_is_made_once():
    cache, make = Cache(100), Maker()
    first = cache.get(("digest", "nuclei", True), make)
    assert cache.get(("digest", "nuclei", True), make) is first and make.made == 1
    assert cache.get(("digest", "nuclei", False), make) is not first and make.made == 2


def test_bytes_of_features_maps_and_picture_are_counted():
    cache = Cache(1000)
    assert cache.nbytes == 0
    cache.get("a", lambda: embedding(160))
    cache.get("b", lambda: embedding(80))
    assert cache.nbytes == 160 + 80


def test_what_two_keys_keep_counts_once():
    cache = Cache(100)
    one = cache.get("a", Maker(48))
    assert cache.get("b", lambda: one) is one and cache.nbytes == 48
    cache.get("c", Maker(48))
    assert cache.nbytes == 96 and cache.get("b", fails) is one


def test_the_least_recently_used_goes_first():
    cache, makers = Cache(100), {key: Maker(48) for key in "abc"}
    for key in "abac":  # a was used after b, so b goes when c comes
        cache.get(key, makers[key])
    assert cache.nbytes == 96
    for key in "ac":
        cache.get(key, makers[key])
    assert {key: make.made for key, make in makers.items()} == {"a": 1, "b": 1, "c": 1}
    cache.get("b", makers["b"])
    assert makers["b"].made == 2


def test_exactly_the_budget_fits_and_a_byte_less_does_not():
    for budget, kept in ((96, 96), (95, 48)):
        cache = Cache(budget)
        cache.get("a", Maker(48))
        cache.get("b", Maker(48))
        assert cache.nbytes == kept


def test_one_over_the_budget_is_kept_until_the_next_comes():
    cache, large, small = Cache(100), Maker(400), Maker(16)
    cache.get("large", large)
    cache.get("large", large)
    assert (large.made, cache.nbytes) == (1, 400)
    cache.get("small", small)
    assert cache.nbytes == 16


def test_of_two_threads_one_makes_and_the_other_waits():
    cache, begun, go_on = Cache(100), threading.Event(), threading.Event()
    make = Maker()

    def slowly():
        begun.set()
        assert go_on.wait(PATIENCE)
        return make()

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(cache.get, "a", slowly)
        assert begun.wait(PATIENCE)
        second = threads.submit(cache.get, "a", make)
        go_on.set()
        assert first.result(PATIENCE) is second.result(PATIENCE) and make.made == 1


def test_other_keys_do_not_wait():
    cache, done = Cache(100), threading.Event()

    def waits():
        assert done.wait(PATIENCE)
        return embedding(16)

    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(cache.get, "slow", waits)
        cache.get("quick", Maker())
        done.set()
        slow.result(PATIENCE)
    assert cache.nbytes == 32


def fails() -> Embedding:
    raise ValueError("not today")


def test_a_failure_is_told_and_the_key_can_be_asked_again():
    cache, make = Cache(100), Maker()
    for _ in range(2):
        with pytest.raises(ValueError, match="not today"):
            cache.get("a", fails)
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(cache.get, "a", make).result(PATIENCE) is cache.get("a", make)
    assert (make.made, cache.nbytes) == (1, 16)


def test_who_waited_for_a_failure_makes_it_himself():
    cache, make, begun, go_on = Cache(100), Maker(), threading.Event(), threading.Event()

    def fails_late():
        begun.set()
        assert go_on.wait(PATIENCE)
        raise ValueError("not today")

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(cache.get, "a", fails_late)
        assert begun.wait(PATIENCE)
        second = threads.submit(cache.get, "a", make)
        go_on.set()
        with pytest.raises(ValueError, match="not today"):
            first.result(PATIENCE)
        assert second.result(PATIENCE).nbytes == 16 and make.made == 1


def test_many_threads_on_few_keys_get_what_their_key_says():
    cache = Cache(5 * 80)
    sizes = [16 * (1 + number % 10) for number in range(200)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda size: cache.get(size, lambda: embedding(size)).nbytes, sizes))
    assert found == sizes and cache.nbytes <= 5 * 80
