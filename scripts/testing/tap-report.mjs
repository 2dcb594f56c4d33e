// Reads the TAP of one tap run as it comes: one line per finished test file, with what failed in it, and the totals.
// The totals are tap's own closing count, never a count made here.

const indentWidth = 4 // TAP 14: one level of subtest
const point = /^(not )?ok \d+(?: - (.*?))?(?: # (?:time=(\d+(?:\.\d+)?)ms|((?:SKIP|TODO)\b.*)))?$/
const closingCount = /^# \{ (total: .*) \}$/

/**
 * Gives `print` the readable lines. `write(text)` takes TAP in any pieces; `end()` answers tap's totals
 * `{ pass, fail, skip, todo }`, or null where tap never wrote them, because it died.
 */
export function createTapReport(print) {
  let rest = ''
  let totals = null
  let lines = [] // of the file whose end has not come yet
  let pending = null // the file whose line has come, and perhaps its diagnostic block after it

  function readLine(line) {
    if (pending !== null) {
      if (line.startsWith('  ') || line.trim() === '') {
        pending.diagnostic.push(line)
        return
      }
      printFile()
    }
    const counted = closingCount.exec(line)
    const file = point.exec(line)
    if (counted !== null) totals = readTotals(counted[1])
    else if (file !== null) pending = { file, diagnostic: [] }
    else if (line.startsWith('Bail out!')) print(line)
    else lines.push(line)
  }

  function printFile() {
    const [, notOk, name, ms, directive] = pending.file
    const note = directive ?? (ms === undefined ? '' : `${(Number(ms) / 1000).toFixed(1)} s`)
    print(`  ${notOk ? 'FAILED' : 'ok    '}  ${name ?? ''}  ${note}`.trimEnd())
    if (notOk) {
      const failures = failuresIn(lines)
      for (const line of failures) print(`          ${line}`)
      // A crash, a timeout, an exit before the plan: the file's own block says how its process ended.
      for (const line of processEnd(pending.diagnostic, failures.length > 0)) print(`          ${line}`)
    }
    // What could not be tried here must not pass for tried.
    for (const line of skippedIn(lines)) print(`          ${line}`)
    lines = []
    pending = null
  }

  return {
    write(text) {
      const parts = (rest + text).split('\n')
      rest = parts.pop()
      for (const line of parts) readLine(line)
    },
    end() {
      if (rest !== '') readLine(rest)
      if (pending !== null) printFile()
      else if (totals === null) for (const line of lines) print(`          ${line}`)
      return totals
    },
  }
}

/** The skipped points of one file, each with its reason. */
function skippedIn(lines) {
  return lines.flatMap((line) => {
    const [, , name, , directive] = point.exec(line.trimStart()) ?? []
    return directive === undefined ? [] : [`${directive} (${name ?? ''})`]
  })
}

function readTotals(text) {
  const totals = { pass: 0, fail: 0, skip: 0, todo: 0 }
  for (const [, name, number] of text.matchAll(/(\w+): (\d+)/g)) totals[name] = Number(number)
  return totals
}

/** The failed points of one file, each under the titles that lead to it, with tap's diagnostic block as it stands. */
function failuresIn(lines) {
  const shown = []
  const titles = [] // by level
  const failedBelow = [] // by level: whether a point inside the subtest that is open there has failed
  for (let at = 0; at < lines.length; at += 1) {
    const text = lines[at].trimStart()
    const level = (lines[at].length - text.length) / indentWidth
    if (text.startsWith('# Subtest: ')) {
      titles[level] = text.slice('# Subtest: '.length)
      failedBelow[level] = false
      continue
    }
    const found = point.exec(text)
    if (!Number.isInteger(level) || found?.[1] === undefined || found[4] !== undefined) continue
    const summary = failedBelow[level] && titles[level] === found[2]
    for (let above = 0; above < level; above += 1) failedBelow[above] = true
    failedBelow[level] = false
    if (summary) continue // a subtest that failed because of what is shown already
    shown.push(`✖ ${[...titles.slice(1, level), found[2] ?? ''].join(' > ')}`)
    shown.push(...diagnosticAfter(lines, at, level * indentWidth))
  }
  return shown
}

// The block without its excerpt of the source: place and stack lead there, and the excerpt is often the longest part.
function diagnosticAfter(lines, at, indent) {
  if (lines[at + 1]?.slice(indent) !== '  ---') return []
  const end = lines.indexOf(`${' '.repeat(indent)}  ...`, at)
  const kept = []
  let isSource = false
  for (const line of lines.slice(at + 2, end === -1 ? undefined : end).map((text) => text.slice(indent))) {
    if (/^ {2}\S/.test(line)) isSource = line.startsWith('  source:')
    if (!isSource && line.trim() !== '') kept.push(line)
  }
  return kept
}

// What the block of a file tells beside its command line. An exit code of 1 after failed points says nothing new.
function processEnd(diagnostic, explained) {
  const told = diagnostic.filter((line) =>
    /^ {2}(exitCode|signal|timeout|expired|error|failure|reason|tapError)/.test(line),
  )
  const news = told.filter((line) => !line.endsWith(': null') && !(explained && line === '  exitCode: 1'))
  return news.length > 0 || explained ? news : diagnostic
}
