// Looking at the store's settings: what is wrong is logged when it comes and when it goes, and shown while it lasts.
import t from 'tap'
import { storeChecks } from '../../src/control/store-checks.ts'
import { StoreUnavailable } from '../../src/store/port.ts'
import type { StoreWarning } from '../../src/store/warning.ts'
import { at } from '../fixtures/admin-json.ts'
import { startAdmin } from '../fixtures/admin-session.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

const MINUTE_MS = 60_000
const RECHECK_MS = 5_000
const EVICTION: StoreWarning = { code: 'eviction', message: 'Redis may throw away what it holds' }
const PERSISTENCE: StoreWarning = { code: 'no_persistence', message: 'Redis keeps nothing on disk' }

function checking() {
  const clock = new FakeClock()
  const logged: string[] = []
  const note =
    (level: string) =>
    (fields: object, message: string): void =>
      void logged.push(`${level} ${String(at(fields, 'code'))} ${message}`)
  const store: { found: readonly StoreWarning[] | Error; looks: number } = { found: [], looks: 0 }
  const ask = (): Promise<readonly StoreWarning[]> => {
    store.looks += 1
    return store.found instanceof Error ? Promise.reject(store.found) : Promise.resolve(store.found)
  }
  const checks = storeChecks(ask, clock, { info: note('info'), warn: note('warn'), error: note('error') })
  return { checks, clock, logged, store }
}

t.test('a warning is logged once when it comes, once when it goes, and shown in between', async (t) => {
  const { checks, clock, logged, store } = checking()
  store.found = [EVICTION, PERSISTENCE]
  t.strictSame(await checks.look(), [EVICTION, PERSISTENCE])
  const stop = checks.start()
  await clock.advance(MINUTE_MS * 3)
  t.equal(store.looks, 4, 'it is looked every minute')
  t.strictSame(checks.warnings(), [EVICTION, PERSISTENCE])
  store.found = [PERSISTENCE]
  await clock.advance(MINUTE_MS)
  t.strictSame(checks.warnings(), [PERSISTENCE])
  t.strictSame(logged, [
    `warn eviction ${EVICTION.message}`,
    `warn no_persistence ${PERSISTENCE.message}`,
    'info eviction the store has been put right',
  ])
  await stop()
  await clock.advance(MINUTE_MS * 5)
  t.equal(store.looks, 5)
})

t.test(
  'a store that cannot be asked keeps its warnings, has one of its own, and is asked again within seconds',
  async (t) => {
    const { checks, clock, logged, store } = checking()
    store.found = [EVICTION]
    await checks.look()
    const stop = checks.start()
    store.found = new StoreUnavailable('down')
    await clock.advance(MINUTE_MS * 2)
    t.match(checks.warnings(), [EVICTION, { code: 'settings_unchecked', message: /could not be checked \(down\)/ }])
    t.equal(checks.warnings().length, 2)
    const { looks } = store
    store.found = []
    await clock.advance(RECHECK_MS)
    t.strictSame(checks.warnings(), [])
    t.equal(store.looks, looks + 1)
    t.equal(logged.length, 4, 'each warning is logged when it comes and when it goes')
    await clock.advance(MINUTE_MS - 1)
    t.equal(store.looks, looks + 1)
    await stop()
  },
)

t.test('warnings are in /readyz and a metric', async (t) => {
  const session = await startAdmin(t, { warnings: () => [EVICTION] })
  t.strictSame(at((await session.inject({ url: '/readyz' })).body, 'warnings'), [EVICTION])
  const { body } = await session.planes.control.inject('/metrics')
  t.match(body, /^bellwether_store_warning\{code="eviction"\} 1$/m)
})
