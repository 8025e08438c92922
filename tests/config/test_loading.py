"""Reading freehold.toml: what a file means, and that every mistake is said at once, with its place and remedy."""

from pathlib import Path

import pytest

from freehold.config import Config, InvalidConfigError, Secret, load
from freehold.config.loading import find, parse
from freehold.errors import ConfigError

CONTRACT = """
[server]
listen = "127.0.0.1:8080"
require_keys = false

[limits]
body = "20 MiB"
idle_timeout = "5 min"

[accounts.azure-eu]
provider = "azure"
base_url = "https://acme.openai.azure.com"
api_key = "env:AZURE_OPENAI_API_KEY"
region = "swedencentral"
deployments = { chat-prod = "gpt-5" }

[accounts.bedrock-us]
provider = "bedrock"
region = "us-east-1"

[accounts.anthropic]
provider = "anthropic"
api_key = "env:ANTHROPIC_API_KEY"
timeouts = { connect = 2, first_byte = "90 s" }

[accounts.gemini]
provider = "gemini"
api_key = "env:GEMINI_API_KEY"

[accounts.rack]
provider = "openai-compatible"
base_url = "http://10.0.0.5:8000/v1"
jurisdiction = "DE"
headers = { X-Team = "search" }

[models.assistant]
targets = [
    "azure-eu/gpt-5",
    "bedrock-us/anthropic.claude-sonnet-4-5-20250929-v1:0",
    { to = "rack/qwen3-32b", weight = 3 },
]
strategy = "failover"
aliases = ["gpt-5", "claude-sonnet-4-5", "gemini-2.5-pro"]
"""
KEYS = {
    "AZURE_OPENAI_API_KEY": "az-planted",
    "ANTHROPIC_API_KEY": "an-planted",
    "GEMINI_API_KEY": "ge-planted",
    "HOME": "/users/a",
}


def mistakes(text: str, **environ: str) -> dict[str, str]:
    """The messages of a bad configuration by key path."""
    with pytest.raises(InvalidConfigError) as caught:
        parse(text, "freehold.toml", {"HOME": "/users/a", **environ})
    return {problem.path: problem.message for problem in caught.value.problems}


def good(text: str, **environ: str) -> Config:
    return parse(text, "freehold.toml", {"HOME": "/users/a", **environ})


ANTHROPIC = '[accounts.a]\nprovider = "anthropic"\napi_key = "k"\n'
MODEL = ANTHROPIC + "[models.m]\ntargets = ['a/c']\n"


class TestAGoodFile:
    @pytest.fixture
    def config(self) -> Config:
        return parse(CONTRACT, "freehold.toml", KEYS)

    def test_keeps_the_order_of_accounts_and_targets(self, config: Config) -> None:
        assert list(config.accounts) == ["azure-eu", "bedrock-us", "anthropic", "gemini", "rack"]
        targets = config.models["assistant"].targets
        assert [(target.to.partition("/")[0], target.weight) for target in targets] == [
            ("azure-eu", 1.0),
            ("bedrock-us", 1.0),
            ("rack", 3.0),
        ]

    def test_resolves_secrets_and_shows_none(self, config: Config) -> None:
        key = config.accounts["anthropic"].api_key
        assert key is not None
        assert key.reveal() == "an-planted"
        assert "planted" not in repr(config) + str(config)

    def test_takes_sizes_and_times_with_units(self, config: Config) -> None:
        assert config.limits.body == 20 * 1024 * 1024
        assert config.limits.idle_timeout == 300.0
        assert config.accounts["anthropic"].timeouts.connect == 2.0
        assert config.accounts["anthropic"].timeouts.first_byte == 90.0
        assert config.accounts["anthropic"].timeouts.idle == 120.0

    def test_fills_in_paths_in_the_users_data_directory(self, config: Config) -> None:
        assert config.storage.url == Secret("sqlite:////users/a/.local/share/freehold/freehold.db")
        assert config.ledger.directory == "/users/a/.local/share/freehold/spool"

    def test_has_no_notes_when_no_credential_stands_in_it(self, config: Config) -> None:
        assert config.notes == (("freehold.toml holds credentials itself (accounts.rack.headers.X-Team); "
                                "`env:NAME` or `file:/path` keeps them out"),)  # fmt: skip

    def test_takes_an_address_for_a_credential_only_where_it_may_hold_a_password(self) -> None:
        assert parse('[storage]\nurl = "sqlite:////srv/freehold.db"', "freehold.toml", {}).notes == ()
        for url in ("postgresql://user:word@host/db", "postgresql://host/db?password=word"):
            assert "storage.url" in parse(f'[storage]\nurl = "{url}"', "freehold.toml", {}).notes[0]

    def test_treats_headers_as_secrets(self, config: Config) -> None:
        assert config.accounts["rack"].headers["X-Team"].reveal() == "search"

    def test_digest_changes_with_the_text_and_with_a_secret(self, config: Config) -> None:
        assert parse(CONTRACT, "elsewhere.toml", KEYS).digest == config.digest
        assert parse(CONTRACT + "\n# x", "freehold.toml", KEYS).digest != config.digest
        assert parse(CONTRACT, "freehold.toml", {**KEYS, "GEMINI_API_KEY": "rotated"}).digest != config.digest


