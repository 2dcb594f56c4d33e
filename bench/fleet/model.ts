// A fleet of updaters as a discrete-event simulation: when they poll, what reaches the origin, and when each has followed
// a rollback. It knows no clock and no randomness but its seed, so a run comes out the same every time.
import { seededRandom } from '../random.ts'

/** How a kind of updater times its polls, in seconds. */
export interface Timers {
  readonly name: string
  /** From a start of the machine to the first poll. */
  readonly firstS: number
  readonly everyS: number
  /** Each wait is longer or shorter by up to this much, evenly spread. */
  readonly jitterS: number
}

/** The real updaters' timers: systemd units of the RFD 109 updaters, managed updates (RFD 184), and the kube updater. */
export const TIMERS = {
  systemd: { name: 'systemd updaters', firstS: 540, everyS: 1_680, jitterS: 240 },
  managed: { name: 'managed updates', firstS: 300, everyS: 300, jitterS: 60 },
  kube: { name: 'kube updaters', firstS: 1_800, everyS: 1_800, jitterS: 0 },
} as const satisfies Record<string, Timers>

export interface Cdn {
  readonly edges: number
  readonly maxAgeS: number
}

export interface FleetOptions {
  readonly agents: number
  readonly timers: Timers
  /** `spread`: every agent is somewhere in its period. `restart`: all start at second 0, as after an outage. */
  readonly start: 'spread' | 'restart'
  readonly cdn: Cdn | null
  /** Agents that come from one address, and so to one edge. */
  readonly agentsPerAddress: number
  readonly seconds: number
  /** The rollback is published at this second. */
  readonly rollbackAtS: number
  /** A rollback that is not critical is followed in one hour of the day: each agent's own, or the first for all. */
  readonly window: 'own' | 'first' | null
  readonly seed: number
}

export interface FleetRun {
  /** Requests that reach the origin in each second: every poll asks two questions. */
  readonly originPerS: Uint32Array
  /** The same of one address, which is the first. */
  readonly addressPerS: Uint32Array
  /** Agents that have followed the rollback by the end of each second after it. */
  readonly followedByS: Uint32Array
}

const QUESTIONS = 2
const HOUR_S = 3_600
const DAY_HOURS = 24

export function simulate(options: FleetOptions): FleetRun {
  const { agents, timers, cdn, agentsPerAddress, seconds, rollbackAtS, window } = options
  const random = seededRandom(options.seed).share
  const queue = new Calendar(agents, seconds)
  for (let agent = 0; agent < agents; agent += 1) queue.add(agent, firstPoll(options, random))
  const originPerS = new Uint32Array(seconds)
  const addressPerS = new Uint32Array(seconds)
  const followedByS = new Uint32Array(Math.max(0, seconds - rollbackAtS))
  const hasFollowed = new Uint8Array(agents)
  const edges = new Edges(cdn)
  for (let second = 0; second < seconds; second += 1) {
    for (let agent = queue.first(second); agent !== NONE; agent = queue.first(second)) {
      const address = Math.floor(agent / agentsPerAddress)
      const { isFetched, fetchedAtS } = edges.ask(address, second)
      if (isFetched) originPerS[second] = (originPerS[second] ?? 0) + QUESTIONS
      if (address === 0) addressPerS[second] = (addressPerS[second] ?? 0) + QUESTIONS
      const hour = Math.floor(second / HOUR_S) % DAY_HOURS
      const mayAct = window === null || hour === (window === 'own' ? agent % DAY_HOURS : 0)
      if (hasFollowed[agent] === 0 && fetchedAtS >= rollbackAtS && mayAct) {
        hasFollowed[agent] = 1
        const at = second - rollbackAtS
        followedByS[at] = (followedByS[at] ?? 0) + 1
      }
      queue.add(agent, second + waitS(timers, random))
    }
  }
  for (let at = 1; at < followedByS.length; at += 1)
    followedByS[at] = (followedByS[at] ?? 0) + (followedByS[at - 1] ?? 0)
  return { originPerS, addressPerS, followedByS }
}

/** Seconds after the rollback by which this share of the agents has followed it; null where that is after the end. */
export function followedAfterS({ followedByS }: FleetRun, agents: number, share: number): number | null {
  const at = followedByS.findIndex((followed) => followed >= Math.ceil(agents * share))
  return at === -1 ? null : at
}

function firstPoll({ timers, start }: FleetOptions, random: () => number): number {
  if (start === 'spread') return Math.floor(random() * timers.everyS)
  return Math.max(0, Math.round(timers.firstS + (2 * random() - 1) * timers.jitterS))
}

function waitS({ everyS, jitterS }: Timers, random: () => number): number {
  return Math.max(1, Math.round(everyS + (2 * random() - 1) * jitterS))
}

/** What answers an agent: an edge's copy that is young enough, or the origin itself. */
class Edges {
  readonly #cdn: Cdn | null
  readonly #fetchedAtS: Float64Array

  constructor(cdn: Cdn | null) {
    this.#cdn = cdn
    this.#fetchedAtS = new Float64Array(cdn?.edges ?? 0).fill(-Infinity)
  }

  ask(address: number, second: number): { isFetched: boolean; fetchedAtS: number } {
    if (this.#cdn === null) return { isFetched: true, fetchedAtS: second }
    const edge = address % this.#cdn.edges
    const fetchedAtS = this.#fetchedAtS[edge] ?? -Infinity
    // Requests for what an edge is fetching wait for it, as CDNs do: one fetch for all of them.
    if (second - fetchedAtS < this.#cdn.maxAgeS) return { isFetched: false, fetchedAtS }
    this.#fetchedAtS[edge] = second
    return { isFetched: true, fetchedAtS: second }
  }
}

const NONE = -1

/** Agents by the second of their next poll: a list for each second, linked through one array. Ten million fit in 40 MB. */
class Calendar {
  readonly #heads: Int32Array
  readonly #next: Int32Array

  constructor(agents: number, seconds: number) {
    this.#heads = new Int32Array(seconds).fill(NONE)
    this.#next = new Int32Array(agents)
  }

  add(agent: number, second: number): void {
    // Past the end nobody looks.
    if (second >= this.#heads.length) return
    this.#next[agent] = this.#heads[second] ?? NONE
    this.#heads[second] = agent
  }

  /** Takes an agent off a second's list; NONE where there is no more. */
  first(second: number): number {
    const agent = this.#heads[second] ?? NONE
    if (agent !== NONE) this.#heads[second] = this.#next[agent] ?? NONE
    return agent
  }
}
