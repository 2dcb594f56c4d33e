// URLs of upstreams: which forms there are, and what is refused before anything is ever asked there.
import t from 'tap'
import { parseUpstreamUrl, upstreamUrlOf, UPSTREAM_URL_LENGTH_MAX } from '../../src/channels/upstream-url.ts'

t.test('both forms are read, with the host and port that they are asked at', (t) => {
  const forms: readonly (readonly [text: string, url: string, form: string, hostname: string, port: number])[] = [
    ['https://a.example/v1/stable/cloud', 'https://a.example/v1/stable/cloud', 'rfd109', 'a.example', 443],
    ['HTTP://A.Example:80/v1/x/', 'http://a.example/v1/x', 'rfd109', 'a.example', 80],
    ['https://a.example:8443/updates/v1/x', 'https://a.example:8443/updates/v1/x', 'rfd109', 'a.example', 8443],
    [
      'https://proxy.example/v1/webapi/automaticupgrades/channel/stable/cloud',
      'https://proxy.example/v1/webapi/automaticupgrades/channel/stable/cloud',
      'webapi',
      'proxy.example',
      443,
    ],
    [
      'https://proxy.example/webapi/automaticupgrades/channel/default',
      'https://proxy.example/webapi/automaticupgrades/channel/default',
      'webapi',
      'proxy.example',
      443,
    ],
    ['http://[fd00::1]:8080/v1/x', 'http://[fd00::1]:8080/v1/x', 'rfd109', '[fd00::1]', 8080],
    // URLs have more than one spelling of an IPv4 address; this is the one that is checked.
    ['http://0x7f.1/v1/x', 'http://127.0.0.1/v1/x', 'rfd109', '127.0.0.1', 80],
    ['http://2130706433/v1/x', 'http://127.0.0.1/v1/x', 'rfd109', '127.0.0.1', 80],
  ]
  for (const [text, url, form, hostname, port] of forms) {
    t.same(parseUpstreamUrl(text), { outcome: 'parsed', value: { url, form, hostname, port } }, text)
  }
  t.end()
})

t.test('everything else is refused with a sentence that says why', (t) => {
  const wrong: Readonly<Record<string, RegExp>> = {
    '': /is not a URL/,
    'a.example/v1/x': /is not a URL/,
    'ftp://a.example/v1/x': /must begin with https/,
    'file:///v1/x': /must begin with https/,
    'javascript:alert(1)': /must begin with https/,
    'https://user:secret@a.example/v1/x': /must not have a user or password/,
    'https://user@a.example/v1/x': /must not have a user or password/,
    'https://a.example/v1/x?a=1': /must not have a query/,
    'https://a.example/v1/x#top': /must not have a query/,
    'https://a.example/': /is no channel of a version server/,
    'https://a.example/v1': /is no channel/,
    'https://a.example/v2/x': /is no channel/,
    'https://a.example/v1/Stable': /names no channel/,
    'https://a.example/v1/x/version': /names no channel/,
    'https://a.example/v1/x//y': /names no channel/,
    'https://a.example/v1/x%2Fy': /names no channel/,
    'https://a.example/v1/..%2f..%2fadmin': /names no channel/,
    'https://a.example/v1/x y': /is not a URL/,
    'https://a.example/v1/x\r\nHost: b': /is not a URL/,
    'https:\\\\a.example\\v1\\x': /is not a URL/,
    'https://a.example/webapi/automaticupgrades/channel/': /is no channel/,
    [`https://a.example/v1/${'x'.repeat(UPSTREAM_URL_LENGTH_MAX)}`]: /is longer than 500 characters/,
  }
  for (const [text, why] of Object.entries(wrong)) {
    const read = parseUpstreamUrl(text)
    t.match(read, { outcome: 'unparsed', message: why }, text)
    t.notMatch(JSON.stringify(read), 'secret')
  }
  t.end()
})

t.test('the channels of another server are found from its host, or from a base of either form', (t) => {
  const bases: Readonly<Record<string, string>> = {
    'https://a.example': 'https://a.example/v1/stable/x',
    'https://a.example/': 'https://a.example/v1/stable/x',
    'https://a.example/v1': 'https://a.example/v1/stable/x',
    'https://a.example/v1/': 'https://a.example/v1/stable/x',
    'https://a.example/updates': 'https://a.example/updates/v1/stable/x',
    'https://a.example/webapi/automaticupgrades/channel': 'https://a.example/webapi/automaticupgrades/channel/stable/x',
  }
  for (const [base, url] of Object.entries(bases)) {
    t.match(upstreamUrlOf(base, 'stable/x'), { outcome: 'parsed', value: { url } }, base)
  }
  t.match(upstreamUrlOf('https://a.example', 'Not A Name'), { outcome: 'unparsed' })
  t.match(upstreamUrlOf('https://a:b@a.example', 'x'), { outcome: 'unparsed', message: /user or password/ })
  t.end()
})
