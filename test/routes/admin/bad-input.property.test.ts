// Random bodies and queries against every write route of the OpenAPI document: never a fault, and never a change
// without a 2xx.
import fc from 'fast-check'
import t from 'tap'
import { at, isObject } from '../../fixtures/admin-json.ts'
import { bearer, startAdmin, type AdminSession } from '../../fixtures/admin-session.ts'
import type { Operation } from '../../fixtures/admin-contract.ts'
import { strangeText } from '../../fixtures/channel-texts.ts'
import { sized } from '../../fixtures/test-form.ts'

const NAMES = [
  'stable/cloud',
  'stable/cloud',
  'stable/cloud',
  'new',
  'nobody',
  'Bad Name',
  '',
  '__proto__',
  'a/version',
]

const text = fc.oneof(
  strangeText(),
  fc.constantFrom(
    '15.1.4',
    '15.1.5',
    'v15.1.6',
    '14.0.0',
    '17.0.0',
    '15.1',
    'because',
    ' ',
    'stable/*',
    'viewer',
    'admin',
  ),
  fc.constantFrom('2026-04-01T00:00:00Z', '2020-01-01T00:00:00Z', '9999-12-31T23:59:59-12:00', '0000-01-01T00:00:00Z'),
)

const value = fc.oneof(
  { weight: 4, arbitrary: text },
  { weight: 2, arbitrary: fc.constantFrom<unknown>(true, false, null, 1, 2, 0, -1, 1e300, 1.5) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
)

/** A body that has the members of an operation, mostly with values that could be right, and now and then others. */
function bodyFor(operation: Operation): fc.Arbitrary<unknown> {
  const properties = new Set<string>()
  collect(at(operation.spec, 'requestBody', 'content', 'application/json', 'schema'), properties)
  const source = fc.record(
    { kind: fc.constantFrom('static', 'forward'), version: value, critical: value },
    { requiredKeys: [] },
  )
  const members = [...properties].map((name): [string, fc.Arbitrary<unknown>] => [
    name,
    fc.oneof({ weight: 8, arbitrary: likely(name) }, { weight: 1, arbitrary: name === 'source' ? source : value }),
  ])
  const record = fc.record(Object.fromEntries(members), { requiredKeys: [] })
  const strange = fc.tuple(record, text, value).map(([body, name, member]) => ({ ...body, [name]: member }))
  return fc.oneof(
    { weight: 6, arbitrary: record },
    { weight: 1, arbitrary: strange },
    { weight: 1, arbitrary: fc.jsonValue() },
  )
}

function likely(name: string): fc.Arbitrary<unknown> {
  switch (name) {
    case 'reason':
      return fc.constant('because')
    case 'force':
    case 'critical':
      return fc.boolean()
    case 'source':
      return fc.constantFrom({ kind: 'static', version: '15.1.7' }, { kind: 'static' })
    case 'role':
      return fc.constant('viewer')
    case 'name':
      return fc.constantFrom('new', 'stable/cloud', 'b1', 'b2', 'b3')
    case 'version':
      return fc.constantFrom('15.1.4', '15.1.5', 'v15.1.6', '14.0.0', null)
    case 'until':
    case 'criticalUntil':
    case 'expiresAt':
      return fc.constantFrom('2026-04-01T00:00:00Z', null)
    case 'channels':
      return fc.constantFrom(null, ['stable/*'])
    default:
      return text
  }
}

function collect(schema: unknown, into: Set<string>): void {
  if (Array.isArray(schema)) for (const part of schema) collect(part, into)
  else if (isObject(schema)) {
    for (const name of Object.keys(schema['properties'] ?? {})) into.add(name)
    collect(schema['anyOf'], into)
  }
}

const query = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('', '?dryRun=true', '?dryRun=false', '?dryRun=', '?dryRun=x', '?limit=5') },
  { weight: 1, arbitrary: strangeText().map((part) => `?${encoded(part)}=1`) },
)

const ifMatch = fc.constantFrom(undefined, undefined, undefined, '*', '"1"', '"2"', 'W/"1"', '"x"', '"1", "2", "3"')

