// Where upstreams may be: without a list no internal address in any spelling, with one only what it names.
import { lookup } from 'node:dns'
import t from 'tap'
import { parseUpstreamUrl } from '../../src/channels/upstream-url.ts'
import { UpstreamHosts } from '../../src/control/upstream-hosts.ts'

function refusalOf(hosts: UpstreamHosts, url: string): string | null {
  const upstream = parseUpstreamUrl(url)
  if (upstream.outcome === 'unparsed') throw new Error(`${url} ${upstream.message}`)
  return hosts.refusal(upstream.value)
}

/** What a connection to a host would be given, as one word. */
function resolved(hosts: UpstreamHosts, host: string): Promise<string> {
  return new Promise((resolve) => {
    hosts.lookup(host, { all: false }, (error, address) => {
      resolve(error === null ? String(address) : `refused: ${error.message}`)
    })
  })
}

t.test('without a list, internal addresses are refused in every spelling', (t) => {
  const hosts = new UpstreamHosts(null)
  const internal = [
    ...['127.0.0.1', '127.9.9.9', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254'],
    ...['100.64.0.1', '0.0.0.0', '192.0.0.1', '198.18.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255'],
    ...['2130706433', '0x7f000001', '0177.0.0.1', '127.1', '017700000001'],
    ...['[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:a00:1]', '[fd00::1]', '[fc00::1]', '[fe80::1]', '[fec0::1]'],
    ...['[ff02::1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]'],
    ...['localhost', 'LOCALHOST', 'localhost.', 'a.localhost'],
  ]
  for (const host of internal) {
    t.match(
      refusalOf(hosts, `http://${host}/v1/x`),
      /an internal address; BELLWETHER_UPSTREAM_ALLOW must name it$/,
      host,
    )
  }
  for (const host of ['a.example', '8.8.8.8', '172.32.0.1', '100.128.0.1', '[2606:4700::1]', 'localhost.example']) {
    t.equal(refusalOf(hosts, `http://${host}/v1/x`), null, host)
  }
  t.end()
})

t.test('with a list only what it names is allowed, internal or not, at its port where it says one', (t) => {
  const hosts = new UpstreamHosts(['a.example', '*.b.example:8443', '10.0.0.7', '[fd00::1]:80', 'C.Example'])
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
  const open = new UpstreamHosts(null)
  // Not refused by its name alone: what matters is where it leads.
  t.match(await resolved(open, 'localhost'), /^refused: localhost has the internal address /)
  const listed = new UpstreamHosts(['localhost'])
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
