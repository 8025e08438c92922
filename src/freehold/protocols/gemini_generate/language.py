"""Google's generateContent as a language: its name, what its extras mean, and its words for why a model stopped."""

from __future__ import annotations

import re

from freehold.ir import Effect, Extra, FinishKind, Language

SNAKE = "$snake"
"""Mark: these fields were written in snake_case. Google's parsers take both spellings of every name."""

SINGLE = "$single"
"""Mark: these lists were written as their only item, which Google's parsers take as well."""

ABSENT = "$absent"
"""Mark: these fields were not there, and will not be written back, though the codec has a value for them."""

INSIDE = "$inside"
"""Mark: these fields stood in an object that this one holds."""

USUAL = "$usual"
"""Mark: fields that say what holds anyway; losing them is no loss."""

ENTRY = "$entry"
"""Mark on a tool: a new entry of `tools` begins here; lists the fields that belong to the entry."""

STYLE = "$style"
"""Mark: how something was spelled: the case of a word, or of the types in a schema of Google's own dialect."""

LISTED = "$listed"
"""Mark on an answer: it was a list of chunks; holds what is left of each."""

REQUESTS = "$requests"
"""Mark on a batch of embeddings: how each of its requests was written."""

CUTS = "$cuts"
"""Mark on a content that is embedded: how long each of its texts was, in characters, before they were joined."""

MARKS = (SNAKE, SINGLE, ABSENT, INSIDE, USUAL, ENTRY, STYLE, LISTED, REQUESTS, CUTS)

_CONTENT = (
    "contents",
    "content",
    "parts",
    "text",
    "systemInstruction",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "response",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
    "audioTranscription",
    "requests",
    "instances",
    # a prompt that lies at Google
    "cachedContent",
)
_BEHAVIOUR = (
    # of the request
    "tools",
    "toolConfig",
    "functionCallingConfig",
    "includeServerSideToolInvocations",
    "retrievalConfig",
    "generationConfig",
    "safetySettings",
    "modelArmorConfig",
    "mode",
    "allowedFunctionNames",
    "streamFunctionCallArguments",
    # of tools, and the tools that Google runs
    "functionDeclarations",
    "parameters",
    "parametersJsonSchema",
    "responseJsonSchema",
    "behavior",
    "retrieval",
    "googleSearch",
    "google_search",
    "googleSearchRetrieval",
    "google_search_retrieval",
    "codeExecution",
    "code_execution",
    "enterpriseWebSearch",
    "googleMaps",
    "google_maps",
    "urlContext",
    "url_context",
    "computerUse",
    "computer_use",
    "fileSearch",
    "file_search",
    "mcpServers",
    "exaAiSearch",
    "parallelAiSearch",
    # of generationConfig
    "responseMimeType",
    "responseSchema",
    "responseFormat",
    "responseModalities",
    "responseLogprobs",
    "logprobs",
    "thinkingConfig",
    "thinkingLevel",
    "thinkingBudget",
    "includeThoughts",
    "speechConfig",
    "imageConfig",
    "audioTimestamp",
    "mediaResolution",
    "routingConfig",
    "modelSelectionConfig",
    "modelConfig",
    "enableAffectiveDialog",
    "enableEnhancedCivicAnswers",
    "seed",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "presencePenalty",
    "frequencyPenalty",
    # of parts
    "videoMetadata",
    "mediaProcessing",
    "partialArgs",
    "willContinue",
    "scheduling",
    "partMetadata",
    "displayName",
    "speechMetadata",
    "documentMetadata",
    "spreadsheetMetadata",
    "audioMetadata",
    # of answers
    "modelStatus",
    # of embeddings
    "outputDimensionality",
    "taskType",
    "title",
    "autoTruncate",
    "embedContentConfig",
    "mimeType",
)
_ACCOUNTING = (
    "labels",
    "serviceTier",
    "trafficType",
    "promptFeedback",
    "promptTokensDetails",
    "promptTokenDetails",
    "cacheTokensDetails",
    "candidatesTokensDetails",
    "responseTokensDetails",
    "toolUsePromptTokensDetails",
    "toolUsePromptTokenCount",
    "groundingMetadata",
    "citationMetadata",
    "urlContextMetadata",
    "safetyRatings",
    "logprobsResult",
    "groundingAttributions",
    "finishMessage",
    "billablePromptUsage",
    "usageMetadata",
    "tokenCount",
    "totalBillableCharacters",
    "cachedContentTokenCount",
    "statistics",
    "metadata",
    "truncated",
)
_BOOKKEEPING = (
    *MARKS,
    "alt",
    "enums",
    "vertex",
    "form",
    "id",
    "name",
    "role",
    "model",
    "thought",
    "thoughtSignature",
    "args",
    "index",
    "avgLogprobs",
    "finishReason",
    "modelVersion",
    "responseId",
    "createTime",
    "sdkHttpResponse",
    "candidates",
    "generateContentRequest",
    "embedding",
    "embeddings",
    "predictions",
    "error",
    "continuationToken",
    "description",
    "version",
    "baseModelId",
    "supportedGenerationMethods",
    "supportedActions",
    "maxTemperature",
    "thinking",
    "nextPageToken",
    "models",
    "publisherModels",
    "pageSize",
    "pageToken",
    "launchStage",
    "versionId",
    "totalTokenCount",
    # defaults of a model, in a listing
    "temperature",
    "topP",
    "topK",
    # of a cached content
    "updateTime",
    "expireTime",
    "ttl",
)

LANGUAGE = Language(
    name="gemini-generate",
    effects={
        **dict.fromkeys(_CONTENT, "content"),
        **dict.fromkeys(_BEHAVIOUR, "behaviour"),
        **dict.fromkeys(_ACCOUNTING, "accounting"),
        **dict.fromkeys(_BOOKKEEPING, None),
    },
)
"""The origin of everything that rides along in this package."""

NAME = LANGUAGE.name

EFFECT_OF_TOOL: Effect = "behaviour"
"""A tool that Google runs is an offer, not content: losing it changes what the model can do."""

KIND_OF_FINISH_REASON: dict[str, FinishKind] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "JAILBREAK": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "error",
    "NO_IMAGE": "error",
    "CONTINUATION": "pause",
}
"""What a `finishReason` (or a prompt's `blockReason`) means; any other is `other`."""

FINISH_REASON_OF_KIND: dict[FinishKind, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "OTHER",
    "error": "OTHER",
    "other": "OTHER",
}
"""How a foreign finish is said here. Calls end with STOP; there is no word for a refusal or a pause."""

_NEWER = re.compile(r"gemini-(?:[3-9]|\d\d)\b|gemini-(?:pro|flash|flash-lite)-latest")


def is_ours(extra: Extra | None) -> bool:
    """Whether this language said it."""
    return extra is not None and extra.origin is LANGUAGE


def is_gemini_3(model: str) -> bool:
    """Gemini 3 or later: signatures are demanded on calls, thinking has levels, results of tools may hold media."""
    return _NEWER.search(model) is not None
