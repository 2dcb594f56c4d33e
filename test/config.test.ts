// Configuration: each variable, each mistake with a line of its own, and no secret in any of them.
import { availableParallelism } from 'node:os'
import t from 'tap'
import { ConfigError, readConfig } from '../src/config.ts'

const defaults = {
  role: 'all',
  poll: { host: '127.0.0.1', port: 8080 },
  control: { host: '127.0.0.1', port: 8081 },
  dataDir: './data',
  adminToken: null,
  redis: null,
  replicaId: null,
  pollMaxAgeS: 10,
  pollWorkers: 1,
  pollTls: null,
  connectionsPerAddressMax: 0,
  upstreamIntervalS: 60,
  upstreamAllow: null,
  gatesAllow: [],
  gateSecretsDir: null,
  packagesAllow: null,
  github: { webhookSecret: null, verifiedLabel: 'cloud/verified', repositories: null },
  logLevel: 'info',
}

const redis = { prefix: 'bellwether', waitReplicas: 0, strict: false }

const SECRET = 'a-secret-of-exactly-32-characters'.slice(0, 32)

/** The lines that a wrong environment gives. */
function linesOf(env: Record<string, string | undefined>): readonly string[] {
  try {
    readConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.lines
    throw error
  }
  throw new Error('the environment is accepted')
}

await t.test('without any variable everything has a default', (t) => {
  t.same(readConfig({}), defaults)
  t.same(readConfig({ PATH: '/bin', HOME: '/root', bellwether_role: 'x', XBELLWETHER_ROLE: 'x' }), defaults)
  t.end()
})

await t.test('each variable sets its own part, and no other', (t) => {
  const cases: readonly [name: string, value: string, changed: object][] = [
    ['BELLWETHER_ROLE', 'poll', { role: 'poll' }],
    ['BELLWETHER_ROLE', 'control', { role: 'control' }],
    ['BELLWETHER_ROLE', 'all', {}],
    ['BELLWETHER_POLL_HOST', '::', { poll: { host: '::', port: 8080 } }],
    ['BELLWETHER_POLL_PORT', '0', { poll: { host: '127.0.0.1', port: 0 } }],
    ['BELLWETHER_POLL_PORT', '65535', { poll: { host: '127.0.0.1', port: 65_535 } }],
    ['BELLWETHER_CONTROL_HOST', 'localhost', { control: { host: 'localhost', port: 8081 } }],
    ['BELLWETHER_CONTROL_PORT', '9091', { control: { host: '127.0.0.1', port: 9091 } }],
    ['BELLWETHER_DATA_DIR', '/var/lib/bell wether', { dataDir: '/var/lib/bell wether' }],
    ['BELLWETHER_ADMIN_TOKEN', SECRET, { adminToken: SECRET }],
    [
      'BELLWETHER_REDIS_URL',
      'redis://:secret@redis.example:6379/2',
      { redis: { ...redis, url: 'redis://:secret@redis.example:6379/2' } },
    ],
    ['BELLWETHER_WORKERS', '4', { pollWorkers: 4 }],
    ['BELLWETHER_WORKERS', 'auto', { pollWorkers: availableParallelism() }],
    ['BELLWETHER_UPSTREAM_INTERVAL_S', '5', { upstreamIntervalS: 5 }],
    [
      'BELLWETHER_UPSTREAM_ALLOW',
      'a.example, *.b.example:8443,[fd00::1]',
      { upstreamAllow: ['a.example', '*.b.example:8443', '[fd00::1]'] },
    ],
    ['BELLWETHER_GATES_ALLOW', 'prometheus.example:9090', { gatesAllow: ['prometheus.example:9090'] }],
    ['BELLWETHER_GATE_SECRETS_DIR', '/run/secrets/gates', { gateSecretsDir: '/run/secrets/gates' }],
    ['BELLWETHER_PACKAGES_ALLOW', '*.cdn.example, 10.0.0.7', { packagesAllow: ['*.cdn.example', '10.0.0.7'] }],
    [
      'BELLWETHER_GITHUB_WEBHOOK_SECRET',
      'sixteen letters.',
      { github: { ...defaults.github, webhookSecret: 'sixteen letters.' } },
    ],
    ['BELLWETHER_GITHUB_LABEL', 'qa: verified ✓', { github: { ...defaults.github, verifiedLabel: 'qa: verified ✓' } }],
    [
      'BELLWETHER_GITHUB_REPOSITORIES',
      'Acme/Agent , acme_corp/web.site,a/.github',
      { github: { ...defaults.github, repositories: ['acme/agent', 'acme_corp/web.site', 'a/.github'] } },
    ],
    ['BELLWETHER_REPLICA_ID', 'eu-1.a', { replicaId: 'eu-1.a' }],
    ['BELLWETHER_REDIS_STRICT', 'true', {}],
    ['BELLWETHER_POLL_MAX_AGE_S', '0', { pollMaxAgeS: 0 }],
    ['BELLWETHER_CONNECTIONS_PER_ADDRESS', '200', { connectionsPerAddressMax: 200 }],
    ['BELLWETHER_POLL_MAX_AGE_S', '3600', { pollMaxAgeS: 3_600 }],
    ...['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map((level): [string, string, object] => [
      'BELLWETHER_LOG_LEVEL',
      level,
      { logLevel: level },
    ]),
  ]
  for (const [name, value, changed] of cases) {
    t.same(readConfig({ [name]: value }), { ...defaults, ...changed }, `${name}=${value}`)
  }
  t.end()
})

