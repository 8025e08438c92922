"""From a name to targets: the rules in their order, and what an unknown name is told."""

import pytest

from freehold.config.loading import parse
from freehold.errors import CallerError
from freehold.routing.names import Names

TEXT = """
[accounts.azure-eu]
provider = "azure"
base_url = "https://acme.openai.azure.com"
api_key = "k"
region = "swedencentral"
deployments = { chat-prod = "gpt-5", mini = "gpt-4o-mini" }
[accounts.openai]
provider = "openai"
api_key = "k"
[accounts.bedrock-us]
provider = "bedrock"
region = "us-east-1"
[accounts.bedrock-eu]
provider = "bedrock"
region = "eu-west-1"
[accounts.anthropic]
provider = "anthropic"
api_key = "k"
[accounts.vertex]
provider = "vertex"
project = "p"
[accounts.rack]
provider = "openai-compatible"
base_url = "http://10.0.0.5:8000/v1"

[models.assistant]
targets = [
  "azure-eu/chat-prod",
  "bedrock-us/anthropic.claude-haiku-4-5-20251001-v1:0",
  { to = "rack/qwen3-32b", weight = 3 },
]
aliases = [
  "gpt-5",
  "claude-sonnet-4-5",
  "openai/house-style",
  "arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/abc",
]
[models.picky]
targets = ["anthropic/claude-opus-5@anthropic-messages", "bedrock-eu/openai.gpt-oss-20b-1:0@bedrock-converse"]
"""
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"


@pytest.fixture(scope="module")
def names() -> Names:
    return Names(parse(TEXT, "freehold.toml", {"HOME": "/users/a"}))


def ids(names: Names, name: str) -> list[str]:
    return [target.id for target in names.resolve(name).targets]


ASSISTANT = ["azure-eu/chat-prod", f"bedrock-us/{HAIKU}", "rack/qwen3-32b"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("assistant", ASSISTANT),
        ("gpt-5", ASSISTANT),
        ("claude-sonnet-4-5", ASSISTANT),
        # an alias is stronger than `account/model`
        ("openai/house-style", ASSISTANT),
        ("openai/gpt-5", ["openai/gpt-5"]),
        ("rack/meta-llama/Llama-3.3-70B", ["rack/meta-llama/Llama-3.3-70B"]),
        ("openai/some-model-of-tomorrow", ["openai/some-model-of-tomorrow"]),
        # bare ids
        ("gpt-4o", ["openai/gpt-4o"]),
        ("gpt-4o-2024-08-06", ["openai/gpt-4o-2024-08-06"]),
        ("mini", ["azure-eu/mini"]),
        ("claude-opus-4-1-20250805", ["anthropic/claude-opus-4-1-20250805"]),
        ("claude-opus-4-1@20250805", ["vertex/claude-opus-4-1@20250805"]),
        (HAIKU, [f"bedrock-us/{HAIKU}"]),
        # profiles restrict the region
        (f"us.{HAIKU}", [f"bedrock-us/us.{HAIKU}"]),
        (f"eu.{HAIKU}", [f"bedrock-eu/eu.{HAIKU}"]),
        (f"global.{HAIKU}", [f"bedrock-us/global.{HAIKU}"]),
        ("us.assistant", [f"bedrock-us/{HAIKU}"]),
        ("global.assistant", ASSISTANT),
        # ARNs
        (f"arn:aws:bedrock:us-east-1::foundation-model/{HAIKU}", [f"bedrock-us/{HAIKU}"]),
        (f"arn:aws:bedrock:eu-west-1:000000000000:inference-profile/eu.{HAIKU}", [f"bedrock-eu/eu.{HAIKU}"]),
        ("arn:aws:bedrock:us-east-1::foundation-model/assistant", ASSISTANT),
        ("arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/abc", ASSISTANT),
        (
            "bedrock-us/arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/x",
            ["bedrock-us/arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/x"],
        ),
    ],
)
def test_a_name_means(names: Names, name: str, expected: list[str]) -> None:
    assert ids(names, name) == expected
    assert ids(names, name) == expected


