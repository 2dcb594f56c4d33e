// Drives rollouts: promotes automatic stages, takes ramps further, ends soakings, and pauses where gates fail or packages are
// gone. One replica at a time does, the one that has the lease; that two do for a moment promotes nothing twice, since every step
// is committed against the rollout as it was decided on.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { stageUnderWay } from '../rollouts/advance.ts'
import { rolloutOf, stageAt, type Rollout } from '../rollouts/rollout.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { CommitTooLarge } from '../store/port.ts'
import { currentState, type Control } from './control.ts'
import { isStoreAway, LeaderTask } from './core/leader-task.ts'
import { runningRollouts } from './find-rollout.ts'
import { GateWatch, type EvaluateGate } from './gate-watch.ts'
import { endOvertaken, pauseByItself, takeNextStep, type OnMoved } from './next-step.ts'
import { PackageWatch } from './package-watch.ts'

const LEASE = 'rollouts'
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
  readonly #gates: GateWatch
  readonly #packages: PackageWatch
  readonly #task: LeaderTask

  constructor(control: Control, evaluate: EvaluateGate, log: ReplicaLog, leaseMs?: number) {
    this.#control = control
    this.#log = log
    this.#gates = new GateWatch(control, evaluate)
    this.#packages = new PackageWatch(control)
    this.#task = new LeaderTask(control, {
      lease: LEASE,
      leaseMs,
      // Stages end by time, and a promotion cannot be undone.
      needsConfirmedClock: true,
      log,
      failure: 'the rollouts could not be looked at',
      isNeeded: (state) => this.#isNeeded(state),
      taken: () => log.info({ replica: control.replicaId }, 'this replica drives the rollouts'),
      lead: (state, signal) => this.#lead(state, signal),
      follow: () => this.#forgetAll(),
      end: () => this.#gates.end(),
    })
  }

  start(): void {
    this.#task.start()
  }

  stop(): Promise<void> {
    return this.#task.stop()
  }

  /** Does everything that is due now. */
  look(): Promise<void> {
    return this.#task.look()
  }

  #isNeeded(state: ReplicaState): boolean {
    if (runningRollouts(state).length > 0) return true
    this.#packages.forgetAll()
    return !this.#gates.isIdle
  }

  /** What gates and packages were found to be is the next leader's to find. */
  #forgetAll(): void {
    this.#gates.forgetAll()
    this.#packages.forgetAll()
  }

  async #lead(state: ReplicaState, signal: AbortSignal): Promise<void> {
    const running = runningRollouts(state)
    const rollouts = running.map(rolloutOf)
    await this.#gates.dropOthers(rollouts)
    this.#packages.look(state, rollouts)
    for (const pipeline of new Set(rollouts.map((rollout) => rollout.pipeline)))
      await endOvertaken(this.#control, pipeline)
    for (const [index, { key }] of running.entries()) {
      // A rollout can have 900 channels; polls are answered in between.
      if (index > 0) await nextTurn()
      if (signal.aborted) return
      await this.#drive(key).catch(async (error: unknown) => {
        if (isStoreAway(error)) throw error
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
}

/** Whether a rollout does anything by itself now, or would if it was not paused. */
function isDriven(rollout: Rollout): boolean {
  const index = stageUnderWay(rollout)
  if (rollout.state !== 'running' || index === null) return false
  const { rules, progress } = stageAt(rollout, index)
  return progress.state !== 'waiting' || rules.auto
}
