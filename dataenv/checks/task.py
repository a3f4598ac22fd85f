"""``check_task``: splits that are sealed, gold answers that are right, a checker that nothing can break."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from dataenv.checks.common import (
    HOSTILE,
    HOSTILE_CHECKS,
    HOSTILE_EXAMPLES,
    SEALED,
    demand,
    made_of,
    own_randomness,
    short,
    survives,
)
from dataenv.lessons.leaks import guard_of
from tasks import media
from tasks.base import Task
from tasks.errors import UnsupportedError
from tasks.records import SPLITS, Example, Grade, Problem, stream


def check_task(task: Task) -> None:
    """Check a task against ``tasks.base.Task``.

    Raises:
        ContractError: With the first rule that is broken.
    """
    task = made_of("task", task, Task)
    for rule in (
        _task_names,
        _task_problems,
        _task_sealing,
        _task_gold,
        _task_hostile_text,
        _task_batches,
        _task_same,
        _task_hostile_checks,
        _task_generator,
        _task_subskills,
        _task_pool,
        _task_prior,
    ):
        with own_randomness(f"task {getattr(task, 'name', '?')!r}"):
            rule(task)


def _task_names(task: Task) -> None:
    for field in ("name", "version"):
        value = getattr(task, field, None)
        demand(isinstance(value, str) and bool(value), f"{field} is {value!r}; set it to a word on the class")
    skills = getattr(task, "skills", None)
    fine = isinstance(skills, tuple) and bool(skills) and all(isinstance(s, str) and s for s in skills)
    demand(
        fine and len(set(skills or ())) == len(skills or ()), f"skills is {skills!r}; give a tuple of distinct words"
    )


def _task_problems(task: Task) -> None:
    seen: set[str] = set()
    for split in SPLITS:
        problems = task.split(split)
        demand(list(task.split(split)) == list(problems), f"split({split!r}) differs between two calls; make it once")
        for problem in problems:
            where = f"problem {problem.id!r}"
            demand(problem.split == split, f"{where} says split {problem.split!r} and is in {split!r}; name that one")
            demand(problem.id not in seen, f"{where} is not the only one of that id; ids are unique within a task")
            whole = bool(problem.prompt and (problem.answer or problem.check))  # tests alone may say what is right
            demand(whole, f"{where} has an empty prompt or answer; give both")
            demand(bool(problem.skills), f"{where} names no skill; name the primary one first")
            _pictures_are_there(task, where, problem.media)
            seen.add(problem.id)
        if split != "transfer":  # its problems may need skills that the catalogue has no row for
            _every_skill_is_measured(task, split, problems)


def _pictures_are_there(task: Task, where: str, names: Sequence[str]) -> None:
    """Whatever is shown can be looked up, and the task says that it shows images."""
    if not names:
        return
    said = "image" in media.shown_by(task)
    demand(said, f"{where} shows pictures; set shows = ('text', 'image') on the class")
    for name in names:
        call = partial(
            media.pixels, survives(partial(media.picture, name), f"{where}: picture {name[:12]}", "it by keep")
        )
        survives(call, f"{where}: pixels of {name[:12]}", "a picture that tasks.media.encode or admit made")


def _every_skill_is_measured(task: Task, split: str, problems: Sequence[Problem]) -> None:
    first = {problem.skills[0] for problem in problems}
    unknown = {s for problem in problems for s in problem.skills} - set(task.skills)
    demand(
        not unknown, f"split {split!r} names {sorted(unknown)}, which skills does not; add them there or rename them"
    )
    missing = [s for s in task.skills if s not in first]
    demand(not missing, f"split {split!r} has no problem with primary skill {missing[:3]}; every skill is measured")


def _task_sealing(task: Task) -> None:
    owner: dict[str, Problem] = {}
    for split in SPLITS:
        for problem in task.split(split):
            asked = " ".join([task.identity(problem.prompt), *problem.media])
            other = owner.setdefault(asked, problem)
            demand(
                other.split == split,
                f"problems {other.id!r} and {problem.id!r} ask the same thing in two splits; split by identity first",
            )


def _task_gold(task: Task) -> None:
    for split in SPLITS:
        for problem in (p for p in task.split(split) if p.answer):
            grade = task.grade(problem, problem.answer)
            demand(
                isinstance(grade, Grade) and grade.correct and grade.error is None,
                f"grade() says {grade!r} of problem {problem.id!r} and its own answer; a gold answer is right",
            )
            demand(
                task.diagnose(problem, problem.answer) == (),
                f"diagnose() finds skills missing in the gold answer of {problem.id!r}; a right answer lacks none",
            )


def _task_hostile_text(task: Task) -> None:
    for problem in _some(task):
        verdicts = [_graded(task, problem, text) for text in (*HOSTILE, problem.answer + "\x00", problem.answer * 50)]
        demand(
            not all(verdicts), f"grade() finds every response to problem {problem.id!r} right; let it tell them apart"
        )
    for text in HOSTILE:
        identity = survives(partial(task.identity, text), f"identity({short(text)})", "the text itself")
        demand(isinstance(identity, str), f"identity({short(text)}) gives {type(identity).__name__}; give a string")
    for text in HOSTILE_EXAMPLES:
        example = Example(prompt=text, response=text)
        survives(partial(task.judge, example), f"judge() with prompt {short(text)}", "None (cannot tell)")


def _graded(task: Task, problem: Problem, text: str) -> bool:
    """Whether a response is right; checks that grading and diagnosis do not fail, and that they agree."""
    shown = f"problem {problem.id!r} and response {short(text)}"
    grade = survives(partial(task.grade, problem, text), f"grade() with {shown}", "Grade(error=…)")
    demand(isinstance(grade, Grade), f"grade() gives {type(grade).__name__} for {shown}; give a Grade")
    missing = survives(partial(task.diagnose, problem, text), f"diagnose() with {shown}", "all skills of the problem")
    named = isinstance(missing, tuple) and set(missing) <= {*task.skills, *problem.skills}
    demand(named, f"diagnose() gives {missing!r} for {shown}; give a tuple of skills of the task")
    demand(
        bool(missing) != grade.correct,
        f"diagnose() gives {missing!r} for {shown}, which is {'right' if grade.correct else 'wrong'}; a wrong answer "
        "lacks at least one skill, and a right one none",
    )
    return bool(grade.correct)


def _task_batches(task: Task) -> None:
    """Many at once and one by one come to the same, in order: the board may use either."""
    asked = [(p, text) for p in _few(task) for text in (p.answer, *HOSTILE)]
    grades = survives(partial(task.grades, asked), "grades() with hostile text", "Grade(error=…) in its place")
    _one_by_one("grades", grades, "grade", [task.grade(*pair) for pair in asked], lambda i: short(asked[i][1]))
    examples = [e for p in _few(task) for e in (_gold(p), *(_gold(p, text) for text in HOSTILE_EXAMPLES))]
    verdicts = survives(partial(task.judges, examples), "judges() with hostile text", "None (cannot tell)")
    singly = [task.judge(e) for e in examples]
    _one_by_one("judges", verdicts, "judge", singly, lambda i: short(examples[i].response))
    replies = [(_gold(problem), text) for problem, text in asked]
    verdicts = survives(partial(task.verifies, replies), "verifies() with hostile text", "None (cannot tell)")
    singly = [task.verify(*reply) for reply in replies]
    _one_by_one("verifies", verdicts, "verify", singly, lambda i: short(replies[i][1]))
    demand(list(task.grades([])) == [], "grades() of nothing is not empty; give []")
    demand(list(task.judges([])) == [], "judges() of nothing is not empty; give []")


def _one_by_one(many: str, found: Any, one: str, wanted: list[Any], text: Callable[[int], str]) -> None:
    fine = isinstance(found, list) and len(found) == len(wanted)
    shown = f"{len(found)}" if isinstance(found, list) else type(found).__name__
    demand(fine, f"{many}() gives {shown} for {len(wanted)} asked; give a list with one for each, in order")
    for i, (ours, theirs) in enumerate(zip(found, wanted, strict=True)):
        demand(
            ours == theirs, f"{many}() says {ours!r} of response {text(i)} and {one}() {theirs!r}; let the two agree"
        )


def _task_same(task: Task) -> None:
    """``same`` compares two answers. What is right plays no part, or a teacher could ask it for what is sealed."""
    for problem in _few(task):
        others = [p.answer for p in _few(task) if p.answer != problem.answer]
        for text in (problem.answer, *others, *HOSTILE_EXAMPLES):
            example = _gold(problem, text)
            itself = _same(task, example, text)
            demand(itself, f"same() finds {short(text)} unlike itself; compare answers, whether they are right or not")
            singly = [_same(task, example, answer) for answer in HOSTILE]
            found = survives(partial(task.sames, [(example, a) for a in HOSTILE]), "sames() with hostile text", "False")
            _one_by_one("sames", found, "same", list(singly), lambda i: short(HOSTILE[i]))
            grade = task.grade(problem, text)
            if not grade.correct and grade.error is None:
                told = _same(task, example, problem.answer)
                demand(
                    not told,
                    f"same() takes the gold answer of {problem.id!r} for the wrong response {short(text)}; compare "
                    "with example.response, for a teacher could ask it what is right",
                )


def _same(task: Task, example: Example, answer: str) -> bool:
    where = f"response {short(example.response)} and answer {short(answer)}"
    found = survives(partial(task.same, example, answer), f"same() with {where}", "False")
    demand(isinstance(found, bool), f"same() gives {found!r} for {where}; give True or False")
    return bool(found)


def _task_hostile_checks(task: Task) -> None:
    """``Example.check`` is a teacher's: whatever JSON it holds, it breaks nothing."""
    for problem in _few(task):
        for check in HOSTILE_CHECKS:
            example = _gold(problem).model_copy(update={"check": check})
            calls: dict[str, Callable[[], bool | None]] = {
                "judge": partial(task.judge, example),
                "verify": partial(task.verify, example, "x"),
                "same": partial(task.same, example, "x"),
            }
            for name, call in calls.items():
                found = survives(call, f"{name}() of an example with check {short(check)}", "None or False")
                demand(
                    found in (True, False, None),
                    f"{name}() gives {found!r} for check {short(check)}; give True, False or None",
                )