function pathOf(operation: Operation, name: string, other: string): string {
  const filled = operation.path.replace('{name}', encoded(name)).replaceAll(/\{\w+\}/g, encoded(other))
  return filled.replace('/admin/v1', '')
}

/** Percent-encoded; what is no character becomes U+FFFD. */
function encoded(part: string): string {
  return encodeURIComponent(Buffer.from(part).toString())
}

async function seqOf(session: AdminSession): Promise<number> {
  return (await session.planes.deps.store.load()).seq
}

t.test(
  'random input to every write route never is a fault, and changes nothing unless it is answered 2xx',
  async (t) => {
    const session = await startAdmin(t)
    await session.channel('stable/cloud', '15.1.4')
    const writes = session.contract.operations.filter(({ method, isPublic }) => method !== 'GET' && !isPublic)
    t.ok(writes.length >= 14)
    const input = fc
      .constantFrom(...writes)
      .chain((operation) =>
        fc.tuple(
          fc.constant(operation),
          bodyFor(operation),
          query,
          ifMatch,
          fc.constantFrom(...NAMES),
          fc.oneof(text, fc.constantFrom('15.1.9', '1.0.0')),
        ),
      )
    const statuses = new Set<string>()
    await fc.assert(
      fc.asyncProperty(input, async ([operation, body, search, condition, name, other]) => {
        // Some runs delete the channel; the others need it.
        await session.call('POST', '/channels', { name: 'stable/cloud', source: { kind: 'static', version: '15.1.4' } })
        const before = await session.planes.deps.store.load()
        // JSON, so that what undici or inject would make of it plays no part.
        const payload = JSON.stringify(body)
        const path = `${pathOf(operation, name, other)}${search}`
        const headers = {
          'content-type': 'application/json',
          ...(condition === undefined ? {} : { 'if-match': condition }),
        }
        const method =
          operation.method === 'POST' || operation.method === 'PUT'
            ? operation.method
            : operation.method === 'PATCH'
              ? 'PATCH'
              : 'DELETE'
        const reply = await session.call(method, path, payload, { headers })
        statuses.add(`${operation.id} ${Math.floor(reply.status / 100)}`)
        if (reply.status >= 500) throw new Error(`${reply.status} ${JSON.stringify(reply.body)}`)
        const isUnchanged = isObject(reply.body) && reply.body['unchanged'] === true
        const isReal = reply.status < 300 && !search.includes('dryRun=true') && !isUnchanged
        const grew = (await seqOf(session)) - before.seq
        if (grew !== (isReal ? 1 : 0)) throw new Error(`${reply.status} and ${grew} new entries`)
        if (!isReal && JSON.stringify(await session.planes.deps.store.load()) !== JSON.stringify(before))
          throw new Error('a document changed without an entry')
      }),
      { numRuns: sized(1_400, 14_000) },
    )
    for (const { id } of writes) t.ok(statuses.has(`${id} 4`), `${id} was refused`)
    t.ok([...statuses].filter((status) => status.endsWith(' 2')).length > 4, 'and much was accepted')
  },
)

t.test('random queries and headers to every read never are a fault', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  const reads = session.contract.operations.filter(({ method, id }) => method === 'GET' && id !== 'streamJournal')
  const names = [
    'cursor',
    'limit',
    'since',
    'until',
    'actor',
    'kind',
    'subject',
    'grace',
    'dryRun',
    'after',
    '__proto__',
  ]
  const pair = fc.tuple(
    fc.constantFrom(...names),
    fc.oneof(text, fc.constantFrom('1', '500', 'P1D', 'bmFtZTph', 'c2VxOjE')),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...reads),
      fc.array(pair, { maxLength: 3 }),
      text,
      async (operation, pairs, name) => {
        const search = pairs.map(([key, part]) => `${key}=${encoded(part)}`).join('&')
        const url = `/admin/v1${pathOf(operation, name, 'x')}?${search}`
        const full = operation.path.startsWith('/admin/v1') ? url : `${operation.path}?${search}`
        const reply = await session.inject({ url: full, headers: bearer() })
        if (reply.status >= 500) throw new Error(`${reply.status} ${JSON.stringify(reply.body)}`)
      },
    ),
    { numRuns: sized(500, 5_000) },
  )
  t.pass()
})
