"""Conversations held with the previous major of google-genai: a program for the environment that has it.

`python -m tests.sdk.previous_google URL KEY MODEL...` holds each conversation with each model and writes what came of
it, as one JSON object a line.
"""

from __future__ import annotations

import itertools
import json
import sys
import traceback
from collections.abc import Callable, Iterator

import google.genai
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from tests.sdk.google import GenerateContent
from tests.sdk.questions import Question
from tests.upstreams.scenarios import AFTER_RESULTS, FIRST, Said

Talk = Callable[[GenerateContent, bool], None]


def whole_conversation(talk: GenerateContent, stream: bool) -> None:  # noqa: FBT001 -- every talk is called alike
    """Text, an image, a system text and tools, and on with the results."""
    question = Question(text="Weather in Lisbon? (scenario=one-call)", tools=True, system=True, image=True)
    told = talk.ask(question, stream=stream)
    assert told.calls == [("get_weather", {"city": "Lisbon"})], told
    told = talk.give_results(stream=stream)
    assert told.text == AFTER_RESULTS["one-call"].whole, told


def structured(talk: GenerateContent, stream: bool) -> None:  # noqa: FBT001 -- as above
    told = talk.ask(Question(text="Weather? (scenario=structured)", schema=True), stream=stream)
    assert json.loads(told.text) == {"city": "Lisbon", "degrees": 24}, told


def length_and_usage(talk: GenerateContent, stream: bool) -> None:  # noqa: FBT001 -- as above
    said = FIRST["length"]
    assert isinstance(said, Said)
    told = talk.ask(Question(text="Count (scenario=length)", stop=True), stream=stream)
    assert (told.text, told.stop) == (said.whole, "MAX_TOKENS"), told
    assert (told.prompt, told.output) == (said.prompt, said.output), told


def thoughts(talk: GenerateContent, stream: bool) -> None:  # noqa: FBT001 -- as above
    """A proof of thought comes back with the next turn; the emulated upstream demands it."""
    told = talk.ask(Question(text="Good day (scenario=reasoning)", think=True), stream=stream)
    assert told.text == "Good day.", told
    talk.ask(Question(text="And now?", think=True), stream=stream)


TALKS: tuple[Talk, ...] = (whole_conversation, structured, length_and_usage, thoughts)


def clients(url: str, key: str) -> Iterator[tuple[str, genai.Client]]:
    """Gemini and Vertex mode."""
    yield "gemini", genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))
    yield (
        "vertex",
        genai.Client(
            vertexai=True,
            project="p",
            location="europe-west4",
            credentials=Credentials(token=key),
            http_options=types.HttpOptions(base_url=url),
        ),
    )


def main(url: str, key: str, *models: str) -> None:
    sys.stdout.write(json.dumps({"version": google.genai.__version__}) + "\n")
    for mode, client in clients(url, key):
        for model, talk, stream in itertools.product(models, TALKS, (False, True)):
            wrong = ""
            try:
                talk(GenerateContent(client, model), stream)
            except Exception:  # noqa: BLE001 -- whatever it is, it goes into the line
                wrong = traceback.format_exc(limit=-4)
            line = {"mode": mode, "model": model, "talk": talk.__name__, "stream": stream, "wrong": wrong}
            sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
