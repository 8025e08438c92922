// The `openai` package: Chat Completions and Responses.

import OpenAI from "openai";

const open = (task) => new OpenAI({ baseURL: `${task.url}/v1`, apiKey: task.key, maxRetries: 0 });

export function chat(task) {
  const client = open(task);
  const messages = [{ role: "user", content: task.text }];
  const tools = task.tools ? task.functions.map((declared) => ({ type: "function", function: declared })) : undefined;

  async function send() {
    const body = { model: task.model, messages, tools };
    const completion = task.stream
      ? await client.chat.completions
          .stream({ ...body, stream_options: { include_usage: true } })
          .finalChatCompletion()
      : await client.chat.completions.create(body);
    const [choice] = completion.choices;
    const { role, content, tool_calls } = choice.message;
    messages.push({ role, content, tool_calls });
    return {
      text: choice.message.content ?? "",
      calls: (choice.message.tool_calls ?? []).map((call) => ({
        id: call.id,
        name: call.function.name,
        arguments: JSON.parse(call.function.arguments),
      })),
      stop: choice.finish_reason,
      input: completion.usage.prompt_tokens,
      output: completion.usage.completion_tokens,
    };
  }

  return {
    ask: send,
    answer(calls) {
      messages.push(...calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: call.result })));
      return send();
    },
  };
}

/** An item of an answer without what the stream helper parsed and left on it, which no request may have. */
function sendable({ parsed_arguments, ...item }) {
  return item.content ? { ...item, content: item.content.map(({ parsed, ...part }) => part) } : item;
}

export function responses(task) {
  const client = open(task);
  const input = [{ role: "user", content: task.text }];
  const tools = task.tools
    ? task.functions.map((declared) => ({ type: "function", strict: false, ...declared }))
    : undefined;

  async function send() {
    const body = { model: task.model, input, tools, store: false };
    const response = task.stream
      ? await client.responses.stream(body).finalResponse()
      : await client.responses.create(body);
    input.push(...response.output.map(sendable));
    return {
      text: response.output_text,
      calls: response.output
        .filter((item) => item.type === "function_call")
        .map((item) => ({ id: item.call_id, name: item.name, arguments: JSON.parse(item.arguments) })),
      stop: response.status,
      input: response.usage.input_tokens,
      output: response.usage.output_tokens,
    };
  }

  return {
    ask: send,
    answer(calls) {
      input.push(...calls.map((call) => ({ type: "function_call_output", call_id: call.id, output: call.result })));
      return send();
    },
  };
}
