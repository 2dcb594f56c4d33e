// The catalogue of error codes by itself; that each is caused for real is shown by the tests of the routes.
import t from 'tap'
import { errorCodes, statusOf, titleOf } from '../src/errors.ts'

t.test('every code has a status of an error and a title of its own', async (t) => {
  const titles = new Set<string>()
  for (const code of errorCodes) {
    t.match(code, /^[a-z]+(?:_[a-z0-9]+)*$/)
    t.ok(statusOf(code) >= 400 && statusOf(code) < 600, code)
    t.match(titleOf(code), /^[A-Z].*[^.]$/, code)
    titles.add(titleOf(code))
  }
  t.equal(titles.size, errorCodes.length)
})

t.test('a code that a client may find by its status alone is found there', async (t) => {
  t.equal(statusOf('unauthenticated'), 401)
  t.equal(statusOf('stale_write'), 412)
  t.equal(statusOf('guard_refused'), 422)
  t.equal(statusOf('rate_limited'), 429)
})
