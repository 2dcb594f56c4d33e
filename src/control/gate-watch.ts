// Watches over the gates of stages under way: evaluates each when it is due and keeps what was found. The rules say what
// follows from it (rollouts/gate-standing.ts).
import { momentOf } from '../channels/time.ts'
import { samplesOf, type GateSamples } from '../rollouts/advance.ts'
import type { Gate } from '../rollouts/pipeline.ts'
import { stageAt, type GateReading, type GateSample, type Rollout } from '../rollouts/rollout.ts'
import type { Control } from './control.ts'
import { forgetSamples, notedSamples, noteSamples, withSample } from './gate-samples.ts'

/** Asks a gate's server once; never rejects. */
export type EvaluateGate = (gate: Gate) => Promise<GateReading>

/** So many gates are asked at once; the others wait for the next look. */
const EVALUATIONS_AT_ONCE_MAX = 20

interface Watched {
  readonly rollout: Rollout
  readonly stage: string
  /** Whether what other replicas have found was read. */
  isLearned: boolean
  samples: GateSamples
  readonly asking: Set<string>
}

export class GateWatch {
  readonly #control: Control
  readonly #evaluate: EvaluateGate
  readonly #watched = new Map<string, Watched>()
  readonly #evaluations = new Set<Promise<void>>()

  constructor(control: Control, evaluate: EvaluateGate) {
    this.#control = control
    this.#evaluate = evaluate
  }

  get isIdle(): boolean {
    return this.#watched.size === 0
  }

  /** What the gates of a stage have found, those that are due being asked meanwhile: their answers count at the next look. */
  async look(rollout: Rollout, index: number): Promise<GateSamples> {
    const { rules, progress } = stageAt(rollout, index)
    if (rules.gates.length === 0 || (progress.state !== 'promoting' && progress.state !== 'soaking')) return {}
    const id = idOf(rollout, progress.name)
    let watched = this.#watched.get(id)
    if (watched === undefined) {
      watched = { rollout, stage: progress.name, isLearned: false, samples: {}, asking: new Set() }
      this.#watched.set(id, watched)
    }
    if (!watched.isLearned) {
      watched.samples = await notedSamples(this.#control.coordination, rollout, progress.name)
      watched.isLearned = true
    }
    const now = this.#control.clock.now()
    for (const gate of rules.gates)
      if (isDue(gate, watched, Date.parse(progress.since ?? ''), now)) this.#ask(watched, gate)
    return watched.samples
  }

  /** Forgets the stages of rollouts that are not under way any more, here and for the other replicas. */
  async dropOthers(running: readonly Rollout[]): Promise<void> {
    const ids = new Set(running.flatMap((rollout) => rollout.stages.map(({ name }) => idOf(rollout, name))))
    for (const [id, { rollout }] of this.#watched) {
      if (ids.has(id)) continue
      this.#watched.delete(id)
      await forgetSamples(this.#control.coordination, rollout)
    }
  }

  /** Another replica watches now. */
  forgetAll(): void {
    this.#watched.clear()
  }

  /** Resolves once nothing is being asked. */
  async idle(): Promise<void> {
    await Promise.all(this.#evaluations)
  }

  #ask(watched: Watched, gate: Gate): void {
    if (this.#evaluations.size >= EVALUATIONS_AT_ONCE_MAX) return
    watched.asking.add(gate.name)
    const evaluation = this.#evaluateOnce(watched, gate)
      // That the others are not told is no reason not to know it here.
      .catch(() => {})
      .finally(() => {
        watched.asking.delete(gate.name)
        this.#evaluations.delete(evaluation)
      })
    this.#evaluations.add(evaluation)
  }

  async #evaluateOnce(watched: Watched, gate: Gate): Promise<void> {
    // By when it was asked: what comes back after the next step has begun is of the one before.
    const at = momentOf(this.#control.clock.now())
    const reading = await this.#evaluate(gate).catch(unevaluated)
    const samples = withSample(samplesOf(watched.samples, gate.name), { at, ...reading })
    watched.samples = { ...watched.samples, [gate.name]: samples }
    await noteSamples(this.#control.coordination, watched.rollout, watched.stage, gate.name, samples)
  }
}

/** A gate that cannot even be asked must not look like one that was not asked yet. */
function unevaluated(error: unknown): GateReading {
  return { value: null, verdict: 'error', detail: error instanceof Error ? error.message : String(error) }
}

/** A step of the ramp and a soaking begin with an evaluation, whenever the last one was. */
function isDue({ name, everySeconds }: Gate, { samples, asking }: Watched, since: number, now: number): boolean {
  if (asking.has(name)) return false
  const last: GateSample | undefined = samplesOf(samples, name).at(-1)
  // A clock that was set back puts the beginning ahead; that is no reason to ask all the time.
  if (last === undefined || (Date.parse(last.at) < since && since <= now)) return true
  // A clock that was set back must not put it off.
  return Math.abs(now - Date.parse(last.at)) >= everySeconds * 1_000
}

function idOf({ pipeline, release }: Rollout, stage: string): string {
  return `${pipeline}/${release}/${stage}`
}
