// The `@anthropic-ai/sdk` package: Messages.

import Anthropic from "@anthropic-ai/sdk";

export function messages(task) {
  const client = new Anthropic({ baseURL: task.url, apiKey: task.key, maxRetries: 0 });
  const said = [{ role: "user", content: task.text }];
  const tools = task.tools
    ? task.functions.map(({ parameters, ...rest }) => ({ ...rest, input_schema: parameters }))
    : undefined;

  async function send() {
    const body = { model: task.model, max_tokens: 1000, messages: said, tools };
    const message = task.stream
      ? await client.messages.stream(body).finalMessage()
      : await client.messages.create(body);
    said.push({ role: "assistant", content: message.content });
    return {
      text: message.content.map((block) => block.text ?? "").join(""),
      calls: message.content
        .filter((block) => block.type === "tool_use")
        .map((block) => ({ id: block.id, name: block.name, arguments: block.input })),
      stop: message.stop_reason,
      input: message.usage.input_tokens,
      output: message.usage.output_tokens,
    };
  }

  return {
    ask: send,
    answer(calls) {
      const content = calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: call.result }));
      said.push({ role: "user", content });
      return send();
    },
  };
}
