// Polls the upstreams of forward channels. One replica at a time does, the one that has the lease; the others follow what it
// journals. A replica that dies loses the lease with its time, and the next one polls on.
import { CHANNEL_KIND, channelKey, channelNameOf, channelOf } from '../channels/channel.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { StoreOutcomeUnknown, StoreUnavailable } from '../store/port.ts'
import type { Control } from './control.ts'
import { journalUpstream, type UpstreamOutcome } from './journal-upstream.ts'
import type { OutboundLog } from './outbound-request.ts'
import type { UpstreamClient } from './upstream-client.ts'

const LEASE = 'upstreams'
/** The longest that nobody polls after the one that did has died. */
const LEASE_MS = 15_000
const RENEWALS_PER_LEASE = 3
/** How often it is looked which upstreams are due. */
const CHECK_MS = 1_000
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
  /** LEASE_MS unless given. */
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
  readonly #polls = new Set<Promise<void>>()
  #cancel: () => void = () => {}
  #looking: Promise<void> = Promise.resolve()
  #stopped = false
  #holdsUntil = 0
  #renewAt = 0
  #learnAt = 0
  #forward: { state: ReplicaState; generation: number; channels: ReadonlyMap<string, string> } | null = null

  constructor(control: Control, options: FollowOptions, log: FollowLog) {
    this.#control = control
    this.#options = options
    this.#log = log
  }

  start(): void {
    this.#cancel = this.#control.clock.after(0, () => this.#tick())
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel()
    await this.#looking
    await Promise.all(this.#polls)
    if (this.#client !== null) (await this.#client).close()
    const { coordination, replicaId } = this.#control
    // Where it cannot be given back, its time ends it.
    if (this.#holdsUntil > 0) await coordination.release(LEASE, replicaId).catch(() => {})
  }

  #tick(): void {
    this.#looking = this.#look()
      .catch((error: unknown) => {
        if (!isAway(error)) this.#log.warn({ err: error }, 'the upstreams could not be looked at')
      })
      .finally(() => {
        if (!this.#stopped) this.#cancel = this.#control.clock.after(CHECK_MS, () => this.#tick())
      })
  }

  async #look(): Promise<void> {
    const { replica, clock, upstreams, coordination } = this.#control
    // While the store is not followed nothing may be decided, so there is no use in asking.
    if (replica.fault !== null || replica.state === null) return
    const channels = this.#forwardChannels(replica.state)
    if (channels.size === 0 && this.#due.size === 0) return
    const now = clock.now()
    if (!(await this.#hasLease(now))) {
      this.#due.clear()
      if (now < this.#learnAt) return
      this.#learnAt = now + LEARN_MS
      await upstreams.learn(coordination)
      return
    }
    await this.#dropOthers(channels)
    for (const [name, url] of channels) {
      const due = this.#due.get(name)
      if (due === undefined || due.url !== url) this.#due.set(name, { url, at: now, busy: false })
    }
    const longestMs = this.#options.intervalMs * (1 + JITTER)
    for (const [name, due] of this.#due) {
      // The same clock must not put off a poll.
      if (due.at - now > longestMs) due.at = now
      if (this.#polls.size >= POLLS_AT_ONCE_MAX) return
      if (due.at <= now && !due.busy) this.#poll(name, due)
    }
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

  async #hasLease(now: number): Promise<boolean> {
    const { coordination, replicaId, upstreams } = this.#control
    const { leaseMs = LEASE_MS } = this.#options
    // A clock that was set back must not make the next renewal late.
    if (now < this.#renewAt && this.#renewAt - now <= leaseMs / RENEWALS_PER_LEASE) return this.#holdsUntil > now
    const held = this.#holdsUntil > now
    const takes = await coordination.lease(LEASE, replicaId, leaseMs)
    // By the time it was asked for: the store may have begun to count a moment later, never earlier.
    this.#holdsUntil = takes ? now + leaseMs : 0
    this.#renewAt = now + (takes ? leaseMs / RENEWALS_PER_LEASE : CHECK_MS)
    if (takes && !held) {
      this.#log.info({ replica: replicaId }, 'this replica polls the upstreams')
      await upstreams.learn(coordination)
    }
    return takes
  }

  #poll(name: string, due: Due): void {
    due.busy = true
    const poll = this.#ask(name, due.url)
      .catch((error: unknown) => {
        this.#options.count('failed')
        if (!isAway(error)) this.#log.warn({ err: error, channel: name }, 'an upstream could not be followed')
      })
      .finally(() => {
        due.busy = false
        due.at = this.#control.clock.now() + this.#options.intervalMs * (1 + JITTER * (2 * Math.random() - 1))
        this.#polls.delete(poll)
      })
    this.#polls.add(poll)
  }

  async #ask(name: string, url: string): Promise<void> {
    const { upstreams, coordination, clock } = this.#control
    const known = this.#known(name)
    if (known === null) return
    const answer = await (await this.#openClient()).ask(url, known)
    if (this.#stopped) return
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

/** The store is away or did not answer: the next look or poll comes, and the replica says what is wrong. */
function isAway(error: unknown): boolean {
  return error instanceof StoreUnavailable || error instanceof StoreOutcomeUnknown
}
