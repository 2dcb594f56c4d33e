// Charts: whole SVG, with every name in it, whatever it is made of.
import t from 'tap'
import { barChart, lineChart } from '../../bench/chart.ts'

/** Whether every element that is opened is closed, in order. */
function isWellFormed(svg: string): boolean {
  const open: string[] = []
  for (const [, end, name = '', self] of svg.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
    if (self === '/') continue
    if (end === '') open.push(name)
    else if (open.pop() !== name) return false
  }
  return open.length === 0
}

const AWKWARD = 'a <b> & "c"'
const ESCAPED = 'a &lt;b&gt; &amp; &quot;c&quot;'

await t.test('lines: every series is there with its name, and nothing lies outside', (t) => {
  const points = Array.from({ length: 50 }, (_, x): readonly [number, number] => [x, x * x])
  const svg = lineChart({
    title: AWKWARD,
    xLabel: 'x',
    yLabel: 'y',
    series: ['one', 'two', AWKWARD].map((name) => ({ name, points })),
  })
  t.ok(isWellFormed(svg))
  for (const name of ['one', 'two', ESCAPED]) t.match(svg, `>${name}<`)
  t.equal(svg.match(/<path /g)?.length, 3)
  t.notMatch(svg, /NaN|Infinity|undefined/)
  for (const [, x = '', y = ''] of svg.matchAll(/[ML]([\d.-]+) ([\d.-]+)/g)) {
    if (Number(x) < 0 || Number(x) > 860 || Number(y) < 0 || Number(y) > 420) t.fail(`${x} ${y}`)
  }
  t.end()
})

await t.test('bars: every one has its name, its figure and its spread', (t) => {
  const bars = [
    { name: 'bellwether', value: 100_000, min: 90_000, max: 110_000 },
    { name: AWKWARD, value: 0.5, min: 0.5, max: 0.5 },
  ]
  const svg = barChart({ title: 'bars', unit: '/s', bars })
  t.ok(isWellFormed(svg))
  for (const text of ['bellwether', ESCAPED, '100,000 /s', '0.5 /s']) t.match(svg, `>${text}<`)
  t.notMatch(svg, /NaN|Infinity|undefined/)
  t.end()
})

await t.test('nothing to show is an empty chart, not a broken one', (t) => {
  for (const svg of [
    lineChart({ title: '', xLabel: '', yLabel: '', series: [] }),
    lineChart({ title: '', xLabel: '', yLabel: '', series: [{ name: 'none', points: [] }] }),
    barChart({ title: '', unit: '', bars: [{ name: 'none', value: 0, min: 0, max: 0 }] }),
  ]) {
    t.ok(isWellFormed(svg))
    t.notMatch(svg, /NaN|Infinity|undefined/)
  }
  t.end()
})
