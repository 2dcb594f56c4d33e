// Test processes: each runs many files, one at a time, and is started when a file finds none that is free.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { root } from '../child-process.mjs'
import { createTapReport } from './tap-report.mjs'

const WORKER = fileURLToPath(new URL('worker.mjs', import.meta.url))
/** Tests of crashes make noise; what explains a process that died stands near the end. */
const STDERR_LENGTH_MAX = 6_000
/** A process that has run all its files ends by itself, unless a test has left something open. */
const END_WAIT_MS = 10_000

export class TestProcesses {
  #env
  #print
  #free = []
  #all = new Set()

  /** `print` takes the lines that a person reads. */
  constructor({ env, print }) {
    this.#env = env
    this.#print = print
  }

  /** Runs one file and gives `{ path, counts: { pass, fail, skip, todo }, ms }`; a process that dies is one failure of its file. */
  async run(path, tmpDir) {
    const process = this.#free.pop() ?? this.#start()
    const result = await process.run(path, tmpDir)
    if (process.isAlive()) this.#free.push(process)
    return result
  }

  /** Lets every process end; gives a line for each that did not, or that failed after its last file. */
  async end() {
    const ends = await Promise.all([...this.#all].map((process) => process.end()))
    return ends.filter((fault) => fault !== null)
  }

  #start() {
    const process = startProcess(this.#env, this.#print)
    this.#all.add(process)
    return process
  }
}

function startProcess(env, print) {
  const child = spawn(process.execPath, ['--enable-source-maps', '--import', 'tsx', WORKER], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)

  let errors = ''
  let current = null // the file under way
  let hasFailed = false
  const report = createTapReport(print)
  const closed = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })))
  const ready = new Promise((resolve) => {
    child.on('message', (message) => {
      if (message.event === 'ready') resolve()
      if (message.event === 'done') current?.resolve(message)
    })
  })
  child.stdout.setEncoding('utf8').on('data', (text) => report.write(text))
  child.stderr.setEncoding('utf8').on('data', (text) => (errors = (errors + text).slice(-STDERR_LENGTH_MAX)))
  void closed.then(({ code, signal }) => {
    process.off('exit', kill)
    report.end()
    if (current === null) return
    print(`  FAILED  ${current.path}  its process ended with ${signal ?? `exit code ${code}`}`)
    print(errors.trimEnd())
    const counts = { pass: 0, fail: 1, skip: 0, todo: 0 }
    current.resolve({ path: current.path, counts, ms: performance.now() - current.startedMs })
  })

  return {
    isAlive: () => child.exitCode === null && child.signalCode === null && child.connected,
    async run(path, tmpDir) {
      errors = ''
      const done = new Promise((resolve) => (current = { path, resolve, startedMs: performance.now() }))
      await Promise.race([ready, closed])
      if (child.connected) child.send({ path, tmpDir })
      const result = await done
      current = null
      hasFailed ||= result.counts.fail > 0
      if (result.counts.fail > 0 && errors !== '') print(`${path} wrote to stderr:\n${errors.trimEnd()}`)
      return result
    },
    async end() {
      if (child.connected) child.send({})
      const timer = setTimeout(kill, END_WAIT_MS)
      const { code, signal } = await closed
      clearTimeout(timer)
      if (signal === 'SIGKILL')
        return `a test process did not end after its last file: something was left open\n${errors}`
      if (code !== 0 && !hasFailed) return `a test process ended with ${signal ?? `exit code ${code}`}\n${errors}`
      return null
    },
  }
}
