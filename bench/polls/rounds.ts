// Rounds: every server in turns, so that what the machine does meanwhile hits all alike, and ratios within one round.
import { cpuMs } from '../process-figures.ts'
import { summarize, type Summary } from '../summary.ts'
import type { Subject } from './subjects.ts'

export interface Round {
  readonly perSecond: number
  /** Processor time of the server for one poll, in microseconds. */
  readonly cpuUs: number
}

export interface Row {
  readonly scenario: string
  readonly server: string
  readonly perSecond: Summary
  readonly cpuUs: Summary
}

export interface Ratio {
  readonly name: string
  readonly by: string
  readonly ratio: Summary
  readonly atLeast: number
  readonly aimFor: number
}

/** Puts load on a server and gives how many polls were answered. */
export type Load = (subject: Subject) => Promise<number>

export class Rounds {
  readonly scenario: string
  readonly #found = new Map<string, Round[]>()

  readonly #nowMs: () => number

  /** `nowMs` is a clock that only goes forward. */
  constructor(scenario: string, nowMs: () => number = () => performance.now()) {
    this.scenario = scenario
    this.#nowMs = nowMs
  }

  /** All servers in turns, in an order that changes with each round, so that none always follows the same one. */
  async run(subjects: readonly Subject[], rounds: number, load: Load): Promise<void> {
    for (const subject of subjects) await load(subject)
    for (let round = 0; round < rounds; round += 1) {
      const first = round % subjects.length
      for (const subject of [...subjects.slice(first), ...subjects.slice(0, first)]) {
        const cpuBefore = cpuOf(subject)
        const startedMs = this.#nowMs()
        const polls = await load(subject)
        const elapsedMs = this.#nowMs() - startedMs
        if (polls === 0) throw new Error(`${subject.name} has answered nothing`)
        const cpuUs = ((cpuOf(subject) - cpuBefore) * 1_000) / polls
        const all = this.#found.get(subject.name) ?? []
        this.#found.set(subject.name, [...all, { perSecond: polls / (elapsedMs / 1_000), cpuUs }])
      }
    }
  }

  rows(): readonly Row[] {
    return [...this.#found].map(([server, rounds]) => ({
      scenario: this.scenario,
      server,
      perSecond: summarize(rounds.map(({ perSecond }) => perSecond)),
      cpuUs: summarize(rounds.map(({ cpuUs }) => cpuUs)),
    }))
  }

  /** How many times better one server is than another, round by round; `null` where one of them was not there. */
  ratio(of: string, against: string, by: 'polls/s' | 'CPU per poll', atLeast: number, aimFor: number): Ratio | null {
    const [one, other] = [this.#found.get(of), this.#found.get(against)]
    if (one === undefined || other === undefined) return null
    const ratios = one.map((round, index) => {
      const base = other[index] ?? round
      return by === 'polls/s' ? round.perSecond / base.perSecond : base.cpuUs / round.cpuUs
    })
    return { name: `${this.scenario}, ${of} against ${against}`, by, ratio: summarize(ratios), atLeast, aimFor }
  }
}

function cpuOf({ pids }: Subject): number {
  return pids.reduce((sum, pid) => sum + cpuMs(pid), 0)
}
