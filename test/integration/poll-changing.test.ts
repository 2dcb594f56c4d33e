// Agents poll a real server over sockets that stay open, while an operator changes the channel as fast as they can: every
// answer must have been the target at some moment between its request and its arrival, and nobody ever goes back.
import t from 'tap'
import { head } from '../fixtures/poll-row.ts'
import { openWire, type WireAnswer } from '../fixtures/poll-wire.ts'
import { startServer, type ServerProcess } from '../fixtures/server-process.ts'
import { freshFolder } from '../fixtures/store-process.ts'

const ROUNDS = 15
const NAME = 'stable/cloud'
const WEBAPI = `/v1/webapi/automaticupgrades/channel/${NAME}`

/** What each path says of a target. */
const paths: Readonly<Record<string, (target: Target) => string>> = {
  [`/v1/${NAME}/version`]: ({ version }) => version ?? `channel ${NAME} has no target version`,
  [`/v1/${NAME}/critical`]: ({ critical }) => (critical ? 'yes' : 'no'),
  [`${WEBAPI}/version`]: ({ version }) => (version === null ? 'none' : `v${version}`),
  [`${WEBAPI}/critical`]: ({ critical }) => (critical ? 'yes' : 'no'),
}

interface Target {
  readonly version: string | null
  readonly critical: boolean
}

/** One committed state. `asked` and `answered` number the events of this process: when the change was sent, and done. */
interface State extends Target {
  readonly revision: number
  readonly asked: number
  readonly answered: number
}

interface Polled {
  readonly poller: number
  readonly path: string
  readonly asked: number
  readonly answered: number
  readonly answer: WireAnswer
}

let events = 0

type Change = readonly [method: 'POST' | 'PUT' | 'DELETE', path: string, body: object]

const CHANNEL = `/channels/${encodeURIComponent(NAME)}`

/** The changes of one round; every one of them changes what agents are told. */
function changesOf(round: number): readonly Change[] {
  const reason = `round ${round}`
  return [
    ['PUT', `${CHANNEL}/version`, { version: `15.${round}.1`, critical: false }],
    ['PUT', `${CHANNEL}/version`, { version: `15.${round}.2`, critical: true }],
    ['PUT', `${CHANNEL}/pin`, { version: `15.${round}.1`, reason }],
    ['PUT', `${CHANNEL}/halt`, { reason }],
    ['DELETE', `${CHANNEL}/halt`, { reason }],
    ['DELETE', `${CHANNEL}/pin`, { reason }],
  ]
}

/** Makes a change and notes the state that came of it. */
async function change(server: ServerProcess, [method, path, body]: Change): Promise<State> {
  const asked = (events += 1)
  const response = await server.admin(method, path, body)
  if (response.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(response)}`)
  // What a write answers is the channel's document with its effective target.
  const { revision, effective } = response.body as { revision: number; effective: Target }
  const { version, critical } = effective
  return { revision, version, critical, asked, answered: (events += 1) }
}

function revisionOf({ headers }: WireAnswer): number {
  return Number(headers.find((line) => line.startsWith('bellwether-revision: '))?.split(': ')[1])
}

/** What is wrong with a poll, null for nothing. `states` are in the order of their revisions, 1, 2, 3 … */
function faultOf({ path, asked, answered, answer }: Polled, states: readonly State[]): string | null {
  const revision = revisionOf(answer)
  const state = states[revision - 1]
  const told = `${path} said ${answer.status} ${answer.body} at revision ${revision}`
  if (state === undefined) return `${told}, which there never was`
  if (answer.body !== paths[path]?.(state)) return `${told}, which was ${JSON.stringify(state)}`
  const held = path === `/v1/${NAME}/version` && state.version === null
  if (answer.status !== (held ? 404 : 200)) return `${told}, with the wrong status`
  if (state.asked > answered) return `${told}, before anybody had asked for it`
  const next = states[revision]
  if (next !== undefined && next.answered < asked) return `${told}, after the next change was acknowledged`
  return null
}

await t.test('every answer was the target at some moment while it was asked for', async (t) => {
  const server = await startServer(await freshFolder(t))
  t.teardown(() => server.end())
  const { hostname: host, port } = new URL(server.pollUrl)
  const address = { host, port: Number(port) }
  const source = { kind: 'static', version: '15.0.0' }
  const states = [await change(server, ['POST', '/channels', { name: NAME, source }])]

  const polled: Polled[] = []
  let isOver = false
  const poll = async (poller: number): Promise<void> => {
    const wire = await openWire(t, address)
    const path = Object.keys(paths)[poller % 4] ?? ''
    const ask = async (): Promise<void> => {
      const asked = (events += 1)
      wire.send(head(path))
      const answer = await wire.answer()
      polled.push({ poller, path, asked, answered: (events += 1), answer })
    }
    while (!isOver) await ask()
    // Once more after the last change was acknowledged: everybody must know it now.
    await ask()
    wire.destroy()
  }
  const pollers = Array.from({ length: 8 }, (_, poller) => poll(poller))
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const one of changesOf(round)) states.push(await change(server, one))
  }
  isOver = true
  await Promise.all(pollers)

  t.same(
    states.map(({ revision }) => revision),
    states.map((_, index) => index + 1),
    'every change made one revision',
  )
  const faults = polled.flatMap((one) => faultOf(one, states) ?? [])
  t.same(faults.slice(0, 5), [], `${polled.length} polls during ${states.length} states`)
  for (let poller = 0; poller < 8; poller += 1) {
    const revisions = polled.filter((one) => one.poller === poller).map(({ answer }) => revisionOf(answer))
    t.same(
      revisions,
      revisions.toSorted((a, b) => a - b),
      `poller ${poller} never went back`,
    )
    t.equal(revisions.at(-1), states.length, `poller ${poller} has seen the last change`)
  }
  const seen = new Set(polled.map(({ answer }) => revisionOf(answer)))
  t.ok(seen.size > states.length / 2, `${seen.size} of ${states.length} states were seen`)
})
