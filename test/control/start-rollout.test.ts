// Beginning the rollout of a release by hand.
import t from 'tap'
import type { RolloutOutcome } from '../../src/control/rollout-result.ts'
import { startRollout } from '../../src/control/start-rollout.ts'
import {
  channelDocument,
  fleet,
  pipelineDocument,
  releaseDocument,
  rolloutDocument,
  waiting,
} from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { REAL, type CommandRig } from '../fixtures/command-rig.ts'
import { doneWith, movedFrom, RELEASE, someStage } from '../fixtures/rollout-samples.ts'

const ASKED = { pipeline: 'cloud', release: RELEASE }
const BAD = { reason: 'crashes', by: 'ada', at: '2026-02-28T23:00:00.000Z' }

function start(rig: CommandRig, release = RELEASE): Promise<RolloutOutcome> {
  return startRollout(rig.control, rig.request(), { pipeline: 'cloud', release }, REAL)
}

t.test('it is tried, made once, and answered again', (t) =>
  proveCommand(t, {
    documents: [fleet()],
    run: ({ control }, request, dryRun) => startRollout(control, request, ASKED, { ...REAL, dryRun }),
    ...{ kind: 'rollout.start', done: 'done' },
  }),
)

t.test('it begins by the rules that the pipeline has, and moves no channel', async (t) => {
  const rig = await started(t, fleet(), pipelineDocument([someStage('canary')]))
  const body = { state: 'running', pipelineRevision: 2, startedBy: 'grace/token-9', stages: [{ state: 'waiting' }] }
  t.match(await start(rig, `v${RELEASE}`), {
    outcome: 'done',
    document: { revision: 1, body },
    moves: [],
    superseded: [],
  })
  t.same((await rig.entries())[0]?.subjects, [`rollout/cloud/${RELEASE}`, 'rollout-index/under-way'])
})

t.test('where a newer release has moved already it is over at once', async (t) => {
  const newer = rolloutDocument([{ rules: someStage('canary'), progress: doneWith('canary') }], { release: '15.3.0' })
  const rig = await started(t, { ...fleet(), ...newer })
  t.match(await start(rig), { document: { body: { state: 'superseded', supersededBy: '15.3.0' } } })
  t.same((await rig.entries())[0]?.subjects, [`rollout/cloud/${RELEASE}`])
})

t.test('one that was superseded begins again, and knows what it had moved', async (t) => {
  const stages = [{ rules: someStage('canary'), progress: doneWith('canary') }]
  const rig = await started(t, {
    ...fleet(),
    ...rolloutDocument(stages, { state: 'superseded', supersededBy: '15.3.0' }),
  })
  const stage = { name: 'canary', state: 'waiting', moved: movedFrom('15.1.4', 'canary') }
  t.match(await start(rig), { outcome: 'done', document: { revision: 2, body: { state: 'running', stages: [stage] } } })
})

t.test(
  'it needs a pipeline, and a release with packages that was not taken back, without a rollout there',
  async (t) => {
    const cases = [
      { documents: channelDocument('a'), problem: 'unknown_pipeline' },
      { documents: pipelineDocument(), problem: 'unknown_release' },
      { documents: { ...pipelineDocument(), ...releaseDocument({ kind: 'control-plane' }) }, problem: 'no_packages' },
      { documents: { ...pipelineDocument(), ...releaseDocument({ bad: BAD }) }, problem: 'release_over' },
      { documents: { ...pipelineDocument(), ...releaseDocument({ withdrawn: BAD }) }, problem: 'release_over' },
      { documents: waiting(), problem: 'rollout_exists' },
    ]
    for (const { documents, problem } of cases) {
      const rig = await started(t, documents)
      t.match(await start(rig), { outcome: 'refused', problem })
      t.equal(rig.commits.length, 0)
    }
  },
)
