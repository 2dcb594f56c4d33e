// What a soak run adds up: faults by kind, rounds, polls, writes and violations, and the table of them at the end.
import type { Run } from '../../test/fixtures/fleet-checker.ts'
import type { WorldName } from './options.ts'

const COLUMN = 36

export class Totals {
  readonly #faults = new Map<string, number>()
  readonly #rounds = new Map<WorldName, number>()
  readonly #refusals = new Map<string, number>()
  readonly #writes = { acknowledged: 0, refused: 0, unknown: 0 }
  #polls = 0
  #unanswered = 0
  #violations = 0
  #absent = 0

  get faults(): number {
    return [...this.#faults.values()].reduce((sum, count) => sum + count, 0)
  }

  get violations(): number {
    return this.#violations
  }

  get polls(): number {
    return this.#polls
  }

  /** Counts one fault; `isCaused` is false where it did not come about. */
  addFault(world: WorldName, kind: string, isCaused: boolean): void {
    if (!isCaused) this.#absent += 1
    else increase(this.#faults, `${world}: ${kind}`, 1)
  }

  addRound(world: WorldName): void {
    increase(this.#rounds, world, 1)
  }

  addRun({ observations, attempts, asks = [] }: Run): void {
    this.#polls += observations.length
    this.#unanswered += observations.filter(({ status }) => status === 503).length
    for (const { outcome } of [...attempts, ...asks]) this.#writes[outcome] += 1
  }

  addRefusals(refusals: ReadonlyMap<string, number>): void {
    for (const [code, count] of refusals) increase(this.#refusals, code, count)
  }

  addViolations(count: number): void {
    this.#violations += count
  }

  /** The table, with the time that it took. */
  text(tookMs: number): string {
    const minutes = tookMs / 60_000
    const { acknowledged, refused, unknown } = this.#writes
    const rows: readonly (readonly [string, number])[] = [
      ...[...this.#faults].toSorted(([a], [b]) => (a < b ? -1 : 1)),
      ['faults', this.faults],
      ['faults that did not come about', this.#absent],
      ...[...this.#rounds].map(([world, count]) => [`rounds, ${world}`, count] as const),
      ['polls answered', this.#polls],
      ['of them without a target (503)', this.#unanswered],
      ['writes acknowledged', acknowledged],
      ['writes refused', refused],
      ['writes of unknown outcome', unknown],
      ...[...this.#refusals].map(([code, count]) => [`tries answered ${code}`, count] as const),
      ['violations', this.#violations],
    ]
    const lines = rows.map(([name, count]) => `${name.padEnd(COLUMN)} ${count.toLocaleString('en-US').padStart(10)}`)
    const rate = `${minutes.toFixed(1)} minutes, ${(this.faults / minutes).toFixed(1)} faults a minute`
    return [...lines, rate, ''].join('\n')
  }
}

function increase<K>(counts: Map<K, number>, key: K, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by)
}
