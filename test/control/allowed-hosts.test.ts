// Which hosts may be asked: without a list no internal address in any spelling, with one only what it names.
import { lookup } from 'node:dns'
import t from 'tap'
import { AllowedHosts } from '../../src/control/allowed-hosts.ts'

const SETTING = 'BELLWETHER_UPSTREAM_ALLOW'

function refusalOf(hosts: AllowedHosts, url: string): string | null {
  const { hostname, port, protocol } = new URL(url)
  const refusal = hosts.refusal({ hostname, port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) })
  if (hosts.urlRefusal(url) !== refusal) throw new Error(`${url} is judged in two ways`)
  return refusal
}

/** What a connection to a host would be given, as one word. */
function resolved(hosts: AllowedHosts, host: string): Promise<string> {
  return new Promise((resolve) => {
    hosts.lookup(host, { all: false }, (error, address) => {
      resolve(error === null ? String(address) : `refused: ${error.message}`)
    })
  })
}

t.test('without a list, internal addresses are refused in every spelling', (t) => {
  const hosts = new AllowedHosts(null, SETTING)
  const internal = [
    ...['127.0.0.1', '127.9.9.9', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254'],
    ...['100.64.0.1', '0.0.0.0', '192.0.0.1', '198.18.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255'],
    ...['2130706433', '0x7f000001', '0177.0.0.1', '127.1', '017700000001'],
    ...['[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:a00:1]', '[fd00::1]', '[fc00::1]', '[fe80::1]', '[fec0::1]'],
    ...['[ff02::1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]'],
    ...['168.63.129.16', '192.88.99.1', '192.0.2.1', '198.51.100.7', '203.0.113.255'],
    ...['[::7f00:1]', '[::8.8.8.8]', '[::ffff:0:7f00:1]', '[::ffff:0:8.8.8.8]', '[2001::1]', '[2001:0:ffff::1]'],
    ...['[2001:db8::1]', '[3fff:fff::1]', '[::ffff:168.63.129.16]', '[::ffff:203.0.113.1]'],
    ...['localhost', 'LOCALHOST', 'localhost.', 'a.localhost'],
  ]
  for (const host of internal) {
    t.match(
      refusalOf(hosts, `http://${host}/v1/x`),
      /an internal address; BELLWETHER_UPSTREAM_ALLOW must name it$/,
      host,
    )
  }
  for (const host of [
    'a.example',
    '8.8.8.8',
    '172.32.0.1',
    '100.128.0.1',
    '[2606:4700::1]',
    'localhost.example',
    '168.63.129.17',
    '192.88.98.1',
    '[2001:1::1]',
    '[::ffff:8.8.8.8]',
    '[2001:4860::1]',
  ]) {
    t.equal(refusalOf(hosts, `http://${host}/v1/x`), null, host)
  }
  t.end()
})

t.test('with a list only what it names is allowed, internal or not, at its port where it says one', (t) => {
  const hosts = new AllowedHosts(['a.example', '*.b.example:8443', '10.0.0.7', '[fd00::1]:80', 'C.Example'], SETTING)
  const allowed = [
    ...[
      'https://a.example/v1/x',
      'http://a.example:9/v1/x',
      'https://d.b.example:8443/v1/x',
      'https://e.d.b.example:8443/v1/x',
    ],
    ...['http://10.0.0.7/v1/x', 'http://0xa000007/v1/x', 'http://[fd00::1]/v1/x', 'https://c.example/v1/x'],
  ]
  const refused = [
    ...[
      'https://b.example:8443/v1/x',
      'https://d.b.example/v1/x',
      'https://ab.example:8443/v1/x',
      'https://a.example.evil/v1/x',
    ],
    ...[
      'https://xa.example/v1/x',
      'http://10.0.0.8/v1/x',
      'http://[fd00::1]:81/v1/x',
      'http://8.8.8.8/v1/x',
      'http://localhost/v1/x',
    ],
  ]
  for (const url of allowed) t.equal(refusalOf(hosts, url), null, url)
  for (const url of refused)
    t.match(refusalOf(hosts, url), /not among the hosts that BELLWETHER_UPSTREAM_ALLOW names/, url)
  t.end()
})

t.test('a name is looked at again when it is connected to, by the address that is connected to', async (t) => {
  const open = new AllowedHosts(null, SETTING)
  // Not refused by its name alone: what matters is where it leads.
  const refused = await resolved(open, 'localhost')
  t.equal(refused, 'refused: localhost has an internal address; BELLWETHER_UPSTREAM_ALLOW must name it')
  const listed = new AllowedHosts(['localhost'], SETTING)
  const [address] = await new Promise<string[]>((resolve) => {
    lookup('localhost', (_error, first) => resolve([first]))
  })
  t.equal(await resolved(listed, 'localhost'), address)
  t.match(await resolved(open, 'no-such-host.invalid'), /^refused: /)
  await new Promise<void>((resolve) => {
    listed.lookup('localhost', { all: true }, (error, addresses) => {
      t.equal(error, null)
      t.ok(Array.isArray(addresses) && addresses.length > 0, 'as many as are asked for')
      resolve()
    })
  })
})

t.test('a list without an entry allows nothing, and each refusal names the setting that it comes from', (t) => {
  const none = new AllowedHosts([], 'BELLWETHER_GATES_ALLOW')
  const why = 'is on a.example, which is not among the hosts that BELLWETHER_GATES_ALLOW names'
  t.equal(refusalOf(none, 'https://a.example/'), why)
  const open = new AllowedHosts(null, 'BELLWETHER_PACKAGES_ALLOW')
  t.equal(
    refusalOf(open, 'https://10.0.0.1/agent.tgz'),
    'is on 10.0.0.1, an internal address; BELLWETHER_PACKAGES_ALLOW must name it',
  )
  t.end()
})

t.test('a text that is not a URL of HTTP, or has credentials in it, is refused whatever its host', (t) => {
  const hosts = new AllowedHosts(['a.example'], SETTING)
  const cases: readonly (readonly [url: string, why: RegExp])[] = [
    ...['', 'a.example', '//a.example/', 'https://', 'http://a.example:99999/', ' https://a.example/'].map(
      (url) => [url, /^is not a URL; it must be like/] as const,
    ),
    ...['https://a.example/a b', 'https:\\\\a.example\\'].map((url) => [url, /^is not a URL/] as const),
    ...['ftp://a.example/', 'file:///etc/passwd', 'data:,x'].map((url) => [url, /^must begin with https/] as const),
    ...['https://user@a.example/', 'https://:password@a.example/', 'https://a.example@b.example/'].map(
      (url) => [url, /^must not have a user or password/] as const,
    ),
  ]
  for (const [url, why] of cases) t.match(hosts.urlRefusal(url), why, url)
  t.equal(hosts.urlRefusal('https://a.example/path?query#fragment'), null)
  t.end()
})
