// Secrets that gates send to their Prometheus: read at the start from a folder with one file for each, and sent to no host but
// those that the file names. A secret leaves this module only as a header; nothing here puts one into words.
import { readdir, readFile, stat } from 'node:fs/promises'
import { BlockList, isIP } from 'node:net'
import { join } from 'node:path'
import { AllowedHosts, HOST_ENTRY } from './allowed-hosts.ts'

/** A file is a list of hosts and one secret; a token of a cloud's identity service has some 4 KB. */
const FILE_BYTES_MAX = 16 * 1_024
/** One for each Prometheus; a folder with more was not meant. */
const SECRETS_MAX = 100
const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/
const SETTING = 'BELLWETHER_GATE_SECRETS_DIR'
const REDACTED = '[secret]'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

interface GateSecret {
  readonly hosts: AllowedHosts
  /** The value of the header `Authorization`. */
  readonly header: string
  /** Every spelling in which a server could repeat it, longest first. */
  readonly spellings: readonly string[]
}

export type GateSecretsRead =
  | { readonly outcome: 'read'; readonly secrets: GateSecrets }
  /** Each of one line that names the file, without anything of its content. */
  | { readonly outcome: 'unreadable'; readonly problems: readonly string[] }

export class GateSecrets {
  readonly #secrets: ReadonlyMap<string, GateSecret>

  private constructor(secrets: ReadonlyMap<string, GateSecret>) {
    this.#secrets = secrets
  }

  /** Reads every file of the folder. Never rejects. */
  static async read(folder: string): Promise<GateSecretsRead> {
    const secrets = new Map<string, GateSecret>()
    const problems: string[] = []
    try {
      // A volume of Kubernetes has its own bookkeeping there, as names that begin with a dot.
      const names = (await readdir(folder)).filter((name) => !name.startsWith('.')).toSorted()
      if (names.length > SECRETS_MAX) problems.push(`${SETTING} has ${names.length} files, more than ${SECRETS_MAX}`)
      for (const name of names.slice(0, SECRETS_MAX)) {
        const secret = await readSecret(folder, name)
        if (typeof secret === 'string') problems.push(`${SETTING}: ${JSON.stringify(name)} ${secret}`)
        else secrets.set(name, secret)
      }
    } catch (error) {
      problems.push(`${SETTING} cannot be read: ${codeOf(error)}`)
    }
    if (problems.length > 0) return { outcome: 'unreadable', problems }
    return { outcome: 'read', secrets: new GateSecrets(secrets) }
  }

  /** Why a secret is not sent to a URL, as the rest of a sentence about the secret; null where it is. */
  refusal(name: string, url: string): string | null {
    const secret = this.#secrets.get(name)
    if (secret === undefined) return `is not known: no file of ${SETTING} had this name at the start of this server`
    const { protocol, hostname, port, host } = new URL(url)
    if (protocol !== 'https:' && !isLoopback(hostname)) {
      return 'is not sent over http://, which anybody on the way can read; use https://, or http:// to 127.0.0.1 or [::1]'
    }
    const isBound = secret.hosts.refusal({ hostname, port: Number(port || defaultPortOf(protocol)) }) === null
    return isBound ? null : `is not for ${host}; the line "hosts" of its file in ${SETTING} says which hosts it is for`
  }

  /** The headers that send the secret to a URL; throws an Error where `refusal` has a reason. */
  headers(name: string, url: string): Readonly<Record<string, string>> {
    const secret = this.#secrets.get(name)
    if (secret === undefined || this.refusal(name, url) !== null) throw new Error('this secret is not sent there')
    return { Authorization: secret.header }
  }

  /** The text with every spelling of the secret taken out: a server can repeat what it was sent. */
  redact(name: string, text: string): string {
    const spellings = this.#secrets.get(name)?.spellings ?? []
    return spellings.reduce((safe, spelling) => safe.replaceAll(spelling, REDACTED), text)
  }
}

