// When upstreams have last answered, as another program may have written it.
import t from 'tap'
import { AllowedHosts } from '../../src/control/allowed-hosts.ts'
import { Upstreams } from '../../src/control/upstreams.ts'
import { momentOf } from '../../src/channels/time.ts'
import { localCoordination } from '../../src/store/local-coordination.ts'

t.test('a time that no moment can be written of is as good as none', async (t) => {
  const coordination = localCoordination(() => 0)
  const noted = { far: '1e300', before: '-1', none: 'NaN', last: '253402300800000', right: '1772323200000' }
  await coordination.note('upstreams', noted)
  const upstreams = new Upstreams(new AllowedHosts(null, 'BELLWETHER_UPSTREAM_ALLOW'))
  await upstreams.learn(coordination)
  t.strictSame([...upstreams.channels()], ['right'])
  t.equal(momentOf(upstreams.lastAnswerAt('right') ?? 0), '2026-03-01T00:00:00.000Z')
})
