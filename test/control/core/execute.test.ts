// The loop that carries every command out, with commands that put one document: when it prepares and decides again, what it
// answers to a retry, and what it does where nothing is to be changed.
import t from 'tap'
import type { Control, Request } from '../../../src/control/control.ts'
import {
  commitWith,
  executeCommand,
  leaveUnchanged,
  replyWith,
  type Command,
} from '../../../src/control/core/execute.ts'
import { documentAfter } from '../../../src/control/core/transaction.ts'
import type { Replica } from '../../../src/serve/replica.ts'
import { StoreUnavailable, type JsonObject } from '../../../src/store/port.ts'
import { inHours, pinOf, HOUR_MS } from '../../fixtures/channel-samples.ts'
import { channelDocument } from '../../fixtures/command-documents.ts'
import { CommandRig, retryable } from '../../fixtures/command-rig.ts'

const KEY = 'note/a'
const body = (text: string): JsonObject => ({ text })

interface Answer {
  readonly outcome: string
  readonly text: unknown
  readonly extra: string | null
}

/** Puts a text unless it is there; `more` replaces parts of the command. */
function putText(text: string, more: Partial<Command<Answer, string>> = {}): Command<Answer, string> {
  return {
    kind: 'note.put',
    dryRun: false,
    run(tx) {
      const document = tx.get(KEY)
      if (document?.body['text'] === text) return leaveUnchanged(document)
      tx.put(KEY, body(text))
      return commitWith('extra')
    },
    reply: (applied, extra) => ({ outcome: 'put', text: documentAfter(applied, KEY).body['text'], extra }),
    replyUnchanged: (document) => ({ outcome: 'unchanged', text: document.body['text'], extra: null }),
    ...more,
  }
}

/** The control with a replica that follows nothing, or whose waits end early. */
function withReplica({ control }: CommandRig, more: Partial<Pick<Replica, 'fault' | 'state' | 'until'>>): Control {
  const { replica } = control
  const stub = { state: replica.state, fault: null, problem: null, until: replica.until.bind(replica), ...more }
  // Commands use no other member of it.
  return { ...control, replica: stub as unknown as Replica }
}

t.test('a command is committed as its request says, or by the kind and reason of its decision', async (t) => {
  const rig = await CommandRig.start(t.teardown)
  const { request, told } = retryable(rig, 'one')
  t.strictSame(await executeCommand(rig.control, request, putText('x')), { outcome: 'put', text: 'x', extra: 'extra' })
  const run: Command<Answer, string>['run'] = (tx) => {
    tx.put(KEY, body('y'))
    return commitWith('', { kind: 'note.other', reason: 'as decided' })
  }
  await executeCommand(rig.control, rig.request(), putText('y', { run }))
  const [first, second] = await rig.entries()
  t.match(first, { kind: 'note.put', reason: 'because', actor: 'grace/token-9', requestHash: 'asked' })
  t.match(second, { kind: 'note.other', reason: 'as decided', requestId: null })
  t.strictSame(told, { committed: [{ seq: first?.seq, repeated: false }], previewed: [], unchanged: [] })
  t.strictSame(rig.counted, ['commit note.put', 'commit note.other'])
})

t.test('what is read in prepare must not change before the decision: it is prepared again', async (t) => {
  const rig = await CommandRig.start(t.teardown, { [KEY]: body('a'), 'note/b': body('b') })
  const prepared: unknown[] = []
  const prepare: NonNullable<Command<Answer, string>['prepare']> = async (tx) => {
    prepared.push(tx.get(KEY)?.body['text'])
    const slow = prepared.length === 1 ? { [KEY]: body('changed') } : { 'note/b': body('not read') }
    await rig.write(slow)
    return null
  }
  await executeCommand(rig.control, rig.request(), putText('x', { prepare }))
  t.strictSame(prepared, ['a', 'changed'], 'once more, and not for what it did not read')
  t.strictSame(
    rig.commits.map(({ outcome }) => outcome),
    ['committed'],
    'nothing was tried on what was read first',
  )
})

