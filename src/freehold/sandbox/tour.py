"""The tour that `freehold demo` gives: every client at every cloud, a stream, a tool, and a provider switched off.

Each stop sends real requests and checks what came back; what did not work is in `failures`, in words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from freehold.errors import FreeholdError
from freehold.ir import JsonObject, JsonValue
from freehold.protocols.registry import CODECS
from freehold.sandbox.caller import Caller, Reply
from freehold.sandbox.clients import CLIENTS, VendorClient, Wire, at
from freehold.sandbox.fleet import Fleet

QUESTION: Final = "Who answers this, and from where?"
TOOL_QUESTION: Final = "What is the weather in Paris and in Berlin?"

_AT_ONCE: Final = 6
"""Requests in flight together: enough to be quick, few enough that two cores do not distort the times."""

_WEATHER: Final[dict[str, str]] = {"Paris": "18 degrees and clear", "Berlin": "12 degrees and rain"}

_TOOL: Final[JsonObject] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class _Arguments(msgspec.Struct):
    """What the tool is called with."""

    city: str = ""


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """One question of the tour: who asked, whom, and what came of it."""

    step: str
    client: str
    asked: str
    reply: Reply | None
    problem: str | None = None


class Tour:
    """Visits all there is. `failures` grows while it goes on."""

    def __init__(self, fleet: Fleet, caller: Caller, say: Callable[[str], None]) -> None:
        """`say` is told what a streamed answer says, piece by piece."""
        self._fleet = fleet
        self._caller = caller
        self._say = say
        self.clients = tuple(client for client in CLIENTS if client.protocol in CODECS)
        self.failures: list[str] = []

    # --- Every client, every cloud -----------------------------------------------------------------------------------

    async def everywhere(self) -> list[Stop]:
        """The same question from every client to every cloud."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(client: VendorClient, cloud: str) -> Stop:
            model = self._model(cloud)
            async with gate:
                return await self._stop(
                    "everywhere", client, cloud, lambda: self._caller.ask(client, model, QUESTION), self._speaks(cloud)
                )

        asks = [one(client, cloud) for client in self.clients for cloud in self._fleet.clouds]
        return list(await asyncio.gather(*asks))

    async def warm_up(self) -> None:
        """One unmeasured question to every cloud, so that the table shows answers and not first connections."""
        client = self.clients[0]
        asks = (self._caller.ask(client, self._model(cloud), "Hello?") for cloud in self._fleet.clouds)
        await asyncio.gather(*asks, return_exceptions=True)

    # --- A stream ----------------------------------------------------------------------------------------------------

    async def stream(self) -> Stop:
        """Anthropic's client reads a stream that another vendor's model speaks."""
        client = self._client("anthropic-messages")
        cloud = "gemini" if "gemini" in self._fleet.clouds else "openai"
        model = self._model(cloud)
        return await self._stop(
            "stream",
            client,
            cloud,
            lambda: self._caller.stream(client, model, QUESTION, self._say),
            self._speaks(cloud),
        )

    # --- A tool ------------------------------------------------------------------------------------------------------

    async def tool(self) -> tuple[Stop, Stop | None, list[str]]:
        """OpenAI's client offers a tool to Claude, runs the calls and brings the results: two turns, and the calls."""
        client = self._client("openai-chat")
        model = self._model("anthropic")
        messages: list[JsonValue] = [{"role": "user", "content": TOOL_QUESTION}]
        first = await self._tool_turn(client, model, messages, "")
        calls = at(first.reply.body, "choices", 0, "message", "tool_calls") if first.reply is not None else None
        if not isinstance(calls, list) or len(calls) != len(_WEATHER):
            self.failures.append(f"tool: expected {len(_WEATHER)} calls, got {calls!r}")
            return first, None, []
        messages.append(at(first.reply.body, "choices", 0, "message") if first.reply is not None else None)
        shown: list[str] = []
        for call in calls:
            city = _city(call)
            shown.append(f"{at(call, 'function', 'name')}({city})")
            said = _WEATHER.get(city, "no such city")
            messages.append({"role": "tool", "tool_call_id": at(call, "id"), "content": f"{city}: {said}"})
        second = await self._tool_turn(client, model, messages, _WEATHER["Berlin"])
        return first, second, shown

    async def _tool_turn(self, client: VendorClient, model: str, messages: list[JsonValue], expected: str) -> Stop:
        body: JsonObject = {"model": model, "messages": list(messages), "tools": [_TOOL]}
        wire = Wire(path="/v1/chat/completions", body=body)
        return await self._stop("tool", client, "anthropic", lambda: self._caller.send(client, wire), expected)

    # --- A provider switched off -------------------------------------------------------------------------------------

    async def failover(self) -> list[Stop]:
        """The route `assistant` before, during and after an outage of its first provider."""
        client = self._client("openai-chat")
        route = self._fleet.routes()["assistant"]
        first, second = (cloud for cloud, _ in route[:2])
        stops = [await self._asked(client, "before the outage", first)]
        await self._fleet.clouds[first].fail("outage")
        stops.append(await self._asked(client, f"{first} is switched off", second))
        await self._fleet.clouds[first].heal()
        stops.append(await self._asked(client, f"{first} is back", first))
        return stops

    async def _asked(self, client: VendorClient, step: str, expected: str) -> Stop:
        return await self._stop(
            step,
            client,
            "assistant",
            lambda: self._caller.ask(client, "assistant", QUESTION),
            self._speaks(expected),
        )

    # --- One stop ----------------------------------------------------------------------------------------------------

    async def _stop(
        self, step: str, client: VendorClient, asked: str, send: Callable[[], Awaitable[Reply]], expected: str
    ) -> Stop:
        try:
            reply = await send()
        except FreeholdError as error:
            return self._failed(step, client, asked, None, error.message)
        if reply.status != 200:
            return self._failed(step, client, asked, reply, f"status {reply.status}: {reply.text[:200]}")
        if expected not in reply.text:
            return self._failed(step, client, asked, reply, f"the answer does not say {expected!r}: {reply.text[:200]}")
        return Stop(step=step, client=client.protocol, asked=asked, reply=reply)

    def _failed(self, step: str, client: VendorClient, asked: str, reply: Reply | None, problem: str) -> Stop:
        self.failures.append(f"{step}: {client.protocol} to {asked}: {problem}")
        return Stop(step=step, client=client.protocol, asked=asked, reply=reply, problem=problem)

    def _client(self, protocol: str) -> VendorClient:
        return next(client for client in self.clients if client.protocol == protocol)

    def _model(self, cloud: str) -> str:
        return f"{cloud}/{self._fleet.clouds[cloud].spec.models[0]}"

    def _speaks(self, cloud: str) -> str:
        return self._fleet.clouds[cloud].spec.speaks


def _city(call: JsonValue) -> str:
    """The city that a call asks for."""
    arguments = at(call, "function", "arguments")
    try:
        return msgspec.json.decode(arguments if isinstance(arguments, str) else "{}", type=_Arguments).city
    except msgspec.DecodeError:
        return ""
