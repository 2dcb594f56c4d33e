// Which hosts the server may ask for something: upstreams, gates, packages. With an allow-list only those that it names;
// without one any but internal addresses, so that nobody who may say where can aim the server at what only it can reach.
import { lookup as resolve } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/**
 * Where no public server can be: RFC 6890 and its IPv6 like, with the networks of documentation and of IPv4 within IPv6, and the
 * address at which Azure's machines find their host's services.
 */
const INTERNAL: readonly (readonly [address: string, bits: number, family: 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['168.63.129.16', 32, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.0.2.0', 24, 'ipv4'],
  ['192.88.99.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['198.51.100.0', 24, 'ipv4'],
  ['203.0.113.0', 24, 'ipv4'],
  ['224.0.0.0', 3, 'ipv4'],
  ['::', 96, 'ipv6'],
  ['::ffff:0:0:0', 96, 'ipv6'],
  ['64:ff9b::', 96, 'ipv6'],
  ['64:ff9b:1::', 48, 'ipv6'],
  ['2001::', 32, 'ipv6'],
  ['2001:db8::', 32, 'ipv6'],
  ['2002::', 16, 'ipv6'],
  ['3fff::', 20, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['fec0::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
]

/** One entry of a list: `updates.example.com`, `*.example.com:8443`, `10.0.0.7`, `[fd00::1]`; as config.ts takes them. */
export const HOST_ENTRY = /^(?:(?:\*\.)?[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/

const DEFAULT_PORTS = { 'http:': 80, 'https:': 443 } as const

const internal = new BlockList()
for (const [address, bits, family] of INTERNAL) internal.addSubnet(address, bits, family)

/** A host as URLs write it: lower case, an IPv6 address in brackets. */
export interface Host {
  readonly hostname: string
  readonly port: number
}

export class AllowedHosts {
  readonly #setting: string
  readonly #allowed: readonly { readonly host: string; readonly port: number | null }[] | null

  /**
   * `allowed` is null where there is no list; its entries are `host`, `host:port` or `*.host`. `setting` is the variable
   * that it comes from, which every refusal names.
   */
  constructor(allowed: readonly string[] | null, setting: string) {
    this.#setting = setting
    this.#allowed = allowed?.map(readEntry) ?? null
  }

  /** Why a host may not be asked, as the rest of a sentence about its URL; null where it may. */
  refusal({ hostname, port }: Host): string | null {
    if (this.#allowed !== null) {
      const isAllowed = this.#allowed.some((entry) => matches(entry, hostname, port))
      return isAllowed ? null : `is on ${hostname}, which is not among the hosts that ${this.#setting} names`
    }
    const address = bare(hostname)
    const isNear = isIP(address) === 0 ? /^(?:.+\.)?localhost\.?$/.test(address) : isInternal(address)
    return isNear ? `is on ${hostname}, an internal address; ${this.#setting} must name it` : null
  }

  /** The same for the text of a URL, which must also be one, of HTTP, and without the secret of a user. */
  urlRefusal(text: string): string | null {
    // A URL is read without the white space around it and with a slash for each \; nobody can mean these.
    if (/[\s\\]/.test(text) || !URL.canParse(text)) return 'is not a URL; it must be like https://host/path'
    const url = new URL(text)
    if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'must begin with https:// or http://'
    if (url.username !== '' || url.password !== '') return 'must not have a user or password in it'
    const port = url.port === '' ? DEFAULT_PORTS[url.protocol] : Number(url.port)
    return this.refusal({ hostname: url.hostname, port })
  }

  /** Resolves a host for a connection, and refuses it where one of its addresses is internal and no list allows it. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const near = this.#allowed === null ? addresses.find(({ address }) => isInternal(address)) : undefined
      if (near !== undefined) {
        // Which one is for the log alone: the message is shown to everybody who may read.
        const cause = new Error(`it is ${near.address}`)
        return callback(new Error(`${hostname} has an internal address; ${this.#setting} must name it`, { cause }), [])
      }
      const [first] = addresses
      if (first === undefined) return callback(new Error(`${hostname} has no address`), [])
      // What was looked at is what is connected to.
      return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family)
    })
  }
}

/** Whether an address is of a network that is not the public one. */
function isInternal(address: string): boolean {
  const family = isIP(address)
  // ::ffff:a.b.c.d is an IPv4 address; BlockList looks at it as one.
  return family === 0 || internal.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

function readEntry(text: string): { readonly host: string; readonly port: number | null } {
  const match = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(text.toLowerCase())
  return { host: match?.[1] ?? text, port: match?.[2] === undefined ? null : Number(match[2]) }
}

function matches(
  entry: { readonly host: string; readonly port: number | null },
  hostname: string,
  port: number,
): boolean {
  if (entry.port !== null && entry.port !== port) return false
  return entry.host.startsWith('*.') ? hostname.endsWith(entry.host.slice(1)) : hostname === entry.host
}

function bare(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}
