// Drives rollouts: promotes automatic stages, takes ramps further, ends soakings, and pauses where gates fail or packages are
// gone. One replica at a time does, the one that has the lease; that two do for a moment promotes nothing twice, since every step
// is committed against the rollout as it was decided on.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { isHeldBack, stageUnderWay, type GateSamples } from '../rollouts/advance.ts'
import { overtakenNow } from '../rollouts/promotion.ts'
import { rolloutKey, rolloutOf, stageAt, type Rollout } from '../rollouts/rollout.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import { timesOf } from '../serve/trusted-clock.ts'
import { CommitTooLarge, StoreOutcomeUnknown, StoreUnavailable, type Document } from '../store/port.ts'
import { lapsed } from './change-release.ts'
import { currentState, type Control, type Request } from './control.ts'
import { carryOut, fitting, nothing, readOf } from './decide.ts'
import { GateWatch, type EvaluateGate } from './gate-watch.ts'
import { SYSTEM_ACTOR } from './journal-lapses.ts'
import { decideNext, decidePause, NOTHING, type Driven, type Prepared } from './next-step.ts'
import { PackageWatch } from './package-watch.ts'
import { channelsIn, earlyFacts, runningOf } from './rollout-facts.ts'
import { outcomeOf, planWrites, runningRollouts } from './rollouts.ts'
import { rolloutDocuments } from './start-rollouts.ts'

const LEASE = 'rollouts'
/** The longest that nobody drives after the one that did has died. */
const LEASE_MS = 15_000
const RENEWALS_PER_LEASE = 3
/** How often it is looked what rollouts wait for. */
const CHECK_MS = 1_000
/** Overtaken rollouts ended in one commit. */
const ENDED_AT_ONCE_MAX = 200
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
  readonly #request: Request = {
    actor: SYSTEM_ACTOR,
    reason: null,
    requestId: null,
    mayBeRetry: false,
    onCommitted: () => {},
  }
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
    await this.#endOvertaken(running)
    for (const [index, { key }] of running.entries()) {
      // A rollout can have 900 channels; polls are answered in between.
      if (index > 0) await nextTurn()
      if (this.#stopped) return
      await this.#drive(key).catch(async (error: unknown) => {
        if (isAway(error)) throw error
        // No retry makes it smaller: people must see to it.
        if (error instanceof CommitTooLarge) await this.#pause(key, `its next step is too large: ${error.message}`)
        else this.#log.warn({ err: error, rollout: key }, 'a rollout could not be driven')
      })
    }
  }

  /** Ends what newer releases have overtaken: where it was much, the promotion's own commit had no room for all of it. */
  async #endOvertaken(running: readonly Document[]): Promise<void> {
    const control = this.#control
    const request = { ...this.#request, reason: 'a newer release has overtaken it' }
    for (const pipeline of new Set(running.map((document) => rolloutOf(document).pipeline))) {
      await carryOut<null, Driven>(control, request, {
        kind: 'rollout.supersede',
        key: null,
        dryRun: false,
        prepare: nothing,
        decide(state, { now }) {
          const all = rolloutDocuments(state, pipeline).map(rolloutOf)
          const [first, ...rest] = overtakenNow(all, now)
          if (first === undefined) return NOTHING
          const others = fitting(rest, ENDED_AT_ONCE_MAX)
          const over = [first, ...others]
          const newer = new Set(over.flatMap(({ supersededBy }) => supersededBy ?? []))
          const reads = [...newer].map((release) => readOf(state, rolloutKey(pipeline, release)))
          return { outcome: 'commit', writes: planWrites(state, first, [], others), reads }
        },
        answerOf: (entry) => outcomeOf(control, entry),
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
      if (lost !== null) await this.#pause(key, lost)
      if (lost !== null || !isDriven(rollout)) return
      const index = stageUnderWay(rollout) ?? 0
      // Also while it is paused: whoever is to resume it sees how its gates stand.
      const samples = await this.#gates.look(rollout, index)
      if (rollout.paused !== null || !(await this.#step(key, samples))) return
    }
  }

  /** Packages are gone: whatever the rollout waits for, nobody else is to be told its release before somebody has seen to it. */
  async #pause(key: string, reason: string): Promise<void> {
    const control = this.#control
    await carryOut<null, Driven>(control, this.#moving(key), {
      kind: 'rollout.pause',
      key,
      dryRun: false,
      prepare: nothing,
      decide: (state, now) => decidePause(state, now, key, reason),
      answerOf: (entry) => outcomeOf(control, entry),
    })
  }

  /** Does the next thing; false where there is nothing to do now. */
  async #step(key: string, samples: GateSamples): Promise<boolean> {
    const control = this.#control
    let hasMoved = false
    const request = this.#moving(key, () => (hasMoved = true))
    await carryOut<Prepared | null, Driven>(control, request, {
      kind: 'rollout.step',
      key,
      dryRun: false,
      prepare: () => this.#prepare(key, samples),
      decide: (state, now, prepared) => decideNext(state, now, prepared, samples),
      answerOf: (entry) => outcomeOf(control, entry),
    })
    return hasMoved
  }

  #moving(key: string, onMoved = (): unknown => null): Request {
    const onCommitted: Request['onCommitted'] = ({ seq, kind, reason }) => {
      onMoved()
      const level = kind === 'rollout.pause' ? 'warn' : 'info'
      this.#log[level]({ rollout: key, seq, kind, reason }, 'a rollout has moved by itself')
    }
    return { ...this.#request, onCommitted }
  }

  async #prepare(key: string, samples: GateSamples): Promise<Prepared | null> {
    const state = currentState(this.#control)
    const document = state.document(key)
    const rollout = document === undefined ? null : rolloutOf(document)
    const index = rollout === null ? null : stageUnderWay(rollout)
    if (document === undefined || rollout === null || index === null) return null
    // Most of the time a rollout waits for people or for time: the journal is not looked at for that, and channels only once
    // the stage has moved them.
    const { rules, progress } = stageAt(rollout, index)
    const channels = channelsIn(state, progress.state === 'waiting' ? [] : rules.channels)
    const facts = { ...earlyFacts(state, rollout, timesOf(this.#control.clock)), channels }
    if (isHeldBack(facts, index, samples)) return null
    // A pin that has ended holds its channel no longer: it is taken away before anything is decided without that channel.
    await lapsed(this.#control)
    return {
      document,
      index,
      running: runningOf(this.#control, currentState(this.#control), rollout, index, 'go on'),
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
