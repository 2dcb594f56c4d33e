// Rolling restarts behind load balancers, as docs/load-balancers.md says: no poll fails.
import { Agent, get as sendGet } from 'node:http'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Client } from '../../bench/client.ts'
import { readConfig } from '../../src/config.ts'
import { ownPort } from '../fixtures/fault-ports.ts'
import { createChannel, dataFolder, run, type Running } from '../fixtures/fault-process.ts'
import { nginxTest, startNginxWith } from '../fixtures/nginx-process.ts'
import { until } from '../fixtures/redis-process.ts'
import { sized } from '../fixtures/test-form.ts'

/** Every restart takes the drain, a second for last requests, and a start. */
const FILE_TIMEOUT_MS = 480_000
const ROLLS = 3
/** With active checks every restart waits for a whole drain. */
const CHECKED_ROLLS = sized(1, 3)
const NGINX_SERVERS = sized(1, 2) === 1 ? [2] : [2, 3]
/** nginx does not ask about readiness, so this only has to be there. */
const NGINX_DRAIN_S = '1'
const POLLERS = 4
/** From the answer of one poll to the next one of the same poller. */
const POLL_PAUSE_MS = 20
/** Enough that every restart meets some. */
const POLLS_MIN = 500

const PATH = '/v1/stable/cloud/version'

t.setTimeout(FILE_TIMEOUT_MS)

const page = readFileSync(new URL('../../docs/load-balancers.md', import.meta.url), 'utf8')

/** The settings that the page gives for one kind of load balancer. */
function settingsFor(language: string): string {
  const [, block = ''] = new RegExp(`\`\`\`${language}\n([^\`]+)\`\`\``).exec(page) ?? []
  return block
}

/** A number of seconds, or without a unit, in the settings. */
function numberIn(text: string, pattern: RegExp): number {
  const [, number] = pattern.exec(text) ?? []
  if (number === undefined) throw new Error(`${String(pattern)} is not on the page`)
  return Number(number)
}

/** Servers on ports of their own, each of which can be restarted. */
class Rolling {
  readonly urls: string[] = []
  readonly #launches: Parameters<typeof run>[1][] = []
  readonly #servers: Running[] = []

  static async start(t: Test, count: number, drainS: string): Promise<Rolling> {
    const rolling = new Rolling()
    for (let index = 0; index < count; index += 1) {
      const env = { BELLWETHER_POLL_PORT: String(await ownPort()), BELLWETHER_DRAIN_S: drainS }
      const launch = { dataDir: await dataFolder(t), env }
      const server = await run(t, launch)
      await createChannel(server, 'stable/cloud', '15.1.4')
      rolling.#launches.push(launch)
      rolling.#servers.push(server)
      rolling.urls.push(server.pollUrl)
    }
    return rolling
  }

  /** Ends and starts every server once, one after the other. */
  async roll(t: Test, isUp: (url: string) => boolean = () => true): Promise<void> {
    for (const [index, launch] of this.#launches.entries()) {
      t.equal(await this.#servers[index]?.end('SIGTERM'), 0)
      const server = await run(t, launch)
      this.#servers[index] = server
      await until('the load balancer knows that it is back', () => isUp(server.pollUrl))
    }
  }
}

interface Outcome {
  polls: number
  readonly failed: string[]
}

/** Polls with POLLERS pollers of each way until `isOver`; what is no 200 with the version has failed. */
async function pollAll(ways: readonly (() => Promise<string>)[], isOver: () => boolean): Promise<Outcome> {
  const outcome: Outcome = { polls: 0, failed: [] }
  const poller = async (poll: () => Promise<string>): Promise<void> => {
    while (!isOver()) {
      const answer = await poll().catch((error: unknown) => String(error))
      outcome.polls += 1
      if (answer !== '200 15.1.4') outcome.failed.push(answer)
      await sleep(POLL_PAUSE_MS)
    }
  }
  await Promise.all(ways.flatMap((poll) => Array.from({ length: POLLERS }, () => poller(poll))))
  return outcome
}

async function rollUnder(ways: readonly (() => Promise<string>)[], roll: () => Promise<void>): Promise<Outcome> {
  let isOver = false
  const polling = pollAll(ways, () => isOver)
  try {
    await roll()
  } finally {
    isOver = true
  }
  return polling
}

for (const count of NGINX_SERVERS) {
  await nginxTest(t, `no poll through nginx fails over three rolling restarts of ${count} servers`, async (t) => {
    const rolling = await Rolling.start(t, count, NGINX_DRAIN_S)
    const upstreams = rolling.urls.map((url) => `server ${new URL(url).host} max_fails=0;`)
    const settings = settingsFor('nginx')
    t.equal([...settings.matchAll(/^ +server .* max_fails=0;$/gm)].length, 2, 'the servers are on the page')
    const nginx = await startNginxWith(t, (_folder, port) =>
      settings
        .replace(/(?: +server .*;\n)+/, `${upstreams.join('\n')}\n`)
        .replace('listen 80;', `listen 127.0.0.1:${port};`)
        .replace('proxy_next_upstream_tries 2;', `proxy_next_upstream_tries ${count};`),
    )
    const client = new Client(`http://${nginx.host}:${nginx.port}`, POLLERS)
    t.teardown(() => client.close())
    const poll = async (): Promise<string> => {
      const { status, body } = await client.get(PATH)
      return `${status} ${body}`
    }
    const { polls, failed } = await rollUnder([poll], async () => {
      for (let roll = 0; roll < ROLLS; roll += 1) await rolling.roll(t)
    })
    t.same(failed, [], `of ${polls} polls`)
    t.ok(polls > POLLS_MIN, `${polls} polls`)
    t.notMatch(nginx.log(), 'no live upstreams')
  })
}

/** A load balancer that checks readiness as HAProxy does, and never sends a poll twice. */
class Checker {
  readonly #states = new Map<string, boolean>()
  #turn = 0

