// The AI SDK against `ggrun serve`: node ai_client.mjs [http://127.0.0.1:8080/v1 [KEY]]

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [url = 'http://127.0.0.1:8080/v1', key = 'none'] = process.argv.slice(2)
const questions = readFileSync(new URL('../data/questions.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line))
  .map(({ body, answer }) => ({ messages: body.messages, answer }))

// Packages are looked up from the current folder, so that none are installed here.
const installed = createRequire(pathToFileURL(`${process.cwd()}/`))
const load = (name) => import(pathToFileURL(installed.resolve(name)))
let ai, zod, providers
try {
  ai = await load('ai')
  zod = await load('zod')
  const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible')
  const { createOpenAI } = await load('@ai-sdk/openai')
  const { createAnthropic } = await load('@ai-sdk/anthropic')
  providers = {
    chat: createOpenAICompatible({ name: 'ggrun', baseURL: url, apiKey: key, includeUsage: true, supportsStructuredOutputs: true })('any'),
    responses: createOpenAI({ baseURL: url, apiKey: key }).responses('any'),
    messages: createAnthropic({ baseURL: url, apiKey: key })('any'),
  }
} catch (error) {
  if (error.code !== 'MODULE_NOT_FOUND') throw error
  console.log(`skipped: ${error.message.split('\n')[0]}`)
  process.exit(0)
}
const greedy = { temperature: 0, maxOutputTokens: 200, maxRetries: 0 }
const weather = ai.tool({
  description: 'The weather of a city',
  inputSchema: zod.z.object({ city: zod.z.enum(['Paris', 'Rome']), days: zod.z.literal([1, 2]) }).strict(),
  execute: async ({ city }) => `sunny in ${city}`,
})

const checks = {
  async 'answers are exact'(model) {
    for (const { messages, answer } of questions.slice(0, 10)) {
      const found = await ai.generateText({ model, messages, ...greedy })
      assert.equal(found.text, answer)
      assert.equal(found.finishReason, 'stop')
      assert.ok(found.usage.outputTokens > 0)
    }
  },
  async 'streams joined are the answer'(model) {
    for (const { messages, answer } of questions.slice(0, 10)) {
      const found = ai.streamText({ model, messages, ...greedy })
      let text = ''
      for await (const delta of found.textStream) text += delta
      assert.equal(text, answer)
      assert.equal(await found.finishReason, 'stop')
      assert.ok((await found.usage).inputTokens > 0)
    }
  },
  async 'an object has its schema'(model) {
    const schema = zod.z.object({ city: zod.z.enum(['Nairobi', 'Oslo']), yes: zod.z.boolean() }).strict()
    const prompt = 'What is the capital of Kenya?'
    const found = await ai.generateText({ model, prompt, output: ai.Output.object({ schema }), ...greedy })
    schema.parse(found.output)
  },
  async 'a required tool is called'(model) {
    // The bundled model would go on calling.
    const providerOptions = { openai: { parallelToolCalls: false } }
    const asked = { model, prompt: 'Weather?', tools: { weather }, toolChoice: 'required', providerOptions, ...greedy }
    const whole = await ai.generateText(asked)
    assert.equal(whole.toolCalls[0].toolName, 'weather')
    assert.equal(whole.toolResults[0].output, `sunny in ${whole.toolCalls[0].input.city}`)
    assert.equal(whole.finishReason, 'tool-calls')
    const [call] = await ai.streamText(asked).toolCalls
    assert.deepEqual(call.input, whole.toolCalls[0].input)
  },
  async 'errors have their status'(model) {
    const prompt = 'far '.repeat(100_000)
    await assert.rejects(ai.generateText({ model, prompt, ...greedy }), (error) => error.statusCode === 400)
  },
}

let failed = 0
for (const [dialect, model] of Object.entries(providers)) {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check(model)
      console.log(`ok      ${dialect}: ${name}`)
    } catch (error) {
      failed += 1
      console.log(`FAILED  ${dialect}: ${name}`)
      console.error(error)
    }
  }
}
const all = Object.keys(providers).length * Object.keys(checks).length
console.log(`${all - failed} of ${all}`)
process.exit(failed > 0 ? 1 : 0)
