"""Flows as a whole: what is refused, by JSON pointer, before anything runs."""

from pathlib import PurePosixPath
from typing import Any

import pytest
from pydantic import Field, model_validator

from workplatform.context import JobContext
from workplatform.errors import InvalidSubmissionError
from workplatform.flows import MOST_STEPS, Plan, plan
from workplatform.models import Payload, Result
from workplatform.registry import Registry, discover, job_type


class Cut(Payload):
    """What to cut where."""

    path: str = Field(min_length=1, description="The film", examples=["a.mp4"])
    seconds: float = Field(1.0, gt=0, description="Where", examples=[2.5])
    width: int | None = Field(None, ge=1, le=100, description="How wide", examples=[10])
    names: tuple[str, ...] = Field((), max_length=2, description="Names", examples=[["x"]])
    project: str = Field("p", description="Project", examples=["p"])

    @model_validator(mode="after")
    def _agree(self) -> "Cut":
        if self.width == 13:
            raise ValueError("13 brings bad luck")
        if PurePosixPath(self.path).suffix == ".txt":
            raise ValueError("a text is no film")
        return self


class Piece(Result):
    """What came out."""

    path: str = Field(description="The piece", examples=["b.mp4"])
    note: str = Field("", description="A text", examples=["b.txt"])
    size: int = Field(0, description="Bytes", examples=[5000])
    length: float | None = Field(None, description="Seconds", examples=[1.5])
    files: list[dict[str, Any]] = Field(default_factory=list, description="More", examples=[[{"uri": "u"}]])


@job_type("cut", queue="cut")
def cut(payload: Cut, job: JobContext) -> Piece:  # noqa: ARG001
    """Cut."""
    return Piece(path=payload.path)


@job_type("ship", queue="cut", series=lambda payload: payload.project)
def ship(payload: Cut, job: JobContext) -> Piece:  # noqa: ARG001
    """Ship."""
    return Piece(path=payload.path)


TYPES = Registry([vars(handler)["__job_type__"] for handler in (cut, ship)])


def step(path: str = "a.mp4", *after: str, **more: Any) -> dict[str, Any]:
    payload = {"path": path, **more.pop("payload", {})}
    return {"type": "cut", "payload": payload, **({"dependsOn": list(after)} if after else {}), **more}


def planned(steps: Any, **more: Any) -> Plan:
    return plan({"steps": steps, **more}, TYPES)


def problems(steps: Any, **more: Any) -> dict[str, str]:
    with pytest.raises(InvalidSubmissionError) as caught:
        planned(steps, **more)
    return {problem["pointer"]: problem["detail"] for problem in caught.value.problems}


def test_steps_are_ordered_and_a_reference_implies_a_dependency() -> None:
    found = planned({"c": step("${b.result.path}", "a"), "b": step("x.mp4", "a"), "a": step()}).steps
    assert [(item.name, item.parents, item.references) for item in found] == [
        ("a", (), ()),
        ("b", ("a",), ()),
        ("c", ("a", "b"), ("b",)),
    ]


def test_a_payload_without_references_is_unescaped_and_one_with_them_is_kept() -> None:
    first, second = planned({"a": step("$${x}.mp4"), "b": step("$${x}/${a.result.path}")}).steps
    assert first.step.payload["path"] == "${x}.mp4"
    assert second.step.payload["path"] == "$${x}/${a.result.path}"


def test_every_wrong_field_of_all_steps_is_told_at_once() -> None:
    found = problems(
        {
            "a": step("", width=3),
            "b": {"type": "nope", "payload": {}},
            "c": step("${a.result.nope}", "ghost", payload={"width": 101}),
            "d": step("${ghost.result.path}", priority=9),
            "e": step("${a.path}"),
        },
        callback="ftp://example.com",
        tags=[""],
    )
    assert set(found) == {
        "/callback/url",
        "/tags/0",
        "/steps/a/width",
        "/steps/a/payload/path",
        "/steps/b/type",
        "/steps/c/dependsOn/0",
        "/steps/c/payload/path",
        "/steps/c/payload/width",
        "/steps/d/payload/path",
        "/steps/d/priority",
        "/steps/e/payload/path",
    }
    assert found["/steps/c/payload/path"].endswith("it gives success, path, note, size, length, files")
    assert "there is no step 'ghost'" in found["/steps/d/payload/path"]


def test_steps_that_wait_for_each_other_are_named_in_a_circle() -> None:
    found = problems({"a": step("a.mp4", "c"), "b": step("${a.result.path}"), "c": step("c.mp4", "b"), "d": step()})
    [(pointer, detail)] = found.items()
    assert pointer.endswith("/dependsOn")
    circle = detail.removeprefix("the steps wait for each other: ").split(" -> ")
    assert circle[0] == circle[-1]
    assert set(circle) == {"a", "b", "c"}


