// How blocked versions stand in the store.
import t from 'tap'
import {
  blockedVersionBody,
  blockedVersionKey,
  blockedVersionOf,
  isBlockedVersionKey,
} from '../../src/channels/blocked-version.ts'

t.test('each version has its own key on the block list, build metadata included', async (t) => {
  t.equal(blockedVersionKey('15.1.4'), 'blocked-version/15.1.4')
  t.not(blockedVersionKey('1.28.2+k3s1'), blockedVersionKey('1.28.2+k3s2'))
  t.ok(isBlockedVersionKey(blockedVersionKey('15.1.4')))
  for (const key of ['channel/blocked-version', 'blocked-versions/15.1.4', 'blocked-version'])
    t.notOk(isBlockedVersionKey(key), key)
})

t.test('a blocked version survives its document and JSON unchanged', async (t) => {
  const blocked = { version: '15.1.4', reason: 'loses data', by: 'ada', at: '2026-03-01T00:00:00.000Z' }
  const body = JSON.parse(JSON.stringify(blockedVersionBody({ ...blocked })))
  t.strictSame(blockedVersionOf({ key: blockedVersionKey('15.1.4'), revision: 1, format: 1, body }), blocked)
})
