// Watches over the packages of releases that are on their way: what was there when the release was named can be deleted, and a
// fleet must not go on being told to install what it cannot download. The driver pauses a rollout whose packages are gone.
import { Limiter } from '../lib/limiter.ts'
import { releaseKey, releaseOf } from '../rollouts/release.ts'
import type { Rollout } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Control } from './control.ts'
import type { PackageCheck } from './package-client.ts'

/** How long after packages were found they are asked for again. */
export const PACKAGES_CHECK_MS = 300_000
/** The same after they were not. */
export const PACKAGES_RECHECK_MS = 30_000
/** So many checks in a row find packages missing before that counts: one may be the fault of the way there. */
export const PACKAGES_FAILURES = 3
/** So many releases are checked at once; the others wait for their turn. */
const CHECKS_AT_ONCE_MAX = 4

interface Watched {
  /** Other packages are watched anew. */
  readonly urls: string
  /** When they were last asked for, in milliseconds since the epoch. */
  askedAt: number
  isAsked: boolean
  /** What was wrong in the last checks, if the last of them found something wrong. */
  failures: number
  problem: string | null
}

export class PackageWatch {
  readonly #control: Control
  /** By the release's version. */
  #watched = new Map<string, Watched>()
  readonly #checks = new Limiter(CHECKS_AT_ONCE_MAX)

  constructor(control: Control) {
    this.#control = control
  }

  /** Asks for the packages that are due, of the releases of these rollouts; what is found counts at a later look. */
  look(state: ReplicaState, running: readonly Rollout[]): void {
    const now = this.#control.clock.now()
    const watched = new Map<string, Watched>()
    for (const rollout of running) {
      // Whoever resumes a rollout has the last word over what was found before.
      if (rollout.paused !== null || !rollout.rules.requirePackages) continue
      const document = state.document(releaseKey(rollout.release))
      const packages = document === undefined ? [] : releaseOf(document).packages
      if (packages.length === 0) continue
      const urls = JSON.stringify(packages.map(({ url }) => url))
      const known = this.#watched.get(rollout.release)
      const foundAt = Math.max(...packages.map((one) => Date.parse(one.foundAt)))
      const fresh: Watched = { urls, askedAt: foundAt, isAsked: false, failures: 0, problem: null }
      watched.set(rollout.release, known?.urls === urls ? known : fresh)
    }
    this.#watched = watched
    // Whoever waits longest comes first, so that servers that never answer starve nobody.
    const due = [...watched.values()].filter((one) => isDue(one, now)).toSorted((a, b) => a.askedAt - b.askedAt)
    for (const one of due.slice(0, this.#checks.free)) this.#checks.run(() => this.#check(one, now))
  }

  /** What is wrong with the packages of a rollout that is watched, as a sentence; null while nothing is known to be. */
  problemOf({ release, paused, rules }: Rollout): string | null {
    const watched = paused === null && rules.requirePackages ? this.#watched.get(release) : undefined
    return watched !== undefined && watched.failures >= PACKAGES_FAILURES ? watched.problem : null
  }

  /** Another replica watches now. */
  forgetAll(): void {
    this.#watched = new Map()
  }

  async #check(watched: Watched, now: number): Promise<void> {
    watched.isAsked = true
    watched.askedAt = now
    try {
      const urls = JSON.parse(watched.urls) as string[] // As look() has written it.
      const checks = await this.#control.outside.checkPackages(urls)
      // Which hosts this server may ask is another matter than whether agents can download from them.
      const missing = checks.filter(({ problem, isRefused = false }) => problem !== null && !isRefused)
      watched.failures = missing.length === 0 ? 0 : watched.failures + 1
      watched.problem = missing.length === 0 ? null : inWords(missing)
    } catch {
      // Not to have been able to ask says nothing of the packages.
    } finally {
      watched.isAsked = false
    }
  }
}

function isDue({ askedAt, isAsked, failures }: Watched, now: number): boolean {
  // A clock that was set back must not put it off.
  return !isAsked && Math.abs(now - askedAt) >= (failures === 0 ? PACKAGES_CHECK_MS : PACKAGES_RECHECK_MS)
}

function inWords([first, ...others]: readonly PackageCheck[]): string {
  const more = others.length === 0 ? '' : `, and so for ${others.length} more`
  return `package ${first?.url} ${first?.problem}${more} (${PACKAGES_FAILURES} checks in a row); see that agents can download it, then resume`
}
