// Commands while what has expired cannot be recorded: changes of others go on.
import t from 'tap'
import { startPlanes } from '../fixtures/planes.ts'

t.test('a fault in recording expiries stops no block and no rollback, but an unblock', async (t) => {
  const { admin, clock } = await startPlanes(t.teardown, {
    wrapStore: (store) => ({
      ...store,
      load: (known) => store.load(known),
      follow: (after, on, signal, lane) => store.follow(after, on, signal, lane),
      journal: (query, lane) => store.journal(query, lane),
      committed: (requestId) => store.committed(requestId),
      position: () => store.position(),
      journalBegins: () => store.journalBegins(),
      startEpoch: (start) => store.startEpoch(start),
      close: () => store.close(),
      commit(change) {
        if (change.kind === 'channel.expire') throw new RangeError('an expiry that cannot be written')
        return store.commit(change)
      },
    }),
  })
  for (const name of ['cloud', 'other']) {
    await admin('POST', '/channels', { name, source: { kind: 'static', version: '14.0.0' } })
    await admin('PUT', `/channels/${name}/version`, { version: '14.0.1' })
  }
  await admin('PUT', '/channels/cloud/pin', { version: '14.0.2', until: '2026-03-01T00:00:10Z', reason: 'r' })
  await clock.advance(10_000)
  const blocked = await admin('PUT', '/blocked-versions/14.0.7', { reason: 'pulled' })
  t.equal(blocked.statusCode, 200, blocked.body)
  const rolledBack = await admin('POST', '/channels/other/rollback', { reason: 'crashes' })
  t.equal(rolledBack.statusCode, 200, rolledBack.body)
  const unblocked = await admin('DELETE', '/blocked-versions/14.0.7', { reason: 'was fine' })
  t.equal(unblocked.statusCode, 500, 'it could end a pin that must be held')
})
