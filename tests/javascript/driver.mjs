// Drives one official client per task: a JSON line in on standard input, a JSON line out on standard output.
//
// A task holds `client` (a name of CLIENTS), where and as whom (`url`, `key`, `pair`), `model`, `text`, `tools` (offer the
// functions of `functions` and answer their calls from `results`) and `stream`. The answer holds `turns`, one per
// response of the model, each `{text, calls: [{name, arguments}], stop, input, output}`, or `error`, and the task's `number`.

import { createInterface } from "node:readline";

const CLIENTS = {
  "openai-chat": () => import("./clients/openai.mjs").then((module) => module.chat),
  "openai-responses": () => import("./clients/openai.mjs").then((module) => module.responses),
  anthropic: () => import("./clients/anthropic.mjs").then((module) => module.messages),
  google: () => import("./clients/google.mjs").then((module) => module.generate),
  "aws-converse": () => import("./clients/aws.mjs").then((module) => module.signed),
  "aws-converse-bearer": () => import("./clients/aws.mjs").then((module) => module.bearing),
  "aws-invoke": () => import("./clients/aws.mjs").then((module) => module.invoke),
  "ai-openai-responses": () => import("./clients/vercel.mjs").then((module) => module.openaiResponses),
  "ai-openai-chat": () => import("./clients/vercel.mjs").then((module) => module.openaiChat),
  "ai-anthropic": () => import("./clients/vercel.mjs").then((module) => module.anthropicMessages),
  "ai-google": () => import("./clients/vercel.mjs").then((module) => module.googleGenerate),
  "ai-bedrock": () => import("./clients/vercel.mjs").then((module) => module.bedrockSigned),
  "ai-bedrock-bearer": () => import("./clients/vercel.mjs").then((module) => module.bedrockBearing),
};

const LONGEST_CONVERSATION = 3;

/** Ask, and while the model calls functions, answer the calls and let it go on. */
async function converse(task) {
  const begin = await CLIENTS[task.client]();
  const conversation = begin(task);
  const turns = [await conversation.ask()];
  while (turns.at(-1).calls.length > 0 && turns.length < LONGEST_CONVERSATION) {
    const answers = turns.at(-1).calls.map((call) => ({ ...call, result: resultOf(task, call) }));
    turns.push(await conversation.answer(answers));
  }
  return { turns, protocol: conversation.protocol?.() };
}

function resultOf(task, call) {
  return task.results[call.arguments.city] ?? Object.keys(task.results).join(", ");
}

/** What a program could know of an error: its class, its status, its message, and what it was caused by. */
function seen(error) {
  return {
    name: error.constructor?.name,
    named: error.name,
    status: error.status ?? error.statusCode ?? error.$metadata?.httpStatusCode ?? null,
    message: error.message,
    code: error.code ?? null,
    type: error.type ?? null,
    stack: error.stack,
  };
}

// Standard output belongs to the answers; libraries log with whatever they like.
console.log = console.info = console.debug = console.error;

process.on("unhandledRejection", (reason) => process.stderr.write(`unhandled: ${reason?.stack ?? reason}\n`));

for await (const line of createInterface({ input: process.stdin })) {
  const task = JSON.parse(line);
  let told;
  try {
    told = await converse(task);
  } catch (error) {
    told = { error: seen(error) };
  }
  process.stdout.write(`${JSON.stringify({ ...told, number: task.number })}\n`);
}
