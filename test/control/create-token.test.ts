// Making tokens: the text is in the answer, and nowhere else.
import t from 'tap'
import { createToken, type TokenCreation, type TokenDraft } from '../../src/control/create-token.ts'
import { inHours } from '../fixtures/channel-samples.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import type { CommandRig } from '../fixtures/command-rig.ts'

const DRAFT: TokenDraft = { name: 'robot', role: 'operator' }

function create(rig: CommandRig, more: Partial<TokenDraft> = {}): Promise<TokenCreation> {
  return createToken(rig.control, rig.request(), { ...DRAFT, ...more }, false)
}

t.test('it is tried, made once, and a retry is told that its text is lost', (t) =>
  proveCommand(t, {
    documents: [],
    run: ({ control }, request, dryRun) => createToken(control, request, DRAFT, dryRun),
    ...{ kind: 'token.create', done: 'created', again: 'made-before', isRandom: true },
  }),
)

t.test('the stored token has a hash of the text, and what was asked for', async (t) => {
  const rig = await started(t)
  const created = await create(rig, { channels: ['stable/*'], expiresAt: inHours(1) })
  if (created.outcome !== 'created') throw new Error(`it was ${created.outcome}`)
  const { token, secret } = created
  t.match(token, { name: 'robot', role: 'operator', channels: ['stable/*'], expiresAt: inHours(1), revision: 1 })
  t.match(token, { createdBy: 'grace/token-9', createdAt: inHours(0) })
  t.match(secret, new RegExp(`^bw_${token.id}_`))
  t.match((await rig.document(`token/${token.id}`))?.body, { hash: /^[0-9a-f]{64}$/ })
  t.notMatch(JSON.stringify(await rig.entries()), secret)
})

t.test('two tokens of one draft are two', async (t) => {
  const rig = await started(t)
  const [one, other] = [await create(rig), await create(rig)]
  t.not(one.outcome === 'created' && one.secret, other.outcome === 'created' && other.secret)
  t.equal((await rig.entries()).length, 2)
})

t.test('patterns and the end must make sense', async (t) => {
  const rig = await started(t)
  t.match(await create(rig, { channels: ['stable/*', '**'] }), { outcome: 'refused', field: 'channels/1' })
  t.match(await create(rig, { expiresAt: 'tomorrow' }), { outcome: 'refused', field: 'expiresAt' })
  t.match(await create(rig, { expiresAt: inHours(0) }), { outcome: 'refused', message: /has passed/ })
  t.equal(rig.commits.length, 0)
})
