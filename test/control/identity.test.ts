// Roles and scopes as plain values.
import t from 'tap'
import { covers, coversAll, roleReaches, roles } from '../../src/control/identity.ts'

t.test('a role reaches itself and every lower one', async (t) => {
  for (const [index, role] of roles.entries())
    for (const [other, needed] of roles.entries())
      t.equal(roleReaches(role, needed), index >= other, `${role} ${needed}`)
})

t.test('a scope covers the channels its patterns cover, and without one every channel', async (t) => {
  const limited = (...channels: string[]) => ({ actor: 'a/b', role: 'viewer' as const, channels })
  const free = { actor: 'a/b', role: 'viewer' as const, channels: null }
  t.ok(covers(free, 'x') && coversAll(free) && coversAll(limited('a', '*')) && covers(limited('*'), 'x/y'))
  t.notOk(coversAll(limited('a/*', 'b')))
  for (const name of ['stable', 'stablex', 'stablex/a', 'unstable/a', 'a/stable/b', 'stable/']) {
    t.equal(covers(limited('stable/*'), name), name === 'stable/', name)
  }
  t.ok(covers(limited('stable/*'), 'stable/a/b'))
  t.notOk(covers(limited('stable/cloud'), 'stable/cloud/x'))
})
