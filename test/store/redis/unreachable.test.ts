// A Redis that cannot be used says why, whatever form it has: the password, the name, the Sentinels.
import t from 'tap'
import { StoreUnavailable } from '../../../src/store/port.ts'
import { freePort } from '../../fixtures/fault-ports.ts'
import { redisTest, until } from '../../fixtures/redis-process.ts'
import { startRedis, startSentinels } from '../../fixtures/redis-server.ts'
import { openImpatient } from '../../fixtures/redis-store.ts'

type Urls = () => Promise<string>

await redisTest(t, 'each reason for which Redis cannot be reached is told, and goes on being told', async (t) => {
  const locked = await startRedis(t, { args: ['--requirepass', 'secret'] })
  const cluster = await startRedis(t, { args: ['--requirepass', 'secret', '--cluster-enabled', 'yes'] })
  const at = (form: string, port: number, user = '') => `redis${form}://${user}127.0.0.1:${port}`
  const cases: readonly (readonly [url: string | Urls, why: RegExp])[] = [
    [at('', locked.port), /NOAUTH/],
    [at('', locked.port, ':wrong@'), /WRONGPASS/],
    ['redis://nowhere.invalid', /ENOTFOUND nowhere\.invalid/],
    [at('+cluster', cluster.port), /NOAUTH/],
    [at('+cluster', cluster.port, ':wrong@'), /WRONGPASS/],
    ['redis+cluster://nowhere.invalid', /ENOTFOUND nowhere\.invalid/],
    [async () => at('+cluster', await freePort()), /ECONNREFUSED/],
    [async () => `${at('+sentinel', await freePort())}/primary`, /ECONNREFUSED/],
  ]
  for (const [url, why] of cases) {
    const store = openImpatient(t, typeof url === 'string' ? url : await url())
    const said = async (): Promise<string> => {
      const error: unknown = await store.load().catch((reason: unknown) => reason)
      return error instanceof StoreUnavailable ? error.message : `not unavailable: ${String(error)}`
    }
    await until(`it says ${String(why)}`, async () => why.test(await said()), 20_000)
    for (const _ of [1, 2, 3]) t.match(await said(), why)
  }
})

await redisTest(t, 'a primary that Sentinels know and that refuses the password says so', async (t) => {
  const { url, primary, replicas } = await startSentinels(t)
  for (const server of [primary, ...replicas]) await server.call('CONFIG', 'SET', 'requirepass', 'secret')
  const store = openImpatient(t, url)
  const said = async (): Promise<string> => String(await store.load().catch((reason: unknown) => reason))
  await until('it says why', async () => /NOAUTH/.test(await said()), 20_000)
  for (const _ of [1, 2, 3]) t.match(await said(), /NOAUTH/)
})
