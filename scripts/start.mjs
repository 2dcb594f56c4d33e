// `npm start`: from a fresh clone to a running server. Installs and builds where needed, then becomes the server: it is
// loaded into this very process, so that the pid, the signals and the exit code are the server's own.
import './node-version.mjs'

const { ensureInstalled } = await import('./install.mjs')
await ensureInstalled()
const { ensureBuilt } = await import('./build.mjs')
await ensureBuilt()

// Whoever asks which program runs here (node:cluster does, for its workers) must find the server, not this script.
const server = new URL('../dist/main.js', import.meta.url)
process.argv[1] = (await import('node:url')).fileURLToPath(server)
await import(server.href)
