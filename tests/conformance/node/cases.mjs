// OpenAI's Node SDK against a running site; runs as ../sdk_cases.py does.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import OpenAI from 'openai';

const MODEL = 'openai/gpt-4o-mini';
const FREE = 'meta-llama/llama-3.3-70b-instruct:free';
const TOOLS = [
  {
    type: 'function',
    function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
  },
];
const site = JSON.parse(await text(process.stdin));
const cases = {};

// A client that notes what it sends, by the number of the SDK's own retry.
function client(key = 'good', options = {}, sent = []) {
  return new OpenAI({
    baseURL: `${site.url}/v1`,
    apiKey: site.keys[key] ?? key,
    timeout: 30_000,
    fetch: (url, init) => {
      sent.push(new Headers(init.headers).get('x-stainless-retry-count'));
      return fetch(url, init);
    },
    ...options,
  });
}

const ask = (content = 'Say hello.') => [{ role: 'user', content }];

async function held(key) {
  const answer = await fetch(`${site.url}/api/user/quota`, { headers: { Authorization: `Bearer ${site.keys[key]}` } });
  const { limits } = await answer.json();
  return limits.filter((limit) => limit.unit === 'tokens').reduce((sum, limit) => sum + limit.held, 0);
}

async function until(isTrue) {
  for (let tries = 0; tries < 200; tries++) {
    if (await isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail('it did not come true');
}

cases.create = async () => {
  const answer = await client().chat.completions.create({ model: MODEL, messages: ask() });
  assert.equal(answer.object, 'chat.completion');
  assert.ok(answer.choices[0].message.content);
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.ok(answer.usage.total_tokens > 0);
  assert.ok(answer._request_id);
};

cases.stream_with_usage = async () => {
  const chunks = [];
  const stream = await client().chat.completions.create({
    model: MODEL,
    messages: ask(),
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) chunks.push(chunk);
  const choices = chunks.flatMap((chunk) => chunk.choices);
  assert.equal(choices.filter((choice) => choice.delta.role === 'assistant').length, 1);
  assert.ok(choices.map((choice) => choice.delta.content ?? '').join(''));
  assert.equal(choices.at(-1).finish_reason, 'stop');
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.ok(chunks.at(-1).usage.total_tokens > 0);
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
};

cases.stream_helper = async () => {
  const stream = client().chat.completions.stream({ model: 'sandbox/emoji', messages: ask() });
  let said = '';
  stream.on('content', (delta) => (said += delta));
  const final = await stream.finalChatCompletion();
  assert.equal(final.choices[0].message.content, said);
  assert.ok(said);
};

cases.tools_are_called_and_run_by_the_helper = async () => {
  const runner = client().chat.completions.runTools({
    model: 'sandbox/tool-call',
    messages: ask('Is it warm in Pune?'),
    stream: true,
    tools: [{ type: 'function', function: { ...TOOLS[0].function, function: () => '31 degrees', parse: JSON.parse } }],
  });
  assert.ok(await runner.finalContent());
};

cases.parallel_tool_calls_are_joined_by_the_helper = async () => {
  const stream = client().chat.completions.stream({
    model: 'sandbox/parallel-tool-calls',
    messages: ask(),
    tools: TOOLS,
  });
  const [choice] = (await stream.finalChatCompletion()).choices;
  assert.equal(choice.finish_reason, 'tool_calls');
  assert.equal(choice.message.tool_calls.length, 2);
  for (const call of choice.message.tool_calls) {
    assert.equal(call.function.name, 'get_weather');
    assert.equal(typeof JSON.parse(call.function.arguments), 'object');
  }
};

cases.the_response_has_its_headers = async () => {
  const { response, request_id } = await client()
    .chat.completions.create({ model: MODEL, messages: ask() })
    .withResponse();
  assert.equal(response.headers.get('x-request-id'), request_id);
  assert.match(response.headers.get('x-ratelimit-limit-requests'), /^\d+$/);
};

cases.models_are_listed_and_found_by_ids_with_slashes = async () => {
  const ids = [];
  for await (const model of client().models.list()) ids.push(model.id);
  assert.ok(ids.includes(MODEL));
  assert.equal((await client().models.retrieve(FREE)).id, FREE);
};

async function refused(type, status, { key = 'good', ...fields }) {
  const call = client(key, { maxRetries: 0 }).chat.completions.create({ model: MODEL, messages: ask(), ...fields });
  const error = await call.then(
    () => assert.fail('it was not refused'),
    (caught) => caught,
  );
  assert.equal(error.constructor, type, String(error));
  assert.equal(error.status, status);
  for (const name of ['message', 'type', 'param', 'code']) assert.ok(name in error.error, name);
  assert.ok(error.requestID);
  return error;
}

cases.every_status_raises_its_class = async () => {
  assert.equal((await refused(OpenAI.BadRequestError, 400, { n: 2 })).param, 'n');
  await refused(OpenAI.AuthenticationError, 401, { key: 'oneai_wrong' });
  await refused(OpenAI.PermissionDeniedError, 403, { key: 'narrow' });
  assert.equal((await refused(OpenAI.NotFoundError, 404, { model: 'nobody/nothing' })).code, 'model_not_found');
  assert.equal((await refused(OpenAI.RateLimitError, 429, { key: 'poor' })).code, 'insufficient_quota');
  await refused(OpenAI.InternalServerError, 502, { model: 'sandbox/http-500' });
  await refused(OpenAI.InternalServerError, 502, { model: 'sandbox/midstream-error-first', stream: true });
};

cases.an_error_in_a_stream_is_raised = async () => {
  let said = '';
  const read = async () => {
    const stream = await client().chat.completions.create({ model: 'sandbox/cut', messages: ask(), stream: true });
    for await (const chunk of stream) said += chunk.choices[0].delta.content ?? '';
  };
  await assert.rejects(read, (error) => error instanceof OpenAI.APIError && error.status === undefined);
  assert.ok(said);
};

cases.too_many_at_once_succeeds_on_a_retry = async () => {
  const running = await client('busy').chat.completions.create({
    model: 'sandbox/slow',
    messages: ask(),
    stream: true,
    max_tokens: 16,
  });
  const sent = [];
  const again = client('busy', { maxRetries: 4 }, sent);
  const answer = await again.chat.completions.create({ model: 'sandbox/hello', messages: ask() });
  assert.ok(answer.choices[0].message.content);
  assert.deepEqual(sent.slice(0, 2), ['0', '1']);
  for await (const chunk of running) assert.ok(chunk.choices);
};

cases.a_used_up_quota_is_asked_for_once = async () => {
  const sent = [];
  const call = client('poor', { maxRetries: 3 }, sent).chat.completions.create({ model: MODEL, messages: ask() });
  await assert.rejects(call, OpenAI.RateLimitError);
  assert.deepEqual(sent, ['0']);
};

cases.a_client_that_runs_out_of_time_settles = async () => {
  const call = client('leaver', { maxRetries: 0 }).chat.completions.create(
    { model: 'sandbox/stall', messages: ask() },
    { timeout: 500 },
  );
  await assert.rejects(call, OpenAI.APIConnectionTimeoutError);
  await until(async () => (await held('leaver')) === 0);
};

cases.breaking_out_of_a_stream_settles = async () => {
  const stream = await client('leaver').chat.completions.create({
    model: 'sandbox/slow',
    messages: ask('long'),
    stream: true,
  });
  let count = 0;
  for await (const _ of stream) if (++count === 5) break;
  assert.equal(count, 5);
  await until(async () => (await held('leaver')) === 0);
};

const sdk = new URL('./node_modules/openai/package.json', import.meta.url);
const [major] = JSON.parse(await readFile(sdk, 'utf8')).version.split('.');
const reports = Object.entries(cases).map(async ([name, run]) => {
  const trouble = await run().then(
    () => '',
    (error) => error.stack ?? String(error),
  );
  return { case: name, trouble, major };
});
for (const report of await Promise.all(reports)) console.log(JSON.stringify(report));
