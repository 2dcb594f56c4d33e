// What upstreams say, read as the known updaters read it: certain, or an error.
import fc from 'fast-check'
import t from 'tap'
import { readUpstreamCritical, readUpstreamVersion, saysNoTarget } from '../../src/channels/upstream-answer.ts'
import { isVersion } from '../../src/channels/version.ts'

t.test('a version is read with white space around it and a leading v', (t) => {
  for (const body of ['15.1.4', 'v15.1.4', '15.1.4\n', ' \r\n15.1.4 \t']) {
    t.same(readUpstreamVersion(body), { outcome: 'parsed', value: '15.1.4' }, JSON.stringify(body))
  }
  t.same(readUpstreamVersion('v1.28.2+k3s1\n'), { outcome: 'parsed', value: '1.28.2+k3s1' })
  for (const body of ['none', 'none\n', ' none']) {
    t.same(readUpstreamVersion(body), { outcome: 'parsed', value: null }, JSON.stringify(body))
  }
  t.end()
})

t.test('what is no version is an error that shows a part of it', (t) => {
  const bodies = ['', ' ', 'stable', 'NONE', 'null', '15.1', 'vv15.1.4', '15.1.4 15.1.5', '15.1.4\nrm -rf /', '<html>']
  for (const body of bodies) {
    t.match(readUpstreamVersion(body), { outcome: 'unparsed', message: /^the answer to \/version / }, body)
  }
  t.end()
})

t.test('whatever a server says, what is taken from it is a version, or none', (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\s*v?[0-9.]{0,9}[a-z+.-]{0,9}\s*$/)), (body) => {
      const read = readUpstreamVersion(body)
      if (read.outcome === 'parsed' && read.value !== null && (!isVersion(read.value) || read.value.startsWith('v'))) {
        throw new Error(`${JSON.stringify(body)} → ${read.value}`)
      }
    }),
  )
  t.pass('checked')
  t.end()
})

t.test('critical is yes, no, true or false in any case, and nothing else', (t) => {
  for (const body of ['yes', 'YES', 'Yes\n', 'true', 'True', ' TRUE ']) {
    t.same(readUpstreamCritical(body), { outcome: 'parsed', value: true }, body)
  }
  for (const body of ['no', 'No', 'false', 'FALSE\r\n']) {
    t.same(readUpstreamCritical(body), { outcome: 'parsed', value: false }, body)
  }
  for (const body of ['', '1', '0', 'y', 'yes!', 'yes no', 'null', '<html>']) {
    t.match(readUpstreamCritical(body), { outcome: 'unparsed', message: /not yes, no, true or false/ }, body)
  }
  t.end()
})

t.test("only Bellwether's own words for a channel without a version mean that", (t) => {
  t.ok(saysNoTarget('channel stable/cloud has no target version'))
  for (const body of [
    'unknown channel',
    '',
    'not found',
    'channel a has no target version!',
    '<b>channel a has no target version</b>',
  ]) {
    t.notOk(saysNoTarget(body), body)
  }
  t.end()
})
