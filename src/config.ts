// Configuration: BELLWETHER_… environment variables → one frozen, validated Config. All of process.env is read here.
import { envSchema } from 'env-schema'
import { availableParallelism } from 'node:os'
import { mistakes, NO_NUMBER, unknownName } from './config-mistakes.ts'

/** A shorter one could be guessed; 32 characters is what the docs promise. */
const SECRET_LENGTH_MIN = 32

/** GitHub sets no limit; a shorter one could be guessed from one delivery that it has signed. */
const WEBHOOK_SECRET_LENGTH_MIN = 16

/** A name that can stand in a header, a metric and a key of Redis as it is. */
const NAME = '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'

/** Hosts with commas between: `updates.example.com`, `*.example.com:8443`, `10.0.0.7`, `[fd00::1]`. */
const HOST = String.raw`(?:(?:\*\.)?[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?`
const HOSTS = `^${HOST}(?: *, *${HOST})*$`

/** Repositories with commas between: `owner/name`, as GitHub lets accounts and repositories be called. */
const REPOSITORY = '[A-Za-z0-9][A-Za-z0-9_-]{0,38}/[A-Za-z0-9._-]{1,100}'
const REPOSITORIES = `^${REPOSITORY}(?: *, *${REPOSITORY})*$`

const roles = ['all', 'poll', 'control'] as const
const flags = ['true', 'false'] as const
/** `auto` is one for each core. */
const WORKERS = '^(?:auto|[1-9][0-9]?)$'

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

const port = { type: 'integer', minimum: 0, maximum: 65_535 } as const
const text = { type: 'string', minLength: 1 } as const

// Plain JSON Schema: the poll plane answers before TypeBox, which the admin API is written in, would be loaded.
const schema = {
  type: 'object',
  properties: {
    BELLWETHER_ROLE: { enum: roles, default: 'all' },
    BELLWETHER_POLL_HOST: { ...text, default: '127.0.0.1' },
    BELLWETHER_POLL_PORT: { ...port, default: 8080 },
    BELLWETHER_CONTROL_HOST: { ...text, default: '127.0.0.1' },
    BELLWETHER_CONTROL_PORT: { ...port, default: 8081 },
    BELLWETHER_METRICS_HOST: { ...text, default: '127.0.0.1' },
    BELLWETHER_METRICS_PORT: port,
    BELLWETHER_DRAIN_S: { type: 'integer', minimum: 0, maximum: 3_600, default: 5 },
    BELLWETHER_DATA_DIR: { ...text, default: './data' },
    // A header would not carry anything else, and no caller could ever send it.
    BELLWETHER_ADMIN_TOKEN: { type: 'string', minLength: SECRET_LENGTH_MIN, pattern: '^[\\x21-\\x7e]+$' },
    // Its form is read where the store is opened (store/redis/redis-url.ts).
    BELLWETHER_REDIS_URL: text,
    BELLWETHER_REDIS_PREFIX: { type: 'string', pattern: NAME, default: 'bellwether' },
    BELLWETHER_REDIS_WAIT_REPLICAS: { type: 'integer', minimum: 0, maximum: 10, default: 0 },
    BELLWETHER_REDIS_STRICT: { enum: flags, default: 'false' },
    BELLWETHER_REPLICA_ID: { type: 'string', pattern: NAME },
    BELLWETHER_UPSTREAM_INTERVAL_S: { type: 'integer', minimum: 1, maximum: 3_600, default: 60 },
    BELLWETHER_UPSTREAM_ALLOW: { type: 'string', pattern: HOSTS },
    BELLWETHER_GATES_ALLOW: { type: 'string', pattern: HOSTS },
    BELLWETHER_GATE_SECRETS_DIR: text,
    BELLWETHER_PACKAGES_ALLOW: { type: 'string', pattern: HOSTS },
    BELLWETHER_GITHUB_WEBHOOK_SECRET: { type: 'string', minLength: WEBHOOK_SECRET_LENGTH_MIN },
    BELLWETHER_GITHUB_LABEL: { ...text, maxLength: 100, default: 'cloud/verified' },
    BELLWETHER_GITHUB_REPOSITORIES: { type: 'string', pattern: REPOSITORIES },
    BELLWETHER_WORKERS: { type: 'string', pattern: WORKERS, default: '1' },
    BELLWETHER_POLL_TLS_CERT: text,
    BELLWETHER_POLL_TLS_KEY: text,
    BELLWETHER_POLL_TLS_TICKET_SECRET: { type: 'string', minLength: SECRET_LENGTH_MIN },
    BELLWETHER_POLL_MAX_AGE_S: { type: 'integer', minimum: 0, maximum: 3_600, default: 10 },
    BELLWETHER_CONNECTIONS_PER_ADDRESS: { type: 'integer', minimum: 0, maximum: 50_000, default: 0 },
    BELLWETHER_LOG_LEVEL: { enum: logLevels, default: 'info' },
  },
} as const

