"""The error codes that the source states, found without running it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import msgspec

SOURCE = Path(__file__).parents[2] / "src" / "freehold"

# Emulated providers: their codes are those that the real ones give. What asks a running sandbox is no provider.
EMULATED = ("sandbox",)
OURS = ("sandbox/remote.py",)

# What builds an error's words from a code; anything else with a keyword `code` is a value of some wire language.
ERROR_CALLS = {
    "AuthenticationError",
    "CallerError",
    "CommandError",
    "ConfigError",
    "FreeholdError",
    "SignatureError",
    "UpstreamError",
}


class Site(msgspec.Struct, frozen=True):
    """A place that states a code, with the kind and the status that stand beside it."""

    where: str
    code: str
    call: str = ""
    kind: str | None = None
    status: int | None = None


def sites() -> Iterator[Site]:
    """Every literal `code=` in a call, every default of a parameter `code`, and every `default_code` of a class."""
    for path in sorted(SOURCE.rglob("*.py")):
        relative = path.relative_to(SOURCE)
        if relative.parts[0] in EMULATED and str(relative) not in OURS:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            yield from _in_node(node, str(relative))


def _in_node(node: ast.AST, where: str) -> Iterator[Site]:
    match node:
        case ast.Call():
            stated = {keyword.arg: _literal(keyword.value) for keyword in node.keywords}
            code, kind, status = stated.get("code"), stated.get("kind"), stated.get("status")
            if isinstance(code, str):
                yield Site(
                    f"{where}:{node.lineno}",
                    code,
                    ast.unparse(node.func),
                    kind if isinstance(kind, str) else None,
                    status if isinstance(status, int) else None,
                )
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            named = [*zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]
            plain = node.args.args[len(node.args.args) - len(node.args.defaults) :]
            for argument, default in [*named, *zip(plain, node.args.defaults, strict=True)]:
                text = _literal(default)
                if argument.arg == "code" and isinstance(text, str):
                    yield Site(f"{where}:{node.lineno}", text)
        case ast.Assign(targets=[ast.Name(id="default_code")], value=ast.Constant(value=str(text))):
            yield Site(f"{where}:{node.lineno}", text)
        case ast.AnnAssign(target=ast.Name(id="default_code"), value=ast.Constant(value=str(text))):
            yield Site(f"{where}:{node.lineno}", text)
        case _:
            pass


def _literal(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None
