// Gates on a real Prometheus that scrapes real metrics: each verdict that there is, and each only when it is true.
import t, { type Test } from 'tap'
import { AllowedHosts } from '../../src/control/allowed-hosts.ts'
import { GateClient } from '../../src/control/gate-client.ts'
import type { Gate } from '../../src/rollouts/pipeline.ts'
import type { GateReading } from '../../src/rollouts/rollout.ts'
import { prometheusTest, startPrometheus, type PrometheusProcess } from '../fixtures/prometheus-process.ts'
import { until } from '../fixtures/redis-process.ts'

/** For a server that will never answer; any time is right. */
const TIMEOUT_MS = 300

type Rule = Pick<Gate, 'query' | 'op' | 'threshold'>

/** Asks a Prometheus about one rule. */
type Asked = (rule: Rule) => Promise<GateReading>

function gatesOn(t: Test, { url }: Pick<PrometheusProcess, 'url'>, timeoutMs?: number): Asked {
  const client = new GateClient(
    { hosts: new AllowedHosts(['127.0.0.1'], 'BELLWETHER_GATES_ALLOW'), secrets: null },
    timeoutMs,
  )
  t.teardown(() => client.close())
  return (rule) => client.evaluate({ url, ...rule })
}

/** Resolves once a gate has the verdict; throws with what it has found instead. */
async function comesTo(ask: Asked, rule: Rule, verdict: GateReading['verdict']): Promise<GateReading> {
  let last: GateReading | null = null
  await until(`${rule.query} ${rule.op} ${rule.threshold} is ${verdict}`, async () => {
    last = await ask(rule)
    return last.verdict === verdict
  })
  if (last === null) throw new Error('it was not asked')
  return last
}

await prometheusTest(t, 'a gate comes to a verdict on what Prometheus says', async (t) => {
  // One for all: Prometheus looks for what to scrape only seconds after its start.
  const prometheus = await startPrometheus(t)
  const ask = gatesOn(t, prometheus)

  await t.test('a gate follows what Prometheus has scraped', async (t) => {
    const errors = { query: 'errors', op: '<', threshold: 5 } as const
    t.match(await ask(errors), { value: null, verdict: 'no data', detail: 'the query gives no series' })
    prometheus.show({ 'errors{zone="a"}': 1, 'errors{zone="b"}': 2.5 })
    t.same(await comesTo(ask, errors, 'passed'), { value: 2.5, verdict: 'passed', detail: null })
    prometheus.show({ 'errors{zone="a"}': 7, 'errors{zone="b"}': 12.5 })
    t.match(await comesTo(ask, errors, 'failed'), {
      value: 12.5,
      detail: /^the value is not < 5 in 2 of 2 series; the worst is 12\.5, of errors\{.*zone="b".*\}$/,
    })
    // Each is waited for: a scrape that a busy machine has no time for leaves a gap in which there is no data.
    const sum = await comesTo(ask, { ...errors, query: 'sum(errors)' }, 'failed')
    t.match(sum, { value: 19.5, detail: '19.5 is not < 5' })
    t.match(await comesTo(ask, { ...errors, query: 'scalar(sum(errors))' }, 'failed'), { value: 19.5 })
    const one = { query: 'errors{zone=~"a|c"} > 0', op: '==', threshold: 7 } as const
    t.match(await comesTo(ask, one, 'passed'), { value: 7 })
    prometheus.show({})
    await comesTo(ask, errors, 'no data')
  })

  await t.test('numbers that JSON does not have are read as Prometheus writes them', async (t) => {
    prometheus.show({ zero: 0, infinite: Infinity, 'ratio{zone="a"}': 1, 'ratio{zone="b"}': NaN, tiny: 5e-324 })
    const ratio = { query: 'ratio', op: '<', threshold: 5 } as const
    t.match(await comesTo(ask, { ...ratio, query: 'zero' }, 'passed'), { value: 0 })
    const infinite = await comesTo(ask, { ...ratio, query: 'infinite' }, 'failed')
    t.match(infinite, { value: null, detail: '+Inf is not < 5' })
    t.match(await comesTo(ask, { ...ratio, query: '-infinite' }, 'passed'), { value: null })
    await until('the series that is no number is named', async () => {
      const { value, verdict, detail } = await ask(ratio)
      t.same({ value, verdict }, { value: null, verdict: 'no data' })
      return /NaN, which is no number, in 1 of 2 series/.test(detail ?? '')
    })
    t.match(await ask({ ...ratio, query: 'zero / zero' }), { value: null, verdict: 'no data' })
    t.match(await comesTo(ask, { query: 'tiny', op: '>', threshold: 0 }, 'passed'), { value: 5e-324 })
  })

  await t.test('a query that Prometheus does not take is an error in its own words', async (t) => {
    const rule = { op: '<', threshold: 5 } as const
    for (const query of ['sum(', '', 'rate(errors)', 'no_such_function(errors)']) {
      const reading = await ask({ ...rule, query })
      t.match(reading, { value: null, verdict: 'error', detail: /^the query is answered 400: .*parse error/ }, query)
    }
    // Well written, but there is more than one series to match: that shows only when it is evaluated.
    const twice = 'up * on() group_left() (label_replace(up, "x", "1", "", "") or label_replace(up, "x", "2", "", ""))'
    await comesTo(ask, { ...rule, query: 'up' }, 'passed')
    const reading = await ask({ ...rule, query: twice })
    t.match(reading, { verdict: 'error', detail: /^the query is answered 422: .*many-to-many/ })
    t.match(await ask({ ...rule, query: 'up[5m]' }), { verdict: 'error', detail: /of the type "matrix"/ })
    t.match(await ask({ ...rule, query: '"text"' }), { verdict: 'error', detail: /of the type "string"/ })
  })
})

await prometheusTest(
  t,
  'a Prometheus that hangs is timed out, until it goes on; one that is away is an error',
  async (t) => {
    const prometheus = await startPrometheus(t)
    const rule = { query: 'vector(1)', op: '<', threshold: 5 } as const
    const [ask, askShortly] = [gatesOn(t, prometheus), gatesOn(t, prometheus, TIMEOUT_MS)]
    t.match(await ask(rule), { value: 1, verdict: 'passed' })
    prometheus.pause()
    t.match(await comesTo(askShortly, rule, 'timed out'), {
      value: null,
      detail: 'the query was not answered in 0.3 s',
    })
    prometheus.resume()
    t.match(await ask(rule), { value: 1, verdict: 'passed' })
    await prometheus.stop()
    t.match(await ask(rule), { value: null, verdict: 'error', detail: /^the query could not be asked: .*ECONNREFUSED/ })
  },
)
