// Every error code of the catalogue was answered, in this very run, to a test of the admin API that held the answer against
// the contract. Runs behind all others of a whole API slice, which leave what they have seen in TEST_RECORDS_DIR.
import { readdirSync } from 'node:fs'
import t from 'tap'
import { errorCodes } from '../../src/errors.ts'
import { RECORDS_FOLDER } from '../fixtures/seen-codes.ts'

t.test('every error code was caused by a test of the API', async (t) => {
  if (RECORDS_FOLDER === null) {
    t.pass('codes', { skip: 'NOT CHECKED: only a whole API slice causes them all; run npm run test:api' })
    return
  }
  const seen = new Set(readdirSync(RECORDS_FOLDER))
  t.same(
    errorCodes.filter((code) => !seen.has(code)),
    [],
    'codes that no test has caused',
  )
})