/** The variables as the schema leaves them: numbers read, defaults filled in. */
interface Variables {
  readonly BELLWETHER_ROLE: (typeof roles)[number]
  readonly BELLWETHER_POLL_HOST: string
  readonly BELLWETHER_POLL_PORT: number
  readonly BELLWETHER_CONTROL_HOST: string
  readonly BELLWETHER_CONTROL_PORT: number
  readonly BELLWETHER_METRICS_HOST: string
  readonly BELLWETHER_METRICS_PORT?: number
  readonly BELLWETHER_DRAIN_S: number
  readonly BELLWETHER_DATA_DIR: string
  readonly BELLWETHER_ADMIN_TOKEN?: string
  readonly BELLWETHER_REDIS_URL?: string
  readonly BELLWETHER_REDIS_PREFIX: string
  readonly BELLWETHER_REDIS_WAIT_REPLICAS: number
  readonly BELLWETHER_REDIS_STRICT: (typeof flags)[number]
  readonly BELLWETHER_REPLICA_ID?: string
  readonly BELLWETHER_UPSTREAM_INTERVAL_S: number
  readonly BELLWETHER_UPSTREAM_ALLOW?: string
  readonly BELLWETHER_GATES_ALLOW?: string
  readonly BELLWETHER_GATE_SECRETS_DIR?: string
  readonly BELLWETHER_PACKAGES_ALLOW?: string
  readonly BELLWETHER_GITHUB_WEBHOOK_SECRET?: string
  readonly BELLWETHER_GITHUB_LABEL: string
  readonly BELLWETHER_GITHUB_REPOSITORIES?: string
  readonly BELLWETHER_WORKERS: string
  readonly BELLWETHER_POLL_TLS_CERT?: string
  readonly BELLWETHER_POLL_TLS_KEY?: string
  readonly BELLWETHER_POLL_TLS_TICKET_SECRET?: string
  readonly BELLWETHER_POLL_MAX_AGE_S: number
  readonly BELLWETHER_CONNECTIONS_PER_ADDRESS: number
  readonly BELLWETHER_LOG_LEVEL: (typeof logLevels)[number]
}

export interface Listen {
  readonly host: string
  /** 0 picks a free port. */
  readonly port: number
}

export interface RedisConfig {
  readonly url: string
  readonly prefix: string
  /** A write is acknowledged once this many Redis replicas have it. */
  readonly waitReplicas: number
  /** Whether a Redis that could lose what it was given keeps the server from starting. */
  readonly strict: boolean
}

export interface PollTlsConfig {
  /** Files in PEM form. */
  readonly cert: string
  readonly key: string
  /** null: made up at every start, so that connections are taken up again on this machine only. */
  readonly ticketSecret: string | null
}

export interface GithubConfig {
  /** What GitHub signs its webhooks with; null: there are none. */
  readonly webhookSecret: string | null
  /** The label by which a pull request says that its change was verified. */
  readonly verifiedLabel: string
  /** The repositories whose deliveries count, as `owner/name` in lower case; null for any that knows the secret. */
  readonly repositories: readonly string[] | null
}

export interface Config {
  readonly role: (typeof roles)[number]
  readonly poll: Listen
  readonly control: Listen
  /** null: metrics are on the control plane alone. */
  readonly metrics: Listen | null
  /** From SIGTERM to the end of the drain; 0 for none. */
  readonly drainS: number
  readonly dataDir: string
  /** null: made at the first start and kept in the data directory. */
  readonly adminToken: string | null
  /** null: the embedded store in `dataDir`. */
  readonly redis: RedisConfig | null
  /** null: a name is made up at every start. */
  readonly replicaId: string | null
  readonly pollMaxAgeS: number
  /** Processes that answer polls; 1 is the server's own. */
  readonly pollWorkers: number
  /** null: polls are plain HTTP. */
  readonly pollTls: PollTlsConfig | null
  /** Connections that each listener of a process takes from one address; 0 for any number. */
  readonly connectionsPerAddressMax: number
  readonly upstreamIntervalS: number
  /** Hosts that upstreams may be on: `host`, `host:port` or `*.host`; null for any public one. */
  readonly upstreamAllow: readonly string[] | null
  /** Hosts that gates may be on, in the same form; none where there is no list, as they are seldom public. */
  readonly gatesAllow: readonly string[]
  /** The folder with a file for each secret that gates can name; null: gates have none. */
  readonly gateSecretsDir: string | null
  /** Hosts that packages may be on, in the same form; null for any public one. */
  readonly packagesAllow: readonly string[] | null
  readonly github: GithubConfig
  readonly logLevel: string
}

function isNumber(name: string): boolean {
  return Object.entries(schema.properties).some(
    ([known, rule]) => known === name && 'type' in rule && rule.type === 'integer',
  )
}

/** Every mistake in the environment, one line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly lines: readonly string[]

  constructor(lines: readonly string[]) {
    super(lines.join('\n'))
    this.lines = lines
  }
}

/** The names of all variables that this process was given, whoever they are for. */
export function environmentNames(): readonly string[] {
  return Object.keys(process.env)
}

