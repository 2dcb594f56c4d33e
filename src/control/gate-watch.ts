// Watches over the gates of stages under way: evaluates each when it is due and keeps what was found. The rules say what
// follows from it (rollouts/gate-standing.ts).
import { momentOf } from '../channels/time.ts'
import { Limiter } from '../lib/limiter.ts'
import { samplesOf, type GateSamples } from '../rollouts/advance.ts'
import { fillQuery, queryValues } from '../rollouts/gate-query.ts'
import type { Gate } from '../rollouts/pipeline.ts'
import { rolloutKey, rolloutOf, stageAt, type GateReading, type GateSample, type Rollout } from '../rollouts/rollout.ts'
import type { Control } from './control.ts'
import { forgetSamples, notedSamples, noteSamples, withSample } from './gate-samples.ts'

/** Asks a gate's server once; never rejects. */
export type EvaluateGate = (gate: Gate) => Promise<GateReading>

/** So many gates are asked at once; the others wait for their turn. */
const EVALUATIONS_AT_ONCE_MAX = 20
/** Gates of paused rollouts besides: they are asked for people to see, and must not keep a soaking from being watched. */
const PAUSED_AT_ONCE_MAX = 4

interface Watched {
  readonly rollout: Rollout
  readonly stage: string
  /** Whether what other replicas have found was read. */
  isLearned: boolean
  samples: GateSamples
  /** Gates that are being asked, or wait for it, `aside` where among those of paused rollouts. */
  readonly asking: Map<string, 'asked' | 'waits' | 'waits aside'>
}

export class GateWatch {
  readonly #control: Control
  readonly #evaluate: EvaluateGate
  readonly #watched = new Map<string, Watched>()
  readonly #places = new Limiter(EVALUATIONS_AT_ONCE_MAX)
  readonly #pausedPlaces = new Limiter(PAUSED_AT_ONCE_MAX)

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
      watched = { rollout, stage: progress.name, isLearned: false, samples: {}, asking: new Map() }
      this.#watched.set(id, watched)
    }
    if (!watched.isLearned) {
      watched.samples = await notedSamples(this.#control.coordination, rollout, progress.name)
      watched.isLearned = true
    }
    const now = this.#control.clock.now()
    const isPaused = rollout.paused !== null
    for (const gate of rules.gates) {
      const asking = watched.asking.get(gate.name)
      // Once it is resumed, a gate that has waited aside waits with the others, too: whichever turn comes first.
      if (asking === 'asked' || asking === 'waits' || (asking === 'waits aside' && isPaused)) continue
      if (!isDue(gate, watched.samples, Date.parse(progress.since ?? ''), now)) continue
      watched.asking.set(gate.name, isPaused ? 'waits aside' : 'waits')
      const places = isPaused ? this.#pausedPlaces : this.#places
      places.run(() => this.#ask(id, gate.name))
    }
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
    for (const places of [this.#places, this.#pausedPlaces]) places.clear()
  }

  /** Asks nothing more; resolves once nothing is being asked. */
  async end(): Promise<void> {
    this.forgetAll()
    await Promise.all([this.#places.idle(), this.#pausedPlaces.idle()])
  }

  async #ask(id: string, name: string): Promise<void> {
    const watched = this.#watched.get(id)
    // Its stage may be over by the time that it is its turn.
    const asking = watched?.asking.get(name)
    if (watched === undefined || asking === undefined || asking === 'asked') return
    watched.asking.set(name, 'asked')
    try {
      await this.#evaluateOnce(watched, name)
    } catch {
      // That the others are not told is no reason not to know it here.
    } finally {
      watched.asking.delete(name)
    }
  }

  async #evaluateOnce(watched: Watched, name: string): Promise<void> {
    const now = this.#gateNow(watched, name)
    if (now === null) return
    const { gate, rollout, index } = now
    // By when it was asked: what comes back after the next step has begun is of the one before.
    const at = momentOf(this.#control.clock.now())
    const query = fillQuery(gate.query, queryValues(rollout, index))
    const reading =
      query.outcome === 'unparsed'
        ? unevaluated(query.message)
        : await this.#evaluate({ ...gate, query: query.value }).catch(unevaluated)
    // A re-base can have put another gate under this name meanwhile.
    if (JSON.stringify(this.#gateNow(watched, name)?.gate) !== JSON.stringify(gate)) return
    const samples = withSample(samplesOf(watched.samples, name), { at, ...reading })
    watched.samples = { ...watched.samples, [name]: samples }
    await noteSamples(this.#control.coordination, watched.rollout, { stage: watched.stage, gate: name }, samples)
  }

  /** The gate as the rollout's rules have it now, which are others after a re-base, and the stage that it is of. */
  #gateNow(
    { rollout: { pipeline, release }, stage }: Watched,
    name: string,
  ): { readonly gate: Gate; readonly rollout: Rollout; readonly index: number } | null {
    const document = this.#control.replica.state?.document(rolloutKey(pipeline, release))
    if (document === undefined) return null
    const rollout = rolloutOf(document)
    const index = rollout.rules.stages.findIndex((one) => one.name === stage)
    const gate = rollout.rules.stages[index]?.gates.find((one) => one.name === name)
    return gate === undefined ? null : { gate, rollout, index }
  }
}

/** A gate that cannot even be asked must not look like one that was not asked yet. */
function unevaluated(error: unknown): GateReading {
  return { value: null, verdict: 'error', detail: error instanceof Error ? error.message : String(error) }
}

/** A step of the ramp and a soaking begin with an evaluation, whenever the last one was. */
function isDue({ name, everySeconds }: Gate, samples: GateSamples, since: number, now: number): boolean {
  const last: GateSample | undefined = samplesOf(samples, name).at(-1)
  // A clock that was set back puts the beginning ahead; that is no reason to ask all the time.
  if (last === undefined || (Date.parse(last.at) < since && since <= now)) return true
  // A clock that was set back must not put it off.
  return Math.abs(now - Date.parse(last.at)) >= everySeconds * 1_000
}

function idOf({ pipeline, release }: Rollout, stage: string): string {
  return `${pipeline}/${release}/${stage}`
}
