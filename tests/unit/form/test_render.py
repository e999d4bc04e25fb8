"""What the form shows, to whom, and how little it does again: real offers of the real resolver."""

from __future__ import annotations

import html
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from afkit.errors import IncompatibleError, UnknownOptionError
from afkit.facility.model import DaskOffer, Entry, Facility, Image, Lifetime
from afkit.hub.form import render
from afkit.policy.model import Inventory, PoolState, Usage, Use
from tests.unit.form import states
from tests.unit.form.page import Form, form_of

ALL = sorted(states.states())


def shown(groups: tuple[str, ...] = ("physicists",), of: Facility | None = None, **chosen: str) -> Form:
    """The form of somebody in these groups with this choice."""
    return form_of(states.State(states.offer_to(*groups, of=of), chosen).form)


@pytest.mark.parametrize("name", ALL)
def test_is_well_formed_and_every_field_has_a_name(name: str) -> None:
    form = form_of(states.states()[name].form)
    assert not form.open, "every element is closed"
    assert len(form.ids) == len(set(form.ids)), "no id twice"
    for radio in form.radios:
        assert radio["id"] in form.labels, "every radio button has a label"
        assert set(radio.get("aria-describedby", "").split()) <= set(form.ids), "what describes it exists"


@pytest.mark.parametrize("name", ALL)
def test_never_names_what_is_hidden(name: str) -> None:
    text = states.states()[name].form.lower()
    for secret in ("bunker", "classified", "board"):
        assert secret not in text


def test_a_hidden_image_and_its_patterns_reach_only_who_may_have_it() -> None:
    assert "registry.example.org/groups" not in states.State(states.ada()).form
    assert "registry.example.org/groups/**" in states.State(states.grace()).form


def test_a_card_a_profile_with_the_defaults_marked() -> None:
    form = shown()
    assert form.values("profile") == ["analysis", "training"]
    assert form.marked() == {
        "profile": "analysis",
        "analysis.pool": "cpu",
        "analysis.image": "scientific",
        "analysis.size": "small",
        "analysis.interface": "lab",
    }


def test_what_is_advertised_is_greyed_with_the_reason_and_whom_to_ask() -> None:
    form = shown()
    assert form.disabled("profile") == ["training"]
    assert "Training on a GPU is not for you. Ask af-support@example.org." in form.text
    assert form.disabled("analysis.size") == ["large"]
    assert "Size large of Analysis is not for you. Ask af-support@example.org." in form.text
    assert form.values("training.pool") == [], "nothing can be chosen in a profile that is not theirs"
    assert "Slice of an A100" in form.text, "but what it runs on is shown"


def test_a_pool_says_its_accelerator_what_sharing_isolates_and_what_is_free() -> None:
    text = shown(("physicists", "accelerated")).text
    assert "NVIDIA A100 SXM4 40GB, 40 GiB" in text
    assert "3 free now" in text
    assert "7 free now" in text
    assert "Memory, compute and faults are isolated" in text
    assert "Nothing is isolated" in text
    assert states.BUSY in text
    assert "These nodes may be taken away at any time." in text


def test_what_is_free_now_is_shown_anew() -> None:
    assert "3 free now" in states.State(states.grace()).form
    inventory = Inventory(states.INVENTORY.pools | {"a100": PoolState(free=2)})
    assert "2 free now" in states.State(states.offer_to("physicists", "accelerated", inventory=inventory)).form


def test_a_size_says_requests_and_limits_in_plain_words() -> None:
    text = shown(("physicists", "accelerated")).text
    assert "1 core, up to 2 when free" in text
    assert "2 GiB memory, at most 4 GiB" in text
    assert "8 GiB shared memory (/dev/shm)" in text
    assert "7.75 cores, up to 62 when free" in text, "a share is counted on the pool's nodes"


def test_the_limits_and_what_is_left() -> None:
    text = shown(("physicists", "accelerated")).text
    for line in ("1 of 2", "60 of 64 cores", "224 of 256 GiB", "50 of 50"):
        assert line in text
    everybody = states.State(states.offer_to("students", usage=Usage())).form
    assert "NVIDIA A100" not in everybody.partition("What you have left")[2], "no pool without a limit of theirs"


def test_a_limit_names_no_pool_that_is_hidden() -> None:
    facility = states.facility()
    limits = dict(facility.limits)
    limits["physicists"] = replace(limits["physicists"], accelerators={"bunker": 1, "a100": 1})
    text = states.State(states.offer_to("physicists", of=replace(facility, limits=limits, digest="other"))).form
    assert "Bunker" not in text
    assert "NVIDIA A100" in text.partition("What you have left")[2]


