// Revoking tokens.
import t from 'tap'
import { revokeToken } from '../../src/control/revoke-token.ts'
import { tokenDocument } from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { REAL } from '../fixtures/command-rig.ts'

const ID = 'abcdefghijkl'

t.test('it is tried, made once, and answered again', (t) =>
  proveCommand(t, {
    documents: [tokenDocument(ID)],
    run: ({ control }, request, dryRun) => revokeToken(control, request, ID, { ...REAL, dryRun }),
    ...{ kind: 'token.revoke', done: 'revoked' },
  }),
)

t.test('a token that is not there is unknown, one at another revision is stale', async (t) => {
  const rig = await started(t, tokenDocument(ID))
  const conditions = { dryRun: false, expectedRevisions: [7] }
  t.match(await revokeToken(rig.control, rig.request(), ID, conditions), { outcome: 'stale', current: { revision: 1 } })
  t.strictSame(await revokeToken(rig.control, rig.request(), 'bbbbbbbbbbbb', conditions), { outcome: 'unknown-token' })
  t.equal(rig.commits.length, 0)
})

t.test('a token that cannot be read can be revoked', async (t) => {
  const rig = await started(t, { [`token/${ID}`]: { id: ID } })
  t.strictSame(await revokeToken(rig.control, rig.request(), ID, REAL), { outcome: 'revoked' })
  t.equal(await rig.document(`token/${ID}`), undefined)
})
