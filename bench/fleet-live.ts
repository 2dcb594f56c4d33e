// A small real fleet beside the simulation: live updaters, each with a new connection for every question, follow a rollback
// of a real server. Their timers are those of the systemd updaters, so many times faster.
//   npx tsx bench/fleet-live.ts [--updaters 2000] [--faster 120]
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { BENCH_TOKEN, builtEntry, startBellwether } from './bellwether-process.ts'
import { Client } from './client.ts'
import { followedAfterS, simulate, TIMERS } from './fleet/model.ts'

const { values } = parseArgs({
  options: { updaters: { type: 'string', default: '2000' }, faster: { type: 'string', default: '120' } },
})
const updaters = Number(values.updaters)
const faster = Number(values.faster)
const { everyS, jitterS } = TIMERS.systemd
const PATH = '/v1/stable/cloud'
const [OLD, NEW] = ['15.1.5', '15.1.4']

const folder = await mkdtemp(join(tmpdir(), 'bellwether-fleet-'))
const server = await startBellwether({ dataDir: folder, entry: builtEntry() })
const control = new Client(server.controlUrl, 1, BENCH_TOKEN)
const failures: string[] = []
/** When the rollback was acknowledged, and when each updater has followed it, in milliseconds. */
let rolledBackAt = Infinity
const followedAt: number[] = []
let polls = 0
let isOver = false

try {
  await control.admin('POST', '/channels', { name: 'stable/cloud', source: { kind: 'static', version: NEW } })
  await control.admin('PUT', '/channels/stable%2Fcloud/version', { version: OLD })
  const running = Array.from({ length: updaters }, () => updater())
  const periodMs = (everyS * 1_000) / faster
  await pause(periodMs)
  const reply = await control.admin('POST', '/channels/stable%2Fcloud/rollback', { reason: 'bench', critical: true })
  if (reply.status !== 200) throw new Error(`the rollback was refused: ${reply.status} ${reply.body}`)
  rolledBackAt = performance.now()
  await pause(((everyS + jitterS) * 1_000) / faster + 2_000)
  isOver = true
  await Promise.all(running)
  report()
} finally {
  control.close()
  await server.end()
  await rm(folder, { recursive: true, force: true })
}

async function updater(): Promise<void> {
  let version = OLD
  await pause((Math.random() * everyS * 1_000) / faster)
  while (!isOver) {
    const startedAt = performance.now()
    const answers = [await ask('version'), await ask('critical')]
    polls += answers.length
    const [told = '', critical] = answers
    if (startedAt > rolledBackAt && told !== NEW) failures.push(`told ${told} after the rollback to ${NEW}`)
    if (![OLD, NEW].includes(told)) failures.push(`told ${told}`)
    if (version === OLD && told === NEW && critical === 'yes') {
      version = NEW
      followedAt.push(performance.now() - rolledBackAt)
    }
    await pause(((everyS + (2 * Math.random() - 1) * jitterS) * 1_000) / faster)
  }
}

/** One question on a connection of its own, as curl asks it. */
function ask(question: 'version' | 'critical'): Promise<string> {
  return new Promise((resolve) => {
    const fail = (why: string): void => {
      failures.push(why)
      resolve('')
    }
    const asked = request(`${server.pollUrl}${PATH}/${question}`, { agent: false }, (response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.on('error', (error) => fail(error.message))
      response.on('end', () => (response.statusCode === 200 ? resolve(body) : fail(`status ${response.statusCode}`)))
    })
    asked.on('error', (error) => fail(error.message))
    asked.end()
  })
}

function report(): void {
  const rollbackAtS = 2 * everyS
  const model = simulate({
    ...{
      agents: updaters,
      timers: TIMERS.systemd,
      start: 'spread',
      cdn: null,
      agentsPerAddress: updaters,
      window: null,
    },
    ...{ seconds: rollbackAtS + everyS + 2 * jitterS, rollbackAtS, seed: 1 },
  })
  const sorted = followedAt.toSorted((a, b) => a - b)
  const say = (text: string): void => void process.stdout.write(`${text}\n`)
  say(`${updaters} live updaters, ${polls} questions, each on a new connection; timers ${faster} times faster`)
  say('share of the fleet that has followed    measured, in their time    simulated')
  for (const share of [0.5, 0.99, 1]) {
    const ms = sorted[Math.ceil(updaters * share) - 1]
    const measured = ms === undefined ? 'not reached' : `${((ms * faster) / 60_000).toFixed(1)} min`
    const simulated = `${((followedAfterS(model, updaters, share) ?? NaN) / 60).toFixed(1)} min`
    say(`${`${share * 100} %`.padEnd(40)}${measured.padEnd(27)}${simulated}`)
  }
  say(`failed or wrong answers: ${failures.length}${failures.length === 0 ? '' : ` (${failures[0]})`}`)
  if (failures.length > 0 || sorted.length < updaters) process.exitCode = 1
}
