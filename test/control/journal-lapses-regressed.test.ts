// Expiries while the store has gone back: they take effect, and nothing is written to a store that is not followed.
import t from 'tap'
import { recordExpiries } from '../../src/control/core/record-expiries.ts'
import { AllowedHosts } from '../../src/control/allowed-hosts.ts'
import { openOutside } from '../../src/open-outside.ts'
import { Upstreams } from '../../src/control/upstreams.ts'
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts'
import { writeLastKnownGood } from '../../src/store/last-known-good.ts'
import { localCoordination } from '../../src/store/local-coordination.ts'
import { NOW, sourceOf } from '../fixtures/channel-samples.ts'
import { replicaOver } from '../fixtures/poll-store.ts'
import { channelDocument } from '../fixtures/poll-worlds.ts'
import { commit, put } from '../fixtures/store-changes.ts'
import { freshFolder } from '../fixtures/store-process.ts'

t.test('nothing is journaled in a store that has gone back', async (t) => {
  const store = await openEmbeddedStore(await freshFolder(t))
  t.teardown(() => store.close())
  const criticalUntil = new Date(NOW + 1_000).toISOString()
  const document = channelDocument('a', 1, { source: sourceOf('15.1.4', { critical: true, criticalUntil }) })
  await commit(store, [put('channel/a', 0, document.body)])
  const dataDir = await freshFolder(t)
  // The same document at the same revision, so that a commit against it would succeed.
  await writeLastKnownGood(dataDir, { documents: [document], seq: 9, mark: 'm', epoch: 'another' }, NOW)
  const { replica, clock } = replicaOver(store, dataDir)
  await replica.start()
  t.equal(replica.status, 'store regressed')
  await clock.advance(5_000)
  t.strictSame(replica.state?.lapsed(clock.now()), ['a'], 'it has lapsed')
  const coordination = localCoordination(() => clock.now())
  const upstreams = new Upstreams(new AllowedHosts(null, 'BELLWETHER_UPSTREAM_ALLOW'))
  const outside = openOutside({ gatesAllow: [], packagesAllow: null })
  const shared = { store, coordination, replica, upstreams, outside, clock }
  const control = { ...shared, replicaId: 'one', processToken: 'a1b2c3d4', warnings: () => [], count: () => {} }
  await recordExpiries(control)
  t.equal((await store.load()).seq, 1)
  await replica.stop()
})
