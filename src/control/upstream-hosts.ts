// Which hosts an upstream may be on. With an allow-list only those that it names; without one any but internal addresses,
// so that nobody who may edit a channel can aim the server at what only the server can reach.
import { lookup as resolve } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import type { UpstreamUrl } from '../channels/upstream-url.ts'

/** Where no public version server can be: RFC 6890 and its IPv6 like. */
const INTERNAL: readonly (readonly [address: string, bits: number, family: 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['224.0.0.0', 3, 'ipv4'],
  ['::', 127, 'ipv6'],
  ['64:ff9b::', 96, 'ipv6'],
  ['64:ff9b:1::', 48, 'ipv6'],
  ['2002::', 16, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['fec0::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
]

const internal = new BlockList()
for (const [address, bits, family] of INTERNAL) internal.addSubnet(address, bits, family)

/** Which hosts are allowed; made from BELLWETHER_UPSTREAM_ALLOW. */
export class UpstreamHosts {
  readonly #allowed: readonly { readonly host: string; readonly port: number | null }[] | null

  /** `allowed` is null where there is no list; its entries are `host`, `host:port` or `*.host`. */
  constructor(allowed: readonly string[] | null) {
    this.#allowed = allowed?.map(readEntry) ?? null
  }

  /** Why an upstream may not be there, as the rest of a sentence about its URL; null where it may. */
  refusal({ hostname, port }: Pick<UpstreamUrl, 'hostname' | 'port'>): string | null {
    if (this.#allowed !== null) {
      const isAllowed = this.#allowed.some((entry) => matches(entry, hostname, port))
      return isAllowed ? null : `is on ${hostname}, which is not among the hosts that BELLWETHER_UPSTREAM_ALLOW names`
    }
    const address = bare(hostname)
    const isNear = isIP(address) === 0 ? /^(?:.+\.)?localhost\.?$/.test(address) : isInternal(address)
    return isNear ? `is on ${hostname}, an internal address; BELLWETHER_UPSTREAM_ALLOW must name it` : null
  }

  /** Resolves a host for a connection, and refuses it where one of its addresses is internal and no list allows it. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const near = this.#allowed === null ? addresses.find(({ address }) => isInternal(address)) : undefined
      const [first] = addresses
      if (near !== undefined || first === undefined) {
        return callback(new Error(`${hostname} has the internal address ${near?.address}`), [])
      }
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