def test_every_mistake_is_reported_at_once_in_order_with_its_line() -> None:
    text = """
[server]
listen = "0.0.0.0:80"
require_key = false

[accounts.azure-eu]
provider = "azure"
base_url = "https://acme.openai.azure.com"
api_key = "env:NOT_SET"

[accounts.bedrock-us]
provider = "bedrok"

[models.assistant]
targets = ["rack/qwen3-32b"]
strategy = "luckiest"
"""
    with pytest.raises(InvalidConfigError) as caught:
        parse(text, "freehold.toml", {})
    assert str(caught.value).splitlines() == [
        "freehold.toml: 6 mistakes",
        (
            "  line 3: server.listen: 0.0.0.0:80 can be reached from outside; "
            "set `require_keys = true`, or listen on 127.0.0.1"
        ),
        "  line 4: server.require_key: unknown setting; did you mean `require_keys`?",
        (
            "  line 9: accounts.azure-eu.api_key: the environment variable NOT_SET is not set; "
            "export it, or name another one"
        ),
        "  line 12: accounts.bedrock-us.provider: unknown provider `bedrok`; did you mean `bedrock`?",
        (
            "  line 15: models.assistant.targets: `rack/qwen3-32b`: there is no account `rack`; "
            "there are `azure-eu`, `bedrock-us`"
        ),
        (
            "  line 16: models.assistant.strategy: `luckiest` is not known; there are `failover`, `weighted`, "
            "`cheapest`, `fastest`, `balanced`, `hedged`, `cascade`, `sticky`, `committed`"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ('[acounts.a]\nprovider = "openai"', "acounts", "did you mean `accounts`?"),
        ('accounts = "x"', "accounts", "write `[accounts.NAME]`"),
        ('[accounts]\na = "openai"', "accounts.a", "expected a table, got a string; write `[accounts.a]`"),
        (
            '[commitments.x]\ntargets = ["y/m"]\nspend = 1.0',
            "commitments.x.targets",
            "`y/m` is no target of an",
        ),
        ("[commitments.x]\ntargets = []\ntokens_per_minute = 1", "commitments.x.targets", "is empty"),
        ("[commitments.x]\ntargets = []", "commitments.x", "either `tokens_per_minute` or `spend`"),
        ("[commitments.x]\ntargets = []\nspend = 1\ntokens_per_minute = 1", "commitments.x", "state either"),
        ("[commitments.x]\ntargets = []\nspend = 1.0\nstart = 2026-01-01", "commitments.x", "a later `until`"),
        ("[commitments.x]\ntargets = []\nspend = 0", "commitments.x.spend", "> 0"),
        ("[commitments.x]\ntargets = []\nuntil = 5", "commitments.x.until", "expected date"),
        ("[commitments.x]\ndiscount = 1.0", "commitments.x.discount", "< 1"),
        ("[accounts.a]\nregion = 'x'", "accounts.a.provider", "is missing"),
        ('[accounts.a]\nprovider = "openai"\nkey = "k"', "accounts.a.key", "did you mean `api_key`?"),
        ('[accounts.a]\nprovider = "openai"\nendpoint = "k"', "accounts.a.endpoint", "did you mean `base_url`?"),
        ('[accounts.a]\nprovider = "openai"', "accounts.a.api_key", 'write e.g. `api_key = "env:OPENAI_API_KEY"`'),
        ('[accounts.a]\nprovider = "openai"\napi_key = 7', "accounts.a.api_key", "expected a string, got a number"),
        ('[accounts.a]\nprovider = "openai"\napi_key = "file:/nowhere"', "accounts.a.api_key", "can not read /nowhere"),
        ('[accounts."a/b"]\nprovider = "ollama"', 'accounts."a/b"', "letters, digits"),
        ('[accounts.a]\nprovider = "bedrock"', "accounts.a.region", "Amazon Bedrock needs `region`"),
        ('[accounts.a]\nprovider = "vertex"', "accounts.a.project", "needs `project`"),
        ('[accounts.a]\nprovider = "azure"\napi_key = "k"', "accounts.a", "`resource` is missing"),
        ('[accounts.a]\nprovider = "openai-compatible"', "accounts.a.base_url", "is missing"),
        ('[accounts.a]\nprovider = "bedrock"\nregion = "r"\naccess_key_id = "A"', "accounts.a", "belong together"),
        (ANTHROPIC + 'base_url = "api.example.com"', "accounts.a.base_url", "no http or https address"),
        (ANTHROPIC + 'base_url = "http://api.example.com"', "accounts.a.base_url", "plain http to api.example.com"),
        (ANTHROPIC + 'base_url = "https://u:p@api.example.com"', "accounts.a.base_url", "credentials do not belong"),
        (ANTHROPIC + 'base_url = "https://api.example.com?x=1"', "accounts.a.base_url", "no query"),
        (ANTHROPIC + 'base_url = "https://h:port"', "accounts.a.base_url", "is no URL"),
        (ANTHROPIC + 'proxy = "nonsense"', "accounts.a.proxy", "write e.g. `http://proxy.example.com:3128`"),
        ("[server]\nlisten = 8080", "server.listen", "expected str, got int; write text in quotes"),
        (ANTHROPIC + 'ca_file = "/nowhere.pem"', "accounts.a.ca_file", "no such file"),
        (ANTHROPIC + f'ca_file = "{__file__}"', "accounts.a.ca_file", "must be a readable PEM file"),
        (ANTHROPIC + f'client_cert = "{__file__}"', "accounts.a.client_cert", "must be a readable PEM file"),
        (ANTHROPIC + "max_connections = 0", "accounts.a.max_connections", "expected int >= 1"),
        (ANTHROPIC + "timeouts = { conect = 1 }", "accounts.a.timeouts.conect", "did you mean `connect`?"),
        (ANTHROPIC + "headers = { a = 1 }", "accounts.a.headers.a", "expected a string, got a number"),
        (ANTHROPIC + "[models.m]", "models.m.targets", "is missing"),
        (ANTHROPIC + "[models.m]\ntargets = []", "models.m.targets", "is empty"),
        (
            ANTHROPIC + '[models.m]\ntargets = ["claude"]',
            "models.m.targets",
            "`claude` is no target; write `account/model`",
        ),
        (
            ANTHROPIC + '[models.m]\ntargets = [{ to = "a/c", wait = 1 }]',
            "models.m.targets.wait",
            "did you mean `weight`?",
        ),
        (ANTHROPIC + '[models.m]\ntargets = ["a/c@bedrock-converse"]', "models.m.targets", "anthropic does not speak"),
        (
            ANTHROPIC + '[models.m]\ntargets = ["a/c"]\n[models.n]\ntargets = ["a/d"]\naliases = ["m"]',
            "models.n",
            "belongs to `models.m` already",
        ),
        (MODEL + "hedge = { percentile = 1.0 }", "models.m.hedge.percentile", "expected float <= 0.999"),
        (MODEL + 'hedge = { after = "soon" }', "models.m.hedge.after", "is no number of seconds"),
        (MODEL + "hedge = { at_most = 1 }", "models.m.hedge.at_most", "expected int >= 2"),
        (MODEL + "hedge = { extra_cost = 0 }", "models.m.hedge.extra_cost", "expected float > 0"),
        (MODEL + "check = { matches = '(' }", "models.m.check.matches", "is no regular expression"),
        (MODEL + "check = { schema = '[]' }", "models.m.check.schema", "write e.g. `file:/etc/freehold/answer.json`"),
        (MODEL + "check = { schema = 'file:/nowhere.json' }", "models.m.check.schema", "can not read /nowhere.json"),
        (MODEL + "check = { judge = 'n' }", "models.m.check.judge", "there is no model `n`; there are `m`"),
        (MODEL + "check = { judge = 'm' }", "models.m.check.judge", "`m` is judged itself"),
        (
            MODEL + "check = { judge = 'n2' }\n[models.n]\ntargets = ['a/d']\naliases = ['n2']\n"
            "strategy = 'cascade'\ncheck = { judge = 'm' }",
            "models.m.check.judge",
            "`n2` is judged itself; name a model that is not",
        ),
        ("[limits]\nretry_share = 1.5", "limits.retry_share", "expected float <= 1"),
        ('[limits]\nbody = "big"', "limits.body", "is no number of bytes"),
        ("[limits]\nattempts = 1.5", "limits.attempts", "expected int, got float"),
        ('[ledger]\non_full = "panic"', "ledger.on_full", "there are `refuse`, `serve`"),
        ('[server]\nlisten = "8080"', "server.listen", 'write e.g. `"127.0.0.1:8080"`'),
        ('[server]\nadmin_listen = "0.0.0.0:8081"', "server.admin_listen", "set `admin_token`"),
        ('[server]\ntls_cert = "/nowhere.pem"', "server", "belong together"),
        ('[server]\ntrusted_proxies = ["ten"]', "server.trusted_proxies", "`ten` is no network"),
    ],
)
def test_a_mistake_names_its_place_and_what_to_write_instead(text: str, path: str, says: str) -> None:
    assert says in mistakes(text)[path]


