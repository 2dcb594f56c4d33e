// TLS of the poll plane: the certificate from its files, anew when they change, and ticket keys that every worker and
// replica derives alike, so that a connection can be taken up again wherever it ends up.
import { createPrivateKey, hkdfSync, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { createSecureContext, type Server as TlsServer } from 'node:tls'
import type { Clock } from '../lib/clock.ts'
import { startPeriodicTask, type StopTask } from '../lib/periodic-task.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'

export interface PollTlsOptions {
  /** Files in PEM form: the certificate with its chain, and its key. */
  readonly cert: string
  readonly key: string
  /** What ticket keys are derived from: the same text gives the same keys at the same time, on any machine. */
  readonly ticketSecret: string
}

/** Texts in PEM form. */
interface PemFiles {
  readonly cert: string
  readonly key: string
}

/** What Node.js makes a server's TLS of. */
export interface PollTlsContext extends PemFiles {
  readonly ticketKeys: Buffer
  readonly minVersion: 'TLSv1.2'
  readonly sessionTimeout: number
}

/** The files are read this often: a watcher would miss how some mounts replace them. */
const RELOAD_INTERVAL_MS = 5_000
/** Ticket keys change this often, everywhere at the same moment; a ticket of before then costs a whole handshake, once. */
const TICKET_PERIOD_MS = 12 * 3_600_000
/** Longer than the half hour between two polls. */
const SESSION_TIMEOUT_S = 3_600
/** The length that Node.js takes: a name, a key for its integrity, and one for its secrecy. */
const TICKET_KEYS_BYTES = 48

export class PollTls {
  readonly #options: PollTlsOptions
  readonly #clock: Clock
  #context: PollTlsContext

  private constructor(options: PollTlsOptions, clock: Clock, files: PemFiles) {
    this.#options = options
    this.#clock = clock
    this.#context = this.#contextOf(files)
  }

  /** Reads the files. Throws an error of one line where they are not there, or do not belong together. */
  static async open(options: PollTlsOptions, clock: Clock): Promise<PollTls> {
    return new PollTls(options, clock, await readFiles(options))
  }

  /** What a server is made of that begins now. */
  get context(): PollTlsContext {
    return this.#context
  }

  /** Gives the server a new certificate when there is one, and new ticket keys when it is time; the answer stops that. */
  keepCurrent(server: Server, log: Pick<ReplicaLog, 'info' | 'warn'>): StopTask {
    const tlsServer = server as Server & TlsServer // Made with `context`, it is an HTTPS server, which is both.
    let problem: string | null = null
    const look = async (): Promise<void> => {
      let files: PemFiles = this.#context
      try {
        files = await readFiles(this.#options)
        problem = null
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        if (why !== problem) log.warn({}, `${why}; the poll plane keeps the certificate that it has`)
        problem = why
      }
      // Also where the files cannot be used: the others have new ticket keys by now.
      const next = this.#contextOf(files)
      const isNew = next.cert !== this.#context.cert || next.key !== this.#context.key
      if (!isNew && next.ticketKeys.equals(this.#context.ticketKeys)) return
      tlsServer.setSecureContext(next)
      this.#context = next
      if (isNew) log.info({}, 'the poll plane has a new certificate')
    }
    return startPeriodicTask({
      clock: this.#clock,
      intervalMs: RELOAD_INTERVAL_MS,
      run: look,
      // What does not fit together is found before a server is given it, so this is a fault of another kind.
      failed: (error) => log.warn({ err: error }, 'the certificate of the poll plane could not be replaced'),
    })
  }

  #contextOf({ cert, key }: PemFiles): PollTlsContext {
    const period = Math.floor(this.#clock.now() / TICKET_PERIOD_MS)
    const { ticketSecret } = this.#options
    const keys = hkdfSync('sha256', ticketSecret, '', `bellwether tickets ${period}`, TICKET_KEYS_BYTES)
    return { cert, key, ticketKeys: Buffer.from(keys), minVersion: 'TLSv1.2', sessionTimeout: SESSION_TIMEOUT_S }
  }
}

/** The texts of both files, which a server can be made of. */
async function readFiles({ cert, key }: PollTlsOptions): Promise<PemFiles> {
  const [certText, keyText] = await Promise.all([read(cert, 'CERT'), read(key, 'KEY')])
  try {
    // Looked at before a server is given them: it would take an empty key and then fail at every handshake, and of a chain
    // that is cut it would throw when it is too late.
    createSecureContext({ cert: certText, key: keyText })
    const belongs = new X509Certificate(certText).checkPrivateKey(createPrivateKey(keyText))
    if (!belongs) throw new Error('the key is that of another certificate')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`${cert} and ${key} are no certificate and key that belong together: ${why}`, { cause: error })
  }
  return { cert: certText, key: keyText }
}

async function read(path: string, name: 'CERT' | 'KEY'): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`BELLWETHER_POLL_TLS_${name} cannot be read: ${why}`, { cause: error })
  }
}
