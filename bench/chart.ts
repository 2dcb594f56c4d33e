// Charts as SVG text, for documents: lines over an axis, and bars with their spread. No picture of the moment: whatever
// makes one is in the JSON that it was made from.

export interface LineChart {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  readonly series: readonly { readonly name: string; readonly points: readonly (readonly [x: number, y: number])[] }[]
}

export interface BarChart {
  readonly title: string
  readonly unit: string
  readonly bars: readonly {
    readonly name: string
    readonly value: number
    readonly min: number
    readonly max: number
  }[]
}

const WIDTH = 860
const COLORS = ['#1668b8', '#d1571b', '#2b8a4b', '#8a3fa0', '#b8860b', '#5a6b7b'] as const

export function lineChart({ title, xLabel, yLabel, series }: LineChart): string {
  const [left, right, top, bottom, height] = [78, 24, 76, 52, 420]
  const all = series.flatMap(({ points }) => points)
  const [xMax, yMax] = [niceMax(all.map(([x]) => x)), niceMax(all.map(([, y]) => y))]
  const x = (value: number): number => left + (value / xMax) * (WIDTH - left - right)
  const y = (value: number): number => height - bottom - (value / yMax) * (height - top - bottom)
  const ticks = [0, 0.25, 0.5, 0.75, 1]
  const lines = ticks.flatMap((share) => [
    `<line x1="${left}" x2="${WIDTH - right}" y1="${y(share * yMax)}" y2="${y(share * yMax)}" stroke="#e3e7eb"/>`,
    text(left - 8, y(share * yMax) + 4, short(share * yMax), 'end'),
    text(x(share * xMax), height - bottom + 18, short(share * xMax), 'middle'),
  ])
  series.forEach(({ name, points }, index) => {
    const color = COLORS[index % COLORS.length] ?? 'black'
    const path = points.map(([px, py], at) => `${at === 0 ? 'M' : 'L'}${x(px).toFixed(1)} ${y(py).toFixed(1)}`).join('')
    lines.push(`<path d="${path}" fill="none" stroke="${color}" stroke-width="2"/>`)
    const place = left + (index % 3) * 250
    const line = 44 + Math.floor(index / 3) * 18
    lines.push(
      `<rect x="${place}" y="${line - 9}" width="18" height="4" fill="${color}"/>`,
      text(place + 24, line - 3, name),
    )
  })
  lines.push(text((left + WIDTH - right) / 2, height - 12, xLabel, 'middle'))
  lines.push(
    `<g transform="translate(16 ${(top + height - bottom) / 2}) rotate(-90)">${text(0, 0, yLabel, 'middle')}</g>`,
  )
  return picture(title, height, lines)
}

export function barChart({ title, unit, bars }: BarChart): string {
  const [left, right, top, step] = [210, 150, 50, 30]
  const height = top + bars.length * step + 16
  const max = niceMax(bars.map((bar) => bar.max))
  const x = (value: number): number => left + (value / max) * (WIDTH - left - right)
  const lines = bars.flatMap(({ name, value, min, max: most }, index) => {
    const y = top + index * step
    const color = name.startsWith('bellwether') ? COLORS[0] : '#9aa7b3'
    return [
      text(left - 10, y + 15, name, 'end'),
      `<rect x="${left}" y="${y + 2}" width="${(x(value) - left).toFixed(1)}" height="18" rx="2" fill="${color}"/>`,
      `<line x1="${x(min).toFixed(1)}" x2="${x(most).toFixed(1)}" y1="${y + 11}" y2="${y + 11}" stroke="#20262c" stroke-width="1.5"/>`,
      text(x(most) + 8, y + 15, `${short(value)} ${unit}`),
    ]
  })
  return picture(title, height, lines)
}

/** On a ground of its own, so that it can be read on dark pages too. */
function picture(title: string, height: number, lines: readonly string[]): string {
  const size = `width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="system-ui, sans-serif" font-size="13" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" rx="6" fill="#fbfcfd"/>`,
    `<text x="20" y="26" font-size="16" font-weight="600" fill="#20262c">${escaped(title)}</text>`,
    ...lines,
    '</svg>',
    '',
  ].join('\n')
}

function text(x: number, y: number, words: string, anchor: 'start' | 'middle' | 'end' = 'start'): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="#3a444d">${escaped(words)}</text>`
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** The next number above that reads well on an axis. */
function niceMax(values: readonly number[]): number {
  const max = values.reduce((most, value) => Math.max(most, value), 0)
  if (max <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(max))
  return power * ([1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10].find((step) => step * power >= max) ?? 10)
}

function short(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 2 : 0 })
}
