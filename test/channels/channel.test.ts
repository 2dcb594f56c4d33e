// How channels stand in the store.
import t from 'tap'
import { channelBody, channelKey, channelNameOf, channelOf } from '../../src/channels/channel.ts'
import { channelOf as sample, HALT, inHours, pinOf } from '../fixtures/channel-samples.ts'

t.test('the key of a channel leads back to its name, slashes and all', async (t) => {
  t.equal(channelKey('stable/cloud'), 'channel/stable/cloud')
  t.equal(channelNameOf('channel/stable/cloud'), 'stable/cloud')
  t.equal(channelNameOf(channelKey('a/b/c/d/e/f')), 'a/b/c/d/e/f')
})

t.test('the keys of other documents belong to no channel', async (t) => {
  for (const key of ['token/channel', 'channels/a', 'channel', 'blocked-version/15.1.4', ''])
    t.equal(channelNameOf(key), null, key)
})

t.test('a channel survives its document and JSON unchanged', async (t) => {
  const channel = sample({
    pin: pinOf('15.1.2', { until: inHours(1) }),
    halt: HALT,
    floor: '15.0.0',
    ceiling: '15.9.0',
  })
  const body = JSON.parse(JSON.stringify(channelBody(channel)))
  t.strictSame(channelOf({ key: channelKey(channel.name), revision: 3, format: 1, body }), channel)
})