await t.test('what belongs to Redis is read together with its URL', (t) => {
  const url = 'redis+sentinel://a:1,b:2/primary'
  const env = {
    BELLWETHER_REDIS_URL: url,
    BELLWETHER_REDIS_PREFIX: 'fleet-2',
    BELLWETHER_REDIS_WAIT_REPLICAS: '2',
    BELLWETHER_REDIS_STRICT: 'true',
  }
  t.same(readConfig(env).redis, { url, prefix: 'fleet-2', waitReplicas: 2, strict: true })
  t.same(linesOf({ ...env, BELLWETHER_REDIS_PREFIX: 'a{b}', BELLWETHER_REDIS_STRICT: 'yes' }), [
    'BELLWETHER_REDIS_PREFIX must be 1 to 63 letters, digits, dots, dashes and underlines, and begin with a letter or digit, not "a{b}"',
    'BELLWETHER_REDIS_STRICT must be one of true, false, not "yes"',
  ])
  t.end()
})

await t.test('each mistake has one line that names the variable, the rule and what was given', (t) => {
  const roles = 'must be one of all, poll, control'
  const levels = 'must be one of fatal, error, warn, info, debug, trace, silent'
  const cases: readonly [name: string, value: string, line: string][] = [
    ['BELLWETHER_ROLE', 'both', `BELLWETHER_ROLE ${roles}, not "both"`],
    ['BELLWETHER_ROLE', 'ALL', `BELLWETHER_ROLE ${roles}, not "ALL"`],
    ['BELLWETHER_ROLE', ' ', `BELLWETHER_ROLE ${roles}, not " "`],
    ['BELLWETHER_LOG_LEVEL', 'verbose', `BELLWETHER_LOG_LEVEL ${levels}, not "verbose"`],
    ...['BELLWETHER_POLL_PORT', 'BELLWETHER_CONTROL_PORT'].flatMap((name): [string, string, string][] => [
      [name, '-1', `${name} must be at least 0, not "-1"`],
      [name, '65536', `${name} must be at most 65535, not "65536"`],
      [name, '80.5', `${name} must be a whole number, not "80.5"`],
      [name, 'http', `${name} must be a whole number, not "http"`],
      [name, '8080/tcp', `${name} must be a whole number, not "8080/tcp"`],
      [name, '8080 8081', `${name} must be a whole number, not "8080 8081"`],
      [name, '99999999999999999999', `${name} must be at most 65535, not "99999999999999999999"`],
      [name, 'Infinity', `${name} must be a whole number, not "Infinity"`],
      [name, 'NaN', `${name} must be a whole number, not "NaN"`],
      [name, 'true', `${name} must be a whole number, not "true"`],
      [name, 'null', `${name} must be a whole number, not "null"`],
    ]),
    ...['0', '-1', '100', '2.5', 'all', 'AUTO', '1 '].map((value): (typeof cases)[number] => [
      'BELLWETHER_WORKERS',
      value,
      'BELLWETHER_WORKERS must be a whole number from 1 to 99, or auto, not ' + JSON.stringify(value),
    ]),
    [
      'BELLWETHER_POLL_TLS_TICKET_SECRET',
      SECRET.slice(1),
      'BELLWETHER_POLL_TLS_TICKET_SECRET must have at least 32 characters',
    ],
    ...['BELLWETHER_POLL_TLS_CERT', 'BELLWETHER_POLL_TLS_KEY'].map((name): (typeof cases)[number] => [
      name,
      'a.pem',
      'BELLWETHER_POLL_TLS_CERT and BELLWETHER_POLL_TLS_KEY belong together: set both, or none',
    ]),
    ...['UPSTREAM', 'GATES', 'PACKAGES'].map((of): (typeof cases)[number] => [
      `BELLWETHER_${of}_ALLOW`,
      'https://a.example/',
      `BELLWETHER_${of}_ALLOW must be hosts with commas between, like updates.example.com,*.internal.example:8443, not "https://a.example/"`,
    ]),
    [
      'BELLWETHER_GITHUB_WEBHOOK_SECRET',
      'fifteen letters',
      'BELLWETHER_GITHUB_WEBHOOK_SECRET must have at least 16 characters',
    ],
    [
      'BELLWETHER_GITHUB_LABEL',
      'x'.repeat(101),
      `BELLWETHER_GITHUB_LABEL must have at most 100 characters, not "${'x'.repeat(101)}"`,
    ],
    ...[
      ...['acme', 'acme/', '/agent', 'acme/agent/', 'acme/agent/web', 'https://github.com/acme/agent', 'acme/*'],
      ...['acme/agent,', ',acme/agent', 'acme/agent,,acme/web', 'acme/agent acme/web', ' acme/agent', '-acme/agent'],
      ...['acme/a b', 'acmé/agent', `${'a'.repeat(40)}/agent`, `acme/${'a'.repeat(101)}`, 'acme/agent\n'],
    ].map((value): (typeof cases)[number] => [
      'BELLWETHER_GITHUB_REPOSITORIES',
      value,
      'BELLWETHER_GITHUB_REPOSITORIES must be repositories with commas between, like acme/agent,acme/web, not ' +
        JSON.stringify(value),
    ]),
    [
      'BELLWETHER_CONNECTIONS_PER_ADDRESS',
      '50001',
      'BELLWETHER_CONNECTIONS_PER_ADDRESS must be at most 50000, not "50001"',
    ],
    ['BELLWETHER_POLL_MAX_AGE_S', '-1', 'BELLWETHER_POLL_MAX_AGE_S must be at least 0, not "-1"'],
    ['BELLWETHER_POLL_MAX_AGE_S', '3601', 'BELLWETHER_POLL_MAX_AGE_S must be at most 3600, not "3601"'],
    ['BELLWETHER_POLL_MAX_AGE_S', '10s', 'BELLWETHER_POLL_MAX_AGE_S must be a whole number, not "10s"'],
    ['BELLWETHER_ADMIN_TOKEN', SECRET.slice(1), 'BELLWETHER_ADMIN_TOKEN must have at least 32 characters'],
    [
      'BELLWETHER_ADMIN_TOKEN',
      ' '.repeat(40),
      'BELLWETHER_ADMIN_TOKEN must be made of ASCII letters, digits and signs, without white space',
    ],
  ]
  for (const [name, value, line] of cases) {
    t.same(linesOf({ [name]: value }), [line], `${name}=${value}`)
  }
  t.end()
})

