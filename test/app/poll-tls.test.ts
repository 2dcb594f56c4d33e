// TLS on the poll plane: the same answers, sessions that any plane with the same secret takes up again, and certificates
// that change while it runs.
import { once } from 'node:events'
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { schemeOf } from '../../src/app/poll-plane.ts'
import { PollTls } from '../../src/app/poll-tls.ts'
import { PollCounts } from '../../src/serve/poll-counts.ts'
import { makeCertificate, type CertificateFiles } from '../../bench/certificate.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { eventually, within } from '../fixtures/poll-clock.ts'
import { head } from '../fixtures/poll-row.ts'
import { startPollServer } from '../fixtures/poll-server.ts'
import { STABLE, stateOf } from '../fixtures/poll-worlds.ts'
import { freshFolder } from '../fixtures/store-process.ts'

const SECRET = 'a-secret-for-tickets-of-40-characters-ok'
const HALF_A_DAY_MS = 12 * 3_600_000

/** Far above the timeout of a test, and below the ten seconds for which a connection with TLS is waited for when it is refused. */
const CUT_OFF_MS = 8_000

async function startPlane(
  t: Test,
  files: CertificateFiles,
  { ticketSecret = SECRET, clock = new FakeClock(), requestTimeoutMs = 10_000 } = {},
) {
  const counts = new PollCounts()
  const tls = await PollTls.open({ ...files, ticketSecret }, clock)
  const { plane, port } = await startPollServer(t, stateOf('channels'), { counts, tls, requestTimeoutMs })
  const told: string[] = []
  const tell = (_fields: object, message: string): void => void told.push(message)
  t.teardown(tls.keepCurrent(plane.server, { info: tell, warn: tell }))
  /** Lets the files be looked at until there is something to tell: the reads are real, and only they know how long they take. */
  const untilTold = async (): Promise<string> => {
    const before = told.length
    await eventually(async () => {
      await clock.advance(5_000)
      return told.length > before
    })
    return told.at(-1) ?? ''
  }
  return { counts, port, clock, untilTold, scheme: schemeOf(tls) }
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

  const copyOf = async ({ cert, key }: CertificateFiles): Promise<CertificateFiles> => {
    const copies = await freshFolder(t)
    const files = { cert: join(copies, 'cert.pem'), key: join(copies, 'key.pem') }
    await copyFile(cert, files.cert)
    await copyFile(key, files.key)
    return files
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

  await t.test('need a handshake that ends in time, and what is none ends at once', async (t) => {
    const { port } = await startPlane(t, first, { requestTimeoutMs: 1_000 })
    /** A connection that sends some bytes and reads whatever comes. */
    const half = (bytes: string): { isOver: boolean; got: string } => {
      const seen = { isOver: false, got: '' }
      const socket = connectTcp({ host: '127.0.0.1', port })
      t.teardown(() => socket.destroy())
      socket.on('error', () => {}).on('close', () => (seen.isOver = true))
      socket.on('data', (chunk) => (seen.got += chunk.toString('latin1')))
      if (bytes !== '') socket.write(bytes, 'latin1')
      return seen
    }
    // Silence, the head of a record, the begin of a ClientHello that never goes on; and no TLS at all.
    const slow = [half(''), half('\x16\x03\x01\x02\x00'), half('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abc')]
    const wrong = [half(head(STABLE)), half('\x16\x03\x01\x00\x02\x01\x00junk')]
    t.ok(await within(CUT_OFF_MS, () => [...slow, ...wrong].every(({ isOver }) => isOver)))
    for (const { got } of [...slow, ...wrong]) t.notMatch(got, /HTTP/)
    await t.rejects(poll(port, { maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0', minVersion: 'TLSv1' }))
    t.match((await poll(port)).text, /15\.1\.4$/)
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

  await t.test(
    'have other ticket keys after half a day, the same everywhere, also where the files are gone',
    async (t) => {
      const files = await copyOf(first)
      const { port, clock } = await startPlane(t, files)
      const { session } = await poll(port)
      t.equal((await poll(port, { session })).isResumed, true)
      await rm(files.key)
      await clock.advance(HALF_A_DAY_MS)
      let later = await poll(port, { session })
      await eventually(async () => {
        if (!later.isResumed) return true
        await clock.advance(5_000)
        later = await poll(port, { session })
        return !later.isResumed
      })
      const late = new FakeClock()
      await late.advance(HALF_A_DAY_MS + 1)
      const another = await startPlane(t, first, { clock: late })
      t.equal((await poll(another.port, { session: later.session })).isResumed, true)
    },
  )

  await t.test(
    'have a new certificate soon after its files were replaced, and the old one while they are wrong',
    async (t) => {
      const files = await copyOf(first)
      const { port, untilTold } = await startPlane(t, files)
      t.equal((await poll(port)).name, 'first')
      const wrongs: readonly (readonly [what: string, path: string, text: string])[] = [
        ['the key of another certificate', files.cert, await readFile(second.cert, 'utf8')],
        ['an empty key', files.key, ''],
        ['a chain that is cut', files.cert, `${await readFile(first.cert, 'utf8')}-----BEGIN CERTIFICATE-----\nMIIB\n`],
        ['no PEM at all', files.cert, 'not a certificate'],
      ]
      for (const [what, path, text] of wrongs) {
        await copyFile(first.key, files.key)
        await writeFile(path, text)
        t.match(
          await untilTold(),
          /no certificate and key that belong together: .*; the poll plane keeps the certificate/,
          what,
        )
        t.equal((await poll(port)).name, 'first', what)
      }
      await copyFile(second.key, files.key)
      await copyFile(second.cert, files.cert)
      await eventually(async () => (await untilTold()) === 'the poll plane has a new certificate')
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
