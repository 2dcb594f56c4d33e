// Connections to Redis, whatever form it has: they are made in the background for as long as they are open, and no command
// on them can hang. Nothing is queued while there is no connection, and nothing is ever sent twice by itself.
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { endpointless, watchSlots } from './cluster-slots.ts'
import type { RedisLimits } from './limits.ts'
import type { RedisTarget } from './redis-url.ts'
import { watchSentinels } from './sentinel-reasons.ts'

export type RedisClient = Redis | Cluster

/** The operating system looks whether a silent connection still lives. */
const KEEP_ALIVE_MS = 10_000

/** What a server answers that another one should be asked: after a failover, and while it loads. */
const MOVED_ON = /\b(?:READONLY|LOADING|MASTERDOWN|UNBLOCKED)\b/

const NO_DATABASE = /DB index|SELECT is not allowed/

const NOT_ANSWERED = 'it has not answered yet'

/** What ioredis says of many servers, after it has said what is wrong with each, or with the one that it was sent to. */
const SAYS_NOTHING =
  /^Failed to refresh slots cache|^None of startup nodes|^All sentinels are unreachable[^:]*$|Connection is closed/

/** It comes after the reason. */
const CLOSED = /Connection is closed/

/** Any number of calls may wait for a connection or be given up with it. */
const LISTENERS_MAX = 0

/** What ioredis does not keep of a connection. */
interface Condition {
  /** What was last wrong with it. */
  why: string
  /** It is connected, but not to the database that was asked for. */
  isElsewhere: boolean
  /** It is being made anew. */
  isEnding: boolean
}
const conditions = new WeakMap<RedisClient, Condition>()

/** Begins to connect. `commandMs` is how long a command may take on this connection. */
export function connect(target: RedisTarget, limits: RedisLimits, commandMs: number): RedisClient {
  const client = clientOf(target, limits, commandMs)
  const condition: Condition = { why: NOT_ANSWERED, isElsewhere: false, isEnding: false }
  conditions.set(client, condition)
  client.setMaxListeners(LISTENERS_MAX)
  client.on('connect', () => (condition.isElsewhere = false))
  client.on('close', () => (condition.isEnding = false))
  // Every command fails by itself; without a listener ioredis would write to the console.
  client.on('error', ({ message }: Error) => {
    if (!SAYS_NOTHING.test(message) || condition.why === NOT_ANSWERED) condition.why = message
    // ioredis goes on in database 0, which is another store.
    if (NO_DATABASE.test(message)) condition.isElsewhere = true
  })
  // What a Cluster itself says has no reason in it; that of each node is told only here.
  const nodeFailed = (why: string): void => {
    if (!CLOSED.test(why)) condition.why = why
  }
  client.on('node error', ({ message }: Error, node: string) => nodeFailed(`${node}: ${message}`))
  if (client instanceof Cluster) watchSlots(client, nodeFailed)
  else if (target.kind === 'sentinel') watchSentinels(client, nodeFailed)
  return client
}

/** Why nothing may be sent on a connection that is there; null where all is well. */
export function whyUnusable(client: RedisClient): string | null {
  const condition = conditions.get(client)
  return condition?.isElsewhere === true ? condition.why : null
}

/** What was last wrong with a connection. */
export function whyLost(client: RedisClient): string {
  return conditions.get(client)?.why ?? ''
}

/** Keeps what a server has answered that ends the connection: the next call only sees that there is none. */
export function refusedLogin(client: RedisClient, why: string): void {
  const condition = conditions.get(client)
  if (condition !== undefined) condition.why = why
}

/** Begins anew: nobody knows what a connection still delivers on which a command was given up, or whether it is one. */
export function reconnect(client: RedisClient): void {
  const condition = conditions.get(client)
  if (condition === undefined || condition.isEnding || client.status !== 'ready') return
  condition.isEnding = true
  client.disconnect(true)
}

/** Resolves once commands can be sent, or after `limits.readyMs`; the command then says what is wrong. */
export function untilReady(client: RedisClient, { readyMs }: RedisLimits): Promise<void> {
  if (client.status === 'ready') return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      client.off('ready', done)
      client.off('end', done)
      resolve()
    }
    const timer = setTimeout(done, readyMs)
    timer.unref()
    client.on('ready', done)
    client.on('end', done)
  })
}

/** The server that holds `key`: the one that a command without keys must go to; null where a Cluster does not say. */
export async function serverOf(client: RedisClient, key: string): Promise<Redis | null> {
  if (client instanceof Redis) return client
  const slot = await client.cluster('KEYSLOT', key)
  const [name] = client.slots[slot] ?? []
  return client.nodes('master').find(({ options }) => `${options.host}:${options.port}` === name) ?? null
}

/** Every server that holds data. */
export function primariesOf(client: RedisClient): readonly Redis[] {
  return client instanceof Redis ? [client] : client.nodes('master')
}

function clientOf(target: RedisTarget, limits: RedisLimits, commandMs: number): RedisClient {
  const retry = (times: number): number =>
    Math.min(limits.retryFirstMs * 2 ** Math.min(times, 10), limits.retryLongestMs)
  const shared = {
    ...(target.username === null ? {} : { username: target.username }),
    ...(target.password === null ? {} : { password: target.password }),
    ...(target.tls ? { tls: {} } : {}),
    connectTimeout: limits.connectMs,
    commandTimeout: commandMs,
    // One that is given up has nothing more to say.
    disconnectTimeout: 0,
    keepAlive: KEEP_ALIVE_MS,
    // A lost connection fails its commands at once; what had been sent is not sent again.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    reconnectOnError: ({ message }) => MOVED_ON.test(message),
    // Replies have the same shape on every server from 6.2 on.
    protocol: 2,
    connectionName: 'bellwether',
    disableClientInfo: true,
  } satisfies RedisOptions
  switch (target.kind) {
    case 'single':
      return new Redis({
        ...shared,
        ...target.address,
        db: target.db,
        enableOfflineQueue: false,
        retryStrategy: retry,
        // It asks INFO, which a user may have no right to. What still loads says so to every command.
        enableReadyCheck: false,
      })
    case 'sentinel':
      return new Redis({
        ...shared,
        sentinels: [...target.sentinels],
        name: target.name,
        db: target.db,
        enableOfflineQueue: false,
        retryStrategy: retry,
        sentinelRetryStrategy: retry,
        sentinelCommandTimeout: commandMs,
        ...(target.tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
        ...(target.password === null ? {} : { sentinelPassword: target.password }),
        ...(target.username === null ? {} : { sentinelUsername: target.username }),
      })
    case 'cluster': {
      const host = target.nodes[0]?.host ?? ''
      return new Cluster([...target.nodes], {
        redisOptions: shared,
        enableOfflineQueue: false,
        clusterRetryStrategy: retry,
        slotsRefreshTimeout: limits.connectMs,
        // Names stay names: certificates are made out to them, and a name that is not found is told as such.
        dnsLookup: (name, callback) => callback(null, name),
        natMap: (key) => endpointless(host, key),
      })
    }
  }
}
