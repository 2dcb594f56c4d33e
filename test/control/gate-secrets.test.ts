// The files of gates' secrets: what they may say, what is wrong with them in words, and which hosts a secret is for.
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { GateSecrets } from '../../src/control/gate-secrets.ts'
import { gateSecrets, secretsFolder } from '../fixtures/gate-secret-files.ts'

const TOKEN = 'eyJhbGciOi.x-y_z~+/=='
const URL_OF_A = 'https://a.example/prometheus'

async function problemsOf(folder: string): Promise<readonly string[]> {
  const read = await GateSecrets.read(folder)
  return read.outcome === 'unreadable' ? read.problems : []
}

t.test('a file has its hosts and a token, or a user and a password; the end of a line is no part of it', async (t) => {
  const basic = `Basic ${Buffer.from('ann:pa:ss wörd').toString('base64')}`
  const cases: readonly (readonly [text: string, header: string])[] = [
    [`hosts: a.example\nbearer: ${TOKEN}\n`, `Bearer ${TOKEN}`],
    [`hosts: a.example\nbearer: ${TOKEN}`, `Bearer ${TOKEN}`],
    [`bearer:${TOKEN}\r\n\r\nhosts:b.example:9090 ,a.example\r\n\n`, `Bearer ${TOKEN}`],
    ['hosts: *.example\nbasic: ann:pa:ss wörd \n', basic],
  ]
  for (const [text, header] of cases) {
    const secrets = await gateSecrets(t, { mimir: text })
    t.same(secrets.headers('mimir', URL_OF_A), { Authorization: header }, JSON.stringify(text))
  }
})

t.test('what is wrong with a file is said by its name, without anything of it', async (t) => {
  const hidden = 'S3cretText'
  const hosts = 'hosts: a.example'
  const cases: Readonly<Record<string, readonly [text: string, problem: RegExp]>> = {
    empty: ['', /has no line "hosts"/],
    bare: [`${hidden}\n`, /line 1 must begin with "hosts:", "bearer:" or "basic:"/],
    hostless: [`bearer: ${hidden}`, /has no line "hosts"/],
    nohosts: [`hosts:\nbearer: ${hidden}`, /must have hosts with commas between/],
    urls: [`hosts: https://a.example\nbearer: ${hidden}`, /must have hosts with commas between/],
    secretless: [`${hosts}\n`, /must have either a line "bearer" or a line "basic"/],
    both: [`${hosts}\nbearer: ${hidden}\nbasic: a:${hidden}`, /must have either a line "bearer" or/],
    twice: [`${hosts}\nbearer: ${hidden}\nbearer: ${hidden}`, /has the line "bearer" twice/],
    unknown: [`${hosts}\ntoken: ${hidden}`, /line 2 must begin with/],
    inherited: [`${hosts}\nconstructor: ${hidden}`, /line 2 must begin with/],
    blank: [`${hosts}\nbearer: ${hidden} ${hidden}`, /must have a token of ASCII/],
    wide: [`${hosts}\nbearer: ${hidden}é`, /must have a token of ASCII/],
    nothing: [`${hosts}\nbearer:`, /must have a token of ASCII/],
    userless: [`${hosts}\nbasic: ${hidden}`, /must have USER:PASSWORD/],
    passwordless: [`${hosts}\nbasic: ${hidden}:`, /must have USER:PASSWORD/],
    controls: [`${hosts}\nbasic: a:${hidden}\u0000b`, /must have USER:PASSWORD/],
    lines: [`${hosts}\nbasic: a:${hidden}\n${hidden}`, /line 3 must begin with/],
    large: [`${hosts}\nbearer: ${hidden.repeat(2_000)}`, /has more than 16384 bytes/],
    Upper: [`${hosts}\nbearer: ${hidden}`, /"Upper" is no name of a secret/],
  }
  const files = Object.fromEntries(Object.entries(cases).map(([name, [text]]) => [name, text]))
  const problems = await problemsOf(await secretsFolder(t, { ...files, good: `${hosts}\nbearer: ${hidden}` }))
  t.equal(problems.length, Object.keys(cases).length, 'all at once')
  for (const [name, [, expected]] of Object.entries(cases)) {
    const problem = problems.find((line) => line.startsWith(`BELLWETHER_GATE_SECRETS_DIR: "${name}" `))
    t.match(problem, expected, name)
  }
  t.notOk(problems.join('\n').includes(hidden))
})