def test_when_all_servers_run_nothing_can_be_started() -> None:
    text = states.states()["full"].form
    assert "You have 2 servers already" in text
    assert 'type="submit"' not in text


def test_lifetime_of_the_profile_and_of_a_pool() -> None:
    text = shown(("physicists", "accelerated")).text
    assert "Ends after 24 hours idle, 7 days at most" in text
    assert "Ends after 2 hours idle, 24 hours at most" in text


def test_the_shorter_lifetime_of_session_and_profile_counts() -> None:
    facility = states.facility()
    profile = facility.profiles["analysis"]
    mine = replace(profile, layer=replace(profile.layer, lifetime=Lifetime(idle=3600)))
    form = shown(of=replace(facility, profiles={"analysis": mine}, digest="short"))
    assert "Ends after 1 hour idle, 7 days at most" in form.text


def test_dask_says_workers_and_the_pools_that_are_theirs_and_there() -> None:
    assert "Up to 50 workers of up to 4 cores and 16 GiB, on AMD64 nodes and ARM64 nodes." in shown().text
    gone = Inventory({"arm": PoolState(False, "This machine is amd64.")})
    text = form_of(states.State(states.offer_to("physicists", inventory=gone)).form).text
    assert "16 GiB, on AMD64 nodes." in text


def test_dask_of_a_profile_without_a_pool_of_theirs_is_not_mentioned() -> None:
    facility = states.facility()
    profile = replace(facility.profiles["analysis"], dask=DaskOffer((Entry("bunker", allow=("board",)),)))
    assert "Dask" not in states.State(states.offer_to("physicists", of=replace(facility, profiles={"analysis": profile}))).form.partition(
        "<aside"
    )[0].replace("Columnar analysis with Dask.", "").replace("JupyterLab, Dask", "")


def test_a_shared_mount_that_is_left_out_is_said() -> None:
    assert "group (/group). Ask af-support@example.org." in shown().text
    assert "(/group)" not in shown(("physicists", "accelerated")).text


def test_a_choice_is_marked_and_the_rest_filled_as_the_resolver_fills_it() -> None:
    assert shown(pool="arm", profile="analysis").marked()["analysis.pool"] == "arm"
    marked = shown(("physicists", "accelerated"), profile="analysis", size="eighth", interface="code").marked()
    assert marked["analysis.size"] == "eighth"
    assert marked["analysis.pool"] == "cpu"
    assert marked["analysis.interface"] == "code"
    root = shown(profile="analysis", image="root").marked()
    assert (root["analysis.pool"], root["analysis.image"], root["analysis.interface"]) == ("cpu", "root", "lab")


def test_a_choice_without_a_profile_marks_the_one_that_takes_it() -> None:
    marked = shown(("physicists", "accelerated"), pool="a100-slice").marked()
    assert (marked["profile"], marked["training.pool"]) == ("training", "a100-slice")


def test_a_typed_image_stays_in_its_field() -> None:
    reference = "registry.example.org/groups/higgs/fit:2.1"
    form = shown(("physicists", "accelerated"), profile="analysis", image=reference)
    assert form.marked()["analysis.image"] == ":typed"
    assert form.texts["analysis.image:typed"] == reference


def test_several_patterns_have_one_field() -> None:
    facility = states.facility()
    more = Image("others", "Images of friends", ("amd64",), match=("friends.example.org/*/*",))
    profile = facility.profiles["analysis"]
    mine = replace(profile, images=(*profile.images, Entry("others")))
    other = replace(facility, images={**facility.images, "others": more}, profiles={"analysis": mine}, digest="more")
    form = shown(("physicists", "accelerated"), of=other)
    assert form.values("analysis.image").count(":typed") == 1
    assert "registry.example.org/groups/**" in form.text
    assert "friends.example.org/*/*" in form.text


@pytest.mark.parametrize(("name", "field"), [("refused", "size"), ("wrong-image", "image"), ("misfit", "size")])
def test_a_refusal_is_said_at_its_field_and_what_was_chosen_stays(name: str, field: str) -> None:
    state = states.states()[name]
    text = state.form
    alert = text.index('id="af-refusal"')
    assert text.rindex("data-field=", 0, alert) == text.index(f'data-field="{field}"')
    assert re.search(r'id="af-refusal" role="alert" tabindex="-1" autofocus', text)
    assert html.escape(state.refusal.message, quote=False).replace("'", "&#39;") in text
    marked = form_of(text).marked()
    for key, value in state.chosen.items():
        if key not in {"profile", "image", field}:
            assert marked[f"analysis.{key}"] == value