await t.test('an unknown name is a mistake that lists the names there are, however near it comes', (t) => {
  const unknown = [
    'BELLWETHER_PORT',
    'BELLWETHER_POLL_PORTS',
    'BELLWETHER_',
    'BELLWETHER_poll_port',
    'BELLWETHER_ROLE ',
  ]
  for (const name of unknown) {
    const [line = '', ...more] = linesOf({ [name]: '1' })
    t.ok(line.startsWith(`${name} is not a setting of Bellwether; the settings are BELLWETHER_ROLE, `), line)
    t.match(line, /BELLWETHER_LOG_LEVEL$/)
    t.same(more, [])
  }
  t.match(linesOf({ BELLWETHER_PROT: '' }), [/^BELLWETHER_PROT is not a setting/], 'even with nothing in it')
  t.match(linesOf({ BELLWETHER_constructor: '1' }), [/^BELLWETHER_constructor is not a setting/])
  t.end()
})

await t.test('all mistakes are told at once, one line each', (t) => {
  const lines = linesOf({
    BELLWETHER_ROLE: 'x',
    BELLWETHER_POLL_PORT: 'x',
    BELLWETHER_CONTROL_PORT: '70000',
    BELLWETHER_ADMIN_TOKEN: 'short',
    BELLWETHER_POLL_MAX_AGE_S: '-5',
    BELLWETHER_LOG_LEVEL: 'loud',
    BELLWETHER_TYPO: 'x',
    BELLWETHER_OTHER: 'y',
  })
  t.equal(lines.length, 8)
  const names = ['ADMIN_TOKEN', 'CONTROL_PORT', 'LOG_LEVEL', 'OTHER', 'POLL_MAX_AGE_S', 'POLL_PORT', 'ROLE', 'TYPO']
  t.same(
    lines.map((line) => line.split(' ')[0] ?? '').toSorted(),
    names.map((name) => `BELLWETHER_${name}`),
  )
  for (const line of lines) t.notMatch(line, /[\r\n]/)
  t.end()
})

