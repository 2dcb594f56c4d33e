// The primary's side of the poll workers: processes that share one port, each fed with every snapshot in order, and
// replaced when it dies or does not keep up. Which of them takes a connection, the kernel decides.
import cluster, { type Worker } from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { PollCounts, type PollTotals } from '../serve/poll-counts.ts'
import type { Clock } from '../lib/clock.ts'
import type { SnapshotHolder } from '../serve/holder.ts'
import type { Lifecycle } from '../serve/lifecycle.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import type { Snapshot } from '../serve/snapshot.ts'
import type { ToPrimary } from './messages.ts'
import { WorkerFeed } from './worker-feed.ts'

/** A worker that does not serve a change by then serves old answers: it is killed, and only then is the change through. */
const SERVE_WAIT_MAX_MS = 3_000
/** One that starts loads everything first. */
const START_WAIT_MAX_MS = 60_000
/** What closes has this long; a little more than the plane itself takes at most. */
const CLOSE_WAIT_MAX_MS = 7_000
/** Pause before one that died is replaced: none at first, ever longer while none lives for a while. */
const REPLACE_FIRST_MS = 100
const REPLACE_LONGEST_MS = 5_000
/** A worker that has lived this long did not die of its start. */
const LIVED_WELL_MS = 30_000

export interface WorkerPoolOptions {
  readonly count: number
  /** The worker's program. */
  readonly entry: string
  /** Tells how connections over TLS are taken up again, the same for all workers; null to make one up. */
  readonly ticketSecret: string | null
  /** Variables of the environment that workers do not get, each undefined; cluster gives them all others. */
  readonly withheld: Readonly<Record<string, undefined>>
  readonly clock: Clock
  readonly log: ReplicaLog
  /** What it has that the workers serve, from the first to the last of their lives. */
  readonly holder: SnapshotHolder
  readonly lifecycle: Lifecycle
}

export class WorkerPool {
  readonly #options: WorkerPoolOptions
  readonly #ticketSecret: string
  readonly #feeds = new Map<number, WorkerFeed>()
  /** What workers have counted that are gone. */
  readonly #retired = new PollCounts()
  #replaceMs = 0
  #isStopping = false

  constructor(options: WorkerPoolOptions) {
    this.#options = options
    this.#ticketSecret = options.ticketSecret ?? randomBytes(32).toString('hex')
    // Now, and not when the workers listen: a change that came meanwhile would be missed by those that were fed before it.
    options.holder.spreadBy((next) => this.#spread(next))
    options.lifecycle.onDrain(() => {
      for (const feed of this.#feeds.values()) feed.send({ kind: 'drain' })
    })
  }

  /** Workers that answer polls now. */
  get listening(): number {
    return [...this.#feeds.values()].filter(({ address }) => address !== null).length
  }

  /** What all workers have counted, those that are gone included. */
  counts(): PollTotals {
    const total = new PollCounts()
    total.add(this.#retired)
    for (const { counts } of this.#feeds.values()) total.add(counts)
    return total
  }

  /** Starts the workers; resolves with where they listen, and rejects with one line where one of them cannot. */
  async start(): Promise<string> {
    // Handed over by the primary, every connection would cost more than twice as much.
    cluster.schedulingPolicy = cluster.SCHED_NONE
    cluster.setupPrimary({ exec: this.#options.entry, args: [], silent: false })
    try {
      const addresses = await Promise.all(Array.from({ length: this.#options.count }, () => this.#fork()))
      return addresses[0] ?? ''
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** Has every worker serve `snapshot`; resolves once each that is alive does. */
  async #spread(snapshot: Snapshot): Promise<void> {
    // One that has not started yet is sent what is served then; one that is still loading is waited for by nobody.
    const feeds = [...this.#feeds.values()].filter(({ isStarted }) => isStarted)
    const serving = feeds.map((feed) => {
      const served = feed.serve(snapshot)
      return feed.mayListen ? this.#keepsUp(feed, served) : Promise.resolve()
    })
    await Promise.all(serving)
  }

  /** Ends every worker: polls under way are answered, and whoever does not end is killed. */
  async stop(): Promise<void> {
    this.#isStopping = true
    const ended = [...this.#feeds.values()].map(async (feed) => {
      const cancel = this.#options.clock.after(CLOSE_WAIT_MAX_MS, () => feed.worker.process.kill('SIGKILL'))
      const exited = new Promise((resolve) => feed.worker.once('exit', resolve))
      feed.send({ kind: 'close' })
      await exited
      cancel()
    })
    await Promise.all(ended)
  }

  /** Starts one worker; resolves once it listens. */
  #fork(): Promise<string> {
    const { clock, log, withheld, lifecycle } = this.#options
    // Node.js leaves out what is undefined.
    const worker = cluster.fork(withheld)
    const feed = new WorkerFeed(worker)
    const startedAt = clock.now()
    this.#feeds.set(worker.id, feed)
    return new Promise((resolve, reject) => {
      const cancel = clock.after(START_WAIT_MAX_MS, () => worker.process.kill('SIGKILL'))
      worker.on('message', (message: ToPrimary) => {
        feed.hear(message)
        if (message.kind === 'told') log[message.level]({ worker: feed.pid }, message.message)
        if (message.kind === 'failed') reject(new Error(message.why))
        if (message.kind === 'started') {
          feed.send({ kind: 'start', ticketSecret: this.#ticketSecret })
          if (lifecycle.hasDrained) feed.send({ kind: 'drain' })
          void feed.serve(this.#options.holder.current)
        }
        if (message.kind !== 'listening') return
        cancel()
        resolve(message.address)
      })
      worker.on('error', (error) =>
        log.warn({ err: error, worker: feed.pid }, 'a fault between the primary and a worker'),
      )
      worker.once('exit', (code, signal) => {
        cancel()
        this.#died(worker, feed, clock.now() - startedAt, signal ?? code)
        reject(new Error(`a poll worker ended with ${signal ?? code} before it listened`))
      })
    })
  }

  #died(worker: Worker, feed: WorkerFeed, livedMs: number, how: string | number): void {
    const { clock, log } = this.#options
    this.#feeds.delete(worker.id)
    this.#retired.add(feed.counts)
    feed.gone()
    if (this.#isStopping) return
    this.#replaceMs =
      livedMs > LIVED_WELL_MS ? 0 : Math.min(Math.max(this.#replaceMs * 2, REPLACE_FIRST_MS), REPLACE_LONGEST_MS)
    log.error(
      { worker: feed.pid, how, livedMs, replacedInMs: this.#replaceMs },
      'a poll worker has died; it is replaced',
    )
    clock.after(this.#replaceMs, () => {
      // Where that one cannot start either, its own end is heard of and it is replaced in turn.
      if (!this.#isStopping) this.#fork().catch(() => {})
    })
  }

  /** Resolves with `served`, or once the worker has been killed because it took too long. */
  async #keepsUp(feed: WorkerFeed, served: Promise<void>): Promise<void> {
    const { clock, log } = this.#options
    const cancel = clock.after(SERVE_WAIT_MAX_MS, () => {
      log.error(
        { worker: feed.pid },
        'a poll worker does not take a change, so it would serve old answers; it is killed',
      )
      feed.worker.process.kill('SIGKILL')
    })
    await served
    cancel()
  }
}