/** One file's secret, or why it is none, as the rest of a sentence about the file. */
async function readSecret(folder: string, name: string): Promise<GateSecret | string> {
  if (!NAME.test(name))
    return 'is no name of a secret: 1 to 63 of a-z, 0-9, ".", "_" and "-", the first a letter or digit'
  const path = join(folder, name)
  try {
    const found = await stat(path)
    if (!found.isFile()) return 'is not a file'
    if (found.size > FILE_BYTES_MAX) return `has more than ${FILE_BYTES_MAX} bytes`
    return parseSecret(await readFile(path, 'utf8'))
  } catch (error) {
    return `cannot be read: ${codeOf(error)}`
  }
}

/**
 * Two lines: `hosts: prometheus.example.com, *.metrics.example.com:8443`, and `bearer: TOKEN` or `basic: USER:PASSWORD`.
 * White space around a value, and the line's end after it, are no part of it.
 */
function parseSecret(text: string): GateSecret | string {
  const fields = new Map<string, string>()
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const [, field, value = ''] = /^([a-z]+):(.*)$/.exec(line.trim()) ?? []
    // Without the line: it may be the secret.
    if (field === undefined || !['hosts', 'bearer', 'basic'].includes(field)) {
      return `line ${index + 1} must begin with "hosts:", "bearer:" or "basic:"`
    }
    if (fields.has(field)) return `has the line "${field}" twice`
    fields.set(field, value.trim())
  }
  const hosts = fields
    .get('hosts')
    ?.split(',')
    .map((host) => host.trim())
  if (hosts === undefined) return 'has no line "hosts"; it must name the hosts that the secret is for'
  if (!hosts.every((host) => HOST_ENTRY.test(host))) {
    return 'must have hosts with commas between in its line "hosts", like prometheus.example.com,*.internal.example:8443'
  }
  const credentials = credentialsIn(fields)
  return typeof credentials === 'string' ? credentials : { hosts: boundTo(hosts), ...credentials }
}

function credentialsIn(fields: ReadonlyMap<string, string>): Pick<GateSecret, 'header' | 'spellings'> | string {
  const [bearer, basic] = [fields.get('bearer'), fields.get('basic')]
  if ((bearer === undefined) === (basic === undefined)) return 'must have either a line "bearer" or a line "basic"'
  if (bearer !== undefined) {
    if (!/^[\x21-\x7e]+$/.test(bearer))
      return 'must have a token of ASCII letters, digits and signs in its line "bearer"'
    return { header: `Bearer ${bearer}`, spellings: spellingsOf([bearer]) }
  }
  const [, password] = /^[^:]+:(.+)$/.exec(basic ?? '') ?? []
  if (basic === undefined || password === undefined || /\p{Cc}/u.test(basic)) {
    return 'must have USER:PASSWORD in its line "basic"'
  }
  const encoded = Buffer.from(basic, 'utf8').toString('base64')
  return { header: `Basic ${encoded}`, spellings: spellingsOf([encoded, basic, password]) }
}

/** The texts as they are, as JSON and Go quote them, and as URLs have them. */
function spellingsOf(texts: readonly string[]): readonly string[] {
  const all = texts.flatMap((text) => [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text)])
  return [...new Set(all)].toSorted((a, b) => b.length - a.length)
}

/** An entry without a port is for the ports that URLs need not name: on another one of the host may be another program. */
function boundTo(hosts: readonly string[]): AllowedHosts {
  const entries = hosts.flatMap((host) => (/:\d+$/.test(host) ? [host] : [`${host}:443`, `${host}:80`]))
  return new AllowedHosts(entries, SETTING)
}

function defaultPortOf(protocol: string): string {
  return protocol === 'https:' ? '443' : '80'
}

/** Addresses alone: what the name `localhost` leads to is the resolver's to say. */
function isLoopback(hostname: string): boolean {
  const address = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  const family = isIP(address)
  return family !== 0 && loopback.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
