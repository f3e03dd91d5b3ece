"""A choice of tables understands names as people write them."""

from __future__ import annotations

import pytest

from backstay.databases import TableChoice


@pytest.mark.parametrize("pattern", ["#__users", "users", "new_users", "us*", "#__*"])
@pytest.mark.parametrize("dumped", ["#__users", "old_users"])
def test_a_name_fits_with_and_without_its_prefix(pattern: str, dumped: str) -> None:
    choice = TableChoice([pattern], dumped_prefix="old_", prefix="new_")
    assert choice.wants(dumped)
    assert not choice.wants("other")


def test_a_name_fits_as_it_stands_in_the_dump() -> None:
    assert TableChoice(["old_users"], dumped_prefix="old_", prefix="new_").wants("old_users")


def test_without_patterns_everything_is_wanted() -> None:
    choice = TableChoice([])
    assert not choice
    assert choice.wants("anything")


def test_schemas_other_than_public_are_named() -> None:
    assert TableChoice(["users", "public.content", "shop.orders"]).wants("users", "public")
    assert TableChoice(["users", "public.content", "shop.orders"]).wants("content", "public")
    assert TableChoice(["users", "public.content", "shop.orders"]).wants("orders", "shop")
    assert not TableChoice(["users", "orders"]).wants("orders", "shop")
