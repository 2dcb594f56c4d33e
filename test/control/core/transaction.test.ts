// What a transaction records of its reads, and what it makes of the documents that are put.
import t from 'tap'
import { readerOf, Transaction } from '../../../src/control/core/transaction.ts'
import { UnreadableDocument } from '../../../src/control/core/unreadable-document.ts'
import { channelOwnersView, embargoView } from '../../../src/control/core/views.ts'
import { COMMIT_WRITES_MAX } from '../../../src/store/port.ts'
import { HOUR_MS, inHours, NOW, pinOf, sourceOf } from '../../fixtures/channel-samples.ts'
import {
  blockedDocument,
  channelDocument,
  fleet,
  pipelineDocument,
  releaseDocument,
  rolledBack,
  someBody,
  waiting,
} from '../../fixtures/command-documents.ts'
import type { Documents } from '../../fixtures/command-rig.ts'
import { stateOf } from '../../fixtures/state-of.ts'

const UNREADABLE = { 'channel/broken': { name: 'broken', source: 7 } }

function opened(
  documents: Documents,
  revisions: Readonly<Record<string, number>> = {},
  now = NOW,
  expiryTime = now,
): Transaction {
  return new Transaction(stateOf(documents, revisions), { now, expiryTime })
}

function readsOf({ reads }: Transaction): Readonly<Record<string, number>> {
  return Object.fromEntries(reads.map(({ key, expected }) => [key, expected]))
}

t.test('every way to read a document is recorded with its revision, 0 where there is none', async (t) => {
  const documents = { ...fleet(), ...blockedDocument('15.0.0'), ...UNREADABLE }
  const tx = opened(documents, { 'channel/fleet': 7, 'channel/broken': 3 })
  t.equal(tx.get('channel/fleet')?.revision, 7)
  t.equal(tx.get('channel/none'), undefined)
  t.equal(tx.get('channel/broken'), undefined, 'what cannot be read is not given')
  t.equal(tx.stored('channel/broken')?.revision, 3, 'but stored')
  t.equal(tx.readable('channel/canary')?.revision, 1)
  t.equal(tx.isBlocked('15.0.0'), true)
  t.equal(tx.isBlocked('15.0.1'), false)
  t.strictSame(readsOf(tx), {
    'channel/fleet': 7,
    'channel/none': 0,
    'channel/broken': 3,
    'channel/canary': 1,
    'blocked-version/15.0.0': 1,
    'blocked-version/15.0.1': 0,
  })
})

t.test('of a list, what is returned is recorded, not what is skipped; of a view, its index document', async (t) => {
  const tx = opened(fleet())
  const found = tx.find('channel', ({ key }) => key.endsWith('/fleet'))
  t.same(
    found.map(({ key }) => key),
    ['channel/fleet'],
  )
  t.strictSame(readsOf(tx), { 'channel/fleet': 1 })
  t.strictSame(tx.view(channelOwnersView).owners.get('canary'), ['cloud'])
  t.strictSame(readsOf(tx), { 'channel/fleet': 1, 'pipeline-index/all': 0 })
})

t.test('what is read untracked is not recorded, nor is anything by a plain reader', async (t) => {
  const state = stateOf(fleet())
  const tx = new Transaction(state, { now: NOW, expiryTime: NOW })
  tx.untracked.document('channel/fleet')
  const reader = readerOf(state)
  t.equal(reader.get('channel/fleet')?.key, 'channel/fleet')
  t.equal(reader.find('channel', () => true).length, 2)
  t.equal(reader.view(embargoView).embargoes.length, 0)
  t.strictSame(tx.reads, [])
})

