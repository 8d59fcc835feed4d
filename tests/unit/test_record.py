"""The record's file: every form that it ever had, what is damaged, and two records as one."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sandbox
from sandbox import record
from sandbox.record import LabRecord, LessonRecord, Record, Share
from tests.unit.records import records

LAB = "01-two-tiers"
NAN, INF = float("nan"), float("inf")
WALL = {"url": "https://wall", "token": "t", "name": "Ada", "learner": "0" * 16}
# Earlier versions wrote a part only once there was something to keep in it.
OLD = {
    "version": 1,
    "learner": "ada",
    "lessons": {
        "01-bridge": {"started": 5.0, "quiz": {"Which?": False}, "questions": 2},
        "04-overlay": {"started": 6.0, "opened": 7.0},
    },
    "labs": {
        LAB: {"started": 8.0, "hints": {}, "answers": {}, "best": 40, "points": 100, "done": 90.0},
        "02-routing": {"best": 20, "points": 100, "done": None},
        "03-published": {"hints": {"Publish it": 1}},
    },
    "share": WALL,
}


def written(kept):
    record.path().write_text(json.dumps(kept))


def on_disk():
    return json.loads(record.path().read_text())


def test_a_record_of_the_old_form_is_read():
    written(OLD)
    assert record.read() == Record(
        "ada",
        {
            "01-bridge": LessonRecord(5.0, 5.0, {"Which?": False}, 2),
            "04-overlay": LessonRecord(6.0, 7.0),
        },
        {
            # It was done before it was kept whether that was since it was last begun.
            LAB: LabRecord(8.0, best=40, points=100, done=90.0, finished=True),
            "02-routing": LabRecord(best=20, points=100),
            "03-published": LabRecord(hints={"Publish it": 1}),
        },
        Share("https://wall", "t", "0" * 16, "Ada"),
    )


def test_an_earlier_version_finds_what_it_knows_in_what_is_written():
    written(OLD)
    record.learner("grace")
    now = on_disk()
    assert now.pop("learner") == "grace"
    assert now["share"].pop("left") == []
    for part in ("lessons", "labs"):
        for name, row in OLD[part].items():
            assert row.items() <= now[part][name].items()
    assert {**now, "lessons": {}, "labs": {}} == {
        "version": 1,
        "lessons": {},
        "labs": {},
        "share": WALL,
    }


def test_a_wall_that_was_left_is_kept_as_before():
    left = [{"url": "https://one", "token": "t", "learner": "0" * 16}]
    written({"version": 1, "learner": "", "lessons": {}, "labs": {}, "share": {"left": left}})
    kept = record.read()
    assert (kept.share, kept.left) == (None, (Share("https://one", "t", "0" * 16),))
    record.change(replace, learner="ada")
    assert on_disk()["share"] == {"left": [left[0] | {"name": ""}]}
    record.change(replace, left=())
    assert "share" not in on_disk()


@given(records())
def test_what_is_written_is_what_is_read(kept):
    record.path().write_text(record.as_text(kept), encoding="utf-8")
    assert record.read() == kept


def refused(text):
    """What is said of a file with that text, which nothing changes."""
    record.path().write_text(text)
    with pytest.raises(sandbox.SandboxError) as told:
        record.change(record.keep_score, LAB, 100, 100, 60.0)
    assert record.path().read_text() == text
    return told.value


@pytest.mark.parametrize(
    "act", [sandbox.my_progress, lambda: sandbox.restore_progress(record.path())]
)
def test_a_record_of_a_newer_version_is_told_and_left_as_it_is(act):
    told = refused(json.dumps(OLD | {"version": 2, "lessons": [5]}))
    assert (told.why, told.fix) == (
        "a newer version wrote it",
        "Update the course; the file stays as it is.",
    )
    with pytest.raises(sandbox.SandboxError, match="a newer version wrote it"):
        act()


def test_a_record_of_no_version_is_told():
    assert refused("{}").why == ""


def test_a_file_that_is_half_written_is_told_and_left_as_it_is():
    text = json.dumps(OLD)
    for length in range(0, len(text), 7):
        assert "cannot be read" in refused(text[:length]).what
    assert "cannot be read" in refused("[" * 100_000).what


def test_a_write_that_was_cut_off_leaves_the_record_of_before():
    record.learner("ada")
    record.path().with_suffix(".new").write_text(record.path().read_text()[:20])
    assert record.learner() == "ada"
    record.learner("grace")
    assert record.read() == Record("grace")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"learner": 5}, "learner is 5"),
        ({"labs": {LAB: []}}, "labs is []"),
        ({"labs": {LAB: {"best": "60"}}}, "best is '60'"),
        ({"labs": {LAB: {"done": "no"}}}, "done is 'no'"),
        ({"labs": {LAB: {"hints": {"one": None}}}}, "hints is None"),
        ({"labs": {LAB: {"finished": 1}}}, "finished is 1"),
        ({"lessons": {"01-bridge": {"started": None}}}, "started is None"),
        ({"lessons": {"01-bridge": {"quiz": {"Which?": "yes"}}}}, "quiz is 'yes'"),
        *(({"labs": {LAB: {"done": odd}}}, f"done is {odd}") for odd in (NAN, INF, -INF, True)),
        *(({"labs": {LAB: {"best": odd}}}, f"best is {odd}") for odd in (-1, 1e3, True)),
        ({"labs": {LAB: {"best": 10**400}}}, "best is 100000000000000000...0000000000000000000"),
        (
            {"labs": {LAB: {"started": 10**400}}},
            "started is 100000000000000000...0000000000000000000",
        ),
        ({"labs": {LAB: {"hints": {"one": -5}}}}, "hints is -5"),
        ({"lessons": {"01-bridge": {"questions": NAN}}}, "questions is nan"),
        ({"share": []}, "share is []"),
        ({"share": {"url": "https://wall"}}, "token is None"),
        ({"share": {"left": [5]}}, "left is 5"),
    ],
)
def test_what_is_damaged_is_told_and_left_as_it_is(more, why):
    told = refused(json.dumps(OLD | more))
    assert "progress.json is not in order" in told.what
    fix = "Correct it in an editor, or move it away to start a new one."
    assert (told.why, told.fix) == (why, fix)


HALF = "\ud83d"


@pytest.mark.parametrize(
    "more",
    [
        {"learner": HALF},
        {"labs": {LAB: {"answers": {"Which?": HALF}}}},
        {"labs": {LAB: {"answers": {HALF: "web"}}}},
        {"lessons": {HALF: {}}},
    ],
)
def test_half_of_a_character_is_told_and_left_as_it_is(more):
    assert "progress.json cannot be read" in refused(json.dumps(OLD | more)).what


@pytest.mark.parametrize(
    "act",
    [
        lambda: record.change(record.answer, LAB, "Which?", HALF),
        lambda: record.learner(HALF),
        # No wall is asked: there is none at this address.
        lambda: sandbox.share_progress("http://127.0.0.1:9", "token", HALF),
    ],
)
def test_half_of_a_character_is_not_kept_and_what_was_kept_stays(act):
    record.learner("ada")
    before = record.path().read_bytes()
    with pytest.raises(sandbox.SandboxError) as told:
        act()
    assert told.value.what == "What you wrote cannot be kept."
    assert told.value.why == r"'\ud83d' is only half of a character"
    assert record.path().read_bytes() == before


def test_a_time_that_a_clock_set_back_made_negative_is_read():
    written(OLD | {"labs": {LAB: {"started": 8, "done": -90.5}}})
    assert (record.read().lab(LAB).started, record.read().lab(LAB).done) == (8.0, -90.5)


def test_a_worse_attempt_lowers_nothing_and_undoes_nothing():
    kept = record.keep_score(Record(), LAB, 60, 100, 1500.0)
    again = record.keep_score(record.begin_lab(kept, LAB, 100, 5.0), LAB, 20, 100, None)
    assert again.lab(LAB) == LabRecord(5.0, best=60, points=100, done=1500.0)
    # What had been done stays done while hosts are put right or wrong.
    assert record.keep_score(kept, LAB, 0, 100, None) == kept
    faster = record.keep_score(again, LAB, 100, 100, 90.0).lab(LAB)
    assert (faster.best, faster.done, faster.finished) == (100, 1500.0, True)


# Two machines' records as one

of_one_learner = records(learner=st.sampled_from(["", "ada"]))


def results(kept):
    """What a record shares with another machine's: all but labs as they were begun last."""
    labs = {name: (lab.best, lab.points, lab.done) for name, lab in kept.labs.items()}
    return kept.learner, kept.lessons, labs


