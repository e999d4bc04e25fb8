"""Everything bad that can be sent to a hub, and who gets what, sent to the hub in its pod: the same tests as on one machine.

Nothing is stored by them, the hub is the same process afterwards, and no pod, namespace, secret or claim more exists than before.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.hubs import HubInPod
from tests.cluster.podhub import PodHub
from tests.hub.test_bad_input import (  # noqa: F401 - pytest finds them here too
    send,
    test_a_body_that_is_no_object_is_malformed,
    test_a_token_in_an_address_is_in_no_log,
    test_anonymous_and_forged_requests_stay_forbidden,
    test_bad_forms_show_the_reason,
    test_bad_links_start_nothing_and_say_why,
    test_bad_requests_in_a_row_change_nothing_for_the_next_good_one,
    test_fields_of_a_wrong_type_or_value_are_refused,
    test_forms_with_a_choice_that_ada_may_not_have_are_shown_again,
    test_no_page_fails_over_its_address,
    test_no_server_has_a_bad_name,
    test_options_that_are_no_choice_of_ada_are_not_stored_without_a_start,
    test_options_that_are_no_choice_of_ada_are_refused,
    test_the_login_form_says_what_it_cannot_read,
    unharmed,
)
from tests.hub.test_choices import (  # noqa: F401 - pytest finds them here too
    ada,
    test_ada_cannot_get_what_only_grace_may_have_by_any_path,
    test_every_decision_is_an_event_of_the_schema_and_is_counted,
    test_limits_count_what_runs_and_what_starts,
    test_nobody_starts_a_server_for_somebody_else,
    test_the_same_server_cannot_be_started_twice_at_once,
    test_what_is_no_choice_at_all_is_a_decision_too_and_no_secret_is_kept_of_it,
    test_what_is_sent_while_the_server_starts_is_judged_too,
    test_who_is_nobody_of_the_facility_gets_no_server,
)
from tests.support.secrets import Secrets

pytestmark = [pytest.mark.timeout(300, func_only=True), pytest.mark.slow("hundreds of requests each, some of them for real pods")]


@pytest.fixture(scope="module")
def hub(hub: HubInPod, secrets_seen: Secrets) -> Iterator[PodHub]:
    """The hub in its pod, with the face of the hubs on one machine. Nothing runs before and after."""
    hub.stop_all()
    made = PodHub(hub)
    yield made
    secrets_seen.add(*made.tokens)
    secrets_seen.read("the hub's log", made.printed())
    secrets_seen.watch(made.events_file)
    hub.stop_all()
