// The proof that the fast path changes nothing: what it answers, and what it hands over, comes out as from the HTTP server
// alone, for whatever is sent in whatever pieces. `npm run fuzz` does the same for longer.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import type { FuzzReport } from '../fixtures/fuzz-child.ts'
import { startPollPlanes } from '../fixtures/fuzz-planes.ts'
import { fuzz } from '../fixtures/fuzz-run.ts'
import type { Address } from '../fixtures/poll-wire.ts'
import { SEED, sized } from '../fixtures/test-form.ts'

const run = promisify(execFile)
const CHILD = fileURLToPath(new URL('../fixtures/fuzz-child.ts', import.meta.url))

/** Less than a minute on a machine that does nothing else; on one that is busy many. */
const FILE_TIMEOUT_MS = 600_000
const REQUESTS = sized(30_000, 200_000)
/** By when a planted fault must have been found. */
const REQUESTS_TO_FIND = 20_000
/** Of the answers; were it far less, little would be proven. */
const FAST_SHARE_LEAST = 0.3
/** A difference has both sides' bytes in it, of one conversation. */
const REPORT_BYTES_MAX = 64 * 1_024 * 1_024

t.setTimeout(FILE_TIMEOUT_MS)

await t.test(`${REQUESTS} requests come out the same with the fast path and without`, async (t) => {
  const seed = SEED
  const { requests, difference, cutShort, unconfirmed, polls } = await fuzzInChild(t, seed)
  t.equal(difference, null, `seed ${seed}`)
  t.comment(`${cutShort} cut short, ${unconfirmed} that differed once`)
  t.ok(requests >= REQUESTS)
  t.ok(polls / requests > FAST_SHARE_LEAST, `${polls} answered by the fast path`)
})

async function fuzzInChild(t: Test, seed: number): Promise<FuzzReport> {
  const ended = new AbortController()
  t.teardown(() => ended.abort())
  const options = { signal: ended.signal, maxBuffer: REPORT_BYTES_MAX }
  const { stdout } = await run(process.execPath, ['--import', 'tsx', CHILD, String(REQUESTS), String(seed)], options)
  return JSON.parse(stdout) as FuzzReport // The child prints one.
}

/** What a fast path could get wrong, done to the bytes that come from a server. */
const faults: Readonly<Record<string, (bytes: string) => string>> = {
  'another version': (bytes) => bytes.replaceAll('15.1.4', '15.1.5'),
  'a header that is missing': (bytes) => bytes.replaceAll('X-Content-Type-Options: nosniff\r\n', ''),
  'a header in another place': (bytes) =>
    bytes.replaceAll(/(Cache-Control: public[^\r]*\r\n)(ETag: [^\r]*\r\n)/g, '$2$1'),
  'a connection that is said to be kept and is not': (bytes) =>
    bytes.replaceAll('Connection: close', 'Connection: keep-alive'),
  'a date that is missing': (bytes) => bytes.replaceAll(/\r\nDate: [^\r]*/g, ''),
  'two dates': (bytes) => bytes.replaceAll(/(\r\nDate: [^\r]*)/g, '$1$1'),
  'a whole answer for a 304': (bytes) => bytes.replaceAll('304 Not Modified', '200 OK'),
  'one byte too many': (bytes) => `${bytes} `,
  'one byte too few': (bytes) => bytes.slice(0, -1),
  'an answer that is sent twice': (bytes) => bytes + bytes,
}

/** In the short form two will do: of bytes that differ, and of bytes that are too many. */
const FAULTS_TRIED = sized(2, Object.keys(faults).length)

for (const [what, change] of Object.entries(faults).slice(-FAULTS_TRIED)) {
  await t.test(`${what} is found`, async (t) => {
    await isFound(t, { change })
  })
}

for (const [what, fault] of [
  ['a connection that is left open after its last answer', { leavesOpen: true }],
  ['a connection that is ended after an answer that said it would be kept', { endsAfterAnswer: true }],
] as const) {
  await t.test(`${what} is found`, async (t) => {
    await isFound(t, fault)
  })
}

interface Fault {
  readonly change?: (bytes: string) => string
  readonly leavesOpen?: boolean
  readonly endsAfterAnswer?: boolean
}

async function isFound(t: Test, fault: Fault): Promise<void> {
  const planes = await startPollPlanes()
  t.teardown(() => planes.close())
  const fast = await startFaulty(t, planes.fast, fault)
  const { difference } = await fuzz({ seed: 1, requests: REQUESTS_TO_FIND, fast, plain: planes.plain })
  t.not(difference, null)
  t.ok((difference?.conversation.pieces.length ?? Infinity) <= 3, 'it was made small')
}

/** A server before another one that changes what comes from it. */
async function startFaulty(t: Test, { host, port }: Address, fault: Fault): Promise<Address> {
  const { change = (bytes) => bytes, leavesOpen = false, endsAfterAnswer = false } = fault
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ host, port, allowHalfOpen: true, noDelay: true })
    client.on('error', () => upstream.destroy())
    upstream.on('error', () => client.destroy())
    // Else the server behind it would wait at its own end for what does not come.
    client.on('close', () => upstream.destroy())
    client.pipe(upstream)
    upstream.on('data', (bytes) => {
      client.write(change(bytes.toString('latin1')), 'latin1')
      if (endsAfterAnswer) client.destroySoon()
    })
    if (leavesOpen) {
      client.on('end', () => client.end())
      return
    }
    upstream.on('end', () => client.end())
    upstream.on('close', () => client.destroySoon())
  })
  server.listen(0, host)
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { host, port: (server.address() as AddressInfo).port } // A TCP server that listens has one.
}
