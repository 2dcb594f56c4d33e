// The program of a test process: runs the test files that it is sent, one after the other, each as a subtest of the root.
// Modules are loaded and schemas compiled once for all of them. TAP goes to stdout, the counts of each file to the parent.
import { register } from 'node:module'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import root from 'tap'
import { watchLeftovers } from './leftovers.mjs'

register('./file-hooks.mjs', import.meta.url)
root.pipe(process.stdout)
root.setTimeout(0)
fc.configureGlobal({ seed: Number(process.env['TEST_SEED']) })

process.on('message', (message) => {
  if (message.path === undefined) {
    process.off('disconnect', abandoned)
    process.disconnect()
  } else void runFile(message)
})
process.on('disconnect', abandoned)
// tap unreferences the channel, which is right under its own runner; here the next file comes by it.
process.channel.ref()
process.send({ event: 'ready' })

/** The runner has been ended: nobody waits for what is under way. */
function abandoned() {
  process.exit(1)
}

async function runFile({ path, tmpDir, timeoutMs, title }) {
  // Only here, and not for the whole process: the TypeScript loader keeps its cache in the system's own folder.
  process.env['TMPDIR'] = tmpDir
  const before = root.counts.toJSON()
  const putBack = watchLeftovers()
  const startedMs = performance.now()
  let ran = 0
  let registered = 0
  await root.test(path, { timeout: timeoutMs }, async (file) => {
    const test = file.test.bind(file)
    file.test = (/** @type {string} */ name, ...rest) => {
      registered += 1
      if (title !== null && !name.includes(title)) return Promise.resolve()
      ran += 1
      return test(name, ...rest)
    }
    globalThis[Symbol.for('bellwether.test-file')] = file
    await import(pathToFileURL(path).href)
  })
  const left = putBack()
  const faults = []
  if (left !== '') faults.push(`it has changed ${left} and not put it back`)
  const since = (kind) => root.counts[kind] - (before[kind] ?? 0)
  if (registered === 0 && since('fail') === 0) faults.push('it has no test')
  // tap counts a file that was left out as a whole as one that has passed.
  const counts = {
    pass: ran === 0 ? 0 : since('pass'),
    fail: since('fail') + faults.length,
    skip: since('skip'),
    todo: since('todo'),
  }
  process.send({ event: 'done', path, counts, ran, faults, ms: performance.now() - startedMs })
}