def _gold(problem: Problem, response: str | None = None) -> Example:
    """A problem as a teacher would teach it, with its gold answer or another."""
    answer = problem.answer if response is None else response
    return Example(prompt=problem.prompt, response=answer, skills=problem.skills, media=problem.media)


def _few(task: Task) -> list[Problem]:
    """The first feedback problem of each of the first few skills."""
    first: dict[str, Problem] = {}
    for problem in task.split("feedback"):
        first.setdefault(problem.skills[0], problem)
    return list(first.values())[:4]


def _task_generator(task: Task) -> None:
    for skill in task.skills:
        call = f"generate({skill!r}, 20, rng)"
        try:
            made = task.generate(skill, 20, stream(0, "check"))
        except UnsupportedError:
            return
        demand(len(made) == 20, f"{call} gives {len(made)} examples; give as many as were asked")
        demand(made == task.generate(skill, 20, stream(0, "check")), f"{call} differs for an equal rng; draw from rng")
        demand(made != task.generate(skill, 20, stream(1, "check")), f"{call} ignores its rng; draw from it")
        demand(task.generate(skill, 0, stream(0, "check")) == [], f"generate({skill!r}, 0, rng) is not empty; give []")
        for difficulty in (None, 0.0, 0.5, 1.0):
            rows = task.generate(skill, 20, stream(2, "check"), difficulty)
            _teachable(task, f"generate({skill!r}, 20, rng, {difficulty})", rows)
            primary = {e.skills[:1] for e in rows}
            demand(
                primary == {(skill,)}, f"{call} gives primary skills {sorted(primary)}; put {skill!r} first in skills"
            )


