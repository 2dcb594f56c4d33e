// What is told of a server that could not be asked: why, and never the address that its name was resolved to, which is in the
// log alone. What becomes of each answer is in the tests of the clients.
import t, { type Test } from 'tap'
import { AllowedHosts } from '../../src/control/allowed-hosts.ts'
import { Outbound } from '../../src/control/outbound-request.ts'
import { freePort } from '../fixtures/fault-ports.ts'

const ADDRESS = /127\.0\.0|::1/

/** Resolves every name to addresses of this machine, or as `AllowedHosts` does the name of this machine without a list. */
class OnThisMachine extends AllowedHosts {
  override readonly lookup: AllowedHosts['lookup']

  constructor(addresses: readonly string[] | null) {
    super(['*.example'], 'BELLWETHER_GATES_ALLOW')
    const open = new AllowedHosts(null, 'BELLWETHER_PACKAGES_ALLOW')
    this.lookup = (_hostname, options, callback) => {
      if (addresses === null) return open.lookup('localhost', options, callback)
      const all = addresses.map((address) => ({ address, family: 4 }))
      return options.all === true ? callback(null, all) : callback(null, addresses[0] ?? '', 4)
    }
  }
}

/** The problem of a server that is not there, and what the log says of it. */
async function asked(t: Test, addresses: readonly string[] | null): Promise<{ message: string; logged: string }> {
  const lines: object[] = []
  const log = { debug: (fields: object, message: string) => void lines.push({ ...fields, message }) }
  const limits = { timeoutMs: 60_000, bodyBytesMax: 0, connectionsPerHostMax: 1, keepAlive: false }
  const outbound = new Outbound(new OnThisMachine(addresses), { ...limits, log })
  t.teardown(() => outbound.close())
  const reply = await outbound.ask(`http://inside.example:${await freePort()}/`, { method: 'GET', headers: {} })
  if (reply.outcome !== 'problem') throw new Error('somebody has answered')
  t.equal(reply.kind, 'failed')
  t.equal(lines.length, 1)
  return { message: reply.message, logged: JSON.stringify(lines) }
}

t.test('a connection that fails is told without the address; the log has it', async (t) => {
  const { message, logged } = await asked(t, ['127.0.0.2'])
  t.equal(message, 'could not be asked: connect ECONNREFUSED')
  t.match(logged, /"host":"inside\.example:\d+"/)
  t.match(logged, /connect ECONNREFUSED 127\.0\.0\.2:\d+/)
})

t.test('so it is where a name has several addresses', async (t) => {
  const { message, logged } = await asked(t, ['127.0.0.2', '127.0.0.3'])
  // A machine that is busy may give the first one up before it has refused.
  t.match(message, /^could not be asked: connect E[A-Z]+(?:; connect E[A-Z]+)?$/)
  for (const address of ['127.0.0.2', '127.0.0.3']) t.match(logged, address)
})

t.test('and where the address is why a host is refused', async (t) => {
  const { message, logged } = await asked(t, null)
  t.equal(message, 'could not be asked: localhost has an internal address; BELLWETHER_PACKAGES_ALLOW must name it')
  t.match(logged, ADDRESS)
})
