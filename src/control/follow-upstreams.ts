// Polls the upstreams of forward channels. One replica at a time does, the one that has the lease; the others follow what it
// journals. A replica that dies loses the lease with its time, and the next one polls on.
import { CHANNEL_KIND, channelKey, channelNameOf, channelOf } from '../channels/channel.ts'
import { Limiter } from '../lib/limiter.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Control } from './control.ts'
import { isStoreAway, LeaderTask } from './core/leader-task.ts'
import { journalUpstream, type UpstreamOutcome } from './journal-upstream.ts'
import type { OutboundLog } from './outbound-request.ts'
import type { UpstreamClient } from './upstream-client.ts'

const LEASE = 'upstreams'
/** How often a replica that does not poll learns how old the answers are. */
const LEARN_MS = 10_000
/** So many upstreams are asked at once; the others wait for the next look. */
const POLLS_AT_ONCE_MAX = 20
/** Polls are spread by this much of the interval, so that a fleet of servers does not ask together. */
const JITTER = 0.1

export interface FollowOptions {
  readonly intervalMs: number
  /** One upstream's time to answer; tests give less. */
  readonly timeoutMs?: number
  /** The lease on polling; tests give less. */
  readonly leaseMs?: number
  /** Called after every poll; metrics listen here. */
  readonly count: (outcome: UpstreamOutcome | 'changing' | 'failed') => void
}

type FollowLog = ReplicaLog & OutboundLog

interface Due {
  readonly url: string
  at: number
  busy: boolean
}

/** Starts following upstreams; the answer stops it, once the polls under way have ended, and gives the lease back. */
export function followUpstreams(control: Control, options: FollowOptions, log: FollowLog): () => Promise<void> {
  const follower = new UpstreamFollower(control, options, log)
  follower.start()
  return () => follower.stop()
}

class UpstreamFollower {
  readonly #control: Control
  readonly #options: FollowOptions
  readonly #log: FollowLog
  /** Loaded with the first forward channel: TLS and all is memory that most servers never need. */
  #client: Promise<UpstreamClient> | null = null
  readonly #due = new Map<string, Due>()
  readonly #polls = new Limiter(POLLS_AT_ONCE_MAX)
  readonly #task: LeaderTask
  #learnAt = 0
  #forward: { state: ReplicaState; generation: number; channels: ReadonlyMap<string, string> } | null = null

  constructor(control: Control, options: FollowOptions, log: FollowLog) {
    this.#control = control
    this.#options = options
    this.#log = log
    this.#task = new LeaderTask(control, {
      lease: LEASE,
      leaseMs: options.leaseMs,
      // The first poll of a server that has just started is not a second late.
      firstMs: 0,
      // What an upstream answers counts whatever the time is.
      needsConfirmedClock: false,
      log,
      failure: 'the upstreams could not be looked at',
      isNeeded: (state) => this.#forwardChannels(state).size > 0 || this.#due.size > 0,
      taken: () => this.#taken(),
      lead: (state, signal) => this.#lead(state, signal),
      follow: () => this.#follow(),
      end: () => this.#end(),
    })
  }

  start(): void {
    this.#task.start()
  }

  stop(): Promise<void> {
    return this.#task.stop()
  }

  async #taken(): Promise<void> {
    const { coordination, replicaId, upstreams } = this.#control
    this.#log.info({ replica: replicaId }, 'this replica polls the upstreams')
    await upstreams.learn(coordination)
  }

  async #lead(state: ReplicaState, signal: AbortSignal): Promise<void> {
    const channels = this.#forwardChannels(state)
    const now = this.#control.clock.now()
    await this.#dropOthers(channels)
    for (const [name, url] of channels) {
      const due = this.#due.get(name)
      if (due === undefined || due.url !== url) this.#due.set(name, { url, at: now, busy: false })
    }
    const longestMs = this.#options.intervalMs * (1 + JITTER)
    for (const [name, due] of this.#due) {
      // The same clock must not put off a poll.
      if (due.at - now > longestMs) due.at = now
      if (this.#polls.free === 0) return
      if (due.at <= now && !due.busy) this.#polls.run(() => this.#poll(name, due, signal))
    }
  }

  /** Another replica polls: when polls are due is forgotten, and how old the answers are is read. */
  async #follow(): Promise<void> {
    const { upstreams, coordination, clock } = this.#control
    const now = clock.now()
    this.#due.clear()
    if (now < this.#learnAt) return
    this.#learnAt = now + LEARN_MS
    await upstreams.learn(coordination)
  }

  async #end(): Promise<void> {
    await this.#polls.idle()
    if (this.#client !== null) (await this.#client).close()
  }

  /** Forward channels and their URLs, read again only where a channel has changed. */
  #forwardChannels(state: ReplicaState): ReadonlyMap<string, string> {
    const generation = state.generationOf(CHANNEL_KIND)
    if (this.#forward?.state === state && this.#forward.generation === generation) return this.#forward.channels
    const channels = new Map<string, string>()
    for (const document of state.documentsOf(CHANNEL_KIND)) {
      const name = channelNameOf(document.key)
      const source = name === null ? null : channelOf(document).source
      if (name !== null && source?.kind === 'forward') channels.set(name, source.url)
    }
    this.#forward = { state, generation, channels }
    return channels
  }

  async #dropOthers(channels: ReadonlyMap<string, string>): Promise<void> {
    const { upstreams, coordination } = this.#control
    for (const name of this.#due.keys()) if (!channels.has(name)) this.#due.delete(name)
    await upstreams.forget(
      coordination,
      [...upstreams.channels()].filter((name) => !channels.has(name)),
    )
  }

  async #poll(name: string, due: Due, signal: AbortSignal): Promise<void> {
    due.busy = true
    try {
      await this.#ask(name, due.url, signal)
    } catch (error) {
      this.#options.count('failed')
      if (!isStoreAway(error)) this.#log.warn({ err: error, channel: name }, 'an upstream could not be followed')
    } finally {
      due.busy = false
      due.at = this.#control.clock.now() + this.#options.intervalMs * (1 + JITTER * (2 * Math.random() - 1))
    }
  }

  async #ask(name: string, url: string, signal: AbortSignal): Promise<void> {
    const { upstreams, coordination, clock } = this.#control
    const known = this.#known(name)
    if (known === null) return
    const answer = await (await this.#openClient()).ask(url, known)
    if (signal.aborted) return
    if (answer.outcome === 'changing') return this.#options.count('changing')
    const outcome = await journalUpstream(this.#control, name, url, answer)
    this.#options.count(outcome)
    if (outcome === 'changed' || outcome === 'unchanged') await upstreams.answered(coordination, name, clock.now())
  }

  #openClient(): Promise<UpstreamClient> {
    const { hosts } = this.#control.upstreams
    this.#client ??= import('./upstream-client.ts').then(
      (module) => new module.UpstreamClient(hosts, this.#options.timeoutMs, this.#log),
    )
    return this.#client
  }

  #known(name: string): { readonly version: string | null; readonly critical: boolean } | null {
    const document = this.#control.replica.state?.document(channelKey(name))
    return document === undefined ? null : channelOf(document).source
  }
}
