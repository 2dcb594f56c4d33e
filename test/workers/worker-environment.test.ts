// Which variables poll workers get: an allow-list.
import t from 'tap'
import { withheldFromWorkers } from '../../src/workers/worker-environment.ts'

t.test('poll workers get what they need of the environment, and no name that nobody has thought of', (t) => {
  const needed = [
    'BELLWETHER_POLL_PORT',
    'BELLWETHER_POLL_TLS_KEY',
    'BELLWETHER_CONNECTIONS_PER_ADDRESS',
    'PATH',
    'NODE_OPTIONS',
    'LC_ALL',
    'LD_LIBRARY_PATH',
  ]
  const withheld = [
    'BELLWETHER_ADMIN_TOKEN',
    'BELLWETHER_REDIS_URL',
    'BELLWETHER_POLL_TLS_TICKET_SECRET',
    'AWS_SECRET_ACCESS_KEY',
  ]
  const names = [...needed, ...withheld, 'PATHS', 'BELLWETHER_NEW']
  const taken = withheldFromWorkers(names)
  t.strictSame(Object.keys(taken).toSorted(), [...withheld, 'BELLWETHER_NEW', 'PATHS'].toSorted())
  t.ok(Object.values(taken).every((value) => value === undefined))
  t.end()
})
