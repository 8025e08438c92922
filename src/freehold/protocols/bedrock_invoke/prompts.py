"""Conversations as one prompt, for models that take only text: each vendor's own template."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from freehold.ir import (
    CachePoint,
    Losses,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Structured,
    Text,
    ToolCall,
    ToolResult,
    write_json,
)

Said = list[tuple[str, str]]
"""A conversation as (speaker, words); the speaker is `system`, `user` or `assistant`."""

Template = Callable[[Said], str]

_SPEAKER = {"system": "system", "developer": "system", "user": "user", "tool": "user", "assistant": "assistant"}


def words_of(messages: Sequence[Message], losses: Losses) -> Said:
    """The words of a conversation, neighbours of one speaker joined; what is not text is noted as lost."""
    said: Said = []
    for number, message in enumerate(messages):
        path = f"messages[{number}]"
        texts = [text for at, part in enumerate(message.parts) if (text := _words(part, losses, f"{path}.parts[{at}]"))]
        losses.drop_extra(message.extra, path)
        if message.name is not None:
            losses.add(f"{path}.name", "dropped", "behaviour", "names of participants")
        if not texts:
            continue
        speaker = _SPEAKER[message.role]
        words = "\n\n".join(texts)
        if said and said[-1][0] == speaker:
            said[-1] = (speaker, f"{said[-1][1]}\n\n{words}")
        else:
            said.append((speaker, words))
    return said


def _words(part: Part, losses: Losses, path: str) -> str:
    match part:
        case Text() | Refusal():
            losses.drop_extra(part.extra, path)
            return part.text
        case Structured():
            return write_json(part.value).decode()
        case Reasoning():
            losses.add(path, "dropped", "behaviour", "a prompt holds no reasoning")
        case CachePoint():
            losses.add(path, "dropped", "accounting", "a prompt has no cache points")
        case Opaque():
            losses.drop_opaque(part, path)
        case Media() | ToolCall() | ToolResult():
            losses.add(path, "dropped", "content", f"a prompt holds no {type(part).__name__}")
    return ""


def plain(said: Said) -> str:
    """For models without a template of their own: one turn as it is, several with the speakers' names."""
    if len(said) == 1:
        return said[0][1]
    turns = [words if speaker == "system" else f"{speaker.capitalize()}: {words}" for speaker, words in said]
    return "\n\n".join([*turns, "Assistant:"])


def claude(said: Said) -> str:
    """Claude's text completions demand this very form (documentation of Text Completions)."""
    text = ""
    for speaker, words in said:
        text += words if speaker == "system" else f"\n\n{'Human' if speaker == 'user' else 'Assistant'}: {words}"
    return f"{text}\n\nAssistant:" if said and said[-1][0] != "assistant" else text.rstrip()


def llama(said: Said) -> str:
    """Llama 3's header tokens."""
    turns = "".join(f"<|start_header_id|>{speaker}<|end_header_id|>\n\n{words}<|eot_id|>" for speaker, words in said)
    return f"<|begin_of_text|>{turns}<|start_header_id|>assistant<|end_header_id|>\n\n"


def instruct(said: Said) -> str:
    """Mistral's and Llama 2's instruction tags; system text stands at the head of the first instruction."""
    text, before = "<s>", ""
    for speaker, words in said:
        if speaker == "system":
            before += f"{words}\n\n"
        elif speaker == "user":
            text += f"[INST] {before}{words} [/INST]"
            before = ""
        else:
            text += f" {words}</s>"
    return f"{text}[INST] {before.rstrip()} [/INST]" if before else text


def titan(said: Said) -> str:
    """Titan's conversations (documentation: prompt engineering guidelines)."""
    if len(said) == 1:
        return said[0][1]
    names = {"system": "", "user": "User: ", "assistant": "Bot: "}
    return "\n".join([*(f"{names[speaker]}{words}" for speaker, words in said), "Bot:"])


def deepseek(said: Said) -> str:
    """DeepSeek R1's special tokens (Bedrock's documentation of its request); their bars are fullwidth."""
    names = {"system": "", "user": "<\uff5cUser\uff5c>", "assistant": "<\uff5cAssistant\uff5c>"}
    turns = "".join(names[speaker] + words for speaker, words in said)
    return f"<\uff5cbegin\u2581of\u2581sentence\uff5c>{turns}{names['assistant']}<think>\n"
