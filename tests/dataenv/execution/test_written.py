"""A lesson's JSON is that of its records to the letter, whatever its texts are; and a job's text is the job."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from dataenv.execution.jobs import BuildSpec, Exam, Job, Training
from dataenv.execution.written import Written, lesson_json
from students.base import Data, Recipe
from tasks.columns import ExampleColumns, ExampleLabels
from tasks.records import Example, as_objects, canonical_json, digest, digest_examples

texts = st.one_of(st.text(max_size=12), st.text('"\\/\x00\x08\x1f\x7f\u2028é\U0001f600', max_size=6))
examples = st.lists(
    st.builds(
        Example,
        prompt=texts,
        response=texts,
        skills=st.lists(texts, max_size=2).map(tuple),
        kind=st.sampled_from(["solution", "edit", "document", "dialogue"]),
        origin=texts,
        rejected=st.none() | texts,
        check=st.none() | st.just('{"a": [1, "é"]}'),
        media=st.lists(texts, max_size=2).map(tuple),
    ),
    max_size=4,
)


@given(lesson=examples)
def test_a_lesson_is_written_as_its_records_are(lesson: list[Example]) -> None:
    assert lesson_json(lesson) == canonical_json(as_objects(lesson))
    assert Written(lesson).name == digest_examples(lesson)


@given(lesson=examples)
def test_columns_are_written_as_their_examples_are(lesson: list[Example]) -> None:
    labels = [ExampleLabels(e.skills, e.kind, e.origin) for e in lesson]
    held = ExampleColumns([e.prompt for e in lesson], [e.response for e in lesson], labels)
    assert lesson_json(held) == canonical_json(as_objects(held))
    training = Training(lesson=held, recipe=Recipe(), seed=3)
    assert training.lesson is held
    assert type(training.data.lesson) is tuple
    plain = training.model_copy(update={"lesson": tuple(held)})
    assert training == plain == Training.model_validate_json(training.model_dump_json())
    assert training.digest == plain.digest == training.data.digest


def test_half_a_surrogate_pair_has_a_name_too() -> None:
    lesson = Example.made(["\ud800"], ["x"], [ExampleLabels(origin="me")])
    assert Written(lesson).name == digest_examples(lesson)


@given(lesson=examples, earlier=examples)
def test_the_text_of_a_job_is_the_job(lesson: list[Example], earlier: list[Example]) -> None:
    training = Training(lesson=tuple(lesson), earlier=tuple(earlier), recipe=Recipe(), seed=3)
    exam = Exam(name="feedback", prompts=("a",), golds=("b",))
    job = Job(student=BuildSpec(name="pocket"), parent="p", blob="b", train=training, exams=(exam,))
    for one in (job, job.model_copy(update={"train": None})):
        assert Job.model_validate_json(one.text()) == one == Job.model_validate_json(one.model_dump_json())


@given(lesson=examples)
def test_a_training_names_its_data_as_a_student_does(lesson: list[Example]) -> None:
    training = Training(lesson=tuple(lesson), earlier=tuple(lesson[:1]), recipe=Recipe(), seed=0)
    assert training.data.digest == Data(training.lesson, training.earlier, ()).digest


def test_a_copy_of_an_exam_or_a_training_has_a_name_of_its_own() -> None:
    exam = Exam(name="feedback", prompts=("a", "é"))
    plain = ["exam", "state", exam.model_dump(mode="json", exclude={"name"})]
    assert exam.key("state") == digest(plain) == hashlib.sha256(canonical_json(plain).encode()).hexdigest()
    assert exam.model_copy(update={"seed": 1}).key("state") == Exam(name="x", prompts=("a", "é"), seed=1).key("state")
    training = Training(lesson=(Example(prompt="a", response="b"),), recipe=Recipe(), seed=0)
    before = training.data.digest
    assert training.model_copy(update={"lesson": ()}).data.digest == Data(()).digest != before
