// `npm run dev`: the server from its source, started again whenever a file of it changes, with a log for people.
import './node-version.mjs'
import { spawn } from 'node:child_process'
import { root } from './child-process.mjs'

const { ensureInstalled } = await import('./install.mjs')
await ensureInstalled()
const { default: pretty } = await import('pino-pretty')

const server = spawn(
  process.execPath,
  ['--watch-path=src', '--watch-preserve-output', '--enable-source-maps', '--import', 'tsx', 'src/main.ts'],
  // No load balancer looks at it, and every change starts it again.
  { cwd: root, env: { BELLWETHER_DRAIN_S: '0', ...process.env }, stdio: ['ignore', 'inherit', 'pipe'] },
)
// What is no log line, such as an error of the compiler, is shown as it is.
server.stderr.pipe(pretty({ destination: 2, ignore: 'pid,hostname,name', translateTime: 'HH:MM:ss.l' }))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => server.kill(signal))
server.once('exit', (code) => process.exit(code ?? 0))