t.test('a document that is put is expected by its write alone, and reads go on seeing what was there', async (t) => {
  const tx = opened(fleet(), { 'channel/fleet': 7 })
  t.equal(tx.isEmpty, true)
  tx.get('channel/fleet')
  tx.put('channel/fleet', someBody('channel/fleet'))
  tx.put('channel/new', someBody('channel/new'))
  tx.put('channel/canary', null)
  t.equal(tx.isEmpty, false)
  t.same([tx.hasPut('channel/new'), tx.hasPut('channel/other')], [true, false])
  t.equal(tx.get('channel/new'), undefined)
  t.strictSame(tx.reads, [])
  t.strictSame(
    tx.writes.map(({ key, expected, body }) => [key, expected, body === null]),
    [
      ['channel/fleet', 7, false],
      ['channel/new', 0, false],
      ['channel/canary', 1, true],
    ],
    'in the order in which they were put',
  )
})

t.test(
  'a preview is the entry that a commit would make: documents before, and after at their next revision',
  async (t) => {
    const tx = opened({ ...fleet(), ...UNREADABLE }, { 'channel/fleet': 7, 'channel/broken': 3 })
    const body = someBody('channel/fleet')
    tx.put('channel/fleet', body)
    tx.put('channel/canary', null)
    tx.overwrite('channel/broken', someBody('channel/broken'))
    const { subjects, changes } = tx.preview
    t.strictSame(subjects, ['channel/fleet', 'channel/canary', 'channel/broken'], 'the first put is the main subject')
    const [fleetChange, canaryChange, brokenChange] = changes
    t.match(fleetChange, { before: { revision: 7 }, after: { key: 'channel/fleet', revision: 8, body } })
    t.match(canaryChange, { before: { revision: 1 }, after: null })
    t.match(brokenChange, { before: { revision: 3, unreadable: String }, after: { revision: 4 } })
  },
)

t.test('an unreadable document is not put over, but it can be overwritten', async (t) => {
  const tx = opened(UNREADABLE)
  t.throws(() => tx.readable('channel/broken'), UnreadableDocument)
  t.throws(() => readerOf(tx.untracked).readable('channel/broken'), UnreadableDocument)
  t.throws(() => tx.put('channel/broken', someBody('channel/broken')), UnreadableDocument)
  t.equal(tx.isEmpty, true)
  tx.overwrite('channel/broken', null)
  t.strictSame(tx.writes, [{ key: 'channel/broken', expected: 1, body: null }])
})

t.test('it is current while every document that was read is as it was read, in the same state', async (t) => {
  const state = stateOf(fleet())
  const tx = new Transaction(state, { now: NOW, expiryTime: NOW })
  tx.get('channel/fleet')
  tx.get('channel/new')
  t.equal(tx.isCurrent(state, state), true)
  t.equal(tx.isCurrent(state, stateOf(fleet())), false, 'another state, though it is the same')
  const entry = { format: 1, at: inHours(0), actor: 'a', kind: 'k', reason: null, requestId: null, mark: 'x' }
  const put = (key: string, revision: number): void => {
    const after = { key, revision, format: 1, body: someBody(key) }
    state.apply({ ...entry, seq: state.seq + 1, subjects: [key], changes: [{ key, before: null, after }] })
  }
  put('channel/canary', 2)
  t.equal(tx.isCurrent(state, state), true, 'what was not read may change')
  put('channel/new', 1)
  t.equal(tx.isCurrent(state, state), false, 'what was not there is there')
})

const PINNED = {
  ...channelDocument('cloud', { pin: pinOf('15.1.3', { until: inHours(1) }) }),
  ...channelDocument('calm'),
}

t.test('with a block-list entry go the expiries that are due on channels at its version', async (t) => {
  const [later, key] = [NOW + 2 * HOUR_MS, 'blocked-version/15.1.4']
  const tx = opened(PINNED, {}, later)
  tx.put(key, someBody(key))
  t.equal(tx.complete(), true)
  t.strictSame(
    tx.writes.map((write) => write.key),
    [key, 'channel/cloud'],
  )
  t.match(tx.writes[1]?.body, { pin: null, updatedBy: 'bellwether', updatedAt: inHours(2) })

  const other = opened(PINNED, {}, later)
  other.put('blocked-version/15.1.5', someBody('blocked-version/15.1.5'))
  other.complete()
  t.equal(other.hasPut('channel/cloud'), false, 'not on channels at other versions')

  const staged = opened(PINNED, {}, later)
  staged.put(key, null)
  staged.put('channel/cloud', someBody('channel/cloud'))
  staged.complete()
  t.strictSame(staged.writes[1]?.body, someBody('channel/cloud'), 'a channel that the command puts stays as put')
})

