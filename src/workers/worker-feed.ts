// One poll worker as the primary sees it: what it has been sent, and what it serves.
import type { Worker } from 'node:cluster'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ServedChannel } from '../serve/answers.ts'
import { PollCounts, type PollTotals } from '../serve/poll-counts.ts'
import type { Snapshot } from '../serve/snapshot.ts'
import type { ChannelFacts, ToPrimary, ToWorker } from './messages.ts'

/** So many channels in one message: a few milliseconds' work on each side, between which other work gets its turn. */
const MESSAGE_CHANNELS_MAX = 1_000

export class WorkerFeed {
  readonly worker: Worker
  /** What it has counted so far. */
  counts: PollTotals = new PollCounts()
  /** Where it listens, null before it does. */
  address: string | null = null
  /** Whether it has begun to take messages. */
  isStarted = false
  /** Whether it has been told to listen: from then on nothing may be acknowledged that it does not serve. */
  mayListen = false
  #sent: Snapshot | null = null
  #sentTurn = 0
  #servedTurn = 0
  #feeding: Promise<void> = Promise.resolve()
  readonly #waiting: { readonly turn: number; readonly done: () => void }[] = []

  constructor(worker: Worker) {
    this.worker = worker
  }

  get pid(): number | undefined {
    return this.worker.process.pid
  }

  /** Sends what makes it serve `snapshot`, or nothing where that is null; resolves once it does. */
  serve(snapshot: Snapshot | null): Promise<void> {
    this.#sentTurn += 1
    const turn = this.#sentTurn
    // One after the other: a whole state goes out in pieces, and what comes meanwhile must be told as changes of it.
    this.#feeding = this.#feeding
      .then(() => this.#feed(snapshot, turn))
      // It serves old answers from here on: the pool logs why, and ends it where it was waited for.
      .catch((error: unknown) => void this.worker.emit('error', error))
    return new Promise((done) => this.#waiting.push({ turn, done }))
  }

  /** Takes in what the worker tells of its doings. */
  hear(message: ToPrimary): void {
    switch (message.kind) {
      case 'started':
        this.isStarted = true
        return
      case 'listening':
        this.address = message.address
        return
      case 'serving':
        this.#servedTurn = message.turn
        this.#settle((turn) => turn <= this.#servedTurn)
        // Not before it has caught up: a large state takes its time, for which no change has to wait.
        if (this.mayListen || this.#servedTurn < this.#sentTurn) return
        this.mayListen = true
        this.send({ kind: 'listen' })
        return
      case 'counts':
        this.counts = message.counts
        return
      case 'failed':
      case 'told':
    }
  }

  /** Nobody needs to wait for it any longer. */
  gone(): void {
    this.#settle(() => true)
  }

  send(message: ToWorker): void {
    // Without a channel it has ended, or is about to; the pool hears of that by itself.
    if (this.worker.isConnected()) this.worker.send(message, () => {})
  }

  #settle(isOver: (turn: number) => boolean): void {
    while (this.#waiting[0] !== undefined && isOver(this.#waiting[0].turn)) this.#waiting.shift()?.done()
  }

  async #feed(snapshot: Snapshot | null, turn: number): Promise<void> {
    if (snapshot === null) {
      this.send({ kind: 'serve nothing', turn })
      return
    }
    const { seq, epoch, at } = snapshot
    const before = this.#sent
    this.#sent = snapshot
    const facts = before === null ? factsOf(snapshot.channels()) : changedFacts(snapshot, before)
    for (;;) {
      const channels = take(facts, MESSAGE_CHANNELS_MAX)
      if (channels.length > 0) this.send({ kind: 'channels', channels })
      if (channels.length < MESSAGE_CHANNELS_MAX) break
      await nextTurn()
    }
    this.send({ kind: 'serve', turn, stamp: { seq, epoch, at }, isWhole: before === null })
  }
}

function* factsOf(channels: Iterable<ServedChannel>): Generator<ChannelFacts> {
  for (const { name, revision, target, ramp } of channels) yield [name, revision, target, ramp]
}

function* changedFacts(snapshot: Snapshot, before: Snapshot): Generator<ChannelFacts> {
  for (const [name, channel] of snapshot.changesSince(before))
    yield [name, channel?.revision ?? 0, channel?.target ?? null, channel?.ramp ?? null]
}

function take(facts: Generator<ChannelFacts>, max: number): readonly ChannelFacts[] {
  const taken: ChannelFacts[] = []
  while (taken.length < max) {
    const next = facts.next()
    if (next.done === true) break
    taken.push(next.value)
  }
  return taken
}
