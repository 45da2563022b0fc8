"""Every route on a net by somebody else: as if there were no such net, unless it is shared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from portgrad.store.keys import Keys
from support.fake_compute import FakeCompute, fake_net
from support.http import AppClient

from .test_matrix import ROUTES, header, verdict

Ask = Callable[..., Any]
NET = fake_net(note="ann's")
ABSENT = "0" * 64
ON_NETS = [(route, sent) for route, (_, sent, _) in ROUTES.items() if "{net}" in route[1]]
IDS = [" ".join(route) for route, _ in ON_NETS]
NOT_HERE = (404, "net_not_found")


def asking(guarded: AppClient, keys: Keys, owner: str, *scopes: str, **quota: int) -> Ask:
    found = header(keys.create(owner, scopes, **quota)[1])

    def ask(method: str, path: str, **sent: Any) -> Any:
        return guarded.request(method, path, **sent, headers=found)

    return ask


@pytest.fixture(scope="module")
def ann(guarded: AppClient, keys: Keys) -> Ask:
    return asking(guarded, keys, "ann", "read", "compute", "write")


@pytest.fixture(scope="module")
def bob(guarded: AppClient, keys: Keys) -> Ask:
    return asking(guarded, keys, "bob", "read", "compute", "write")


@pytest.fixture(scope="module")
def admin(guarded: AppClient, keys: Keys) -> Ask:
    return asking(guarded, keys, "root", "read", "compute", "write", "admin")


@pytest.fixture
def net(ann: Ask, admin: Ask) -> Iterator[str]:
    net_id: str = ann("POST", "/nets?name=anns", content=NET).json()["id"]
    yield net_id
    admin("DELETE", f"/nets/{net_id}?everyone=true")


def told(answer: Any, ref: str) -> tuple[Any, ...]:
    """All that an answer tells, but for what is never twice the same."""
    problem = answer.json()
    del problem["request_id"]
    headers = {k: v for k, v in answer.headers.items() if k not in {"x-request-id", "date"}}
    del headers["server-timing"]
    length = int(headers.pop("content-length"))
    text = {key: str(value).replace(ref, "REF") for key, value in problem.items()}
    # The reference stands in it twice.
    return answer.status_code, text, headers, length - 2 * len(ref)


@pytest.mark.parametrize(("route", "sent"), ON_NETS, ids=IDS)
def test_what_is_not_yours_answers_as_what_does_not_exist(
    net: str, bob: Ask, route: tuple[str, str], sent: dict[str, Any]
) -> None:
    method, path = route
    for mine, absent in ((net, ABSENT), ("anns", "nobodys")):
        answers = [
            told(bob(method, path.replace("{net}", ref), **sent), ref) for ref in (mine, absent)
        ]
        assert answers[0] == answers[1]
        assert answers[0][0] == 404


def test_what_others_have_is_new_to_who_uploads_it(
    net: str, ann: Ask, bob: Ask, compute: FakeCompute
) -> None:
    inspected = compute.inspected
    first = bob("POST", "/nets?name=anns", content=NET)
    assert (first.status_code, first.json()["id"], first.json()["names"]) == (201, net, ["anns"])
    assert compute.inspected == inspected + 1
    assert bob("POST", "/nets", content=NET).status_code == 200
    assert [one["id"] for one in bob("GET", "/nets").json()["nets"]] == [net]
    # Each has it until they remove it.
    compute.forgotten.clear()
    assert bob("DELETE", f"/nets/{net}").status_code == 204
    assert net not in compute.forgotten
    assert verdict(bob("GET", "/nets/anns")) == NOT_HERE
    assert ann("GET", "/nets/anns").json()["id"] == net
    assert ann("DELETE", f"/nets/{net}").status_code == 204
    assert compute.forgotten == [net]


@pytest.mark.parametrize(("route", "sent"), ON_NETS, ids=IDS)
def test_a_shared_net_is_used_by_its_id_and_changed_by_nobody_else(
    *, net: str, ann: Ask, bob: Ask, route: tuple[str, str], sent: dict[str, Any]
) -> None:
    method, path = route
    assert ann("PUT", f"/nets/{net}/shared").status_code == 204
    answer = bob(method, path.replace("{net}", net), **sent)
    changing = method in {"PUT", "DELETE"}
    assert verdict(answer) == ((403, "not_owner") if changing else (200, None))
    assert verdict(bob(method, path.replace("{net}", "anns"), **sent)) == NOT_HERE
    assert ann("GET", "/nets/anns").json()["shared"] is True


def test_sharing_ends(net: str, ann: Ask, bob: Ask) -> None:
    assert ann("POST", "/nets?shared=true", content=NET).json()["shared"] is True
    found = bob("GET", f"/nets/{net}").json()
    assert (found["id"], found["names"], found["shared"]) == (net, [], True)
    assert bob("GET", "/nets").json()["nets"] == []
    for _ in range(2):
        assert ann("DELETE", "/nets/anns/shared").status_code == 204
    assert verdict(bob("GET", f"/nets/{net}")) == NOT_HERE
    assert ann("GET", "/nets/anns").json()["shared"] is False


def test_an_admin_sees_every_net_by_its_id_and_can_take_it_away(
    net: str, ann: Ask, bob: Ask, admin: Ask
) -> None:
    bob("POST", "/nets", content=NET)
    assert admin("GET", f"/nets/{net}").json()["id"] == net
    assert verdict(admin("GET", "/nets/anns")) == NOT_HERE
    assert verdict(admin("DELETE", f"/nets/{net}")) == (403, "not_owner")
    for ref in (net, ABSENT):
        assert verdict(bob("DELETE", f"/nets/{ref}?everyone=true")) == (403, "missing_scope")
    assert verdict(admin("DELETE", "/nets/anns?everyone=true")) == (422, "invalid_field")
    assert verdict(admin("DELETE", f"/nets/{ABSENT}?everyone=true")) == NOT_HERE
    assert admin("DELETE", f"/nets/{net}?everyone=true").status_code == 204
    for ask in (ann, bob, admin):
        assert verdict(ask("GET", f"/nets/{net}")) == NOT_HERE


def test_a_key_brings_its_own_quota(guarded: AppClient, keys: Keys) -> None:
    size = len(fake_net(note="0"))
    few = asking(guarded, keys, "few", "write", "read", max_nets=2)
    small = asking(guarded, keys, "small", "write", "read", max_bytes=2 * size + 1)
    for ask, code in ((few, "too_many_nets"), (small, "quota_exceeded")):
        for note in "01":
            assert ask("POST", "/nets", content=fake_net(note=note)).status_code == 201
        refused = ask("POST", "/nets?name=a", content=fake_net(note="2"))
        assert verdict(refused) == (413, code)
        assert refused.json()["remedy"]
        assert ask("POST", "/nets", content=fake_net(note="0")).status_code == 200
        assert len(ask("GET", "/nets").json()["nets"]) == 2