def _task_subskills(task: Task) -> None:
    for skill in task.skills:
        names = task.subskills(skill)
        fine = isinstance(names, tuple) and all(isinstance(s, str) and s and "/" not in s for s in names)
        demand(
            fine and len(set(names)) == len(names),
            f"subskills({skill!r}) is {names!r}; give a tuple of distinct names without '/'",
        )
        for name in names:
            call = f"generate_subskill({skill!r}, {name!r}, 20, rng)"
            made = task.generate_subskill(skill, name, 20, stream(0, "check"))
            demand(len(made) == 20, f"{call} gives {len(made)} examples; give as many as were asked")
            again = task.generate_subskill(skill, name, 20, stream(0, "check"))
            demand(made == again, f"{call} differs for an equal rng; draw from rng")
            _teachable(task, call, made)
            primary = {e.skills[:1] for e in made}
            demand(
                primary == {(skill,)}, f"{call} gives primary skills {sorted(primary)}; put {skill!r} first in skills"
            )


def _task_pool(task: Task) -> None:
    try:
        pool = task.pool()
    except UnsupportedError:
        return
    demand(bool(pool), "pool() is empty; give examples, or leave pool() out for UnsupportedError")
    demand(list(pool) == list(task.pool()), "pool() differs between two calls; make it once")
    _teachable(task, "pool()", pool)
    bare = next((e for e in pool if not e.skills), None)
    demand(bare is None, f"pool() holds an example without skills ({bare!r:.80}); name the primary one first")


def _task_prior(task: Task) -> None:
    made = task.prior(20, stream(0, "check"))
    demand(
        len(made) in (0, 20), f"prior(20, rng) gives {len(made)} examples; give 20, or none where students come trained"
    )
    demand(made == task.prior(20, stream(0, "check")), "prior(20, rng) differs for an equal rng; draw from rng")
    _teachable(task, "prior(20, rng)", made)


def _teachable(task: Task, call: str, examples: Sequence[Example]) -> None:
    """Check the rules that examples from every source must keep."""
    for example in examples:
        where = f"{call} gives prompt {short(example.prompt)}"
        demand(bool(example.prompt and example.response), f"{where} with an empty prompt or response; give both")
        unknown = set(example.skills) - set(task.skills)
        demand(not unknown, f"{where} with skills {sorted(unknown)}, which the task does not have; name known ones")
        _pictures_are_there(task, where, example.media)
        hit = guard_of(task).find(example)
        sealed = hit is not None and hit.how in SEALED
        demand(not sealed, f"{where}, which a sealed split asks; draw again where identity(prompt) is in task.sealed")
        demand(
            task.judge(example) is not False, f"{where} with an answer that judge() finds wrong; mend one of the two"
        )


def _some(task: Task) -> Iterator[Problem]:
    """The first problem of each skill of each split."""
    for split in SPLITS:
        seen: set[str] = set()
        for problem in task.split(split):
            if problem.skills[0] not in seen:
                seen.add(problem.skills[0])
                yield problem
