// What whoever starts the server sees first: where everything is, and commands that work as they stand.
import { spawnSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { BENCH_TOKEN } from '../bench/bellwether-process.ts'
import { dataFolder, run, runToEnd } from './fixtures/fault-process.ts'

/** Every test starts a process; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 120_000

t.setTimeout(FILE_TIMEOUT_MS)

/** The commands of a banner: what is indented after an empty line, backslashes joined. */
function commandsOf(banner: string): string[] {
  return banner
    .replaceAll('\\\n', ' ')
    .split('\n')
    .flatMap((line) => (line.startsWith('  curl ') ? [line.trim()] : []))
}

/** Runs a command as a shell does that somebody has pasted it into; a proxy that is set here must not be asked. */
function paste(command: string, env: Record<string, string>): { status: number | null; stdout: string } {
  const { PATH = '' } = process.env
  const { status, stdout } = spawnSync('sh', ['-c', command], { env: { PATH, ...env }, encoding: 'utf8' })
  return { status, stdout }
}

const hasCurl = spawnSync('curl', ['--version']).status === 0

for (const [what, name, env] of [
  ['with a token of its own', 'data', { BELLWETHER_ADMIN_TOKEN: '' }],
  ['in a folder with an awkward name', `it's "my" $HOME data`, { BELLWETHER_ADMIN_TOKEN: '' }],
  ['with a given token', 'data', { BELLWETHER_ADMIN_TOKEN: BENCH_TOKEN }],
] as const) {
  await t.test(`${what} the server prints commands that can be pasted`, async (t) => {
    if (!hasCurl) {
      t.pass('the commands', { skip: 'NOT TESTED: there is no curl here' })
      return
    }
    const dataDir = join(await dataFolder(t), name)
    await mkdir(dataDir)
    const server = await run(t, { dataDir, env })
    const [create = '', poll = '', ...more] = commandsOf(server.output().stdout)
    t.same(more, [])
    t.match(paste(create, env), { status: 0, stdout: /"name":"stable\/cloud"/ })
    t.same(paste(poll, env), { status: 0, stdout: '15.1.4' })
    t.equal(await server.end(), 0)
  })
}

await t.test('stdout has the banner alone, and the log has where it listens', async (t) => {
  const server = await run(t, { dataDir: await dataFolder(t) })
  await server.end()
  const { stdout, stderr } = server.output()
  t.match(stdout, /^Bellwether \d+\.\d+\.\d+\n {2}agents poll {6}http:\/\/127\.0\.0\.1:\d+\n/)
  t.notMatch(stdout, '"level"')
  const lines = stderr.split('\n').filter((line) => line !== '')
  t.match(
    lines.map((line): unknown => JSON.parse(line)).find((line) => isListening(line)),
    { poll: server.pollUrl, control: server.controlUrl, name: 'bellwether' },
  )
  t.notMatch(stdout + stderr, BENCH_TOKEN, 'a given token is shown nowhere')
})

await t.test('a mistake is one line without a stack, and the exit code is 1', async (t) => {
  const ended = await runToEnd(t, { dataDir: await dataFolder(t), env: { BELLWETHER_LOG_LEVEL: 'loud' } })
  t.match(ended, { code: 1, stdout: '', lines: [/^bellwether: BELLWETHER_LOG_LEVEL must be one of .*, not "loud"$/] })
  t.equal(ended.lines.length, 1)
})

function isListening(line: unknown): boolean {
  return typeof line === 'object' && line !== null && 'msg' in line && line.msg === 'listening'
}
