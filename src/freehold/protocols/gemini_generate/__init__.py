"""Google's generateContent, with its token counter, embeddings and listings (Gemini API, Vertex AI)."""

from __future__ import annotations

from freehold.protocols.gemini_generate.codec import CODEC, GeminiGenerate
from freehold.protocols.gemini_generate.language import LANGUAGE

__all__ = ["CODEC", "LANGUAGE", "GeminiGenerate"]