/** Reads and checks the configuration. Throws ConfigError with one line for every mistake. */
export function readConfig(env: Readonly<Record<string, string | undefined>> = process.env): Config {
  const names = Object.keys(schema.properties)
  const ours = Object.entries(env).filter(([name, value]) => name.startsWith('BELLWETHER_') && value !== undefined)
  const lines = ours.flatMap(([name]) => (names.includes(name) ? [] : [unknownName(name, names)]))
  // An empty variable is what `NAME= command` or an unset value in a compose file leaves: it means "not set".
  const given = ours.filter(([name, value]) => value !== '' && names.includes(name))
  // ajv takes whatever JavaScript reads as a number, such as Infinity, 0x50 or a tab; nobody can mean these.
  const isNoNumber = ([name, value = '']: (typeof given)[number]) => isNumber(name) && !/^-?\d+$/.test(value)
  lines.push(...given.filter(isNoNumber).map(([name, value]) => `${name} ${NO_NUMBER}, not ${JSON.stringify(value)}`))
  const set = Object.fromEntries(given.filter((variable) => !isNoNumber(variable)))
  let variables: Variables | null = null
  try {
    variables = envSchema<Variables>({ schema, data: set, env: false })
  } catch (error) {
    lines.push(...mistakes(error, set))
  }
  const isHalfTls = (set['BELLWETHER_POLL_TLS_CERT'] === undefined) !== (set['BELLWETHER_POLL_TLS_KEY'] === undefined)
  if (isHalfTls) lines.push('BELLWETHER_POLL_TLS_CERT and BELLWETHER_POLL_TLS_KEY belong together: set both, or none')
  if (variables === null || lines.length > 0) throw new ConfigError(lines)
  return Object.freeze({
    role: variables.BELLWETHER_ROLE,
    poll: Object.freeze({ host: variables.BELLWETHER_POLL_HOST, port: variables.BELLWETHER_POLL_PORT }),
    control: Object.freeze({ host: variables.BELLWETHER_CONTROL_HOST, port: variables.BELLWETHER_CONTROL_PORT }),
    metrics: metricsOf(variables),
    drainS: variables.BELLWETHER_DRAIN_S,
    dataDir: variables.BELLWETHER_DATA_DIR,
    adminToken: variables.BELLWETHER_ADMIN_TOKEN ?? null,
    redis: redisOf(variables),
    replicaId: variables.BELLWETHER_REPLICA_ID ?? null,
    pollMaxAgeS: variables.BELLWETHER_POLL_MAX_AGE_S,
    pollWorkers:
      variables.BELLWETHER_WORKERS === 'auto' ? availableParallelism() : Number(variables.BELLWETHER_WORKERS),
    pollTls: pollTlsOf(variables),
    connectionsPerAddressMax: variables.BELLWETHER_CONNECTIONS_PER_ADDRESS,
    upstreamIntervalS: variables.BELLWETHER_UPSTREAM_INTERVAL_S,
    upstreamAllow: listOf(variables.BELLWETHER_UPSTREAM_ALLOW),
    gatesAllow: listOf(variables.BELLWETHER_GATES_ALLOW) ?? Object.freeze([]),
    gateSecretsDir: variables.BELLWETHER_GATE_SECRETS_DIR ?? null,
    packagesAllow: listOf(variables.BELLWETHER_PACKAGES_ALLOW),
    github: Object.freeze({
      webhookSecret: variables.BELLWETHER_GITHUB_WEBHOOK_SECRET ?? null,
      verifiedLabel: variables.BELLWETHER_GITHUB_LABEL,
      repositories: listOf(variables.BELLWETHER_GITHUB_REPOSITORIES?.toLowerCase()),
    }),
    logLevel: variables.BELLWETHER_LOG_LEVEL,
  })
}

function listOf(items: string | undefined): readonly string[] | null {
  return items === undefined ? null : Object.freeze(items.split(',').map((item) => item.trim()))
}

function metricsOf(variables: Variables): Listen | null {
  if (variables.BELLWETHER_METRICS_PORT === undefined) return null
  return Object.freeze({ host: variables.BELLWETHER_METRICS_HOST, port: variables.BELLWETHER_METRICS_PORT })
}

function pollTlsOf(variables: Variables): PollTlsConfig | null {
  const { BELLWETHER_POLL_TLS_CERT: cert, BELLWETHER_POLL_TLS_KEY: key } = variables
  if (cert === undefined || key === undefined) return null
  return Object.freeze({ cert, key, ticketSecret: variables.BELLWETHER_POLL_TLS_TICKET_SECRET ?? null })
}

function redisOf(variables: Variables): RedisConfig | null {
  const { BELLWETHER_REDIS_URL: url } = variables
  if (url === undefined) return null
  return Object.freeze({
    url,
    prefix: variables.BELLWETHER_REDIS_PREFIX,
    waitReplicas: variables.BELLWETHER_REDIS_WAIT_REPLICAS,
    strict: variables.BELLWETHER_REDIS_STRICT === 'true',
  })
}
