"""Records as learners' machines have them, for Hypothesis."""

from hypothesis import strategies as st

from sandbox.record import LabRecord, LessonRecord, Record, Share

NAMES = ("01-bridge", "04-overlay", "11-read-a-capture")
QUESTIONS = ("Which?", "Why?", "Wo läuft “web”?")
texts = st.text(max_size=5)
times = st.floats(0, 1e10)
numbers = st.integers(0, 100)


def by(names, values):
    return st.dictionaries(st.sampled_from(names), values)


lessons = st.builds(LessonRecord, times, times, by(QUESTIONS, st.booleans()), numbers)
labs = st.builds(
    LabRecord,
    started=times,
    hints=by(QUESTIONS, numbers),
    answers=by(QUESTIONS, texts),
    best=numbers,
    points=numbers,
    done=st.none() | times,
    finished=st.booleans(),
)
shares = st.builds(Share, texts, texts, texts, texts)
FIELDS = {
    "learner": texts,
    "lessons": by(NAMES, lessons),
    "labs": by(NAMES, labs),
    "share": st.none() | shares,
    "left": st.tuples() | st.tuples(shares),
}


def records(**fields):
    return st.builds(Record, **FIELDS | fields)
