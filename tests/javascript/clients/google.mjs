// The `@google/genai` package: generateContent.

import { GoogleGenAI } from "@google/genai";

export function generate(task) {
  const client = new GoogleGenAI({ apiKey: task.key, httpOptions: { baseUrl: task.url } });
  const contents = [{ role: "user", parts: [{ text: task.text }] }];
  const config = task.tools
    ? { tools: [{ functionDeclarations: task.functions.map(({ parameters, ...rest }) => ({ ...rest, parametersJsonSchema: parameters })) }] }
    : {};

  async function send() {
    const body = { model: task.model, contents, config };
    const chunks = [];
    if (task.stream) {
      for await (const chunk of await client.models.generateContentStream(body)) chunks.push(chunk);
    } else {
      chunks.push(await client.models.generateContent(body));
    }
    const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
    contents.push({ role: "model", parts });
    const last = chunks.at(-1);
    return {
      text: parts.map((part) => (part.thought ? "" : part.text ?? "")).join(""),
      calls: parts
        .filter((part) => part.functionCall)
        .map(({ functionCall }) => ({ id: functionCall.id, name: functionCall.name, arguments: functionCall.args })),
      stop: last.candidates?.[0]?.finishReason,
      input: last.usageMetadata.promptTokenCount,
      output: last.usageMetadata.candidatesTokenCount,
    };
  }

  return {
    ask: send,
    answer(calls) {
      const parts = calls.map(({ id, name, result }) => ({ functionResponse: { id, name, response: { result } } }));
      contents.push({ role: "user", parts });
      return send();
    },
  };
}
