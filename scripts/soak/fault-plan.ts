// What is done to a world in one round, and when: drawn from the round's seed alone before the round begins, so that the same
// seed gives the same faults. Faults overlap, except that two faults of one part (a replica, Redis) wait for each other.
import type { Random } from '../../bench/random.ts'

/** One fault with everything about it decided. */
export interface DrawnFault {
  /** What it has for itself while it lasts, e.g. `replica 1`. */
  readonly part: string
  /** Causes it and undoes it; false where it did not come about, and true or nothing where it did. */
  readonly cause: () => Promise<boolean | void>
}

export interface FaultKind {
  readonly kind: string
  /** How often it is drawn, relative to the others. */
  readonly weight: number
  readonly draw: (random: Random) => DrawnFault
}

export interface PlannedFault extends DrawnFault {
  readonly kind: string
  /** Since the beginning of the round. */
  readonly atMs: number
}

/** A world's faults for one round, with random pauses that are `pauseMs` on average. */
export function planFaults(
  random: Random,
  kinds: readonly FaultKind[],
  { durationMs, pauseMs }: { readonly durationMs: number; readonly pauseMs: number },
): readonly PlannedFault[] {
  const planned: PlannedFault[] = []
  for (let atMs = pauseMs * random.share(); atMs < durationMs; atMs += pauseMs * (0.5 + random.share())) {
    const { kind, draw } = drawKind(random, kinds)
    planned.push({ kind, atMs, ...draw(random) })
  }
  return planned
}

function drawKind(random: Random, kinds: readonly FaultKind[]): FaultKind {
  let left = random.share() * kinds.reduce((sum, { weight }) => sum + weight, 0)
  for (const kind of kinds) {
    left -= kind.weight
    if (left < 0) return kind
  }
  return random.pick(kinds)
}

/** Lets one after the other have a part. */
export class Parts {
  readonly #last = new Map<string, Promise<unknown>>()

  async have<T>(part: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(part) ?? Promise.resolve()
    const mine = before.then(work)
    this.#last.set(
      part,
      mine.catch(() => null),
    )
    return mine
  }
}
