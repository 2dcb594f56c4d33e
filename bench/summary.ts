// Figures of several rounds as one line: the median with the lowest and the highest.

export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
}

export function summarize(figures: readonly number[]): Summary {
  const sorted = figures.toSorted((a, b) => a - b)
  return { median: quantile(sorted, 0.5), min: sorted[0] ?? NaN, max: sorted.at(-1) ?? NaN }
}

/** The figure below which that share of them lies; the median of an even number is the mean of the middle two. */
export function quantile(sorted: readonly number[], share: number): number {
  const place = (sorted.length - 1) * share
  const low = sorted[Math.floor(place)] ?? NaN
  const high = sorted[Math.ceil(place)] ?? NaN
  return low + (high - low) * (place - Math.floor(place))
}

export function showSummary({ median, min, max }: Summary, digits: number): string {
  const show = (figure: number): string =>
    figure.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  return `${show(median)} [${show(min)}..${show(max)}]`
}
