"""An id that is made of a name is the one that everybody else makes of it."""

from __future__ import annotations

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from acp_langgraph.core.names import name_uuid


@given(st.uuids(), st.text())
def test_the_uuid_of_a_name_is_the_standard_librarys(namespace: UUID, name: str) -> None:
    assert name_uuid(namespace, name) == str(uuid5(namespace, name))
