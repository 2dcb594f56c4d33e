// Drives rollouts: promotes automatic stages, takes ramps further, ends soakings, and pauses where gates fail or packages are
// gone. One replica at a time does, the one that has the lease; that two do for a moment promotes nothing twice, since every step
// is committed against the rollout as it was decided on.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { stageUnderWay } from '../rollouts/advance.ts'
import { rolloutOf, stageAt, type Rollout } from '../rollouts/rollout.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import { CommitTooLarge, StoreOutcomeUnknown, StoreUnavailable } from '../store/port.ts'
import { currentState, type Control } from './control.ts'
import { runningRollouts } from './find-rollout.ts'
import { GateWatch, type EvaluateGate } from './gate-watch.ts'
import { endOvertaken, pauseByItself, takeNextStep, type OnMoved } from './next-step.ts'
import { PackageWatch } from './package-watch.ts'

const LEASE = 'rollouts'
/** The longest that nobody drives after the one that did has died. */
const LEASE_MS = 15_000
const RENEWALS_PER_LEASE = 3
/** How often it is looked what rollouts wait for. */
const CHECK_MS = 1_000
/** Stages that are promoted by themselves can follow each other; more of them in one look would be a fault. */
const STEPS_AT_ONCE_MAX = 50

/** Starts driving; the answer stops it, once the step under way has ended, and gives the lease back. */
export function driveRollouts(
  control: Control,
  evaluate: EvaluateGate,
  log: ReplicaLog,
  leaseMs?: number,
): () => Promise<void> {
  const driver = new RolloutDriver(control, evaluate, log, leaseMs)
  driver.start()
  return () => driver.stop()
}

export class RolloutDriver {
  readonly #control: Control
  readonly #log: ReplicaLog
  readonly #leaseMs: number
  readonly #gates: GateWatch
  readonly #packages: PackageWatch
  #cancel: () => void = () => {}
  #looking: Promise<void> = Promise.resolve()
  #stopped = false
  #holdsUntil = 0
  #renewAt = 0

  constructor(control: Control, evaluate: EvaluateGate, log: ReplicaLog, leaseMs = LEASE_MS) {
    this.#control = control
    this.#log = log
    this.#leaseMs = leaseMs
    this.#gates = new GateWatch(control, evaluate)
    this.#packages = new PackageWatch(control)
  }

  start(): void {
    this.#cancel = this.#control.clock.after(CHECK_MS, () => this.#tick())
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel()
    await this.#looking
    await this.#gates.end()
    const { coordination, replicaId } = this.#control
    // Where it cannot be given back, its time ends it.
    if (this.#holdsUntil > 0) await coordination.release(LEASE, replicaId).catch(() => {})
  }

  #tick(): void {
    this.#looking = this.look()
      .catch((error: unknown) => {
        if (!isAway(error)) this.#log.warn({ err: error }, 'the rollouts could not be looked at')
      })
      .finally(() => {
        if (!this.#stopped) this.#cancel = this.#control.clock.after(CHECK_MS, () => this.#tick())
      })
  }

  /** Does everything that is due now. */
  async look(): Promise<void> {
    const { replica, clock } = this.#control
    // While the store is not followed nothing may be decided.
    if (replica.fault !== null || replica.state === null) return
    const running = runningRollouts(replica.state)
    if (running.length === 0) this.#packages.forgetAll()
    if (running.length === 0 && this.#gates.isIdle) return
    // Stages end by time, and a promotion cannot be undone; the lease goes to a replica with a clock that is confirmed.
    if (clock.doubt !== null || !(await this.#hasLease(clock.now()))) {
      this.#gates.forgetAll()
      this.#packages.forgetAll()
      return
    }
    const rollouts = running.map(rolloutOf)
    await this.#gates.dropOthers(rollouts)
    this.#packages.look(replica.state, rollouts)
    for (const pipeline of new Set(rollouts.map((rollout) => rollout.pipeline)))
      await endOvertaken(this.#control, pipeline)
    for (const [index, { key }] of running.entries()) {
      // A rollout can have 900 channels; polls are answered in between.
      if (index > 0) await nextTurn()
      if (this.#stopped) return
      await this.#drive(key).catch(async (error: unknown) => {
        if (isAway(error)) throw error
        // No retry makes it smaller: people must see to it.
        if (error instanceof CommitTooLarge) {
          const reason = `its next step is too large: ${error.message}`
          await pauseByItself(this.#control, key, reason, this.#onMoved(key))
        } else this.#log.warn({ err: error, rollout: key }, 'a rollout could not be driven')
      })
    }
  }

  /** Takes one rollout as far as it goes now. */
  async #drive(key: string): Promise<void> {
    for (let steps = 0; steps < STEPS_AT_ONCE_MAX; steps += 1) {
      const document = currentState(this.#control).document(key)
      const rollout = document === undefined ? null : rolloutOf(document)
      if (rollout === null) return
      const lost = this.#packages.problemOf(rollout)
      if (lost !== null) await pauseByItself(this.#control, key, lost, this.#onMoved(key))
      if (lost !== null || !isDriven(rollout)) return
      const index = stageUnderWay(rollout) ?? 0
      // Also while it is paused: whoever is to resume it sees how its gates stand.
      const samples = await this.#gates.look(rollout, index)
      if (rollout.paused !== null) return
      if (!(await takeNextStep(this.#control, key, samples, this.#onMoved(key)))) return
    }
  }

  #onMoved(key: string): OnMoved {
    return ({ seq, kind, reason }) => {
      const level = kind === 'rollout.pause' ? 'warn' : 'info'
      this.#log[level]({ rollout: key, seq, kind, reason }, 'a rollout has moved by itself')
    }
  }

  async #hasLease(now: number): Promise<boolean> {
    const { coordination, replicaId } = this.#control
    // A clock that was set back must not make the next renewal late.
    if (now < this.#renewAt && this.#renewAt - now <= this.#leaseMs / RENEWALS_PER_LEASE) return this.#holdsUntil > now
    const held = this.#holdsUntil > now
    const takes = await coordination.lease(LEASE, replicaId, this.#leaseMs)
    // By the time it was asked for: the store may have begun to count a moment later, never earlier.
    this.#holdsUntil = takes ? now + this.#leaseMs : 0
    this.#renewAt = now + (takes ? this.#leaseMs / RENEWALS_PER_LEASE : CHECK_MS)
    if (takes && !held) this.#log.info({ replica: replicaId }, 'this replica drives the rollouts')
    return takes
  }
}

/** Whether a rollout does anything by itself now, or would if it was not paused. */
function isDriven(rollout: Rollout): boolean {
  const index = stageUnderWay(rollout)
  if (rollout.state !== 'running' || index === null) return false
  const { rules, progress } = stageAt(rollout, index)
  return progress.state !== 'waiting' || rules.auto
}

/** The store is away or did not answer: the next look comes, and the replica says what is wrong. */
function isAway(error: unknown): boolean {
  return error instanceof StoreUnavailable || error instanceof StoreOutcomeUnknown
}