t.test('a folder or a file that cannot be read is named', async (t) => {
  t.strictSame(await problemsOf('/nowhere/at/all'), ['BELLWETHER_GATE_SECRETS_DIR cannot be read: ENOENT'])
  const folder = await secretsFolder(t, { mimir: `hosts: a.example\nbearer: ${TOKEN}` })
  t.match(await problemsOf(join(folder, 'mimir')), ['BELLWETHER_GATE_SECRETS_DIR cannot be read: ENOTDIR'])
  await mkdir(join(folder, 'folder'))
  await symlink(join(folder, 'gone'), join(folder, 'dangling'))
  t.match(await problemsOf(folder), [/"dangling" cannot be read: ENOENT$/, /"folder" is not a file$/])
})

t.test(
  'a file that this user may not read is named',
  { skip: process.getuid?.() === 0 && 'root reads everything' },
  async (t) => {
    const folder = await secretsFolder(t, { mimir: `hosts: a.example\nbearer: ${TOKEN}` })
    await chmod(join(folder, 'mimir'), 0)
    t.match(await problemsOf(folder), [/"mimir" cannot be read: EACCES$/])
  },
)

t.test("a volume of Kubernetes is read: links, and names with a dot that are the volume's own", async (t) => {
  const folder = await secretsFolder(t, {})
  await mkdir(join(folder, '..2026_01_01'))
  await writeFile(join(folder, '..2026_01_01', 'mimir'), `hosts: a.example\nbearer: ${TOKEN}\n`)
  await symlink('..2026_01_01', join(folder, '..data'))
  await symlink(join('..data', 'mimir'), join(folder, 'mimir'))
  const read = await GateSecrets.read(folder)
  t.equal(read.outcome === 'read' && read.secrets.refusal('mimir', URL_OF_A), null)
})

t.test('a secret is for the hosts and ports of its file, over https or to this machine alone', async (t) => {
  const hosts = 'a.example, *.b.example:8443, 10.0.0.7, 127.0.0.1:9090, [::1]:9090, 127.0.0.2'
  const secrets = await gateSecrets(t, { mimir: `hosts: ${hosts}\nbearer: ${TOKEN}` })
  const sent = [
    'https://a.example',
    'https://a.example:443/x',
    'https://A.example/',
    'https://x.b.example:8443',
    'https://10.0.0.7',
    'http://127.0.0.1:9090',
    'https://127.0.0.1:9090',
    'http://[::1]:9090',
    'http://127.0.0.2',
  ]
  for (const url of sent) t.equal(secrets.refusal('mimir', url), null, url)
  const others = [
    'https://a.example:9090',
    'https://a.example.evil.example',
    'https://evil.a.example',
    'https://b.example:8443',
    'https://x.b.example',
    'https://xb.example:8443',
    'https://10.0.0.8',
    'https://a.example.',
    'http://127.0.0.1',
    'http://127.0.0.3',
    'https://localhost:9090',
    'http://127.0.0.2:8080',
    'https://[::2]:9090',
  ]
  for (const url of others) {
    t.match(secrets.refusal('mimir', url), /^is not for .*; the line "hosts" of its file/, url)
    t.throws(() => secrets.headers('mimir', url), url)
  }
  for (const url of ['http://a.example', 'http://10.0.0.7', 'http://localhost:9090', 'http://x.b.example:8443']) {
    t.match(secrets.refusal('mimir', url), /^is not sent over http:/, url)
    t.throws(() => secrets.headers('mimir', url), url)
  }
  for (const name of ['other', 'constructor', '__proto__', '']) {
    t.match(secrets.refusal(name, URL_OF_A), /^is not known/)
    t.throws(() => secrets.headers(name, URL_OF_A))
  }
})

t.test('every spelling of a secret is taken out of a text', async (t) => {
  const password = 'p"a\\s s/w+rd'
  const secrets = await gateSecrets(t, {
    token: `hosts: a.example\nbearer: ${TOKEN}`,
    login: `hosts: a.example\nbasic: ann:${password}`,
  })
  t.equal(secrets.redact('token', `invalid: Bearer ${TOKEN}, ${TOKEN}`), 'invalid: Bearer [secret], [secret]')
  t.equal(secrets.redact('token', encodeURIComponent(TOKEN)), '[secret]')
  const spellings = [
    password,
    JSON.stringify(password).slice(1, -1),
    encodeURIComponent(password),
    `ann:${password}`,
    Buffer.from(`ann:${password}`).toString('base64'),
  ]
  for (const spelling of spellings) t.equal(secrets.redact('login', `a ${spelling} b`), 'a [secret] b', spelling)
  t.equal(secrets.redact('other', TOKEN), TOKEN)
  t.notMatch(`${JSON.stringify(secrets)} ${String(secrets)}`, TOKEN)
})