  /** Checks every `intervalMs`: `fall` failures in a row take a server out, one success takes it in. */
  constructor(t: Test, urls: readonly string[], { intervalMs, fall }: { intervalMs: number; fall: number }) {
    const ending = new AbortController()
    const look = async (url: string): Promise<void> => {
      for (let failures = 0; !ending.signal.aborted; await sleep(intervalMs)) {
        const isReady = await fetch(`${url}/readyz`).then(
          async (response) => (await response.text()) === 'ok' && response.status === 200,
          () => false,
        )
        failures = isReady ? 0 : failures + 1
        this.#states.set(url, isReady || (failures < fall && this.isUp(url)))
      }
    }
    const looking = urls.map(look)
    t.teardown(async () => {
      ending.abort()
      await Promise.all(looking)
    })
  }

  isUp(url: string): boolean {
    return this.#states.get(url) === true
  }

  /** A server that is up, in turns. */
  next(): string {
    const up = [...this.#states].flatMap(([url, isUp]) => (isUp ? [url] : []))
    this.#turn += 1
    const url = up[this.#turn % up.length]
    if (url === undefined) throw new Error('no server is up')
    return url
  }
}

/** One poll; whether the connection ends with the answer. */
function pollOnce(url: string, agent: Agent): Promise<{ answer: string; isLast: boolean }> {
  return new Promise((resolve, reject) => {
    const request = sendGet(`${url}${PATH}`, { agent }, (response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ answer: `${response.statusCode} ${body}`, isLast: response.headers.connection === 'close' }),
      )
    })
    request.on('error', reject)
  })
}

/** Polls over connections that are kept, each until the server says that it ends: connections through a Kubernetes Service. */
function keptConnections(t: Test, checker: Checker): () => Promise<string> {
  const free: { readonly url: string; readonly agent: Agent }[] = []
  t.teardown(() => {
    for (const { agent } of free) agent.destroy()
  })
  return async () => {
    const kept = free.pop() ?? { url: checker.next(), agent: new Agent({ keepAlive: true, maxSockets: 1 }) }
    const { answer, isLast } = await pollOnce(kept.url, kept.agent)
    if (isLast) kept.agent.destroy()
    else free.push(kept)
    return answer
  }
}

await t.test(
  'with active checks no poll fails, on new connections and on kept ones, and none is sent twice',
  async (t) => {
    const settings = settingsFor('haproxy')
    t.match(settings, 'http-check send meth GET uri /readyz')
    const intervalMs = numberIn(settings, / inter (\d+)s /) * 1_000
    const fall = numberIn(settings, / fall (\d+) /)
    const { drainS } = readConfig({})
    const seenMs = intervalMs * fall + numberIn(settings, /timeout check (\d+)s/) * 1_000
    t.ok(seenMs < drainS * 1_000, 'the drain is long enough for the settings')
    const rolling = await Rolling.start(t, 2, String(drainS))
    const checker = new Checker(t, rolling.urls, { intervalMs, fall })
    for (const url of rolling.urls) await until('the server is up', () => checker.isUp(url))
    const once = new Agent({ keepAlive: false })
    const fresh = async (): Promise<string> => (await pollOnce(checker.next(), once)).answer
    const { polls, failed } = await rollUnder([fresh, keptConnections(t, checker)], async () => {
      for (let roll = 0; roll < CHECKED_ROLLS; roll += 1) await rolling.roll(t, (url) => checker.isUp(url))
    })
    t.same(failed, [], `of ${polls} polls`)
    t.ok(polls > POLLS_MIN, `${polls} polls`)
  },
)

await t.test('the settings for Kubernetes leave time for the drain and the end', async (t) => {
  const settings = settingsFor('yaml')
  const drainS = numberIn(settings, /BELLWETHER_DRAIN_S, value: '(\d+)'/)
  const graceS = numberIn(settings, /terminationGracePeriodSeconds: (\d+)/)
  t.ok(graceS > drainS + 10)
  const seenS =
    numberIn(settings, /\/readyz, port: poll \}\n +periodSeconds: (\d+)/) *
    numberIn(settings, /failureThreshold: (\d+)/)
  t.ok(seenS < drainS)
})
