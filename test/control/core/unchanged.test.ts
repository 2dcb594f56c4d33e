// Requests that have changed nothing, remembered under their key: a hint, so that whatever is wrong with it they are carried out.
import t from 'tap'
import { earlierUnchanged, rememberUnchanged } from '../../../src/control/core/unchanged.ts'
import { changeChannel } from '../../../src/control/change-channel.ts'
import { channelDocument } from '../../fixtures/command-documents.ts'
import { CommandRig, REAL, retryable } from '../../fixtures/command-rig.ts'

const DAY_MS = 24 * 3_600_000

t.test('a request is remembered by its actor and key, for a day', async (t) => {
  const rig = await CommandRig.start(t.teardown)
  const { request } = retryable(rig, 'one')
  t.equal(await earlierUnchanged(rig.control, request), null)
  await rememberUnchanged(rig.control, request, 'channel/a')
  t.strictSame(await earlierUnchanged(rig.control, request), { key: 'channel/a' })
  t.strictSame(await earlierUnchanged(rig.control, { ...request, requestHash: 'other' }), { outcome: 'key-reused' })
  t.equal(await earlierUnchanged(rig.control, { ...request, actor: 'heidi/token-8' }), null)
  t.equal(await earlierUnchanged(rig.control, { ...request, requestId: 'two' }), null)
  await rig.clock.advance(DAY_MS - 1)
  t.strictSame(await earlierUnchanged(rig.control, request), { key: 'channel/a' })
  await rig.clock.advance(1)
  t.equal(await earlierUnchanged(rig.control, request), null)
})

t.test('nothing is remembered of a request whose caller did not choose its id', async (t) => {
  const rig = await CommandRig.start(t.teardown)
  const remembered: string[] = []
  const control = rig.with({ remember: async (name) => void remembered.push(name) })
  await rememberUnchanged(control, rig.request(), 'channel/a')
  await rememberUnchanged(control, { ...retryable(rig, 'one').request, mayBeRetry: false }, 'channel/a')
  t.strictSame(remembered, [])
  await rememberUnchanged(control, retryable(rig, 'x'.repeat(500)).request, 'channel/a')
  t.match(remembered, [/^unchanged:[0-9a-f]{64}$/], 'under a name of fixed length')
})

t.test('where the memory fails or has junk, the request is carried out', async (t) => {
  const rig = await CommandRig.start(t.teardown, channelDocument('a'))
  const fails = rig.with({
    remember: () => Promise.reject(new Error('away')),
    remembered: () => Promise.reject(new Error('away')),
  })
  const { request } = retryable(rig, 'one')
  const describe = { name: 'a', change: { kind: 'edit', description: '' }, force: false, ...REAL } as const
  t.match(await changeChannel(fails, { ...request, ...describe }), { outcome: 'changed', record: { revision: 1 } })
  t.match(await changeChannel(fails, { ...request, ...describe }), { outcome: 'changed', record: { revision: 1 } })
  for (const junk of ['', '{', 'null', '7', '[]', '{"hash":1,"key":2}', '{"hash":"asked"}']) {
    const control = rig.with({ remembered: async () => junk })
    t.equal(await outcome(earlierUnchanged(control, request)), null, junk)
    t.match(await changeChannel(control, { ...request, ...describe }), { outcome: 'changed' }, junk)
  }
  t.equal(rig.commits.length, 0)
})

async function outcome<T>(running: Promise<T>): Promise<T | string> {
  return running.catch(String)
}