@given(of_one_learner, of_one_learner)
def test_it_does_not_matter_which_record_is_taken_into_which(one, other):
    assert results(record.merge(one, other)) == results(record.merge(other, one))


@given(of_one_learner, of_one_learner, of_one_learner)
def test_it_does_not_matter_in_which_order_records_are_taken_in(one, other, third):
    merge = record.merge
    assert results(merge(merge(one, other), third)) == results(merge(one, merge(other, third)))


@given(records(), records())
def test_a_record_that_was_taken_in_changes_nothing_a_second_time(mine, theirs):
    both = record.merge(mine, theirs)
    assert record.merge(both, theirs) == both
    assert record.merge(mine, mine) == mine


@given(records(), records())
def test_taking_a_record_in_lowers_nothing(mine, theirs):
    both = record.merge(mine, theirs)
    for one in (mine, theirs):
        for name, lesson in one.lessons.items():
            after = both.lessons[name]
            assert bool(after.started) >= bool(lesson.started)
            assert (after.opened, after.questions) >= (lesson.opened, lesson.questions)
            assert after.right >= lesson.right
            assert all(after.quiz[question] >= right for question, right in lesson.quiz.items())
        for name, lab in one.labs.items():
            after = both.labs[name]
            assert after.best >= lab.best and after.points >= lab.points
            assert lab.done is None or after.done <= lab.done


@given(records(), records())
def test_who_learns_here_and_what_is_under_way_here_stays(mine, theirs):
    both = record.merge(mine, theirs)
    assert (both.share, both.left) == (mine.share, mine.left)
    assert both.learner == (mine.learner or theirs.learner)
    for name in both.labs:
        results = {"best": 0, "points": 0, "done": None}
        assert replace(both.lab(name), **results) == replace(mine.lab(name), **results)
