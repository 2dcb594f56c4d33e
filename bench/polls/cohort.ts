// What a poll of a cohort's path costs beside one of the plain path: both of one channel, whose ramp is under way, on one
// server in turns.
import { BENCH_TOKEN } from '../bellwether-process.ts'
import { Client } from '../client.ts'
import { BODY } from '../servers/answer.ts'
import { load } from './generators.ts'
import { Rounds } from './rounds.ts'
import type { BenchOptions, Outcome } from './scenarios.ts'
import { bellwether, type Subject } from './subjects.ts'

const PIPELINE = 'cloud'
const CHANNEL = 'stable/cloud'
const COHORT = 7
/** As long as the one before, so that both answers are of one size. */
const NEXT = BODY.replace(/\d$/, (digit) => String((Number(digit) + 1) % 10))

export async function cohort({ place, generator, rounds, seconds, connections }: BenchOptions): Promise<Outcome> {
  const found = new Rounds('cohort, keep-alive')
  const server = await bellwether(place)
  try {
    const told = await startRamp(server)
    const plain = { ...server, name: 'plain path' }
    const path = `/v1/${CHANNEL}/cohort/${COHORT}/version`
    const options = { generator, connections, seconds, folder: place.folder }
    await found.run([plain, { ...server, name: 'cohort path', path }], rounds, (subject) =>
      load(subject.url, subject.path, { ...options, body: subject.path === path ? told : BODY }),
    )
  } finally {
    await server.stop()
  }
  const ratios = (['polls/s', 'CPU per poll'] as const).flatMap(
    (by) => found.ratio('cohort path', 'plain path', by, 0.95, 1) ?? [],
  )
  return { rows: found.rows(), ratios, figures: [], skipped: [] }
}

/** Starts a ramp that stays at half of the cohorts, and gives what the one that is polled is told. */
async function startRamp({ url, controlUrl }: Subject & { readonly controlUrl: string }): Promise<string> {
  const [control, poll] = [new Client(controlUrl, 1, BENCH_TOKEN), new Client(url, 1)]
  try {
    const stages = [{ name: 'all', channels: [CHANNEL], rampPercent: [50], rampMinutes: 24 * 60 }]
    await admin(control, 'PUT', `/pipelines/${PIPELINE}`, { requirePackages: false, stages })
    await admin(control, 'POST', '/releases', { version: NEXT, commit: 'abcdef1', kind: 'full' })
    await admin(control, 'POST', `/rollouts/${PIPELINE}/promote`, { release: NEXT, stage: 'all' })
    const told: string[] = []
    for (let index = 0; index < 100; index += 1) {
      told.push((await poll.get(`/v1/${CHANNEL}/cohort/${index}/version`)).body)
    }
    const reached = told.filter((body) => body === NEXT).length
    if (reached !== 50) throw new Error(`${reached} cohorts are told ${NEXT}, not 50`)
    return told[COHORT] ?? ''
  } finally {
    control.close()
    poll.close()
  }
}

async function admin(control: Client, method: string, path: string, body: object): Promise<void> {
  const reply = await control.admin(method, path, body)
  if (reply.status >= 300) throw new Error(`${method} ${path} was answered ${reply.status} ${reply.body}`)
}
