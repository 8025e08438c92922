// The AWS SDK's client of Bedrock's runtime, as it comes: over HTTP/2, in clear text with prior knowledge.

import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from "@aws-sdk/client-bedrock-runtime";

const opened = new Map();

/** A client per address and credential, as applications keep them: its HTTP/2 session lives on between calls. */
function open(task, credentials) {
  const key = JSON.stringify([task.url, credentials]);
  if (!opened.has(key)) {
    opened.set(
      key,
      new BedrockRuntimeClient({ region: "us-east-1", endpoint: task.url, maxAttempts: 1, ...credentials }),
    );
  }
  return opened.get(key);
}

const pairOf = (task) => ({ credentials: { accessKeyId: task.pair[0], secretAccessKey: task.pair[1] } });
const bearerOf = (task) => ({ token: { token: task.key }, authSchemePreference: ["httpBearerAuth"] });
const protocolOf = (client) => client.config.requestHandler.metadata.handlerProtocol;

export const signed = (task) => converse(task, open(task, pairOf(task)));
export const bearing = (task) => converse(task, open(task, bearerOf(task)));

function converse(task, client) {
  const messages = [{ role: "user", content: [{ text: task.text }] }];
  const toolConfig = task.tools
    ? {
        tools: task.functions.map(({ parameters, ...rest }) => ({ toolSpec: { ...rest, inputSchema: { json: parameters } } })),
      }
    : undefined;

  async function send() {
    const body = { modelId: task.model, messages, toolConfig };
    const { content, stopReason, usage } = task.stream
      ? await gathered((await client.send(new ConverseStreamCommand(body))).stream)
      : whole(await client.send(new ConverseCommand(body)));
    messages.push({ role: "assistant", content });
    return {
      text: content.map((block) => block.text ?? "").join(""),
      calls: content
        .filter((block) => block.toolUse)
        .map(({ toolUse }) => ({ id: toolUse.toolUseId, name: toolUse.name, arguments: toolUse.input })),
      stop: stopReason,
      input: usage.inputTokens,
      output: usage.outputTokens,
    };
  }

  return {
    ask: send,
    answer(calls) {
      const content = calls.map((call) => ({
        toolResult: { toolUseId: call.id, content: [{ text: call.result }] },
      }));
      messages.push({ role: "user", content });
      return send();
    },
    protocol: () => protocolOf(client),
  };
}

const whole = ({ output, stopReason, usage }) => ({ content: output.message.content, stopReason, usage });

async function gathered(stream) {
  const blocks = [];
  let stopReason;
  let usage;
  for await (const event of stream) {
    if (event.contentBlockStart) {
      const { contentBlockIndex, start } = event.contentBlockStart;
      blocks[contentBlockIndex] = { toolUse: { ...start.toolUse, input: "" } };
    } else if (event.contentBlockDelta) {
      const { contentBlockIndex, delta } = event.contentBlockDelta;
      if (delta.text !== undefined) {
        blocks[contentBlockIndex] ??= { text: "" };
        blocks[contentBlockIndex].text += delta.text;
      } else if (delta.toolUse) {
        blocks[contentBlockIndex].toolUse.input += delta.toolUse.input;
      }
    } else if (event.messageStop) {
      stopReason = event.messageStop.stopReason;
    } else if (event.metadata) {
      usage = event.metadata.usage;
    }
  }
  const content = blocks.filter(Boolean);
  for (const { toolUse } of content) {
    if (toolUse) toolUse.input = JSON.parse(toolUse.input || "{}");
  }
  return { content, stopReason, usage };
}

/** InvokeModel with Anthropic's body, the one that most programs send. */
export function invoke(task) {
  const client = open(task, pairOf(task));
  const messages = [{ role: "user", content: task.text }];
  const tools = task.tools
    ? task.functions.map(({ parameters, ...rest }) => ({ ...rest, input_schema: parameters }))
    : undefined;

  async function send() {
    const body = JSON.stringify({ anthropic_version: "bedrock-2023-05-31", max_tokens: 1000, messages, tools });
    const asked = { modelId: task.model, contentType: "application/json", body };
    const message = task.stream
      ? await gatheredMessage((await client.send(new InvokeModelWithResponseStreamCommand(asked))).body)
      : JSON.parse(Buffer.from((await client.send(new InvokeModelCommand(asked))).body).toString());
    messages.push({ role: "assistant", content: message.content });
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
      messages.push({ role: "user", content });
      return send();
    },
    protocol: () => protocolOf(client),
  };
}

async function gatheredMessage(stream) {
  let message;
  for await (const { chunk } of stream) {
    const event = JSON.parse(Buffer.from(chunk.bytes).toString());
    if (event.type === "message_start") {
      message = event.message;
    } else if (event.type === "content_block_start") {
      message.content[event.index] = { ...event.content_block };
    } else if (event.type === "content_block_delta") {
      const block = message.content[event.index];
      if (event.delta.type === "text_delta") block.text += event.delta.text;
      if (event.delta.type === "input_json_delta") block.json = (block.json ?? "") + event.delta.partial_json;
    } else if (event.type === "content_block_stop") {
      const { json, ...block } = message.content[event.index];
      message.content[event.index] = block.type === "tool_use" ? { ...block, input: JSON.parse(json || "{}") } : block;
    } else if (event.type === "message_delta") {
      Object.assign(message, event.delta);
      Object.assign(message.usage, event.usage);
    }
  }
  return message;
}
