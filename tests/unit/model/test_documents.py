import msgspec
import pytest

from decamp.model.documents import decode_plan, decode_survey, encode
from decamp.model.errors import BadInput
from decamp.model.plan import Action, Plan, VacateGoal, Verb, sealing_id
from decamp.model.refs import Ref
from decamp.model.survey import Survey

PLAN = Plan(
    goal=VacateGoal(max=True),
    made_from={"old": "0" * 64},
    actions=(
        Action(
            id="live_migrate/server/1",
            verb=Verb.LIVE_MIGRATE,
            target=Ref("server", "1"),
            args={"from": "cmp-001", "to": "cmp-002"},
            changes={"host": ("cmp-001", "cmp-002")},
        ),
    ),
).sealed()
SURVEY = Survey(cloud="old", taken_at="2026-11-23T00:00:00Z")


def test_a_plan_comes_back_from_its_document_as_it_was() -> None:
    assert decode_plan(encode(PLAN), "plan.json") == PLAN


def test_equal_plans_have_equal_ids_and_bytes() -> None:
    again = msgspec.structs.replace(PLAN, id="").sealed()
    assert again.id == PLAN.id
    assert encode(again) == encode(PLAN)


def test_a_plan_that_was_edited_is_not_read() -> None:
    edited = encode(PLAN).replace(b'"to": "cmp-002"', b'"to": "cmp-003"')
    with pytest.raises(BadInput, match=r"plan\.json: the plan's content does not belong to its id"):
        decode_plan(edited, "plan.json")


def test_a_plan_of_a_version_that_did_not_know_a_field_is_read_and_an_edited_one_is_not() -> None:
    written = msgspec.json.decode(encode(PLAN)) | {"id": ""}
    del written["goal"]["among"]
    written["id"] = sealing_id(written)
    assert written["id"] != PLAN.id
    assert decode_plan(msgspec.json.encode(written), "plan.json").goal == PLAN.goal
    edited = msgspec.json.encode(written).replace(b'"to":"cmp-002"', b'"to":"cmp-003"')
    with pytest.raises(BadInput, match="does not belong to its id"):
        decode_plan(edited, "plan.json")


def test_white_space_is_no_edit() -> None:
    assert decode_plan(msgspec.json.encode(PLAN), "plan.json") == PLAN


def test_a_truncated_survey_is_told_by_name() -> None:
    with pytest.raises(BadInput, match=r"old\.json: not a decamp\.survey/1 document"):
        decode_survey(encode(SURVEY)[:-20], "old.json")


def test_a_survey_of_another_schema_is_told_by_its_schema() -> None:
    other = encode(SURVEY).replace(b"decamp.survey/1", b"decamp.survey/9")
    with pytest.raises(BadInput, match=r"old\.json: a decamp\.survey/9 document, where decamp\.survey/1 is wanted"):
        decode_survey(other, "old.json")


def test_a_wrong_field_is_told_with_its_path() -> None:
    with pytest.raises(BadInput, match=r"\$\.hosts"):
        decode_survey(b'{"schema": "decamp.survey/1", "cloud": "old", "taken_at": "", "hosts": 7}', "old.json")


def test_bytes_that_are_no_text_are_told() -> None:
    with pytest.raises(BadInput, match=r"old\.json"):
        decode_survey(b"\xff\xfe\x00", "old.json")
