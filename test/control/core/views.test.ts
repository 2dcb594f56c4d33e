// Values computed from many documents: when they are computed again, and what the two that there are have in them. When their
// index documents are written is in transaction.test.ts.
import t from 'tap'
import {
  channelOwnersView,
  embargoView,
  isIndexKey,
  readView,
  underWayView,
  type View,
} from '../../../src/control/core/views.ts'
import type { ReplicaState } from '../../../src/serve/replica-state.ts'
import type { JsonObject } from '../../../src/store/port.ts'
import { inHours } from '../../fixtures/channel-samples.ts'
import {
  channelDocument,
  pipelineDocument,
  releaseDocument,
  rolledBack,
  rolloutDocument,
  someBody,
} from '../../fixtures/command-documents.ts'
import { someStage } from '../../fixtures/rollout-samples.ts'
import { stateOf } from '../../fixtures/state-of.ts'

function write(state: ReplicaState, key: string, body: JsonObject): void {
  const after = { key, revision: state.revisionOf(key) + 1, format: 1, body }
  const entry = { format: 1, at: inHours(0), actor: 'a', kind: 'k', reason: null, requestId: null, mark: 'x' }
  state.apply({ ...entry, seq: state.seq + 1, subjects: [key], changes: [{ key, before: null, after }] })
}

t.test('a view is computed once for each generation of its kinds, in each state', async (t) => {
  let computed = 0
  const view: View<number> = {
    ...{ indexKey: 'x/index', kinds: ['release', 'pipeline'], isChangedBy: () => false },
    compute: () => (computed += 1),
  }
  const state = stateOf(releaseDocument())
  t.strictSame([readView(state, view), readView(state, view)], [1, 1])
  write(state, 'channel/a', someBody('channel/a'))
  t.equal(readView(state, view), 1, 'another kind is no reason')
  write(state, 'pipeline/cloud', someBody('pipeline/cloud'))
  t.equal(readView(state, view), 2)
  t.equal(readView(stateOf({}), view), 3)
  t.equal(readView(state, { ...view }), 4, 'nor is the value of one view that of another')
})

t.test('a channel is owned by its pipeline, and by another whose rollout goes by earlier rules', async (t) => {
  const state = stateOf(
    {
      ...pipelineDocument([someStage('fleet')]),
      ...rolloutDocument([{ rules: someStage('canary') }, { rules: someStage('fleet') }], { pipelineRevision: 1 }),
      ...pipelineDocument([someStage('canary')], { name: 'other' }),
    },
    { 'pipeline/cloud': 2 },
  )
  t.strictSame(
    [...readView(state, channelOwnersView).owners],
    [
      ['fleet', ['cloud']],
      ['canary', ['other', 'cloud']],
    ],
  )
  const ended = stateOf({ ...rolledBack(), ...pipelineDocument([someStage('fleet')]) }, { 'pipeline/cloud': 2 })
  t.strictSame(
    [...readView(ended, channelOwnersView).owners],
    [['fleet', ['cloud']]],
    'a rollout that has ended owns nothing',
  )
})

t.test('a pipeline that cannot be read, or a rollout of it, may own what is in no rules', async (t) => {
  const unreadable = { 'pipeline/edge': { name: 'edge' }, 'rollout/far/15.2.0': { pipeline: 'far' } }
  const state = stateOf({ ...pipelineDocument([someStage('fleet')]), ...unreadable, 'channel/a': {} })
  const { settled, unreadable: names } = readView(state, channelOwnersView)
  t.strictSame([...settled], ['fleet'])
  t.same(names.toSorted(), ['edge', 'far'])
})

t.test('rollouts under way are those that run, of every pipeline', async (t) => {
  const state = stateOf({
    ...rolloutDocument([{ rules: someStage('a') }]),
    ...rolloutDocument([{ rules: someStage('b') }], { pipeline: 'other' }),
    ...rolloutDocument([{ rules: someStage('b') }], { pipeline: 'other', release: '15.1.9', state: 'done' }),
  })
  const keys = readView(state, underWayView).map(({ key }) => key)
  t.same(keys.toSorted(), ['rollout/cloud/15.2.0', 'rollout/other/15.2.0'])
})

t.test('embargoes are those of all releases, and everything is hidden while one cannot be read', async (t) => {
  const embargoed = releaseDocument({ security: { embargoed: true, fixes: ['CVE-2026-0001'], liftedAt: null } })
  const { embargoes, secrets } = readView(stateOf(embargoed), embargoView)
  t.match(embargoes, [{ release: '15.2.0', fixes: ['CVE-2026-0001'], liftedAt: null }])
  t.equal(secrets.isEmpty, false)
  t.equal(readView(stateOf(releaseDocument()), embargoView).secrets.isEmpty, true)
  const broken = stateOf({ ...releaseDocument(), 'release/15.3.0': { version: '15.3.0' } })
  t.equal(readView(broken, embargoView).secrets.isEmpty, false)
})

t.test('index documents say nothing to people, all others do', async (t) => {
  const keys = [
    'embargo/index',
    'pipeline-index/all',
    'rollout-index/under-way',
    'github-label-index/all',
    'pipeline/all',
    ...Object.keys(channelDocument('a')),
  ]
  t.same(keys.filter(isIndexKey), [
    'embargo/index',
    'pipeline-index/all',
    'rollout-index/under-way',
    'github-label-index/all',
  ])
})
