// Reads BELLWETHER_REDIS_URL: one server, Sentinels that know where it is, or a Cluster; each with or without TLS.

export interface RedisAddress {
  readonly host: string
  readonly port: number
}

interface Login {
  readonly username: string | null
  readonly password: string | null
  readonly tls: boolean
}

export type RedisTarget =
  | ({ readonly kind: 'single'; readonly address: RedisAddress; readonly db: number } & Login)
  /** `name` is what the Sentinels call the primary. */
  | ({
      readonly kind: 'sentinel'
      readonly sentinels: readonly RedisAddress[]
      readonly name: string
      readonly db: number
    } & Login)
  | ({ readonly kind: 'cluster'; readonly nodes: readonly RedisAddress[] } & Login)

export type ReadRedisUrl =
  | { readonly outcome: 'parsed'; readonly value: RedisTarget }
  /** A sentence without its subject; it never shows what was given, since that may have a password in it. */
  | { readonly outcome: 'unparsed'; readonly message: string }

const FORMS =
  'redis://host:6379/0, redis+sentinel://host:26379,host:26379/name or redis+cluster://host:6379,host:6379 (rediss for TLS)'
const URL_FORM = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^/?#@]+)(?:\/([^?#]*))?$/
const PORTS = { single: 6_379, sentinel: 26_379, cluster: 6_379 } as const
const ADDRESSES_MAX = 20
const DB_MAX = 15

/** The server or servers that a URL names. */
export function parseRedisUrl(text: string): ReadRedisUrl {
  const match = URL_FORM.exec(text.trim())
  if (match === null) return unparsed(`must be like ${FORMS}`)
  const [, scheme, form, userinfo, hosts = '', path = ''] = match
  const kind = form === 'sentinel' || form === 'cluster' ? form : 'single'
  const login = readLogin(userinfo)
  if (login === null) return unparsed('has a user or password that is not percent-encoded as it must be')
  const addresses = hosts.split(',').map((host) => readAddress(host, PORTS[kind]))
  if (addresses.length > ADDRESSES_MAX) return unparsed(`names more than ${ADDRESSES_MAX} servers`)
  const known = addresses.flatMap((address) => address ?? [])
  if (known.length !== addresses.length) return unparsed(`has a host or port that is none; it must be like ${FORMS}`)
  const shared = { ...login, tls: scheme === 'rediss' }
  const [first] = known
  switch (kind) {
    case 'single': {
      const db = readDb(path)
      if (first === undefined || known.length > 1)
        return unparsed('names several servers; use redis+sentinel:// or redis+cluster://')
      return db === null ? unparsed(badDb) : parsed({ kind, address: first, db, ...shared })
    }
    case 'sentinel': {
      const [name = '', ...rest] = path.split('/')
      const db = readDb(rest.join('/'))
      if (name === '') return unparsed('must say what the Sentinels call the primary: redis+sentinel://host:26379/name')
      return db === null ? unparsed(badDb) : parsed({ kind, sentinels: known, name, db, ...shared })
    }
    case 'cluster':
      return path === ''
        ? parsed({ kind, nodes: known, ...shared })
        : unparsed('has a database, but a Cluster has only one; leave it out')
  }
}

const badDb = `has a database that is none; it is a number from 0 to ${DB_MAX}`

/** `user:password`, `:password`, or nothing. */
function readLogin(userinfo: string | undefined): { username: string | null; password: string | null } | null {
  if (userinfo === undefined) return { username: null, password: null }
  const colon = userinfo.indexOf(':')
  try {
    const username = decodeURIComponent(colon === -1 ? userinfo : userinfo.slice(0, colon))
    const password = colon === -1 ? '' : decodeURIComponent(userinfo.slice(colon + 1))
    return { username: username === '' ? null : username, password: password === '' ? null : password }
  } catch {
    return null
  }
}

function readAddress(text: string, portMissing: number): RedisAddress | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = match?.[3] === undefined ? portMissing : Number(match[3])
  return host === undefined || port < 1 || port > 65_535 ? null : { host, port }
}

function readDb(text: string): number | null {
  if (text === '') return 0
  return /^\d{1,2}$/.test(text) && Number(text) <= DB_MAX ? Number(text) : null
}

function parsed(value: RedisTarget): ReadRedisUrl {
  return { outcome: 'parsed', value }
}

function unparsed(message: string): ReadRedisUrl {
  return { outcome: 'unparsed', message }
}
