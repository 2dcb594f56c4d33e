// TLS of the poll plane: the certificate from its files, anew when they change, and ticket keys that every worker and
// replica derives alike, so that a connection can be taken up again wherever it ends up.
import { createPrivateKey, hkdfSync, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { Server as TlsServer } from 'node:tls'
import type { Clock } from '../serve/clock.ts'
import type { ReplicaLog } from '../serve/replica.ts'

export interface PollTlsOptions {
  /** Files in PEM form: the certificate with its chain, and its key. */
  readonly cert: string
  readonly key: string
  /** What ticket keys are derived from: the same text gives the same keys at the same time, on any machine. */
  readonly ticketSecret: string
}

/** What Node.js makes a server's TLS of. */
export interface PollTlsContext {
  readonly cert: string
  readonly key: string
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
  #cert: string
  #key: string

  private constructor(options: PollTlsOptions, clock: Clock, cert: string, key: string) {
    this.#options = options
    this.#clock = clock
    this.#cert = cert
    this.#key = key
  }

  /** Reads the files. Throws an error of one line where they are not there, or do not belong together. */
  static async open(options: PollTlsOptions, clock: Clock): Promise<PollTls> {
    const [cert, key] = await readFiles(options)
    return new PollTls(options, clock, cert, key)
  }

  /** What a server is to be made of now. */
  get context(): PollTlsContext {
    return {
      cert: this.#cert,
      key: this.#key,
      ticketKeys: this.#ticketKeys(),
      minVersion: 'TLSv1.2',
      sessionTimeout: SESSION_TIMEOUT_S,
    }
  }

  /** Gives the server a new certificate when there is one, and new ticket keys when it is time; the answer stops that. */
  keepCurrent(server: Server, log: Pick<ReplicaLog, 'info' | 'warn'>): () => void {
    const tlsServer = server as Server & TlsServer // Made with `context`, it is an HTTPS server, which is both.
    let period = this.#period()
    let problem: string | null = null
    let isStopped = false
    let stop = (): void => {}
    const schedule = (): void => {
      if (!isStopped) stop = this.#clock.after(RELOAD_INTERVAL_MS, () => void look().finally(schedule))
    }
    const look = async (): Promise<void> => {
      try {
        const isNew = await this.#reload()
        if (isNew || this.#period() !== period) tlsServer.setSecureContext(this.context)
        if (isNew) log.info({}, 'the poll plane has a new certificate')
        period = this.#period()
        problem = null
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        if (why !== problem) log.warn({}, `${why}; the poll plane keeps the certificate that it has`)
        problem = why
      }
    }
    schedule()
    return () => {
      isStopped = true
      stop()
    }
  }

  /** Reads the files anew; says whether they have changed. */
  async #reload(): Promise<boolean> {
    const [cert, key] = await readFiles(this.#options)
    if (cert === this.#cert && key === this.#key) return false
    this.#cert = cert
    this.#key = key
    return true
  }

  #period(): number {
    return Math.floor(this.#clock.now() / TICKET_PERIOD_MS)
  }

  #ticketKeys(): Buffer {
    const info = `bellwether tickets ${this.#period()}`
    return Buffer.from(hkdfSync('sha256', this.#options.ticketSecret, '', info, TICKET_KEYS_BYTES))
  }
}

/** The certificate and the key as text, which go together. */
async function readFiles({ cert, key }: PollTlsOptions): Promise<readonly [cert: string, key: string]> {
  const [certText, keyText] = await Promise.all([read(cert, 'CERT'), read(key, 'KEY')])
  try {
    // Looked at before a server is given them: it would take an empty key and then fail at every handshake.
    const belongs = new X509Certificate(certText).checkPrivateKey(createPrivateKey(keyText))
    if (!belongs) throw new Error('the key is that of another certificate')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`${cert} and ${key} are no certificate and key that belong together: ${why}`, { cause: error })
  }
  return [certText, keyText]
}

async function read(path: string, name: 'CERT' | 'KEY'): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`BELLWETHER_POLL_TLS_${name} cannot be read: ${why}`, { cause: error })
  }
}
