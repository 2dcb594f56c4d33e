// Test processes: each runs many files, one at a time, and is started when a file finds none that is free.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'
import { root } from '../child-process.mjs'
import { createTapReport } from './tap-report.mjs'

const WORKER = fileURLToPath(new URL('worker.mjs', import.meta.url))
/** Tests of crashes make noise; what explains a process that died stands near the end. */
const STDERR_LENGTH_MAX = 6_000
/** A process that has run all its files ends by itself, unless a test has left something open. */
const END_WAIT_MS = 10_000
/** tap ends a file at its limit; a process whose event loop stands still is killed this much later. */
const KILL_GRACE_MS = 30_000
/** What a dead process wrote has arrived by then; a child of it may hold its pipes open for much longer. */
const PIPE_WAIT_MS = 1_000

export class TestProcesses {
  #env
  #print
  #free = []
  #all = new Set()

  /** `print` takes the lines that a person reads. */
  constructor({ env, print }) {
    this.#env = env
    this.#print = print
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.once(signal, () => {
        this.kill()
        process.exit(128 + constants.signals[signal])
      })
    }
    process.once('exit', () => this.kill())
  }

  /**
   * Runs one file and gives `{ path, counts: { pass, fail, skip, todo }, ran, ms }`. A file whose process dies has failed; where
   * other files ran there before, it is tried alone, to say whose fault that is.
   */
  async run(file) {
    const isUsed = (one) => one.isAlive()
    const free = this.#free.findLast(isUsed)
    if (free !== undefined) this.#free.splice(this.#free.indexOf(free), 1)
    const worker = free ?? this.#start()
    const before = [...worker.files]
    const result = await worker.run(file)
    if (worker.isAlive()) this.#free.push(worker)
    if (!result.died || before.length === 0) return result
    const alone = await this.#start().run(file)
    if (alone.counts.fail > 0) return alone
    this.#print(`  FAILED  one of these has ended the process after its own end: ${before.join(', ')}`)
    return { ...alone, counts: { ...alone.counts, fail: 1 } }
  }

  /** Lets every process end; gives a line for each that did not, or that failed after its last file. */
  async end() {
    const ends = await Promise.all([...this.#all].map((worker) => worker.end()))
    return ends.filter((fault) => fault !== null)
  }

  kill() {
    for (const worker of this.#all) worker.kill()
  }

  #start() {
    const worker = new TestProcess(this.#env, this.#print)
    this.#all.add(worker)
    return worker
  }
}

class TestProcess {
  /** Those that were begun here. */
  files = []
  #print
  #child
  /** @type {Promise<string>} how the process ended */
  #closed
  #ready
  #errors = ''
  #current = null // the file under way
  #hasFailed = false
  #hasBeenNamed = false // whether its death is counted already

  constructor(env, print) {
    this.#print = print
    const child = spawn(process.execPath, ['--enable-source-maps', '--import', 'tsx', WORKER], {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.#child = child
    const report = createTapReport(print)
    child.stdout.setEncoding('utf8').on('data', (text) => report.write(text))
    child.stderr.setEncoding('utf8').on('data', (text) => {
      this.#errors = (this.#errors + text).slice(-STDERR_LENGTH_MAX)
    })
    this.#ready = new Promise((resolve) => {
      child.on('message', (message) => {
        if (message.event === 'ready') resolve()
        if (message.event === 'done') this.#current?.resolve(message)
      })
    })
    child.once('exit', () => {
      setTimeout(() => {
        child.stdout.destroy()
        child.stderr.destroy()
      }, PIPE_WAIT_MS).unref()
    })
    this.#closed = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        report.end()
        const how = signal ?? `exit code ${code}`
        this.#nameDeath(how)
        resolve(how)
      })
    })
  }

  isAlive() {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.connected
  }

  async run({ path, tmpDir, timeoutMs, title }) {
    this.#errors = ''
    this.files.push(path)
    const done = new Promise((resolve) => {
      this.#current = { path, resolve, startedMs: performance.now(), why: null }
    })
    await Promise.race([this.#ready, this.#closed])
    if (this.#child.connected) this.#child.send({ path, tmpDir, timeoutMs, title })
    const timer = setTimeout(() => {
      this.#current.why = `nothing came of it in ${(timeoutMs + KILL_GRACE_MS) / 1_000} s`
      this.kill()
    }, timeoutMs + KILL_GRACE_MS)
    const result = await done
    clearTimeout(timer)
    this.#current = null
    const { counts, faults = [] } = result
    this.#hasFailed ||= counts.fail > 0
    for (const fault of faults) this.#print(`  FAILED  ${path}  ${fault}`)
    if (counts.fail > 0 && this.#errors !== '') this.#print(`${path} wrote to stderr:\n${this.#errors.trimEnd()}`)
    return result
  }

  async end() {
    if (this.#child.connected) this.#child.send({})
    let isOpen = false
    const timer = setTimeout(() => {
      isOpen = true
      this.kill()
    }, END_WAIT_MS)
    const how = await this.#closed
    clearTimeout(timer)
    if (this.#hasBeenNamed) return null
    const which = `its files were ${this.files.join(', ')}\n${this.#errors}`.trimEnd()
    if (isOpen) return `a test process did not end after its last file: something was left open; ${which}`
    if (how === 'exit code 0' || (how === 'exit code 1' && this.#hasFailed)) return null
    return `a test process ended with ${how} after its last file; ${which}`
  }

  kill() {
    this.#child.kill('SIGKILL')
  }

  /** A process that ends in the middle of a file is that file's failure. */
  #nameDeath(/** @type {string} */ how) {
    if (this.#current === null) return
    this.#hasBeenNamed = true
    /** @type {{ path: string, resolve: (result: object) => void, startedMs: number, why: string | null }} */
    const { path, resolve, startedMs, why } = this.#current
    this.#print(`  FAILED  ${path}  ${why ?? `its process ended with ${how}`}`)
    const counts = { pass: 0, fail: 1, skip: 0, todo: 0 }
    // One that was killed for its time is not tried again.
    resolve({ path, counts, ran: 1, died: why === null, ms: performance.now() - startedMs })
  }
}