@pytest.mark.parametrize(
    "base",
    [
        "http://127.0.0.1:1/v1",
        "http://localhost:1",
        "http://[::1]:1",
        "http://10.1.2.3",
        "http://vllm:8000",
        "http://gpu.internal",
    ],
)
def test_plain_http_is_fine_nearby(base: str) -> None:
    assert good(f'[accounts.a]\nprovider = "vllm"\nbase_url = "{base}"').accounts["a"].base_url == base


def test_plain_http_elsewhere_is_a_decision() -> None:
    text = ANTHROPIC + 'base_url = "http://api.example.com"\nallow_http = true'
    assert good(text).accounts["a"].allow_http


def test_a_public_address_needs_keys() -> None:
    assert good('[server]\nlisten = "0.0.0.0:8080"\nrequire_keys = true').server.listen == "0.0.0.0:8080"


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k-1\n")
    key = good(f'[accounts.a]\nprovider = "openai"\napi_key = "file:{tmp_path}/key"').accounts["a"].api_key
    assert key == Secret("k-1")


def test_a_secret_in_the_file_itself_is_noted_without_being_shown() -> None:
    config = good('[accounts.a]\nprovider = "openai"\napi_key = "sk-planted"')
    assert "accounts.a.api_key" in config.notes[0]
    assert "planted" not in config.notes[0]