t.test('each attempt has a transaction of its own, at the time of its decision', async (t) => {
  const rig = await CommandRig.start(t.teardown)
  const times: number[] = []
  const run: Command<Answer, string>['run'] = (tx) => {
    times.push(tx.now)
    if (times.length === 1) tx.put('note/only-first', body(''))
    tx.put(KEY, body('x'))
    return commitWith('')
  }
  rig.between = async () => {
    rig.clock.jump(5)
    await rig.writeBehind({ [KEY]: body('theirs') })
  }
  await executeCommand(rig.control, rig.request(), putText('x', { run }))
  t.equal((times[1] ?? 0) - (times[0] ?? 0), 5)
  t.strictSame((await rig.entries())[0]?.subjects, [KEY])
})

t.test(
  'it is contended after as many attempts as it has, or where the change of another is not seen in time',
  async (t) => {
    const rig = await CommandRig.start(t.teardown)
    let round = 0
    const lose = async (): Promise<void> => {
      round += 1
      await rig.writeBehind({ [KEY]: body(`theirs ${round}`) })
      rig.between = lose
    }
    rig.between = lose
    t.strictSame(await executeCommand(rig.control, rig.request(), putText('x', { attempts: 3 })), {
      outcome: 'contended',
    })
    t.equal(round, 3)
    t.strictSame(rig.counted, ['conflict note.put', 'conflict note.put', 'conflict note.put'])
    rig.between = () => rig.writeBehind({ [KEY]: body('once more') })
    const blind = withReplica(rig, { until: async () => false })
    t.strictSame(await executeCommand(blind, rig.request(), putText('x')), { outcome: 'contended' })
    t.equal(rig.commits.length, 4)
  },
)

t.test('a change that is durable but not served here is answered as such, and is not decided again', async (t) => {
  const rig = await CommandRig.start(t.teardown)
  const { request, told } = retryable(rig, 'one')
  const blind = withReplica(rig, { until: async () => false })
  t.strictSame(await executeCommand(blind, request, putText('x')), { outcome: 'not-served-yet', seq: 1 })
  t.strictSame(told.committed, [{ seq: 1, repeated: false }], 'its caller knows of the entry')
  t.strictSame(await executeCommand(blind, request, putText('x')), { outcome: 'not-served-yet', seq: 1 }, 'a retry too')
  t.equal(rig.commits.length, 1)
})

t.test('while the store is not followed nothing is decided', async (t) => {
  const rig = await CommandRig.start(t.teardown)
  const away = withReplica(rig, { fault: new StoreUnavailable('it is away') })
  await t.rejects(executeCommand(away, rig.request(), putText('x')), StoreUnavailable)
  const empty = withReplica(rig, { state: null })
  await t.rejects(executeCommand(empty, rig.request(), putText('x', { dryRun: true })), StoreUnavailable)
  t.equal(rig.commits.length, 0)
})

t.test('a retry is answered from its entry, without what only its decision knew', async (t) => {
  const rig = await CommandRig.start(t.teardown)
  await executeCommand(rig.control, retryable(rig, 'one').request, putText('x'))
  await rig.write({ [KEY]: body('changed since') })
  const { request, told } = retryable(rig, 'one')
  const again = await executeCommand(rig.control, request, putText('x'))
  t.strictSame(again, { outcome: 'put', text: 'x', extra: null })
  t.match(told.committed, [{ seq: 1, repeated: true }])
  t.equal(rig.commits.length, 1)
  const other = retryable(rig, 'one', 'another question')
  t.strictSame(await executeCommand(rig.control, other.request, putText('y')), { outcome: 'key-reused' })
  t.strictSame(other.told.committed, [], 'and nothing is said of the entry of the other request')
  const somebody: Request = { ...retryable(rig, 'one').request, actor: 'heidi/token-8' }
  t.match(await executeCommand(rig.control, somebody, putText('y')), { outcome: 'put' }, 'ids are those of each actor')
})

