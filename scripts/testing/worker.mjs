// The program of a test process: runs the test files that it is sent, one after the other, each as a subtest of the root.
// Modules are loaded and schemas compiled once for all of them. TAP goes to stdout, the counts of each file to the parent.
import { register } from 'node:module'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import root from 'tap'

/** Some files kill and restart processes for minutes. */
const FILE_TIMEOUT_MS = 600_000

register('./file-hooks.mjs', import.meta.url)
root.pipe(process.stdout)
root.setTimeout(0)
fc.configureGlobal({ seed: Number(process.env['TEST_SEED']) })

process.on('message', (message) => {
  if (message.path === undefined) process.disconnect()
  else void runFile(message)
})
// tap unreferences the channel, which is right under its own runner; here the next file comes by it.
process.channel.ref()
process.send({ event: 'ready' })

async function runFile({ path, tmpDir }) {
  // Only here, and not for the whole process: the TypeScript loader keeps its cache in the system's own folder.
  process.env['TMPDIR'] = tmpDir
  const before = root.counts.toJSON()
  const startedMs = performance.now()
  await root.test(path, { timeout: FILE_TIMEOUT_MS }, async (file) => {
    globalThis[Symbol.for('bellwether.test-file')] = file
    await import(pathToFileURL(path).href)
  })
  const since = (kind) => root.counts[kind] - (before[kind] ?? 0)
  const counts = { pass: since('pass'), fail: since('fail'), skip: since('skip'), todo: since('todo') }
  process.send({ event: 'done', path, counts, ms: performance.now() - startedMs })
}