def test_a_mistake_never_shows_a_secret() -> None:
    assert "planted" not in str(mistakes('[accounts.a]\nprovider = "openai"\napi_key = "sk-planted"\nx = 1'))


def test_a_vertex_model_with_an_at_sign_is_no_protocol() -> None:
    text = '[accounts.v]\nprovider = "vertex"\nproject = "p"\n[models.m]\ntargets = ["v/claude-sonnet-4-5@20250929"]'
    assert good(text).models["m"].targets[0].to.endswith("@20250929")


def test_text_that_is_not_toml_says_where() -> None:
    with pytest.raises(ConfigError, match=r"freehold\.toml: this is not TOML: .*line 2"):
        parse("[server]\nlisten = ]", "freehold.toml", {})


class TestWhichFile:
    def test_the_named_one_then_the_environments_then_the_one_here(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        named, stated, here = tmp_path / "named.toml", tmp_path / "stated.toml", Path("freehold.toml")
        assert find(None, {}) is None
        for file in (named, stated, tmp_path / here):
            file.write_text("")
        assert find(str(named), {"FREEHOLD_CONFIG": str(stated)}) == named
        assert find(None, {"FREEHOLD_CONFIG": str(stated)}) == stated
        assert find(None, {}) == here

    def test_a_named_one_must_exist(self) -> None:
        with pytest.raises(ConfigError, match=r"/nowhere.toml: no such file \(named by --config\)"):
            find("/nowhere.toml", {})
        with pytest.raises(ConfigError, match="FREEHOLD_CONFIG"):
            find(None, {"FREEHOLD_CONFIG": "/nowhere.toml"})

    def test_it_is_read_and_named(self, tmp_path: Path) -> None:
        file = tmp_path / "freehold.toml"
        file.write_text(ANTHROPIC)
        config = load(str(file), {"HOME": "/users/a"})
        assert config.source == str(file)
        file.write_text("[server]\nport = 1")
        with pytest.raises(InvalidConfigError, match=rf"{file}: 1 mistake\n  line 2: server\.port: .*`listen`"):
            load(str(file), {"HOME": "/users/a"})