def test_a_combination_that_does_not_fit_keeps_both_halves() -> None:
    marked = form_of(states.states()["misfit"].form).marked()
    assert (marked["analysis.pool"], marked["analysis.size"]) == ("arm", "eighth")


def test_a_saved_choice_that_is_gone_is_explained_above_all() -> None:
    text = states.states()["gone"].form
    assert text.index('id="af-refusal"') < text.index("<fieldset")
    assert "There is no profile &#39;analysys&#39;." in text
    assert "Did you mean analysis?" in text
    assert form_of(text).marked()["profile"] == "analysis"


def test_a_refusal_of_no_field_of_the_card_is_said_above_all() -> None:
    for refusal in (UnknownOptionError("There is no colour.", field="colour"), IncompatibleError("No.")):
        text = render(states.ada(), chosen={"profile": "analysis", "colour": "red"}, refusal=refusal)
        assert text.index('id="af-refusal"') < text.index("<fieldset")


def test_nobody_is_told_that_there_is_nothing() -> None:
    text = render(states.offer_to("students"), chosen={})
    assert "There is no profile that you may start now. Ask af-support@example.org." in text
    assert 'type="submit"' not in text


def test_notes_are_listed_with_their_keys_as_code() -> None:
    text = render(states.ada(), chosen={}, notes=("The `pod` of <b> is not applied.", "odd ` tick"))
    assert "The <code>pod</code> of &lt;b&gt; is not applied." in text
    assert "odd ` tick" in text


EVIL = "\"><script>alert(1)</script>{{7*7}}{0}'"


def test_text_of_the_file_is_literal() -> None:
    facility = states.facility()
    profile = replace(facility.profiles["analysis"], title=EVIL, description=EVIL)
    pools = {name: replace(pool, title=EVIL) for name, pool in facility.pools.items()}
    evil = replace(facility, profiles={"analysis": profile}, pools=pools, contact=EVIL, documentation=EVIL, title=EVIL, digest="evil")
    for chosen in ({}, {"profile": "analysis", "image": EVIL}, {"profile": EVIL}, {EVIL: EVIL, "profile": "analysis"}):
        text = states.State(states.offer_to("physicists", of=evil), chosen).form
        assert "<script" not in text
        assert "&lt;script&gt;" in text
        assert "49" not in text.replace("2.49", "")
        assert not form_of(text).open


def test_what_was_typed_is_literal() -> None:
    text = states.State(states.grace(), {"profile": "analysis", "image": f"registry.example.org/groups/{EVIL}:1"}).form
    assert "<script" not in text
    assert EVIL in form_of(text).texts["analysis.image:typed"]


def test_people_with_different_groups_do_not_share_what_is_kept() -> None:
    before = states.State(states.grace()).form
    assert states.State(states.ada()).form != before
    assert states.State(states.grace()).form == before


def test_another_version_of_the_file_is_shown_at_once() -> None:
    facility = states.facility()
    render(states.ada(), chosen={})
    profile = replace(facility.profiles["analysis"], description="Another sentence.")
    assert "Another sentence." in shown(of=replace(facility, profiles={"analysis": profile}, digest="next")).text


def test_what_a_request_cannot_change_is_made_once() -> None:
    facility = states.many_profiles(30)
    chosen = {"profile": "profile-3", "pool": "arm", "option-1": "choice-2"}
    # as the hub asks: an offer made anew for each request, with other people's servers coming and going
    first, *others = [
        states.offer_to("physicists", "accelerated", of=facility, usage=Usage((Use("server", "one", number * 10, 2**30, "cpu"),)))
        for number in range(5)
    ]
    whole = calls(lambda: render(first, chosen=chosen))
    assert max(calls(lambda offer=offer: render(offer, chosen=chosen)) for offer in others) < whole / 10


def calls(do: Callable[[], object]) -> int:
    """How many functions ran: what a clock on a busy machine cannot say."""
    seen = Counter[str]()
    sys.setprofile(lambda frame, event, argument: seen.update((event,)))
    try:
        do()
    finally:
        sys.setprofile(None)
    return seen["call"] + seen["c_call"]