t.test('nothing ends by a clock that is not confirmed', async (t) => {
  for (const confirmed of [NOW, Number.NEGATIVE_INFINITY]) {
    const tx = opened(PINNED, {}, NOW + 2 * HOUR_MS, confirmed)
    tx.put('blocked-version/15.1.4', someBody('blocked-version/15.1.4'))
    t.equal(tx.complete(), true)
    t.equal(tx.hasPut('channel/cloud'), false)
  }
})

t.test('more expiries than one commit takes make the transaction incomplete', async (t) => {
  const names = Array.from({ length: COMMIT_WRITES_MAX }, (_, index) => `c${index}`)
  const due = { source: sourceOf('15.1.4', { critical: true, criticalUntil: inHours(1) }) }
  const documents: Documents = Object.assign({}, ...names.map((name) => channelDocument(name, due)))
  const tx = opened(documents, {}, NOW + 2 * HOUR_MS)
  tx.put('blocked-version/15.1.4', someBody('blocked-version/15.1.4'))
  t.equal(tx.complete(), false)
})

const EMBARGO = { embargoed: true, fixes: ['CVE-2026-0001'], liftedAt: null }

/** Index documents that go with these documents. */
function indexesOf(before: Documents, puts: Documents): readonly string[] {
  const tx = opened(before)
  for (const [key, body] of Object.entries(puts)) tx.overwrite(key, body)
  tx.complete()
  return tx.writes.map(({ key }) => key).filter((key) => !(key in puts))
}

t.test('an index document is written when, and only when, its view may change', async (t) => {
  const embargoed = releaseDocument({ security: EMBARGO })
  t.strictSame(indexesOf({}, embargoed), ['embargo/index'], 'an embargo is opened')
  t.strictSame(indexesOf(embargoed, releaseDocument()), ['embargo/index'], 'taken away')
  t.strictSame(indexesOf(embargoed, releaseDocument({ security: EMBARGO, notesUrl: 'https://a.example.com' })), [])
  t.strictSame(indexesOf({}, releaseDocument()), [], 'a release without one')

  const [wider] = [pipelineDocument([], { description: 'none' })]
  t.strictSame(indexesOf({}, pipelineDocument()), ['pipeline-index/all'], 'a pipeline is made')
  t.strictSame(indexesOf(pipelineDocument(), wider), ['pipeline-index/all'], 'has other channels')
  t.strictSame(indexesOf(pipelineDocument(), { 'pipeline/cloud': null }), ['pipeline-index/all'], 'is deleted')
  t.strictSame(indexesOf(pipelineDocument(), pipelineDocument(undefined, { description: 'x' })), [])

  const running = waiting()
  t.strictSame(indexesOf(fleet(), running), ['rollout-index/under-way'], 'a rollout starts')
  t.strictSame(indexesOf(rolledBack(), running), ['rollout-index/under-way'], 'is resumed')
  t.strictSame(indexesOf(running, rolledBack()), [], 'ends')
  t.strictSame(indexesOf(running, waiting({ pipelineRevision: 2 })), [], 'is re-based')
})

t.test('an index document says what has changed it, and is expected at its revision', async (t) => {
  const tx = opened({ 'pipeline-index/all': { changedBy: [] } }, { 'pipeline-index/all': 4 })
  const [body] = Object.values(pipelineDocument())
  tx.put('pipeline/cloud', body ?? null)
  tx.complete()
  t.strictSame(tx.writes[1], {
    key: 'pipeline-index/all',
    expected: 4,
    body: { changedBy: ['pipeline/cloud'], at: inHours(0) },
  })
})
