// TLS on the poll plane: the same answers, sessions that any plane with the same secret takes up again, and certificates
// that change while it runs.
import { once } from 'node:events'
import { copyFile, writeFile } from 'node:fs/promises'
import { connect as connectTcp, type AddressInfo } from 'node:net'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { buildPollPlane, schemeOf } from '../../src/app/poll-plane.ts'
import { PollTls } from '../../src/app/poll-tls.ts'
import { SnapshotHolder } from '../../src/serve/holder.ts'
import { PollCounts } from '../../src/serve/poll-counts.ts'
import { ReplicaState } from '../../src/serve/replica-state.ts'
import { makeCertificate, type CertificateFiles } from '../fixtures/certificate.ts'
import { NOW } from '../fixtures/channel-samples.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { head } from '../fixtures/poll-row.ts'
import { STABLE, stateOf } from '../fixtures/poll-worlds.ts'
import { freshFolder } from '../fixtures/store-process.ts'

const SECRET = 'a-secret-for-tickets-of-40-characters-ok'
const HALF_A_DAY_MS = 12 * 3_600_000

async function startPlane(t: Test, files: CertificateFiles, { ticketSecret = SECRET, clock = new FakeClock() } = {}) {
  const holder = new SnapshotHolder()
  const state = stateOf('channels')
  if (state !== null) holder.swap(new ReplicaState(state, 10, NOW).snapshot)
  const counts = new PollCounts()
  const tls = await PollTls.open({ ...files, ticketSecret }, clock)
  const plane = buildPollPlane(holder, { counts, tls })
  const warnings: string[] = []
  const stop = tls.keepCurrent(plane.server, { info: () => {}, warn: (_fields, message) => warnings.push(message) })
  t.teardown(() => {
    stop()
    plane.server.closeAllConnections()
    return plane.close()
  })
  await plane.listen({ host: '127.0.0.1', port: 0 })
  const { port } = plane.server.address() as AddressInfo // A TCP server that listens has one.
  return { counts, port, clock, warnings, scheme: schemeOf(tls) }
}

interface Poll {
  readonly text: string
  readonly isResumed: boolean
  readonly session: Buffer | undefined
  readonly name: string
  readonly protocol: string | null
}

/** One poll on a connection of its own. */
async function poll(port: number, options: ConnectionOptions = {}): Promise<Poll> {
  const socket: TLSSocket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
  let session: Buffer | undefined
  socket.on('session', (ticket) => (session = ticket))
  await once(socket, 'secureConnect')
  const { subject } = socket.getPeerCertificate()
  const facts = { isResumed: socket.isSessionReused(), name: String(subject?.CN), protocol: socket.getProtocol() }
  socket.write(head(STABLE, { headers: ['Connection: close'] }))
  let text = ''
  socket.setEncoding('latin1')
  for await (const some of socket) text += some as string // Text, since an encoding is set.
  return { ...facts, text, session: session ?? socket.getSession() }
}

await t.test('polls over TLS', async (t) => {
  const folder = await freshFolder(t)
  const [first, second] = [makeCertificate(folder, 'first'), makeCertificate(folder, 'second')]
  if (first === null || second === null) {
    t.pass('TLS', { skip: 'NOT TESTED: openssl is missing. Install with: apt-get install openssl' })
    return
  }

  await t.test('are answered as without, by the fast path too, with TLS 1.2 and 1.3', async (t) => {
    const { port, counts, scheme } = await startPlane(t, first)
    t.equal(scheme, 'https')
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { text, protocol } = await poll(port, { minVersion: version, maxVersion: version })
      t.equal(protocol, version)
      t.match(text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\nConnection: close\r\n\r\n15\.1\.4$/)
    }
    t.match(counts, { fast: { 200: 2 }, connections: 2, handedOver: 0 })
  })

  await t.test('are taken up again by every plane with the same secret, and by no other', async (t) => {
    const planes = [await startPlane(t, first), await startPlane(t, first)]
    const other = await startPlane(t, first, { ticketSecret: `another ${SECRET}` })
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const range = { minVersion: version, maxVersion: version }
      const { session, isResumed } = await poll(planes[0]?.port ?? 0, range)
      t.equal(isResumed, false)
      for (const { port } of planes) t.equal((await poll(port, { ...range, session })).isResumed, true, version)
      const strange = await poll(other.port, { ...range, session })
      t.equal(strange.isResumed, false)
      t.match(strange.text, /15\.1\.4$/, 'a ticket that is not known costs a handshake, no more')
    }
  })

  await t.test('have other ticket keys after half a day, the same everywhere', async (t) => {
    const { port, clock } = await startPlane(t, first)
    const { session } = await poll(port)
    await clock.advance(HALF_A_DAY_MS)
    await tick(clock)
    const later = await poll(port, { session })
    t.equal(later.isResumed, false)
    const late = new FakeClock()
    await late.advance(HALF_A_DAY_MS + 1)
    const another = await startPlane(t, first, { clock: late })
    t.equal((await poll(another.port, { session: later.session })).isResumed, true)
  })

  await t.test(
    'have a new certificate soon after its files were replaced, and the old one while they are wrong',
    async (t) => {
      const files = { cert: `${first.cert}.live`, key: `${first.key}.live` }
      await copyFile(first.cert, files.cert)
      await copyFile(first.key, files.key)
      const { port, clock, warnings } = await startPlane(t, files)
      t.equal((await poll(port)).name, 'first')
      await copyFile(second.cert, files.cert)
      await tick(clock)
      t.equal((await poll(port)).name, 'first', 'the key does not belong to it yet')
      t.match(warnings, [/no certificate and key that belong together.*keeps the certificate that it has/])
      await writeFile(files.key, '')
      await tick(clock)
      t.equal((await poll(port)).name, 'first')
      await copyFile(second.key, files.key)
      await tick(clock)
      t.equal((await poll(port)).name, 'second')
    },
  )

  await t.test('leave whoever speaks plain HTTP without an answer and without a connection', async (t) => {
    const { port, counts } = await startPlane(t, first)
    const socket = connectTcp({ host: '127.0.0.1', port })
    socket.on('error', () => {})
    socket.resume()
    socket.write(head(STABLE))
    await once(socket, 'close')
    t.equal((await poll(port)).name, 'first')
    t.equal(counts.fast[200], 1)
  })

  await t.test('do not begin where the files are missing or do not belong together', async (t) => {
    const open = (files: CertificateFiles) => PollTls.open({ ...files, ticketSecret: SECRET }, new FakeClock())
    await t.rejects(open({ ...first, cert: 'no-such-file' }), {
      message: /^BELLWETHER_POLL_TLS_CERT cannot be read: ENOENT/,
    })
    await t.rejects(open({ ...first, key: 'no-such-file' }), {
      message: /^BELLWETHER_POLL_TLS_KEY cannot be read: ENOENT/,
    })
    await t.rejects(open({ cert: first.cert, key: second.key }), {
      message: /no certificate and key that belong together/,
    })
  })
})

/** Lets the files be read once more: real reads, whose end only the loop knows. */
async function tick(clock: FakeClock): Promise<void> {
  await clock.advance(5_000)
  await new Promise((resolve) => setTimeout(resolve, 100))
}