await t.test('a ConfigError says the same lines as its message', (t) => {
  t.throws(() => readConfig({ BELLWETHER_ROLE: 'x', BELLWETHER_X: '1' }), { name: 'ConfigError', message: /\n/ })
  t.equal(new ConfigError(['a', 'b']).message, 'a\nb')
  t.end()
})

await t.test('an empty variable is one that is not set', (t) => {
  const names = ['ROLE', 'POLL_HOST', 'POLL_PORT', 'CONTROL_HOST', 'CONTROL_PORT', 'DATA_DIR', 'ADMIN_TOKEN']
  const all = [...names, 'POLL_MAX_AGE_S', 'LOG_LEVEL'].map((name) => [`BELLWETHER_${name}`, ''])
  t.same(readConfig(Object.fromEntries(all)), defaults)
  t.same(readConfig({ BELLWETHER_POLL_PORT: undefined, BELLWETHER_NOT_A_NAME: undefined }), defaults)
  t.end()
})

await t.test('a secret is in no line, whatever else is wrong', (t) => {
  for (const secret of ['hunter2', 'x'.repeat(31), ' '.repeat(4), '"\n']) {
    const secrets = { BELLWETHER_ADMIN_TOKEN: secret, BELLWETHER_GITHUB_WEBHOOK_SECRET: secret.slice(0, 15) }
    const lines = linesOf({ ...secrets, BELLWETHER_ROLE: 'x', BELLWETHER_TOKEN: secret })
    for (const line of lines) t.notOk(line.includes(secret.trim() === '' ? JSON.stringify(secret) : secret), line)
  }
  const unknown = linesOf({ BELLWETHER_ADMIN_TOKENS: SECRET, BELLWETHER_REDIS_PASSWORD: SECRET })
  t.notMatch(unknown.join('\n'), SECRET, 'the value of an unknown name may be one')
  t.end()
})

await t.test('a configuration is frozen, its parts too', (t) => {
  const config = readConfig({ BELLWETHER_ADMIN_TOKEN: SECRET })
  const listed = readConfig({ BELLWETHER_GITHUB_REPOSITORIES: 'acme/agent' }).github.repositories ?? []
  for (const part of [config, config.poll, config.control, config.github, config.gatesAllow, listed]) {
    t.ok(Object.isFrozen(part))
    t.throws(() => Object.assign(part, { port: 1, host: 'x', role: 'x' }), TypeError)
  }
  t.same(config, { ...defaults, adminToken: SECRET })
  t.end()
})

await t.test('the environment of the process is read where none is given, and left as it is', (t) => {
  const before = { ...process.env }
  t.teardown(() => {
    delete process.env['BELLWETHER_POLL_PORT']
    delete process.env['BELLWETHER_NONSENSE']
  })
  process.env['BELLWETHER_POLL_PORT'] = '1234'
  t.equal(readConfig().poll.port, 1234)
  t.equal(process.env['BELLWETHER_POLL_PORT'], '1234')
  process.env['BELLWETHER_NONSENSE'] = '1'
  t.throws(() => readConfig(), ConfigError)
  delete process.env['BELLWETHER_NONSENSE']
  delete process.env['BELLWETHER_POLL_PORT']
  t.same({ ...process.env }, before)
  t.end()
})

await t.test('numbers are read as an operator writes them', (t) => {
  t.equal(readConfig({ BELLWETHER_POLL_PORT: '080' }).poll.port, 80)
  for (const name of ['BELLWETHER_POLL_PORT', 'BELLWETHER_CONTROL_PORT', 'BELLWETHER_POLL_MAX_AGE_S']) {
    for (const value of ['Infinity', '-Infinity', '\t', '0b11', '1e-400']) {
      t.same(linesOf({ [name]: value }), [`${name} must be a whole number, not ${JSON.stringify(value)}`])
    }
  }
  for (const value of ['0x50', '1e3', ' 80', '80 ', '8_080', '+80', '80.0']) {
    t.same(linesOf({ BELLWETHER_POLL_PORT: value }), [
      `BELLWETHER_POLL_PORT must be a whole number, not ${JSON.stringify(value)}`,
    ])
  }
  t.end()
})

await t.test('TLS of the poll plane has its files and, if given, the secret of its tickets', (t) => {
  const env = { BELLWETHER_POLL_TLS_CERT: 'c.pem', BELLWETHER_POLL_TLS_KEY: 'k.pem' }
  t.same(readConfig(env).pollTls, { cert: 'c.pem', key: 'k.pem', ticketSecret: null })
  const ticketSecret = readConfig({ ...env, BELLWETHER_POLL_TLS_TICKET_SECRET: SECRET }).pollTls?.ticketSecret
  t.equal(ticketSecret, SECRET)
  t.end()
})
