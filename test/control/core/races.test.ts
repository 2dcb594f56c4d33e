// Every command against another writer who changes a document between its decision and its commit: each document that it reads or
// writes, one at a time. The command must not win by the old document; it is decided again, on what the other has left.
import t from 'tap'
import type { Change, JsonObject } from '../../../src/store/port.ts'
import { deletePipeline } from '../../../src/control/delete-pipeline.ts'
import { endRollback } from '../../../src/control/end-rollback.ts'
import { putPipeline } from '../../../src/control/put-pipeline.ts'
import { registerRelease } from '../../../src/control/register-release.ts'
import { startRollout } from '../../../src/control/start-rollout.ts'
import { withdrawRelease } from '../../../src/control/withdraw-release.ts'
import { commandCases, pipelineDraft, type CommandCase } from '../../fixtures/command-cases.ts'
import { fleet, pipelineDocument, rolledBack, someBody } from '../../fixtures/command-documents.ts'
import { CommandRig, outcomeOf, REAL, type Documents } from '../../fixtures/command-rig.ts'
import { RELEASE, someStage } from '../../fixtures/rollout-samples.ts'

type Teardown = (close: () => Promise<void>) => void

/** What the other writer makes of a document. */
interface Interference {
  readonly what: string
  readonly key: string
  readonly body: JsonObject | null
}

async function started({ documents, after }: CommandCase, teardown: Teardown): Promise<CommandRig> {
  const rig = await CommandRig.start(teardown)
  for (const one of documents) await rig.write(one)
  if (after !== undefined) rig.clock.jump(after)
  return rig
}

/** The outcome of a command, its commits, and the documents after it. */
async function carriedOut(rig: CommandRig, { run }: CommandCase): Promise<{ outcome: unknown; documents: unknown }> {
  const outcome = await outcomeOf(run(rig, rig.request()))
  const documents = (await rig.documents()).toSorted((a, b) => (a.key < b.key ? -1 : 1))
  return { outcome, documents }
}

function expectationsOf({ writes, reads }: Change): ReadonlyMap<string, number> {
  return new Map([...reads, ...writes].map(({ key, expected }) => [key, expected]))
}

async function interferences(rig: CommandRig, change: Change): Promise<readonly Interference[]> {
  const bodies = new Map((await rig.documents()).map(({ key, body }) => [key, body]))
  return [...expectationsOf(change).keys()].flatMap((key): Interference[] => {
    const body = bodies.get(key)
    if (body === undefined) return [{ what: 'made', key, body: someBody(key) }]
    return [
      { what: 'written again', key, body },
      { what: 'deleted', key, body: null },
    ]
  })
}

for (const one of commandCases) {
  t.test(`${one.name}: depends on what its rule means, and loses every race for it`, async (t) => {
    const open: (() => Promise<void>)[] = []
    const teardown: Teardown = (close) => open.push(close)
    t.teardown(() => Promise.all(open.map((close) => close())))
    const alone = await started(one, teardown)
    let others: readonly Interference[] = []
    alone.between = async (change) => {
      others = await interferences(alone, change)
    }
    await one.run(alone, alone.request())
    const [commit, more] = alone.commits
    t.equal(commit?.outcome, 'committed', 'it succeeds alone')
    t.equal(more, undefined, 'by one commit')
    const expected = commit === undefined ? new Map<string, number>() : expectationsOf(commit.change)
    t.same(
      one.dependsOn.filter((key) => !expected.has(key)),
      [],
      'it expects every document that its decision depends on',
    )
    for (const { what, key, body } of others) {
      const [raced, after] = [await started(one, teardown), await started(one, teardown)]
      raced.between = () => raced.writeBehind({ [key]: body })
      const lost = await carriedOut(raced, one)
      await after.write({ [key]: body })
      const expectedThen = await carriedOut(after, one)
      const [first, ...later] = raced.commits
      t.equal(first?.outcome, 'conflict', `${key} is ${what}: the commit conflicts`)
      t.strictSame(lost.documents, expectedThen.documents, `${key} is ${what}: it leaves what it does after that`)
      if (one.choosesOnce !== true) t.strictSame(lost.outcome, expectedThen.outcome, `${key} is ${what}: its answer`)
      t.ok(
        later.every(({ outcome }) => outcome === 'committed'),
        'no second race is lost',
      )
      await Promise.all(open.splice(1).map((close) => close()))
    }
  })
}