def test_a_step_cannot_wait_for_itself() -> None:
    assert "a -> a" in problems({"a": step("a.mp4", "a")})["/steps/a/dependsOn"]
    assert "a -> a" in problems({"a": step("${a.result.path}")})["/steps/a/dependsOn"]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("path", "${a.result.path}"),
        ("path", "x/${a.result.size}.mp4"),
        ("path", "${a.result.files.0.uri}"),
        ("width", "${a.result.size}"),
        ("seconds", "${a.result.size}"),
        ("seconds", "${a.result.length}"),
        ("names", "${a.result.files}"),
    ],
)
def test_values_that_may_fit_are_left_open(field: str, text: str) -> None:
    planned({"a": step(), "b": step(payload={field: text})})


@pytest.mark.parametrize(
    ("field", "text", "detail"),
    [
        ("width", "${a.result.path}", "is string, and this has to be integer or null"),
        ("width", "w${a.result.size}", "is string, and this has to be integer or null"),
        ("path", "${a.result.size}", "is integer, and this has to be string"),
        ("path", "${a.result.files}", "is array, and this has to be string"),
        ("path", "x ${a.result.files}", "is array and cannot stand within a text"),
        ("names", "${a.result.path}", "is string, and this has to be array"),
    ],
)
def test_types_that_cannot_fit_are_refused(field: str, text: str, detail: str) -> None:
    assert detail in problems({"a": step(), "b": step(payload={field: text})})[f"/steps/b/payload/{field}"]


def test_what_is_wrong_whatever_a_reference_stands_for_is_told() -> None:
    steps = {"a": step(), "b": step("${a.result.path}", payload={"width": 13})}
    assert problems(steps) == {"/steps/b/payload": "13 brings bad luck"}
    assert "/steps/b/payload/names" in problems({"a": step(), "b": step("${a.result.path}", payload={"names": 1})})


def test_what_is_wrong_with_an_example_only_is_left_open() -> None:
    planned({"a": step(), "b": step("${a.result.note}")})
    assert "/steps/b/payload" in problems({"a": step(), "b": step("${a.result.note}.txt")})


def test_the_series_of_a_step_has_to_be_known_when_the_flow_is_made() -> None:
    shipped = planned({"a": step(), "b": {**step("${a.result.path}", payload={"project": "q"}), "type": "ship"}})
    assert [item.series for item in shipped.steps] == ["", "ship:q"]
    open_series = {**step(payload={"project": "${a.result.path}"}), "type": "ship"}
    assert "one after the other" in problems({"a": step(), "b": open_series})["/steps/b/payload"]


def test_steps_that_could_not_be_there_together_are_refused() -> None:
    found = problems({"a": step(uniqueKey="u"), "b": step(uniqueKey="u")})
    assert found == {"/steps/b/uniqueKey": "step a of the same type has the same one"}


def test_a_step_belongs_to_its_flow_and_to_no_batch() -> None:
    assert "/steps/a/batchId" in problems({"a": step(batchId="b")})


@pytest.mark.parametrize(
    ("steps", "pointer"),
    [
        ({}, "/steps"),
        ({f"s{number}": step() for number in range(MOST_STEPS + 1)}, "/steps"),
        ([], "/steps"),
        ({"a": 1}, "/steps/a"),
        ({"1a": step()}, "/steps/1a"),
        ({"a": {}}, "/steps/a/type"),
        ({"a": step(onParentFailure="panic")}, "/steps/a/onParentFailure"),
    ],
)
def test_a_wrong_form_is_named(steps: Any, pointer: str) -> None:
    assert pointer in problems(steps)


@pytest.mark.parametrize("document", [None, [], "x", {}, {"steps": None}])
def test_what_is_no_flow_at_all_is_refused(document: object) -> None:
    with pytest.raises(InvalidSubmissionError):
        plan(document, TYPES)


def test_the_flow_of_the_documentation_fits_the_real_types() -> None:
    registry = discover(["workers"])
    found = plan(
        {
            "steps": {
                "fetch": {
                    "type": "download",
                    "payload": {"url": "https://example.com/film.mp4", "outputPath": "films/film.mp4"},
                },
                "cut": {
                    "type": "thumbnail",
                    "payload": {"videoPath": "${fetch.result.outputPath}", "outputPath": "films/film.png"},
                },
                "convert": {
                    "type": "webp",
                    "payload": {"inputPath": "${cut.result.outputPath}", "outputPath": "films/film.webp"},
                },
            }
        },
        registry,
    )
    assert [item.name for item in found.steps] == ["fetch", "cut", "convert"]
