// The AI SDK, `ai` with its providers. It answers tool calls itself, so one `ask` gives all turns at once.

import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

const openai = (task) => createOpenAI({ baseURL: `${task.url}/v1`, apiKey: task.key });

export const openaiResponses = (task) => conversation(task, openai(task)(task.model), { openai: { store: false } });
export const openaiChat = (task) => conversation(task, openai(task).chat(task.model));
export const anthropicMessages = (task) =>
  conversation(task, createAnthropic({ baseURL: `${task.url}/v1`, apiKey: task.key })(task.model));
export const googleGenerate = (task) =>
  conversation(task, createGoogleGenerativeAI({ baseURL: `${task.url}/v1beta`, apiKey: task.key })(task.model));
export const bedrockSigned = (task) => {
  const [accessKeyId, secretAccessKey] = task.pair;
  const provider = createAmazonBedrock({ region: "us-east-1", baseURL: task.url, accessKeyId, secretAccessKey });
  return conversation(task, provider(task.model));
};
export const bedrockBearing = (task) =>
  conversation(task, createAmazonBedrock({ region: "us-east-1", baseURL: task.url, apiKey: task.key })(task.model));

function conversation(task, model, providerOptions) {
  const turns = [];

  function options() {
    const tools = {};
    for (const { name, description, parameters } of task.tools ? task.functions : []) {
      const execute = (input) => task.results[input.city] ?? Object.keys(task.results).join(", ");
      tools[name] = tool({ description, inputSchema: jsonSchema(parameters), execute, strict: false });
    }
    const offered = task.tools ? { tools, stopWhen: stepCountIs(3) } : {};
    return { model, prompt: task.text, maxOutputTokens: 1000, maxRetries: 0, providerOptions, ...offered };
  }

  async function steps() {
    if (!task.stream) return (await generateText(options())).steps;
    let broken;
    const result = streamText({ ...options(), onError: ({ error }) => (broken ??= error) });
    for await (const part of result.fullStream) {
      if (part.type === "error") broken ??= part.error;
    }
    if (broken !== undefined) throw broken;
    return await result.steps;
  }

  return {
    async ask() {
      for (const step of await steps()) {
        turns.push({
          text: step.text,
          calls: step.toolCalls.map((call) => ({ id: call.toolCallId, name: call.toolName, arguments: call.input })),
          stop: step.finishReason,
          input: step.usage.inputTokens,
          output: step.usage.outputTokens,
        });
      }
      return turns.shift();
    },
    async answer() {
      return turns.shift();
    },
  };
}