const NO_PIPELINE = { outcome: 'refused', why: 'rollout', problem: 'unknown_pipeline' }
const ROLLOUT = { pipeline: 'cloud', release: RELEASE }

interface Pair {
  readonly name: string
  /** Written one after the other. */
  readonly documents: readonly Documents[]
  readonly first: (rig: CommandRig) => Promise<unknown>
  /** Decided and committed between the decision of the first and its commit. */
  readonly second: (rig: CommandRig) => Promise<unknown>
  readonly comesTo: object
}

const start: Pair['first'] = (rig) => startRollout(rig.control, rig.request(), ROLLOUT, REAL)
const remove: Pair['first'] = (rig) => deletePipeline(rig.control, rig.request(), 'cloud', REAL)
const resume: Pair['first'] = (rig) =>
  endRollback(rig.control, rig.request(), { ...ROLLOUT, how: 'resume', force: false }, REAL)
const take: Pair['first'] = (rig) => putPipeline(rig.control, rig.request(), pipelineDraft(['canary'], 'other'), REAL)
const withdraw: Pair['first'] = (rig) => withdrawRelease(rig.control, rig.request(), RELEASE, REAL)
const register: Pair['first'] = (rig) =>
  registerRelease(rig.control, rig.request(), { version: '15.2.5', commit: 'abcdef0', kind: 'full' }, false)
/** A rollback whose rollout has a channel that its pipeline has given up. */
const givenUp = [rolledBack(), pipelineDocument([someStage('fleet')])]
const inUse = { outcome: 'refused', problem: 'pipeline_in_use' }

const pairs: readonly Pair[] = [
  {
    name: 'a pipeline is not deleted under a rollout that starts',
    documents: [fleet()],
    first: remove,
    second: start,
    comesTo: inUse,
  },
  {
    name: 'a pipeline is not deleted under a release that is registered',
    documents: [fleet()],
    first: remove,
    second: register,
    comesTo: inUse,
  },
  {
    name: 'a pipeline is not deleted under a rollout that is resumed',
    documents: [rolledBack()],
    first: remove,
    second: resume,
    comesTo: inUse,
  },
  {
    name: 'no rollout starts in a pipeline that is deleted',
    documents: [fleet()],
    first: start,
    second: remove,
    comesTo: NO_PIPELINE,
  },
  {
    name: 'no rollout is resumed in a pipeline that is deleted',
    documents: [rolledBack()],
    first: resume,
    second: remove,
    comesTo: NO_PIPELINE,
  },
  {
    name: 'a pipeline does not take a channel of a rollout that is resumed',
    documents: givenUp,
    first: take,
    second: resume,
    comesTo: { outcome: 'refused', problem: 'channel_in_pipeline' },
  },
  {
    name: 'no rollout is resumed whose channel another pipeline takes',
    documents: givenUp,
    first: resume,
    second: take,
    comesTo: { outcome: 'refused', problem: 'channel_in_pipeline' },
  },
  {
    name: 'a withdrawal ends a rollout that starts',
    documents: [fleet()],
    first: withdraw,
    second: start,
    comesTo: { outcome: 'done', rollouts: [{ state: 'withdrawn' }] },
  },
  {
    name: 'no rollout starts of a release that is withdrawn',
    documents: [fleet()],
    first: start,
    second: withdraw,
    comesTo: { outcome: 'refused', problem: 'release_over' },
  },
]

for (const { name, documents, first, second, comesTo } of pairs) {
  t.test(`${name} meanwhile`, async (t) => {
    const rig = await CommandRig.start(t.teardown)
    for (const one of documents) await rig.write(one)
    rig.between = async () => t.match(await second(rig), { outcome: /done|deleted/ }, 'the other comes first')
    t.match(await first(rig), comesTo)
  })
}
