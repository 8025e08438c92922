"""Bedrock InvokeModel: one path for every model, with the body that the model's vendor made up.

A family of bodies, told apart by the model's id and by the body's shape:

- `anthropic`: Claude, the Messages API with `anthropic_version`;
- `chat`: OpenAI's open models, Mistral's larger ones, Jamba, Qwen, DeepSeek V3 and most newer ones: Chat Completions;
- `nova`: Amazon Nova, Converse's body with a `schemaVersion`;
- `claude-text`, `llama`, `mistral`, `titan`, `cohere`, `command-r`, `jurassic`: one prompt, each vendor's own names;
- `text`: a bare prompt (`prompt`, `max_tokens`, `temperature`, …) for *any* model. Its answer gives the text under each
  name that a text model on Bedrock gives it: `choices[0].text` and `usage` (as Bedrock answers that body for imported
  models), `outputs[0].text` (Mistral), `generation` (Llama) and `completion` (Claude), streamed chunks likewise;
- `titan-embed`, `cohere-embed`, `nova-embed`: vectors.

The bodies of the first three are read and written by the codecs that this one is given, and keep their languages: what
rides along in Claude's body here rides along to Anthropic, too, and `Generate.origin` names that language. The origin
of `Generate.headers` (`Embed.headers`) marks the family that a client used; its answer comes back in the same.
"""

from __future__ import annotations

from freehold.protocols.bedrock_invoke.codec import BedrockInvoke
from freehold.protocols.bedrock_invoke.language import LANGUAGE

__all__ = ["LANGUAGE", "BedrockInvoke"]