t.test('of two tries at once one is committed, and the other is answered from its entry', async (t) => {
  const rig = await CommandRig.start(t.teardown)
  const first = retryable(rig, 'one')
  const second = retryable(rig, 'one')
  const different = retryable(rig, 'one', 'another question')
  const ask = ({ request }: typeof first): Promise<unknown> => executeCommand(rig.control, request, putText('x'))
  let others: Promise<unknown>[] = []
  rig.between = async () => {
    others = [ask(second), ask(different)]
    // Both have looked for an earlier entry by now, and found none.
    while (rig.commits.length < 3) await new Promise((resolve) => setImmediate(resolve))
  }
  const answers = [await ask(first), ...(await Promise.all(others))]
  t.strictSame(
    answers.map((answer) => (answer as Answer).outcome).toSorted(),
    ['key-reused', 'put', 'put'],
    'the one with another question is refused',
  )
  t.strictSame(
    [...first.told.committed, ...second.told.committed]
      .map(({ repeated }) => Number(repeated))
      .toSorted((a, b) => a - b),
    [0, 1],
  )
  t.strictSame(different.told.committed, [])
  t.equal((await rig.entries()).length, 1)
})

t.test('a dry run is counted and previewed, never looked up, and never written', async (t) => {
  const rig = await CommandRig.start(t.teardown)
  await executeCommand(rig.control, retryable(rig, 'one').request, putText('x'))
  const { request, told } = retryable(rig, 'one', 'another question')
  const answer = await executeCommand(rig.control, request, putText('y', { dryRun: true }))
  t.strictSame(answer, { outcome: 'put', text: 'y', extra: 'extra' })
  t.match(told, { committed: [], previewed: [{ subjects: [KEY], changes: [{ key: KEY, after: { revision: 2 } }] }] })
  const same = retryable(rig, 'two')
  t.match(await executeCommand(rig.control, same.request, putText('x', { dryRun: true })), { outcome: 'unchanged' })
  t.match(
    await executeCommand(rig.control, same.request, putText('y')),
    { outcome: 'put' },
    'nothing is remembered of it',
  )
  t.same(rig.counted, ['commit note.put', 'dry_run note.put', 'dry_run note.put', 'commit note.put'])
})

t.test(
  'a request that changes nothing changes nothing when it is sent again, whatever has happened since',
  async (t) => {
    const rig = await CommandRig.start(t.teardown, { [KEY]: body('x') })
    const first = retryable(rig, 'one')
    t.strictSame(await executeCommand(rig.control, first.request, putText('x')), {
      outcome: 'unchanged',
      text: 'x',
      extra: null,
    })
    await rig.write({ [KEY]: body('y') })
    const second = retryable(rig, 'one')
    t.match(await executeCommand(rig.control, second.request, putText('x')), { outcome: 'unchanged', text: 'y' })
    t.strictSame([first.told.unchanged, second.told.unchanged], [[false], [true]])
    const other = retryable(rig, 'one', 'another question').request
    t.strictSame(await executeCommand(rig.control, other, putText('x')), { outcome: 'key-reused' })
    t.equal(rig.commits.length, 0)
    await rig.write({ [KEY]: null })
    t.match(
      await executeCommand(rig.control, second.request, putText('x')),
      { outcome: 'contended' },
      'nor once it is gone',
    )
    t.same(rig.counted, ['unchanged note.put'])
  },
)

t.test('a refusal writes nothing, and a command that cannot be unchanged says so', async (t) => {
  const rig = await CommandRig.start(t.teardown, { [KEY]: body('x') })
  const no = { outcome: 'refused', text: null, extra: null }
  const { request, told } = retryable(rig, 'one')
  t.strictSame(await executeCommand(rig.control, request, putText('y', { run: () => replyWith(no) })), no)
  t.strictSame(told, { committed: [], previewed: [], unchanged: [] })
  const { replyUnchanged: _, ...rest } = putText('x')
  await t.rejects(executeCommand(rig.control, rig.request(), rest), /note\.put cannot say that nothing is changed/)
  t.equal(rig.commits.length, 0)
})

t.test('expiries are recorded first where a command asks for that, but not for a dry run', async (t) => {
  const rig = await CommandRig.start(
    t.teardown,
    channelDocument('cloud', { pin: pinOf('15.1.3', { until: inHours(1) }) }),
  )
  rig.clock.jump(2 * HOUR_MS)
  await executeCommand(rig.control, rig.request(), putText('x', { recordExpiries: 'tried', dryRun: true }))
  await executeCommand(rig.control, rig.request(), putText('x'))
  await executeCommand(rig.control, rig.request(), putText('y', { recordExpiries: 'tried' }))
  t.strictSame(
    (await rig.entries()).map(({ kind }) => kind),
    ['note.put', 'channel.expire', 'note.put'],
  )
})