def test_a_target_brings_its_protocols_best_first(names: Names) -> None:
    azure, bedrock, rack = names.resolve("assistant").targets
    assert azure.protocols == ("openai-responses", "openai-chat", "azure-openai")
    assert bedrock.protocols[:2] == ("bedrock-invoke", "bedrock-converse")
    assert rack.protocols[0] == "openai-chat"
    assert (azure.known_as, rack.weight, azure.forced) == ("gpt-5", 3.0, False)


@pytest.mark.parametrize(
    ("name", "model", "protocols"),
    [
        ("openai/gpt-5@openai-chat", "gpt-5", ("openai-chat",)),
        ("vertex/claude-opus-4-1@20250805", "claude-opus-4-1@20250805", ("anthropic-messages",)),
        ("vertex/claude-opus-4-1@20250805@anthropic-messages", "claude-opus-4-1@20250805", ("anthropic-messages",)),
        ("bedrock-us/m@bedrock-invoke", "m", ("bedrock-invoke",)),
        ("rack/who@where", "who@where", ("openai-chat",)),
    ],
)
def test_a_protocol_can_be_forced_after_the_last_at_sign(
    names: Names, name: str, model: str, protocols: tuple[str, ...]
) -> None:
    (target,) = names.resolve(name).targets
    assert (target.model, target.protocols[:1]) == (model, protocols[:1])
    assert target.forced == name.endswith(("@openai-chat", "@anthropic-messages", "@bedrock-invoke"))


def test_a_file_can_force_protocols_too(names: Names) -> None:
    assert [target.protocols for target in names.resolve("picky").targets] == [
        ("anthropic-messages",),
        ("bedrock-converse",),
    ]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gpt-4oo", "the nearest names are `gpt-4o`"),
        ("asistant", "`assistant`"),
        ("opnai/gpt-5", "`openai/"),
        ("zzzzzzzz", "ask for `account/model`; the accounts are `azure-eu`, `openai`"),
        ("openai/", "there is no model `openai/`"),
        ("anthropic/claude-opus-5@bedrock-converse", "there is no model"),
        ("arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/unknown", "there is no model"),
        ("arn:aws:bedrock", "there is no model"),
        (f"apac.{HAIKU}", "there is no model"),
        ("eu.picky-not", "there is no model"),
        ("", "there is no model ``"),
        ("x" * 5000, "there is no model `" + "x" * 100 + "…`"),
    ],
)
def test_an_unknown_name_is_a_404_with_the_nearest_names(names: Names, name: str, says: str) -> None:
    for _ in range(2):
        with pytest.raises(CallerError) as caught:
            names.resolve(name)
        assert says in caught.value.message
        assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")


def test_a_profile_whose_region_no_target_has_is_not_found(names: Names) -> None:
    assert ids(names, "eu.picky") == ["bedrock-eu/openai.gpt-oss-20b-1:0"]
    with pytest.raises(CallerError):
        names.resolve("apac.assistant")


def test_names_of_strangers_do_not_fill_memory(names: Names) -> None:
    for number in range(5000):
        names.resolve(f"rack/{number}")
    assert len(names._memo) <= 2048


def test_the_stated_names_are_listed(names: Names) -> None:
    assert names.listed()[:3] == ("assistant", "gpt-5", "claude-sonnet-4-5")


def test_without_stated_names_the_ids_of_the_accounts_are_listed() -> None:
    names = Names(parse('[accounts.a]\nprovider = "anthropic"\napi_key = "k"', "f", {"HOME": "/users/a"}))
    assert "claude-opus-5" in names.listed()


def test_it_is_said_who_answers_for_ids_that_several_list(names: Names) -> None:
    said = "\n".join(names.notes())
    assert "listed by bedrock-us, bedrock-eu; the bare name goes to bedrock-us" in said
    assert "`gpt-5`" not in said


def test_every_target_can_be_named_in_advance_once(names: Names) -> None:
    found = [target.id for target in names.targets()]
    assert len(found) == len(set(found))
    assert set(ASSISTANT) < set(found)


def test_with_no_account_the_remedy_is_another() -> None:
    with pytest.raises(CallerError, match="freehold demo"):
        Names(parse("", "f", {"HOME": "/users/a"})).resolve("gpt-4o")
